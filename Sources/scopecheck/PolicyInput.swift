internal import ArgumentParser
internal import Kernel
internal import Policy
internal import PolicyTables

/// The files of a policy that were read, and what became of them.
struct LoadedPolicy {
    let bundle: PolicyBundle
    /// How messages name the files, in the bundle's order.
    let labels: [String]
    /// Where relative paths of key files start.
    let folder: String
    /// How messages name the policy: its path, or the first of several.
    let label: String
    let policy: PolicySource

    /// - Parameters:
    ///   - paths: files and folders, or `-` alone for standard input.
    ///   - environment: nil for a policy that has none.
    /// - Throws: exit code 2 after a message when they cannot be read; what is wrong in them is in `policy`.
    init(paths: [String], environment: String? = nil) throws {
        let bar = ProgressBar()
        defer { bar.finish() }
        let files = try PolicyInput(paths: paths, environment: environment, bar: bar)
        self.init(files, bar: bar)
    }

    /// The files of a version, one that is to be or that is stored.
    /// - Parameter name: what messages call a file that has no name in the version.
    init(bundle: PolicyBundle, folder: String, name: String? = nil) {
        let labels = name.map { name in bundle.files.map { $0.name.isEmpty ? name : $0.name } }
        self.init(
            PolicyInput(bundle: bundle, labels: labels, folder: folder, label: bundle.label), bar: ProgressBar())
    }

    private init(_ input: PolicyInput, bar: ProgressBar) {
        bundle = input.bundle
        folder = input.folder
        label = input.label
        labels = input.labels ?? bundle.files.map(\.name)
        policy = input.load(everyEnvironment: false, now: nowSeconds(), bar: bar)[0]
        bar.finish()
    }

    /// nil when there is any error.
    var model: PolicyModel? { policy.model }

    /// The bytes whose hash is the version.
    var source: [UInt8] { bundle.encoded }

    /// Says on standard error which key files cannot be read.
    func warnOfMissingKeys() {
        if let model = policy.model { PolicyInput.warnOfMissingKeys(model, folder: folder, label: label) }
    }

    /// The model, or the diagnostics and exit code 1.
    /// - Parameter isDataOnly: whoever reads standard output expects nothing but data there; text goes to standard error.
    func checkedModel(json: Bool, isDataOnly: Bool = false) throws -> PolicyModel {
        if let model = policy.model { return model }
        let text = Array((json ? diagnosticsJSON(policy) + "\n" : diagnosticsText(policy)).utf8)
        _ = writeAll(isDataOnly && !json ? 2 : 1, text.span)
        throw Ending.no
    }
}

/// The files of a policy before anything is made of them.
struct PolicyInput {
    let bundle: PolicyBundle
    /// nil for the names of the bundle.
    let labels: [String]?
    let folder: String
    let label: String

    init(bundle: PolicyBundle, labels: [String]?, folder: String, label: String) {
        self.bundle = bundle
        self.labels = labels
        self.folder = folder
        self.label = label
    }

    /// Room for a million routes.
    static let sourceBytesMax = PolicyBundle.bytesMax

    init(paths: [String], environment: String?, bar: ProgressBar) throws {
        label = (paths.first ?? "") + (paths.count > 1 ? " and \(paths.count - 1) more" : "")
        do throws(PolicyFilesError) {
            if paths == ["-"] {
                let files = PolicyFiles(standardInput: try PolicyInput.readStandardInput())
                (folder, labels) = (files.folder, files.labels)
                bundle = try files.bundle(environment: environment)
                return
            }
            let files = try PolicyFiles.read(paths) { bar.show("reading files", $0, of: $1) }
            (folder, labels) = (files.folder, files.labels)
            bundle = try files.bundle(environment: environment)
        } catch {
            throw fail("\(error)")
        }
    }

    /// - Parameter everyEnvironment: a policy that has environments is read for each of them.
    func load(everyEnvironment: Bool, now: Int64, bar: ProgressBar) -> [PolicySource] {
        everyEnvironment
            ? loadEveryEnvironment(bundle: bundle, labels: labels, now: now, progress: bar.showPolicy)
            : [loadPolicy(bundle: bundle, labels: labels, now: now, progress: bar.showPolicy)]
    }

    /// A policy without its keys is good, and has every token answered with 503.
    static func warnOfMissingKeys(_ model: PolicyModel, folder: String, label: String) {
        for issuer in model.issuers {
            guard case .file(let path) = issuer.keySource else { continue }
            do throws(SystemError) {
                _ = try Files.stamp(Files.resolve(path, against: folder))
            } catch {
                let text =
                    "\(label): warning: the keys of `\(issuer.issuer)` cannot be read: \(error); until they can, "
                    + "its tokens are answered 503 keys_unavailable\n"
                _ = writeAll(2, Array(text.utf8).span)
            }
        }
    }

    private static func readStandardInput() throws(PolicyFilesError) -> [UInt8] {
        var bytes: [UInt8] = []
        while appendBytes(from: 0, countMax: 1 << 16, to: &bytes) {
            guard bytes.count <= sourceBytesMax else {
                throw PolicyFilesError("standard input has more than \(sourceBytesMax) bytes; use a smaller policy")
            }
        }
        return bytes
    }
}

extension PolicyBundle {
    /// How messages name a policy that has no path.
    var label: String { files.count == 1 && !files[0].name.isEmpty ? files[0].name : "the policy" }
}

extension ProgressBar {
    func showPolicy(_ stage: PolicyStage, _ done: Int, _ total: Int) {
        switch stage {
        case .reading: show("reading", done, of: total)
        case .checking: show("checking", done, of: total)
        }
    }
}

/// The files of a policy, as every command that reads one takes them.
struct PolicyArguments: ParsableArguments {
    @Argument(help: "The policy: files, and folders of `*.yaml` and `*.yml`; together they are one policy.")
    var files: [String]

    @Option(help: "The environment that the policy is read for, when it has several.")
    var environment: String?

    func load() throws -> LoadedPolicy { try LoadedPolicy(paths: files, environment: environment) }

    /// What names a stored version instead of files; nil for files.
    func storedVersion() throws -> String? {
        try PolicyOperand.storedVersion(among: files, environment: environment)
    }
}

/// Beside a `--policy` that takes one file or folder: `--policy policy/*.yaml` gives more.
struct OnePolicyOnly: ParsableArguments {
    @Argument(help: .hidden)
    var more: [String] = []

    func validate() throws {
        if let first = more.first { try OnePolicyOnly.refuse(first) }
    }

    static func refuse(_ argument: String) throws {
        throw ValidationError(
            "`\(shown(argument))` is one argument too many: --policy takes one file, or one folder that holds all files of a "
                + "policy; put them in one folder and name that")
    }
}

func nowSeconds() -> Int64 { SystemClock.realtimeNanoseconds() / 1_000_000_000 }
