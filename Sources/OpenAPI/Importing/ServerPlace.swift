/// Where operations are served: one service of a policy for each different place.
struct ServerPlace: Hashable {
    var hosts: [String]
    /// Of the listener; empty means any.
    var ports: [UInt16]
    /// As the policy writes it, empty for the root.
    var basePath: String

    /// What a server's URL says.
    enum Reading: Equatable {
        /// nil for a URL without host.
        case place(host: String?, port: UInt16?, basePath: String)
        case unusable(String)
        /// Its path stands for requests that a base path does not.
        case unclear(String)
    }

    /// Example: `https://api.example.com:8443/v1/` is host `api.example.com`, port 8443, base path `/v1`.
    /// - Parameter isHostRead: whether its host counts; otherwise only its path does.
    static func read(_ url: String, isHostRead: Bool = true) -> Reading {
        var rest = Substring(url)
        var host: String?
        var port: UInt16?
        if let scheme = rest.firstRange(of: "://"), !rest[..<scheme.lowerBound].contains("/") {
            let name = rest[..<scheme.lowerBound].lowercased()
            guard ["https", "http", "wss", "ws"].contains(name) else { return .unusable("it is no https URL") }
            rest = rest[scheme.upperBound...]
        } else if rest.hasPrefix("//") {
            rest = rest.dropFirst(2)
        } else {
            return place(host: nil, port: nil, path: rest)
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        rest = rest[authority.endIndex...]
        var name = authority.lowercased()
        if let colon = name.lastIndex(of: ":"), !name.hasSuffix("]") {
            let number = UInt16(name[name.index(after: colon)...]) ?? 0
            guard !isHostRead || number > 0 else { return .unusable("its port is none") }
            if number != 443 && number != 80 { port = number }
            name = String(name[..<colon])
        }
        if name.hasSuffix(".") { name.removeLast() }
        guard !isHostRead || isHost(name) else { return .unusable("its host is none that a request can name") }
        host = name
        return place(host: host, port: port, path: rest)
    }

    private static func place(host: String?, port: UInt16?, path: Substring) -> Reading {
        guard !path.contains(where: { $0 == "?" || $0 == "#" }) else { return .unclear("it has a query or fragment") }
        var text = String(path)
        if !text.hasPrefix("/") { text = "/" + text }
        let pattern = PathPattern(text)
        guard let base = pattern.asBasePath else {
            return pattern.isNeverRequested
                ? .unusable("its path is none of a request") : .unclear("its path is no base path")
        }
        return .place(host: host, port: port, basePath: base.text)
    }

    /// A name or an address in the one spelling that requests are compared with. Stricter than need be: what is refused
    /// here is named by hand.
    static func isHost(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard !bytes.isEmpty, bytes.count <= 253 else { return false }
        if name == "[::1]" { return true }
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        let isNamed = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy {
                    (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D
                }
        }
        guard isNamed else { return false }
        guard labels[labels.count - 1].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return true }
        return labels.count == 4
            && labels.allSatisfy { UInt8($0) != nil && ($0 == "0" || !$0.hasPrefix("0")) }
    }

    /// Both of two sets of ports; any port where one of them is any.
    static func ports(_ one: [UInt16], _ other: [UInt16]) -> [UInt16] {
        one.isEmpty || other.isEmpty ? [] : Array(Set(one + other)).sorted()
    }

    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host.hasPrefix("127.") || host == "[::1]"
    }
}
