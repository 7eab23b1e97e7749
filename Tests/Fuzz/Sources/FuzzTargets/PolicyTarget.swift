internal import Octets
@testable internal import Policy
internal import PolicyTables

/// A policy source, and what was made of it.
///
/// A source never traps; it gives a model or says why not, with places that lie within it. A model compiles,
/// and every route of it is found again in the compiled tables.
@Sendable func fuzzPolicy(_ bytes: Span<UInt8>) {
    let source = [UInt8](copying: bytes)
    let policy = loadPolicy(source: source, file: "policy.yaml", now: 1_700_000_000)
    check((policy.model == nil) == policy.hasErrors, "a model with errors, or none without")
    check(policy.diagnostics.count <= 100, "more is shown than anyone reads")
    check(
        policy.diagnostics.count + policy.omittedCount == policy.errorCount + policy.warningCount,
        "diagnostics are lost")
    let lines = 1 + source.count { $0 == 0x0A || $0 == 0x0D }
    for diagnostic in policy.diagnostics {
        check(diagnostic.line >= 1 && diagnostic.line <= lines + 1, "a line beyond the source")
        check(diagnostic.column >= 1 && diagnostic.column <= source.count + 2, "a column beyond the source")
        check(!diagnostic.message.isEmpty && !diagnostic.mend.isEmpty, "a diagnostic without words")
        check(
            isOneLine(diagnostic.message) && isOneLine(diagnostic.mend),
            "a diagnostic that a terminal acts on")
    }
    check(!diagnosticsJSON(policy).isEmpty, "no diagnostics as JSON")
    check(
        policy.diagnostics.isEmpty || !diagnosticsText(policy).isEmpty,
        "no diagnostics as text")
    guard let model = policy.model else { return }
    check(policy.routePositions.count == model.services.count, "a service without places")
    checkTexts(model)
    checkMembers(model)
    guard let compiler = try? PolicyCompiler(model), let catalogue = try? compiler.catalogue() else {
        // Limits over the whole policy are the compiler's to check.
        return
    }
    checkCatalogue(catalogue, of: model)
    for index in compiler.hosts.indices {
        guard let table = try? compiler.hostTable(index) else { return }
        checkTable(table)
    }
}

/// What is written of a model, read again.
private func checkTexts(_ model: PolicyModel) {
    let rows = effectiveTable(model).rows
    check(
        rows.count == model.services.reduce(0) { $0 + $1.hosts.count * $1.routes.count },
        "rows are lost from the effective table")
    for row in rows {
        check(row.ground != .scopes || !row.all.isEmpty || !row.any.isEmpty, "a row that asks for nothing")
    }
    for route in model.services.flatMap(\.routes) {
        let path = Array(PathTemplate.text(route.segments).utf8)
        check((try? PathTemplate.read(path[...])) == route.segments, "a path changes when it is written")
        guard let until = route.observeUntil else { continue }
        let time = Array(timeText(until).utf8)
        check((try? readTime(time[...])) == until, "a time changes when it is written")
    }
}

private func isOneLine(_ text: String) -> Bool {
    text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
}

private func checkCatalogue(_ bytes: [UInt8], of model: PolicyModel) {
    guard let catalogue = Catalogue(bytes.span) else {
        check(false, "a catalogue that cannot be read")
        return
    }
    check(catalogue.issuers() == model.issuers, "issuers change when they are compiled")
    check(catalogue.scopeCount == model.scopes.count, "scopes are lost")
    for (number, scope) in model.scopes.enumerated() {
        let name = Array(scope.name.utf8)
        check(catalogue.scopeID(of: name.span) == UInt16(number), "a scope is not found by name")
        var closure: [UInt16] = []
        catalogue.forEachImplied(by: UInt16(number)) { closure.append($0) }
        check(closure == scope.closure, "a scope implies something else")
    }
    check(catalogue.serviceCount == model.services.count, "services are lost")
    for (number, service) in model.services.enumerated() {
        let name = Array(service.name.utf8)
        guard let record = catalogue.service(number) else {
            check(false, "a service cannot be read")
            return
        }
        check(equal(record.name, name.span), "a service changes its name")
    }
}

private func checkTable(_ bytes: [UInt8]) {
    let table = HostTable(bytes.span)
    guard let listing = table.listing() else {
        check(false, "a table that cannot be listed")
        return
    }
    check(listing.count >= table.routeCount, "routes are lost")
    for route in listing.prefix(64) {
        var path = Array(route.path.replacing("{}", with: "x").replacing("**", with: "x/y").utf8)
        if path.isEmpty { path = [0x2F] }
        let method = Array(route.method.utf8)
        switch table.match(method: method.span, path: path.span, port: route.port ?? 1) {
        case .unreadable: check(false, "a table that cannot be matched")
        case .unknownRoute:
            // Port 1 may have a trie of its own, without this route.
            check(route.port == nil && listing.contains { $0.port == 1 }, "a route is not found by its path")
        default: break
        }
    }
}
