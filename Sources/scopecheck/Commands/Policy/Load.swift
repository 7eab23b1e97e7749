internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Signatures
internal import Store

extension PolicyCommand {
    /// What the daemon runs as a child: compiles a policy into its store and makes nothing active.
    struct Load: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compiles a policy into a store without activating it.", shouldDisplay: false)

        @Argument(help: "The policy: files and folders.")
        var files: [String] = []

        @Option(help: "The environment that the policy is read for, when it has several.")
        var environment: String?

        @Option(help: "Instead of files: a file with the bytes that a version is stored as.")
        var bundle: String?

        @Option(help: "Where relative paths of key files start; the folder of the files unless given.")
        var folder: String?

        @Option(help: "Who made the version.")
        var author: String = ""

        @Option(help: "Why it was made.")
        var note: String = ""

        @Option(help: "The version that decided when it was made: 64 hexadecimal digits.")
        var parent: String?

        @Option(help: "The store's folder.")
        var store: String

        @Option(help: "A version of the store whose publications stay: 64 hexadecimal digits.")
        var keepPublicationsOf: String?

        @Option(help: "The map size that the daemon has opened the store with, bytes.")
        var mapBytes: Int = PolicyTrial.mapBytes

        @Flag(help: "Let other processes go first, since requests are answered meanwhile.")
        var giveWay = false

        func validate() throws {
            guard files.isEmpty != (bundle == nil) else {
                throw ValidationError("name files, or one bundle with --bundle")
            }
            guard bundle == nil || environment == nil else {
                throw ValidationError("a bundle says itself which --environment it is for")
            }
            guard author.utf8.count <= ActivationCause.authorBytesMax else {
                throw ValidationError("--author has more than \(ActivationCause.authorBytesMax) bytes")
            }
            guard note.utf8.count <= ActivationCause.noteBytesMax else {
                throw ValidationError("--note has more than \(ActivationCause.noteBytesMax) bytes")
            }
            if let parent, Digest(hexadecimal: parent) == nil {
                throw ValidationError("--parent takes 64 lower-case hexadecimal digits, not `\(parent)`")
            }
        }

        func run() throws {
            ProcessResources.endWithParent()
            // A policy that expands without end ends here and not in the daemon.
            try? ProcessResources.limitAddressSpace(bytes: 64 << 30)
            // Where that is not allowed it computes all the same.
            if giveWay { try? ProcessResources.giveWay() }
            let given = try load()
            try given.checkPublications()
            let loaded = try keepingPublications(given)
            let now = nowSeconds()
            let model = try loaded.checkedModel(json: false)
            let source = loaded.source
            do {
                // Before anything is in the store: a version that is there has passed its tests.
                try rehearse(loaded, model, now)
                let origin = VersionOrigin(
                    author: author, note: note, parent: parent.flatMap { Digest(hexadecimal: $0) },
                    folder: folder ?? loaded.folder)
                let trial = try PolicyTrial(
                    model: model, source: source, now: now, storeFolder: store, mapBytes: mapBytes, origin: origin)
                // Whoever asked for that has read the files himself, and compares.
                if keepPublicationsOf != nil { printOut("\(PolicyStore.version(ofSource: given.source.span)) ") }
                printOut("\(trial.version)\n")
            } catch let code as ExitCode {
                throw code
            } catch {
                throw fail("`\(loaded.label)`: the policy could not be compiled: \(error)")
            }
        }

        /// An encoded bundle has its lines `file …` besides the files' bytes.
        private static let encodedBytesMax =
            PolicyBundle.bytesMax + PolicyBundle.filesMax * (PolicyBundle.nameBytesMax + 64)

        private func load() throws -> LoadedPolicy {
            guard let path = bundle else { return try LoadedPolicy(paths: files, environment: environment) }
            let bytes = try readInput(path, bytesMax: Load.encodedBytesMax)
            guard let decoded = PolicyBundle(decoding: bytes) else {
                // An answer, like a policy with errors: whoever sent it is told.
                printOut("this is no bundle of policy files; send it with `scopecheck policy apply`\n")
                throw Ending.no
            }
            return LoadedPolicy(bundle: decoded, folder: folder ?? "")
        }

        /// With what services have published into a version of the store, which is closed again.
        private func keepingPublications(_ loaded: LoadedPolicy) throws -> LoadedPolicy {
            guard let keepPublicationsOf else { return loaded }
            do {
                let policies = try PolicyStore(Store.Environment(path: store, mapBytes: mapBytes, maxReaders: 256))
                guard let version = Digest(hexadecimal: keepPublicationsOf), let source = try policies.source(version),
                    let active = PolicyBundle(decoding: source)
                else { throw fail("version `\(keepPublicationsOf)` cannot be read") }
                guard let kept = try loaded.keepingPublications(of: active) else { return loaded }
                return LoadedPolicy(bundle: kept.bundle, folder: loaded.folder)
            } catch let code as ExitCode {
                throw code
            } catch {
                throw fail("the version `\(keepPublicationsOf)` cannot be read: \(error)")
            }
        }

        private func rehearse(_ loaded: LoadedPolicy, _ model: PolicyModel, _ now: Int64) throws {
            let failures = try failedTests(of: loaded, model, now: now)
            for failure in failures { printOut(failure) }
            if !failures.isEmpty { throw Ending.no }
        }
    }
}
