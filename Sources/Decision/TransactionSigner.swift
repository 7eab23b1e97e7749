public import Signatures
internal import Tokens

/// Makes the short-lived tokens that an allow carries for its backend (draft-ietf-oauth-transaction-tokens).
public final class TransactionSigner: Sendable {
    /// Changes with the key; a token signed before is signed again.
    public let keyID: String
    /// `iss`: how backends know this gateway.
    public let issuer: String
    /// Longest life, seconds.
    public let lifetimeSeconds: Int64

    let key: PrivateKey
    let algorithm: SignatureAlgorithm

    public init(
        key: PrivateKey, algorithm: SignatureAlgorithm, keyID: String, issuer: String, lifetimeSeconds: Int64
    ) {
        self.key = key
        self.algorithm = algorithm
        self.keyID = keyID
        self.issuer = issuer
        self.lifetimeSeconds = lifetimeSeconds
    }

    func isSame(as other: TransactionSigner) -> Bool {
        self === other
            || (keyID == other.keyID && issuer == other.issuer && lifetimeSeconds == other.lifetimeSeconds
                && algorithm == other.algorithm)
    }
}

/// What a transaction token says.
struct TransactionClaims {
    /// `iss` of the client's own token.
    var tokenIssuer: String
    /// Who may take it: the service.
    var audience: String
    /// Empty when the client's token has none; the same of `client`.
    var subject: String
    var client: String
    /// Those scopes that the route required and the client's token held, separated by spaces.
    var scopes: String
    /// Who acts for the subject; nil when nobody does.
    var actor: (subject: String, client: String)?
    /// Unix seconds.
    var issuedAt: Int64
    var expiresAt: Int64

    /// Example: `{"iss":"https://gateway.example.com","aud":"https://orders.example.com","iat":1,"exp":61,"sub":"ann",
    /// "client_id":"web","scope":"orders:read","txn":"9f0c…","token_issuer":"https://id.example.com"}`.
    /// - Parameter transactionID: 16 bytes that no other transaction has.
    func text(issuer: String, transactionID: [UInt8]) -> [UInt8] {
        var claims = JSONObjectWriter()
        claims.add("iss", string: issuer)
        claims.add("aud", string: audience)
        claims.add("iat", number: issuedAt)
        claims.add("exp", number: expiresAt)
        if !subject.isEmpty { claims.add("sub", string: subject) }
        if !client.isEmpty { claims.add("client_id", string: client) }
        claims.add("scope", string: scopes)
        claims.add("txn", string: hexadecimal(transactionID))
        claims.add("token_issuer", string: tokenIssuer)
        if let actor {
            var members = JSONObjectWriter()
            if !actor.subject.isEmpty { members.add("sub", string: actor.subject) }
            if !actor.client.isEmpty { members.add("client_id", string: actor.client) }
            claims.add("act", json: members.text())
        }
        return claims.text()
    }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

/// Transaction tokens of one worker that can be used again. Direct-mapped: a token that finds its place taken is signed
/// again when it is asked for.
///
/// All are of one signer and one policy version; another of either empties the cache, one by one.
struct TransactionCache: ~Copyable {
    private static let placeMask = 4_095

    private struct Entry {
        let token: VerifiedToken
        let serviceIndex: Int
        let routeIndex: Int
        let generation: UInt64
        let issuedAt: Int64
        /// The last second in which it is used.
        let through: Int64
        let text: [UInt8]
    }

    private var entries: [Entry?] = []
    private var signer: TransactionSigner?
    private var version: Digest?
    private var generation: UInt64 = 0

    init() {}

    /// To be called before anything is asked for or kept.
    mutating func follow(_ current: TransactionSigner, version currentVersion: Digest) {
        if let signer, signer.isSame(as: current), version == currentVersion {
            if signer !== current { self.signer = current }
            return
        }
        signer = current
        version = currentVersion
        generation &+= 1
    }

    /// - Returns: nil when there is none, or too little of its life is left.
    func text(for token: VerifiedToken, serviceIndex: Int, routeIndex: Int, now: Int64) -> [UInt8]? {
        guard !entries.isEmpty,
            let entry = entries[TransactionCache.place(token, serviceIndex: serviceIndex, routeIndex: routeIndex)],
            entry.generation == generation, entry.serviceIndex == serviceIndex, entry.routeIndex == routeIndex,
            TransactionCache.isSame(entry.token, token), now >= entry.issuedAt, now <= entry.through
        else { return nil }
        return entry.text
    }

    mutating func insert(
        _ text: [UInt8], for token: VerifiedToken, serviceIndex: Int, routeIndex: Int, issuedAt: Int64, through: Int64
    ) {
        if entries.isEmpty { entries = [Entry?](repeating: nil, count: TransactionCache.placeMask + 1) }
        let place = TransactionCache.place(token, serviceIndex: serviceIndex, routeIndex: routeIndex)
        entries[place] = Entry(
            token: token, serviceIndex: serviceIndex, routeIndex: routeIndex, generation: generation,
            issuedAt: issuedAt, through: through, text: text)
    }

    /// A JWT says the same each time that it is verified; an issuer that is asked again may say something else.
    private static func isSame(_ kept: VerifiedToken, _ token: VerifiedToken) -> Bool {
        if kept === token { return true }
        return kept.digest == token.digest && kept.freshUntil == .max && token.freshUntil == .max
    }

    private static func place(_ token: VerifiedToken, serviceIndex: Int, routeIndex: Int) -> Int {
        var mixed = token.digest.firstWord
        mixed ^= UInt64(truncatingIfNeeded: serviceIndex) &* 0x9E37_79B9_7F4A_7C15
        mixed ^= UInt64(truncatingIfNeeded: routeIndex) &* 0xC2B2_AE3D_27D4_EB4F
        return Int(truncatingIfNeeded: mixed ^ mixed >> 32) & placeMask
    }
}
