import Octets
import Signatures
import Testing

@testable import Tokens

@Suite struct KeySetTests {
    static let all = SignatureAlgorithm.allCases

    /// What became of a set of one key: the algorithm it got, or why it was dropped.
    static func single(_ jwk: String, _ algorithms: [SignatureAlgorithm] = all) -> String {
        let document = jwks(jwk)
        do throws(KeySetError) {
            let set = try KeySet.parse(jwks: document.span, algorithms: algorithms)
            return set.keys.map(\.algorithm.name).joined()
        } catch {
            guard case .noUsableKey(let dropped) = error, dropped.count == 1 else { return "\(error)" }
            return "\(dropped[0].cause)"
        }
    }

    @Test func keysGetTheirOneAlgorithm() throws {
        let rsa = try TestKeys.rs256.jwk(["alg": nil])
        #expect(Self.single(try TestKeys.es256.jwk()) == "ES256")
        #expect(Self.single(try TestKeys.es256.jwk(["alg": nil])) == "ES256")
        #expect(Self.single(try TestKeys.es384.jwk(["alg": nil])) == "ES384")
        #expect(Self.single(try TestKeys.ed25519.jwk(["alg": nil])) == "Ed25519")
        #expect(Self.single(try TestKeys.ed25519.jwk(["alg": "\"EdDSA\""])) == "Ed25519")
        #expect(Self.single(try TestKeys.rs256.jwk()) == "RS256")
        #expect(Self.single(try TestKeys.rs256.jwk(["alg": "\"PS512\""])) == "PS512")
        #expect(Self.single(rsa, [.es256, .rs256]) == "RS256")
        #expect(Self.single(rsa, [.es256, .ps256, .rs256]) == "PS256")
        #expect(Self.single(rsa, [.rs512, .rs256]) == "RS512")
        let notAllowed = "\(DroppedKey.Cause.algorithmNotAllowed)"
        #expect(Self.single(rsa, [.es256, .ed25519]) == notAllowed)
        #expect(Self.single(try TestKeys.es384.jwk(["alg": nil]), [.es256, .rs256]) == notAllowed)
        #expect(Self.single(try TestKeys.rs256.jwk(), [.rs512]) == notAllowed)
        #expect(Self.single(try TestKeys.ed25519.jwk(), []) == notAllowed)
    }

    /// B28–B32, B36: keys that are dropped, each with its own cause.
    @Test func badKeysAreDroppedWithTheirCause() throws {
        let ec = TestKeys.es256
        let rsa = TestKeys.rs256
        let okp = TestKeys.ed25519
        let small = encoded([UInt8](repeating: 0xFF, count: 128))
        let huge = encoded([UInt8](repeating: 0xFF, count: 2_048))
        let cases: [(String, DroppedKey.Cause)] = [
            ("5", .notAnObject), ("\"a\"", .notAnObject), ("null", .notAnObject), ("[]", .notAnObject),
            ("{}", .missingMember("kty")), (try ec.jwk(["kty": nil]), .missingMember("kty")),
            (try ec.jwk(["kty": "1"]), .wrongType("kty")), (try ec.jwk(["kty": "\"ec\""]), .unknownKeyType),
            (try ec.jwk(["kty": "\"AKP\""]), .unknownKeyType), (try ec.jwk(["kid": "1"]), .wrongType("kid")),
            (try ec.jwk(["kid": "\"" + String(repeating: "k", count: 1_025) + "\""]), .keyIDTooLong),
            ("{\"kty\":\"oct\",\"k\":\"\(encoded(order32))\",\"alg\":\"HS256\"}", .symmetricKey),
            ("{\"kty\":\"oct\",\"k\":\"\(encoded(order32))\"}", .symmetricKey),
            (try ec.jwk(["d": "\"AQAB\""]), .privateKey(member: "d")),
            (try okp.jwk(["d": "\"AQAB\""]), .privateKey(member: "d")),
            (try rsa.jwk(["d": "\"AQAB\""]), .privateKey(member: "d")),
            (try rsa.jwk(["p": "\"AQAB\""]), .privateKey(member: "p")),
            (try rsa.jwk(["q": "1"]), .privateKey(member: "q")),
            (try rsa.jwk(["dp": "null"]), .privateKey(member: "dp")),
            (try rsa.jwk(["dq": "\"AQAB\""]), .privateKey(member: "dq")),
            (try rsa.jwk(["qi": "\"AQAB\""]), .privateKey(member: "qi")),
            (try rsa.jwk(["oth": "[]"]), .privateKey(member: "oth")),
            (try ec.jwk(["k": "\"AQAB\""]), .privateKey(member: "k")),
            (text(try ec.privateText()), .privateKey(member: "d")),
            (text(try rsa.privateText()), .privateKey(member: "d")),
            (try ec.jwk(["use": "\"enc\""]), .notForSignatures),
            (try ec.jwk(["use": "\"SIG\""]), .notForSignatures),
            (try ec.jwk(["use": "\"\""]), .notForSignatures), (try ec.jwk(["use": "1"]), .wrongType("use")),
            (try ec.jwk(["key_ops": "[]"]), .notForVerification),
            (try ec.jwk(["key_ops": "[\"sign\"]"]), .notForVerification),
            (try ec.jwk(["key_ops": "[\"encrypt\",\"wrapKey\"]"]), .notForVerification),
            (try ec.jwk(["key_ops": "[\"verify\",\"verify\"]"]), .notForVerification),
            (try ec.jwk(["key_ops": "\"verify\""]), .wrongType("key_ops")),
            (try ec.jwk(["key_ops": "[1]"]), .wrongType("key_ops")),
            (try ec.jwk(["alg": "\"none\""]), .unknownAlgorithm),
            (try ec.jwk(["alg": "\"HS256\""]), .unknownAlgorithm),
            (try rsa.jwk(["alg": "\"RSA-OAEP\""]), .unknownAlgorithm),
            (try rsa.jwk(["alg": "\"rs256\""]), .unknownAlgorithm),
            (try ec.jwk(["alg": "1"]), .wrongType("alg")),
            (try ec.jwk(["alg": "\"RS256\""]), .algorithmMismatch),
            (try ec.jwk(["alg": "\"ES384\""]), .algorithmMismatch),
            (try rsa.jwk(["alg": "\"ES256\""]), .algorithmMismatch),
            (try okp.jwk(["alg": "\"ES256\""]), .algorithmMismatch),
            (try ec.jwk(["crv": nil]), .missingMember("crv")),
            (try ec.jwk(["crv": "\"secp256k1\""]), .unknownCurve),
            (try ec.jwk(["crv": "\"p-256\""]), .unknownCurve),
            (try okp.jwk(["crv": "\"Ed448\""]), .unknownCurve),
            (try okp.jwk(["crv": "\"X25519\""]), .unknownCurve),
            (try okp.jwk(["crv": "\"P-256\""]), .unknownCurve),
            (try ec.jwk(["crv": "\"P-384\"", "alg": nil]), .badKey(.wrongLength(expected: 48, actual: 32))),
            (try ec.jwk(["y": nil]), .missingMember("y")), (try ec.jwk(["y": "1"]), .wrongType("y")),
            (try ec.jwk(["x": "\"\""]), .badEncoding("x")),
            (try ec.jwk(["x": "\"AA==\""]), .badEncoding("x")),
            (try ec.jwk(["x": "\"A+/A\""]), .badEncoding("x")),
            (try ec.jwk(["x": "\"AB\""]), .badEncoding("x")),
            (try ec.jwk(["x": "\"\(encoded(order32))\""]), .badKey(.pointNotOnCurve)),
            (try rsa.jwk(["n": "\"\(small)\""]), .badKey(.modulusTooSmall(bits: 1_024))),
            (try rsa.jwk(["n": "\"\(huge)\""]), .badKey(.modulusTooLarge(bits: 16_384))),
            (try rsa.jwk(["e": "\"AQ\""]), .badKey(.badExponent)),
            (try rsa.jwk(["e": "\"Ag\""]), .badKey(.badExponent)),
            (try rsa.jwk(["e": "\"_________w\""]), .badKey(.badExponent)),
            (try rsa.jwk(["e": nil]), .missingMember("e")),
            (try okp.jwk(["x": "\"AQAB\""]), .badKey(.wrongLength(expected: 32, actual: 3))),
        ]
        for (jwk, cause) in cases { #expect(Self.single(jwk) == "\(cause)", "\(jwk.prefix(200))") }
        let lowOrder = encoded([UInt8](repeating: 0, count: 32))
        #expect(
            Self.single(try okp.jwk(["x": "\"\(lowOrder)\""])) == "\(DroppedKey.Cause.badKey(.lowOrderPoint))"
        )
    }

    @Test func harmlessMembersAreIgnored() throws {
        let more: [String: String?] = [
            "x5c": "[\"MIIB\"]", "x5u": "\"https://evil.example\"", "x5t": "5", "ext": "true",
            "exp": "\"soon\"",
            "key_ops": "[\"sign\",\"verify\"]", "revoked": "{}",
        ]
        for key in [TestKeys.es256, TestKeys.rs256, TestKeys.ed25519] {
            #expect(Self.single(try key.jwk(more)) == key.algorithm.name)
        }
        #expect(Self.single(try TestKeys.es256.jwk(["use": nil, "kid": nil])) == "ES256")
    }

    @Test func goodKeysSurviveBadOnes() throws {
        let document = jwks(
            "{\"kty\":\"oct\",\"kid\":\"s\",\"k\":\"AAAA\"}", try TestKeys.es256.jwk(),
            try TestKeys.rs256.jwk(["use": "\"enc\""]),
            "7", try TestKeys.ed25519.jwk())
        let set = try KeySet.parse(jwks: document.span, algorithms: Self.all, fetchedAt: 99)
        #expect(set.keys.map(\.keyID) == [bytes("e1"), bytes("o1")] && set.fetchedAt == 99)
        #expect(
            set.dropped == [
                DroppedKey(keyID: bytes("s"), position: 0, cause: .symmetricKey),
                DroppedKey(keyID: bytes("r1"), position: 2, cause: .notForSignatures),
                DroppedKey(keyID: nil, position: 3, cause: .notAnObject),
            ])
        #expect(set.dropped[0].description.hasPrefix("key 0 `s`: is a shared secret"))
        #expect(try outcome(token(), snapshot(keys: set)) == "verified")
    }

    @Test func duplicatesAreBothDropped() throws {
        let first = try TestKeys.es256.jwk()
        let second = try TestKeys.foreignES256.jwk()
        let document = jwks(first, second, try TestKeys.ed25519.jwk(["kid": "\"e1\""]))
        let set = try KeySet.parse(jwks: document.span, algorithms: Self.all)
        // Another algorithm under the same name is no duplicate: `alg` tells them apart.
        #expect(set.keys.map(\.algorithm) == [.ed25519])
        #expect(set.dropped.map(\.cause) == [.duplicateKeyID, .duplicateKeyID])
        let same = jwks(first, first)
        #expect(throws: KeySetError.self) { try keySet(same) }
        // A twin that is dropped for itself does no harm.
        let unused = jwks(first, try TestKeys.foreignES256.jwk(["use": "\"enc\""]))
        #expect(try keySet(unused).keys.count == 1)
        // Names are compared after unescaping.
        let escaped = jwks(first, try TestKeys.foreignES256.jwk(["kid": "\"\\u0065\\u0031\""]))
        #expect(throws: KeySetError.self) { try keySet(escaped) }
    }

    @Test func documentsThatAreNoSets() throws {
        func error(_ document: String) -> KeySetError? {
            let input = bytes(document)
            do throws(KeySetError) {
                _ = try KeySet.parse(jwks: input.span, algorithms: Self.all)
                return nil
            } catch { return error }
        }
        let key = try TestKeys.es256.jwk()
        #expect(error("") == .invalidJSON(JSONError(.empty, at: 0)))
        #expect(error("<html>") == .invalidJSON(JSONError(.notAnObject, at: 0)))
        #expect(error("[\(key)]") == .invalidJSON(JSONError(.notAnObject, at: 0)))
        #expect(error("{}") == .notAKeySet)
        #expect(error(key) == .notAKeySet)
        #expect(error("{\"keys\":{}}") == .notAKeySet)
        #expect(error("{\"keys\":null}") == .notAKeySet)
        #expect(error("{\"keys\":[]}") == .noUsableKey([]))
        #expect(error("{\"Keys\":[\(key)]}") == .notAKeySet)
        if case .invalidJSON(let json) = error("{\"keys\":[\(key)],\"keys\":[]}") {
            #expect(json.cause == .duplicateName)
        } else {
            Issue.record("a duplicate `keys` was taken")
        }
        #expect(error("{\"keys\":[\(key)],\"more\":[1]}") == nil)
        let many = [String](repeating: "{}", count: 257).joined(separator: ",")
        #expect(error("{\"keys\":[\(many)]}") == .tooManyKeys(257))
        let padding = String(repeating: " ", count: TokenLimits.keySetBytesMax)
        #expect(
            error("{\"keys\":[\(key)]}" + padding)
                == .tooLarge(bytes: key.utf8.count + 11 + padding.utf8.count))
    }

    @Test func twoHundredFiftySixKeysAreTaken() throws {
        let keys = try (0..<256).map { try TestKeys.ed25519.jwk(["kid": "\"k\($0)\""]) }
        let document = bytes("{\"keys\":[\(keys.joined(separator: ","))]}")
        #expect(try keySet(document).keys.count == 256)
    }

    @Test func generationsDiffer() {
        let sets = (0..<10).map { _ in KeySet(keys: [TestKeys.es256.verificationKey], fetchedAt: now) }
        #expect(Set(sets.map(\.generation)).count == 10)
    }

    @Test func causesAreFitForATerminal() {
        let key = DroppedKey(keyID: bytes("a\u{1B}[31m\n"), position: 1, cause: .unknownCurve)
        #expect(
            key.description
                == "key 1 `a\u{FFFD}[31m\u{FFFD}`: `crv` is none of P-256, P-384, P-521 and Ed25519")
    }
}

private let order32 = [UInt8](repeating: 0x5A, count: 32)
