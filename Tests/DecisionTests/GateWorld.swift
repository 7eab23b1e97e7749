@testable import Decision
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

/// Issuers with status lists (0), introspection of opaque tokens (1) and of all (2), and services for them.
func gateModel() -> PolicyModel {
    var model = sampleModel()
    model.issuers[0].statusLists = ["https://status.example.com/"]
    var asked = IntrospectionModel(
        endpoint: "https://other.example.com/introspect", clientID: "scopecheck", authentication: .basic)
    asked.secretFile = "secret"
    asked.timeoutMilliseconds = 750
    model.issuers[1].introspection = asked
    asked.use = .all
    model.issuers[2].introspection = asked
    model.details = [
        DetailModel(type: "payment", actions: ["initiate"]), DetailModel(type: "report"),
    ]
    func detailed(_ match: String, _ details: [UInt16]) -> RouteModel {
        var made = route(match, all: [Scope.read])
        made.details = details
        return made
    }
    let routes = [
        route("GET /a", all: [Scope.read]),
        route("GET /b", all: [Scope.read], any: [Scope.admin, Scope.write]),
        route("GET /open", .public),
        route("GET /watched", all: [Scope.support], observeUntil: observeEnd),
        route("GET /dpop", all: [Scope.read]),
        detailed("GET /paid", [0]), detailed("GET /reported", [1]), detailed("GET /both", [0, 1]),
    ]
    func service(_ name: String, _ issuers: [UInt16], _ change: (inout ServiceModel) -> Void = { _ in }) {
        var made = ServiceModel(name: name, hosts: ["\(name).example.com"], issuers: issuers, routes: routes)
        change(&made)
        model.services.append(made)
    }
    service("plain", [0])
    service("opaque", [0, 1])
    service("asked", [2])
    service("two", [1, 2])
    service("txn", [0, 1]) { $0.hasTransactionToken = true }
    service("txnaud", [0]) {
        $0.hasTransactionToken = true
        $0.audience = "https://api.example.com"
    }
    service("closed", [0]) { $0.forwardsToken = false }
    service("described", [0]) { $0.resource = "https://described.example.com/v1" }
    return model
}

func gate(_ service: String, _ path: String = "/a") -> Request { Request("GET", path, host: "\(service).example.com") }

func digest(_ plain: [UInt8]) -> Digest { sha256(plain.span) }

func listKey(_ uri: String, issuer: String = "https://id.example.com") -> Digest {
    let (uri, issuer) = (bytes(uri), bytes(issuer))
    return StatusReference.listKey(uri: uri.span, issuer: issuer.span)
}

struct Unreadable: Error { let text: String }

extension World {
    /// What an introspection reply of an issuer amounts to.
    func read(
        _ reply: String, of token: [UInt8], issuer: Int, local: VerifiedToken? = nil, now: Int64 = World.now
    ) -> IntrospectionResult {
        let reply = bytes(reply)
        return IntrospectionReader().read(
            reply.span, isJWT: false, token: sha256(token.span), issuers: issuers, issuerIndex: issuer, local: local,
            now: now)
    }

    /// As the daemon does: asks, reads, keeps.
    func answer(
        _ question: IntrospectionQuestion, _ reply: String, in records: IntrospectionRecords, now: Int64 = World.now
    ) throws {
        var local: VerifiedToken?
        let verifier = TokenVerifier(takesBoundTokens: true)
        if case .verified(let token) = verifier.verify(
            question.token.span, digest: question.digest, issuers: issuers, now: now)
        {
            local = token
        }
        switch read(reply, of: question.token, issuer: question.issuerIndex, local: local, now: now) {
        case .active(let token): records.store(.active(token), for: question, until: token.freshUntil)
        case .inactive: records.store(.inactive, for: question, until: now + 5)
        case .refused(let refusal): records.store(.refused(refusal), for: question, until: now + 5)
        case .unreadable(let text): throw Unreadable(text: text)
        }
    }

    /// A status list of an issuer, at one byte each.
    func statusList(
        _ uri: String, _ statuses: [UInt8], issuer: Int = 0, expiresAt: Int64 = World.now + 600
    ) throws -> StatusList {
        var list = JSONObjectWriter()
        list.add("bits", number: 8)
        list.add("lst", string: text(Base64URL.encode(zlibStored(statuses).span)))
        var claims = JSONObjectWriter()
        claims.add("sub", string: uri)
        claims.add("iat", number: World.now)
        claims.add("exp", number: expiresAt)
        claims.add("status_list", json: list.text())
        let body = claims.text()
        let token = try TokenMint.token(
            claims: body.span, key: keys[issuer], algorithm: World.algorithms[issuer], keyID: "a",
            type: "statuslist+jwt")
        let place = bytes(uri)
        return try StatusList.read(token.span, uri: place.span, issuer: issuers.issuers[issuer], now: World.now)
    }
}

extension Verdict {
    /// What the decision waits for; nil when it was given.
    var introspection: IntrospectionQuestion? {
        if case .introspectionOwed(let question) = outcome { question } else { nil }
    }

    var statusList: StatusListQuestion? {
        if case .statusListOwed(let question) = outcome { question } else { nil }
    }
}

extension DecisionLimits {
    static let waiting = DecisionLimits(mayVerify: true, mayWaitForKey: true)
    static let quick = DecisionLimits(mayVerify: false, mayWaitForKey: true)
}

/// zlib (RFC 1950) with one stored block.
private func zlibStored(_ plain: [UInt8]) -> [UInt8] {
    var result: [UInt8] = [0x78, 0x01, 0x01]
    let count = UInt16(plain.count)
    result.append(littleEndian16: count)
    result.append(littleEndian16: ~count)
    result += plain
    var low: UInt32 = 1
    var high: UInt32 = 0
    for byte in plain {
        low = (low + UInt32(byte)) % 65_521
        high = (high + low) % 65_521
    }
    for shift in [UInt32(24), 16, 8, 0] { result.append(UInt8(truncatingIfNeeded: (high << 16 | low) >> shift)) }
    return result
}
