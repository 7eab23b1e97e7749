import Octets
import Signatures
import Testing

/// B23, B24 and B31 under every curve, on the signature alone.
@Suite struct AttackSignatureTests {
    /// Orders of the curves (SP 800-186 §3.2.1).
    static let curves: [(SignatureAlgorithm, String)] = [
        (.es256, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
        (
            .es384,
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
        ),
        (
            .es512,
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5"
                + "c9b8899c47aebb6fb71e91386409"
        ),
    ]

    private func number(_ order: [UInt8], plus more: Int) -> [UInt8] {
        var (result, carry) = (order, more)
        for index in result.indices.reversed() {
            let digit = Int(result[index]) + carry
            result[index] = UInt8(digit & 0xFF)
            carry = digit >> 8
        }
        return result
    }

    /// Zeros in front, or bytes in front cut off.
    private func resized(_ half: ArraySlice<UInt8>, to width: Int) -> [UInt8] {
        [UInt8](repeating: 0, count: max(0, width - half.count)) + half.suffix(width)
    }

    @Test("B23: halves of 0, n, n + 1 and the largest number", arguments: curves.indices)
    func halves(_ curve: Int) throws {
        let (algorithm, text) = Self.curves[curve]
        let order = hexadecimal(text)
        let width = order.count
        let key = try PrivateKey.generate(algorithm)
        let verifier = try PreparedVerifier(key: key.publicKey, algorithm: algorithm)
        let message = bytes("message")
        let good = try key.sign(message.span, algorithm)
        #expect(good.count == 2 * width && verifier.verifies(message, good))
        let (r, s) = (Array(good[..<width]), Array(good[width...]))
        let numbers = [
            [UInt8](repeating: 0, count: width), order, number(order, plus: 1), number(order, plus: -1),
            [UInt8](repeating: 0xFF, count: width), number([UInt8](repeating: 0, count: width), plus: 1),
        ]
        for one in numbers {
            #expect(!verifier.verifies(message, one + s) && !verifier.verifies(message, r + one))
            for other in numbers { #expect(!verifier.verifies(message, one + other)) }
        }
        #expect(!verifier.verifies(message, s + r) && !verifier.verifies(bytes("massage"), good))
    }

    @Test("B24: a signature has its curve's length and no other", arguments: curves.indices)
    func lengths(_ curve: Int) throws {
        let (algorithm, text) = Self.curves[curve]
        let width = text.utf8.count / 2
        let key = try PrivateKey.generate(algorithm)
        let verifier = try PreparedVerifier(key: key.publicKey, algorithm: algorithm)
        let message = bytes("message")
        let good = try key.sign(message.span, algorithm)
        for count in 0...300 {
            let changed = Array((good + [UInt8](repeating: 0, count: 200)).prefix(count))
            #expect(verifier.verifies(message, changed) == (count == 2 * width), "\(count)")
        }
        // Both halves as wide as another curve's, and one byte wider or narrower.
        for other in [32, 48, 66, width + 1, width - 1] where other != width {
            let halves = resized(good[..<width], to: other) + resized(good[width...], to: other)
            #expect(!verifier.verifies(message, halves), "\(other)")
        }
    }

    @Test("B31: an S that is the right one plus the order")
    func edwards() throws {
        let order = Array(hexadecimal("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed").reversed())
        let key = try PrivateKey.generate(.ed25519)
        let verifier = try PreparedVerifier(key: key.publicKey, algorithm: .ed25519)
        let message = bytes("message")
        let good = try key.sign(message.span, .ed25519)
        var (changed, carry) = (good, 0)
        for index in 0..<32 {
            let digit = Int(good[32 + index]) + Int(order[index]) + carry
            changed[32 + index] = UInt8(digit & 0xFF)
            carry = digit >> 8
        }
        #expect(verifier.verifies(message, good) && !verifier.verifies(message, changed))
    }
}
