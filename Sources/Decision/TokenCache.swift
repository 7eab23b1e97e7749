internal import Tokens

/// Verified tokens of one worker, found by a fingerprint of their exact bytes.
///
/// A fixed number of sets of eight places; a full set gives up the place that was not asked for the longest.
/// Each worker has its own, so a hit takes no lock; only verified tokens enter, so forged ones evict nothing.
struct TokenCache: ~Copyable {
    private static let placesPerSet = 8

    private let setMask: Int
    /// First word of each fingerprint apart from the token, so that a look-up reads one cache line of words.
    private var words: [UInt64]
    private var entries: TokenEntries
    private var lastUsed: [UInt32]
    private var turn: UInt32 = 0
    /// Of the token that was found or put in last, about which everything else is asked next.
    private var lastPlace = 0
    private(set) var count = 0

    /// - Parameter entriesMax: how many tokens are kept at the most; rounded up to a power of two, at least 8.
    init(entriesMax: Int) {
        var sets = 1
        while sets * TokenCache.placesPerSet < min(max(entriesMax, 8), 1 << 26) { sets *= 2 }
        setMask = sets - 1
        let places = sets * TokenCache.placesPerSet
        words = [UInt64](repeating: 0, count: places)
        entries = TokenEntries(count: places)
        lastUsed = [UInt32](repeating: 0, count: places)
    }

    /// The token with this fingerprint whose issuer's keys and settings are still those of `generation`'s issuer.
    mutating func token(for fingerprint: TokenFingerprint, issuers: IssuerSnapshot) -> VerifiedToken? {
        let first = firstPlace(of: fingerprint)
        var place = first
        while place < first + TokenCache.placesPerSet {
            if holds(fingerprint, at: place) {
                guard isCurrent(place, issuers) else {
                    remove(at: place)
                    return nil
                }
                touch(place)
                return entries[place].token
            }
            place += 1
        }
        return nil
    }

    mutating func insert(_ token: VerifiedToken, for fingerprint: TokenFingerprint) {
        let first = firstPlace(of: fingerprint)
        var chosen = first
        var oldest = UInt32.max
        var place = first
        while place < first + TokenCache.placesPerSet {
            if entries[place].token == nil || holds(fingerprint, at: place) {
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
        if entries[chosen].token == nil { count += 1 }
        entries[chosen] = TokenEntry(token: token, secondWord: fingerprint.second)
        words[chosen] = fingerprint.first
        touch(chosen)
    }

    private mutating func touch(_ place: Int) {
        turn &+= 1
        lastUsed[place] = turn
        lastPlace = place
    }

    /// Removes the token that was found or put in last.
    mutating func remove(_ token: VerifiedToken) {
        if let place = place(of: token) { remove(at: place) }
    }

    private mutating func remove(at place: Int) {
        entries[place] = TokenEntry()
        words[place] = 0
        count -= 1
    }

    private func holds(_ fingerprint: TokenFingerprint, at place: Int) -> Bool {
        // A free place has a word too.
        words[place] == fingerprint.first && entries[place].secondWord == fingerprint.second
            && entries[place].token != nil
    }

    private func firstPlace(of fingerprint: TokenFingerprint) -> Int {
        // The top bits: `words` are compared by all of them, sets are chosen by these.
        (Int(truncatingIfNeeded: fingerprint.first >> 32) & setMask) * TokenCache.placesPerSet
    }

    private func isCurrent(_ place: Int, _ issuers: IssuerSnapshot) -> Bool {
        guard let token = entries[place].token else { return false }
        return token.issuersGeneration == issuers.generation && token.issuerIndex < issuers.issuers.count
    }

    // MARK: what was worked out of the token that was found or put in last; of any other nothing is known

    /// What the token amounts to under the policy of this activation at this time; nil when that was not worked out.
    func grant(of token: VerifiedToken, activation: UInt64, now: Int64) -> Grant? {
        guard let place = place(of: token), let grant = entries[place].grant,
            grant.isValid(at: now, activation: activation)
        else { return nil }
        return grant
    }

    mutating func setGrant(_ grant: Grant, of token: VerifiedToken) {
        if let place = place(of: token) { entries[place].grant = grant }
    }

    /// Whether the token was found not to be revoked under this epoch.
    func isUnrevoked(_ token: VerifiedToken, epoch: UInt64) -> Bool {
        guard let place = place(of: token) else { return false }
        return entries[place].revocationEpoch == epoch
    }

    mutating func setUnrevoked(_ token: VerifiedToken, epoch: UInt64) {
        if let place = place(of: token) { entries[place].revocationEpoch = epoch }
    }

    private func place(of token: VerifiedToken) -> Int? {
        entries[lastPlace].token === token ? lastPlace : nil
    }
}

/// A place of the cache: a token with what was worked out of it, so that a hit reads one line of the memory for all of
/// it. Cannot be copied, so that looking at it counts no references.
private struct TokenEntry: ~Copyable {
    /// Nil where the place is free.
    var token: VerifiedToken?
    var secondWord: UInt64 = 0
    var grant: Grant?
    /// `RevocationSet.epoch` that the token was found not to be revoked under; `max` for none.
    var revocationEpoch: UInt64 = .max
}

/// A fixed number of places.
@safe
private struct TokenEntries: ~Copyable {
    private let base: UnsafeMutablePointer<TokenEntry>
    private let count: Int

    init(count: Int) {
        unsafe base = UnsafeMutablePointer<TokenEntry>.allocate(capacity: count)
        // SAFETY: there is room for `count`.
        for place in 0..<count { unsafe (base + place).initialize(to: TokenEntry()) }
        self.count = count
    }

    deinit {
        // SAFETY: init filled all of them.
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }

    subscript(place: Int) -> TokenEntry {
        @inline(always)
        _read {
            precondition(place >= 0 && place < count)
            // SAFETY: checked above.
            yield unsafe base[place]
        }
        @inline(always)
        _modify {
            precondition(place >= 0 && place < count)
            // SAFETY: checked above.
            yield unsafe &base[place]
        }
    }
}

/// Fingerprints of tokens whose signature was found wrong, so that one forged token sent again and again costs one
/// verification. Direct-mapped and small; an entry is a hint that holds for one snapshot of keys only.
struct RefusedTokenCache: ~Copyable {
    private static let placeMask = 1_023
    private var fingerprints = [TokenFingerprint?](repeating: nil, count: RefusedTokenCache.placeMask + 1)
    private var refusals = [TokenRefusal](repeating: .signatureInvalid, count: RefusedTokenCache.placeMask + 1)
    private var generation: UInt64 = 0

    init() {}

    mutating func refusal(for fingerprint: TokenFingerprint, generation current: UInt64) -> TokenRefusal? {
        guard current == generation else { return nil }
        let place = Int(truncatingIfNeeded: fingerprint.first) & RefusedTokenCache.placeMask
        return fingerprints[place] == fingerprint ? refusals[place] : nil
    }

    mutating func insert(_ refusal: TokenRefusal, for fingerprint: TokenFingerprint, generation current: UInt64) {
        if current != generation {
            for place in fingerprints.indices { fingerprints[place] = nil }
            generation = current
        }
        let place = Int(truncatingIfNeeded: fingerprint.first) & RefusedTokenCache.placeMask
        fingerprints[place] = fingerprint
        refusals[place] = refusal
    }
}
