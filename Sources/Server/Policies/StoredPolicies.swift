internal import Kernel
public import PolicyTables
internal import Signatures
internal import Store

/// Versions of a store that no daemon has open, for commands: the same questions and answers as the admin listener's.
///
/// Signatures are stored as they are given; the daemon checks them when it starts, with the keys that it trusts then.
public enum StoredPolicies {
    /// Answers one GET of `/policy/…` from the files.
    /// - Throws: `SystemError` when a daemon holds the store, or the folder cannot be used; `PolicyStoreError`.
    public static func answer(_ target: String, store folder: String) throws -> (status: Int, body: [UInt8]) {
        try open(folder) { store in
            let answer = PolicyVersions(store: store).answer(PlainRequest(method: "GET", target: target))
            return (answer?.status ?? 404, answer?.body ?? [])
        }
    }

    /// Stores a checked policy and makes it the one that decides.
    /// - Parameters:
    ///   - source: the bytes that `model` was read from.
    ///   - now: Unix seconds.
    public static func apply(
        _ model: PolicyModel, source: [UInt8], _ request: PolicyChangeRequest, store folder: String, now: Int64
    ) throws -> (status: Int, body: [UInt8]) {
        try open(folder) { store in
            try answer {
                let version = PolicyStore.version(ofSource: source.span)
                let approval = try approval(ofApplying: version, request, store)
                let origin = VersionOrigin(
                    author: request.author, note: request.note, parent: try store.active()?.version,
                    folder: request.folder)
                _ = try store.add(model, source: source.span, now: now, origin: origin)
                let active = try store.active()
                guard !request.isStaged else {
                    return StagedVersion(
                        version: version, isActive: active?.version == version, ignoresSignatures: request.hasSignatures
                    ).json
                }
                try store.requireEnvironment(of: active, for: version)
                let activation = try store.activate(
                    version, now: now,
                    cause: ActivationCause(kind: .apply, author: request.author, note: request.note),
                    folder: request.folder, approval: approval)
                return PolicyChange(activation, isUnchanged: activation.number == active?.number, in: store).json
            }
        }
    }

    /// Has an earlier version decide again.
    public static func rollback(
        _ request: PolicyChangeRequest, store folder: String, now: Int64
    ) throws -> (status: Int, body: [UInt8]) {
        try open(folder) { store in
            try answer {
                let target =
                    if let operand = request.version {
                        try PolicyVersions(store: store).resolve(operand)
                    } else {
                        try store.versionBefore()
                    }
                let active = try store.active()
                guard active?.version != target else {
                    throw PolicyChangeRefusal.conflict("version `\(target)` decides already; nothing was changed")
                }
                try store.requireEnvironment(of: active, for: target)
                try store.refuseWaiting(target)
                let last = try store.lastActivation(of: target)
                let folder = try last?.folder ?? store.info(target)?.origin.folder ?? ""
                let activation = try store.activate(
                    target, now: now,
                    cause: ActivationCause(kind: .rollback, author: request.author, note: request.note), folder: folder,
                    approval: try approval(ofRollbackTo: target, request, store))
                return PolicyChange(activation, isUnchanged: false, in: store).json
            }
        }
    }

    private static func open<R>(_ folder: String, _ body: (PolicyStore) throws -> R) throws -> R {
        // Only for its refusal: a folder that is not there is a slip of the pen, not a new store.
        _ = try Files.stamp(folder)
        let lock = try FileLock(path: "\(folder)/daemon.lock")
        let environment = try Store.Environment(
            path: folder, mapBytes: DaemonSettings(store: "").storeMapBytes, maxReaders: 64)
        let result = try body(try PolicyStore(environment))
        _ = consume lock
        return result
    }

    private static func answer(_ body: () throws -> [UInt8]) throws -> (status: Int, body: [UInt8]) {
        do {
            return (200, try body())
        } catch {
            let refusal =
                switch error {
                case let error as PolicyChangeRefusal: error
                case let error as SigningRefusal: PolicyChangeRefusal.signing(error)
                case let error as PolicyStoreError: PolicyChangeRefusal.store(error)
                default: PolicyChangeRefusal.unavailable("\(error)")
                }
            return (refusal.status, refusal.answer.body)
        }
    }

    private static func approval(
        ofApplying version: Digest, _ request: PolicyChangeRequest, _ store: PolicyStore
    ) throws -> Approval? {
        guard !request.isStaged, let file = try signatures(request.signatures, store) else { return nil }
        guard file.statement.leaving == nil else { throw SigningRefusal.wrongAction(isRollback: true) }
        guard file.statement.version == version else {
            throw SigningRefusal.wrongVersion(signed: file.statement.version, found: version)
        }
        let rollbacks = try request.rollbackSignatures.map { bytes in
            PreparedRollback(target: try SignatureFile(parsing: bytes).statement.version, signatures: bytes)
        }
        return Approval(serial: file.statement.serial, signatures: file.text, rollbacks: rollbacks)
    }

    private static func approval(
        ofRollbackTo version: Digest, _ request: PolicyChangeRequest, _ store: PolicyStore
    ) throws -> Approval? {
        let prepared = try store.preparedRollbacks().first { $0.target == version }?.signatures
        guard let file = try signatures(request.signatures ?? prepared, store) else { return nil }
        guard let leaving = file.statement.leaving else { throw SigningRefusal.wrongAction(isRollback: false) }
        guard file.statement.version == version else {
            throw SigningRefusal.wrongVersion(signed: file.statement.version, found: version)
        }
        return Approval(serial: file.statement.serial, signatures: file.text, leaving: leaving)
    }

    /// A store that has taken signed versions takes no others this way: the daemon would answer 503 on them.
    private static func signatures(_ bytes: [UInt8]?, _ store: PolicyStore) throws -> SignatureFile? {
        if let bytes { return try SignatureFile(parsing: bytes) }
        guard try store.highestSerial() == 0 else { throw SigningRefusal.unsigned }
        return nil
    }
}
