import Signatures
import Testing

@Suite("a public key is refused when it is")
struct PublicKeyTests {
    /// An odd number of exactly `bits` bits; no product of two primes, which loading does not ask for.
    static func modulus(bits: Int) -> [UInt8] {
        var number = [UInt8](repeating: 0xA7, count: (bits + 7) / 8)
        let top = (bits - 1) % 8
        number[0] = UInt8(1) << UInt8(top) | (number[0] & (UInt8(1) << UInt8(top) &- 1))
        number[number.count - 1] |= 1
        return number
    }

    static let usualExponent: [UInt8] = [1, 0, 1]

    func rsaError(_ modulus: [UInt8], _ exponent: [UInt8]) -> KeyError? {
        do throws(KeyError) {
            _ = try PublicKey.rsa(modulus: modulus.span, exponent: exponent.span)
            return nil
        } catch {
            return error
        }
    }

    @Test("an RSA modulus of the wrong size")
    func modulusBits() throws {
        for bits in [1, 8, 512, 1_024, 2_040, 2_047] {
            let error = rsaError(PublicKeyTests.modulus(bits: bits), PublicKeyTests.usualExponent)
            #expect(error == .modulusTooSmall(bits: bits))
        }
        for bits in [8_193, 8_200, 16_384, 100_000] {
            let error = rsaError(PublicKeyTests.modulus(bits: bits), PublicKeyTests.usualExponent)
            #expect(error == .modulusTooLarge(bits: bits))
        }
        for bits in [2_048, 2_049, 3_072, 4_095, 8_192] {
            let modulus = PublicKeyTests.modulus(bits: bits)
            let key = try PublicKey.rsa(modulus: modulus.span, exponent: PublicKeyTests.usualExponent.span)
            #expect(key.kind == .rsa(bits: bits))
            #expect(key.signatureBytes == (bits + 7) / 8)
        }
        #expect(rsaError([], PublicKeyTests.usualExponent) == .modulusTooSmall(bits: 0))
        let zeros = [UInt8](repeating: 0, count: 256)
        #expect(rsaError(zeros, PublicKeyTests.usualExponent) == .modulusTooSmall(bits: 0))
        // Zeros in front are not bits.
        let padded = [UInt8](repeating: 0, count: 200) + PublicKeyTests.modulus(bits: 1_024)
        #expect(rsaError(padded, PublicKeyTests.usualExponent) == .modulusTooSmall(bits: 1_024))
        var even = PublicKeyTests.modulus(bits: 2_048)
        even[255] &= 0xFE
        #expect(rsaError(even, PublicKeyTests.usualExponent) == .evenModulus)
    }

    @Test("an RSA exponent outside odd, 3 ≤ e < 2^33")
    func exponent() {
        let modulus = PublicKeyTests.modulus(bits: 2_048)
        let refused: [[UInt8]] = [
            [], [0], [1], [2], [4], [0, 0, 0, 0, 0, 0, 1], [1, 0, 0], [2, 0, 0, 0, 1], [3, 0, 0, 0, 1],
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [1, 0, 0, 0, 0, 0, 0, 0, 3], [UInt8](repeating: 0xFF, count: 256),
        ]
        for exponent in refused { #expect(rsaError(modulus, exponent) == .badExponent, "\(exponent)") }
        let taken: [[UInt8]] = [
            [3], [17], [1, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 3], [0xFF, 0xFF, 0xFF, 0xFF],
            [1, 0xFF, 0xFF, 0xFF, 0xFF],
        ]
        for exponent in taken { #expect(rsaError(modulus, exponent) == nil, "\(exponent)") }
    }

    func ecError(_ curve: Curve, _ x: [UInt8], _ y: [UInt8]) -> KeyError? {
        do throws(KeyError) {
            _ = try PublicKey.ec(curve: curve, x: x.span, y: y.span)
            return nil
        } catch {
            return error
        }
    }

    @Test("an EC point off its curve, or of the wrong length", arguments: Curve.allCases)
    func points(_ curve: Curve) throws {
        let algorithm: SignatureAlgorithm =
            switch curve {
            case .p256: .es256
            case .p384: .es384
            case .p521: .es512
            }
        let components = try PrivateKey.generate(algorithm).components()
        guard case .ec(curve, let x, let y, _) = components else {
            Issue.record("another kind of key")
            return
        }
        #expect(ecError(curve, x, y) == nil)
        let length = curve.coordinateBytes
        var off = y
        off[length - 1] ^= 1
        let zero = [UInt8](repeating: 0, count: length)
        let full = [UInt8](repeating: 0xFF, count: length)
        for (badX, badY) in [(x, off), (y, x), (zero, zero), (full, full), (x, full), (full, y)] {
            #expect(ecError(curve, badX, badY) == .pointNotOnCurve)
        }
        #expect(ecError(curve, Array(x.dropLast()), y) == .wrongLength(expected: length, actual: length - 1))
        #expect(ecError(curve, x, [0] + y) == .wrongLength(expected: length, actual: length + 1))
        #expect(ecError(curve, [], y) == .wrongLength(expected: length, actual: 0))
        for other in Curve.allCases where other != curve { #expect(ecError(other, x, y) != nil) }
    }

    @Test("a P-256 coordinate of p or more, a second spelling of a point")
    func coordinateTooLarge() {
        // x = 5 lies on P-256; x + p still fits 32 bytes and must not count as 5.
        let y = hexadecimal("459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc")
        #expect(ecError(.p256, fixed([5], 32), y) == nil)
        let prime = hexadecimal("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff")
        var large = prime
        // p ends in ff…ff, so adding 5 carries up to the 1.
        large.replaceSubrange(20..<32, with: [UInt8](repeating: 0, count: 11) + [4])
        large[19] = 1
        #expect(ecError(.p256, large, y) == .pointNotOnCurve)
    }

    func edwardsError(_ key: [UInt8]) -> KeyError? {
        do throws(KeyError) {
            _ = try PublicKey.ed25519(key.span)
            return nil
        } catch {
            return error
        }
    }

    @Test("an Ed25519 point of low order, in every spelling")
    func lowOrder() {
        let zeros = String(repeating: "00", count: 30)
        let ones = String(repeating: "ff", count: 30)
        let eight = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc"
        let other = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03"
        let canonical = [
            "01" + zeros + "00", "01" + zeros + "80", "ec" + ones + "7f", "ec" + ones + "ff",
            "00" + zeros + "00", "00" + zeros + "80", eight + "05", eight + "85", other + "7a", other + "fa",
        ]
        for text in canonical { #expect(edwardsError(hexadecimal(text)) == .lowOrderPoint, "\(text)") }
        // p, p + 1, … 2^255 − 1, with either sign.
        for low in 0xED...0xFF {
            for high in ["7f", "ff"] {
                let text = String(low, radix: 16) + ones + high
                #expect(edwardsError(hexadecimal(text)) == .nonCanonicalPoint, "\(text)")
            }
        }
    }

    @Test("an Ed25519 key that is no point, or not 32 bytes")
    func noPoint() {
        // Of y = 2 … 19 those that some x fits, computed by the curve equation.
        let onCurve: Set<UInt8> = [3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 19]
        for y in UInt8(2)...19 {
            let error = edwardsError([y] + [UInt8](repeating: 0, count: 31))
            #expect(error == (onCurve.contains(y) ? nil : .pointNotOnCurve), "\(y)")
        }
        for count in [0, 1, 31, 33, 64] {
            let error = edwardsError([UInt8](repeating: 9, count: count))
            #expect(error == .wrongLength(expected: 32, actual: count))
        }
    }

    @Test("an algorithm of another kind or curve")
    func algorithmMatrix() throws {
        for owner in [SignatureAlgorithm.rs256, .es256, .es384, .es512, .ed25519] {
            let key = try PrivateKey.generate(owner)
            for algorithm in SignatureAlgorithm.allCases {
                let isRSA = owner == .rs256 && algorithm.rawValue <= SignatureAlgorithm.ps512.rawValue
                let fits = isRSA || owner == algorithm
                #expect(key.publicKey.fits(algorithm) == fits, "\(owner) \(algorithm)")
                if fits {
                    _ = try PreparedVerifier(key: key.publicKey, algorithm: algorithm)
                } else {
                    #expect(throws: KeyError.algorithmMismatch(algorithm)) {
                        _ = try PreparedVerifier(key: key.publicKey, algorithm: algorithm)
                    }
                    #expect(throws: KeyError.algorithmMismatch(algorithm)) {
                        _ = try key.sign(bytes("m").span, algorithm)
                    }
                }
            }
        }
    }

    @Test("every message says what is wrong and how to mend it")
    func messages() {
        let errors: [KeyError] = [
            .modulusTooSmall(bits: 1_024), .modulusTooLarge(bits: 16_384), .evenModulus, .badExponent,
            .pointNotOnCurve, .lowOrderPoint, .nonCanonicalPoint, .wrongLength(expected: 32, actual: 31),
            .algorithmMismatch(.es384), .inconsistentKey, .openssl(operation: "BN_new", code: 7),
        ]
        for error in errors {
            let text = error.description
            #expect(text.contains(";") || text.contains("must"), "\(text)")
            #expect(!text.hasSuffix("."), "\(text)")
        }
        #expect(KeyError.algorithmMismatch(.es384).description.contains("`ES384`"))
    }
}
