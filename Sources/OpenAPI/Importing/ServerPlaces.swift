/// The places that a document's servers stand for.
struct ServerPlaces {
    private let options: ImportOptions
    private(set) var remarks: [(kind: ImportRemark.Kind, reason: String)] = []
    /// Variables that can be anything, with the place in the document where one was first met.
    private var freeInHost: (name: String, line: Int)?
    private var freeInPath: (name: String, line: Int)?
    /// A server that no base path says; operations that it serves could not keep weaker paths from answering for them.
    private var unclear: (url: String, reason: String, line: Int)?
    /// Of all lists together.
    private var urlsLeft = urlsMax

    static let urlsMax = 1 << 14

    init(_ options: ImportOptions) {
        self.options = options
    }

    /// - Parameter servers: one list of the document.
    mutating func places(_ servers: [APIDocument.Server]) throws(DocumentError) -> [ServerPlace] {
        let root = APIDocument.Server(url: "/", line: 1, parts: [.text("/")])
        let list = servers.isEmpty ? [root] : servers
        var places: [ServerPlace] = []
        var isHostMissing = false
        for server in list {
            for url in try urls(server) where !add(url, of: server, to: &places) { isHostMissing = true }
        }
        guard !isHostMissing || places.isEmpty else {
            throw DocumentError(
                line: list.first?.line, "some of the servers name no host",
                mend: "write whole URLs in the document, or name the hosts of all with --host")
        }
        leaveOutLoopback(&places)
        guard !places.isEmpty else {
            throw DocumentError(
                line: list.first?.line,
                isHostMissing ? "the document's servers name no host" : "the document has no server that can be used",
                mend: isHostMissing || options.serverVariables.isEmpty
                    ? "name it with --host, as in `--host api.example.com`"
                    : "name values with --server-variable that one of its servers has")
        }
        return try ServerPlaces.joined(places, line: list.first?.line)
    }

    /// - Returns: false for a URL without host where none is said beside the document.
    private mutating func add(_ url: String, of server: APIDocument.Server, to places: inout [ServerPlace]) -> Bool {
        switch ServerPlace.read(url, isHostRead: options.hosts.isEmpty) {
        case .unclear(let reason): unclear = unclear ?? (url, reason, server.line)
        case .unusable(let reason):
            remarks.append((.stricter, "the server \(quoted(url)) is left out: \(reason)"))
        case .place(_, _, let basePath) where !options.hosts.isEmpty:
            for host in options.hosts { ServerPlaces.add(host, [], basePath, to: &places) }
        case .place(let host?, let port, let basePath):
            ServerPlaces.add(host, port.map { [$0] } ?? [], basePath, to: &places)
        case .place(nil, _, _): return false
        }
        return true
    }

    /// One place for each base path and host.
    private static func add(_ host: String, _ ports: [UInt16], _ basePath: String, to places: inout [ServerPlace]) {
        guard let index = places.firstIndex(where: { $0.basePath == basePath && $0.hosts.first == host }) else {
            places.append(ServerPlace(hosts: [host], ports: ports, basePath: basePath))
            return
        }
        places[index].ports = ServerPlace.ports(places[index].ports, ports)
    }

    /// Hosts that are served alike stand together: those of other ports must not get each other's.
    private static func joined(_ places: [ServerPlace], line: Int?) throws(DocumentError) -> [ServerPlace] {
        var result: [ServerPlace] = []
        var indexOf: [ServerPlace: Int] = [:]
        for place in places {
            var key = place
            key.hosts = []
            if let index = indexOf[key] {
                result[index].hosts += place.hosts
            } else {
                indexOf[key] = result.count
                result.append(place)
            }
        }
        guard result.count <= ServiceDraft.servicesMax else {
            throw DocumentError(
                line: line,
                "operations are served at more than \(ServiceDraft.servicesMax) base paths and sets of ports",
                mend: "say with --server-variable which values are meant, or shorten the list of servers")
        }
        return result
    }

    private mutating func urls(_ server: APIDocument.Server) throws(DocumentError) -> [String] {
        let all = try ServerURLs(server, chosen: options.serverVariables)
        urlsLeft -= all.urls.count
        guard urlsLeft >= 0 else {
            throw DocumentError(
                line: server.line, "the servers stand for more than \(ServerPlaces.urlsMax) URLs",
                mend: "say with --server-variable which values are meant, or shorten the lists of servers")
        }
        guard !all.urls.isEmpty else {
            remarks.append(
                (.stricter, "the server \(quoted(server.url)) is left out: --server-variable names none of its values"))
            return []
        }
        guard !options.takesServerDefaults else { return all.urls }
        if let name = all.unbounded.first {
            throw DocumentError(
                line: server.line, "the server variable \(quoted(name)) can be anything, with slashes too",
                mend: ServerPlaces.mend(name))
        }
        var free = all.freeInPath
        if let name = free.first { freeInPath = freeInPath ?? (name, server.line) }
        if options.hosts.isEmpty {
            free = all.freeInHost + free
            if let name = all.freeInHost.first { freeInHost = freeInHost ?? (name, server.line) }
        }
        if !free.isEmpty {
            remarks.append(
                (
                    .stricter,
                    "the server \(quoted(server.url)) stands for others too, for \(quotedList(free)) can be anything; "
                        + "here it is the default, --server-variable says what else"
                ))
        }
        return all.urls
    }

    private static func mend(_ name: String) -> String {
        "say what it is, as in `--server-variable \(visibleLine(name))=VALUE`"
    }

    /// Where a variable can be anything, operations are also served where those of other places are: there they would
    /// have to keep weaker paths from answering for them. All in one place do so already.
    func check(_ places: [ServerPlace]) throws(DocumentError) {
        if let unclear, !options.takesServerDefaults {
            throw DocumentError(
                line: unclear.line, "the server \(quoted(unclear.url)) cannot be used: \(unclear.reason)",
                mend: "correct it in the document, or remove it there")
        }
        func fault(_ free: (name: String, line: Int), _ mend: String) -> DocumentError {
            DocumentError(
                line: free.line,
                "the server variable \(quoted(free.name)) can be anything, and operations are served in several "
                    + "places: nobody can tell which of them answers where it has another value", mend: mend)
        }
        if let freeInPath, places.count > 1 { throw fault(freeInPath, ServerPlaces.mend(freeInPath.name)) }
        if let freeInHost, Set(places.map { Set($0.hosts) }).count > 1 {
            throw fault(freeInHost, ServerPlaces.mend(freeInHost.name) + ", or name the hosts of all with --host")
        }
    }

    /// `localhost` beside real hosts is where somebody develops.
    private mutating func leaveOutLoopback(_ places: inout [ServerPlace]) {
        guard options.hosts.isEmpty, places.contains(where: { $0.hosts.contains { !ServerPlace.isLoopback($0) } })
        else { return }
        for index in places.indices {
            for host in places[index].hosts where ServerPlace.isLoopback(host) {
                remarks.append(
                    (.note, "the server on \(quoted(host)) is left out: it stands beside others for development"))
            }
            places[index].hosts.removeAll(where: ServerPlace.isLoopback)
        }
        places.removeAll(where: \.hosts.isEmpty)
    }
}
