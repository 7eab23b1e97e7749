internal import Signatures

/// Prepared keys of the clients that one worker has served, by thumbprint and algorithm: 64 sets of four, in each of
/// which the one that was used least recently makes room. Never grows.
struct ProofKeyCache: ~Copyable {
    private struct Entry {
        let thumbprint: Digest
        let verifier: PreparedVerifier
        var usedAt: UInt64
    }

    private static let waysPerSet = 4

    private var entries = [Entry?](repeating: nil, count: ProofLimits.preparedKeysMax)
    /// Counts uses.
    private var clock: UInt64 = 0

    mutating func find(_ thumbprint: Digest, _ algorithm: SignatureAlgorithm) -> PreparedVerifier? {
        clock &+= 1
        for place in ProofKeyCache.places(of: thumbprint) {
            if let entry = entries[place], entry.thumbprint == thumbprint, entry.verifier.algorithm == algorithm {
                entries[place]?.usedAt = clock
                return entry.verifier
            }
        }
        return nil
    }

    /// - Parameter verifier: of a key and algorithm that `find` did not have.
    mutating func insert(_ verifier: PreparedVerifier, _ thumbprint: Digest) {
        let places = ProofKeyCache.places(of: thumbprint)
        var oldest = places.lowerBound
        for place in places {
            guard let entry = entries[place] else {
                oldest = place
                break
            }
            if let other = entries[oldest], entry.usedAt < other.usedAt { oldest = place }
        }
        entries[oldest] = Entry(thumbprint: thumbprint, verifier: verifier, usedAt: clock)
    }

    /// How many keys are kept.
    var count: Int { entries.count { $0 != nil } }

    private static func places(of thumbprint: Digest) -> Range<Int> {
        let sets = UInt64(ProofLimits.preparedKeysMax / waysPerSet)
        let first = Int(truncatingIfNeeded: thumbprint.firstWord % sets) * waysPerSet
        return first..<first + waysPerSet
    }
}
