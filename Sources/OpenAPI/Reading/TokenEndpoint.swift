/// A URL of a security scheme, as far as it tells whose tokens the scheme takes.
public struct TokenEndpoint: Sendable, Hashable {
    /// Lower case, with its port; empty for a URL relative to the API.
    public var host: String
    /// Of a discovery URL the issuer's path, else the folder that the endpoint is in, with its query: tenants and
    /// realms stand there where one host has several issuers.
    public var path: String
    /// Named by a discovery URL, which names one issuer exactly.
    public var isIssuer: Bool

    /// Example: `https://id.example.com/realms/a/token` is host `id.example.com`, path `/realms/a`.
    init(endpoint url: String) {
        let (host, path, query) = TokenEndpoint.parts(url)
        self.host = host
        let folder = path.lastIndex(of: "/").map { path[..<$0] } ?? ""
        self.path = TokenEndpoint.trimmed(folder) + query
        isIssuer = false
    }

    /// OpenID Connect Discovery 1.0 §4: the issuer with `/.well-known/openid-configuration` behind it.
    init(discovery url: String) {
        let (host, path, query) = TokenEndpoint.parts(url)
        self.host = host
        let known = path.firstRange(of: "/.well-known/")
        self.path = TokenEndpoint.trimmed(known.map { path[..<$0.lowerBound] } ?? path) + query
        isIssuer = true
    }

    private static func parts(_ url: String) -> (host: String, path: Substring, query: String) {
        var rest = Substring(url)
        var host = ""
        if let start = rest.firstRange(of: "//"),
            ["", "https:", "http:"].contains(rest[..<start.lowerBound].lowercased())
        {
            rest = rest[start.upperBound...]
            let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            host = authority.lowercased()
            if host.hasSuffix(":443") { host.removeLast(4) }
            rest = rest[authority.endIndex...]
        }
        let path = rest.prefix { $0 != "?" && $0 != "#" }
        return (host, path, String(rest[path.endIndex...].prefix { $0 != "#" }))
    }

    /// With a slash at the front and none at the end: `token` and `/token` are the same place of an API.
    private static func trimmed(_ path: Substring) -> String {
        var path = path
        while path.hasSuffix("/") { path.removeLast() }
        return path.isEmpty || path.hasPrefix("/") ? String(path) : "/" + path
    }

    /// Issuers whose path is that of the endpoint or a folder above it, the nearest first.
    var issuersAbove: [TokenEndpoint] {
        var result: [TokenEndpoint] = []
        var issuer = self
        issuer.isIssuer = true
        while result.count < TokenEndpoint.foldersMax {
            result.append(issuer)
            guard let slash = issuer.path.lastIndex(of: "/") else { break }
            issuer.path = String(issuer.path[..<slash])
        }
        return result
    }

    /// Deeper ones than any service has are held to be of an authority of their own.
    private static let foldersMax = 32
}
