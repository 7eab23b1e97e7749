@testable import Decision
import FastCGI
import Glibc
import LibFCGI
import Octets
import Testing

// Requests as bytes. The builders are those of the codec's tests, in small.
func record(_ type: UInt8, id: UInt16 = 1, _ content: [UInt8] = [], padding: Int = 0) -> [UInt8] {
    [1, type, UInt8(id >> 8), UInt8(id & 255), UInt8(content.count >> 8), UInt8(content.count & 255)]
        + [UInt8(padding), 0] + content + [UInt8](repeating: 0xAA, count: padding)
}

func begin(id: UInt16 = 1, role: UInt8 = 1, flags: UInt8 = 0) -> [UInt8] {
    record(1, id: id, [0, role, flags, 0, 0, 0, 0, 0])
}

func pair(_ name: String, _ value: String) -> [UInt8] {
    func length(_ count: Int) -> [UInt8] {
        count < 128
            ? [UInt8(count)]
            : [
                0x80 | UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255),
                UInt8(count & 255),
            ]
    }
    return length(name.utf8.count) + length(value.utf8.count) + Array(name.utf8) + Array(value.utf8)
}

let ordinary: [UInt8] =
    pair("SC_METHOD", "GET") + pair("SC_TARGET", "/v1/orders/7?x=%41") + pair("SC_HOST", "api.example.com")
    + pair("SC_SCHEME", "https") + pair("SC_PORT", "443") + pair("SC_CLIENT_ADDRESS", "192.0.2.7")
    + pair("SC_REQUEST_ID", "") + pair("HTTP_USER_AGENT", "a=b=c")
    + pair("HTTP_AUTHORIZATION", "Bearer a.b.c")

func whole(_ params: [UInt8], id: UInt16 = 1, role: UInt8 = 1, flags: UInt8 = 0) -> [UInt8] {
    begin(id: id, role: role, flags: flags) + (params.isEmpty ? [] : record(4, id: id, params))
        + record(4, id: id)
        + (role == 1 ? record(5, id: id) : [])
}

/// What a caller sees of an answer: which request ended how, and the header block. Nil when it is not a
/// sequence of whole records.
struct Ending: Equatable {
    var id: UInt16
    var head: String
    var body: [UInt8]
}

func endings(_ bytes: [UInt8]) -> [Ending]? {
    var result: [Ending] = []
    var head: [UInt8] = []
    var position = 0
    while position < bytes.count {
        guard bytes.count - position >= 8, bytes[position] == 1 else { return nil }
        let count = Int(bytes[position + 4]) << 8 | Int(bytes[position + 5])
        let end = position + 8 + count
        guard end + Int(bytes[position + 6]) <= bytes.count else { return nil }
        let content = Array(bytes[position + 8..<end])
        if bytes[position + 1] == 6 { head += content }
        if bytes[position + 1] == 3 {
            let id = UInt16(bytes[position + 2]) << 8 | UInt16(bytes[position + 3])
            result.append(Ending(id: id, head: String(decoding: head, as: UTF8.self), body: content))
            head = []
        }
        position = end + Int(bytes[position + 6])
    }
    return result
}

/// The codec's answer to the same bytes by the same decision.
func codecAnswer(_ bytes: [UInt8]) -> [UInt8] {
    var connection = FastCGIConnection()
    var buffer = ReceiveBuffer(capacity: max(bytes.count, connection.limits.bufferBytes))
    var output = ByteWriter(capacity: 65_536)
    guard buffer.append(bytes.span) else { return [0] }
    while case .request(let request) = connection.next(&buffer, output: &output) {
        var answer = Answer()
        decide(request.facts(in: buffer.bytes, profile: .scopecheck), buffer.bytes, &answer)
        connection.answer(request, answer, into: &output, buffer: &buffer)
        if connection.shouldClose { break }
    }
    return [UInt8](copying: output.bytes)
}

/// Seeded, so that a failure repeats.
struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

@Suite(.serialized) struct EngineTests {
    static let same: [(String, [UInt8])] = [
        ("responder", whole(ordinary)),
        ("authorizer", whole(ordinary, role: 2)),
        ("another id", whole(ordinary, id: 513)),
        ("no params", whole([])),
        ("kept", whole(ordinary, flags: 1)),
        ("kept authorizer", whole(ordinary, role: 2, flags: 1)),
        ("repeated fact", whole(ordinary + pair("SC_HOST", "api.example.com"))),
        ("two credentials", whole(ordinary + pair("HTTP_AUTHORIZATION", "Bearer d"))),
        ("two credentials, authorizer", whole(ordinary + pair("HTTP_AUTHORIZATION", "Bearer d"), role: 2)),
        ("no credential", whole(pair("SC_METHOD", "GET"))),
        ("odd name", whole(ordinary + pair("HTTP_AUTHORIZATION ", "x"))),
        ("odd name in lower case", whole(ordinary + pair("sc_host", "x"))),
        ("unknown names", whole(ordinary + pair("SC_X", "x") + pair("", "y") + pair("Z", ""))),
        ("a name that begins like ours", whole(ordinary + pair("SC_HOSTS", "x"))),
        ("long value", whole(ordinary + pair("HTTP_COOKIE", String(repeating: "c", count: 60_000)))),
        ("long name", whole(ordinary + pair(String(repeating: "N", count: 300), "x"))),
        (
            "params in pieces",
            begin() + record(4, Array(ordinary.prefix(13)), padding: 3)
                + record(4, Array(ordinary.dropFirst(13)), padding: 255) + record(4) + record(5, padding: 7)
        ),
        (
            "standard input",
            begin() + record(4, ordinary) + record(4)
                + record(5, [UInt8](repeating: 7, count: 30_000), padding: 9)
                + record(5, [1, 2, 3]) + record(5)
        ),
        (
            "records of other requests",
            begin() + record(4, id: 9, [1]) + record(4, ordinary) + record(77, id: 9) + record(4)
                + record(5, id: 3)
                + record(5)
        ),
    ]

    /// Both engines come to the same header block and the same end for the same bytes.
    @Test func bothEnginesAnswerAlike() throws {
        let loopback = try Loopback()
        for (name, bytes) in Self.same {
            let expected = try #require(endings(codecAnswer(bytes)), "\(name)")
            #expect(expected.count == 1, "\(name)")
            for size in [Int.max, 7] where size == Int.max || bytes.count < 2_000 {
                let received = try #require(loopback.exchange(bytes, size: size), "\(name)")
                #expect(endings(received) == expected, "\(name)")
            }
        }
        loopback.stop()
    }

    /// Requests made by chance from names, near-names and any values, cut into records by chance.
    @Test func generatedRequestsAreAnsweredAlike() throws {
        let loopback = try Loopback(engines: 2)
        var random = Generator(state: 11)
        var allowed = 0
        for round in 0..<3_000 {
            let bytes = generatedRequest(&random)
            let expected = try #require(endings(codecAnswer(bytes)), "round \(round)")
            #expect(expected.count == 1, "round \(round)")
            allowed += expected.first?.head.hasPrefix("Status: 200") == true ? 1 : 0
            #expect(endings(loopback.exchange(bytes) ?? []) == expected, "round \(round)")
        }
        #expect(allowed > 300 && allowed < 2_700)
        loopback.stop(engines: 2)
    }

    private func generatedRequest(_ random: inout Generator) -> [UInt8] {
        let names = [
            "SC_METHOD", "SC_TARGET", "SC_HOST", "SC_SCHEME", "SC_PORT", "SC_CLIENT_ADDRESS", "SC_REQUEST_ID",
            "SC_PATH", "HTTP_AUTHORIZATION", "HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_X",
            "sc_method", "SC_METHODS", "SC-HOST", "HTTP_AUTHORIZATION ", "", "REQUEST_METHOD", "FCGI_ROLE",
        ]
        var content: [UInt8] = []
        for _ in 0..<Int.random(in: 0...8, using: &random) {
            let longest = [3, 40, 300].randomElement(using: &random) ?? 3
            // Anything but NUL, of which the library's strings have none; bytes above ASCII in two.
            let value = (0..<Int.random(in: 0...longest, using: &random)).map { _ in
                UnicodeScalar(UInt8.random(in: 1...255, using: &random))
            }
            content += pair(
                names.randomElement(using: &random) ?? "", String(String.UnicodeScalarView(value)))
        }
        let role = UInt8.random(in: 1...2, using: &random)
        let id = UInt16.random(in: 1...UInt16.max, using: &random)
        var bytes = begin(id: id, role: role, flags: UInt8.random(in: 0...1, using: &random))
        var rest = content[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...200, using: &random))
            rest = rest.dropFirst(piece.count)
            bytes += record(4, id: id, Array(piece), padding: Int.random(in: 0...255, using: &random))
        }
        bytes += record(4, id: id)
        if role == 1 { bytes += record(5, id: id, padding: Int.random(in: 0...9, using: &random)) }
        return bytes
    }

    static let closed: [(String, [UInt8])] = [
        ("nothing", []),
        ("garbage", Array("GET / HTTP/1.1\r\n\r\n".utf8)),
        ("malformed params", whole([3, 1, 0x41])),
        ("abort in params", begin() + record(4, ordinary) + record(2)),
        ("abort in params of an authorizer", begin(role: 2) + record(4, ordinary) + record(2)),
        ("another version in params", begin(role: 2) + record(4, ordinary) + [2, 4, 0, 1, 0, 0, 0, 0]),
        ("standard input in params", begin(role: 2) + record(4, ordinary) + record(5)),
        ("abort in standard input", begin() + record(4, ordinary) + record(4) + record(2)),
        ("too many params", whole((0..<600).flatMap { _ in pair("A", "b") })),
        (
            "too large params",
            begin() + record(4, pair("A", String(repeating: "a", count: 60_000)))
                + record(4, pair("B", String(repeating: "b", count: 10_000))) + record(4) + record(5)
        ),
        (
            "too large standard input",
            begin() + record(4, ordinary) + record(4) + record(5, [UInt8](repeating: 7, count: 60_000))
                + record(5, [UInt8](repeating: 7, count: 60_000)) + record(5)
        ),
    ]

    /// What neither engine answers: no END_REQUEST from either.
    @Test func bothEnginesCloseAlike() throws {
        let loopback = try Loopback()
        for (name, bytes) in Self.closed {
            #expect(codecAnswer(bytes) == [], "\(name)")
            let received: [UInt8]? = loopback.exchange(bytes + Self.tail(name))
            #expect(received == [], "\(name)")
        }
        // And the engine still serves.
        #expect(loopback.exchange(whole(ordinary))?.isEmpty == false)
        loopback.stop()
    }

    /// The library waits for more where a stream breaks off; a wrong version ends that.
    private static func tail(_ name: String) -> [UInt8] { name == "nothing" ? [0, 0, 0, 0, 0, 0, 0, 0] : [] }

    /// The differences that the module's documentation names, so that a change of the library shows.
    @Test func knownDifferences() throws {
        let loopback = try Loopback()
        // `K=x` is read as K.
        let joined = whole(
            pair("SC_METHOD", "GET") + pair("HTTP_AUTHORIZATION=evil", "x"))
        let libraryHead = try #require(endings(loopback.exchange(joined) ?? [])?.first?.head)
        let codecHead = try #require(endings(codecAnswer(joined))?.first?.head)
        #expect(libraryHead.hasPrefix("Status: 200 OK"))
        #expect(codecHead.hasPrefix("Status: 403 Forbidden"))
        // But beside the real one it is a repeated one, whichever comes first.
        let beside = whole(pair("HTTP_AUTHORIZATION=evil", "x") + pair("HTTP_AUTHORIZATION", "Bearer a"))
        #expect(endings(loopback.exchange(beside) ?? [])?.first?.head.hasPrefix("Status: 401") == true)
        // A NUL cuts a value short.
        let cut = whole(pair("SC_METHOD", "GET\0POST") + pair("HTTP_AUTHORIZATION", "Bearer a"))
        let cutHead = try #require(endings(loopback.exchange(cut) ?? [])?.first?.head)
        #expect(cutHead.contains("X-Scope-Route: GET\r\n"))
        #expect(endings(codecAnswer(cut))?.first?.head.contains("X-Scope-Route: GET%00POST\r\n") == true)
        // Role Filter, and roles that do not exist, are closed on.
        for role in [UInt8(3), 9] {
            #expect(loopback.exchange(whole(ordinary, role: role) + [0, 0, 0, 0, 0, 0, 0, 0]) == [])
            #expect(
                endings(codecAnswer(whole(ordinary, role: role)))?.first?.body == [0, 0, 0, 0, 3, 0, 0, 0])
        }
        // Padding of the record that ends PARAMS is read as the next record.
        let padded = begin() + record(4, ordinary) + record(4, padding: 8) + record(5)
        #expect(loopback.exchange(padded) == [])
        #expect(endings(codecAnswer(padded))?.count == 1)
        // A kept connection is closed, and with it a request that came right behind.
        let two = whole(ordinary, flags: 1) + whole(ordinary, id: 2, flags: 1)
        #expect(endings(loopback.exchange(two) ?? [])?.map(\.id) == [1])
        #expect(endings(codecAnswer(two))?.map(\.id) == [1, 2])
        loopback.stop()
    }

    @Test func aPeerThatIsNotAdmittedGetsNothing() throws {
        let loopback = try Loopback(admit: { _ in false })
        #expect(loopback.exchange(whole(ordinary)) == [])
        #expect(loopback.exchange(whole(ordinary, role: 2)) == [])
        loopback.stop()
    }

    @Test func severalEnginesShareASocket() throws {
        let loopback = try Loopback(engines: 3)
        let expected = endings(codecAnswer(whole(ordinary)))
        for _ in 0..<100 { #expect(endings(loopback.exchange(whole(ordinary)) ?? []) == expected) }
        loopback.stop(engines: 3)
    }

    /// `FCGX_Init` would take SIGTERM over, and the process would no longer end by it.
    @Test func signalsStayAsTheyWere() throws {
        try LibFCGI.initialize()
        try LibFCGI.initialize()
        for number in [SIGTERM] {
            var action = sigaction()
            // SAFETY: the address of a local.
            unsafe #expect(sigaction(number, nil, &action) == 0)
            let isDefault = unsafe action.__sigaction_handler.sa_handler == nil
            #expect(isDefault)
        }
        var pipe = sigaction()
        unsafe _ = sigaction(SIGPIPE, nil, &pipe)
        let isDefault = unsafe pipe.__sigaction_handler.sa_handler == nil
        #expect(!isDefault)
    }

    @Test func aSocketThatIsNoneIsAnError() {
        #expect(throws: LibFCGIError.self) {
            _ = try LibFCGIEngine(listenDescriptor: -1, wakeDescriptor: -1, profile: .scopecheck)
        }
    }
}
