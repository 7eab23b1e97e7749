internal import Signatures
internal import Tokens

/// Verified tokens of one worker, keyed by the SHA-256 of their exact bytes.
///
/// A fixed number of sets of eight places; a full set gives up the place that was not asked for the longest.
/// Each worker has its own, so a hit takes no lock; only verified tokens enter, so forged ones evict nothing.
struct TokenCache: ~Copyable {
    private static let placesPerSet = 8

    private let setMask: Int
    /// First word of each digest beside the token, so that a look-up reads one cache line of words.
    private var words: [UInt64]
    private var tokens: [VerifiedToken?]
    private var grants: [Grant?]
    private var grantActivations: [UInt64]
    /// `RevocationSet.epoch` that the token was found not to be revoked under; `max` for none.
    private var revocationEpochs: [UInt64]
    private var lastUsed: [UInt32]
    private var turn: UInt32 = 0
    private(set) var count = 0

    /// - Parameter entriesMax: how many tokens are kept at the most; rounded up to a power of two, at least 8.
    init(entriesMax: Int) {
        var sets = 1
        while sets * TokenCache.placesPerSet < min(max(entriesMax, 8), 1 << 26) { sets *= 2 }
        setMask = sets - 1
        let places = sets * TokenCache.placesPerSet
        words = [UInt64](repeating: 0, count: places)
        tokens = [VerifiedToken?](repeating: nil, count: places)
        grants = [Grant?](repeating: nil, count: places)
        grantActivations = [UInt64](repeating: 0, count: places)
        revocationEpochs = [UInt64](repeating: .max, count: places)
        lastUsed = [UInt32](repeating: 0, count: places)
    }

    /// The token with this digest whose issuer's keys and settings are still those of `generation`'s issuer.
    mutating func token(for digest: Digest, issuers: IssuerSnapshot) -> VerifiedToken? {
        let first = firstPlace(of: digest)
        let word = digest.firstWord
        var place = first
        while place < first + TokenCache.placesPerSet {
            if words[place] == word, let token = tokens[place], token.digest == digest {
                guard isCurrent(token, issuers) else {
                    remove(at: place)
                    return nil
                }
                turn &+= 1
                lastUsed[place] = turn
                return token
            }
            place += 1
        }
        return nil
    }

    mutating func insert(_ token: VerifiedToken) {
        let first = firstPlace(of: token.digest)
        var chosen = first
        var oldest = UInt32.max
        var place = first
        while place < first + TokenCache.placesPerSet {
            guard let present = tokens[place] else {
                chosen = place
                break
            }
            if present.digest == token.digest {
                chosen = place
                break
            }
            // Ages are differences, so that the counter may wrap.
            let age = turn &- lastUsed[place]
            if UInt32.max - age < oldest {
                oldest = UInt32.max - age
                chosen = place
            }
            place += 1
        }
        if tokens[chosen] == nil { count += 1 }
        tokens[chosen] = token
        grants[chosen] = nil
        revocationEpochs[chosen] = .max
        words[chosen] = token.digest.firstWord
        turn &+= 1
        lastUsed[chosen] = turn
    }

    mutating func remove(_ token: VerifiedToken) {
        if let place = place(of: token) { remove(at: place) }
    }

    private mutating func remove(at place: Int) {
        tokens[place] = nil
        grants[place] = nil
        words[place] = 0
        count -= 1
    }

    private func firstPlace(of digest: Digest) -> Int {
        // The top bits: `words` are compared by all of them, sets are chosen by these.
        (Int(truncatingIfNeeded: digest.firstWord >> 32) & setMask) * TokenCache.placesPerSet
    }

    private func isCurrent(_ token: VerifiedToken, _ issuers: IssuerSnapshot) -> Bool {
        token.issuersGeneration == issuers.generation && token.issuerIndex < issuers.issuers.count
    }

    // MARK: grants

    /// What the token amounts to under the policy of this activation; nil when that was not worked out yet.
    func grant(of token: VerifiedToken, activation: UInt64) -> Grant? {
        guard let place = place(of: token), grantActivations[place] == activation else { return nil }
        return grants[place]
    }

    mutating func setGrant(_ grant: Grant, of token: VerifiedToken, activation: UInt64) {
        guard let place = place(of: token) else { return }
        grants[place] = grant
        grantActivations[place] = activation
    }

    // MARK: revocations

    /// Whether the token was found not to be revoked under this epoch.
    func isUnrevoked(_ token: VerifiedToken, epoch: UInt64) -> Bool {
        guard let place = place(of: token) else { return false }
        return revocationEpochs[place] == epoch
    }

    mutating func setUnrevoked(_ token: VerifiedToken, epoch: UInt64) {
        if let place = place(of: token) { revocationEpochs[place] = epoch }
    }

    private func place(of token: VerifiedToken) -> Int? {
        let first = firstPlace(of: token.digest)
        for place in first..<first + TokenCache.placesPerSet where tokens[place] === token { return place }
        return nil
    }
}

/// Digests of tokens whose signature was found wrong, so that one forged token sent again and again costs one
/// verification. Direct-mapped and small; an entry is a hint that holds for one snapshot of keys only.
struct RefusedTokenCache: ~Copyable {
    private static let placeMask = 1_023
    private var digests = [Digest?](repeating: nil, count: RefusedTokenCache.placeMask + 1)
    private var refusals = [TokenRefusal](repeating: .signatureInvalid, count: RefusedTokenCache.placeMask + 1)
    private var generation: UInt64 = 0

    init() {}

    mutating func refusal(for digest: Digest, generation current: UInt64) -> TokenRefusal? {
        guard current == generation else { return nil }
        let place = Int(truncatingIfNeeded: digest.firstWord) & RefusedTokenCache.placeMask
        return digests[place] == digest ? refusals[place] : nil
    }

    mutating func insert(_ refusal: TokenRefusal, for digest: Digest, generation current: UInt64) {
        if current != generation {
            for place in digests.indices { digests[place] = nil }
            generation = current
        }
        let place = Int(truncatingIfNeeded: digest.firstWord) & RefusedTokenCache.placeMask
        digests[place] = digest
        refusals[place] = refusal
    }
}
