import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

private func refusal<R>(_ body: () throws -> R) -> SigningRefusal? {
    do {
        _ = try body()
        return nil
    } catch {
        return error as? SigningRefusal
    }
}

/// Three people, of whom two must sign.
private struct People {
    let keys: [PrivateKey]
    let names = ["alice", "bo", "carol"]
    let signers: TrustedSigners

    init(required: Int = 2) throws {
        keys = try (0..<3).map { _ in try PrivateKey.generate(.ed25519) }
        signers = try TrustedSigners(jwks: try People.set(zip(names, keys)), required: required)
    }

    static func set(_ keys: some Sequence<(String, PrivateKey)>) throws -> [UInt8] {
        JWKText.set(
            try keys.map { JWKText.publicKey(try $1.components(), keyID: $0, algorithm: .ed25519) })
    }

    func file(_ statement: PolicyStatement, _ who: [Int]) throws -> SignatureFile {
        var file = SignatureFile(statement: statement)
        for number in who { try file.sign(with: keys[number], keyID: names[number]) }
        return file
    }
}

private let one = sha256([1].span)
private let two = sha256([2].span)

@Suite struct SigningTests {
    @Test func statementsHaveOneSpelling() throws {
        let apply = PolicyStatement(version: one, serial: 1_790_000_000)
        let text = String(decoding: apply.text, as: UTF8.self)
        #expect(text == "scopecheck policy statement 1\naction apply\nversion \(one)\nserial 1790000000\n")
        #expect(PolicyStatement(apply.text) == apply)
        let rollback = PolicyStatement(
            version: one, serial: 8, leaving: PolicyStatement.Leaving(version: two, serial: 7))
        let lines = String(decoding: rollback.text, as: UTF8.self)
        #expect(lines.hasSuffix("from \(two)\nfrom-serial 7\n") && lines.contains("action rollback\n"))
        #expect(PolicyStatement(rollback.text) == rollback)
        let bad = [
            "", "\n", text + "\n", String(text.dropLast()), " " + text, text.uppercased(),
            text.replacing("1790000000", with: "01790000000"), text.replacing("1790000000", with: "+5"),
            text.replacing("1790000000", with: "0"), text.replacing("1790000000", with: "-1"),
            text.replacing("1790000000", with: "9223372036854775808"), text.replacing("\n", with: "\r\n"),
            text.replacing("apply", with: "rollback"), lines.replacing("rollback", with: "apply"),
            text.replacing("statement 1", with: "statement 2"), text.replacing("action", with: "do"),
            text.replacing("serial 1", with: "serial  1"), text + "serial 1790000000\n", text + "from \(two)\n",
            text.replacing("\(one)", with: "\(one)".uppercased()), text.replacing("\(one)", with: "\(one)0"),
            String(lines.dropLast("from-serial 7\n".utf8.count)), String(repeating: "x", count: 600),
        ]
        for spelling in bad { #expect(PolicyStatement(Array(spelling.utf8)) == nil, "\(spelling)") }
        #expect(PolicyStatement(apply.text + [0xFF]) == nil && PolicyStatement([0xFF, 0xFE]) == nil)
    }

    @Test func whichKeysOfASetAreNew() throws {
        let before = try People()
        let after = try People.set([("bo", before.keys[1]), ("carol", before.keys[0]), ("dora", before.keys[2])])
        let signers = try TrustedSigners(jwks: after, required: 1)
        // A name with another key is another signer, and so is a key under another name.
        #expect(signers.names(notIn: before.signers) == ["carol", "dora"])
        #expect(before.signers.names(notIn: signers) == ["alice", "carol"])
        #expect(before.signers.names(notIn: before.signers) == [])
    }

    /// Whatever byte is changed, cut off or put in: nothing is accepted that was not signed.
    @Test func noChangedByteIsAccepted() throws {
        let people = try People()
        let file = try people.file(PolicyStatement(version: one, serial: 5), [0, 1])
        let good = file.text
        #expect(try people.signers.approval(ofApplying: one, good).serial == 5)
        for place in good.indices.dropLast() {
            for bit in [UInt8(1), 32] {
                var bytes = good
                bytes[place] ^= bit
                // `\u000A` is `\u000a`: another spelling of the same file.
                if (try? SignatureFile(parsing: bytes)) == file { continue }
                #expect(refusal { try people.signers.approval(ofApplying: one, bytes) } != nil, "byte \(place)")
            }
            #expect(refusal { try people.signers.approval(ofApplying: one, Array(good.prefix(place))) } != nil)
        }
    }

    @Test func filesComeBackAsTheyWere() throws {
        let people = try People()
        let file = try people.file(PolicyStatement(version: one, serial: 5), [0, 1, 2])
        #expect(try SignatureFile(parsing: file.text) == file)
        var again = file
        try again.sign(with: people.keys[0], keyID: "alice")
        #expect(again.entries.count == 3 && again.entries.last?.keyID == "alice")
        let empty = SignatureFile(statement: file.statement)
        #expect(try SignatureFile(parsing: empty.text) == empty)
        #expect(throws: KeyError.self) { try again.sign(with: PrivateKey.generate(.es256), keyID: "x") }
        var many = SignatureFile(statement: file.statement)
        for number in 0...SignatureFile.entriesMax { try many.sign(with: people.keys[0], keyID: "k\(number)") }
        #expect(refusal { try SignatureFile(parsing: many.text) }?.name == "malformed_signatures")
        let large = [UInt8](repeating: 0x20, count: SignatureFile.bytesMax + 1)
        #expect(refusal { try SignatureFile(parsing: large) }?.name == "malformed_signatures")
    }

    @Test func whoMustHaveSigned() throws {
        let people = try People()
        let statement = PolicyStatement(version: one, serial: 5)
        func check(_ who: [Int]) throws -> SigningRefusal? {
            let bytes = try people.file(statement, who).text
            return refusal { try people.signers.approval(ofApplying: one, bytes) }
        }
        #expect(try check([0, 1]) == nil && check([1, 2]) == nil && check([2, 0]) == nil && check([0, 1, 2]) == nil)
        #expect(try check([]) == .unsigned)
        #expect(try check([1]) == .tooFew(valid: 1, required: 2))
        #expect(refusal { try people.signers.approval(ofApplying: one, nil) } == .unsigned)
        let stranger = try PrivateKey.generate(.ed25519)
        var file = try people.file(statement, [0])
        try file.sign(with: stranger, keyID: "mallory")
        #expect(refusal { try people.signers.check(file) } == .unknownKey("mallory"))
        // Beside enough others it does no harm; under a trusted name it does.
        try file.sign(with: people.keys[1], keyID: "bo")
        #expect(refusal { try people.signers.check(file) } == nil)
        try file.sign(with: stranger, keyID: "carol")
        #expect(refusal { try people.signers.check(file) } == .badSignature("carol"))
        // One key under several names is one key.
        var names = SignatureFile(statement: statement)
        for name in ["alice", "alice2", "Alice", "bo "] { try names.sign(with: people.keys[0], keyID: name) }
        #expect(refusal { try people.signers.check(names) } != nil)
    }

    @Test func whatWasSigned() throws {
        let people = try People()
        let apply = try people.file(PolicyStatement(version: one, serial: 5), [0, 1]).text
        func rollback(_ serial: UInt64, _ from: Digest, _ fromSerial: UInt64, _ who: [Int] = [0, 1]) throws -> [UInt8] {
            let leaving = PolicyStatement.Leaving(version: from, serial: fromSerial)
            return try people.file(PolicyStatement(version: two, serial: serial, leaving: leaving), who).text
        }
        let signers = people.signers
        #expect(refusal { try signers.approval(ofApplying: two, apply) } == .wrongVersion(signed: one, found: two))
        #expect(refusal { try signers.approval(ofRollbackTo: one, apply) } == .wrongAction(isRollback: false))
        let back = try rollback(6, one, 5)
        #expect(refusal { try signers.approval(ofApplying: two, back) } == .wrongAction(isRollback: true))
        #expect(refusal { try signers.approval(ofRollbackTo: one, back) } == .wrongVersion(signed: two, found: one))
        #expect(refusal { try signers.approval(ofRollbackTo: two, nil) } == .unsigned)
        let approval = try signers.approval(ofRollbackTo: two, back)
        #expect(approval.serial == 6 && approval.leaving == Approval.Leaving(version: one, serial: 5))
        let prepared = try signers.approval(ofApplying: one, apply, rollbacks: [back])
        #expect(prepared.rollbacks == [PreparedRollback(target: two, signatures: back)])
        for (bytes, name) in [
            (try rollback(6, two, 5), "rollback_not_from_present"),
            (try rollback(6, one, 4), "rollback_not_from_present"),
            (try rollback(5, one, 5), "replayed_serial"), (try rollback(6, one, 5, [0]), "too_few_signatures"),
            (apply, "wrong_action"),
        ] {
            #expect(refusal { try signers.approval(ofApplying: one, apply, rollbacks: [bytes]) }?.name == name)
        }
    }

    @Test func setsOfTrustedKeys() throws {
        let people = try People()
        #expect(people.signers.count == 3 && people.signers.required == 2)
        func made(_ document: [UInt8], _ required: Int = 1) -> TrustedSignersError? {
            do throws(TrustedSignersError) {
                _ = try TrustedSigners(jwks: document, required: required)
                return nil
            } catch {
                return error
            }
        }
        let whole = try People.set(zip(people.names, people.keys))
        #expect(made(whole, 3) == nil)
        #expect(made(whole, 0) == .impossible(required: 0, keys: 3))
        #expect(made(whole, 4) == .impossible(required: 4, keys: 3))
        #expect(made(try People.set([("a", people.keys[0]), ("b", people.keys[0])])) != nil)
        #expect(made(try People.set([("a", people.keys[0]), ("a", people.keys[1])])) != nil)
        #expect(made(try People.set([("", people.keys[0])])) != nil)
        #expect(made(try People.set([(String(repeating: "k", count: 129), people.keys[0])])) != nil)
        let private1 = JWKText.set([
            JWKText.privateKey(try people.keys[0].components(), keyID: "a", algorithm: .ed25519)
        ])
        #expect(made(private1) != nil)
        let curve = try PrivateKey.generate(.es256)
        #expect(
            made(JWKText.set([JWKText.publicKey(try curve.components(), keyID: "a", algorithm: .es256)])) != nil)
        for text in [
            "", "{}", "[]", "{\"keys\":[]}", "{\"keys\":{}}", "{\"keys\":[1]}", "{\"keys\":[{}]}",
            "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"AAAA\"}]}",
        ] {
            #expect(made(Array(text.utf8)) != nil, "\(text)")
        }
        let many = try People.set((0...TrustedSigners.keysMax).map { ("k\($0)", people.keys[0]) })
        #expect(made(many) != nil)
    }
}
