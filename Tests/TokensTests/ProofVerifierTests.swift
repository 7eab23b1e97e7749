import Octets
import Signatures
import Testing

@testable import Tokens

@Suite struct ProofVerifierTests {
    /// RFC 9449 figures 2, 7 and 13: one key, the first two for token endpoints.
    enum Published {
        static let header =
            """
            eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUkl\
            DUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2\
            R2R1JEQSIsImNydiI6IlAtMjU2In19
            """
        static let figure2 =
            """
            \(header).eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4Y\
            W1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtF\
            LbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg
            """
        static let figure7 =
            """
            \(header).eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4Y\
            W1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjY1Mjk2fQ.pAqut2IRDm_De6PR93SYmGBPXpwrAk90e8cP2hjiaG5QsGSuK\
            DYW7_X620BxqhvYC8ynrrvZLTk41mSRroapUA
            """
        static let figure13 =
            """
            \(header).eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5le\
            GFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05y\
            V0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqy\
            Vnmcw6Fy1dqd-jfxSYoMxhAJpLjA
            """
        static let thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
        static let key =
            """
            {"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",\
            "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}
            """

        static let resource = Asked(
            method: "GET", isSecure: true, host: "resource.example.org", port: 443, path: "/protectedresource",
            now: 1_562_262_618)
        static func tokenEndpoint(_ now: Int64) -> Asked {
            Asked(
                method: "POST", isSecure: true, host: "server.example.com", port: 443, path: "/token", now: now)
        }
    }

    @Test func figure13() throws {
        #expect(tokenHash() == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo")
        let asked = Published.resource
        let found = try proved(bytes(Published.figure13), asked)
        #expect(encoded(found.thumbprint.bytes) == Published.thumbprint)
        #expect(found.issuedAt == 1_562_262_618 && found.acceptableThrough == 1_562_262_678)
        let bound = asked.with { $0.boundKey = digest(Published.thumbprint) }
        #expect(proofOutcome(bytes(Published.figure13), bound) == "proved")
        let input = found.thumbprint.bytes + bytes("e1j3V_bKic8-LAEB")
        #expect(found.replayKey == sha256(input.span))
        #expect(proofOutcome(bytes(Published.figure13), asked.with { $0.now += 61 }) == "iat_too_old")
        #expect(proofOutcome(bytes(Published.figure13), asked.with { $0.path = "/other" }) == "htu_mismatch")
    }

    /// Good signatures and claims, but no `ath`: they are for token endpoints.
    @Test(arguments: [
        (Published.figure2, 1_562_262_616 as Int64), (Published.figure7, 1_562_265_296 as Int64),
    ])
    func tokenEndpointFigures(_ figure: String, _ issuedAt: Int64) throws {
        let asked = Published.tokenEndpoint(issuedAt)
        #expect(proofOutcome(bytes(figure), asked) == "ath_missing")
        #expect(proofOutcome(bytes(figure), asked.with { $0.method = "GET" }) == "htm_mismatch")
        #expect(proofOutcome(bytes(figure), asked.with { $0.now += 61 }) == "iat_too_old")
        let (set, input) = (bytes(Published.key), bytes(figure))
        let keys = try SignatureCheckKeys(jwks: set.span)
        let result = SignatureCheck.verifySignatureOnly(input.span, keys: keys)
        #expect(result == .valid(algorithm: "ES256", keyID: nil))
    }

    /// The thumbprint that a proof with this key is compared by; its signature is nobody's.
    static func isBound(_ jwk: String, alg: String, to thumbprint: String) -> Bool {
        let header = "{\"typ\":\"dpop+jwt\",\"alg\":\"\(alg)\",\"jwk\":\(jwk)}"
        let made = bytes("\(encoded(header)).\(encoded(proofClaims())).AAAA")
        return proofOutcome(made, Asked().with { $0.boundKey = digest(thumbprint) }) == "signature_invalid"
    }

    /// RFC 7638 §3.1, RFC 8037 A.3, RFC 9449 §6.1; members in any order, with others between, however spelled.
    @Test func publishedThumbprints() {
        let n =
            """
            0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebW\
            KRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQM\
            icAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcR\
            wr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw
            """
        let rsa = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        let ec = Published.thumbprint
        let okp = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        let zeros = encoded([0, 0] + (decoded(n) ?? []))
        let rows = [
            (rsa, "RS256", "{\"kty\":\"RSA\",\"n\":\"\(n)\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}"),
            (rsa, "PS256", "{\"e\":\"AQAB\",\"x\":{\"y\":1},\"n\":\"\(n)\",\"kty\":\"RSA\"}"),
            (rsa, "RS256", "{\"kty\":\"RSA\",\"n\":\"\(zeros)\",\"e\":\"AAEAAQ\"}"),
            (rsa, "RS256", "{\"kty\":\"RSA\",\"n\":\"\(n)\",\"e\":\"AQ\\u0041B\"}"),
            (ec, "ES256", Published.key),
            (
                okp, "EdDSA",
                "{\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"crv\":\"Ed25519\",\"kty\":\"OKP\"}"
            ),
            (
                okp, "Ed25519",
                "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"\\u00311qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"
            ),
        ]
        for (thumbprint, alg, jwk) in rows {
            #expect(Self.isBound(jwk, alg: alg, to: thumbprint), "\(jwk)")
            #expect(!Self.isBound(jwk, alg: alg, to: thumbprint == rsa ? ec : rsa), "\(jwk)")
        }
    }

    /// Every algorithm, minted and checked, with the thumbprint that keys are named by.
    @Test func everyAlgorithm() throws {
        let token = bytes(accessToken)
        for algorithm in SignatureAlgorithm.allCases {
            let key = try PrivateKey.generate(algorithm)
            let made = try ProofMint.proof(
                method: "GET", uri: "https://api.example.com/v1/orders", issuedAt: now,
                tokenDigest: sha256(token.span), key: key, algorithm: algorithm)
            let name = JWKText.thumbprint(try key.components())
            let found = try proved(made, Asked().with { $0.boundKey = digest(name) })
            #expect(encoded(found.thumbprint.bytes) == name, "\(algorithm)")
            #expect(proofOutcome(made, Asked().with { $0.algorithms = [algorithm] }) == "proved")
            let others = SignatureAlgorithm.allCases.filter { $0 != algorithm }
            #expect(proofOutcome(made, Asked().with { $0.algorithms = others }) == "algorithm_not_allowed")
        }
    }

    /// The longest key that is taken fits into a proof.
    @Test func longestKey() throws {
        let key = try PrivateJWK(key: PrivateKey.generate(.rs256, modulusBits: 4_096), algorithm: .rs256)
        let made = try proof(signedBy: key)
        #expect(made.count < ProofLimits.proofBytesMax)
        let found = try proved(made)
        #expect(try found.thumbprint == thumbprint(key))
    }

    @Test func mintedProofsSayWhatTheyAreAskedTo() throws {
        let made = try ProofMint.proof(
            method: "POST", uri: "https://a.example/", issuedAt: 17, tokenDigest: nil, nonce: "n\"1", proofID: "p",
            key: TestKeys.es256.key, algorithm: .es256)
        let read = try TokenDecode.read(made.span)
        #expect(
            text(read.claimsText)
                == "{\"jti\":\"p\",\"htm\":\"POST\",\"htu\":\"https://a.example/\",\"iat\":17,\"nonce\":\"n\\\"1\"}")
        let header = text(read.headerText)
        #expect(
            header.hasPrefix("{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":")
        )
        #expect(!header.contains("\"d\":") && !header.contains("\"kid\":"))
        let again = try ProofMint.proof(
            method: "GET", uri: "https://a.example/", issuedAt: 17, tokenDigest: nil, key: TestKeys.es256.key,
            algorithm: .es256)
        let third = try ProofMint.proof(
            method: "GET", uri: "https://a.example/", issuedAt: 17, tokenDigest: nil, key: TestKeys.es256.key,
            algorithm: .es256)
        let (second, other) = (try TokenDecode.read(again.span), try TokenDecode.read(third.span))
        #expect(second.claimsText != other.claimsText)
    }

    /// B38, B39: what a replay cache keeps is the same for every spelling of one proof identifier and target, and
    /// another one for another key or identifier.
    @Test func replayKeys() throws {
        let first = try proved(proof())
        for change: KeyValuePairs<String, String?> in [
            ["jti": "\"\\u0070-1\""], ["htu": "\"HTTPS://API.example.com:443/v1/%6frders?again#x\""],
            ["iat": "\(now - 9)"],
            ["x": "1"],
        ] {
            let again = try proved(proof(proofClaims(change)))
            #expect(again.replayKey == first.replayKey, "\(change)")
        }
        let other = try proved(proof(proofClaims(["jti": "\"P-1\""])))
        #expect(other.replayKey != first.replayKey && other.thumbprint == first.thumbprint)
        let foreign = try proved(proof(signedBy: TestKeys.foreignES256))
        #expect(foreign.replayKey != first.replayKey && foreign.thumbprint != first.thumbprint)
        let post = try proved(proof(proofClaims(["htm": "\"POST\""])), Asked().with { $0.method = "POST" })
        #expect(post.replayKey == first.replayKey)
    }

    /// B40: `acceptableThrough` is the last second at which the same proof passes, however far ahead its `iat` is.
    @Test func acceptableThroughIsTheLastSecond() throws {
        for issued in ["\(now)", "\(now + 5)", "\(now - 60)", "\(now).999", "\(now - 3).5"] {
            let made = try proof(proofClaims(["iat": issued]))
            let found = try proved(made)
            let last = found.acceptableThrough
            #expect(proofOutcome(made, Asked().with { $0.now = last }) == "proved", "\(issued)")
            #expect(proofOutcome(made, Asked().with { $0.now = last + 1 }) == "iat_too_old", "\(issued)")
        }
    }

    /// One verifier sees many proofs and keys; nothing of one reaches the next.
    @Test func stateDoesNotLeakBetweenProofs() throws {
        let verifier = ProofVerifier()
        let keys = [TestKeys.es256, TestKeys.es384, TestKeys.rs256, TestKeys.ed25519, TestKeys.foreignES256]
        let good = try keys.map { ($0, try proof(signedBy: $0)) }
        let bad: [([UInt8], String)] = [
            (bytes("x"), "malformed"), (try proof(header: "{}"), "header_malformed"),
            (try proof(header: proofHeader(TestKeys.foreignES256)), "signature_invalid"),
            (try proof(proofClaims(["htm": "\"POST\""])), "htm_mismatch"),
            (try proof(proofClaims(["jti": "\"\(String(repeating: "x", count: 1_000))\""])), "jti_too_long"),
        ]
        for _ in 0..<2 {
            for (key, made) in good {
                for (other, expected) in bad {
                    #expect(proofOutcome(other, verifier: verifier) == expected)
                    let found = try proved(made, verifier: verifier)
                    #expect(try found.thumbprint == thumbprint(key))
                }
            }
        }
        #expect(verifier.preparedKeys == keys.count)
    }

    /// One RSA key with two algorithms is two prepared keys, and neither answers for the other.
    @Test func algorithmsOfOneKeyAreKeptApart() throws {
        let verifier = ProofVerifier()
        let pss = try PrivateJWK(key: TestKeys.rs256.key, algorithm: .ps256)
        let (first, second) = (try proof(signedBy: TestKeys.rs256), try proof(signedBy: pss))
        for _ in 0..<2 {
            #expect(proofOutcome(first, verifier: verifier) == "proved")
            #expect(proofOutcome(second, verifier: verifier) == "proved")
        }
        #expect(verifier.preparedKeys == 2)
    }

    /// Keys that nothing vouches for are kept only once they have signed; those of tokens at once.
    @Test func whichKeysAreKept() throws {
        let verifier = ProofVerifier()
        let forged = try proof(header: proofHeader(TestKeys.es256), signedBy: TestKeys.foreignES256)
        #expect(proofOutcome(forged, verifier: verifier) == "signature_invalid")
        #expect(verifier.preparedKeys == 0)
        let bound = ProofRefusalTests.boundTo(TestKeys.es256)
        #expect(proofOutcome(forged, bound, verifier: verifier) == "signature_invalid")
        #expect(verifier.preparedKeys == 1)
        #expect(proofOutcome(forged, verifier: verifier) == "signature_invalid")
        #expect(try proofOutcome(proof(), verifier: verifier) == "proved")
        let invalid = try proof(header: proofHeader(TestKeys.es256, ["jwk": proofJWK(TestKeys.es256, ["y": "\"AA\""])]))
        #expect(proofOutcome(invalid, verifier: verifier) == "key_invalid")
        #expect(verifier.preparedKeys == 1)
    }

    /// More clients than there is room for: the table stays bounded and every answer right.
    @Test func preparedKeysAreBounded() throws {
        let verifier = ProofVerifier()
        let keys = try (0..<400).map { _ in try PrivateJWK(key: PrivateKey.generate(.ed25519), algorithm: .ed25519) }
        for round in 0..<2 {
            for key in keys {
                let found = try proved(proof(signedBy: key), verifier: verifier)
                #expect(try found.thumbprint == thumbprint(key))
                #expect(verifier.preparedKeys <= ProofLimits.preparedKeysMax)
            }
            #expect(verifier.preparedKeys > ProofLimits.preparedKeysMax / 2, "round \(round)")
        }
    }

    @Test func theLeastRecentlyUsedMakesRoom() throws {
        var cache = ProofKeyCache()
        let verifier = try PreparedVerifier(key: TestKeys.ed25519.key.publicKey, algorithm: .ed25519)
        // One set: the same remainder of the first word.
        func name(_ number: UInt8) throws -> Digest {
            let value = [UInt8](repeating: 0, count: 31) + [number]
            guard let digest = Digest(value.span) else { throw Mismatch("no digest") }
            return digest
        }
        for number in 0..<4 as Range<UInt8> {
            #expect(try cache.find(name(number), .ed25519) == nil)
            try cache.insert(verifier, name(number))
        }
        #expect(try cache.find(name(0), .ed25519) === verifier)
        #expect(try cache.find(name(0), .es256) == nil)
        #expect(try cache.find(name(4), .ed25519) == nil)
        try cache.insert(verifier, name(4))
        #expect(cache.count == 4)
        #expect(try cache.find(name(1), .ed25519) == nil)
        for number: UInt8 in [0, 2, 3, 4] { #expect(try cache.find(name(number), .ed25519) === verifier) }
    }
}
