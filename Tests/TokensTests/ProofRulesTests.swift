import Octets
import Signatures
import Testing

@testable import Tokens

@Suite struct ProofRulesTests {
    @Test("algorithms are kept in their order, each once, and no others are allowed")
    func algorithms() {
        let lists: [[SignatureAlgorithm]] = [
            [], [.es256], [.ed25519, .rs256], [.rs256, .ed25519], SignatureAlgorithm.allCases,
            SignatureAlgorithm.allCases.reversed(), [.es256, .es256, .rs256, .es256],
            SignatureAlgorithm.allCases + SignatureAlgorithm.allCases,
        ]
        for list in lists {
            let rules = ProofRules(algorithms: list, ageSecondsMax: 1, aheadSecondsMax: 1)
            var found: [SignatureAlgorithm] = []
            while let algorithm = rules.algorithm(found.count) { found.append(algorithm) }
            #expect(Set(found) == Set(list) && Set(found).count == found.count)
            #expect(found == list.reduce(into: []) { if !$0.contains($1) { $0.append($1) } })
            for algorithm in SignatureAlgorithm.allCases {
                #expect(rules.allows(algorithm) == list.contains(algorithm))
            }
            for index in [Int.min, -1, 10, 15, 16, 64, .max] { #expect(rules.algorithm(index) == nil) }
        }
    }

    @Test("which of two nonces a proof had; without a demand, neither")
    func nonces() throws {
        let key = try PrivateKey.generate(.es256)
        let token = bytes(accessToken)
        func proof(_ nonce: String?) throws -> [UInt8] {
            try ProofMint.proof(
                method: "GET", uri: "https://api.example.com/v1/orders", issuedAt: TokensTests.now,
                tokenDigest: sha256(token.span), nonce: nonce, key: key, algorithm: .es256)
        }
        let asked = Asked().with { $0.nonces = ["new", "old"] }
        #expect(try !proved(proof("new"), asked).hasPreviousNonce)
        #expect(try proved(proof("old"), asked).hasPreviousNonce)
        #expect(try !proved(proof("old")).hasPreviousNonce)
        #expect(try proofOutcome(proof("older"), asked) == "nonce_mismatch")
        // One nonce alone is the current one.
        #expect(try !proved(proof("new"), Asked().with { $0.nonces = ["new", "new"] }).hasPreviousNonce)
    }
}
