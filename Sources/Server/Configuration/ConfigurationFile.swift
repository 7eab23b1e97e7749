internal import Decision
public import Kernel
internal import PolicyTables
internal import Yams

/// `scopecheck.yaml`: what `serve --config` reads. Every key is known or refused; all problems are told at once, each
/// with its place and what to do.
///
/// ```yaml
/// policy: policy.yaml                # relative to this file
/// store: /var/lib/scopecheck
/// fastcgi: { address: "unix:/run/scopecheck/fastcgi.sock", group: www-data }
/// http: { address: "unix:/run/scopecheck/http.sock", mode: "0660", peers: [www-data] }
/// admin: { address: "unix:/run/scopecheck/admin.sock" }
/// ```
public struct ConfigurationFile {
    /// One problem, `file:line:column: what; mend`.
    public struct Problem: Sendable, CustomStringConvertible {
        public var file: String
        public var line: Int
        public var column: Int
        public var message: String
        public var mend: String

        public var description: String { "\(file):\(line):\(column): error: \(message); \(mend)" }
    }

    public private(set) var problems: [Problem] = []
    private let file: String
    let folder: String

    static let bytesMax = 1 << 20

    /// Reads a file.
    /// - Returns: the settings, or every problem of the file.
    public static func read(_ path: String) throws(SystemError) -> Result<DaemonSettings, ConfigurationProblems> {
        let bytes = try Files.read(path, bytesMax: bytesMax).bytes
        return read(bytes, file: path)
    }

    static func read(_ bytes: [UInt8], file: String) -> Result<DaemonSettings, ConfigurationProblems> {
        var reader = ConfigurationFile(file: file)
        let settings = reader.settings(bytes)
        guard reader.problems.isEmpty, let settings else {
            let sorted = reader.problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
            return .failure(ConfigurationProblems(problems: sorted))
        }
        return .success(settings)
    }

    private init(file: String) {
        self.file = file
        folder = Files.split(file).folder
    }

    // MARK: the file

    private mutating func settings(_ bytes: [UInt8]) -> DaemonSettings? {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            add(nil, "the file is not UTF-8", "save it as UTF-8")
            return nil
        }
        let root: Node
        do {
            guard let node = try Yams.compose(yaml: text) else {
                add(nil, "the file is empty", "write `store:` and a listener, see the README")
                return nil
            }
            root = node
        } catch let error as YamlError {
            addParserError(error)
            return nil
        } catch {
            add(nil, "the file cannot be read as YAML: \(error)", "correct it there")
            return nil
        }
        let top = section(root, "the configuration", topKeys)
        var settings = DaemonSettings(store: path(top["store"]) ?? "")
        if top["store"] == nil { add(root, "`store` is missing", "name the folder of the store") }
        let paths = items(top["policy"]).compactMap { path($0) }
        if top["policy"] != nil, paths.isEmpty { add(top["policy"], "`policy` names nothing", "name files or folders") }
        settings.environment = string(top["environment"])
        if !paths.isEmpty { settings.policy = PolicyPlaces(paths: paths) }
        readSignatures(top["policy_signatures"], &settings)
        if let value = number(top["workers"], 1...64) { settings.workers = value }
        if let value = byteCount(top["store_map_bytes"], (1 << 20)...(1 << 45)) { settings.storeMapBytes = value }
        let allowsRemote = boolean(top["allow_remote"]) ?? false
        settings.allowsRemote = allowsRemote
        for node in items(top["fastcgi"]) { addListener(node, .fastCGI, allowsRemote, &settings) }
        for node in items(top["http"]) { addListener(node, .http, allowsRemote, &settings) }
        for node in items(top["spop"]) { addListener(node, .spop, allowsRemote, &settings) }
        if let admin = top["admin"] { settings.admin = listener(admin, .admin, false) }
        if let documents = top["documents"] { settings.documents = listener(documents, .documents, allowsRemote) }
        if let node = top["publications"] { settings.publications = listener(node, .publications, allowsRemote) }
        refuseRepeatedAddresses(settings, top)
        readLimits(top["limits"], &settings)
        readKeys(top["keys"], &settings)
        readTransactions(top["transaction_tokens"], &settings)
        readDrift(top["drift"], &settings)
        if let value = number(section(top["token_cache"], "token_cache", ["entries"])["entries"], 8...(1 << 26)) {
            settings.tokenCacheEntries = value
        }
        let denials = section(top["denial_log"], "denial_log", ["lines_per_second"])
        if let value = number(denials["lines_per_second"], 0...1_000_000) { settings.denialLinesPerSecond = value }
        return settings
    }

    private mutating func readLimits(_ node: Node?, _ settings: inout DaemonSettings) {
        let limits = section(node, "limits", limitKeys)
        if let value = number(limits["connections"], 1...1_000_000) { settings.connectionsMax = value }
        if let value = number(limits["proofs"], 256...(1 << 26)) { settings.proofsMax = value }
        if let value = number(limits["introspections"], 256...(1 << 24)) { settings.introspectionsMax = value }
        if let value = number(limits["request_head_bytes"], 1_024...(1 << 20)) { settings.requestHeadBytesMax = value }
        if let value = number(limits["params_bytes"], 1_024...(1 << 20)) { settings.paramsBytesMax = value }
        if let value = milliseconds(limits["receive_timeout"]) { settings.receiveMilliseconds = value }
        if let value = milliseconds(limits["send_timeout"]) { settings.sendMilliseconds = value }
        if let value = milliseconds(limits["idle_timeout"]) { settings.idleMilliseconds = value }
        if let value = milliseconds(limits["park_timeout"]) { settings.parkMilliseconds = value }
        if let value = milliseconds(limits["drain_timeout"]) { settings.drainMilliseconds = value }
        if let value = milliseconds(limits["drain_delay"]) { settings.drainDelayMilliseconds = value }
    }

    private mutating func readSignatures(_ node: Node?, _ settings: inout DaemonSettings) {
        guard let node else { return }
        let keys = section(node, "policy_signatures", ["require", "trusted_keys"])
        if keys["require"] == nil {
            add(node, "`policy_signatures` without `require`", "write how many trusted people must sign")
        }
        if keys["trusted_keys"] == nil {
            add(node, "`policy_signatures` without `trusted_keys`", "name the JWK set of those who may sign")
        }
        if let value = number(keys["require"], 1...TrustedSigners.keysMax) { settings.requiredSignatures = value }
        settings.trustedKeysFile = path(keys["trusted_keys"])
        if settings.policy != nil {
            add(
                node, "with `policy_signatures` no policy file is read, and `policy` names one",
                "remove `policy`, and bring the policy in with `scopecheck policy apply --signatures`")
        }
    }

    private mutating func readTransactions(_ node: Node?, _ settings: inout DaemonSettings) {
        guard let node else { return }
        let tokens = section(node, "transaction_tokens", ["issuer", "lifetime", "rotation"])
        guard let issuer = string(tokens["issuer"]) else {
            if tokens["issuer"] == nil {
                add(node, "`transaction_tokens` without `issuer`", "name how backends know this gateway, as a URL")
            }
            return
        }
        var result = TransactionSettings(issuer: issuer)
        if let value = seconds(tokens["lifetime"], 5...300) { result.lifetimeSeconds = value }
        if let value = seconds(tokens["rotation"], 3_600...31_536_000) { result.rotationSeconds = value }
        settings.transactions = result
    }

    private mutating func readKeys(_ node: Node?, _ settings: inout DaemonSettings) {
        let keys = section(node, "keys", ["refresh", "cooldown", "max_stale", "timeout", "ca_file"])
        if let value = seconds(keys["refresh"]) { settings.keys.refreshSeconds = value }
        if let value = seconds(keys["cooldown"]) { settings.keys.cooldownSeconds = value }
        if let value = seconds(keys["max_stale"]) { settings.keys.staleSecondsMax = value }
        if let value = seconds(keys["timeout"]) { settings.keys.timeoutSeconds = value }
        settings.keys.certificateAuthorityFile = path(keys["ca_file"])
    }

    // MARK: problems

    mutating func add(_ node: Node?, _ message: String, _ mend: String) {
        guard problems.count < 100 else { return }
        problems.append(
            Problem(
                file: file, line: node?.mark?.line ?? 1, column: node?.mark?.column ?? 1, message: message, mend: mend))
    }

    private mutating func addParserError(_ error: YamlError) {
        var line = 1
        var column = 1
        var problem = "\(error)"
        switch error {
        case .scanner(_, let text, let mark, _), .parser(_, let text, let mark, _),
            .composer(_, let text, let mark, _):
            line = mark.line
            column = mark.column
            problem = text
        case .duplicatedKeysInMapping(let duplicates, let context):
            line = context.mark.line
            column = context.mark.column
            problem = "a key stands twice: \(duplicates)"
        default: break
        }
        problems.append(
            Problem(
                file: file, line: line, column: column, message: "the file is no YAML: \(problem)",
                mend: "correct it there"))
    }
}

/// Every problem of a configuration file.
public struct ConfigurationProblems: Error, CustomStringConvertible {
    public var problems: [ConfigurationFile.Problem]

    public var description: String { problems.map(\.description).joined(separator: "\n") }
}

private let topKeys = [
    "policy", "environment", "store", "store_map_bytes", "workers", "fastcgi", "http", "spop", "admin", "allow_remote",
    "limits", "keys", "token_cache", "denial_log", "documents", "publications", "transaction_tokens",
    "policy_signatures", "drift",
]
private let limitKeys = [
    "connections", "request_head_bytes", "params_bytes", "receive_timeout", "send_timeout", "idle_timeout",
    "park_timeout", "drain_timeout", "drain_delay", "proofs", "introspections",
]
