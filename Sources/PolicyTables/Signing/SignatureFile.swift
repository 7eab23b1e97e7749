internal import Octets
public import Signatures
internal import Tokens

/// A statement with the signatures of those who agree, as `policy sign` writes it.
///
/// `{"statement":"scopecheck policy statement 1\n…","signatures":[{"kid":"alice","signature":"base64url"}]}`
public struct SignatureFile: Sendable, Equatable {
    public struct Entry: Sendable, Equatable {
        /// Name of the key, 1 to `keyIDBytesMax` bytes.
        public var keyID: String
        /// Ed25519 (RFC 8032), 64 bytes over the statement's text.
        public var signature: [UInt8]

        public init(keyID: String, signature: [UInt8]) {
            self.keyID = keyID
            self.signature = signature
        }
    }

    public let statement: PolicyStatement
    /// In the order in which they were made, each key ID once.
    public private(set) var entries: [Entry]

    public static let bytesMax = 16_384
    public static let entriesMax = 32
    public static let keyIDBytesMax = 128
    public static let signatureBytes = 64

    public init(statement: PolicyStatement) {
        self.statement = statement
        entries = []
    }

    /// Signs the statement, in place of an earlier signature under the same name.
    /// - Throws: `algorithmMismatch` for a key that is none of Ed25519.
    public mutating func sign(with key: PrivateKey, keyID: String) throws(KeyError) {
        let signature = try key.sign(statement.text.span, .ed25519)
        entries.removeAll { $0.keyID.utf8.elementsEqual(keyID.utf8) }
        entries.append(Entry(keyID: keyID, signature: signature))
    }

    public var text: [UInt8] {
        var list: [UInt8] = []
        for entry in entries {
            var object = JSONObjectWriter()
            object.add("kid", string: entry.keyID)
            object.add("signature", string: String(decoding: Base64URL.encode(entry.signature.span), as: UTF8.self))
            list += (list.isEmpty ? [] : [0x2C]) + object.text()
        }
        var object = JSONObjectWriter()
        object.add("statement", string: String(decoding: statement.text, as: UTF8.self))
        object.add("signatures", json: [0x5B] + list + [0x5D])
        return object.text() + [0x0A]
    }

    /// Reads a file strictly: every member known, of its type and form, once.
    public init(parsing bytes: [UInt8]) throws(SigningRefusal) {
        guard bytes.count <= SignatureFile.bytesMax else {
            throw .malformed("it has more than \(SignatureFile.bytesMax) bytes")
        }
        let index = try SignatureFile.index(bytes.span)
        guard let root = index.root, index.childCount(of: root) == 2,
            let text = index.member("statement", of: root, in: bytes.span)?.string(in: bytes.span),
            let list = index.member("signatures", of: root, in: bytes.span), list.kind == .array
        else { throw .malformed("it is an object of `statement` and `signatures`") }
        guard let statement = PolicyStatement(text) else {
            throw .malformed("its statement is none that this build knows")
        }
        var entries: [Entry] = []
        var item = index.child(after: nil, of: list)
        while let current = item {
            guard entries.count < SignatureFile.entriesMax else {
                throw .malformed("it has more than \(SignatureFile.entriesMax) signatures")
            }
            let entry = try SignatureFile.entry(current, index, bytes.span)
            guard !entries.contains(where: { $0.keyID.utf8.elementsEqual(entry.keyID.utf8) }) else {
                throw .malformed("two signatures are under the name `\(entry.keyID)`")
            }
            entries.append(entry)
            item = index.child(after: current, of: list)
        }
        self.statement = statement
        self.entries = entries
    }

    private static func index(_ text: Span<UInt8>) throws(SigningRefusal) -> JSONIndex {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(
                text,
                limits: JSONLimits(
                    depthMax: 3, membersPerObjectMax: 4, namesMax: 4 * (entriesMax + 2),
                    valuesMax: 4 * (entriesMax + 2),
                    allowsNUL: false))
        } catch {
            throw .malformed("it is not strict JSON: \(error)")
        }
        return index
    }

    private static func entry(
        _ object: JSONValue, _ index: borrowing JSONIndex, _ text: Span<UInt8>
    ) throws(SigningRefusal) -> Entry {
        guard object.kind == .object, index.childCount(of: object) == 2,
            let name = index.member("kid", of: object, in: text)?.string(in: text),
            let signature = index.member("signature", of: object, in: text)?.string(in: text)
        else { throw .malformed("a signature is an object of `kid` and `signature`") }
        guard (1...keyIDBytesMax).contains(name.count), let keyID = String(validating: name, as: UTF8.self) else {
            throw .malformed("a `kid` has 1 to \(keyIDBytesMax) bytes of UTF-8")
        }
        guard let bytes = Base64URL.decode(signature.span), bytes.count == signatureBytes else {
            throw .malformed("the signature of `\(keyID)` is not base64url of \(signatureBytes) bytes")
        }
        return Entry(keyID: keyID, signature: bytes)
    }
}
