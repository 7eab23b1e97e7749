public import Signatures
public import Store

/// Why the policy store cannot do what was asked. What was active stays active.
public enum PolicyStoreError: Error, Equatable, Sendable {
    /// LMDB or the system refused.
    case store(StoreError)
    /// The policy cannot be compiled.
    case table(PolicyTableError)
    /// No such version, or one that was not written to its end.
    case unknownVersion(Digest)
    /// Compiled by a build with another table layout; `remake` compiles it again.
    case otherLayout(Digest, found: UInt16)
    /// What is stored is not what was written.
    case corrupt(Digest, what: String)
    /// The stored source is no longer a valid policy to this build.
    case sourceRefused(Digest)
    /// It was left by a rollback or an apply, and the policy file still holds it.
    case heldBack(Digest)
    /// Nothing decided before what decides now.
    case nothingBefore
    /// The store takes signed versions only.
    case approvalMissing
    /// A statement was accepted before that is as new or newer.
    case staleSerial(UInt64, highest: UInt64)
    /// A rollback that was signed for leaving another version than the one in force, or another acceptance of it.
    case notPresent(Digest)
}

extension PolicyStoreError: StoreFailure {
    public init(_ error: StoreError) { self = .store(error) }
}

extension PolicyStoreError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .store(let error): error.description
        case .table(let error): error.description
        case .unknownVersion(let version):
            "there is no policy version `\(version)` in the store; list the versions, "
                + "or apply the policy again"
        case .otherLayout(let version, let found):
            "policy version `\(version)` was compiled with table layout \(found), and this build reads "
                + "\(TableLayout.version); compile it again from its stored source"
        case .corrupt(let version, let what):
            "policy version `\(version)` is damaged: \(what); apply the policy again, "
                + "or restore the store from a backup"
        case .sourceRefused(let version):
            "the stored source of policy version `\(version)` is not valid for this build; "
                + "mend the policy and apply it"
        case .heldBack(let version):
            "the policy file still holds version `\(version)`, which was left by a rollback or an apply; "
                + "change the file, or bring it back with `scopecheck policy apply`"
        case .nothingBefore:
            "no other version decided before this one; name a version of `scopecheck policy log`"
        case .approvalMissing:
            "versions need signatures here; make them with `scopecheck policy sign` and apply with --signatures"
        case .staleSerial(let serial, let highest):
            "serial \(serial) of the signed statement is not greater than \(highest), the highest that was "
                + "accepted; sign again with a greater --serial"
        case .notPresent(let version):
            "the rollback was signed for leaving version `\(version)` as it was accepted then, and that is not what is in "
                + "force; sign a rollback from the version in force"
        }
    }
}

/// Runs calls of the store under this module's error.
func stored<R>(_ body: () throws(StoreError) -> R) throws(PolicyStoreError) -> R {
    do throws(StoreError) { return try body() } catch { throw .store(error) }
}
