internal import Octets
public import Signatures
internal import Tokens

/// The keys whose signatures count, and how many of them it takes.
public struct TrustedSigners: Sendable {
    private struct Signer: Sendable {
        var keyID: String
        var key: PublicKey
        /// The key itself.
        var point: [UInt8]
    }

    private let signers: [Signer]
    /// Distinct keys that must have signed; 1 to the number of keys.
    public let required: Int

    public static let keysMax = 64
    public static let fileBytesMax = 1 << 20

    public var count: Int { signers.count }

    /// Reads a JWK set (RFC 7517 §5) of Ed25519 keys with `kid`.
    ///
    /// Anything that is not as it should be refuses the whole set: a key that was left out unnoticed, or counted twice
    /// under two names, would change how many people it takes.
    public init(jwks document: [UInt8], required: Int) throws(TrustedSignersError) {
        guard document.count <= TrustedSigners.fileBytesMax else {
            throw .unreadable("it has more than \(TrustedSigners.fileBytesMax) bytes")
        }
        let index = try TrustedSigners.index(document.span)
        guard let root = index.root, let list = index.member("keys", of: root, in: document.span),
            list.kind == .array
        else { throw .unreadable("it is no object with a `keys` array (RFC 7517 §5)") }
        var found: [Signer] = []
        var points: Set<[UInt8]> = []
        var position = 0
        var item = index.child(after: nil, of: list)
        while let current = item {
            guard position < TrustedSigners.keysMax else { throw .tooMany }
            let signer = try TrustedSigners.signer(current, index, document.span, position)
            guard !found.contains(where: { $0.keyID.utf8.elementsEqual(signer.keyID.utf8) }) else {
                throw .badKey(position, "another key has its `kid` `\(signer.keyID)`")
            }
            guard points.insert(signer.point).inserted else {
                throw .badKey(position, "`\(signer.keyID)` is the same key as another under a second name")
            }
            found.append(signer)
            position += 1
            item = index.child(after: current, of: list)
        }
        guard !found.isEmpty else { throw .unreadable("it has no keys") }
        guard (1...found.count).contains(required) else { throw .impossible(required: required, keys: found.count) }
        signers = found
        self.required = required
    }

    private static func index(_ text: Span<UInt8>) throws(TrustedSignersError) -> JSONIndex {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(text, limits: .keySet)
        } catch {
            throw .unreadable("it is not strict JSON: \(error)")
        }
        return index
    }

    private static func signer(
        _ object: JSONValue, _ index: borrowing JSONIndex, _ text: Span<UInt8>, _ position: Int
    ) throws(TrustedSignersError) -> Signer {
        func member(_ name: StaticString) -> String? {
            index.member(name, of: object, in: text)?.string(in: text).map { String(decoding: $0, as: UTF8.self) }
        }
        guard object.kind == .object, member("kty") == "OKP", member("crv") == "Ed25519" else {
            throw .badKey(position, "it is no Ed25519 key (`kty` OKP, `crv` Ed25519)")
        }
        guard index.member("d", of: object, in: text) == nil else {
            throw .badKey(position, "it has the private member `d`; list the public half only and replace the key")
        }
        guard let keyID = member("kid"), (1...SignatureFile.keyIDBytesMax).contains(keyID.utf8.count) else {
            throw .badKey(position, "it has no `kid` of 1 to \(SignatureFile.keyIDBytesMax) bytes")
        }
        guard let x = member("x"), let point = Base64URL.decode(Array(x.utf8).span) else {
            throw .badKey(position, "`x` of `\(keyID)` is not unpadded base64url")
        }
        do throws(KeyError) {
            return Signer(keyID: keyID, key: try .ed25519(point.span), point: point)
        } catch {
            throw .badKey(position, "`\(keyID)`: \(error)")
        }
    }

    /// The names under which the other set does not have the same key.
    public func names(notIn other: TrustedSigners) -> [String] {
        signers.filter { one in
            !other.signers.contains { $0.keyID.utf8.elementsEqual(one.keyID.utf8) && $0.point == one.point }
        }.map(\.keyID)
    }

    /// What one signature is worth.
    public enum Verdict: String, Sendable {
        case good
        /// Under a trusted name, and not made with that key over this statement.
        case wrong
        /// None of the trusted keys has that name.
        case untrusted
    }

    /// Each signature of a file by itself, in the file's order.
    public func verdicts(on file: SignatureFile) -> [Verdict] {
        let text = file.statement.text
        return file.entries.map { entry in
            guard let signer = signers.first(where: { $0.keyID.utf8.elementsEqual(entry.keyID.utf8) }) else {
                return .untrusted
            }
            let verifier = try? PreparedVerifier(key: signer.key, algorithm: .ed25519)
            guard let verifier, verifier.verify(message: text.span, signature: entry.signature.span) else {
                return .wrong
            }
            return .good
        }
    }

    /// Whether enough trusted keys have signed the file's statement.
    ///
    /// Every signature under a trusted name must be good: one that is not says that something else was signed.
    public func check(_ file: SignatureFile) throws(SigningRefusal) {
        guard !file.entries.isEmpty else { throw .unsigned }
        let verdicts = verdicts(on: file)
        if let wrong = verdicts.firstIndex(of: .wrong) { throw .badSignature(file.entries[wrong].keyID) }
        // Names are unique in the file and keys in the set, so that each counts once.
        let valid = verdicts.count { $0 == .good }
        guard valid < required else { return }
        if let unknown = verdicts.firstIndex(of: .untrusted), valid == 0 || valid + 1 == required {
            throw .unknownKey(file.entries[unknown].keyID)
        }
        throw .tooFew(valid: valid, required: required)
    }

    /// The approval of an apply of exactly this version.
    public func approval(
        ofApplying version: Digest, _ bytes: [UInt8]?, rollbacks: [[UInt8]] = []
    ) throws(SigningRefusal) -> Approval {
        guard let bytes else { throw .unsigned }
        let file = try SignatureFile(parsing: bytes)
        try check(file)
        guard file.statement.leaving == nil else { throw .wrongAction(isRollback: true) }
        guard file.statement.version == version else {
            throw .wrongVersion(signed: file.statement.version, found: version)
        }
        var prepared: [PreparedRollback] = []
        for bytes in rollbacks {
            let rollback = try SignatureFile(parsing: bytes)
            try check(rollback)
            guard let leaving = rollback.statement.leaving else { throw .wrongAction(isRollback: false) }
            guard leaving.version == version, leaving.serial == file.statement.serial else {
                throw .notFromPresent(leaving.version)
            }
            guard rollback.statement.serial > file.statement.serial else {
                throw .replayed(serial: rollback.statement.serial, highest: file.statement.serial)
            }
            prepared.append(PreparedRollback(target: rollback.statement.version, signatures: bytes))
        }
        return Approval(serial: file.statement.serial, signatures: bytes, rollbacks: prepared)
    }

    /// The approval of a rollback to exactly this version.
    public func approval(ofRollbackTo version: Digest, _ bytes: [UInt8]?) throws(SigningRefusal) -> Approval {
        guard let bytes else { throw .unsigned }
        let file = try SignatureFile(parsing: bytes)
        try check(file)
        guard let leaving = file.statement.leaving else { throw .wrongAction(isRollback: false) }
        guard file.statement.version == version else {
            throw .wrongVersion(signed: file.statement.version, found: version)
        }
        return Approval(serial: file.statement.serial, signatures: bytes, leaving: leaving)
    }
}

/// Why a set of trusted keys cannot be used. Nothing is accepted then.
public enum TrustedSignersError: Error, Sendable, Equatable, CustomStringConvertible {
    case unreadable(String)
    case tooMany
    case badKey(Int, String)
    case impossible(required: Int, keys: Int)

    public var description: String {
        switch self {
        case .unreadable(let problem):
            "the trusted keys cannot be read: \(problem); give a JWK set of Ed25519 keys, as `scopecheck keys generate "
                + "--algorithm EdDSA` makes it"
        case .tooMany: "there are more than \(TrustedSigners.keysMax) trusted keys; list those who may sign"
        case .badKey(let position, let problem): "trusted key \(position) cannot be used: \(problem)"
        case .impossible(let required, let keys):
            "\(required) signatures are required of \(keys) trusted keys; require 1 to \(keys)"
        }
    }
}
