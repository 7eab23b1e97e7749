import Octets
import Signatures
import Testing

@testable import Tokens

/// One row of the catalogue of attacks: a token and what must become of it.
struct AttackCase: Sendable, CustomTestStringConvertible {
    let id: String
    let what: String
    let token: [UInt8]
    let expected: String
    var issuers: IssuerSnapshot = snapshot()
    var testDescription: String { "\(id) \(what)" }
}

func row(
    _ id: String, _ what: String, _ expected: String, _ issuers: IssuerSnapshot = snapshot(),
    _ make: () throws -> [UInt8]
) -> AttackCase {
    do {
        return AttackCase(id: id, what: what, token: try make(), expected: expected, issuers: issuers)
    } catch {
        preconditionFailure("cannot make \(id) \(what): \(error)")
    }
}

/// Rows that change the header of an otherwise good, well-signed token.
func headerRows(
    _ id: String, _ expected: String, _ changes: [KeyValuePairs<String, String?>],
    signedBy key: PrivateJWK = TestKeys.es256
) -> [AttackCase] {
    changes.map { change in
        row(id, "header \(change)", expected) { try token(header: header(key, change), signedBy: key) }
    }
}

/// Rows that change the claims of an otherwise good, well-signed token.
func claimRows(
    _ id: String, _ expected: String, _ changes: [KeyValuePairs<String, String?>],
    _ issuers: IssuerSnapshot = snapshot()
) -> [AttackCase] {
    changes.map { change in row(id, "claims \(change)", expected, issuers) { try token(claims(change)) } }
}

let compat = snapshot(settings(profile: .compat))

@Suite struct AttackTests {
    @Test(arguments: algorithmRows + headerFormRows + keyRows)
    func headerAndKey(_ attack: AttackCase) {
        #expect(outcome(attack.token, attack.issuers) == attack.expected)
    }

    @Test(arguments: formRows + jsonRows)
    func form(_ attack: AttackCase) {
        #expect(outcome(attack.token, attack.issuers) == attack.expected)
    }

    @Test(arguments: claimTypeRows + dateRows + issuerRows + audienceRows + typeRows)
    func claimsAndTypes(_ attack: AttackCase) {
        #expect(outcome(attack.token, attack.issuers) == attack.expected)
    }

    @Test(arguments: signatureRows)
    func signatures(_ attack: AttackCase) {
        #expect(outcome(attack.token, attack.issuers) == attack.expected)
    }

    /// Every row differs from a token that passes.
    @Test func theTokenThatTheRowsStartFromPasses() throws {
        for key in [TestKeys.es256, TestKeys.rs256, TestKeys.ed25519] {
            #expect(try outcome(token(signedBy: key)) == "verified")
        }
    }
}
