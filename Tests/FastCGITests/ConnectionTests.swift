import Decision
import FastCGI
import Octets
import Testing

@Suite struct ConnectionTests {
    @Test func keptConnectionsServeRequestAfterRequest() {
        let bytes = ordinaryRequest(id: 1, flags: 1) + ordinaryRequest(id: 2, role: 2, flags: 1)
        let seen = converse(bytes + ordinaryRequest(id: 1, flags: 0) + ordinaryRequest(id: 4))
        #expect(seen.requests.map(\.id) == [1, 2, 1])
        #expect(seen.requests.map(\.keepConnection) == [true, true, false])
        #expect(seen.isClosed)
    }

    @Test func aThousandRequestsInOneBufferStayInPlace() {
        let one = ordinaryRequest(flags: 1)
        let seen = converse([[UInt8]](repeating: one, count: 1_000).flatMap { $0 }, outputBytes: 1 << 20)
        #expect(seen.requests.count == 1_000)
        #expect(Set(seen.requests.map(\.values)).count == 1)
        #expect(!seen.isClosed)
    }

    @Test func aResponderIsAnsweredAfterStandardInputOnly() {
        let bytes = begin() + params(pairs(ordinaryPairs))
        #expect(converse(bytes).requests.isEmpty)
        #expect(converse(bytes + record(5, [1, 2, 3])).requests.isEmpty)
        #expect(converse(bytes + record(5, [1, 2, 3]) + record(5)).requests.count == 1)
    }

    @Test func anAuthorizerIsAnsweredWithoutStandardInput() {
        #expect(converse(ordinaryRequest(role: 2)).requests.count == 1)
    }

    @Test func standardInputOfAnAuthorizerIsDropped() {
        let late = record(5, [9, 9, 9], padding: 5) + record(5)
        let seen = converse(
            ordinaryRequest(role: 2, flags: 1) + late + ordinaryRequest(id: 2, role: 2, flags: 1))
        #expect(seen.requests.map(\.id) == [1, 2])
    }

    static let closing: [(String, [UInt8])] = [
        ("version 0", record(1, [0, 1, 0, 0, 0, 0, 0, 0], version: 0)),
        ("version 2", record(1, [0, 1, 0, 0, 0, 0, 0, 0], version: 2)),
        ("HTTP", Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)),
        ("short begin", record(1, [0, 1, 0, 0, 0, 0, 0])),
        ("long begin", record(1, [0, 1, 0, 0, 0, 0, 0, 0, 0])),
        ("abort in params", begin() + record(4, pairs(ordinaryPairs)) + record(2)),
        ("abort in stdin", begin() + params(pairs(ordinaryPairs)) + record(2)),
        ("the same id begun twice", begin() + begin()),
        ("stdin before params end", begin() + record(4, pairs(ordinaryPairs)) + record(5)),
        ("params after their end", begin() + params(pairs(ordinaryPairs)) + record(4, [1, 1, 1, 1])),
        ("second end of params", begin() + params(pairs(ordinaryPairs)) + record(4)),
        ("data", begin() + params(pairs(ordinaryPairs)) + record(8)),
        ("end request from the caller", begin() + record(3, [0, 0, 0, 0, 0, 0, 0, 0])),
        ("stdout from the caller", begin() + record(6)),
        ("unknown type of the active request", begin() + record(77)),
        ("get values of the active request", begin() + record(9)),
    ]

    @Test(arguments: closing)
    func protocolViolationsCloseWithoutAWord(name: String, bytes: [UInt8]) {
        for size in [Int.max, 1, 5] {
            #expect(converse(bytes, size: size) == Transcript(isClosed: true), "\(name)")
        }
    }

    @Test func recordsOfOtherRequestsAreIgnored() {
        let noise = record(4, id: 9, [1]) + record(5, id: 9, [2, 2]) + record(2, id: 9) + record(77, id: 9)
        let content = pairs(ordinaryPairs)
        let bytes =
            noise + begin(flags: 1) + noise + record(4, content) + noise + record(4) + noise + record(5)
            + noise
        let whole = converse(begin(flags: 1) + params(content) + record(5))
        #expect(converse(bytes) == whole)
        #expect(converse(bytes, size: 11) == whole)
    }

    @Test func aSecondRequestIsRefusedAndTheFirstGoesOn() throws {
        let content = pairs(ordinaryPairs)
        let bytes = begin() + begin(id: 2) + params(id: 2, content) + params(content) + record(5)
        let seen = converse(bytes)
        #expect(seen.requests.map(\.id) == [1])
        let answers = try #require(records(seen.output))
        #expect(answers.map(\.id) == [2, 2, 2, 1, 1, 1])
        #expect(text(answers[0].content).hasPrefix("Status: 403 Forbidden\r\n"))
        #expect(answers[2].content == [0, 0, 0, 0, 1, 0, 0, 0])
    }

    @Test(arguments: [UInt16(0), 3, 4, 258, 65_535])
    func otherRolesAreRefusedWithAStatus(role: UInt16) throws {
        let rest = params(pairs(ordinaryPairs)) + record(5)
        let kept = converse(begin(role: role, flags: 1) + rest + ordinaryRequest(id: 2))
        #expect(kept.requests.map(\.id) == [2])
        let answers = try #require(records(kept.output))
        #expect(text(answers[0].content).hasPrefix("Status: 403 Forbidden\r\n"))
        #expect(answers[2].content == [0, 0, 0, 0, 3, 0, 0, 0])
        let closed = converse(begin(role: role) + rest + ordinaryRequest(id: 2))
        #expect(closed.requests.isEmpty)
        #expect(closed.isClosed)
        #expect(records(closed.output)?.map(\.type) == [6, 6, 3])
    }

    @Test(arguments: [UInt8(0), 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 77, 255])
    func unknownManagementRecordsAreNamed(type: UInt8) {
        let seen = converse(record(type, id: 0, [1, 2, 3], padding: 2) + ordinaryRequest(flags: 1), size: 4)
        #expect(seen.requests.count == 1)
        #expect(Array(seen.output.prefix(16)) == [1, 11, 0, 0, 0, 8, 0, 0, type, 0, 0, 0, 0, 0, 0, 0])
    }

    static let values: [(String, [(String, String)], [(String, String)])] = [
        ("nothing", [], []),
        ("one", [("FCGI_MPXS_CONNS", "")], [("FCGI_MPXS_CONNS", "0")]),
        (
            "all", [("FCGI_MPXS_CONNS", ""), ("FCGI_MAX_REQS", ""), ("FCGI_MAX_CONNS", "")],
            [("FCGI_MAX_CONNS", "1024"), ("FCGI_MAX_REQS", "1024"), ("FCGI_MPXS_CONNS", "0")]
        ),
        ("unknown", [("FCGI_OTHER", ""), ("", ""), ("FCGI_MAX_CONNSX", "")], []),
        (
            "the same name fifty times", [(String, String)](repeating: ("FCGI_MAX_REQS", "7"), count: 50),
            [("FCGI_MAX_REQS", "1024")]
        ),
    ]

    @Test(arguments: values)
    func valuesAreToldOnceEach(name: String, asked: [(String, String)], told: [(String, String)]) {
        let seen = converse(record(9, id: 0, pairs(asked), padding: 1), size: 9)
        #expect(seen.output == record(10, id: 0, pairs(told)), "\(name)")
        #expect(!seen.isClosed)
    }

    @Test func malformedAndOversizedValuesClose() {
        #expect(converse(record(9, id: 0, [3, 0, 0x41])) == Transcript(isClosed: true))
        let large = [UInt8](repeating: 0, count: FastCGILimits.valuesBytesMax + 2)
        #expect(converse(record(9, id: 0, large)) == Transcript(isClosed: true))
        let largest = [UInt8](repeating: 0, count: FastCGILimits.valuesBytesMax)
        #expect(!converse(record(9, id: 0, largest)).isClosed)
        // Also while all parameters that a request may have are in the buffer.
        let full = params(pair([], [UInt8](repeating: 0x61, count: 65_531)), size: 30_000)
        let busy = begin(flags: 1) + full.dropLast(8) + record(9, id: 0, largest) + record(4) + record(5)
        #expect(converse(Array(busy), size: 1_000).requests.count == 1)
    }

    @Test func parameterBytesAreLimited() {
        // A pair's head takes five bytes here: 65,536 and one more.
        let largest = pair([], [UInt8](repeating: 0x61, count: 65_536 - 5))
        let fitting = begin(role: 2) + params(largest, size: 40_000)
        #expect(converse(fitting, size: 4_096).requests.first?.values.first?.count == 65_531)
        let larger = pair([], [UInt8](repeating: 0x61, count: 65_536 - 4))
        #expect(converse(begin(role: 2) + params(larger, size: 40_000)) == Transcript(isClosed: true))
        // Refused at the record's header, before its content has come.
        let early = begin(role: 2) + record(4, [UInt8](repeating: 0, count: 40_000))
        let header: [UInt8] = [1, 4, 0, 1, 0x80, 0, 0, 0]
        #expect(converse(early + header).isClosed)
    }

    @Test func parametersAreCounted() {
        let many = [(String, String)](repeating: ("A", "b"), count: 512)
        #expect(converse(begin(role: 2) + params(pairs(many))).requests.first?.names.count == 512)
        let more = begin(role: 2) + params(pairs(many + [("A", "b")]))
        #expect(converse(more) == Transcript(isClosed: true))
    }

    @Test func ignoredBytesAreLimited() {
        let start = begin() + params(pairs(ordinaryPairs))
        let half = record(5, [UInt8](repeating: 1, count: 32_700), padding: 255)
        #expect(converse(start + half + half + record(5)).requests.count == 1)
        #expect(converse(start + half + half + half + record(5)) == Transcript(isClosed: true))
        // Empty records count too.
        let empty = [[UInt8]](repeating: record(5, id: 7), count: 8_193).flatMap { $0 }
        #expect(converse(start + empty).isClosed)
        // The next request has a new allowance.
        let one = ordinaryRequest(role: 2, flags: 1)
        let busy = record(5, id: 7, [UInt8](repeating: 1, count: 60_000))
        #expect(converse(one + busy + one + busy + one + busy).requests.count == 3)
    }

    @Test func anOutputThatIsFullClosesWithWholeRecords() throws {
        let seen = converse(
            [[UInt8]](repeating: record(77, id: 0), count: 100).flatMap { $0 }, outputBytes: 100)
        #expect(seen.isClosed)
        #expect(seen.output.count == 96)
        let refused = converse(begin() + begin(id: 2), outputBytes: 40)
        #expect(refused == Transcript(isClosed: true))
    }

    @Test func aConnectionThatIsDecidingReadsNothing() {
        var connection = FastCGIConnection()
        var buffer = ReceiveBuffer(capacity: connection.limits.bufferBytes)
        var output = ByteWriter(capacity: 8_192)
        #expect(connection.isIdle)
        _ = buffer.append(ordinaryRequest(role: 2, flags: 1).span)
        guard case .request(let request) = connection.next(&buffer, output: &output) else {
            Issue.record("no request")
            return
        }
        _ = buffer.append(ordinaryRequest(id: 2, role: 2, flags: 1).span)
        #expect(connection.next(&buffer, output: &output) == .needBytes)
        #expect(!connection.isIdle)
        let facts = request.facts(in: buffer.bytes, profile: .scopecheck)
        #expect(String(lossy: buffer.bytes.bytes(at: facts.host)) == "api.example.com")
    }
}
