import OpenAPI
import PolicyTables
import Testing

/// Small random documents, all small requests: whom the document keeps out, the policy keeps out.
@Suite struct NeverWiderTests {
    private static let segments = ["a", "b", "{p}", "{p}.x", "a{p}", "c.x"]
    private static let requestSegments = ["a", "b", "c.x", "a.x", "ab", "z"]
    private static let securities = [
        "[]", "[{}]", "[{ oauth: [read] }]", "[{ oauth: [write] }]", "[{ oauth: [read, write] }]",
        "[{ oauth: [read] }, { oauth: [write] }]", "[{ oauth: [read, write] }, { oauth: [admin] }]", "[{ key: [] }]",
        "[{ key: [] }, { oauth: [admin] }]", "[{ bearer: [] }]", "[{ oauth: [admin], key: [] }]",
    ]
    private static let tokens: [[String]?] = [
        nil, ["other"], ["read"], ["write"], ["admin"], ["read", "write"], ["read", "write", "admin"],
    ]

    private static func randomDocument(_ random: inout SeededGenerator) -> String {
        var text = ""
        var seen: Set<String> = []
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            var path = ""
            for number in 0..<Int.random(in: 1...3, using: &random) {
                let segment = segments.randomElement(using: &random) ?? "a"
                path += "/" + segment.replacing("{p}", with: "{p\(number)}")
            }
            guard seen.insert(path).inserted else { continue }
            text += "  '\(path)':\n"
            for method in ["get", "head", "delete"] where Bool.random(using: &random) {
                text += "    \(method): { security: \(securities.randomElement(using: &random) ?? "[]") }\n"
            }
            if text.hasSuffix(":\n") { text += "    get: {}\n" }
        }
        return paths(text)
    }

    @Test(arguments: 0..<8) func nothingIsLetInThatIsKeptOut(_ part: Int) throws {
        var random = SeededGenerator(seed: 0x0A11_0000 + UInt64(part))
        var importedCount = 0
        for _ in 0..<60 {
            let text = NeverWiderTests.randomDocument(&random)
            let document = try document(text)
            var options = ImportOptions()
            if Bool.random(using: &random) { options.defaultScope = "read" }
            guard let imported = try? ServiceImport(document, options) else { continue }
            importedCount += 1
            try compare(document, model(imported.source), text)
        }
        #expect(importedCount > 20)
    }

    private func compare(_ document: APIDocument, _ model: PolicyModel, _ text: String) throws {
        let templates = document.operations.map { $0.path.split(separator: "/").map(String.init) }
        var paths: [[String]] = []
        for first in NeverWiderTests.requestSegments {
            paths.append([first])
            for second in NeverWiderTests.requestSegments {
                paths.append([first, second])
                for third in ["a", "a.x", "z"] { paths.append([first, second, third]) }
            }
        }
        for path in paths {
            for method in ["GET", "HEAD", "DELETE"] {
                guard let ground = policyGround(model, method, ["v1"] + path) else { continue }
                let meant = documentOperation(document, templates, method, path)
                for token in NeverWiderTests.tokens where allows(ground, model, token) {
                    guard let meant else {
                        Issue.record("\(method) /\(path.joined(separator: "/")) is not in\n\(text)")
                        return
                    }
                    #expect(
                        allows(document, document.operations[meant], token),
                        "\(method) /\(path.joined(separator: "/")) with \(token ?? []) in\n\(text)")
                }
            }
        }
    }

    // MARK: What the document says

    /// 0 literal, 1 parameter within a segment, 2 parameter; nil when it does not match.
    private func rank(_ template: String, _ segment: String) -> Int? {
        guard let open = template.firstIndex(of: "{"), let close = template.firstIndex(of: "}") else {
            return template == segment ? 0 : nil
        }
        let prefix = template[..<open]
        let suffix = template[template.index(after: close)...]
        if prefix.isEmpty, suffix.isEmpty { return 2 }
        let isMatch =
            segment.hasPrefix(prefix) && segment.hasSuffix(suffix)
            && segment.count > prefix.count + suffix.count
        return isMatch ? 1 : nil
    }

    /// Of the paths that match and have the method, the most specific from the left; GET stands for HEAD.
    private func documentOperation(
        _ document: APIDocument, _ templates: [[String]], _ method: String, _ path: [String]
    ) -> Int? {
        var best: (ranks: [Int], operation: Int)?
        for (index, operation) in document.operations.enumerated() {
            guard templates[index].count == path.count else { continue }
            let ranks = zip(templates[index], path).compactMap { rank($0, $1) }
            guard ranks.count == path.count else { continue }
            var order = ranks
            if operation.method == method {
                order.append(0)
            } else if method == "HEAD", operation.method == "GET" {
                order.append(1)
            } else {
                continue
            }
            if best.map({ order.lexicographicallyPrecedes($0.ranks) }) ?? true { best = (order, index) }
        }
        return best?.operation
    }

    private func allows(_ document: APIDocument, _ operation: APIDocument.Operation, _ token: [String]?) -> Bool {
        switch document.securities[operation.security] {
        case .unstated, .open: return true
        case .alternatives(let alternatives):
            return alternatives.contains { uses in
                uses.allSatisfy { use in
                    document.schemes[use.scheme]?.kind == .token
                        && token.map { use.scopes.allSatisfy($0.contains) } ?? false
                }
            }
        }
    }

    // MARK: What the policy says

    /// Of the most specific path that matches, the method's; GET stands for HEAD.
    private func policyGround(_ model: PolicyModel, _ method: String, _ path: [String]) -> RouteModel.Ground? {
        var best: [Int] = []
        var routes: [RouteModel] = []
        for route in model.services.flatMap(\.routes) where route.segments.count == path.count {
            var ranks: [Int] = []
            for (segment, text) in zip(route.segments, path) {
                switch segment {
                case .literal(let literal): if literal == text { ranks.append(0) }
                case .parameter: ranks.append(1)
                case .rest: break
                }
            }
            guard ranks.count == path.count else { continue }
            if ranks == best {
                routes.append(route)
            } else if routes.isEmpty || ranks.lexicographicallyPrecedes(best) {
                best = ranks
                routes = [route]
            }
        }
        let found =
            routes.first { $0.method == method } ?? (method == "HEAD" ? routes.first { $0.method == "GET" } : nil)
        return found?.ground
    }

    private func allows(_ ground: RouteModel.Ground, _ model: PolicyModel, _ token: [String]?) -> Bool {
        switch ground {
        case .public: return true
        case .preflight: return false
        case .scopes(let all, let any):
            guard let token else { return false }
            func holds(_ scope: UInt16) -> Bool { token.contains(model.scopes[Int(scope)].name) }
            return all.allSatisfy(holds) && (any.isEmpty || any.contains(where: holds))
        }
    }
}
