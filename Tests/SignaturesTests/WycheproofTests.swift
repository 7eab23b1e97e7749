import Foundation
import Signatures
import Testing

/// Project Wycheproof's signature vectors. `acceptable` ones are refused, and so are all those of a key that
/// is refused.
@Suite("Wycheproof")
struct WycheproofTests {
    struct VectorFile: Sendable, CustomTestStringConvertible {
        var name: String
        var algorithm: SignatureAlgorithm
        var cases: Int
        var valid: Int
        var testDescription: String { name }
    }

    static let files = [
        VectorFile(name: "ecdsa_secp256r1_sha256_p1363_test", algorithm: .es256, cases: 262, valid: 173),
        VectorFile(name: "ecdsa_secp384r1_sha384_p1363_test", algorithm: .es384, cases: 280, valid: 193),
        VectorFile(name: "ed25519_test", algorithm: .ed25519, cases: 151, valid: 88),
        VectorFile(name: "rsa_pss_2048_sha256_mgf1_32_test", algorithm: .ps256, cases: 108, valid: 63),
        VectorFile(name: "rsa_signature_2048_sha256_test", algorithm: .rs256, cases: 259, valid: 9),
    ]

    private struct Document: Decodable { var testGroups: [Group] }

    private struct Group: Decodable {
        var publicKey: Key
        var tests: [Case]
    }

    private struct Key: Decodable {
        var wx, wy, pk, modulus, publicExponent: String?

        func load(_ algorithm: SignatureAlgorithm) throws -> PublicKey {
            if let modulus, let publicExponent {
                return try .rsa(
                    modulus: hexadecimal(modulus).span, exponent: hexadecimal(publicExponent).span)
            }
            if let wx, let wy {
                let curve = algorithm == .es256 ? Curve.p256 : .p384
                return try .ec(
                    curve: curve, x: fixed(hexadecimal(wx), curve.coordinateBytes).span,
                    y: fixed(hexadecimal(wy), curve.coordinateBytes).span)
            }
            return try .ed25519(hexadecimal(try #require(pk)).span)
        }
    }

    private struct Case: Decodable {
        var tcId: Int
        var comment, msg, sig, result: String
    }

    @Test(
        "no vector is judged otherwise",
        .enabled(if: Vectors.areThere(cases: 1_060, of: "Wycheproof signatures")), arguments: files)
    func vectors(_ file: VectorFile) throws {
        let document = try Vectors.decode(Document.self, from: "wycheproof/\(file.name).json")
        var cases = 0
        var verified = 0
        for group in document.testGroups {
            let key = try? group.publicKey.load(file.algorithm)
            let verifier = try key.map { try PreparedVerifier(key: $0, algorithm: file.algorithm) }
            for vector in group.tests {
                let message = hexadecimal(vector.msg)
                let signature = hexadecimal(vector.sig)
                let answer = verifier?.verify(message: message.span, signature: signature.span) ?? false
                let judged: Comment = "\(file.name) \(vector.tcId) \(vector.comment): \(vector.result)"
                #expect(answer == (vector.result == "valid"), judged)
                cases += 1
                verified += answer ? 1 : 0
            }
        }
        #expect(cases == file.cases)
        #expect(verified == file.valid)
    }
}
