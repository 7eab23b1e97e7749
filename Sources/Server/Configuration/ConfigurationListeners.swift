internal import Decision
internal import Kernel
internal import Yams

extension ConfigurationFile {
    mutating func addListener(
        _ node: Node, _ kind: ListenerSettings.Kind, _ allowsRemote: Bool, _ settings: inout DaemonSettings
    ) {
        if let listener = listener(node, kind, allowsRemote) { settings.listeners.append(listener) }
    }

    mutating func listener(
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
            refuseWithoutEffect(keys, kind)
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

    /// Whom these listeners answer is not for `peers` to say.
    private mutating func refuseWithoutEffect(_ keys: [String: Node], _ kind: ListenerSettings.Kind) {
        let names: [String]
        let rule: String
        switch kind {
        case .admin: (names, rule) = (["peers", "group"], "root and the daemon's own user are answered, nobody else")
        case .documents: (names, rule) = (["peers"], "whoever its file lets in is answered; `mode` and `group` say who")
        default: return
        }
        for name in names {
            guard let node = keys[name] else { continue }
            add(node, "`\(name)` has no effect here: \(rule)", "remove it")
        }
    }

    private mutating func readPermissions(_ keys: [String: Node], _ result: inout ListenerSettings) {
        if let node = keys["mode"], let text = string(node) {
            let isOctal = text.utf8.count <= 4 && text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x37 }
            if isOctal, let mode = UInt32(text, radix: 8), mode <= 0o777 {
                result.permissions.mode = mode
                if result.kind == .admin, mode & 0o007 != 0 {
                    add(
                        node, "`\(text)` lets everyone on this machine administer the daemon",
                        "write \"0600\"; only root and the daemon's own user are answered")
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
        result.namesPeers = true
    }

    /// Two listeners on one address: the second would find the first one answering.
    mutating func refuseRepeatedAddresses(_ settings: DaemonSettings, _ top: [String: Node]) {
        var seen: Set<ListenAddress> = []
        let single = [
            ("admin", settings.admin), ("documents", settings.documents), ("publications", settings.publications),
        ]
        var placed = single.compactMap { name, listener in top[name].flatMap { node in listener.map { (node, $0) } } }
        let nodes = items(top["fastcgi"]) + items(top["http"]) + items(top["spop"])
        // A listener that was refused has no settings; then its own problem is told first.
        if nodes.count == settings.listeners.count { placed += zip(nodes, settings.listeners) }
        for (node, listener) in placed {
            // Port 0 is a different port each time.
            if case .tcp(_, 0) = listener.address { continue }
            if seen.insert(listener.address).inserted { continue }
            add(node, "another listener has the address `\(listener.address)` too", "give each one of its own")
        }
    }
}
