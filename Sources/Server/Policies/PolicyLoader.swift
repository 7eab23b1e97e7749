internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Signatures
internal import Synchronization

/// Brings a policy file into the store and makes it the one that decides.
///
/// A child process reads, checks, compiles and tests the file, so that neither its memory nor a fault in the reading
/// of it is the daemon's; the daemon itself only moves the pointer. A file that is refused changes nothing.
final class PolicyLoader: Sendable {
    /// Enough for a million routes on a slow machine.
    static let childMillisecondsMax: Int64 = 15 * 60 * 1_000
    private static let childOutputBytesMax = 1 << 20
    /// Versions that stay in the store for a rollback.
    private static let versionsKept = 16

    /// How the last attempt to load a file ended.
    struct Outcome: Sendable {
        var at: Int64
        var file: String
        /// nil when it was loaded; otherwise why not, for people.
        var refusal: String?
    }

    private let store: PolicyStore
    private let storeFolder: String
    private let log: EventLog
    private let last = Mutex<Outcome?>(nil)

    init(store: PolicyStore, storeFolder: String, log: EventLog) {
        self.store = store
        self.storeFolder = storeFolder
        self.log = log
    }

    var lastOutcome: Outcome? { last.withLock { $0 } }

    /// A version that was made the one that decides.
    struct Loaded<Prepared> {
        var activation: Activation
        /// What was made of the version before.
        var prepared: Prepared
        /// How long it took to verify its tables and to move the pointer durably, nanoseconds.
        var activationNanoseconds: Int64
        /// When that was done, of `SystemClock.monotonicNanoseconds`.
        var activatedAt: Int64
    }

    /// Loads a file and activates it.
    /// - Parameters:
    ///   - givesWay: whether requests are answered meanwhile, which go first.
    ///   - prepare: makes of the new version what is needed to decide on it, before the pointer moves: there is little to do
    ///     afterwards, and a version that it throws for does not become the active one.
    /// - Returns: the activation now in force, or nil when the file was refused.
    func load<Prepared>(
        _ file: String, now: Int64, givesWay: Bool, prepare: (Digest) throws -> Prepared
    ) -> Loaded<Prepared>? {
        do {
            let version = try version(of: file, givesWay: givesWay)
            let prepared = try prepare(version)
            let startedAt = SystemClock.monotonicNanoseconds()
            let activation = try store.activate(version, now: now)
            let activatedAt = SystemClock.monotonicNanoseconds()
            last.withLock { $0 = Outcome(at: now, file: file, refusal: nil) }
            return Loaded(
                activation: activation, prepared: prepared, activationNanoseconds: activatedAt - startedAt,
                activatedAt: activatedAt)
        } catch {
            let refusal = "\(error)"
            last.withLock { $0 = Outcome(at: now, file: file, refusal: refusal) }
            return nil
        }
    }

    /// The active version with tables that this build reads: made anew from the stored source after an upgrade.
    func restore(now: Int64) throws(PolicyStoreError) -> Activation? {
        guard let active = try store.active() else { return nil }
        if let info = try store.info(active.version), !info.isCurrentLayout {
            log.write(
                .info, "policy_remade",
                "the compiled tables have the layout of another build and are made anew from the stored source")
            try store.remake(active.version, now: now) { source in
                loadPolicy(source: [UInt8](copying: source), file: "stored policy", now: now).model
            }
        }
        _ = try store.verify(active.version)
        return active
    }

    private struct Refusal: Error, CustomStringConvertible {
        var description: String
    }

    /// The version of the file's content: known already, or compiled by a child.
    private func version(of file: String, givesWay: Bool) throws -> Digest {
        let source = try Files.read(file, bytesMax: 512 << 20).bytes
        let version = PolicyStore.version(ofSource: source.span)
        if let info = try store.info(version), info.isCurrentLayout { return version }
        let limits = ChildLimits(
            deadlineMilliseconds: PolicyLoader.childMillisecondsMax,
            outputBytesMax: PolicyLoader.childOutputBytesMax)
        let result = try ChildProcess.runSelf(
            arguments: ["policy", "load", file, "--store", storeFolder] + (givesWay ? ["--give-way"] : []),
            limits: limits)
        let output = String(decoding: result.standardOutput, as: UTF8.self)
        guard result.succeeded else {
            let problem = String(decoding: result.standardError, as: UTF8.self)
            throw Refusal(description: explain(result.end, output + problem))
        }
        let name = output.split(separator: "\n").last.map(String.init) ?? ""
        guard name == version.description else {
            throw Refusal(
                description: "`\(file)` changed while it was read; it is loaded again when it is renamed into place")
        }
        return version
    }

    private func explain(_ end: ChildResult.End, _ output: String) -> String {
        switch end {
        case .exited: output.isEmpty ? "the check of the policy failed without a message" : output
        case .signalled(let signal): "the check of the policy ended by signal \(signal)"
        case .deadlinePassed: "the check of the policy took too long; split the policy"
        case .outputTooLong: "the policy has too many problems to list; run `scopecheck policy check`"
        }
    }

    /// Removes versions that nobody is likely to go back to. Takes long where they are large: after what was loaded
    /// decides.
    func prune() {
        do throws(PolicyStoreError) {
            _ = try store.prune(keep: PolicyLoader.versionsKept)
        } catch {
            log.write(.warning, "prune_failed", "old policy versions could not be removed: \(error)")
        }
    }
}
