internal import Octets
internal import Signatures

/// What a token is found by in one worker's memory: 128 bits of a universal hash under keys that never leave the process.
///
/// A hit costs a tenth of what a SHA-256 of the token would. Nothing else is decided by it: a token that is not found is
/// verified and then known by its SHA-256 everywhere else.
struct TokenFingerprint: Equatable {
    /// Well mixed; places in tables are chosen by it.
    var first: UInt64
    var second: UInt64
}

/// The keys of fingerprints, random for each worker.
///
/// NH in two passes, the second under the keys shifted by one pair (Toeplitz), as in Black, Halevi, Krawczyk, Krovetz,
/// Rogaway, "UMAC: Fast and Secure Message Authentication" (CRYPTO 1999), §4 and §5 with words of 64 bits; then vector
/// multiply-shift (Thorup, "High Speed Hashing for Integers and Strings", §3.3) of each result and the number of bytes to
/// 64 bits. Two different tokens that were chosen without knowing the keys meet with a probability of at most 2^-126:
/// 2^-64 that NH meets and 2^-64 that the reduction does, added, for each half. Who could choose one to meet another's
/// would have to know that one, and then needs no collision.
///
/// Worked example: for keys that are all 1 and the 16 bytes 01 00… 00 02 00… 00 (two words, 1 and 2) both sums of NH are
/// (1 + 1) · (2 + 1) = 6.
struct TokenFingerprintKeys {
    /// Tokens that are longer are never looked up.
    static let tokenBytesMax = 16_384
    /// A pair of words for each 16 bytes, and one pair more for the second pass.
    static let pairKeysCount = tokenBytesMax / 8 + 2
    /// Two words of a result and the number of bytes, and what is added, for each of the two halves.
    static let reductionKeysCount = 2 * 4

    private let pairKeys: [UInt64]
    private let reductionKeys: InlineArray<8, UInt128>

    /// Keys from the system's random generator.
    init() {
        let bytes = randomBytes(8 * TokenFingerprintKeys.pairKeysCount + 16 * TokenFingerprintKeys.reductionKeysCount)
        let span = bytes.span
        self.init(
            pairKeys: (0..<TokenFingerprintKeys.pairKeysCount).map { span.littleEndian64(at: 8 * $0) ?? 0 },
            reductionKeys: InlineArray { number in
                let start = 8 * TokenFingerprintKeys.pairKeysCount + 16 * number
                return UInt128(span.littleEndian64(at: start) ?? 0) << 64
                    | UInt128(span.littleEndian64(at: start + 8) ?? 0)
            })
    }

    /// - Parameter pairKeys: `pairKeysCount` of them; a breach traps.
    init(pairKeys: [UInt64], reductionKeys: InlineArray<8, UInt128>) {
        precondition(pairKeys.count == TokenFingerprintKeys.pairKeysCount)
        self.pairKeys = pairKeys
        self.reductionKeys = reductionKeys
    }

    /// - Parameter token: at most `tokenBytesMax` bytes; a breach traps.
    func fingerprint(of token: Span<UInt8>) -> TokenFingerprint {
        let sums = sums(of: token)
        return TokenFingerprint(
            first: reduced(sums.first, token.count, keysFrom: 0), second: reduced(sums.second, token.count, keysFrom: 4)
        )
    }

    /// The two results of NH, modulo 2^128.
    func sums(of token: Span<UInt8>) -> (first: UInt128, second: UInt128) {
        precondition(token.count <= TokenFingerprintKeys.tokenBytesMax)
        let keys = pairKeys.span
        var first: UInt128 = 0
        var second: UInt128 = 0
        var offset = 0
        var place = 0
        func add(_ low: UInt64, _ high: UInt64) {
            // SAFETY: `place` is even and at most 2,046 (the last pair of 16,384 bytes), and there are 2,050 keys.
            unsafe first &+= product(low &+ keys[unchecked: place], high &+ keys[unchecked: place &+ 1])
            unsafe second &+= product(low &+ keys[unchecked: place &+ 2], high &+ keys[unchecked: place &+ 3])
        }
        while offset <= token.count &- 16 {
            // SAFETY: 16 bytes lie behind `offset`.
            let low = unsafe token.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
            let high = unsafe token.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 8, as: UInt64.self)
            add(UInt64(littleEndian: low), UInt64(littleEndian: high))
            offset &+= 16
            place &+= 2
        }
        if offset < token.count {
            // The last bytes with zeroes behind them; the number of bytes is hashed too.
            var words: (low: UInt64, high: UInt64) = (0, 0)
            for index in offset..<token.count {
                let shift = UInt64(8 * ((index - offset) & 7))
                if index - offset < 8 {
                    words.low |= UInt64(token[index]) << shift
                } else {
                    words.high |= UInt64(token[index]) << shift
                }
            }
            add(words.low, words.high)
        }
        return (first, second)
    }

    /// The upper half of sum · keys + count · key + key, modulo 2^128.
    private func reduced(_ sum: UInt128, _ count: Int, keysFrom start: Int) -> UInt64 {
        let low = UInt128(UInt64(truncatingIfNeeded: sum))
        let mixed =
            reductionKeys[start] &* low &+ reductionKeys[start + 1] &* (sum >> 64)
            &+ reductionKeys[start + 2] &* UInt128(truncatingIfNeeded: count) &+ reductionKeys[start + 3]
        return UInt64(truncatingIfNeeded: mixed >> 64)
    }

    @inline(__always)
    private func product(_ one: UInt64, _ other: UInt64) -> UInt128 {
        let full = one.multipliedFullWidth(by: other)
        return UInt128(full.high) << 64 | UInt128(full.low)
    }
}
