internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Signatures
internal import Synchronization

/// Brings policies into the store: files, and bundles that a command sent.
///
/// A child process reads, checks, compiles and tests them, so that neither its memory nor a fault in the reading is the
/// daemon's; the daemon itself only moves the pointer. What is refused changes nothing.
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
    private let mapBytes: Int
    private let log: EventLog
    private let last = Mutex<Outcome?>(nil)
    /// How many children write to the store. None begins while old versions are removed, which would take what it has
    /// written for left behind.
    private let children = Mutex(0)

    init(store: PolicyStore, storeFolder: String, mapBytes: Int, log: EventLog) {
        self.store = store
        self.storeFolder = storeFolder
        self.mapBytes = mapBytes
        self.log = log
    }

    var lastOutcome: Outcome? { last.withLock { $0 } }

    func note(_ file: String, now: Int64, refusal: String?) {
        last.withLock { $0 = Outcome(at: now, file: file, refusal: refusal) }
    }

    /// The active version with tables that this build reads: made anew from the stored source after an upgrade.
    func restore(now: Int64) throws(PolicyStoreError) -> Activation? {
        guard let active = try store.active() else { return nil }
        if let info = try store.info(active.version), !info.isCurrentLayout {
            log.write(
                .info, "policy_remade",
                "the compiled tables have the layout of another build and are made anew from the stored source")
            try store.remake(active.version, now: now) { source in
                guard let bundle = PolicyBundle(decoding: [UInt8](copying: source)) else { return nil }
                return loadPolicy(bundle: bundle, now: now).model
            }
        }
        _ = try store.verify(active.version)
        return active
    }

    /// A policy as it was read from files.
    struct LoadedFiles {
        /// What it becomes, with what services have published.
        var version: Digest
        /// What the files alone are.
        var source: Digest
        /// Absolute: where relative paths of key files start.
        var folder: String
    }

    /// The version of what files hold: known already, or compiled by a child.
    /// - Parameter givesWay: whether requests are answered meanwhile, which go first.
    func version(of places: PolicyPlaces, environment: String?, givesWay: Bool) throws -> LoadedFiles {
        let files = try PolicyFiles.read(places.paths)
        let bundle = try files.bundle(environment: environment)
        let source = PolicyStore.version(ofSource: bundle.encoded.span)
        let folder = try Files.absolute(files.folder)
        return LoadedFiles(
            version: try storedVersion(of: bundle, source, places, folder: folder, givesWay: givesWay), source: source,
            folder: folder)
    }

    /// - Returns: the version that the bundle becomes, with what services have published.
    private func storedVersion(
        of bundle: PolicyBundle, _ version: Digest, _ places: PolicyPlaces, folder: String, givesWay: Bool
    ) throws -> Digest {
        let parent = try store.active()?.version
        let active = try parent.flatMap { try publishedInto($0) }
        if let parent, let active, active.isPublished(beside: bundle) { return parent }
        if active == nil, try isUsable(version) { return version }
        // What services have published does not stand in the files, and stays.
        let kept = active == nil ? [] : option("keep-publications-of", parent?.description ?? "")
        let answer = try run(
            ["policy", "load"] + place(folder, parent) + kept + option("environment", bundle.environment ?? "")
                + (givesWay ? ["--give-way"] : []) + ["--"] + places.paths, "the check of the policy")
        // The version of the files as the child read them, and where publications stay that of both together.
        let versions = answer.split(separator: " ").compactMap { Digest(hexadecimal: String($0)) }
        guard versions.first == version, versions.count == (active == nil ? 1 : 2) else {
            throw PolicyChangeRefusal.policy(
                "`\(places.label)` changed while it was read; it is loaded again when a file is renamed into place, or "
                    + "on SIGHUP")
        }
        if let active, active.environment != bundle.environment {
            log.write(
                .warning, "publications_left_behind",
                "what services had published was for another environment and decides no more; have them publish again",
                [("version", parent?.description ?? "")])
        }
        return versions[versions.count - 1]
    }

    /// The bundle of a version into which services have published something; nil for any other.
    private func publishedInto(_ version: Digest) throws -> PolicyBundle? {
        // One file is stored as it is, and may have a million routes.
        let mark = Array("scopecheck bundle ".utf8)
        guard try store.source(version, from: 0, count: mark.count) == mark, let source = try store.source(version),
            let bundle = PolicyBundle(decoding: source), bundle.hasPublications
        else { return nil }
        return bundle
    }

    /// Runs what writes to the store in another process; old versions are not removed meanwhile.
    func whileWriting<R>(_ body: () throws -> R) rethrows -> R {
        children.withLock { $0 += 1 }
        defer { children.withLock { $0 -= 1 } }
        return try body()
    }

    /// Compiles a bundle that lies in a file, as the version that its bytes are.
    func add(_ version: Digest, bundle: String, _ request: PolicyChangeRequest) throws {
        if try isUsable(version) { return }
        let parent = try store.active()?.version
        let name = try run(
            ["policy", "load", "--bundle", bundle] + place(request.folder, parent)
                + option("author", request.author) + option("note", request.note) + ["--give-way"],
            "the check of the policy")
        guard name == version.description else {
            throw PolicyChangeRefusal.unavailable("the policy changed while it was read; apply it again")
        }
    }

    /// Has a child compare a version's source with its name and its tables with the source, byte for byte.
    /// - Returns: whether the tables were what they should be; they are now.
    func reconcile(_ version: Digest) throws -> Bool {
        let answer = try run(
            ["policy", "remake", version.description, "--store", storeFolder, "--map-bytes", "\(mapBytes)"],
            "the check of the stored version")
        return answer == "same"
    }

    private func isUsable(_ version: Digest) throws -> Bool {
        guard let info = try store.info(version), info.isCurrentLayout else { return false }
        // What was damaged is made anew.
        return (try? store.verify(version)) != nil
    }

    private func place(_ folder: String, _ parent: Digest?) -> [String] {
        ["--store", storeFolder, "--map-bytes", "\(mapBytes)"] + option("folder", folder)
            + (parent.map { ["--parent", $0.description] } ?? [])
    }

    /// In one argument, since a text may begin with a dash; none for an empty one, which the command would not take.
    private func option(_ name: String, _ value: String) -> [String] {
        value.isEmpty ? [] : ["--\(name)=\(value)"]
    }

    /// - Returns: the last line of what the child said.
    private func run(_ arguments: [String], _ what: String) throws -> String {
        let limits = ChildLimits(
            deadlineMilliseconds: PolicyLoader.childMillisecondsMax,
            outputBytesMax: PolicyLoader.childOutputBytesMax)
        children.withLock { $0 += 1 }
        defer { children.withLock { $0 -= 1 } }
        let result = try ChildProcess.runSelf(arguments: arguments, limits: limits)
        let output = String(decoding: result.standardOutput, as: UTF8.self)
        guard result.succeeded else {
            let problem = String(decoding: result.standardError, as: UTF8.self)
            let text = explain(result.end, output + problem, what)
            // 1 is its answer; with everything else it could not answer.
            throw result.end == .exited(status: 1)
                ? PolicyChangeRefusal.policy(text) : PolicyChangeRefusal.unavailable(text)
        }
        return output.split(separator: "\n").last.map(String.init) ?? ""
    }

    private func explain(_ end: ChildResult.End, _ output: String, _ what: String) -> String {
        switch end {
        case .exited: output.isEmpty ? "\(what) failed without a message" : output
        case .signalled(let signal): "\(what) ended by signal \(signal)"
        case .deadlinePassed: "\(what) took too long; split the policy"
        case .outputTooLong: "the policy has too many problems to list; run `scopecheck policy check`"
        }
    }

    /// Removes versions that nobody is likely to go back to. Takes long where they are large: after what was loaded
    /// decides.
    /// - Parameter shadowed: a version that is compared with the active one.
    func prune(shadowed: Digest?) {
        children.withLock { children in
            // The change that a child works for comes here next.
            guard children == 0 else { return }
            do throws(PolicyStoreError) {
                // What waits for approval is looked at, and approved, by its version.
                var kept = Set(try store.proposals().map(\.version))
                if let shadowed { kept.insert(shadowed) }
                _ = try store.prune(keep: PolicyLoader.versionsKept, keeping: kept)
            } catch {
                log.write(.warning, "prune_failed", "old policy versions could not be removed: \(error)")
            }
        }
    }
}
