/// The URLs that one server of a document stands for, by what its variables can be.
struct ServerURLs {
    /// None where none of the values that were asked for is the server's.
    private(set) var urls: [String] = []
    /// Variables that can be anything and count with their defaults: in a host or port, and in the path.
    private(set) var freeInHost: [String] = []
    private(set) var freeInPath: [String] = []
    /// Those of which nobody can say where they end: their default is no part of a host and no one segment.
    private(set) var unbounded: [String] = []

    static let urlsMax = 64

    /// - Parameter chosen: values that are meant, by name, in place of all that a variable can have.
    init(_ server: APIDocument.Server, chosen: [String: [String]]) throws(DocumentError) {
        var values: [[String]] = []
        var combinations = 1
        let inPath = ServerURLs.variablesInPath(server)
        for (index, variable) in server.variables.enumerated() {
            var own = variable.values
            if let wanted = chosen[variable.name] {
                own = own.isEmpty ? wanted : own.filter(wanted.contains)
            } else if own.isEmpty {
                own = [variable.defaultValue]
                addFree(variable, isInPath: inPath.contains(index))
            }
            values.append(own)
            combinations *= own.count
            guard combinations <= ServerURLs.urlsMax else {
                throw DocumentError(
                    line: server.line,
                    "the server \(quoted(server.url)) stands for more than \(ServerURLs.urlsMax) URLs by its variables "
                        + quotedList(server.variables.map(\.name)),
                    mend: "say with --server-variable which values are meant, as in "
                        + "`--server-variable \(visibleLine(variable.name))=\(visibleLine(variable.defaultValue))`")
            }
        }
        for number in 0..<combinations {
            var rest = number
            var picked: [String: String] = [:]
            for (variable, own) in zip(server.variables, values) {
                picked[variable.name] = own[rest % own.count]
                rest /= own.count
            }
            let url = server.url { picked[$0.name] ?? $0.defaultValue }
            guard url.utf8.count <= APIDocument.urlBytesMax else {
                throw DocumentError(
                    line: server.line, "the server \(quoted(url)) has more than \(APIDocument.urlBytesMax) bytes",
                    mend: "write a shorter one")
            }
            if !urls.contains(url) { urls.append(url) }
        }
    }

    private mutating func addFree(_ variable: APIDocument.ServerVariable, isInPath: Bool) {
        let value = variable.defaultValue.utf8
        // `/`, `?`, `#` and `\`.
        if value.isEmpty || value.contains(where: { $0 == 0x2F || $0 == 0x3F || $0 == 0x23 || $0 == 0x5C }) {
            unbounded.append(variable.name)
        } else if isInPath {
            freeInPath.append(variable.name)
        } else {
            freeInHost.append(variable.name)
        }
    }

    /// Those that stand behind the slash where the path begins.
    private static func variablesInPath(_ server: APIDocument.Server) -> Set<Int> {
        let skeleton = server.url { _ in "_" }
        let authority = skeleton.firstRange(of: "//")?.upperBound
        let start = skeleton[(authority ?? skeleton.startIndex)...].firstIndex(of: "/") ?? skeleton.endIndex
        // Without a host all of it is path.
        var left = authority == nil ? 0 : skeleton[..<start].utf8.count
        var result: Set<Int> = []
        for part in server.parts {
            switch part {
            case .text(let text): left -= text.utf8.count
            case .variable(let index):
                if left <= 0 { result.insert(index) }
                left -= 1
            }
        }
        return result
    }
}
