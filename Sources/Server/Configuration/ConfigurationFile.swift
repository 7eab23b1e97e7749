internal import Decision
public import Kernel
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
    private let folder: String

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
        settings.policy = path(top["policy"])
        if let value = number(top["workers"], 1...64) { settings.workers = value }
        if let value = byteCount(top["store_map_bytes"], (1 << 20)...(1 << 45)) { settings.storeMapBytes = value }
        let allowsRemote = boolean(top["allow_remote"]) ?? false
        settings.allowsRemote = allowsRemote
        for node in items(top["fastcgi"]) { addListener(node, .fastCGI, allowsRemote, &settings) }
        for node in items(top["http"]) { addListener(node, .http, allowsRemote, &settings) }
        for node in items(top["spop"]) { addListener(node, .spop, allowsRemote, &settings) }
        if let admin = top["admin"] { settings.admin = listener(admin, .admin, false) }
        refuseRepeatedAddresses(settings, items(top["fastcgi"]) + items(top["http"]) + items(top["spop"]))
        readLimits(top["limits"], &settings)
        readKeys(top["keys"], &settings)
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
        if let value = number(limits["request_head_bytes"], 1_024...(1 << 20)) { settings.requestHeadBytesMax = value }
        if let value = number(limits["params_bytes"], 1_024...(1 << 20)) { settings.paramsBytesMax = value }
        if let value = milliseconds(limits["receive_timeout"]) { settings.receiveMilliseconds = value }
        if let value = milliseconds(limits["send_timeout"]) { settings.sendMilliseconds = value }
        if let value = milliseconds(limits["idle_timeout"]) { settings.idleMilliseconds = value }
        if let value = milliseconds(limits["park_timeout"]) { settings.parkMilliseconds = value }
        if let value = milliseconds(limits["drain_timeout"]) { settings.drainMilliseconds = value }
        if let value = milliseconds(limits["drain_delay"]) { settings.drainDelayMilliseconds = value }
    }

    private mutating func readKeys(_ node: Node?, _ settings: inout DaemonSettings) {
        let keys = section(node, "keys", ["refresh", "cooldown", "max_stale", "timeout", "ca_file"])
        if let value = seconds(keys["refresh"]) { settings.keys.refreshSeconds = value }
        if let value = seconds(keys["cooldown"]) { settings.keys.cooldownSeconds = value }
        if let value = seconds(keys["max_stale"]) { settings.keys.staleSecondsMax = value }
        if let value = seconds(keys["timeout"]) { settings.keys.timeoutSeconds = value }
        settings.keys.certificateAuthorityFile = path(keys["ca_file"])
    }

    // MARK: listeners

    private mutating func addListener(
        _ node: Node, _ kind: ListenerSettings.Kind, _ allowsRemote: Bool, _ settings: inout DaemonSettings
    ) {
        if let listener = listener(node, kind, allowsRemote) { settings.listeners.append(listener) }
    }

    private mutating func listener(
        _ node: Node, _ kind: ListenerSettings.Kind, _ allowsRemote: Bool
    ) -> ListenerSettings? {
        var known = ["address", "mode", "owner", "group", "peers"]
        if kind == .fastCGI || kind == .http { known += ["profile"] }
        if kind == .fastCGI { known += ["engine"] }
        guard case .mapping = node else {
            add(node, "a listener must be a mapping", "write `{ address: \"unix:PATH\" }`")
            return nil
        }
        let keys = section(node, "a listener", known)
        guard let addressNode = keys["address"], let text = string(addressNode) else {
            if keys["address"] == nil { add(node, "the listener has no `address`", "write unix:PATH or HOST:PORT") }
            return nil
        }
        let address: ListenAddress
        do throws(AddressError) {
            address = try ListenAddress(parsing: text)
        } catch {
            let parts = "\(error)".split(separator: "; ", maxSplits: 1).map(String.init)
            add(addressNode, parts[0], parts.count > 1 ? parts[1] : "write unix:PATH or HOST:PORT")
            return nil
        }
        var result = ListenerSettings(kind: kind, address: address)
        if case .unix(let path) = address {
            let resolved = Files.resolve(path, against: folder)
            result.address = .unix(path: resolved)
            if resolved.utf8.count > ListenAddress.unixPathBytesMax {
                add(
                    addressNode,
                    "`\(resolved)` has \(resolved.utf8.count) bytes, a socket's path at most"
                        + " \(ListenAddress.unixPathBytesMax)", "use a shorter path")
            }
            if kind == .admin { result.permissions.mode = 0o600 }
        } else if kind == .admin {
            add(addressNode, "the admin listener must be a unix socket", "write unix:PATH")
        } else if !address.isLocal, !allowsRemote {
            add(
                addressNode, "`\(text)` is not a loopback address: whoever reaches it can ask anything",
                "use a unix socket or 127.0.0.1, or write `allow_remote: true`")
        }
        if result.isUnix {
            readPermissions(keys, &result)
        } else {
            for name in ["mode", "owner", "group", "peers"] {
                guard let node = keys[name] else { continue }
                add(node, "`\(name)` has no effect on a TCP address", "remove it, or use a unix socket")
            }
        }
        switch choice(keys["engine"], ["native", "libfcgi"]) {
        case "libfcgi": result.kind = .libFCGI
        default: break
        }
        if choice(keys["profile"], ["scopecheck", "cgi"]) == "cgi" { result.profile = .cgi }
        return result
    }

    private mutating func readPermissions(_ keys: [String: Node], _ result: inout ListenerSettings) {
        if let node = keys["mode"], let text = string(node) {
            let isOctal = text.utf8.count <= 4 && text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x37 }
            if isOctal, let mode = UInt32(text, radix: 8), mode <= 0o777 {
                result.permissions.mode = mode
                if result.kind == .admin, mode & 0o007 != 0 {
                    add(
                        node, "`\(text)` lets everyone on this machine administer the daemon",
                        "write \"0600\", or \"0660\" and a group")
                }
            } else {
                add(node, "`\(text)` is no file mode", "write it in octal and in quotes, as in \"0660\"")
            }
        }
        if let node = keys["owner"], let name = string(node) {
            result.permissions.ownerID = Accounts.userID(name)
            if result.permissions.ownerID == nil { add(node, "there is no user `\(name)`", "name one that exists") }
        }
        if let node = keys["group"], let name = string(node) {
            result.permissions.groupID = Accounts.groupID(name)
            if result.permissions.groupID == nil { add(node, "there is no group `\(name)`", "name one that exists") }
        }
        guard let peers = keys["peers"] else {
            if let owner = result.permissions.ownerID { result.peerUserIDs.append(owner) }
            if let node = keys["group"], let name = string(node), let user = Accounts.userID(name) {
                result.peerUserIDs.append(user)
            }
            return
        }
        var users: [UInt32] = []
        if items(peers).isEmpty {
            add(peers, "`peers` lists nobody", "name the user that the proxy's workers run as, or remove it")
        }
        for node in items(peers) {
            guard let name = string(node) else { continue }
            if let id = Accounts.userID(name) {
                users.append(id)
            } else {
                add(node, "there is no user `\(name)`", "name the user that the proxy's workers run as")
            }
        }
        result.peerUserIDs = users
    }

    /// Two listeners on one address: the second would find the first one answering.
    private mutating func refuseRepeatedAddresses(_ settings: DaemonSettings, _ nodes: [Node]) {
        var seen: Set<ListenAddress> = []
        if let address = settings.admin?.address { seen.insert(address) }
        // A listener that was refused has no settings; then its own problem is told first.
        guard nodes.count == settings.listeners.count else { return }
        for (node, listener) in zip(nodes, settings.listeners) {
            // Port 0 is a different port each time.
            if case .tcp(_, 0) = listener.address { continue }
            if seen.insert(listener.address).inserted { continue }
            add(node, "another listener has the address `\(listener.address)` too", "give each one of its own")
        }
    }

    // MARK: values

    private mutating func section(_ node: Node?, _ name: String, _ known: [String]) -> [String: Node] {
        guard let node else { return [:] }
        guard case .mapping(let mapping) = node else {
            add(node, "\(name) must be a mapping", "write `key: value` lines")
            return [:]
        }
        var result: [String: Node] = [:]
        for (key, value) in mapping {
            guard let text = key.scalar?.string else {
                add(key, "a key must be plain text", "write one of \(known.joined(separator: ", "))")
                continue
            }
            if !known.contains(text) {
                add(key, "`\(text)` is not known in \(name)", "there are \(known.joined(separator: ", "))")
            } else {
                result[text] = value
            }
        }
        return result
    }

    /// A sequence's members, or the node itself.
    private func items(_ node: Node?) -> [Node] {
        guard let node else { return [] }
        if case .sequence(let sequence) = node { return Array(sequence) }
        return [node]
    }

    private mutating func string(_ node: Node?) -> String? {
        guard let node else { return nil }
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            add(node, "text is expected here", "write a value")
            return nil
        }
        return scalar.string
    }

    private mutating func path(_ node: Node?) -> String? {
        string(node).map { Files.resolve($0, against: folder) }
    }

    private mutating func choice(_ node: Node?, _ choices: [String]) -> String? {
        guard let text = string(node) else { return nil }
        if choices.contains(text) { return text }
        add(node, "`\(text)` is not one of the choices", "write \(choices.joined(separator: " or "))")
        return nil
    }

    private mutating func boolean(_ node: Node?) -> Bool? {
        choice(node, ["true", "false"]).map { $0 == "true" }
    }

    private mutating func number(_ node: Node?, _ range: ClosedRange<Int>) -> Int? {
        guard let text = string(node) else { return nil }
        if let value = Int(text), range.contains(value) { return value }
        add(node, "`\(text)` is not a whole number from \(range.lowerBound) to \(range.upperBound)", "correct it")
        return nil
    }

    /// A number of bytes, alone or with KiB, MiB or GiB.
    private mutating func byteCount(_ node: Node?, _ range: ClosedRange<Int>) -> Int? {
        guard let text = string(node) else { return nil }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let factors = ["": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]
        if let value = Int(digits), let factor = factors[String(text.dropFirst(digits.count))],
            value <= range.upperBound / factor, range.contains(value * factor)
        {
            return value * factor
        }
        add(
            node, "`\(text)` is no size from \(range.lowerBound) to \(range.upperBound) bytes",
            "write a whole number and KiB, MiB or GiB, as in 16GiB")
        return nil
    }

    /// A duration of whole seconds.
    private mutating func seconds(_ node: Node?) -> Int64? {
        guard let value = milliseconds(node) else { return nil }
        if value % 1_000 == 0 { return value / 1_000 }
        add(node, "\(value) ms is not a whole number of seconds", "write whole seconds, as in 5s")
        return nil
    }

    /// `250ms`, `5s`, `10m`, `24h`.
    private mutating func milliseconds(_ node: Node?) -> Int64? {
        guard let text = string(node) else { return nil }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let factors = ["ms": Int64(1), "s": 1_000, "m": 60_000, "h": 3_600_000]
        if let value = Int64(digits), let factor = factors[String(text.dropFirst(digits.count))], value > 0,
            value <= Int64.max / 3_600_000, value * factor <= 366 * 24 * 3_600_000
        {
            return value * factor
        }
        add(node, "`\(text)` is no duration", "write a number and ms, s, m or h, as in 250ms")
        return nil
    }

    // MARK: problems

    private mutating func add(_ node: Node?, _ message: String, _ mend: String) {
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
    "policy", "store", "store_map_bytes", "workers", "fastcgi", "http", "spop", "admin", "allow_remote", "limits",
    "keys", "token_cache", "denial_log",
]
private let limitKeys = [
    "connections", "request_head_bytes", "params_bytes", "receive_timeout", "send_timeout", "idle_timeout",
    "park_timeout", "drain_timeout", "drain_delay", "proofs",
]
