internal import Octets
internal import Policy
internal import PolicyComparison
internal import PolicyTables
internal import Tokens

/// What one policy allows beyond another, for people and programs.
struct PlanReport {
    let plan: PolicyPlan
    /// Where routes stand, as `file:line`; nil where nobody knows.
    let oldPlace: (RouteLocation) -> String?
    let newPlace: (RouteLocation) -> String?

    // MARK: For people

    var text: String {
        guard plan.isWider else {
            return
                "nothing is wider: whatever the new policy allows from \(timestamp(plan.at)) on, the old one allows\n"
        }
        let count = plan.findings.count + plan.omittedCount
        var lines = ["wider: \(count) \(count == 1 ? "finding" : "findings") from \(timestamp(plan.at)) on"]
        for finding in plan.findings {
            lines += [
                "", "\(finding.kind.rawValue): \(finding.kind.sentence)", "  \(finding.change)", "  \(extent(finding))",
            ]
            lines += finding.examples.map { "    " + sentence($0, finding) }
        }
        if plan.omittedCount > 0 { lines += ["", "\(plan.omittedCount) more findings are not shown"] }
        return lines.joined(separator: "\n") + "\n"
    }

    private func extent(_ finding: Finding) -> String {
        let what: String
        if case .connection = finding.examples.first?.request {
            what = "\(finding.count) \(finding.count == 1 ? "port" : "ports")"
        } else {
            what = "\(finding.count) \(finding.count == 1 ? "route" : "routes")"
        }
        let isNow = finding.from <= plan.at
        let start = isNow ? "from now on" : "from \(timestamp(finding.from)) on"
        let end = finding.until.map { (isNow ? "until " : "from \(timestamp(finding.from)) until ") + timestamp($0) }
        let order = finding.basis == .unordered ? "; counted as wider without a request that shows it" : ""
        return "\(finding.examples.isEmpty ? "" : what + ", ")\(end ?? start)\(order)"
    }

    private func sentence(_ example: Finding.Example, _ finding: Finding) -> String {
        let result = example.text(finding.basis)
        let places = [
            example.oldRoute.flatMap(oldPlace).map { "before: \($0)" },
            example.newRoute.flatMap(newPlace).map { "now: \($0)" },
        ].compactMap(\.self)
        return result + (places.isEmpty ? "" : " (\(places.joined(separator: ", ")))")
    }

    // MARK: For programs

    /// `{"wider":true,"at":…,"findings":[…],"omitted":0}`
    var json: [UInt8] {
        var writer = JSONObjectWriter()
        writer.add("wider", boolean: plan.isWider)
        writer.add("at", number: plan.at)
        writer.add("findings", json: jsonArray(plan.findings.map(object)))
        writer.add("omitted", number: Int64(plan.omittedCount))
        return writer.text() + [0x0A]
    }

    private func object(_ finding: Finding) -> [UInt8] {
        var writer = JSONObjectWriter()
        writer.add("kind", string: finding.kind.rawValue)
        writer.add("meaning", string: finding.kind.sentence)
        writer.add("basis", string: finding.basis.rawValue)
        writer.add("change", string: finding.change)
        writer.add("from", number: finding.from)
        if let until = finding.until { writer.add("until", number: until) }
        writer.add("count", number: Int64(finding.count))
        writer.add("examples", json: jsonArray(finding.examples.map(object)))
        return writer.text()
    }

    private func object(_ example: Finding.Example) -> [UInt8] {
        var writer = JSONObjectWriter()
        switch example.request {
        case .http(let method, let host, let port, let path, let requested):
            writer.add("method", string: method)
            writer.add("url", string: "https://\(host)\(path)")
            writer.add("port", number: Int64(port))
            if let requested { writer.add("requested_method", string: requested) }
        case .connection(let port, let identities):
            writer.add("port", number: Int64(port))
            if let identities { writer.add("certificate", strings: identities) }
        }
        if let token = example.token { writer.add("token", json: object(token)) }
        writer.add("was", string: example.was)
        writer.add("becomes", string: example.becomes)
        if let place = example.oldRoute.flatMap(oldPlace) { writer.add("old_place", string: place) }
        if let place = example.newRoute.flatMap(newPlace) { writer.add("new_place", string: place) }
        return writer.text()
    }

    private func object(_ token: ExampleToken) -> [UInt8] {
        var writer = JSONObjectWriter()
        writer.add("issuer", string: token.issuer)
        if let client = token.client { writer.add("client", string: client) }
        if token.isUnlisted { writer.add("unlisted", boolean: true) }
        writer.add("scopes", strings: token.scopes)
        var claims = JSONObjectWriter()
        for claim in token.claims { claims.add(claim.name, string: claim.value) }
        if !token.claims.isEmpty { writer.add("claims", json: claims.text()) }
        addDemands(of: token, to: &writer)
        if let note = token.note { writer.add("note", string: note) }
        return writer.text()
    }

    /// By the names of policy tests; `auth_age` in seconds.
    private func addDemands(of token: ExampleToken, to writer: inout JSONObjectWriter) {
        if !token.audiences.isEmpty { writer.add("audience", strings: token.audiences) }
        if let proof = token.proof { writer.add("proof", string: proof.rawValue) }
        if let context = token.authenticationContext { writer.add("acr", string: context) }
        if let age = token.authenticationAgeSeconds { writer.add("auth_age", number: age) }
        if !token.details.isEmpty { writer.add("authorization_details", json: jsonArray(token.details.map(object))) }
    }

    private func object(_ detail: DetailModel) -> [UInt8] {
        var writer = JSONObjectWriter()
        writer.add("type", string: detail.type)
        if !detail.actions.isEmpty { writer.add("actions", strings: detail.actions) }
        if !detail.locations.isEmpty { writer.add("locations", strings: detail.locations) }
        return writer.text()
    }
}

/// One JSON array of values that are JSON already.
func jsonArray(_ values: [[UInt8]]) -> [UInt8] {
    [0x5B] + Array(values.joined(separator: [0x2C])) + [0x5D]
}
