internal import PolicyTables

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
        if let client { parts.append("of client `\(client)`" + (isUnlisted ? ", which is not listed," : "")) }
        if client == nil, isUnlisted { parts.append("of a client that is not listed") }
        parts.append("from `\(issuer)`")
        if !audiences.isEmpty { parts.append("for " + audiences.map { "`\($0)`" }.joined(separator: " and ")) }
        for claim in claims { parts.append("with `\(claim.name)` \"\(claim.value)\"") }
        if let authenticationContext { parts.append("with `acr` \"\(authenticationContext)\"") }
        for detail in details { parts.append("with \(text(detail))") }
        let others = [authenticationText, proof?.text, note].compactMap(\.self)
        return ([parts.joined(separator: " ")] + others).joined(separator: ", ")
    }

    private var authenticationText: String? {
        authenticationAgeSeconds.map { "the user authenticated \($0 == 0 ? "just now" : "\($0) s ago")" }
    }

    private func text(_ detail: DetailModel) -> String {
        var result = "authorization details of type `\(detail.type)`"
        for (word, names) in [("for", detail.actions), ("at", detail.locations)] where !names.isEmpty {
            result += " \(word) " + names.map { "`\($0)`" }.joined(separator: " and ")
        }
        return result
    }
}

extension ExampleToken.Proof {
    var text: String {
        switch self {
        case .dpop: BindingKind.key.rawValue
        case .mtls: BindingKind.certificate.rawValue
        }
    }
}
