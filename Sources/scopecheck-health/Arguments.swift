/// Where the agent listens.
enum AgentAddress {
    case unix(path: [UInt8])
    /// `host` is numeric; which family shows when it is read.
    case tcp(host: [UInt8], port: UInt16)

    /// `sun_path` has 108 bytes, the last a NUL.
    static let pathBytesMax = 107

    /// `unix:/path`, `127.0.0.1:9801`, `[::1]:9801` or `localhost:9801`.
    init(_ text: [UInt8]) throws(Trouble) {
        if text.starts("unix:") {
            self = try AgentAddress(path: Array(text.dropFirst(5)))
            return
        }
        try AgentAddress.refuseAbstract(text)
        guard let colon = text.lastIndex(of: 0x3A) else {
            throw AgentAddress.unreadable(text)
        }
        var host = Array(text[..<colon])
        if host.first == 0x5B, host.last == 0x5D, host.count > 2 {
            host = Array(host[1..<(host.count - 1)])
        } else if host.contains(0x3A) {
            throw AgentAddress.unreadable(text)
        }
        self = try AgentAddress(host: host, port: Array(text[(colon + 1)...]), whole: text)
    }

    /// HAProxy's third and fourth argument.
    init(server: [UInt8], port: [UInt8]) throws(Trouble) {
        try AgentAddress.refuseAbstract(server)
        guard port.equals("NOT_USED") else {
            self = try AgentAddress(host: server, port: port, whole: server)
            return
        }
        // The path of an abstract socket starts with a NUL, which as an argument is no text at all.
        guard !server.isEmpty else { throw AgentAddress.abstract }
        self = try AgentAddress(path: server)
    }

    private init(path: [UInt8]) throws(Trouble) {
        try AgentAddress.refuseAbstract(path)
        guard !path.isEmpty, path.count <= AgentAddress.pathBytesMax else {
            var text = Array("the path of a unix socket has 1 to 107 bytes, ".utf8)
            text.addQuoted(path)
            text.add(" has ")
            text.add(UInt64(path.count))
            text.add("; give it a shorter one")
            throw Trouble(Trouble.usage, text)
        }
        self = .unix(path: path)
    }

    private init(host: [UInt8], port: [UInt8], whole: [UInt8]) throws(Trouble) {
        guard !host.isEmpty, host.count <= 45, let number = port.decimal, number >= 1, number <= 65535 else {
            throw AgentAddress.unreadable(whole)
        }
        let isLocal = host.equals("localhost")
        self = .tcp(host: isLocal ? Array("127.0.0.1".utf8) : host, port: UInt16(number))
    }

    private static var abstract: Trouble {
        Trouble(Trouble.usage, "abstract sockets (`abns@`) cannot be checked; let the agent listen on a path or a port")
    }

    private static func refuseAbstract(_ text: [UInt8]) throws(Trouble) {
        if text.starts("abns@") || text.starts("abnsz@") || text.first == 0x40 { throw abstract }
    }

    static func unreadable(_ text: [UInt8]) -> Trouble {
        var message: [UInt8] = []
        message.addQuoted(text)
        message.add(" is no address with a port; ")
        message.add("write `unix:/path`, `127.0.0.1:9801` or `[::1]:9801` (numbers, or `localhost`)")
        return Trouble(Trouble.usage, message)
    }

    var text: [UInt8] {
        switch self {
        case .unix(let path): return Array("unix:".utf8) + path
        case .tcp(let host, let port):
            var text: [UInt8] = host.contains(0x3A) ? [0x5B] + host + [0x5D] : host
            text.append(0x3A)
            text.add(UInt64(port))
            return text
        }
    }
}

/// The command line.
struct Arguments {
    var address: AgentAddress?
    var timeoutMilliseconds: UInt64 = 800
    var policyNumberMin: UInt64 = 0
    var isVerbose = false
    var wantsHelp = false

    private enum Limits {
        static let timeoutMilliseconds: UInt64 = 60_000
    }

    /// - Parameter words: what follows the program's name.
    init(_ words: [[UInt8]]) throws(Trouble) {
        var plain: [[UInt8]] = []
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            if word.equals("--") {
                plain.append(contentsOf: words[index...])
                break
            }
            guard word.first == 0x2D else {
                plain.append(word)
                continue
            }
            if word.equals("--help") || word.equals("-h") {
                wantsHelp = true
                return
            }
            if word.equals("--verbose") {
                isVerbose = true
                continue
            }
            var name = word
            var value: [UInt8]?
            if let sign = word.firstIndex(of: 0x3D) {
                name = Array(word[..<sign])
                value = Array(word[(sign + 1)...])
            } else if index < words.count {
                value = words[index]
                index += 1
            }
            try take(name, value)
        }
        try takeProxyWords(plain)
        guard address != nil else {
            throw Trouble(Trouble.usage, "there is no address to check; give `--address`, or see `--help`")
        }
    }

    private mutating func take(_ name: [UInt8], _ value: [UInt8]?) throws(Trouble) {
        let isAddress = name.equals("--address")
        let isTimeout = name.equals("--timeout")
        let isVersion = name.equals("--strict-version")
        guard isAddress || isTimeout || isVersion else {
            throw Arguments.wrong(name, " is no option; see `--help`")
        }
        guard let value else { throw Arguments.wrong(name, " needs a value; see `--help`") }
        if isAddress {
            guard address == nil else { throw Arguments.wrong(name, " is given twice; one address is checked") }
            address = try AgentAddress(value)
        } else if isTimeout {
            guard let number = value.decimal, number >= 1, number <= Limits.timeoutMilliseconds else {
                throw Arguments.wrong(value, " is no timeout; give 1 to 60000 milliseconds")
            }
            timeoutMilliseconds = number
        } else {
            guard let number = value.decimal, number >= 1 else {
                throw Arguments.wrong(value, " is no policy number; give the N of a label `N.hash`")
            }
            policyNumberMin = number
        }
    }

    /// `<proxy_addr|NOT_USED> <proxy_port|NOT_USED> <server_addr> <server_port>`, or nothing.
    private mutating func takeProxyWords(_ words: [[UInt8]]) throws(Trouble) {
        guard !words.isEmpty else { return }
        guard words.count == 4 else {
            throw Trouble(
                Trouble.usage,
                "HAProxy gives four arguments, here are others; by hand write `--address ADDR`, see `--help`")
        }
        guard address == nil else {
            throw Trouble(Trouble.usage, "give `--address` or HAProxy's four arguments, not both")
        }
        address = try AgentAddress(server: words[2], port: words[3])
    }

    private static func wrong(_ word: [UInt8], _ rest: String) -> Trouble {
        var text: [UInt8] = []
        text.addQuoted(word)
        text.add(rest)
        return Trouble(Trouble.usage, text)
    }

    static let help = """
        usage: scopecheck-health [--address ADDR] [--timeout MILLISECONDS] [--strict-version N] [--verbose]
                                 [PROXY_ADDR PROXY_PORT SERVER_ADDR SERVER_PORT]

        Asks a Scopecheck daemon over SPOP whether it is healthy. HAProxy's `external-check command`
        calls it with the four arguments; by hand, give an address.

          --address ADDR          unix:/path, 127.0.0.1:9801 or [::1]:9801 (numbers, or `localhost`)
          --timeout MILLISECONDS  for everything together, 1 to 60000; 800 unless given
          --strict-version N      the policy's activation number must be at least N (numbers only grow)
          --verbose               print `healthy` and the policy's label

        Ends with 0: healthy. 1: reached, not healthy. 2: not reached, no answer in time, or no agent.
        64: wrong usage. Unless healthy, one line on standard error says why.

        """
}
