import Foundation
import Signatures
import Testing

/// The worked examples of RFC 7520 §3 and §4.1 to §4.3.
@Suite("RFC 7520")
struct CookbookTests {
    private struct Key: Decodable {
        var n, e, d, p, q, dp, dq, qi, x, y: String?

        func part(_ text: String?) throws -> [UInt8] {
            let text = try #require(text)
            return try #require(decoded(text))
        }

        func components(_ algorithm: SignatureAlgorithm) throws -> KeyComponents {
            if algorithm == .es512 {
                return .ec(curve: .p521, x: try part(x), y: try part(y), d: try part(d))
            }
            return .rsa(
                RSAComponents(
                    n: try part(n), e: try part(e), d: try part(d), p: try part(p), q: try part(q),
                    dp: try part(dp), dq: try part(dq), qi: try part(qi)))
        }
    }

    private struct Example: Decodable {
        struct Input: Decodable { var key: Key }
        struct Output: Decodable { var compact: String }
        var input: Input
        var output: Output
    }

    static let examples: [(String, SignatureAlgorithm)] = [
        ("4_1.rsa_v15_signature", .rs256), ("4_2.rsa-pss_signature", .ps384), ("4_3.ecdsa_signature", .es512),
    ]

    @Test(
        "the examples verify, and their keys sign",
        .enabled(if: Vectors.areThere(cases: 3, of: "RFC 7520 signatures")), arguments: examples)
    func example(_ name: String, _ algorithm: SignatureAlgorithm) throws {
        let example = try Vectors.decode(Example.self, from: "jose-cookbook/jws/\(name).json")
        let parts = example.output.compact.split(separator: ".", omittingEmptySubsequences: false)
        try #require(parts.count == 3)
        let message = bytes(parts[0] + "." + parts[1])
        let signature = try #require(decoded(String(parts[2])))
        let components = try example.input.key.components(algorithm)
        let key = try PrivateKey(components)
        let verifier = try PreparedVerifier(key: key.publicKey, algorithm: algorithm)
        #expect(verifier.verifies(message, signature))
        let own = try key.sign(message.span, algorithm)
        #expect(verifier.verifies(message, own))
        if algorithm == .rs256 { #expect(own == signature, "RS256 has one signature for a message") }
        #expect(try key.components() == components)
    }
}
