/// Writes a draft as a policy file, as a person would have: scopes aligned, routes grouped by the first part of their
/// path, comments where something is left out or open.
struct ServiceFileWriter {
    private let draft: ServiceDraft
    private let leftOutCounts: [String: Int]
    private var text = ""
    private static let columnsMax = 120
    private static let alignedMax = 72
    /// So few routes are one block.
    private static let blockMax = 16

    init(_ draft: ServiceDraft) {
        self.draft = draft
        leftOutCounts = Dictionary(
            draft.allRemarks.filter { $0.kind == .leftOut }.map { ($0.reason, $0.count) }, uniquingKeysWith: max)
    }

    consuming func write() -> String {
        writeHead()
        writeIssuer()
        writeScopes()
        text += "\nservices:\n"
        for service in draft.services.indices {
            if service > 0 { text += "\n" }
            writeService(service)
        }
        return text
    }

    private mutating func comment(_ words: String, indent: Int = 0) {
        let blanks = String(repeating: " ", count: indent)
        var line = blanks + "#"
        for word in words.split(separator: " ") {
            if line.count + word.count + 1 > ServiceFileWriter.columnsMax, line.count > indent + 1 {
                text += line + "\n"
                line = blanks + "#  "
            }
            line += " " + word
        }
        text += line + "\n"
    }

    // MARK: Head

    private mutating func writeHead() {
        let document = draft.document
        let title = visibleLine(document.title, charactersMax: 80)
        let version = visibleLine(document.version, charactersMax: 30)
        comment(
            "\(title.isEmpty ? "An API" : title)\(version.isEmpty ? "" : " " + version), from its OpenAPI document.")
        for remark in draft.allRemarks
        where remark.count != 1 || ![.leftOut, .note].contains(remark.kind) {
            comment(remark.sentence.prefix(1).uppercased() + remark.sentence.dropFirst())
        }
        if draft.options.issuer == nil { comment("Its issuer stands in another file of the policy.") }
        text += "scopecheck: 1\n"
    }

    private mutating func writeIssuer() {
        guard let issuer = draft.options.issuer else { return }
        let host = draft.services.first?.place.hosts.first { !$0.hasPrefix("*") } ?? "api.example.com"
        text += "\nissuers:\n  - issuer: \(YAMLText.scalar(issuer))\n"
        text += "    audience: https://\(host)    # what tokens for this API carry in `aud`\n"
        text += "    keys: { discovery: true }\n"
    }

    // MARK: Scopes

    private mutating func writeScopes() {
        let required = requiredScopes()
        guard !required.isEmpty else { return }
        var descriptions: [String: String] = [:]
        for name in draft.document.schemes.keys.sorted() {
            for scope in draft.document.schemes[name]?.scopes ?? [] where descriptions[scope.name] == nil {
                descriptions[scope.name] = scope.description
            }
        }
        text += "\nscopes:\n"
        let names = required.map { YAMLText.scalar($0) + ":" }
        let width = min(names.map(\.count).max() ?? 0, 60)
        for (name, scope) in zip(names, required) {
            let description = descriptions[scope] ?? ""
            let value = description.isEmpty ? "{}" : "{ description: \(YAMLText.sentence(description)) }"
            text += "  \(padded(name, width)) \(value)\n"
        }
        let unused = Set(descriptions.keys).subtracting(required).sorted()
        if !unused.isEmpty {
            comment("Declared, and required by no route: \(quotedList(unused, namesMax: 20)).", indent: 2)
        }
    }

    /// In the order of their declaration, then of their use.
    private func requiredScopes() -> [String] {
        var used: [String] = []
        var seen: Set<String> = []
        for route in draft.routes {
            guard case .scopes(let formula) = route.state else { continue }
            for scope in formula.all + formula.any where seen.insert(scope).inserted { used.append(scope) }
        }
        var result: [String] = []
        var taken: Set<String> = []
        for name in draft.document.schemes.keys.sorted() {
            for scope in draft.document.schemes[name]?.scopes ?? []
            where seen.contains(scope.name) && taken.insert(scope.name).inserted {
                result.append(scope.name)
            }
        }
        return result + used.filter { taken.insert($0).inserted }
    }

    // MARK: Services

    private mutating func writeService(_ index: Int) {
        let service = draft.services[index]
        let listed = service.routes.filter { !draft.routes[$0].isLeftOut }
        // Shields stop weaker paths of other services.
        guard !listed.isEmpty || draft.shields.contains(where: { $0.service == index }) else {
            comment("`\(service.name)` has no operation that a policy can express:", indent: 2)
            for route in service.routes { writeLeftOut(draft.routes[route], indent: 2) }
            return
        }
        text += "  \(service.name):\n"
        if let issuer = draft.options.issuer { text += "    issuers: \(YAMLText.list([issuer]))\n" }
        text += "    hosts: \(YAMLText.list(service.place.hosts))\n"
        let ports = service.place.ports
        if !ports.isEmpty { text += "    ports: [\(ports.map { String($0) }.joined(separator: ", "))]\n" }
        if !service.place.basePath.isEmpty { text += "    base_path: \(YAMLText.scalar(service.place.basePath))\n" }
        text += "    routes:\n"
        for (number, block) in blocks(service.routes).enumerated() {
            let isListed = block.contains { !draft.routes[$0].isLeftOut }
            if number > 0, isListed, service.routes.count > ServiceFileWriter.blockMax { text += "\n" }
            writeBlock(block)
        }
        let shields = draft.shields.filter { $0.service == index }.map(\.pattern)
        guard !shields.isEmpty else { return }
        if service.routes.count > ServiceFileWriter.blockMax { text += "\n" }
        comment(
            "Nothing is allowed on these paths. They are listed so that no path with a parameter answers for them.",
            indent: 6)
        for pattern in shields {
            text += "      - { match: \(YAMLText.scalar("OPTIONS " + pattern.text)), preflight: true }\n"
        }
    }

    /// Neighbours whose path goes on alike after what all paths begin with; few of a kind stand together.
    private func blocks(_ routes: [Int]) -> [[Int]] {
        if routes.count <= ServiceFileWriter.blockMax { return [routes] }
        var depth = 0
        while let first = routes.first.flatMap({ segment($0, depth) }), case .literal = first,
            routes.allSatisfy({ segment($0, depth) == first })
        {
            depth += 1
        }
        var groups: [[Int]] = []
        for route in routes {
            if let last = groups.last?.last, segment(last, depth) == segment(route, depth) {
                groups[groups.count - 1].append(route)
            } else {
                groups.append([route])
            }
        }
        var blocks: [[Int]] = []
        var isOfFew = false
        for group in groups {
            let isFew = group.count < 4
            if isFew, isOfFew, !blocks.isEmpty {
                blocks[blocks.count - 1] += group
            } else {
                blocks.append(group)
            }
            isOfFew = isFew
        }
        return blocks
    }

    private func segment(_ route: Int, _ depth: Int) -> PathPattern.Segment? {
        let segments = draft.routes[route].pattern.segments
        return depth < segments.count ? segments[depth] : nil
    }

    private mutating func writeBlock(_ block: [Int]) {
        var width = 0
        for index in block where !draft.routes[index].isLeftOut {
            let count = match(draft.routes[index]).count
            if count <= ServiceFileWriter.alignedMax { width = max(width, count) }
        }
        for index in block { writeRoute(draft.routes[index], width) }
    }

    private func match(_ route: ServiceDraft.Route) -> String {
        YAMLText.scalar("\(draft.document.operations[route.operation].method) \(route.pattern.text)")
    }

    private mutating func writeLeftOut(_ route: ServiceDraft.Route, indent: Int) {
        if case .covered(let other) = route.state {
            comment("\(draft.name(of: route)): the same request as `\(other)`", indent: indent)
        }
        guard case .leftOut(let reason) = route.state else { return }
        // What many have stands at the head of the file.
        let isCommon = leftOutCounts[reason, default: 0] > 3
        comment("Left out, so denied: \(draft.name(of: route))" + (isCommon ? "" : ": \(reason)"), indent: indent)
    }

    private mutating func writeRoute(_ route: ServiceDraft.Route, _ width: Int) {
        let operation = draft.document.operations[route.operation]
        let match = match(route)
        var notes: [String] = []
        if operation.isDeprecated { notes.append("deprecated") }
        switch route.state {
        case .leftOut, .covered: writeLeftOut(route, indent: 6)
        case .open:
            if !operation.summary.isEmpty { notes.append(operation.summary) }
            let note = notes.isEmpty ? "" : "    # " + notes.joined(separator: "; ")
            text += "      - { match: \(padded(match + ",", width + 1)) public: true }\(note)\n"
        case .scopes(let formula):
            if route.isStricter {
                let more = draft.requirements[route.requirement].alternatives
                comment("The document lets in \(alternativesText(more)).", indent: 6)
            }
            let note = notes.isEmpty ? "" : "    # " + notes.joined(separator: "; ")
            write(match, formula, width, note)
        }
    }

    private func alternativesText(_ alternatives: [[String]]) -> String {
        let shown = alternatives.prefix(6).map { $0.prefix(8).map { quoted($0) }.joined(separator: " with ") }
        return shown.joined(separator: ", or ") + (alternatives.count > 6 ? ", or more" : "")
    }

    private mutating func write(_ match: String, _ formula: ScopeFormula, _ width: Int, _ note: String) {
        let scopes = ServiceFileWriter.flow(formula)
        for width in [width, 0] {
            let line = "      - { match: \(padded(match + ",", width + 1)) scopes: \(scopes) }"
            guard line.count <= ServiceFileWriter.columnsMax else { continue }
            text += line + note + "\n"
            return
        }
        text += "      - match: \(match)\(note)\n"
        let second = "        scopes: \(scopes)"
        if second.count <= ServiceFileWriter.columnsMax {
            text += second + "\n"
            return
        }
        text += "        scopes:\n"
        for (name, list) in [("all", formula.all), ("any", formula.any)] where !list.isEmpty {
            text += "          \(name):\n"
            for scope in list { text += "            - \(YAMLText.scalar(scope))\n" }
        }
    }

    static func flow(_ formula: ScopeFormula) -> String {
        if formula.any.isEmpty {
            return formula.all.count == 1 ? YAMLText.scalar(formula.all[0]) : YAMLText.list(formula.all)
        }
        let any = "any: \(YAMLText.list(formula.any))"
        return formula.all.isEmpty ? "{ \(any) }" : "{ all: \(YAMLText.list(formula.all)), \(any) }"
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}

extension ImportRemark {
    /// `12 operations, as GET /a: not expressible: …`.
    public var sentence: String {
        let first = operations.first.map { "`\($0)`" } ?? ""
        let about =
            switch count {
            case 0: ""
            case 1: "\(first): "
            default: "\(count) operations, as \(first): "
            }
        return (kind == .leftOut ? "left out, so denied: " : "") + about + reason
    }
}
