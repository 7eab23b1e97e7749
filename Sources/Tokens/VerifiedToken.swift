internal import Octets
public import Signatures

/// An access token whose form, signature and claims were all checked. Only `TokenVerifier` makes one, and
/// `IntrospectionReader`, of what an issuer's reply says.
///
/// Holds what decisions need and nothing else, so that many can be kept: every string stands in one array, in
/// the order subject, client, scopes, key ID, audiences, bound claims, authentication context, actor's subject and
/// client, token ID, status, details, thumbprint of the confirmation, time of the next question. Strings are UTF-8,
/// unescaped, without NUL. Expiry is not checked again here: whoever keeps a token compares `expiresAt` and
/// `notBefore`.
@safe
public final class VerifiedToken {
    /// Into `IssuerSnapshot.issuers`.
    public var issuerIndex: Int { Int(issuer) }
    /// Unix seconds, fractions cut off. Does not include the issuer's leeway.
    public let expiresAt: Int64
    /// Unix seconds, fractions counted as one; 0 without the claim.
    public let notBefore: Int64
    /// Unix seconds, fractions cut off; 0 without the claim.
    public let issuedAt: Int64
    /// When the subject last authenticated (`auth_time`), Unix seconds, fractions cut off; 0 without the claim. As
    /// the issuer says it: it may lie in the future.
    public let authenticatedAt: Int64
    /// `KeySet.generation` of the keys that the signature was checked with; 0, which no set has, for an opaque token.
    public let issuerKeysGeneration: UInt64
    /// `IssuerSnapshot.generation` of the settings that the claims were checked by.
    public let issuersGeneration: UInt64
    /// SHA-256 of the token's exact bytes.
    public let digest: Digest

    // Not an array: a span of an array in a class lives no longer than one expression.
    private let base: UnsafeMutablePointer<UInt8>
    private let issuer: UInt32
    private let count: UInt16
    let layout: Layout

    /// Where each string ends; the next one starts there.
    struct Layout {
        var subjectEnd: UInt16 = 0
        var clientEnd: UInt16 = 0
        var scopesEnd: UInt16 = 0
        var keyIDEnd: UInt16 = 0
        /// The audiences and bound claims follow each other, each with its length in two bytes before it,
        /// big-endian; 0xFFFF stands for a bound claim that is absent.
        var audiencesEnd: UInt16 = 0
        var boundClaimsEnd: UInt16 = 0
        var authenticationContextEnd: UInt16 = 0
        var actorSubjectEnd: UInt16 = 0
        var actorClientEnd: UInt16 = 0
        var tokenIDEnd: UInt16 = 0
        /// Where the URI of the status list ends, which is never empty. Behind it stand its digest and the index.
        var statusURIEnd: UInt16 = 0
        /// One bit for each of `IssuerSettings.details`, as far as bytes go.
        var detailsEnd: UInt16 = 0
        /// Its 32 bytes follow the details. Eight more behind it are `freshUntil`.
        var confirmation = ConfirmationKind.none
        var hasActor = false

        /// Moves everything behind the audiences, whose end has been moved already.
        mutating func moveTail(by distance: Int) {
            func moved(_ place: UInt16) -> UInt16 { UInt16(truncatingIfNeeded: Int(place) + distance) }
            boundClaimsEnd = moved(boundClaimsEnd)
            authenticationContextEnd = moved(authenticationContextEnd)
            actorSubjectEnd = moved(actorSubjectEnd)
            actorClientEnd = moved(actorClientEnd)
            tokenIDEnd = moved(tokenIDEnd)
            statusURIEnd = moved(statusURIEnd)
            detailsEnd = moved(detailsEnd)
        }
    }

    enum ConfirmationKind: UInt8 { case none, jwkThumbprint, certificateThumbprint }

    static let absentLength: UInt16 = 0xFFFF
    /// Digest and index of a status.
    private static let statusBytes = Digest.count + 4

    struct Times {
        var expiresAt: Int64 = 0
        var notBefore: Int64 = 0
        var issuedAt: Int64 = 0
        var authenticatedAt: Int64 = 0
    }

    init(
        issuerIndex: Int, times: Times, keysGeneration: UInt64, issuersGeneration: UInt64, digest: Digest,
        strings: Span<UInt8>, layout: Layout
    ) {
        issuer = UInt32(truncatingIfNeeded: issuerIndex)
        expiresAt = times.expiresAt
        notBefore = times.notBefore
        issuedAt = times.issuedAt
        authenticatedAt = times.authenticatedAt
        issuerKeysGeneration = keysGeneration
        self.issuersGeneration = issuersGeneration
        self.digest = digest
        self.layout = layout
        // As many as the writer holds, which is less than 2^16.
        let strings = strings.extracting(first: Int(UInt16.max))
        count = UInt16(truncatingIfNeeded: strings.count)
        unsafe base = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, strings.count))
        // SAFETY: there is room for exactly these bytes, and the two do not overlap.
        unsafe strings.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { unsafe base.initialize(from: start, count: source.count) }
        }
    }

    deinit {
        unsafe base.deallocate()
    }

    var strings: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            // SAFETY: init filled `count` bytes; they are never changed and live as long as self.
            let span = unsafe Span(_unsafeStart: UnsafePointer(base), count: Int(count))
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The `sub` claim; empty when the issuer's profile lets it be absent and it is.
    public var subject: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes(from: 0, to: layout.subjectEnd) }
    }

    /// The client claim of the issuer; empty when absent.
    public var client: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes(from: layout.subjectEnd, to: layout.clientEnd) }
    }

    /// The scopes, each a scope-token of RFC 6749 §3.3, with one space between; empty for none.
    public var scopeText: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes(from: layout.clientEnd, to: layout.scopesEnd) }
    }

    /// The header's `kid`; empty when absent.
    public var keyID: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes(from: layout.scopesEnd, to: layout.keyIDEnd) }
    }

    /// The `jti` claim; empty when absent.
    public var tokenID: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes(from: layout.actorClientEnd, to: layout.tokenIDEnd) }
    }

    /// Where the token's status is found, for an issuer with status lists; nil when it has none.
    public var status: StatusReference? {
        guard layout.statusURIEnd > layout.tokenIDEnd else { return nil }
        let start = Int(layout.statusURIEnd)
        // They are 32 bytes always; were they not, the token's own digest is that of no list.
        let list = Digest(strings.extracting(start..<start + Digest.count)) ?? digest
        return StatusReference(list: list, index: UInt64(strings.bigEndian32(at: start + Digest.count)))
    }

    /// The URI of that list; empty without one.
    public var statusListURI: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes(from: layout.tokenIDEnd, to: layout.statusURIEnd) }
    }

    /// Whether `authorization_details` meet `IssuerSettings.details[index]`.
    public func satisfies(detail index: Int) -> Bool {
        let place = detailsStart + index >> 3
        guard index >= 0, place < Int(layout.detailsEnd) else { return false }
        return strings[place] & 1 << UInt8(index & 7) != 0
    }

    var detailsStart: Int {
        Int(layout.statusURIEnd) + (layout.statusURIEnd > layout.tokenIDEnd ? VerifiedToken.statusBytes : 0)
    }

    /// Whether only the issuer's reply speaks for it: no key of the issuer's has signed it.
    public var isOpaque: Bool { issuerKeysGeneration == 0 }

    /// When the issuer has to be asked again, Unix seconds; `Int64.max` where it was not asked.
    public var freshUntil: Int64 {
        let start = Int(layout.detailsEnd) + (layout.confirmation == .none ? 0 : Digest.count)
        guard Int(count) - start >= 8 else { return .max }
        return Int64(strings.bigEndian32(at: start)) << 32 | Int64(strings.bigEndian32(at: start + 4))
    }

    /// Whether `aud` names exactly this.
    public func hasAudience(_ audience: Span<UInt8>) -> Bool {
        var at = Int(layout.keyIDEnd)
        while at < Int(layout.audiencesEnd) {
            let length = Int(strings.bigEndian16(at: at))
            if equal(strings.extracting(at + 2..<at + 2 + length), audience) { return true }
            at += 2 + length
        }
        return false
    }

    /// Calls `body` with every audience, until it returns false.
    public func forEachAudience(_ body: (Span<UInt8>) -> Bool) {
        var at = Int(layout.keyIDEnd)
        while at < Int(layout.audiencesEnd) {
            let length = Int(strings.bigEndian16(at: at))
            guard body(strings.extracting(at + 2..<at + 2 + length)) else { return }
            at += 2 + length
        }
    }

    /// The claim of `IssuerSettings.boundClaims[index]`; nil when the token does not have it as a string, or
    /// when there is no such index.
    @_lifetime(borrow self)
    public func boundClaim(_ index: Int) -> Span<UInt8>? {
        var at = Int(layout.audiencesEnd)
        var current = 0
        while at < Int(layout.boundClaimsEnd) {
            let length = strings.bigEndian16(at: at)
            let end = at + 2 + (length == VerifiedToken.absentLength ? 0 : Int(length))
            if current == index {
                return length == VerifiedToken.absentLength ? nil : strings.extracting(at + 2..<end)
            }
            at = end
            current += 1
        }
        return nil
    }

    /// The authentication context class that the subject met (`acr`, RFC 9470 §6.1); empty when absent or when it is
    /// no string.
    public var authenticationContext: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes(from: layout.boundClaimsEnd, to: layout.authenticationContextEnd) }
    }

    /// Whether someone acts for the subject (`act`, RFC 8693 §4.1).
    public var hasActor: Bool { layout.hasActor }

    /// The `sub` of the outermost `act`, which acts now; empty when absent.
    public var actorSubject: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes(from: layout.authenticationContextEnd, to: layout.actorSubjectEnd) }
    }

    /// The issuer's client claim within the outermost `act`; empty when absent.
    public var actorClient: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes(from: layout.actorSubjectEnd, to: layout.actorClientEnd) }
    }

    /// The key that the token is bound to. `none` from every verifier that does not take bound tokens.
    public var confirmation: TokenConfirmation {
        let kept = strings.extracting(Int(layout.detailsEnd)..<Int(count)).extracting(first: Digest.count)
        switch layout.confirmation {
        case .none: return .none
        // They are 32 bytes always; were they not, the token's own digest is what no key has.
        case .jwkThumbprint: return .jwkThumbprint(Digest(kept) ?? digest)
        case .certificateThumbprint: return .certificateThumbprint(Digest(kept) ?? digest)
        }
    }

    @_lifetime(borrow self)
    private func bytes(from start: UInt16, to end: UInt16) -> Span<UInt8> {
        strings.extracting(Int(start)..<Int(end))
    }
}

// Sendable because every stored property is a `let`, and the bytes at `base` are written in init and freed in deinit
// only.
extension VerifiedToken: @unchecked Sendable {}
