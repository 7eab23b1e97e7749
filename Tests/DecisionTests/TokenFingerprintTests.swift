import Testing

@testable import Decision

/// Fingerprints beside schoolbook arithmetic on half words, which shares nothing with what they are made by.
struct TokenFingerprintTests {
    @Test("NH of two small words under keys of 1")
    func workedExample() {
        let keys = TokenFingerprintKeys(
            pairKeys: [UInt64](repeating: 1, count: TokenFingerprintKeys.pairKeysCount),
            reductionKeys: InlineArray { _ in 0 })
        let token: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
        let sums = keys.sums(of: token.span)
        #expect(sums.first == 6 && sums.second == 6)
    }

    @Test(
        "every length to 70 and the longest, beside schoolbook arithmetic",
        arguments: Array(0...70) + [690, 1_023, 16_383, 16_384])
    func reference(count: Int) {
        var words = SplitMix(state: UInt64(count) &+ 0xF00D)
        let pairKeys = (0..<TokenFingerprintKeys.pairKeysCount).map { _ in words.next() }
        let reductionKeys = (0..<TokenFingerprintKeys.reductionKeysCount).map { _ in (words.next(), words.next()) }
        let token = (0..<count).map { _ in UInt8(truncatingIfNeeded: words.next()) }
        let keys = TokenFingerprintKeys(
            pairKeys: pairKeys,
            reductionKeys: InlineArray { UInt128(reductionKeys[$0].0) << 64 | UInt128(reductionKeys[$0].1) })
        let expected = Schoolbook.fingerprint(token, pairKeys: pairKeys, reductionKeys: reductionKeys)
        #expect(keys.fingerprint(of: token.span) == TokenFingerprint(first: expected.0, second: expected.1))
    }

    @Test("one byte more, one less, one changed: another fingerprint")
    func neighbours() {
        let keys = TokenFingerprintKeys()
        let token = Array("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln".utf8)
        var seen = [keys.fingerprint(of: token.span)]
        for count in 0..<token.count { seen.append(keys.fingerprint(of: Array(token.prefix(count)).span)) }
        seen.append(keys.fingerprint(of: (token + [0]).span))
        for place in token.indices {
            for bit in 0..<8 {
                var other = token
                other[place] ^= 1 << UInt8(bit)
                seen.append(keys.fingerprint(of: other.span))
            }
        }
        #expect(Set(seen.map(\.first)).count == seen.count)
        #expect(Set(seen.map(\.second)).count == seen.count)
    }

    @Test("zeroes at the end count, though the last words are filled up with zeroes")
    func zeroes() {
        let keys = TokenFingerprintKeys()
        let seen = (0...64).map { keys.fingerprint(of: [UInt8](repeating: 0, count: $0).span).first }
        #expect(Set(seen).count == seen.count)
    }

    @Test("keys of two workers differ")
    func randomKeys() {
        let token = Array("token".utf8)
        #expect(
            TokenFingerprintKeys().fingerprint(of: token.span) != TokenFingerprintKeys().fingerprint(of: token.span))
    }
}

/// Numbers as 32-bit digits, the lowest first.
private enum Schoolbook {
    static func fingerprint(
        _ token: [UInt8], pairKeys: [UInt64], reductionKeys: [(UInt64, UInt64)]
    ) -> (UInt64, UInt64) {
        var words = stride(from: 0, to: token.count, by: 8).map { start in
            token[start..<min(start + 8, token.count)].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
        if words.count % 2 == 1 { words.append(0) }
        func half(_ shift: Int, _ keys: ArraySlice<(UInt64, UInt64)>) -> UInt64 {
            var sum: [UInt32] = [0, 0, 0, 0]
            for place in stride(from: 0, to: words.count, by: 2) {
                let one = digits(words[place] &+ pairKeys[place + shift])
                let other = digits(words[place + 1] &+ pairKeys[place + 1 + shift])
                sum = add(sum, multiply(one, other))
            }
            let keys = keys.map { digits($0.1) + digits($0.0) }
            var mixed = add(multiply(keys[0], Array(sum[0..<2])), multiply(keys[1], Array(sum[2..<4])))
            mixed = add(mixed, multiply(keys[2], digits(UInt64(token.count))))
            mixed = add(mixed, keys[3])
            return UInt64(mixed[3]) << 32 | UInt64(mixed[2])
        }
        return (half(0, reductionKeys[0..<4]), half(2, reductionKeys[4..<8]))
    }

    static func digits(_ word: UInt64) -> [UInt32] {
        [UInt32(truncatingIfNeeded: word), UInt32(truncatingIfNeeded: word >> 32)]
    }

    /// The lowest four digits of the product.
    static func multiply(_ one: [UInt32], _ other: [UInt32]) -> [UInt32] {
        var result: [UInt32] = [0, 0, 0, 0]
        for (place, digit) in one.enumerated() {
            var carry: UInt64 = 0
            for (offset, factor) in (other + [0, 0, 0, 0]).enumerated() where place + offset < 4 {
                let value = UInt64(digit) * UInt64(factor) + UInt64(result[place + offset]) + carry
                result[place + offset] = UInt32(truncatingIfNeeded: value)
                carry = value >> 32
            }
        }
        return result
    }

    static func add(_ one: [UInt32], _ other: [UInt32]) -> [UInt32] {
        var carry: UInt64 = 0
        return (0..<4).map { place in
            let value = UInt64(one[place]) + UInt64(other[place]) + carry
            carry = value >> 32
            return UInt32(truncatingIfNeeded: value)
        }
    }
}

/// Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
