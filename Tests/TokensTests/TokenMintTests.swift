import Foundation
import Octets
import Signatures
import Testing

@testable import Tokens

@Suite struct TokenMintTests {
    @Test func mintedTokensVerify() throws {
        for key in [TestKeys.es256, TestKeys.rs256, TestKeys.ed25519] {
            let body = bytes(claims())
            let made = try TokenMint.token(
                claims: body.span, key: key.key, algorithm: key.algorithm, keyID: key.keyID)
            #expect(outcome(made) == "verified")
            let decoded = try TokenDecode.read(made.span)
            #expect(
                text(decoded.headerText)
                    == "{\"alg\":\"\(key.algorithm.name)\",\"typ\":\"at+jwt\",\"kid\":\"\(key.keyID)\"}")
            #expect(decoded.claimsText == body)
            #expect(decoded.signature.count == key.key.publicKey.signatureBytes)
        }
    }

    @Test func refusesWhatNoVerifierTakes() throws {
        func error(_ claims: String, algorithm: SignatureAlgorithm = .es256) -> MintError? {
            let body = bytes(claims)
            do throws(MintError) {
                _ = try TokenMint.token(
                    claims: body.span, key: TestKeys.es256.key, algorithm: algorithm, keyID: nil, type: nil)
                return nil
            } catch { return error }
        }
        #expect(error("{}") == nil)
        #expect(error("[]") == .invalidClaims(JSONError(.notAnObject, at: 0)))
        #expect(error("{\"a\":1,\"a\":1}") == .invalidClaims(JSONError(.duplicateName, at: 7)))
        #expect(error("{}", algorithm: .rs256) == .key(.algorithmMismatch(.rs256)))
        let long = "{\"a\":\"" + String(repeating: "x", count: 13_000) + "\"}"
        guard case .tooLarge = error(long) else {
            Issue.record("a token over the limit was made")
            return
        }
    }

    @Test func namesAreEscaped() throws {
        let made = try TokenMint.token(
            claims: bytes("{}").span, key: TestKeys.es256.key, algorithm: .es256, keyID: "a\"b\\\n\u{1}é",
            type: nil)
        let decoded = try TokenDecode.read(made.span)
        let read = try ReadText(text(decoded.headerText), .header)
        let root = try #require(read.root)
        let keyID = try #require(read.member("kid", of: root))
        #expect(read.string(keyID) == "a\"b\\\n\u{1}é")
    }

    @Test func privateKeysRoundTrip() throws {
        for algorithm in [SignatureAlgorithm.rs256, .ps384, .es256, .es384, .es512, .ed25519] {
            let made = try PrivateJWK(key: PrivateKey.generate(algorithm), algorithm: algorithm)
            let written = try made.privateText()
            let read = try PrivateJWK(parsing: written.span)
            #expect(read.keyID == made.keyID && read.algorithm == algorithm)
            #expect(read.keyID == JWKText.thumbprint(try made.key.components()))
            #expect(try read.privateText() == written)
            let published = jwks(text(try made.publicText()))
            let set = try KeySet.parse(jwks: published.span, algorithms: [algorithm])
            #expect(set.dropped.isEmpty && set.keys.map(\.algorithm) == [algorithm])
            let issuers = snapshot(settings(algorithms: [algorithm]), keys: set)
            #expect(try outcome(token(signedBy: read), issuers) == "verified")
        }
    }

    @Test func privateKeysWithoutNameOrAlgorithm() throws {
        let es256 = try TestKeys.es256.key.components()
        guard case .ec(_, let x, let y, let d) = es256 else { return }
        let jwk = """
            {"kty":"EC","crv":"P-256","x":"\(encoded(x))","y":"\(encoded(y))","d":"\(encoded(d))"}
            """
        let input = bytes(jwk)
        let read = try PrivateJWK(parsing: input.span)
        #expect(read.algorithm == .es256 && read.keyID == JWKText.thumbprint(es256))
    }

    @Test func badPrivateKeysAreRefused() throws {
        func error(_ jwk: String) -> PrivateJWKError? {
            let input = bytes(jwk)
            do throws(PrivateJWKError) {
                _ = try PrivateJWK(parsing: input.span)
                return nil
            } catch { return error }
        }
        let ed = text(try TestKeys.ed25519.privateText())
        #expect(error(ed) == nil)
        #expect(error("[]") == .invalidJSON(JSONError(.notAnObject, at: 0)))
        #expect(error("{}") == .missingMember("kty"))
        #expect(error(text(try TestKeys.ed25519.publicText())) == .missingMember("d"))
        #expect(error(ed.replacingOccurrences(of: "\"o1\"", with: "1")) == .wrongType("kid"))
        #expect(error(ed.replacingOccurrences(of: "\"OKP\"", with: "\"oct\"")) == .unknownKeyType)
        #expect(
            error(ed.replacingOccurrences(of: "\"Ed25519\",\"x\"", with: "\"X25519\",\"x\""))
                == .unknownKeyType)
        #expect(
            error(ed.replacingOccurrences(of: "\"alg\":\"Ed25519\"", with: "\"alg\":\"none\""))
                == .unknownAlgorithm)
        #expect(
            error(ed.replacingOccurrences(of: "\"alg\":\"Ed25519\"", with: "\"alg\":\"RS256\""))
                == .key(.algorithmMismatch(.rs256)))
        #expect(error(ed.replacingOccurrences(of: "\"d\":\"", with: "\"d\":\"=")) == .badEncoding("d"))
        let other = try TestKeys.es256.privateText()
        let foreign = try TestKeys.foreignES256.privateText()
        let secret = text(foreign).components(separatedBy: "\"d\":")[1]
        let mixed = text(other).components(separatedBy: "\"d\":")[0] + "\"d\":" + secret
        #expect(error(mixed) == .key(.inconsistentKey))
    }

    @Test(arguments: [
        ("a.b.c", TokenRefusal.malformed), ("", .malformed), ("a.b.c.d.e", .encrypted),
        ("e30.e30.AA", .headerMalformed), ("eyJhbGciOiJ4In0.W10.AA", .claimsMalformed),
        (String(repeating: "A", count: 20_000), .tooLarge),
    ])
    func decodeRefuses(_ token: String, _ expected: TokenRefusal) {
        let input = bytes(token)
        do throws(TokenRefusal) {
            _ = try TokenDecode.read(input.span)
            Issue.record("decoded")
        } catch {
            #expect(error == expected)
        }
    }

    /// What nobody would accept is decoded all the same.
    @Test func decodeDoesNotJudge() throws {
        let input = bytes(
            encoded("{\"alg\":\"none\",\"crit\":[1]}") + "." + encoded("{\"exp\":\"x\"}") + ".AA")
        let decoded = try TokenDecode.read(input.span)
        #expect(text(decoded.claimsText) == "{\"exp\":\"x\"}" && decoded.signature == [0])
    }
}
