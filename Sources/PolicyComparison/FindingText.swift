extension Finding {
    /// One line: what has changed, and one request that shows it.
    public var summary: String {
        let places = count > 1 ? "\(count) places, as " : ""
        let shown = examples.first.map { " (\(places)\($0.text(basis)))" } ?? ""
        return "\(kind.rawValue): \(change)\(shown)"
    }
}

extension Finding.Example {
    /// `GET https://api.example.com/v1/orders/x on port 443 with scopes "orders:read": was insufficient_scope, becomes
    /// granted`.
    public func text(_ basis: Finding.Basis) -> String {
        var result = request.text
        if let token { result += " " + token.text }
        if basis == .example { result += ": was \(was), becomes \(becomes)" }
        return result
    }
}

extension ExampleRequest {
    public var text: String {
        switch self {
        case .http(let method, let host, let port, let path, let requested):
            let preflight = requested.map { " as a preflight for \($0)" } ?? ""
            return "\(method) https://\(host)\(path) on port \(port)\(preflight)"
        case .connection(let port, let identities):
            guard let identities else { return "a connection to port \(port) without certificate" }
            return "a connection to port \(port) with a certificate of \(identities.joined(separator: " and "))"
        }
    }
}

extension ExampleToken {
    public var text: String {
        var parts = [
            scopes.isEmpty ? "with a token without scopes" : "with scopes \"\(scopes.joined(separator: " "))\""
        ]
        if let client { parts.append("of client `\(client)`") }
        if isUnlisted { parts.append("of a client that is not listed") }
        parts.append("from `\(issuer)`")
        for claim in claims { parts.append("with `\(claim.name)` \"\(claim.value)\"") }
        return parts.joined(separator: " ") + (note.map { ", \($0)" } ?? "")
    }
}
