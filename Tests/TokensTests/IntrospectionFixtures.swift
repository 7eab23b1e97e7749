import Octets
import Signatures

@testable import Tokens

/// A reply in which members can be replaced, added or, by nil, left out. Values are JSON text.
func reply(_ changes: KeyValuePairs<String, String?> = [:]) -> String {
    var members: [(String, String)] = [
        ("active", "true"), ("iss", "\"\(issuerName)\""), ("sub", "\"user-1\""), ("client_id", "\"app-1\""),
        ("aud", "\"\(audienceName)\""), ("iat", "1699999990"), ("exp", "1700000300"), ("token_type", "\"Bearer\""),
        ("scope", "\"orders:read orders:write\""),
    ]
    for (name, value) in changes {
        members.removeAll { $0.0 == name }
        if let value { members.append((name, value)) }
    }
    return "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
}

let clientName = "scopecheck"

/// Settings of an issuer that is asked.
func asked(_ change: (inout IssuerSettings) -> Void = { _ in }) -> IssuerSettings {
    var result = settings()
    result.introspection = .opaque
    result.introspectionRules.clientID = bytes(clientName)
    change(&result)
    return result
}

let opaqueToken = sha256(bytes("2YotnFZFEjr1zCsicMWpAA").span)

func read(
    _ reply: [UInt8], isJWT: Bool = false, _ issuers: IssuerSnapshot = snapshot(asked()),
    local: VerifiedToken? = nil, now: Int64 = now
) -> IntrospectionResult {
    IntrospectionReader().read(
        reply.span, isJWT: isJWT, token: local?.digest ?? opaqueToken, issuers: issuers, issuerIndex: 0, local: local,
        now: now)
}

/// `active`, `inactive`, `unreadable`, or a refusal's name.
func word(_ result: IntrospectionResult) -> String {
    switch result {
    case .active: "active"
    case .inactive: "inactive"
    case .refused(let refusal): "\(refusal.name)"
    case .unreadable: "unreadable"
    }
}

func word(
    _ reply: String, _ issuers: IssuerSnapshot = snapshot(asked()), local: VerifiedToken? = nil, now: Int64 = now
) -> String {
    word(read(bytes(reply), issuers, local: local, now: now))
}

func active(
    _ reply: String, _ issuers: IssuerSnapshot = snapshot(asked()), local: VerifiedToken? = nil, now: Int64 = now
) throws -> VerifiedToken {
    let result = read(bytes(reply), issuers, local: local, now: now)
    guard case .active(let token) = result else { throw Mismatch("expected an active token, got \(result)") }
    return token
}

/// A signed reply (RFC 9701 §5) in whose envelope members can be changed.
func signedReply(
    _ inner: String = reply(), _ changes: KeyValuePairs<String, String?> = [:],
    header head: KeyValuePairs<String, String?> = [:], signedBy key: PrivateJWK = TestKeys.es256
) throws -> [UInt8] {
    var members: [(String, String)] = [
        ("iss", "\"\(issuerName)\""), ("aud", "\"\(clientName)\""), ("iat", "\(now)"), ("token_introspection", inner),
    ]
    for (name, value) in changes {
        members.removeAll { $0.0 == name }
        if let value { members.append((name, value)) }
    }
    var parts: [(String, String)] = [
        ("alg", "\"\(key.algorithm.name)\""), ("typ", "\"token-introspection+jwt\""), ("kid", "\"\(key.keyID)\""),
    ]
    for (name, value) in head {
        parts.removeAll { $0.0 == name }
        if let value { parts.append((name, value)) }
    }
    func object(_ members: [(String, String)]) -> [UInt8] {
        bytes("{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}")
    }
    let (headerText, claimsText) = (object(parts), object(members))
    return try TokenMint.sign(
        header: headerText.span, payload: claimsText.span, key: key.key, algorithm: key.algorithm)
}
