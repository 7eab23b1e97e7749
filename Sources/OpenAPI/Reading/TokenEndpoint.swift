/// A URL of a security scheme, as far as it tells whose tokens the scheme takes.
public struct TokenEndpoint: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// Named by a discovery URL, which names one issuer exactly.
        case issuer
        /// The folder of endpoints whose own names say nothing of the authority.
        case folder
        /// A whole URL: its last segment may be a tenant's name.
        case whole
    }

    /// Lower case, with its port; empty for a URL relative to the API; the whole of a URL that is not plain.
    public var host: String
    /// The issuer's path, the folder, or all of the path, with its query: tenants and realms stand there where one host
    /// has several issuers.
    public var path: String
    public var kind: Kind

    /// Endpoints as servers call them that have several: what stands beside them is of the same authority.
    private static let endpointNames: Set<String> = [
        "auth", "authorize", "authorization", "authorization.oauth2", "token", "token.oauth2", "access_token",
        "refresh", "refresh_token", "device_authorization", "devicecode",
    ]
    /// Where issuers have their endpoints; no name for a tenant.
    private static let folderNames: Set<String> = [
        "oauth", "oauth2", "oidc", "openid", "openid-connect", "protocol", "connect", "o", "v1", "v2", "v2.0",
    ]

    /// Example: `https://id.example.com/realms/a/token` is host `id.example.com`, folder `/realms/a`.
    init(endpoint url: String) {
        guard let (host, path, query) = TokenEndpoint.parts(url) else {
            self = TokenEndpoint(alone: url, kind: .whole)
            return
        }
        self.host = host
        let trimmed = TokenEndpoint.trimmed(path)
        if let slash = trimmed.lastIndex(of: "/"),
            TokenEndpoint.endpointNames.contains(String(trimmed[trimmed.index(after: slash)...]))
        {
            self.path = trimmed[..<slash] + query
            kind = .folder
        } else {
            self.path = trimmed + query
            kind = .whole
        }
    }

    /// OpenID Connect Discovery 1.0 §4: the issuer with `/.well-known/openid-configuration` behind it. RFC 8414 §3.1:
    /// the same with `oauth-authorization-server`, or either of them between the issuer's host and its path.
    init(discovery url: String) {
        guard let (host, path, query) = TokenEndpoint.parts(url), let issuer = TokenEndpoint.issuerPath(path) else {
            self = TokenEndpoint(alone: url, kind: .issuer)
            return
        }
        self.host = host
        self.path = TokenEndpoint.trimmed(issuer) + query
        kind = .issuer
    }

    /// A URL that may be read in several ways is of an authority of its own.
    private init(alone url: String, kind: Kind) {
        host = url
        path = ""
        self.kind = kind
    }

    /// - Returns: nil when nobody can say whose discovery this is.
    private static func issuerPath(_ path: Substring) -> Substring? {
        let marker = "/.well-known/"
        guard let known = path.firstRange(of: marker) else { return path }
        let before = path[..<known.lowerBound]
        let rest = path[known.upperBound...]
        let name = rest.prefix { $0 != "/" }
        let after = rest[name.endIndex...]
        guard ["openid-configuration", "oauth-authorization-server"].contains(name), !after.contains(marker) else {
            return nil
        }
        let hasSuffix = after.contains { $0 != "/" }
        guard !hasSuffix || before.isEmpty else { return nil }
        return hasSuffix ? after : before
    }

    /// - Returns: nil for a URL that is not plain: dots, slashes and `;` that one server resolves and another does not.
    private static func parts(_ url: String) -> (host: String, path: Substring, query: String)? {
        var rest = Substring(url)
        var host = ""
        let beginning = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        if ["", "https:", "http:"].contains(beginning.lowercased()), rest[beginning.endIndex...].hasPrefix("//") {
            rest = rest[beginning.endIndex...].dropFirst(2)
            let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            host = authority.lowercased()
            if host.hasSuffix(":443") { host.removeLast(4) }
            guard !host.isEmpty else { return nil }
            rest = rest[authority.endIndex...]
        } else if beginning.contains(":") {
            return nil
        }
        let path = rest.prefix { $0 != "?" && $0 != "#" }
        guard isPlain(path), host.utf8.allSatisfy(isPlain), !rest.contains("#") else { return nil }
        return (host, path, String(rest[path.endIndex...]))
    }

    /// One slash at the end is taken; an empty segment elsewhere is dropped by some servers.
    private static func isPlain(_ path: Substring) -> Bool {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false)
        return path.utf8.allSatisfy(isPlain) && !segments.contains(".") && !segments.contains("..")
            && !segments.dropFirst().dropLast().contains("")
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != 0x5C && byte != 0x3B && byte != 0x25
    }

    /// With a slash at the front and none at the end: `token` and `/token` are the same place of an API.
    private static func trimmed(_ path: Substring) -> String {
        var path = path
        while path.hasSuffix("/") { path.removeLast() }
        return path.isEmpty || path.hasPrefix("/") ? String(path) : "/" + path
    }

    /// Issuers whose discovery may name this endpoint, the nearest first: at its path, and above a folder as long as
    /// nothing but folders of OAuth lies between.
    var issuersAbove: [TokenEndpoint] {
        var issuer = self
        issuer.kind = .issuer
        var result = [issuer]
        while kind == .folder, result.count < TokenEndpoint.foldersMax, !issuer.path.contains("?"),
            let slash = issuer.path.lastIndex(of: "/"),
            TokenEndpoint.folderNames.contains(String(issuer.path[issuer.path.index(after: slash)...]))
        {
            issuer.path = String(issuer.path[..<slash])
            result.append(issuer)
        }
        return result
    }

    /// Some have `/authorize` and `/oauth/token`: the folder that holds such a pair.
    var folderOfPair: TokenEndpoint? {
        guard kind == .folder, path.hasSuffix("/oauth"), !path.contains("?") else { return nil }
        var folder = self
        folder.path.removeLast("/oauth".count)
        return folder
    }

    /// Deeper ones than any service has are held to be of an authority of their own.
    private static let foldersMax = 32
}
