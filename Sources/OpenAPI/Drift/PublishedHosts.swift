/// On which of a service's hosts a document's servers put its operations.
///
/// Ports in URLs are those that clients write, and not compared with those of the listener.
struct PublishedHosts {
    /// The first has all hosts of the service.
    private(set) var lists: [[String]]
    /// Places in `lists`, by list of servers and base path.
    private var places: [[String: Int]] = []

    /// - Parameter hosts: those of the service.
    init(_ document: APIDocument, hosts: [String], chosen: [String: [String]]) throws(DocumentError) {
        lists = [hosts]
        for servers in document.serverLists {
            var served: [String: [String]] = [:]
            var hostless: [String] = []
            var isNamed = false
            for server in servers {
                for url in try ServerURLs(server, chosen: chosen).urls {
                    guard case .place(let host, _, let basePath) = ServerPlace.read(url) else { continue }
                    guard let host else {
                        hostless.append(basePath)
                        continue
                    }
                    guard DriftReport.isServed(host, by: hosts) else { continue }
                    isNamed = true
                    if served[basePath, default: []].contains(host) { continue }
                    served[basePath, default: []].append(host)
                }
            }
            guard isNamed else {
                places.append([:])
                continue
            }
            // A URL without host is on those that the others name.
            let all = Array(Set(served.values.joined())).sorted()
            for basePath in hostless { served[basePath] = all }
            var indices: [String: Int] = [:]
            for (basePath, hosts) in served.sorted(by: { $0.key < $1.key }) {
                indices[basePath] = lists.count
                lists.append(hosts)
            }
            places.append(indices)
        }
    }

    /// - Parameter servers: of the document's lists.
    /// - Returns: a place in `lists`; nil where none of the service's hosts has the base path. All of them have it where
    ///   the servers name none.
    func list(_ servers: Int, _ basePath: String) -> Int? {
        places[servers].isEmpty ? 0 : places[servers][basePath]
    }
}
