public import Decision
internal import Octets
internal import Tokens

/// One decision as `decide --record` and the audit trail write it: what was asked, what the token held that decisions
/// depend on, and what came out. The token itself is never in it.
///
/// Example, one line:
/// `{"verdict":"deny","status":403,"reason":"insufficient_scope","service":"orders","route":"POST /orders","at":1764000000,
/// "request":{"method":"POST","scheme":"https","host":"api.example.com","port":443,"path":"/v1/orders"},
/// "token":{"issuer":"https://id.example.com","subject":"alice","client":"web","scopes":["orders:read"],
/// "audiences":["https://api.example.com"],"claims":{"tenant":"a"},"acr":"mfa","auth_time":1763999000,"proof":"dpop"}}`
public struct RecordedDecision: Sendable, Equatable {
    public struct Request: Sendable, Equatable {
        public var method = ""
        /// `http` or `https`.
        public var scheme = ""
        public var host = ""
        /// Of the listener.
        public var port: UInt16 = 0
        /// The target without its query.
        public var path = ""
        public var origin: String?
        public var accessControlRequestMethod: String?
    }

    public struct Token: Sendable, Equatable {
        public var issuer = ""
        public var subject = ""
        /// Empty when the token names none.
        public var client = ""
        public var scopes: [String] = []
        public var audiences: [String] = []
        /// The claims that the policy of then bound to paths; others were not kept.
        public var claims: [TestToken.Claim] = []
        public var authenticationContext: String?
        /// Unix seconds.
        public var authenticatedAt: Int64?
        public var proof: TestToken.Proof?
    }

    /// Unix seconds.
    public var at: Int64
    public var request: Request
    /// nil when no token was found good.
    public var token: Token?
    public var reason: Reason
    public var status: UInt16
    public var service: String
    public var route: String

    /// Whether the request passed.
    public var isAllowed: Bool { status == 200 }
    public var example: String { "\(request.method) \(request.scheme)://\(request.host)\(request.path)" }

    /// A line is at most this long; so is what `decide` writes.
    public static let lineBytesMax = 256 << 10

    /// Why a line is no recorded decision.
    public struct Refusal: Error, Equatable, CustomStringConvertible {
        public var description: String
        public init(description: String) { self.description = description }
    }
}

/// Reads recorded decisions, one line after the other, with storage that is used again.
public struct RecordedDecisionReader: ~Copyable {
    private var index = JSONIndex()
    private var line: [UInt8] = []

    public init() {}

    /// - Parameter text: one JSON object, UTF-8.
    public mutating func read(_ text: [UInt8]) throws(RecordedDecision.Refusal) -> RecordedDecision {
        line = text
        do throws(JSONError) {
            try index.read(text.span, limits: JSONLimits(depthMax: 6))
        } catch {
            throw refusal("no JSON object: \(error)")
        }
        guard let root = index.root else { throw refusal("the line is empty") }
        guard let request = member("request", root), request.kind == .object else {
            throw refusal("it has no `request`; write records with `scopecheck decide --record`")
        }
        guard let at = try number("at", root) else { throw refusal("`at` is missing, the time of the decision") }
        let name = try string("reason", root) ?? ""
        guard let reason = reason(named: name) else { throw refusal("unknown reason \(quoted(name))") }
        guard let status = try number("status", root), let code = UInt16(exactly: status), code == reason.status else {
            throw refusal("`status` does not fit the reason \(quoted(name))")
        }
        var token: RecordedDecision.Token?
        if let value = member("token", root), value.kind != .null { token = try self.token(value) }
        return RecordedDecision(
            at: at, request: try self.request(request), token: token, reason: reason, status: code,
            service: try string("service", root) ?? "", route: try string("route", root) ?? "")
    }

    private func request(_ value: JSONValue) throws(RecordedDecision.Refusal) -> RecordedDecision.Request {
        var request = RecordedDecision.Request()
        request.method = try needed("method", value)
        request.scheme = try needed("scheme", value)
        request.host = try needed("host", value)
        request.path = try needed("path", value)
        guard let number = try number("port", value), let port = UInt16(exactly: number), port > 0 else {
            throw refusal("`port` of the request is no port")
        }
        guard request.scheme == "https" || request.scheme == "http" else {
            throw refusal("`scheme` of the request is neither https nor http")
        }
        request.port = port
        request.origin = try string("origin", value)
        request.accessControlRequestMethod = try string("access_control_request_method", value)
        return request
    }

    private func token(_ value: JSONValue) throws(RecordedDecision.Refusal) -> RecordedDecision.Token {
        guard value.kind == .object else { throw refusal("`token` is no object") }
        var token = RecordedDecision.Token()
        token.issuer = try needed("issuer", value)
        token.subject = try string("subject", value) ?? ""
        token.client = try string("client", value) ?? ""
        token.scopes = try strings("scopes", value)
        token.audiences = try strings("audiences", value)
        token.authenticationContext = try string("acr", value)
        token.authenticatedAt = try number("auth_time", value)
        if let name = try string("proof", value) {
            guard let proof = TestToken.Proof(rawValue: name) else { throw refusal("unknown `proof` \(quoted(name))") }
            token.proof = proof
        }
        guard let claims = member("claims", value), claims.kind != .null else { return token }
        guard claims.kind == .object else { throw refusal("`claims` of the token is no object") }
        var item = index.child(after: nil, of: claims)
        while let current = item {
            guard current.kind == .string, let text = current.string(in: line.span) else {
                throw refusal("a claim of the token is no string")
            }
            let name = String(lossy: line.span.bytes(at: index.nameRange(of: current)))
            token.claims.append(TestToken.Claim(name: name, value: String(decoding: text, as: UTF8.self)))
            item = index.child(after: current, of: claims)
        }
        return token
    }

    // MARK: Members

    private func member(_ name: StaticString, _ object: JSONValue) -> JSONValue? {
        index.member(name, of: object, in: line.span)
    }

    private func string(_ name: StaticString, _ object: JSONValue) throws(RecordedDecision.Refusal) -> String? {
        guard let value = member(name, object), value.kind != .null else { return nil }
        guard value.kind == .string, let text = value.string(in: line.span) else {
            throw refusal("`\(name)` is no string")
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func needed(_ name: StaticString, _ object: JSONValue) throws(RecordedDecision.Refusal) -> String {
        guard let text = try string(name, object), !text.isEmpty else { throw refusal("`\(name)` is missing") }
        return text
    }

    private func number(_ name: StaticString, _ object: JSONValue) throws(RecordedDecision.Refusal) -> Int64? {
        guard let value = member(name, object), value.kind != .null else { return nil }
        guard value.kind == .number, let number = Int64(String(lossy: line.span.bytes(at: value.range))),
            number >= 0, number <= RecordedDecisionReader.timeMax
        else { throw refusal("`\(name)` is no whole number within bounds") }
        return number
    }

    /// The year 9999; sums with leeways and lifetimes stay far within 64 bits.
    private static let timeMax: Int64 = 253_402_300_799

    private func strings(_ name: StaticString, _ object: JSONValue) throws(RecordedDecision.Refusal) -> [String] {
        guard let value = member(name, object), value.kind != .null else { return [] }
        guard value.kind == .array else { throw refusal("`\(name)` is no list") }
        var result: [String] = []
        var item = index.child(after: nil, of: value)
        while let current = item {
            guard current.kind == .string, let text = current.string(in: line.span) else {
                throw refusal("`\(name)` holds something that is no string")
            }
            result.append(String(decoding: text, as: UTF8.self))
            item = index.child(after: current, of: value)
        }
        return result
    }

    private func refusal(_ text: String) -> RecordedDecision.Refusal { RecordedDecision.Refusal(description: text) }
}
