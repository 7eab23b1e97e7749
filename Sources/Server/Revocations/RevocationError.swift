internal import Signatures
internal import Store

/// Why a revocation was not made, listed or taken back. What was in force stays in force.
enum RevocationError: Error, Equatable, Sendable {
    /// LMDB or the system refused.
    case store(StoreError)
    /// What was asked for makes no sense.
    case invalid(String)
    /// A record is not what was written.
    case damaged(id: String, problem: String, folder: String)
    /// As many as a daemon holds.
    case full(limit: Int)
}

extension RevocationError: StoreFailure {
    init(_ error: StoreError) { self = .store(error) }
}

extension RevocationError: CustomStringConvertible {
    /// What happened, where, and what to do next.
    var description: String {
        switch self {
        case .store(let error): error.description
        case .invalid(let problem): problem
        case .damaged(let id, let problem, let folder):
            "the revocation `\(id)` in `\(folder)` is damaged: \(problem); restore the folder from a backup, or, if "
                + "what it revoked may be good again, stop the daemon and run `scopecheck revocations remove \(id) "
                + "--store FOLDER` with the store's folder"
        case .full(let limit):
            "there are \(limit) revocations, which is as many as are kept; nothing was changed: revoke a whole "
                + "subject, client or issuer instead of single tokens, or remove what is no longer needed"
        }
    }
}
