internal import Octets
public import Signatures
internal import Store
internal import Synchronization

extension PolicyStore {
    /// The pointer: which version decides, and under which number.
    ///
    /// It may name a version that this build cannot read, or one whose tables were lost while they were made
    /// again; `verify` and `remake` tell and mend.
    /// - Returns: nil before the first activation.
    public func active() throws(PolicyStoreError) -> Activation? {
        let found = try read(state, StateKey.active) { Activation($0) }
        switch found {
        case .none: return nil
        case .some(.some(let activation)): return activation
        case .some(.none): throw .store(unreadable)
        }
    }

    /// Verifies a version and makes it the active one, durably, under the next number. Rolling back is
    /// activating an older version.
    ///
    /// Everything that belongs to it is one write: the pointer, the log entry, the approval with its serial, rollbacks
    /// that were signed beforehand, and which version of a policy file is held back.
    /// - Parameters:
    ///   - now: Unix seconds.
    ///   - folder: where relative paths of its key files start.
    ///   - approval: verified by the caller.
    ///   - file: of a policy file's own bytes, where the version holds more than the file: what services have published.
    /// - Returns: the activation; the one in force when the version is active already with that folder and there is no
    ///   new approval.
    /// - Throws: what `verify` throws, `heldBack`, `approvalMissing`, `staleSerial`, `notPresent`; the active version
    ///   stays.
    public func activate(
        _ version: Digest, now: Int64, cause: ActivationCause = ActivationCause(), folder: String = "",
        approval: Approval? = nil, file: Digest? = nil
    ) throws(PolicyStoreError) -> Activation {
        try verify(version)
        guard approval != nil || !requiresApproval else { throw .approvalMissing }
        let source = FileSource(file: file ?? version, version: version)
        // A restart on what decides already writes nothing.
        if approval == nil, let held = try unchanged(source, cause.kind, folder) { return held }
        let origin = cause.kind == .rollback ? try originOfRollback(to: version) : nil
        return try durably(cause.kind == .rollback ? "rollback" : "activate") {
            transaction throws(PolicyStoreError) in
            let held = try heldActivation(transaction)
            // It was there when it was verified; it could have been removed since.
            guard try transaction.copy(versionRecords, version.bytes) != nil else { throw .unknownVersion(version) }
            try noteFile(&transaction, source, cause.kind, held)
            if let held, held.version == version, held.folder == folder, approval == nil { return held }
            if let approval { try check(approval, transaction, held) }
            // A number that cannot grow any more must not start again.
            guard (held?.number ?? 0) < UInt64.max else { throw .store(unreadable) }
            let activation = Activation(
                number: (held?.number ?? 0) + 1, version: version, activatedAt: now, cause: cause,
                previous: held?.version, folder: folder, serial: approval?.serial ?? 0, origin: origin)
            Failpoint.pass("activate-pointer", "before")
            try transaction.set(state, StateKey.active, activation.encoded)
            Failpoint.pass("activate-pointer", "after")
            try transaction.set(state, StateKey.log(activation.number), activation.encoded)
            try keep(approval, activation, &transaction)
            return activation
        }
    }

    /// The activation in force when activating this would change nothing of the store.
    private func unchanged(
        _ source: FileSource, _ kind: ActivationCause.Kind, _ folder: String
    ) throws(PolicyStoreError) -> Activation? {
        guard kind == .file, let held = try active(), held.version == source.version, held.folder == folder,
            try heldBack() == nil, try read(state, StateKey.file, { FileSource($0) }) == source
        else { return nil }
        return held
    }

    private func heldActivation(
        _ transaction: borrowing WriteTransaction
    ) throws(PolicyStoreError) -> Activation? {
        guard let bytes = try transaction.copy(state, StateKey.active) else { return nil }
        // A pointer that cannot be read must not start the numbers again.
        guard let held = Activation(bytes.span) else { throw .store(unreadable) }
        return held
    }

    /// What was last read from the policy file, and whether it is not to come back by itself.
    private func noteFile(
        _ transaction: inout WriteTransaction, _ source: FileSource, _ kind: ActivationCause.Kind, _ held: Activation?
    ) throws(PolicyStoreError) {
        let heldBack = try transaction.copy(state, StateKey.heldBack)
        let record = try transaction.copy(state, StateKey.file)
        switch kind {
        case .file:
            guard heldBack != source.file.bytes || held?.version == source.version else {
                throw .heldBack(source.file)
            }
            if heldBack != nil { try transaction.set(state, StateKey.heldBack, nil) }
            if record != source.encoded { try transaction.set(state, StateKey.file, source.encoded) }
        case .apply, .rollback, .publish:
            // Records of older builds all come from the file.
            let known = record.flatMap { FileSource($0.span) }
            // DENY: a file that nobody knows of any more could come back.
            guard known != nil || record == nil else { throw .store(unreadable) }
            let first = held?.cause.kind == .file ? held?.version : nil
            guard let last = known ?? first.map({ FileSource(file: $0, version: $0) }) else { return }
            var next = last
            if kind == .publish {
                // It is the file still, with what was published.
                if held?.version == last.version { next.version = source.version }
            } else {
                try transaction.set(
                    state, StateKey.heldBack, last.version == source.version ? nil : last.file.bytes)
            }
            if record != next.encoded { try transaction.set(state, StateKey.file, next.encoded) }
        }
    }

    private func check(
        _ approval: Approval, _ transaction: borrowing WriteTransaction, _ held: Activation?
    ) throws(PolicyStoreError) {
        let highest = StateKey.number(try transaction.copy(state, StateKey.serial))
        guard let highest else { throw .store(unreadable) }
        guard approval.serial > highest else { throw .staleSerial(approval.serial, highest: highest) }
        if let leaving = approval.leaving {
            guard let held, held.version == leaving.version, held.serial == leaving.serial else {
                throw .notPresent(leaving.version)
            }
        }
    }

    /// Rollbacks that were signed for an earlier activation are of no use any more, whose serial is behind.
    private func keep(
        _ approval: Approval?, _ activation: Activation, _ transaction: inout WriteTransaction
    ) throws(PolicyStoreError) {
        var old: [[UInt8]] = []
        do throws(StoreError) {
            try transaction.forEach(state, prefix: [StateKey.rollbackMark].span) { key, _ in
                if key.count == 1 + Digest.count { old.append([UInt8](copying: key)) }
                return .next
            }
        } catch {
            throw .store(error)
        }
        for key in old { try transaction.set(state, key, nil) }
        guard let approval else { return }
        try transaction.set(state, StateKey.serial, StateKey.bytes(approval.serial))
        try transaction.set(state, StateKey.approval(activation.number), approval.signatures)
        for rollback in approval.rollbacks.prefix(PreparedRollback.countMax) {
            try transaction.set(state, StateKey.rollback(rollback.target), rollback.signatures)
        }
    }

    // MARK: Reading

    /// The version of the policy file that is not applied again until the file changes.
    public func heldBack() throws(PolicyStoreError) -> Digest? {
        try read(state, StateKey.heldBack) { Digest($0) } ?? nil
    }

    /// The file with statement and signatures that an activation was accepted under.
    public func approval(_ number: UInt64) throws(PolicyStoreError) -> [UInt8]? {
        try read(state, StateKey.approval(number)) { [UInt8](copying: $0) }
    }

    /// The highest serial of a statement that was accepted; 0 before the first.
    /// - Throws: `store` for a record that cannot be read.
    public func highestSerial() throws(PolicyStoreError) -> UInt64 {
        let bytes = try read(state, StateKey.serial) { [UInt8](copying: $0) }
        guard let number = StateKey.number(bytes) else { throw .store(unreadable) }
        return number
    }

    /// The rollbacks from what is in force that were signed when it was applied.
    public func preparedRollbacks() throws(PolicyStoreError) -> [PreparedRollback] {
        var result: [PreparedRollback] = []
        try forEach(state, prefix: [StateKey.rollbackMark]) { key, value in
            if let target = Digest(key.extracting(1...)) {
                result.append(PreparedRollback(target: target, signatures: [UInt8](copying: value)))
            }
            return .next
        }
        return result
    }
}

/// A policy file, by the hash of its own bytes, and the version that it became, with what services had published.
struct FileSource: Equatable {
    var file: Digest
    var version: Digest

    init(file: Digest, version: Digest) {
        self.file = file
        self.version = version
    }

    /// - Returns: nil for what is none.
    init?(_ bytes: Span<UInt8>) {
        guard bytes.count == 2 * Digest.count, let file = Digest(bytes.extracting(first: Digest.count)),
            let version = Digest(bytes.extracting(last: Digest.count))
        else { return nil }
        self.init(file: file, version: version)
    }

    var encoded: [UInt8] { file.bytes + version.bytes }
}

/// Keys of the database `state`.
enum StateKey {
    static let active = Array("active".utf8)
    /// `FileSource` of what was last read from the policy file.
    static let file = Array("file".utf8)
    static let heldBack = Array("held".utf8)
    static let serial = Array("serial".utf8)
    static let logMark: UInt8 = 0x6E
    static let approvalMark: UInt8 = 0x70
    static let rollbackMark: UInt8 = 0x72

    static func log(_ number: UInt64) -> [UInt8] { [logMark] + bigEndian(number) }
    static func approval(_ number: UInt64) -> [UInt8] { [approvalMark] + bigEndian(number) }
    static func rollback(_ target: Digest) -> [UInt8] { [rollbackMark] + target.bytes }

    static func bytes(_ number: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian64: number)
        return bytes
    }

    /// - Returns: 0 for no record, nil for one that is damaged.
    static func number(_ bytes: [UInt8]?) -> UInt64? {
        guard let bytes else { return 0 }
        return bytes.count == 8 ? bytes.span.littleEndian64(at: 0) : nil
    }

    private static func bigEndian(_ number: UInt64) -> [UInt8] {
        var key: [UInt8] = []
        key.append(bigEndian32: UInt32(truncatingIfNeeded: number >> 32))
        key.append(bigEndian32: UInt32(truncatingIfNeeded: number))
        return key
    }
}
