public import Decision
internal import Octets
internal import Tokens

/// One decision as `decide --record` and the audit trail write it: what was asked, what the token held that decisions
/// depend on, digests of the settings that it was verified by, and what came out. The token itself is never in it.
///
/// Example, one line:
/// `{"verdict":"deny","status":403,"reason":"insufficient_scope","service":"orders","route":"POST /orders","at":1764000000,
/// "request":{"method":"POST","scheme":"https","host":"api.example.com","port":443,"path":"/v1/orders"},
/// "settings":"<64 hex>","token_from":"header","credentials":["authorization"],
/// "token":{"issuer":"https://id.example.com","settings":"<64 hex>","subject":"alice","client":"web",
/// "scopes":["orders:read"],"audiences":["https://api.example.com"],"iat":1763999000,"exp":1764002600,
/// "claims":{"tenant":"a","team":null},"acr":"mfa","auth_time":1763999000,"proof":"dpop","proof_settings":"<64 hex>"}}`
///
/// Of a connection without HTTP there is `"connect":9443` in place of request and token.
public struct RecordedDecision: Sendable, Equatable {
    public struct Request: Sendable, Equatable {
        public var method = ""
        /// `http` or `https`.
        public var scheme = ""
        public var host = ""
        /// Of the listener; 0 where none that there can be was given, and the request was refused for it.
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
        /// Those of them that the token did not have as a string.
        public var absentClaims: [String] = []
        public var authenticationContext: String?
        /// Unix seconds.
        public var authenticatedAt: Int64?
        public var proof: TestToken.Proof?
        /// `VerificationSettings` of then: of the issuer, and of the proof. nil in older records.
        public var settings: String?
        public var proofSettings: String?
        /// nil in older records.
        public var times: TestToken.Times?
    }

    /// Unix seconds.
    public var at: Int64
    /// Empty for a connection.
    public var request: Request
    /// A connection without HTTP.
    public var isConnection = false
    /// nil when no token was found good.
    public var token: Token?
    public var reason: Reason
    /// What enforcement would have said where observe mode let the request pass.
    public var observedReason: Reason?
    /// `VerificationSettings` of then, of all issuers; nil in older records.
    public var settings: String?
    /// Where the service of then looked for the token; nil in older records and where no service was found.
    public var tokenSource: String?
    /// Places that held anything that may be a credential: `authorization`, `cookie`, `sec_websocket_protocol`; nil in
    /// older records.
    public var credentialPlaces: [String]?
    public var status: UInt16
    public var service: String
    public var route: String

    /// Whether the request passed.
    public var isAllowed: Bool { status == 200 }
    public var example: String { "\(request.method) \(request.scheme)://\(request.host)\(request.path)" }
    /// Whether it was made at a time that decisions can be made at again: up to the year 9999.
    public var hasUsableTime: Bool { (0...RecordedDecision.timeMax).contains(at) }

    /// Sums with leeways and lifetimes stay far within 64 bits.
    static let timeMax: Int64 = 253_402_300_799

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
        let connection = try number("connect", root)
        let request = member("request", root)
        guard connection != nil || request?.kind == .object else {
            throw refusal("it has no `request`; write records with `scopecheck decide --record`")
        }
        guard let at = try number("at", root, within: .min ... .max) else {
            throw refusal("`at` is missing, the time of the decision")
        }
        let name = try string("reason", root) ?? ""
        guard let reason = reason(named: name) else { throw refusal("unknown reason \(quoted(name))") }
        guard let status = try number("status", root), let code = UInt16(exactly: status), code == reason.status else {
            throw refusal("`status` does not fit the reason \(quoted(name))")
        }
        var decision = RecordedDecision(
            at: at, request: RecordedDecision.Request(), reason: reason, status: code,
            service: try string("service", root) ?? "", route: try string("route", root) ?? "")
        guard let request, connection == nil else {
            decision.isConnection = true
            return decision
        }
        decision.request = try self.request(request, isRefused: reason.isOfFactsAlone)
        if let value = member("token", root), value.kind != .null { decision.token = try token(value) }
        if let name = try string("would_be", root) {
            guard let found = reasonsByName[name] else { throw refusal("unknown `would_be` \(quoted(name))") }
            decision.observedReason = found
        }
        decision.settings = try string("settings", root)
        decision.tokenSource = try string("token_from", root)
        if member("credentials", root) != nil { decision.credentialPlaces = try strings("credentials", root) }
        return decision
    }

    /// - Parameter isRefused: it lacks something that a decision needs, or has it in another form.
    private func request(
        _ value: JSONValue, isRefused: Bool
    ) throws(RecordedDecision.Refusal) -> RecordedDecision.Request {
        var request = RecordedDecision.Request()
        let number = try number("port", value, within: 0 ... .max)
        if isRefused {
            request.method = try string("method", value) ?? ""
            request.scheme = try string("scheme", value) ?? ""
            request.host = try string("host", value) ?? ""
            request.path = try string("path", value) ?? ""
            request.port = number.flatMap { UInt16(exactly: $0) } ?? 0
            return request
        }
        request.method = try needed("method", value)
        request.scheme = try needed("scheme", value).lowercased()
        request.host = try needed("host", value)
        request.path = try needed("path", value)
        guard let number, let port = UInt16(exactly: number), port > 0 else {
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
        token.authenticatedAt = try number("auth_time", value, within: RecordedDecisionReader.datesOfTokens)
        token.settings = try string("settings", value)
        token.proofSettings = try string("proof_settings", value)
        if let end = try number("exp", value, within: RecordedDecisionReader.datesOfTokens) {
            token.times = TestToken.Times(
                issuedAt: try number("iat", value, within: RecordedDecisionReader.datesOfTokens),
                notBefore: try number("nbf", value, within: RecordedDecisionReader.datesOfTokens), expiresAt: end)
        }
        if let name = try string("proof", value) {
            guard let proof = TestToken.Proof(rawValue: name) else { throw refusal("unknown `proof` \(quoted(name))") }
            token.proof = proof
        }
        guard let claims = member("claims", value), claims.kind != .null else { return token }
        guard claims.kind == .object else { throw refusal("`claims` of the token is no object") }
        var item = index.child(after: nil, of: claims)
        while let current = item {
            let name = String(lossy: line.span.bytes(at: index.nameRange(of: current)))
            if current.kind == .null {
                token.absentClaims.append(name)
            } else if current.kind == .string, let text = current.string(in: line.span) {
                token.claims.append(TestToken.Claim(name: name, value: String(decoding: text, as: UTF8.self)))
            } else {
                throw refusal("a claim of the token is no string")
            }
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

    private func number(
        _ name: StaticString, _ object: JSONValue, within bounds: ClosedRange<Int64> = 0...RecordedDecision.timeMax
    ) throws(RecordedDecision.Refusal) -> Int64? {
        guard let value = member(name, object), value.kind != .null else { return nil }
        guard value.kind == .number, let number = Int64(String(lossy: line.span.bytes(at: value.range))),
            bounds.contains(number)
        else { throw refusal("`\(name)` is no whole number within bounds") }
        return number
    }

    /// Verified tokens have no other NumericDates.
    private static let datesOfTokens: ClosedRange<Int64> = 0...(1 << 53)

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

extension Reason {
    /// Whether the form of the request itself was refused, which no policy has a say in.
    var isOfFactsAlone: Bool {
        switch self {
        case .missingFact, .conflictingFacts, .pathMismatch, .requestTooLarge: true
        default: false
        }
    }
}
