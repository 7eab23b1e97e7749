internal import Octets
internal import Signatures
internal import Synchronization
internal import Tokens

/// What is known of DPoP proofs beyond one request: which were used (RFC 9449 §11.1), and the nonces that are given
/// out (§8, §9). All deciders of a daemon share one, or a proof would pass once in each of them.
///
/// A proof is remembered until no clock of ours accepts its `iat` any more, and never forgotten before. Memory is set
/// apart for a fixed number; when they are all in use, or a client has more than its share of what is getting scarce, the
/// answer is `replay_cache_full`. Nothing survives a restart:
/// until the proofs from before it are too old, every proof must carry a nonce, which nobody had then.
///
/// A lock is held for a few comparisons, by the proofs of one part in up to 64.
public final class ProofRecords: Sendable {
    /// How long one nonce is given out, seconds. It is accepted for as long again.
    public static let noncePeriodSeconds: Int64 = 300
    /// 128 bits in base64url.
    static let nonceBytes = 22

    private final class Part: Sendable {
        let table: Mutex<ProofTable>
        init(entriesMax: Int) { table = Mutex(ProofTable(entriesMax: entriesMax)) }
    }

    private let parts: [Part]
    private let secret: [UInt8]
    /// Of the hashes that choose a part and a chain: nobody can make proofs that all come to the same one.
    private let seed: UInt64
    /// The latest time that was ever said, Unix seconds: a clock that is set back makes no proof acceptable again.
    private let latest: Atomic<Int64>
    /// The oldest that any issuer's rules have let a proof become, seconds.
    private let ageSecondsMax = Atomic<Int64>(0)
    /// Proofs from before may be unknown here: the start, or the last time that the above grew.
    private let knownSince: Atomic<Int64>
    private let growth = Mutex<Void>(())
    /// Goes into every nonce: those that were given out before the last growth are good no more.
    private let nonceGeneration = Atomic<Int64>(0)

    /// - Parameters:
    ///   - entriesMax: proofs remembered at the most, 1 to 67,108,864; 48 to 56 bytes each. Rounded up a little when
    ///     there are many.
    ///   - startedAt: Unix seconds; `Int64.min` when no proof can have been used before.
    public init(entriesMax: Int, startedAt: Int64) {
        let entriesMax = max(1, min(entriesMax, 1 << 26))
        var partCount = 1
        while partCount < 64, entriesMax / partCount >= 2_048 { partCount *= 2 }
        parts = (0..<partCount).map { _ in Part(entriesMax: (entriesMax + partCount - 1) / partCount) }
        secret = randomBytes(32)
        seed = randomBytes(8).reduce(0) { $0 << 8 | UInt64($1) }
        latest = Atomic(startedAt)
        knownSince = Atomic(startedAt)
    }

    /// Proofs remembered now; those that are too old count until their room is needed.
    public var count: Int { parts.reduce(0) { $0 + $1.table.withLock { $0.count } } }

    /// - Returns: `now`, or the latest time that was ever said.
    private func time(_ now: Int64) -> Int64 {
        let before = latest.load(ordering: .sequentiallyConsistent)
        return now <= before ? before : latest.max(now, ordering: .sequentiallyConsistent).newValue
    }

    // MARK: proofs

    /// Remembers a proof, unless it was used before. Of several calls with one proof at the same time, one adds it.
    func add(_ proof: VerifiedProof, now: Int64) -> ProofTable.Addition {
        _ = time(now)
        var hasher = Hasher()
        hasher.combine(seed)
        hasher.combine(proof.replayKey)
        let hash = UInt64(bitPattern: Int64(hasher.finalize()))
        var clientHasher = Hasher()
        clientHasher.combine(seed)
        clientHasher.combine(proof.thumbprint)
        let client = UInt64(bitPattern: Int64(clientHasher.finalize()))
        let part = parts[Int(truncatingIfNeeded: hash >> 32) & (parts.count - 1)]
        return part.table.withLock { table in
            // Within the lock: what was forgotten here before, was forgotten by an earlier time.
            let time = latest.load(ordering: .sequentiallyConsistent)
            guard proof.acceptableThrough >= time else { return .known }
            let age = ageSecondsMax.load(ordering: .sequentiallyConsistent)
            let through = max(proof.acceptableThrough, proof.issuedAt &+ age)
            return table.add(proof.replayKey, hash: hash, client: client, through: through, time: time)
        }
    }

    /// Takes note of how old proofs may become from now on. To be called before any proof is checked by such rules.
    func allow(ageSeconds: Int64, now: Int64) {
        // Whoever comes second waits here until `knownSince` is right.
        growth.withLock { _ in
            let before = ageSecondsMax.load(ordering: .sequentiallyConsistent)
            guard ageSeconds > before else { return }
            ageSecondsMax.store(ageSeconds, ordering: .sequentiallyConsistent)
            // After the store: whoever still remembers a proof for the shorter time has said its time by now.
            guard before > 0 else { return }
            // A forgotten proof may carry a nonce that is still good.
            nonceGeneration.add(1, ordering: .sequentiallyConsistent)
            knownSince.max(time(now), ordering: .sequentiallyConsistent)
        }
    }

    /// Whether a proof that passes these rules now can have been used at a time that nothing is known of.
    func demandsNonce(_ rules: ProofRules, now: Int64) -> Bool {
        knownSince.load(ordering: .sequentiallyConsistent)
            >= time(now) &- (rules.ageSecondsMax + rules.aheadSecondsMax)
    }

    // MARK: nonces

    /// The number of the nonce that is given out now.
    func noncePeriod(now: Int64) -> Int64 { time(now) / ProofRecords.noncePeriodSeconds }

    /// Grows when all nonces before it stop being good.
    var currentNonceGeneration: Int64 { nonceGeneration.load(ordering: .sequentiallyConsistent) }

    /// Replaces `nonce` by the nonce of a period: HMAC-SHA256 (RFC 2104) of its number and generation, the first 16
    /// bytes.
    func writeNonce(ofPeriod period: Int64, generation: Int64 = 0, to nonce: inout ByteWriter) {
        var hasher = SHA256Hasher()
        var block = InlineArray<64, UInt8>(repeating: 0x36)
        for index in secret.indices { block[index] = secret[index] ^ 0x36 }
        hasher.update(block.span)
        let number = InlineArray<16, UInt8> {
            UInt8(truncatingIfNeeded: ($0 < 8 ? period : generation) >> Int64(56 - 8 * ($0 & 7)))
        }
        hasher.update(number.span)
        let inner = hasher.finish()
        for index in block.indices { block[index] ^= 0x36 ^ 0x5C }
        hasher.update(block.span)
        inner.withSpan { hasher.update($0) }
        let outer = hasher.finish()
        nonce.removeAll()
        // 16 bytes in groups of three, the last one filled up with zeros.
        for group in 0..<6 {
            var bits: UInt32 = 0
            for index in 3 * group..<3 * group + 3 { bits = bits << 8 | (index < 16 ? UInt32(outer[index]) : 0) }
            for sextet in 0..<4 where nonce.count < ProofRecords.nonceBytes {
                let shift = UInt32(18 - 6 * sextet)
                nonce.append(base64URLCharacter(UInt8(truncatingIfNeeded: bits >> shift & 63)))
            }
        }
    }
}

private func base64URLCharacter(_ value: UInt8) -> UInt8 {
    switch value {
    case 0..<26: 0x41 + value
    case 26..<52: 0x61 + value - 26
    case 52..<62: 0x30 + value - 52
    case 62: 0x2D
    default: 0x5F
    }
}

/// The nonces of the moment, kept by each decider so that they are made once in a period.
struct ProofNonces: ~Copyable {
    var current = ByteWriter(capacity: ProofRecords.nonceBytes)
    var previous = ByteWriter(capacity: ProofRecords.nonceBytes)
    private var period = Int64.min
    private var generation = Int64.min

    init() {}

    mutating func follow(_ records: ProofRecords, now: Int64) {
        let period = records.noncePeriod(now: now)
        let generation = records.currentNonceGeneration
        guard period != self.period || generation != self.generation || current.count == 0 else { return }
        self.period = period
        self.generation = generation
        records.writeNonce(ofPeriod: period, generation: generation, to: &current)
        records.writeNonce(ofPeriod: period &- 1, generation: generation, to: &previous)
    }

    func write(to answer: inout Answer) { answer.write(.proofNonce, current.bytes) }
}
