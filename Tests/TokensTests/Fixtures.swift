import Foundation
import Octets
import Signatures
import Testing

@testable import Tokens

/// Unix seconds at which every test takes place.
let now: Int64 = 1_700_000_000
let issuerName = "https://id.example.com"
let otherIssuerName = "https://other.example.com"
let audienceName = "https://api.example.com"

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
func text(_ span: Span<UInt8>) -> String { text([UInt8](copying: span)) }
func encoded(_ bytes: [UInt8]) -> String { text(Base64URL.encode(bytes.span)) }
func encoded(_ text: String) -> String { encoded(bytes(text)) }

/// Strict base64url, for expectations, which cannot take a span.
func decoded(_ text: String) -> [UInt8]? {
    let input = bytes(text)
    return Base64URL.decode(input.span)
}

func keySet(_ document: [UInt8], _ algorithms: [SignatureAlgorithm] = SignatureAlgorithm.allCases) throws
    -> KeySet
{
    try KeySet.parse(jwks: document.span, algorithms: algorithms)
}

/// Keys made once for the whole run.
enum TestKeys {
    static let es256 = make(.es256, "e1")
    static let es384 = make(.es384, "e3")
    static let rs256 = make(.rs256, "r1")
    static let ed25519 = make(.ed25519, "o1")
    /// The attacker's.
    static let foreignES256 = make(.es256, "e1")
    static let foreignRS256 = make(.rs256, "r1")

    private static func make(_ algorithm: SignatureAlgorithm, _ keyID: String) -> PrivateJWK {
        do {
            return try PrivateJWK(key: PrivateKey.generate(algorithm), algorithm: algorithm, keyID: keyID)
        } catch {
            preconditionFailure("cannot make a test key: \(error)")
        }
    }
}

extension PrivateJWK {
    /// The public JWK with members changed: a nil value leaves the member out.
    func jwk(_ changes: [String: String?] = [:]) throws -> String {
        var members = try object(text(try publicText()))
        for (name, value) in changes { members[name] = value }
        return "{" + members.map { name, value in "\"\(name)\":\(value)" }.sorted().joined(separator: ",")
            + "}"
    }

    var verificationKey: VerificationKey {
        VerificationKey(keyID: bytes(keyID), algorithm: algorithm, key: key.publicKey)
    }
}

/// A flat JSON object of strings as name → JSON text.
private func object(_ json: String) throws -> [String: String] {
    let read = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: String]
    return (read ?? [:]).mapValues { "\"\($0)\"" }
}

func jwks(_ keys: String...) -> [UInt8] { bytes("{\"keys\":[" + keys.joined(separator: ",") + "]}") }

/// An index with the text that it has read; expectations take neither.
final class ReadText {
    private var index = JSONIndex()
    private let stored: [UInt8]

    init(_ text: String, _ limits: JSONLimits = .claims) throws(JSONError) {
        let input = bytes(text)
        stored = input
        try index.read(input.span, limits: limits, topLevel: .any)
    }

    var root: JSONValue? { index.root }
    func child(after value: JSONValue?, of list: JSONValue) -> JSONValue? {
        index.child(after: value, of: list)
    }
    func childCount(of list: JSONValue) -> Int { index.childCount(of: list) }
    func raw(_ value: JSONValue) -> String { text(value.range) }
    func name(_ value: JSONValue) -> String { text(index.nameRange(of: value)) }

    func member(_ name: String, of value: JSONValue) -> JSONValue? {
        let (input, name) = (stored, bytes(name))
        return index.member(name.span, of: value, in: input.span)
    }

    func scopeMember(of value: JSONValue) -> JSONValue? {
        let input = stored
        return index.member("scope", of: value, in: input.span)
    }

    func string(_ value: JSONValue) -> String? {
        let input = stored
        return value.string(in: input.span).map { String(decoding: $0, as: UTF8.self) }
    }

    func equals(_ value: JSONValue, _ plain: String) -> Bool {
        let (input, plain) = (stored, bytes(plain))
        return isString(value, in: input.span, equalTo: plain.span)
    }

    func written(_ value: JSONValue) -> String {
        let input = stored
        var writer = ByteWriter(capacity: 64)
        writer.append(string: value, in: input.span)
        return String(decoding: [UInt8](copying: writer.bytes), as: UTF8.self)
    }

    private func text(_ range: ByteRange) -> String {
        let input = stored
        return String(decoding: [UInt8](copying: input.span.bytes(at: range)), as: UTF8.self)
    }
}

/// A claims set in which members can be replaced, added or, by nil, left out. Values are JSON text.
func claims(_ changes: KeyValuePairs<String, String?> = [:]) -> String {
    var members: [(String, String)] = [
        ("iss", "\"\(issuerName)\""), ("sub", "\"user-1\""), ("client_id", "\"app-1\""),
        ("aud", "\"\(audienceName)\""), ("iat", "1699999990"), ("exp", "1700000300"), ("jti", "\"j-1\""),
        ("scope", "\"orders:read orders:write\""),
    ]
    for (name, value) in changes {
        members.removeAll { $0.0 == name }
        if let value { members.append((name, value)) }
    }
    return "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
}

func header(_ key: PrivateJWK, _ changes: KeyValuePairs<String, String?> = [:]) -> String {
    var members: [(String, String)] = [
        ("alg", "\"\(key.algorithm.name)\""), ("typ", "\"at+jwt\""), ("kid", "\"\(key.keyID)\""),
    ]
    for (name, value) in changes {
        members.removeAll { $0.0 == name }
        if let value { members.append((name, value)) }
    }
    return "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
}

/// A compact JWS whose texts need not be JSON.
func token(
    _ claimsText: [UInt8], header headerText: [UInt8], signedBy key: PrivateJWK = TestKeys.es256
) throws -> [UInt8] {
    try TokenMint.sign(
        header: headerText.span, payload: claimsText.span, key: key.key, algorithm: key.algorithm)
}

func token(
    _ claimsText: String = claims(), header headerText: String? = nil,
    signedBy key: PrivateJWK = TestKeys.es256
) throws -> [UInt8] {
    try token(bytes(claimsText), header: bytes(headerText ?? header(key)), signedBy: key)
}

func settings(
    _ issuer: String = issuerName, profile: TokenProfile = .rfc9068,
    algorithms: [SignatureAlgorithm] = [.es256, .rs256, .ed25519], leewaySeconds: Int64 = 0,
    scopeClaim: String = "scope", boundClaims: [String] = []
) -> IssuerSettings {
    IssuerSettings(
        issuer: bytes(issuer), audiences: [bytes("https://second.example.com"), bytes(audienceName)],
        algorithms: algorithms, profile: profile, scopeClaim: bytes(scopeClaim), leewaySeconds: leewaySeconds,
        boundClaims: boundClaims.map(bytes))
}

let usualKeys = KeySet(
    keys: [TestKeys.es256, TestKeys.rs256, TestKeys.ed25519].map(\.verificationKey), fetchedAt: now)

/// The issuer of most tests, and a second one whose key has the same `kid`.
func snapshot(_ first: IssuerSettings = settings(), keys: KeySet = usualKeys) -> IssuerSnapshot {
    IssuerSnapshot(
        issuers: [
            IssuerKeys(settings: first, keys: keys),
            IssuerKeys(
                settings: settings(otherIssuerName),
                keys: KeySet(keys: [TestKeys.foreignES256.verificationKey], fetchedAt: now)),
        ], generation: 7)
}

func check(
    _ token: [UInt8], _ issuers: IssuerSnapshot = snapshot(), verifier: TokenVerifier = TokenVerifier(),
    now: Int64 = now
) -> TokenResult {
    verifier.verify(token.span, digest: sha256(token.span), issuers: issuers, now: now)
}

/// The result as one word: `verified`, a refusal's name, or the name of the case with the issuer's index.
func outcome(_ result: TokenResult) -> String {
    switch result {
    case .verified: "verified"
    case .refused(let refusal): "\(refusal.name)"
    case .unknownKey(let index): "unknownKey \(index)"
    case .keysUnavailable(let index): "keysUnavailable \(index)"
    case .keysStale(let index): "keysStale \(index)"
    }
}

func outcome(
    _ token: [UInt8], _ issuers: IssuerSnapshot = snapshot(), verifier: TokenVerifier = TokenVerifier(),
    now: Int64 = now
) -> String {
    outcome(check(token, issuers, verifier: verifier, now: now))
}

func verified(
    _ token: [UInt8], _ issuers: IssuerSnapshot = snapshot(), verifier: TokenVerifier = TokenVerifier()
) throws -> VerifiedToken {
    let result = check(token, issuers, verifier: verifier)
    guard case .verified(let found) = result else {
        throw Mismatch("expected a verified token, got \(outcome(result))")
    }
    return found
}

/// What a verified token holds, copied. (A span of what a throwing call returns, inside an expectation,
/// crashes the compiler of Swift 6.3.1.)
struct Kept {
    let subject, client, scopes, keyID: String
    let audiences: [String]
    let issuerIndex: Int
    private let token: VerifiedToken

    init(_ token: VerifiedToken) {
        subject = text(token.subject)
        client = text(token.client)
        scopes = text(token.scopeText)
        keyID = text(token.keyID)
        var found: [String] = []
        token.forEachAudience { span in
            found.append(text(span))
            return true
        }
        audiences = found
        issuerIndex = token.issuerIndex
        self.token = token
    }

    func hasAudience(_ audience: String) -> Bool {
        let name = bytes(audience)
        return token.hasAudience(name.span)
    }

    func bound(_ index: Int) -> String? {
        guard let claim = token.boundClaim(index) else { return nil }
        return text(claim)
    }
}

func kept(
    _ token: [UInt8], _ issuers: IssuerSnapshot = snapshot(), verifier: TokenVerifier = TokenVerifier()
) throws -> Kept {
    let found = try verified(token, issuers, verifier: verifier)
    return Kept(found)
}

struct Mismatch: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Vectors written by others stand beside the package, or where `SCOPECHECK_VECTORS` says.
enum Vectors {
    static let root: URL = {
        if let path = ProcessInfo.processInfo.environment["SCOPECHECK_VECTORS"] {
            return URL(fileURLWithPath: path)
        }
        // Tests/TokensTests/Fixtures.swift → the package → its parent.
        var package = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { package.deleteLastPathComponent() }
        return package.deletingLastPathComponent().appendingPathComponent("shared/vectors")
    }()

    /// Files of a folder, sorted; empty where the vectors are not there, which is said once with the count.
    static func files(_ folder: String, count: Int) -> [URL] {
        let url = root.appendingPathComponent(folder)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        if names.isEmpty { print("SKIPPED \(count) cases: no vectors in \(folder)") }
        return names.filter { $0.hasSuffix(".json") }.sorted().map { url.appendingPathComponent($0) }
    }
}
