internal import Decision
internal import Octets
internal import Policy
internal import Tokens

/// One line of `decide`'s input: a JSON object of facts about a request, or about a connection without HTTP.
///
/// Example: `{"id":"1","method":"GET","target":"/v1/orders/7","host":"api.example.com","scheme":"https",
/// "port":443,"authorization":["Bearer eyJ…"]}`. Without `scheme` it is https, without `port` that of the scheme;
/// every other fact that is missing is missing for the decision too. A connection is
/// `{"id":"2","connect":9443,"certificate":"-----BEGIN CERTIFICATE-----\n…"}`, its chain taken as good.
struct FactLine: ~Copyable {
    /// The line itself, followed by what had to be unescaped.
    private(set) var bytes: [UInt8] = []
    private(set) var facts = RequestFacts()
    /// Instead of `facts`, where the line is about a connection.
    private(set) var connection: ConnectionFacts?
    /// The `at` of the line, Unix seconds.
    private(set) var time: Int64?
    /// The `id` as it stood, JSON text; `null` without one.
    private(set) var identifier: [UInt8] = Array("null".utf8)
    /// Members that are no facts, as they stand in the line.
    private(set) var unknownNames: [String] = []
    private var index = JSONIndex()

    static let names: [StaticString] = [
        "id", "method", "target", "host", "scheme", "port", "authorization", "dpop", "normalized_path",
        "client_address", "request_id", "origin", "access_control_request_method", "cookie", "sec_websocket_protocol",
        "client_certificate", "at", "connect", "certificate",
    ]

    /// The facts without which there is no decision on a request.
    var missingNames: [String] {
        [("method", facts.method), ("target", facts.target), ("host", facts.host)].filter { $0.1.isEmpty }.map(\.0)
    }

    /// Why a line is no object of facts.
    struct Refusal: Error {
        var message: String
    }

    mutating func read(_ line: [UInt8]) throws(Refusal) {
        bytes = line
        facts = RequestFacts()
        connection = nil
        time = nil
        unknownNames = []
        identifier = Array("null".utf8)
        do throws(JSONError) {
            try index.read(line.span, limits: JSONLimits(depthMax: 4))
        } catch {
            throw Refusal(message: "the line is not a JSON object of facts: \(error)")
        }
        guard let root = index.root else { throw Refusal(message: "the line is empty") }
        if let id = index.member("id", of: root, in: bytes.span) {
            identifier = id.kind == .string ? quoted(id) : text(id)
        }
        unknownNames = namesOfNoFact(root)
        time = try moment(root)
        if let port = index.member("connect", of: root, in: bytes.span), port.kind != .null {
            try readConnection(port, root)
            return
        }
        facts.method = try string("method", root)
        facts.target = try string("target", root)
        facts.host = try string("host", root)
        facts.scheme = try string("scheme", root)
        facts.normalizedPath = try string("normalized_path", root)
        facts.clientAddress = try string("client_address", root)
        facts.requestID = try string("request_id", root)
        facts.clientCertificate = try string("client_certificate", root)
        facts.port = try port(root)
        (facts.authorization, facts.authorizationCount) = try list("authorization", root)
        (facts.dpop, facts.dpopCount) = try list("dpop", root)
        (facts.origin, facts.originCount) = try list("origin", root)
        (facts.cookie, facts.cookieCount) = try list("cookie", root)
        (facts.webSocketProtocol, facts.webSocketProtocolCount) = try list("sec_websocket_protocol", root)
        (facts.accessControlRequestMethod, facts.accessControlRequestMethodCount) = try list(
            "access_control_request_method", root)
        if !facts.scheme.isPresent { facts.scheme = append(Array("https".utf8)) }
        if !facts.port.isPresent {
            let isPlain = equalIgnoringCase(bytes.span.bytes(at: facts.scheme), "http")
            facts.port = append(Array((isPlain ? "80" : "443").utf8))
        }
    }

    private func namesOfNoFact(_ root: JSONValue) -> [String] {
        var found: [String] = []
        var item = index.child(after: nil, of: root)
        while let current = item {
            let name = bytes.span.bytes(at: index.nameRange(of: current))
            if !isFact(name) { found.append(String(lossy: name)) }
            item = index.child(after: current, of: root)
        }
        return found
    }

    /// One of `names`. By length first: lines are many.
    private func isFact(_ name: Span<UInt8>) -> Bool {
        switch name.count {
        case 2: equal(name, "id") || equal(name, "at")
        case 4: equal(name, "host") || equal(name, "port") || equal(name, "dpop")
        case 6:
            equal(name, "method") || equal(name, "target") || equal(name, "scheme") || equal(name, "origin")
                || equal(name, "cookie")
        case 7: equal(name, "connect")
        case 13: equal(name, "authorization")
        default: FactLine.names.contains { equal(name, $0) }
        }
    }

    private mutating func readConnection(_ port: JSONValue, _ root: JSONValue) throws(Refusal) {
        for name in ["method", "target", "host", "port", "authorization"] as [StaticString]
        where index.member(name, of: root, in: bytes.span) != nil {
            throw Refusal(message: "`connect` is a connection without HTTP, and the line has `\(name)`")
        }
        guard port.kind == .number, let number = UInt16(String(decoding: text(port), as: UTF8.self)) else {
            throw Refusal(message: "`connect` must be a port")
        }
        var der: [UInt8] = []
        if let value = index.member("certificate", of: root, in: bytes.span), value.kind != .null {
            guard value.kind == .string, let text = value.string(in: bytes.span), let found = certificateDER(text)
            else { throw Refusal(message: "`certificate` must be the PEM text of a certificate") }
            der = found
        }
        bytes = der
        connection = ConnectionFacts(port: number, certificateBytes: der.count)
    }

    /// Unix seconds, or RFC 3339 with a zone.
    private func moment(_ root: JSONValue) throws(Refusal) -> Int64? {
        guard let value = index.member("at", of: root, in: bytes.span), value.kind != .null else { return nil }
        let found: Int64? =
            switch value.kind {
            case .number: Int64(String(decoding: text(value), as: UTF8.self))
            case .string:
                value.string(in: bytes.span).flatMap { unixSecondsOfTimestamp(String(decoding: $0, as: UTF8.self)) }
            default: nil
            }
        guard let found else {
            throw Refusal(message: "`at` must be Unix seconds, or a time as `2026-12-01T00:00:00Z`")
        }
        return found
    }

    private mutating func string(_ name: StaticString, _ root: JSONValue) throws(Refusal) -> ByteRange {
        guard let value = index.member(name, of: root, in: bytes.span), value.kind != .null else { return .absent }
        guard value.kind == .string else { throw Refusal(message: "`\(name)` must be a string") }
        return place(value)
    }

    private mutating func port(_ root: JSONValue) throws(Refusal) -> ByteRange {
        guard let value = index.member("port", of: root, in: bytes.span), value.kind != .null else {
            return .absent
        }
        switch value.kind {
        case .number: return value.range
        case .string: return place(value)
        default: throw Refusal(message: "`port` must be a number")
        }
    }

    /// A string, or an array of strings of which the first is taken and all are counted.
    private mutating func list(
        _ name: StaticString, _ root: JSONValue
    ) throws(Refusal) -> (ByteRange, UInt16) {
        guard let value = index.member(name, of: root, in: bytes.span), value.kind != .null else {
            return (.absent, 0)
        }
        if value.kind == .string { return (place(value), 1) }
        guard value.kind == .array else {
            throw Refusal(message: "`\(name)` must be a string or an array of strings")
        }
        var first = ByteRange.absent
        var count: UInt16 = 0
        var item = index.child(after: nil, of: value)
        while let current = item {
            guard current.kind == .string else { throw Refusal(message: "`\(name)` must hold strings only") }
            if count == 0 { first = place(current) }
            count = count == UInt16.max ? count : count + 1
            item = index.child(after: current, of: value)
        }
        return (first, count)
    }

    private mutating func place(_ value: JSONValue) -> ByteRange {
        guard value.hasEscapes, let plain = value.string(in: bytes.span) else { return value.range }
        return append(plain)
    }

    private mutating func append(_ text: [UInt8]) -> ByteRange {
        let start = bytes.count
        bytes.append(contentsOf: text)
        return ByteRange(start: start, count: text.count)
    }

    private func text(_ value: JSONValue) -> [UInt8] { [UInt8](copying: bytes.span.bytes(at: value.range)) }
    private func quoted(_ value: JSONValue) -> [UInt8] { [0x22] + text(value) + [0x22] }
}
