internal import Octets
public import Signatures
internal import Tokens

/// One statement that tokens are no longer good.
public struct Revocation: Sendable, Equatable {
    public enum Kind: UInt8, CaseIterable, Sendable {
        /// One token by the SHA-256 of its exact bytes. Has no issuer.
        case token = 0
        /// `jti`.
        case tokenID = 1
        case subject = 2
        /// The issuer's client claim.
        case client = 3
        /// Every token of the issuer. Has no value.
        case issuer = 4
        /// `kid` of the header.
        case key = 5

        /// The stable name: snake case.
        public var name: StaticString {
            switch self {
            case .token: "token"
            case .tokenID: "jti"
            case .subject: "subject"
            case .client: "client"
            case .issuer: "issuer"
            case .key: "key"
            }
        }
    }

    public var kind: Kind
    /// Exactly as the policy has it; empty for `token`.
    public var issuer: [UInt8]
    /// The 32 bytes of the digest for `token`; empty for `issuer`.
    public var value: [UInt8]
    /// Tokens whose `iat` is at most this, or that have none, Unix seconds; `Int64.max` means all.
    public var issuedAtMax: Int64
    /// From then on no token that is meant can be alive, Unix seconds; `Int64.max` keeps it for ever.
    public var until: Int64

    public init(kind: Kind, issuer: [UInt8], value: [UInt8], issuedAtMax: Int64 = .max, until: Int64 = .max) {
        self.kind = kind
        self.issuer = issuer
        self.value = value
        self.issuedAtMax = issuedAtMax
        self.until = until
    }
}

extension Revocation {
    /// Under which it is found: SHA-256 over kind, issuer and value, each with its length before it.
    public var key: Digest {
        var hasher = SHA256Hasher()
        return Revocation.key(kind, issuer.span, value.span, &hasher)
    }

    /// The same of borrowed bytes. Example: `subject`, `i`, `ann` is the SHA-256 of `02`, eight bytes with the number
    /// 1, `i`, eight bytes with the number 3, `ann`; the numbers are big-endian.
    static func key(
        _ kind: Kind, _ issuer: Span<UInt8>, _ value: Span<UInt8>, _ hasher: inout SHA256Hasher
    ) -> Digest {
        let issuerCount = issuer.count
        let head = InlineArray<9, UInt8> { index in
            index == 0 ? kind.rawValue : UInt8(truncatingIfNeeded: issuerCount >> (64 - 8 * index))
        }
        hasher.update(head.span)
        hasher.update(issuer)
        let valueCount = value.count
        let length = InlineArray<8, UInt8> { UInt8(truncatingIfNeeded: valueCount >> (56 - 8 * $0)) }
        hasher.update(length.span)
        hasher.update(value)
        return hasher.finish()
    }
}

extension RevocationSet {
    /// Which kind of revocation names a token, the narrowest first; nil when none does. Allocates nothing.
    ///
    /// A token that acts for someone is also named by what names its actor.
    /// - Parameters:
    ///   - issuer: identifier of the token's issuer.
    ///   - now: Unix seconds.
    func names(token: VerifiedToken, issuer: Span<UInt8>, now: Int64) -> Revocation.Kind? {
        guard count > 0 else { return nil }
        var question = RevocationQuestion(issuedAt: token.issuedAt, now: now)
        let nothing = issuer.extracting(0..<0)
        if token.digest.withSpan({ question.isNamed(by: self, .token, nothing, $0) }) { return .token }
        if question.isNamed(by: self, .tokenID, issuer, token.tokenID) { return .tokenID }
        if question.isNamed(by: self, .subject, issuer, token.subject) { return .subject }
        if question.isNamed(by: self, .client, issuer, token.client) { return .client }
        if token.hasActor {
            if question.isNamed(by: self, .subject, issuer, token.actorSubject) { return .subject }
            if question.isNamed(by: self, .client, issuer, token.actorClient) { return .client }
        }
        if question.isNamed(by: self, .key, issuer, token.keyID) { return .key }
        return question.isNamed(by: self, .issuer, issuer, nothing) ? .issuer : nil
    }
}

private struct RevocationQuestion: ~Copyable {
    let issuedAt: Int64
    let now: Int64
    private var hasher = SHA256Hasher()

    init(issuedAt: Int64, now: Int64) {
        self.issuedAt = issuedAt
        self.now = now
    }

    /// A value that the token does not have is empty, and named by nothing.
    mutating func isNamed(
        by revocations: RevocationSet, _ kind: Revocation.Kind, _ issuer: Span<UInt8>, _ value: Span<UInt8>
    ) -> Bool {
        guard revocations.has(kind), kind == .issuer || value.count > 0 else { return false }
        guard let entry = revocations.find(Revocation.key(kind, issuer, value, &hasher)), !entry.hasEnded(now: now)
        else { return false }
        // Nobody knows of a token without `iat` that it was issued later.
        return issuedAt == 0 || issuedAt <= entry.issuedAtMax
    }
}
