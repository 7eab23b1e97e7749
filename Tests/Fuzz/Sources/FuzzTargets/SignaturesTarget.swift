internal import Octets
@testable internal import Policy
@testable internal import PolicyTables
internal import Signatures
internal import Tokens

/// What people sign of policies, and who may. The first byte chooses what the rest is.
///
/// * A statement: it has one spelling, and none is of both kinds.
/// * A file of signatures: it means the same when it is written again, and counts only with signatures of as many
///   different trusted keys as it takes, each checked by itself.
/// * A set of trusted keys, which can require no more than there are.
/// * An apply or a rollback that the target signs, with some of four keys, and then changes or asks for another version
///   of: approved exactly when a list of what is wrong with it is empty.
@Sendable func fuzzSignatures(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    switch input.byte() % 4 {
    case 0: fuzzStatement(input.rest())
    case 1: fuzzSignatureFile(input.rest())
    case 2: fuzzTrustedKeys(required: Int(input.byte()), input.rest())
    default: fuzzApproval(&input)
    }
}

private func fuzzStatement(_ text: [UInt8]) {
    let statement = PolicyStatement(text)
    let publication = PublicationStatement(text)
    check(statement == nil || publication == nil, "a signature counts for a policy and for a publication")
    if let statement {
        check(statement.text == text, "a statement has two spellings")
        check(text.count <= PolicyStatement.textBytesMax, "a statement beyond the limit")
        check((1...PolicyStatement.serialMax).contains(statement.serial), "a serial beyond the limit")
    }
    if let publication {
        check(publication.text == text, "a publication has two spellings")
        check(text.count <= PublicationStatement.bytesMax, "a publication's statement beyond the limit")
        check(PublicationStatement.isService(publication.service), "a service that no folder can be called like")
        if case .publish(_, let ttl) = publication.action {
            check((0...PublicationStatement.ttlSecondsLimit).contains(ttl), "a publication beyond its longest time")
        }
    }
}

private func fuzzSignatureFile(_ bytes: [UInt8]) {
    guard let file = try? SignatureFile(parsing: bytes) else { return }
    check((try? SignatureFile(parsing: file.text)) == file, "a file of signatures changes when it is written")
    check(PolicyStatement(file.statement.text) == file.statement, "a statement changes when it is written")
    check(Set(file.entries.map { Array($0.keyID.utf8) }).count == file.entries.count, "one name signs twice")
    check(file.entries.count <= SignatureFile.entriesMax, "more signatures than the limit")
    for required in 1...3 {
        guard let trusted = FixedSigners.trusted(required) else { return check(false, "the fixed keys cannot be used") }
        let isApproved = (try? trusted.check(file)) != nil
        check(isApproved == (FixedSigners.isSigned(file, by: required)), "signatures count otherwise than one by one")
    }
}

private func fuzzTrustedKeys(required: Int, _ document: [UInt8]) {
    guard let trusted = try? TrustedSigners(jwks: document, required: required) else { return }
    check(trusted.required == required && required >= 1, "another number of signatures is required")
    check(trusted.count >= required && trusted.count <= TrustedSigners.keysMax, "more are required than there are")
    check((try? TrustedSigners(jwks: document, required: trusted.count + 1)) == nil, "nobody could ever sign")
    check((try? TrustedSigners(jwks: document, required: 0)) == nil, "no signature is required")
}

// MARK: Approvals

private func fuzzApproval(_ input: inout Input) {
    let shape = input.byte()
    let signedBy = input.byte()
    let required = 1 + Int(input.byte() % 3)
    let version = digest(input.byte())
    let asked = shape & 1 == 0 ? version : digest(input.byte())
    let serial = UInt64(input.word()) + 1
    var statement = PolicyStatement(version: version, serial: serial)
    if shape & 2 != 0 { statement.leaving = .init(version: digest(input.byte()), serial: UInt64(input.word())) }
    guard let trusted = FixedSigners.trusted(required) else { return check(false, "the fixed keys cannot be used") }
    let file = FixedSigners.sign(statement, signedBy)
    let text = changed(file.text, &input, shape & 4 != 0)
    let approval =
        shape & 8 == 0
        ? try? trusted.approval(ofApplying: asked, text) : try? trusted.approval(ofRollbackTo: asked, text)
    let isWanted =
        (statement.leaving == nil) == (shape & 8 == 0) && version == asked
        && FixedSigners.isSigned(file, by: required)
    if text == file.text {
        check((approval != nil) == isWanted, "an approval that nobody gave, or a refusal of a good one")
    } else if approval != nil {
        // What is changed may mean the same as what was signed, and nothing else.
        let read = try? SignatureFile(parsing: text)
        check(isWanted || read.map { FixedSigners.isSigned($0, by: required) } ?? false, "a change counts as signed")
        check(read?.statement == statement, "a statement that nobody signed")
    }
    guard let approval else { return }
    check(approval.serial == serial, "another serial than the one that was signed")
    check(approval.leaving == statement.leaving, "another version is left than the one that was signed")
    if shape & 8 == 0 { prepare(&input, text, version, serial, trusted, required) }
}

/// A rollback that is signed beforehand.
private func prepare(
    _ input: inout Input, _ text: [UInt8], _ version: Digest, _ serial: UInt64, _ trusted: TrustedSigners,
    _ required: Int
) {
    let shape = input.byte()
    var statement = PolicyStatement(version: digest(input.byte()), serial: serial &+ UInt64(input.byte()) &- 3)
    if shape & 1 == 0 {
        statement.leaving = .init(
            version: shape & 2 == 0 ? version : digest(input.byte()), serial: shape & 4 == 0 ? serial : serial &+ 1)
    }
    let file = FixedSigners.sign(statement, input.byte())
    let approval = try? trusted.approval(ofApplying: version, text, rollbacks: [file.text])
    let isWanted =
        statement.leaving == .init(version: version, serial: serial) && statement.serial > serial
        && statement.serial <= PolicyStatement.serialMax && FixedSigners.isSigned(file, by: required)
    check((approval != nil) == isWanted, "a rollback is kept that nobody signed, or a good one is refused")
    check(
        approval.map { $0.rollbacks.map(\.target) == [statement.version] } ?? true,
        "a rollback to another version than the one that was signed")
}

private func digest(_ number: UInt8) -> Digest { sha256([number].span) }

private func changed(_ text: [UInt8], _ input: inout Input, _ isChanged: Bool) -> [UInt8] {
    guard isChanged, !text.isEmpty else { return text }
    var result = text
    let place = Int(input.word())
    result[place % result.count] = input.byte()
    return result
}

/// Three trusted keys and one that is not, made from constants. No one else uses them.
private enum FixedSigners {
    private static let pairs = [
        ("a", "5_FioQvsVZr-oZXk3OhLaVaNXSywlj60RsBoXisX8vA", "ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-P0A"),
        ("b", "rcFAEfgtHFbZVqpPnXPYhYNhpgYEhSXg0Ixjjcdd2Mc", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2A"),
        ("c", "iC0Oo7KGTnpYfz5pjOpEWZmDEuZV4F-l6LURnYuqyM0", "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1-f4A"),
        ("d", "AgvUJ0RrcjQk2A0srTUro982SdDvj6rgyn6yVEOUGyk", "gYKDhIWGh4iJiouMjY6PkJGSk5SVlpeYmZqbnJ2en6A"),
    ]
    private static let keys: [PrivateJWK] = pairs.compactMap { name, x, d in
        let text = #"{"kty":"OKP","crv":"Ed25519","kid":"\#(name)","alg":"EdDSA","x":"\#(x)","d":"\#(d)"}"#
        return try? PrivateJWK(parsing: Array(text.utf8).span)
    }
    private static let sets: [TrustedSigners] = (1...3).compactMap { required in
        let list = pairs.prefix(3).map { #"{"kty":"OKP","crv":"Ed25519","kid":"\#($0.0)","x":"\#($0.1)"}"# }
        return try? TrustedSigners(jwks: Array("{\"keys\":[\(list.joined(separator: ","))]}".utf8), required: required)
    }

    static func trusted(_ required: Int) -> TrustedSigners? {
        sets.count == 3 && keys.count == 4 ? sets[required - 1] : nil
    }

    /// - Parameter mask: a bit for each key; bit 4 puts the last one's signature under the name of the first.
    static func sign(_ statement: PolicyStatement, _ mask: UInt8) -> SignatureFile {
        var file = SignatureFile(statement: statement)
        for (number, key) in keys.enumerated() where mask & 1 << UInt8(number) != 0 {
            do throws(KeyError) {
                try file.sign(with: key.key, keyID: mask & 0x10 != 0 && number == 3 ? "a" : key.keyID)
            } catch {
                check(false, "a fixed key cannot sign")
            }
        }
        return file
    }

    /// Every signature under a trusted name is that key's, and there are enough of them.
    static func isSigned(_ file: SignatureFile, by required: Int) -> Bool {
        let text = file.statement.text
        var good = 0
        for entry in file.entries {
            guard let key = keys.prefix(3).first(where: { $0.keyID == entry.keyID }) else { continue }
            guard let verifier = try? PreparedVerifier(key: key.key.publicKey, algorithm: .ed25519),
                verifier.verify(message: text.span, signature: entry.signature.span)
            else { return false }
            good += 1
        }
        return good >= required
    }
}
