internal import Octets
internal import PolicyTables
public import Signatures
internal import Tokens

/// A publication as it is sent and kept: the statement, who signed it, and the file.
///
///     {"statement":"scopecheck publication statement 1\n…","kid":"ci-2026","signature":"…","file":"…"}
///
/// Signature and file are base64url without padding; a withdrawal has no file.
public struct SignedPublication: Sendable, Equatable {
    public let statement: PublicationStatement
    /// Names the key of the publisher.
    public let keyID: String
    /// In JWS form: 64 bytes.
    public let signature: [UInt8]
    /// Empty for a withdrawal.
    public let file: [UInt8]

    /// Of the whole text; a file is a quarter smaller at most.
    public static let bytesMax = 4 << 20
    public static let fileBytesMax = 3_000_000

    init(_ statement: PublicationStatement, keyID: String, signature: [UInt8], file: [UInt8]) {
        self.statement = statement
        self.keyID = keyID
        self.signature = signature
        self.file = file
    }

    /// - Throws: what the signing throws.
    public static func sign(
        _ statement: PublicationStatement, file: [UInt8], key: PrivateKey, algorithm: SignatureAlgorithm, keyID: String
    ) throws(KeyError) -> SignedPublication {
        let signature = try key.sign(statement.text.span, algorithm)
        return SignedPublication(statement, keyID: keyID, signature: signature, file: file)
    }

    public var text: [UInt8] {
        var writer = JSONObjectWriter()
        writer.add("statement", string: String(decoding: statement.text, as: UTF8.self))
        writer.add("kid", string: keyID)
        writer.add("signature", string: String(decoding: Base64URL.encode(signature.span), as: UTF8.self))
        if case .publish = statement.action {
            writer.add("file", string: String(decoding: Base64URL.encode(file.span), as: UTF8.self))
        }
        return writer.text()
    }

    /// Reads what came from outside. Nothing in it is verified, but that the file is the one that the statement names.
    public static func read(_ text: [UInt8]) throws(PublicationRefusal) -> SignedPublication {
        guard text.count <= SignedPublication.bytesMax else {
            throw PublicationRefusal(
                .tooLarge,
                "the publication has \(text.count) bytes, \(SignedPublication.bytesMax) are the most; "
                    + "publish a smaller file")
        }
        let index = try index(text)
        guard let root = index.root, root.kind == .object else {
            throw PublicationRefusal(
                .malformed, "the publication is no JSON object; send what `scopecheck publish` sends")
        }
        let statementText = try member("statement", of: root, index, text)
        guard let statement = PublicationStatement(statementText) else {
            throw PublicationRefusal(
                .malformed, "the statement of the publication is not of its form; sign it with `scopecheck publish`")
        }
        let keyID = try member("kid", of: root, index, text)
        guard (1...128).contains(keyID.count), keyID.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw PublicationRefusal(.malformed, "`kid` of the publication is not 1 to 128 visible ASCII signs")
        }
        let signature = try decoded("signature", of: root, index, text)
        var file: [UInt8] = []
        var members = 3
        if case .publish(let digest, _) = statement.action {
            members = 4
            file = try decoded("file", of: root, index, text)
            try check(file, is: digest)
        }
        guard index.childCount(of: root) == members else {
            throw PublicationRefusal(.malformed, "the publication has a member that is not known")
        }
        return SignedPublication(
            statement, keyID: String(decoding: keyID, as: UTF8.self), signature: signature, file: file)
    }

    private static func index(_ text: [UInt8]) throws(PublicationRefusal) -> JSONIndex {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(text.span, limits: JSONLimits(depthMax: 2, membersPerObjectMax: 4, allowsNUL: false))
        } catch {
            throw PublicationRefusal(.malformed, "the publication is not a strict JSON object: \(error)")
        }
        return index
    }

    private static func check(_ file: [UInt8], is digest: Digest) throws(PublicationRefusal) {
        guard file.count <= SignedPublication.fileBytesMax else {
            throw PublicationRefusal(
                .tooLarge, "the file has \(file.count) bytes, \(SignedPublication.fileBytesMax) are the most")
        }
        guard sha256(file.span) == digest else {
            throw PublicationRefusal(.wrongFile, "the file is not the one that the statement names by its SHA-256")
        }
    }

    private static func member(
        _ name: StaticString, of root: JSONValue, _ index: borrowing JSONIndex, _ text: [UInt8]
    ) throws(PublicationRefusal) -> [UInt8] {
        guard let value = index.member(name, of: root, in: text.span), let bytes = value.string(in: text.span) else {
            throw PublicationRefusal(.malformed, "the publication has no text `\(name)`")
        }
        return bytes
    }

    private static func decoded(
        _ name: StaticString, of root: JSONValue, _ index: borrowing JSONIndex, _ text: [UInt8]
    ) throws(PublicationRefusal) -> [UInt8] {
        let encoded = try member(name, of: root, index, text)
        guard let bytes = Base64URL.decode(encoded.span) else {
            throw PublicationRefusal(.malformed, "`\(name)` of the publication is not unpadded base64url")
        }
        return bytes
    }

    /// Whether one of the publisher's keys, the one it names, has signed the statement.
    func verify(_ publisher: PublisherModel) throws(PublicationRefusal) {
        guard let key = publisher.keys.first(where: { $0.keyID.utf8.elementsEqual(keyID.utf8) }) else {
            throw PublicationRefusal(
                .unknownKey,
                "the publisher \(quoted(publisher.name)) has no key \(quoted(keyID)); it has "
                    + "\(quotedList(publisher.keys.map(\.keyID)))")
        }
        let text = statement.text
        // DENY: nothing of the file has been looked at before; a key that cannot be prepared verifies nothing.
        guard let publicKey = try? key.publicKey(),
            let verifier = try? PreparedVerifier(key: publicKey, algorithm: key.algorithm),
            verifier.verify(message: text.span, signature: signature.span)
        else {
            throw PublicationRefusal(
                .badSignature, "the signature is not that of the key \(quoted(keyID)) of \(quoted(publisher.name))")
        }
    }
}
