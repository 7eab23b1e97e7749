internal import PolicyTables
internal import Signatures

/// Versions of one environment do not decide for another.
extension PolicyDesk {
    /// What the store has may be left from another environment: it does not decide.
    func isOfOtherEnvironment(_ activation: Activation) throws -> Bool {
        do {
            try requireOwnEnvironment(activation.version)
            return false
        } catch let refusal as PolicyChangeRefusal {
            log.write(
                .error, "policy_of_other_environment", "the stored policy does not decide: \(refusal)",
                [("version", activation.version.description)])
            return true
        }
    }

    /// - Throws: `PolicyChangeRefusal` for a version that was read for another environment than this daemon's.
    func requireOwnEnvironment(_ version: Digest) throws {
        guard let ownEnvironment else { return }
        let environment = try store.environment(version)
        guard environment != ownEnvironment else { return }
        throw PolicyChangeRefusal.otherEnvironment(
            "this daemon decides for `\(ownEnvironment)`, and the policy was read for "
                + (environment.map { "`\($0)`" } ?? "no environment")
                + "; apply it read with `--environment \(ownEnvironment)`, or start the daemon for the other")
    }
}

extension PolicyStore {
    /// Where nobody has said which environment is decided for, the version in force says it: by a slip of the hand
    /// staging would take the place of production.
    /// - Throws: `PolicyChangeRefusal` when both were read for an environment, and not for the same.
    func requireEnvironment(of active: Activation?, for version: Digest) throws {
        guard let active, let present = try environment(active.version), let other = try environment(version),
            present != other
        else { return }
        throw PolicyChangeRefusal.otherEnvironment(
            "what decides was read for `\(present)`, and version `\(version.description.prefix(16))` for `\(other)`; "
                + "apply what is read with `--environment \(present)`; if this daemon is to decide for `\(other)` from "
                + "now on, write `environment: \(other)` into its configuration, restart it and apply again")
    }
}
