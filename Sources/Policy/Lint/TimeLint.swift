internal import PolicyTables

// Rules over what ends: two weeks are left to do something about it.

extension PolicyLinter {
    private func isEnding(_ until: Int64) -> Bool { until > now && until <= now + PolicyLinter.secondsAhead }

    /// `2026-12-01T00:00:00Z, in 3 days`.
    private func end(_ until: Int64) -> String {
        let days = (until - now) / 86_400
        let rest = days > 0 ? "in \(days) day\(days == 1 ? "" : "s")" : "within a day"
        return "\(timeText(until)), \(rest)"
    }

    func checkTimes() {
        checkScopeEnds()
        checkClientEnds()
        checkServiceEnds()
    }

    private func checkScopeEnds() {
        for (index, scope) in model.scopes.enumerated() {
            guard let until = scope.until, isEnding(until) else { continue }
            let here = scope.replacedBy.isEmpty ? outline.scopeEnds[scope.name] : nil
            let users = listings(of: scope.name)
            let left = users.isEmpty ? "" : "; listed by \(quotedList(users.map(\.client), namesMax: 10)) still"
            let replaced = scope.replacedBy.map { model.scopes[Int($0)].name }
            add(
                .scopeEnding, at: here ?? place(scope: index),
                replaced.isEmpty
                    ? "the scope \(quoted(scope.name)) counts for nothing from \(end(until))\(left)"
                    : "the old name \(quoted(scope.name)) of \(quotedList(replaced)) counts for nothing from "
                        + "\(end(until))\(left)",
                mend: "see who still uses it (`scopecheck status`), and change them or the date")
        }
        for scope in model.scopes where !scope.replacedBy.isEmpty {
            let replaced = scope.replacedBy.map { model.scopes[Int($0)].name }
            for listing in listings(of: scope.name) {
                add(
                    .oldScopeListed, at: listing.place,
                    "\(quoted(listing.client)) lists \(quoted(scope.name)), an old name of \(quotedList(replaced))",
                    mend: "list \(quotedList(replaced)) instead; tokens with the old name go on working until its end")
            }
        }
    }

    /// Who lists a scope by exactly this name: clients, their grants, and roles.
    private func listings(of scope: String) -> [(client: String, place: SourcePlace)] {
        var result: [(client: String, place: SourcePlace)] = []
        for (name, client) in outline.clients {
            let listed = client.scopes + client.grants.flatMap(\.scopes)
            for listing in listed where listing.name == scope { result.append((name, listing.place)) }
        }
        for (name, listed) in outline.roles {
            for listing in listed where listing.name == scope { result.append((name, listing.place)) }
        }
        return result.sorted {
            if $0.place.file != $1.place.file { return $0.place.file < $1.place.file }
            if $0.place.line != $1.place.line { return $0.place.line < $1.place.line }
            return $0.place.column < $1.place.column
        }
    }

    private func checkClientEnds() {
        for client in model.clients {
            let known = outline.clients[client.name]
            for (index, grant) in client.grants.enumerated() where isEnding(grant.until) {
                let listed = known?.grants ?? []
                let names = grant.scopes.prefix(4).map { model.scopes[Int($0)].name }
                add(
                    .grantEnding,
                    at: listed.count == client.grants.count ? listed[index].place : known?.place ?? outline.start,
                    "a grant to \(quoted(client.name)) (\(quotedList(names)), \(quoted(grant.reason))) ends at "
                        + end(grant.until),
                    mend: "let it end, or renew it with its reason")
            }
            guard let until = client.observeUntil, isEnding(until) else { continue }
            add(
                .observeEnding, at: known?.until ?? known?.place ?? outline.start,
                "\(quoted(client.name)) is enforced again from \(end(until))",
                mend: "look at what was observed (`scopecheck status`), then remove `mode`, or move the date")
        }
    }

    private func checkServiceEnds() {
        for (index, service) in model.services.enumerated() {
            if let until = service.until, isEnding(until) {
                add(
                    .serviceEnding, at: outline.services[service.name]?.ends ?? place(service: index),
                    "everything of \(quoted(service.name)) is denied from \(end(until))",
                    mend: "publish it again, or remove it with those who call it")
            }
            var counts: [Int64: (first: Int, count: Int)] = [:]
            for (number, route) in service.routes.enumerated() {
                guard let until = route.observeUntil, isEnding(until) else { continue }
                counts[until, default: (number, 0)].count += 1
            }
            for (until, routes) in counts.sorted(by: { $0.key < $1.key }) {
                let others = routes.count > 1 ? " and \(routes.count - 1) more of \(quoted(service.name))" : ""
                add(
                    .observeEnding, at: place(service: index, route: routes.first),
                    "\(quoted(service.routes[routes.first].label))\(others) will be enforced from \(end(until))",
                    mend: "look at what was observed, then remove `mode`, or move the date")
            }
        }
        for service in model.portServices {
            guard let until = service.observeUntil, isEnding(until) else { continue }
            add(
                .observeEnding, at: outline.services[service.name]?.place ?? outline.start,
                "\(quoted(service.name)) will be enforced from \(end(until))",
                mend: "look at what was observed, then remove `mode`, or move the date")
        }
    }
}
