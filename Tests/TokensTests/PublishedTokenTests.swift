import Foundation
import Octets
import Signatures
import Testing

@testable import Tokens

/// Tokens and keys that RFCs publish.
@Suite struct PublishedTokenTests {
    static let joe =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

    /// RFC 7515 A.1 to A.4, RFC 8037 A.4, RFC 7520 is below.
    static let examples: [(String, jwk: String, token: String)] = [
        (
            "HS256",
            """
            {"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAz\
            Zr1Z9CAow"}
            """,
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\(joe).dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        ),
        (
            "RS256",
            """
            {"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS\
            2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpa\
            SHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5Ihl\
            JH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}
            """,
            """
            eyJhbGciOiJSUzI1NiJ9.\(joe).cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAu\
            HIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h\
            6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvh\
            J1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw
            """
        ),
        (
            "ES256",
            """
            {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN\
            _tue659LNpXW6pCyStikYjKIWI5a0"}
            """,
            """
            eyJhbGciOiJFUzI1NiJ9.\(joe).DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmW\
            QxfKTUJqPP3-Kg6NU1Q
            """
        ),
        (
            "ES512",
            """
            {"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvL\
            FV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4K\
            kd0AZMaZmh9ubmf63e3kyMj2"}
            """,
            """
            eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZ\
            qwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW\
            9ERBXukOXolLzeO_Jn
            """
        ),
        (
            "Ed25519",
            "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
            """
            eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3A\
            IbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg
            """
        ),
    ]

    static func checked(_ token: String, _ jwks: String) -> SignatureCheckResult {
        let (input, document) = (bytes(token), bytes(jwks))
        do {
            return SignatureCheck.verifySignatureOnly(
                input.span, keys: try SignatureCheckKeys(jwks: document.span))
        } catch {
            Issue.record("the keys were refused: \(error)")
            return .refused(.unknownKey)
        }
    }

    @Test(arguments: examples.indices)
    func verifies(_ index: Int) throws {
        let (algorithm, jwk, token) = Self.examples[index]
        #expect(Self.checked(token, jwk) == .valid(algorithm: algorithm, keyID: nil))
        #expect(Self.checked(token, "{\"keys\":[\(jwk)]}") == .valid(algorithm: algorithm, keyID: nil))
        var changed = token
        changed.removeLast(4)
        changed += token.hasSuffix("AAAA") ? "BBBB" : "AAAA"
        #expect(Self.checked(changed, jwk) == .refused(.signatureInvalid))
    }

    @Test func algorithmsAndKeysAreNotMixed() throws {
        // All keys in one set, none named: each token finds its own by `alg`.
        let all = "{\"keys\":[" + Self.examples.map(\.jwk).joined(separator: ",") + "]}"
        for (algorithm, _, token) in Self.examples {
            #expect(Self.checked(token, all) == .valid(algorithm: algorithm, keyID: nil))
        }
        // A set without the token's kind of key.
        for (position, example) in Self.examples.enumerated() {
            let other = Self.examples[(position + 1) % Self.examples.count]
            #expect(Self.checked(example.token, other.jwk) == .refused(.unknownKey))
        }
    }

    @Test func signatureChecksRefuseWhatAccessTokensDo() throws {
        let key = TestKeys.es256
        let jwk = try key.jwk()
        func result(_ head: String, _ payload: String = "any payload") throws -> SignatureCheckResult {
            Self.checked(text(try token(bytes(payload), header: bytes(head))), jwk)
        }
        let valid = SignatureCheckResult.valid(algorithm: "ES256", keyID: bytes("e1"))
        #expect(try result(header(key)) == valid)
        #expect(try result(header(key, ["typ": "\"dpop+jwt\"", "cty": "\"JWT\""])) == valid)
        #expect(try result(header(key, ["crit": "[\"b64\"]"])) == .refused(.criticalHeader))
        #expect(try result(header(key, ["alg": "\"none\""])) == .refused(.algorithmNotAllowed))
        #expect(try result(header(key, ["alg": "\"RS256\""])) == .refused(.algorithmNotAllowed))
        #expect(try result(header(key, ["alg": "\"HS512\""])) == .refused(.algorithmNotAllowed))
        #expect(try result(header(key, ["alg": nil])) == .refused(.headerMalformed))
        #expect(try result(header(key, ["kid": "\"z\""])) == .refused(.unknownKey))
        #expect(try result(header(key, ["kid": nil])) == .valid(algorithm: "ES256", keyID: nil))
        #expect(try result("{\"alg\":\"ES256\",\"alg\":\"ES256\"}") == .refused(.headerMalformed))
        let nameless = try key.jwk(["kid": nil])
        let named = text(try token(bytes("p"), header: bytes(header(key))))
        #expect(Self.checked(named, nameless) == valid)
    }

    @Test func secretsAreChecked() {
        func dropped(_ jwk: String) -> DroppedKey.Cause? {
            let document = bytes(jwk)
            do throws(KeySetError) {
                _ = try SignatureCheckKeys(jwks: document.span)
                return nil
            } catch {
                guard case .noUsableKey(let keys) = error else { return nil }
                return keys.first?.cause
            }
        }
        let (short, long) = (
            encoded([UInt8](repeating: 1, count: 31)), encoded([UInt8](repeating: 1, count: 32))
        )
        #expect(dropped("{\"kty\":\"oct\",\"k\":\"\(short)\"}") == .secretTooShort)
        #expect(dropped("{\"kty\":\"oct\",\"k\":\"\"}") == .badEncoding("k"))
        #expect(dropped("{\"kty\":\"oct\"}") == .missingMember("k"))
        #expect(dropped("{\"kty\":\"oct\",\"k\":\"\(long)\",\"alg\":\"HS512\"}") == .unknownAlgorithm)
        #expect(dropped("{\"kty\":\"oct\",\"k\":\"\(long)\",\"use\":\"enc\"}") == .notForSignatures)
        #expect(dropped("{\"kty\":\"oct\",\"k\":\"\(long)\",\"alg\":\"HS256\"}") == nil)
    }

    /// RFC 4231 §4.2, §4.3 and §4.7.
    @Test(
        arguments: [
            (
                [UInt8](repeating: 0x0B, count: 20), "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                Array("Jefe".utf8), "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                [UInt8](repeating: 0xAA, count: 131),
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
        ] as [([UInt8], String, String)])
    func hmac(_ key: [UInt8], _ message: String, _ expected: String) {
        let input = bytes(message)
        let mac = hmacSHA256(key, input.span)
        #expect(mac.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() == expected)
    }

    /// RFC 7638 §3.1, RFC 8037 A.3, RFC 9449 §6.1.
    @Test func thumbprints() {
        func decoded(_ text: String) -> [UInt8] { TokensTests.decoded(text) ?? [] }
        let modulus =
            """
            0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebW\
            KRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQM\
            icAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcR\
            wr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw
            """
        let rsa = RSAComponents(
            n: decoded(modulus), e: [1, 0, 1], d: [], p: [], q: [], dp: [], dq: [], qi: [])
        #expect(JWKText.thumbprint(.rsa(rsa)) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
        let ed = KeyComponents.ed25519(x: decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"), d: [])
        #expect(JWKText.thumbprint(ed) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
        let ec = KeyComponents.ec(
            curve: .p256, x: decoded("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"),
            y: decoded("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"), d: [])
        #expect(JWKText.thumbprint(ec) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")
    }

    /// RFC 7520 §4: the compact serialisations of 4.1 to 4.4 verify, everything else is refused.
    @Test func cookbook() throws {
        let files = Vectors.files("jose-cookbook/jws", count: 8)
        guard !files.isEmpty else { return }
        var keys: [String] = []
        for name in ["3_1.ec_public_key", "3_3.rsa_public_key", "3_5.symmetric_key_mac_computation"] {
            let url = Vectors.root.appendingPathComponent("jose-cookbook/jwk/\(name).json")
            keys.append(try String(contentsOf: url, encoding: .utf8))
        }
        let set = "{\"keys\":[" + keys.joined(separator: ",") + "]}"
        for url in files {
            let number = String(url.lastPathComponent.prefix(3))
            let read = try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any]
            let output = try #require(read?["output"] as? [String: Any])
            if let compact = output["compact"] as? String {
                let expected = ["4_1": "RS256", "4_2": "PS384", "4_3": "ES512", "4_4": "HS256"][number]
                switch Self.checked(compact, set) {
                case .valid(let algorithm, _): #expect(algorithm == expected, "\(number)")
                case .refused(let refusal): #expect(expected == nil, "\(number): \(refusal.name)")
                }
            }
            for form in ["json", "json_flat"] {
                guard let object = output[form] else { continue }
                let serialised = text([UInt8](try JSONSerialization.data(withJSONObject: object)))
                guard case .refused = Self.checked(serialised, set) else {
                    Issue.record("\(number) \(form) was taken")
                    continue
                }
            }
        }
    }
}
