import FastCGI
import Octets
import Testing

@Suite struct RecordTests {
    /// The worked example of the format's documentation, octet by octet.
    static let literal: [UInt8] =
        [0x01, 0x01, 0x00, 0x01, 0x00, 0x08, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]
        + [0x01, 0x04, 0x00, 0x01, 0x00, 0x0C, 0x04, 0x00, 0x07, 0x03, 0x53, 0x43, 0x5F, 0x50, 0x4F, 0x52]
        + [0x54, 0x34, 0x34, 0x33, 0x00, 0x00, 0x00, 0x00]
        + [0x01, 0x04, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00]

    @Test func literalBytesAreOneRequest() {
        let seen = converse(Self.literal)
        #expect(seen.requests.count == 1)
        #expect(seen.requests.first?.role == .authorizer)
        #expect(seen.requests.first?.names == [Array("SC_PORT".utf8)])
        #expect(seen.requests.first?.values == [Array("443".utf8)])
        #expect(seen.isClosed)
    }

    @Test func theAnswerIsThreeRecordsWithZeroStatus() throws {
        let seen = try #require(records(converse(Self.literal).output))
        #expect(seen.map(\.type) == [6, 6, 3])
        #expect(seen.map(\.id) == [1, 1, 1])
        #expect(text(seen[0].content).hasPrefix("Status: 200 OK\r\nVariable-SCOPE_DECISION: allow\r\n"))
        #expect(text(seen[0].content).hasSuffix("\r\n\r\n"))
        #expect(seen[1].content.isEmpty)
        #expect(seen[2].content == [0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test(arguments: [0, 1, 126, 127, 128, 129, 255, 256, 65_535 - 9])
    func valueLengthsAtTheirEdges(count: Int) {
        let value = [UInt8](repeating: 0x76, count: count)
        let seen = converse(begin(role: 2) + params(pair(Array("NAME".utf8), value)))
        #expect(seen.requests.first?.values == [value])
    }

    @Test(arguments: [0, 1, 127, 128, 300, 40_000])
    func nameLengthsAtTheirEdges(count: Int) {
        let name = [UInt8](repeating: 0x4E, count: count)
        let seen = converse(begin(role: 2) + params(pair(name, [1, 2])))
        #expect(seen.requests.first?.names == [name])
        #expect(seen.requests.first?.values == [[1, 2]])
    }

    @Test func aLengthMayTakeFourBytesBelow128() {
        let seen = converse(begin(role: 2) + params([0x80, 0, 0, 1, 0x80, 0, 0, 2, 0x41, 0x42, 0x43]))
        #expect(seen.requests.first?.names == [[0x41]])
        #expect(seen.requests.first?.values == [[0x42, 0x43]])
    }

    static let malformedParameters: [(String, [UInt8])] = [
        ("only a name length", [3]),
        ("no content", [3, 1]),
        ("value one byte short", [3, 1, 0x41, 0x42, 0x43]),
        ("second pair cut", [1, 1, 0x41, 0x42, 5]),
        ("four-byte length cut", [1, 0x80, 0, 0]),
        ("four-byte name length cut", [0x80, 0]),
        ("name beyond the end", [0xFF, 0xFF, 0xFF, 0xFF, 0, 0x41]),
        ("value beyond the end", [1, 0xFF, 0xFF, 0xFF, 0xFF, 0x41]),
        ("both lengths at their largest", [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("one spare byte", [1, 1, 0x41, 0x42, 0]),
    ]

    @Test(arguments: malformedParameters)
    func malformedParametersClose(name: String, content: [UInt8]) {
        for size in [Int.max, 1] {
            let seen = converse(begin(role: 2) + params(content), size: size)
            #expect(seen == Transcript(isClosed: true), "\(name)")
        }
    }

    @Test func noParametersAtAllIsARequest() {
        let seen = converse(begin(role: 2) + record(4))
        #expect(seen.requests.first?.names == [])
    }

    /// Every cut of the parameters into two records, so that pairs, lengths and names straddle them.
    @Test func pairsMayStraddleRecords() {
        let long = [UInt8](repeating: 0x78, count: 200)
        let content = pairs(ordinaryPairs) + pair(Array("LONG".utf8), long)
        let whole = converse(begin(role: 2) + params(content))
        #expect(whole.requests.first?.names.count == ordinaryPairs.count + 1)
        for cut in 1..<content.count {
            let bytes =
                begin(role: 2) + record(4, Array(content[..<cut]), padding: cut % 9)
                + record(4, Array(content[cut...])) + record(4)
            #expect(converse(bytes) == whole, "cut at \(cut)")
        }
        for size in 1...16 {
            let bytes = begin(role: 2) + params(content, size: size, padding: size)
            #expect(converse(bytes) == whole, "records of \(size)")
            #expect(converse(bytes, size: 3) == whole, "records of \(size) in reads of 3")
        }
    }

    @Test(arguments: 0...255)
    func anyPaddingAnywhere(padding: Int) {
        let content = pairs(ordinaryPairs)
        let bytes =
            begin(flags: 1, padding: padding) + record(4, content, padding: padding)
            + record(4, padding: padding) + record(5, [1, 2, 3], padding: padding)
            + record(5, padding: padding)
        let whole = converse(begin(flags: 1) + params(content) + record(5))
        #expect(converse(bytes) == whole)
        #expect(converse(bytes, size: 7) == whole)
        #expect(converse(bytes + ordinaryRequest(flags: 1)).requests.count == 2)
    }

    @Test(arguments: [UInt16(1), 2])
    func everyCutOfTheStreamReadsTheSame(role: UInt16) {
        let values = record(9, id: 0, pairs([("FCGI_MAX_CONNS", "")]), padding: 3)
        let bytes =
            values + ordinaryRequest(role: role, flags: 1) + record(77, id: 0)
            + ordinaryRequest(id: 513, role: role, flags: 1)
        let whole = converse(bytes)
        #expect(whole.requests.count == 2)
        for cut in 1..<bytes.count {
            let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
            #expect(converse(pieces: pieces) == whole, "cut at \(cut)")
        }
        for size in 1...24 { #expect(converse(bytes, size: size) == whole, "reads of \(size)") }
    }
}
