import Octets
import Signatures
import Testing

@testable import Tokens

let accessToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"

/// What a proof is checked against; the defaults are those that `proof()` was made for.
struct Asked: Sendable {
    var method = "GET"
    var isSecure = true
    var host = "api.example.com"
    var port: UInt16 = 443
    var path = "/v1/orders"
    var token = accessToken
    var boundKey: Digest?
    /// Nil demands none.
    var nonces: [String]?
    var algorithms = SignatureAlgorithm.allCases
    var ageSecondsMax: Int64 = 60
    var aheadSecondsMax: Int64 = 5
    var now = TokensTests.now

    func with(_ change: (inout Asked) -> Void) -> Asked {
        var changed = self
        change(&changed)
        return changed
    }
}

func checkProof(
    _ proof: [UInt8], _ asked: Asked = Asked(), verifier: ProofVerifier = ProofVerifier()
) -> ProofResult {
    let (method, host, path) = (bytes(asked.method), bytes(asked.host), bytes(asked.path))
    let request = ProofRequest(
        method: method.span, isSecure: asked.isSecure, host: host.span, port: asked.port, path: path.span)
    let rules = ProofRules(
        algorithms: asked.algorithms, ageSecondsMax: asked.ageSecondsMax,
        aheadSecondsMax: asked.aheadSecondsMax)
    let token = bytes(asked.token)
    let digest = sha256(token.span)
    guard let nonces = asked.nonces else {
        return verifier.verify(
            proof.span, for: request, tokenDigest: digest, boundKey: asked.boundKey, nonce: NonceRule(),
            rules: rules, now: asked.now)
    }
    let current = bytes(nonces.first ?? "")
    guard nonces.count == 2 else {
        return verifier.verify(
            proof.span, for: request, tokenDigest: digest, boundKey: asked.boundKey,
            nonce: NonceRule(required: current.span), rules: rules, now: asked.now)
    }
    let previous = bytes(nonces[1])
    return verifier.verify(
        proof.span, for: request, tokenDigest: digest, boundKey: asked.boundKey,
        nonce: NonceRule(required: current.span, or: previous.span), rules: rules, now: asked.now)
}

/// `proved`, or the refusal's name without its `proof_`.
func outcome(_ result: ProofResult) -> String {
    switch result {
    case .proved: "proved"
    case .refused(let refusal): String("\(refusal.name)".dropFirst("proof_".count))
    }
}

func proofOutcome(
    _ proof: [UInt8], _ asked: Asked = Asked(), verifier: ProofVerifier = ProofVerifier()
) -> String {
    outcome(checkProof(proof, asked, verifier: verifier))
}

func proved(
    _ proof: [UInt8], _ asked: Asked = Asked(), verifier: ProofVerifier = ProofVerifier()
) throws -> VerifiedProof {
    let result = checkProof(proof, asked, verifier: verifier)
    guard case .proved(let found) = result else {
        throw Mismatch("expected a proof, got \(outcome(result))")
    }
    return found
}

func tokenHash(_ token: String = accessToken) -> String {
    let input = bytes(token)
    return encoded(sha256(input.span).bytes)
}

/// The claims of a good proof with members replaced, added or, by nil, left out. Values are JSON text.
func proofClaims(_ changes: KeyValuePairs<String, String?> = [:]) -> String {
    var members: [(String, String)] = [
        ("jti", "\"p-1\""), ("htm", "\"GET\""), ("htu", "\"https://api.example.com/v1/orders\""),
        ("iat", "\(now)"), ("ath", "\"\(tokenHash())\""),
    ]
    for (name, value) in changes {
        members.removeAll { $0.0 == name }
        if let value { members.append((name, value)) }
    }
    return "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
}

/// The bare public JWK of a key with members changed, as `proofClaims`.
func proofJWK(_ key: PrivateJWK = TestKeys.es256, _ changes: [String: String?] = [:]) throws -> String {
    try key.jwk(["kid": nil, "alg": nil, "use": nil].merging(changes) { $1 })
}

func proofHeader(
    _ key: PrivateJWK = TestKeys.es256, _ changes: KeyValuePairs<String, String?> = [:]
) throws -> String {
    var members: [(String, String)] = [
        ("typ", "\"dpop+jwt\""), ("alg", "\"\(key.algorithm.name)\""), ("jwk", try proofJWK(key)),
    ]
    for (name, value) in changes {
        members.removeAll { $0.0 == name }
        if let value { members.append((name, value)) }
    }
    return "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
}

/// A well-signed proof.
func proof(
    _ claimsText: String = proofClaims(), header headerText: String? = nil,
    signedBy key: PrivateJWK = TestKeys.es256
) throws -> [UInt8] {
    try token(bytes(claimsText), header: bytes(try headerText ?? proofHeader(key)), signedBy: key)
}

func thumbprint(_ key: PrivateJWK) throws -> Digest {
    try #require(digest(JWKText.thumbprint(try key.key.components())))
}

/// Of the base64url of 32 bytes.
func digest(_ text: String) -> Digest? {
    guard let bytes = decoded(text) else { return nil }
    return Digest(bytes.span)
}

/// One row: a proof, what it is checked against, and what must become of it.
struct ProofCase: Sendable, CustomTestStringConvertible {
    let what: String
    let proof: [UInt8]
    let expected: String
    var asked = Asked()
    var testDescription: String { what }
}

func proofRow(
    _ what: String, _ expected: String, _ asked: Asked = Asked(), _ make: () throws -> [UInt8]
) -> ProofCase {
    do {
        return ProofCase(what: what, proof: try make(), expected: expected, asked: asked)
    } catch {
        preconditionFailure("cannot make the proof \(what): \(error)")
    }
}

func proofHeaderRows(
    _ id: String, _ expected: String, _ changes: [KeyValuePairs<String, String?>],
    signedBy key: PrivateJWK = TestKeys.es256
) -> [ProofCase] {
    changes.map { change in
        proofRow("\(id) header \(change)", expected) {
            try proof(header: proofHeader(key, change), signedBy: key)
        }
    }
}

func proofKeyRows(
    _ id: String, _ expected: String, _ changes: [[String: String?]], signedBy key: PrivateJWK = TestKeys.es256
) -> [ProofCase] {
    changes.map { change in
        proofRow("\(id) jwk \(change)", expected) {
            try proof(header: proofHeader(key, ["jwk": proofJWK(key, change)]), signedBy: key)
        }
    }
}

func proofClaimRows(
    _ id: String, _ expected: String, _ changes: [KeyValuePairs<String, String?>], _ asked: Asked = Asked()
) -> [ProofCase] {
    changes.map { change in
        proofRow("\(id) claims \(change)", expected, asked) { try proof(proofClaims(change)) }
    }
}
