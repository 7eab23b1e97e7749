internal import PolicyTables
public import Signatures
internal import Store
internal import Tokens

/// What a command asks for: a version to be applied, or an earlier one to decide again.
public struct PolicyChangeRequest: Sendable {
    /// Who, as the command states it.
    public var author: String
    /// Why.
    public var note: String
    /// Of an apply: where relative paths of key files start, from the root.
    public var folder: String
    /// The file with statement and signatures.
    public var signatures: [UInt8]?
    /// Of an apply: rollbacks that are signed beforehand.
    public var rollbackSignatures: [[UInt8]]
    /// Of a rollback: an operand as `PolicyVersions` reads it; nil is the version that decided before.
    public var version: String?
    /// Of an apply: stores, compiles and tests it, and makes nothing active.
    public var isStaged = false
    /// Of an apply: the version that must decide until then; what it was made for.
    public var expecting: Digest?

    public init(
        author: String = "", note: String = "", folder: String = "", signatures: [UInt8]? = nil,
        rollbackSignatures: [[UInt8]] = [], version: String? = nil
    ) {
        self.author = author
        self.note = note
        self.folder = folder
        self.signatures = signatures
        self.rollbackSignatures = rollbackSignatures
        self.version = version
    }

    /// One line of JSON.
    public var text: [UInt8] {
        var object = JSONObjectWriter()
        if !author.isEmpty { object.add("author", string: author) }
        if !note.isEmpty { object.add("note", string: note) }
        if !folder.isEmpty { object.add("folder", string: folder) }
        if let version { object.add("version", string: version) }
        if isStaged { object.add("stage", boolean: true) }
        if let expecting { object.add("expecting", string: expecting.description) }
        if let signatures { object.add("signatures", string: String(decoding: signatures, as: UTF8.self)) }
        if !rollbackSignatures.isEmpty {
            object.add("rollback_signatures", strings: rollbackSignatures.map { String(decoding: $0, as: UTF8.self) })
        }
        return object.text()
    }

    static let textBytesMax = 262_144

    var hasSignatures: Bool { signatures != nil || !rollbackSignatures.isEmpty }

    /// Reads it strictly: every member known, of its type, once, and within its limit.
    init(parsing bytes: [UInt8]) throws(PolicyChangeRefusal) {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(bytes.span, limits: JSONLimits(depthMax: 2, membersPerObjectMax: 8, allowsNUL: false))
        } catch {
            throw .malformed("it is not a strict JSON object: \(error)")
        }
        guard let root = index.root, root.kind == .object else { throw .malformed("it is no JSON object") }
        var known = 0
        func string(_ name: StaticString, bytesMax: Int) throws(PolicyChangeRefusal) -> String? {
            guard let value = index.member(name, of: root, in: bytes.span) else { return nil }
            known += 1
            guard let text = value.string(in: bytes.span) else { throw .malformed("`\(name)` is a string") }
            guard text.count <= bytesMax else { throw .malformed("`\(name)` has more than \(bytesMax) bytes") }
            return String(decoding: text, as: UTF8.self)
        }
        let author = try string("author", bytesMax: ActivationCause.authorBytesMax - 32) ?? ""
        let note = try string("note", bytesMax: ActivationCause.noteBytesMax) ?? ""
        let folder = try string("folder", bytesMax: VersionOrigin.folderBytesMax) ?? ""
        guard folder.isEmpty || folder.hasPrefix("/") else { throw .malformed("`folder` is a path from the root") }
        let version = try string("version", bytesMax: 128)
        let signatures = try string("signatures", bytesMax: SignatureFile.bytesMax).map { Array($0.utf8) }
        var rollbacks: [[UInt8]] = []
        if let list = index.member("rollback_signatures", of: root, in: bytes.span) {
            known += 1
            guard list.kind == .array, index.childCount(of: list) <= PreparedRollback.countMax else {
                throw .malformed("`rollback_signatures` is a list of at most \(PreparedRollback.countMax)")
            }
            var item = index.child(after: nil, of: list)
            while let current = item {
                guard let text = current.string(in: bytes.span), text.count <= SignatureFile.bytesMax else {
                    throw .malformed("an entry of `rollback_signatures` is the text of a signature file")
                }
                rollbacks.append(text)
                item = index.child(after: current, of: list)
            }
        }
        var isStaged = false
        if let stage = index.member("stage", of: root, in: bytes.span) {
            known += 1
            guard stage.kind == .true else { throw .malformed("`stage` is true, or left out") }
            isStaged = true
        }
        var expecting: Digest?
        if let text = try string("expecting", bytesMax: 64) {
            guard let digest = Digest(hexadecimal: text) else { throw .malformed("`expecting` is a whole version") }
            expecting = digest
        }
        guard known == index.childCount(of: root) else { throw .malformed("it has a member that is not known") }
        self.init(
            author: author, note: note, folder: folder, signatures: signatures, rollbackSignatures: rollbacks,
            version: version)
        self.isStaged = isStaged
        self.expecting = expecting
    }
}

/// A change that was made.
struct PolicyChange: Sendable {
    var activation: Activation
    /// The version was in force already.
    var isUnchanged: Bool
    /// That the version was read for, and that the one before was.
    var environment: String?
    var previousEnvironment: String?
    /// Signatures came with the request, and this daemon requires none.
    var ignoresSignatures = false

    init(_ activation: Activation, isUnchanged: Bool, in store: PolicyStore) {
        self.activation = activation
        self.isUnchanged = isUnchanged
        // The change is made, whether or not this can be told.
        environment = (try? store.environment(activation.version)) ?? nil
        previousEnvironment = activation.previous.flatMap { (try? store.environment($0)) ?? nil }
    }

    /// `{"number":12,"version":"…","label":"12.…","environment":"prod","previous":"…","previous_environment":"prod",
    /// "unchanged":false}`, and `"signatures":"ignored"` where nobody has looked at them. What is not, is left out.
    var json: [UInt8] {
        var object = JSONObjectWriter()
        object.add("number", number: Int64(clamping: activation.number))
        object.add("version", string: activation.version.description)
        object.add("label", string: activation.label)
        if let environment { object.add("environment", string: environment) }
        if let previous = activation.previous { object.add("previous", string: previous.description) }
        if let previousEnvironment { object.add("previous_environment", string: previousEnvironment) }
        object.add("unchanged", boolean: isUnchanged)
        if ignoresSignatures { object.add("signatures", string: "ignored") }
        return object.text()
    }
}

/// A version that was stored without making it active.
struct StagedVersion: Sendable {
    var version: Digest
    /// It decides already, so that there was nothing to stage.
    var isActive: Bool
    /// Signatures came with the request; they count when a version becomes the active one.
    var ignoresSignatures: Bool

    /// `{"version":"…","staged":true,"active":false}`
    var json: [UInt8] {
        var object = JSONObjectWriter()
        object.add("version", string: version.description)
        object.add("staged", boolean: true)
        object.add("active", boolean: isActive)
        if ignoresSignatures { object.add("signatures", string: "ignored") }
        return object.text()
    }
}

extension Activation {
    /// As `X-Scope-Policy` has it.
    var label: String { "\(number).\(version.description.prefix(16))" }
}

/// Why the policy in force was not changed.
enum PolicyChangeRefusal: Error, CustomStringConvertible {
    /// The request is not of its form.
    case malformed(String)
    /// The policy has errors or fails its own tests; the text says which.
    case policy(String)
    case signing(SigningRefusal)
    case store(PolicyStoreError)
    /// No version is meant by that operand, or more than one.
    case noVersion(String)
    case conflict(String)
    /// The version was read for another environment than what decides here.
    case otherEnvironment(String)
    /// Another version decides than the one that the change was made for.
    case moved(isPublication: Bool)
    /// What the change needs cannot be had.
    case unavailable(String)
    case full(String)

    /// The name of a refusal because a service published meanwhile: publications wait now, and the change can be made anew.
    static let overtaken = "overtaken"

    /// A stable name, for answers and logs.
    var name: String {
        switch self {
        case .malformed: "malformed"
        case .policy: "policy_refused"
        case .signing(let refusal): refusal.name
        case .store(.approvalMissing): SigningRefusal.unsigned.name
        case .store(.staleSerial): SigningRefusal.replayed(serial: 0, highest: 0).name
        case .store(.notPresent(let version)): SigningRefusal.notFromPresent(version).name
        case .store(.unknownVersion), .noVersion: "unknown_version"
        case .store(.corrupt): "damaged_version"
        case .store(.heldBack): "held_back"
        case .store(.nothingBefore): "nothing_before"
        case .store(let error) where PolicyChangeRefusal.isFull(error): "store_full"
        case .store: "store_failed"
        case .conflict: "busy"
        case .moved(let isPublication): isPublication ? PolicyChangeRefusal.overtaken : "moved"
        case .otherEnvironment: "other_environment"
        case .unavailable: "unavailable"
        case .full: "disk_full"
        }
    }

    var status: Int {
        switch self {
        case .malformed: 400
        case .policy: 422
        case .signing, .store(.approvalMissing), .store(.staleSerial), .store(.notPresent): 403
        case .store(.unknownVersion), .noVersion, .store(.nothingBefore): 404
        case .store(.heldBack), .conflict, .otherEnvironment, .moved: 409
        case .store(let error) where PolicyChangeRefusal.isFull(error): 507
        case .store, .unavailable: 503
        case .full: 507
        }
    }

    var description: String {
        switch self {
        case .malformed(let problem): "the request cannot be read: \(problem)"
        case .policy(let text), .noVersion(let text), .conflict(let text), .otherEnvironment(let text),
            .unavailable(let text), .full(let text):
            text
        case .moved: "another policy came into force meanwhile; try again"
        case .signing(let refusal): "\(refusal)"
        case .store(let error): "\(error)"
        }
    }

    /// `{"error":"…","reason":"…"}`
    var answer: PlainAnswer {
        var object = JSONObjectWriter()
        object.add("error", string: description)
        object.add("reason", string: name)
        return PlainAnswer(status, object.text())
    }

    private static func isFull(_ error: PolicyStoreError) -> Bool {
        guard case .store(let cause) = error else { return false }
        return cause.isFull
    }
}
