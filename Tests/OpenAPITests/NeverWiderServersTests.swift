import OpenAPI
import PolicyTables
import Testing

/// Small random documents with servers of every kind, all small requests: whom the document keeps out, the policy keeps
/// out.
@Suite struct NeverWiderServersTests {
    /// A server as it is written, and where it is: nil is any segment.
    private struct Server {
        var text: String
        var places: [(host: String, base: [String?])]
    }

    private static let hosts = ["a.example", "b.example", "c.example"]
    private static let requestSegments = ["v1", "v2", "s", "z"]
    private static let values = "h: { default: a, enum: [a, b] }, v: { default: v1, enum: [v1, v2] }"
    private static let servers = [
        Server(text: "{ url: https://a.example }", places: [("a.example", [])]),
        Server(text: "{ url: https://b.example/v1 }", places: [("b.example", ["v1"])]),
        Server(text: "{ url: https://a.example/v2 }", places: [("a.example", ["v2"])]),
        Server(
            text: "{ url: 'https://{h}.example', variables: { \(values) } }",
            places: [("a.example", []), ("b.example", [])]),
        Server(
            text: "{ url: 'https://a.example/{v}', variables: { \(values) } }",
            places: [("a.example", ["v1"]), ("a.example", ["v2"])]),
        Server(
            text: "{ url: 'https://{h}.example/{v}', variables: { \(values) } }",
            places: ["a.example", "b.example"].flatMap { [($0, ["v1"]), ($0, ["v2"])] }),
        Server(
            text: "{ url: 'https://{f}.example', variables: { f: { default: a } } }", places: hosts.map { ($0, []) }),
        Server(
            text: "{ url: 'https://a.example/{f}', variables: { f: { default: v1 } } }",
            places: [("a.example", [nil])]),
    ]
    /// With the scopes of which a token has one at most here, each enough by itself: empty for everybody, nil for nobody.
    private static let securities: [(text: String, scopes: [String]?)] = [
        ("[]", []), ("[{ oauth: [read] }]", ["read"]), ("[{ oauth: [write] }]", ["write"]), ("[{ key: [] }]", nil),
        ("[{ oauth: [read] }, { oauth: [write] }]", ["read", "write"]), ("[{ oauth: [read, write] }]", nil),
    ]

    private struct Operation {
        var segments: [String]
        var servers: [Server]
        /// As of `securities`.
        var scopes: [String]?

        func allows(_ token: String?) -> Bool {
            guard let scopes else { return false }
            return scopes.isEmpty || token.map(scopes.contains) ?? false
        }
    }

    private static func randomDocument(_ random: inout SeededGenerator) -> (text: String, operations: [Operation]) {
        func pick() -> [Server] {
            (0..<Int.random(in: 1...2, using: &random)).compactMap { _ in servers.randomElement(using: &random) }
        }
        func written(_ list: [Server]) -> String { "[" + list.map(\.text).joined(separator: ", ") + "]" }
        let top = pick()
        var text = ""
        var operations: [Operation] = []
        var seen: Set<String> = []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let segments = (0..<Int.random(in: 1...2, using: &random)).map { number in
                ["v1", "s", "{p\(number)}"].randomElement(using: &random) ?? "s"
            }
            let path = "/" + segments.joined(separator: "/")
            guard seen.insert(path).inserted, let security = securities.randomElement(using: &random) else { continue }
            let own = Int.random(in: 0..<3, using: &random) == 0 ? pick() : nil
            text += "  '\(path)':\n"
            if let own { text += "    servers: \(written(own))\n" }
            text += "    get: { security: \(security.text) }\n"
            operations.append(Operation(segments: segments, servers: own ?? top, scopes: security.scopes))
        }
        let document = paths(text).replacing("[{ url: https://api.example.com/v1 }]", with: written(top))
        return (document, operations)
    }

    @Test(arguments: 0..<6) func nothingIsLetInThatIsKeptOut(_ part: Int) throws {
        var random = SeededGenerator(seed: 0x5E_2F00 + UInt64(part))
        var importedCount = 0
        for _ in 0..<80 {
            let (text, operations) = NeverWiderServersTests.randomDocument(&random)
            let found = refusal(text)
            #expect(!found.contains("cannot be written as a policy"), "\(found) in\n\(text)")
            guard found == "none" else { continue }
            let imported = try ServiceImport(document(text))
            importedCount += 1
            let model = try model(imported.source)
            for host in NeverWiderServersTests.hosts {
                for path in requests() { compare(host, path, operations, model, text) }
            }
        }
        #expect(importedCount > 20)
    }

    private func requests() -> [[String]] {
        let segments = NeverWiderServersTests.requestSegments
        let two = segments.flatMap { one in segments.map { [one, $0] } }
        return segments.map { [$0] } + two + two.flatMap { pair in segments.map { pair + [$0] } }
    }

    private func compare(
        _ host: String, _ path: [String], _ operations: [Operation], _ model: PolicyModel, _ text: String
    ) {
        let meant = documentOperations(operations, host, path)
        for token in [nil, "read", "write"] where allows(model, host, path, token) {
            let isMeant = !meant.isEmpty && meant.allSatisfy { $0.allows(token) }
            #expect(isMeant, "\(host) /\(path.joined(separator: "/")) with \(token ?? "none") in\n\(text)")
        }
    }

    /// The most specific from the left; several where nobody can tell them apart.
    private func documentOperations(_ operations: [Operation], _ host: String, _ path: [String]) -> [Operation] {
        var best: (ranks: [Int], operations: [Operation])?
        for operation in operations {
            for place in operation.servers.flatMap(\.places) where place.host == host {
                let template = place.base + operation.segments.map { $0.hasPrefix("{") ? nil : $0 }
                guard template.count == path.count, zip(template, path).allSatisfy({ $0 == nil || $0 == $1 }) else {
                    continue
                }
                let ranks = template.map { $0 == nil ? 1 : 0 }
                if ranks == best?.ranks {
                    best?.operations.append(operation)
                } else if best.map({ ranks.lexicographicallyPrecedes($0.ranks) }) ?? true {
                    best = (ranks, [operation])
                }
            }
        }
        return best?.operations ?? []
    }

    private func allows(_ model: PolicyModel, _ host: String, _ path: [String], _ token: String?) -> Bool {
        var best: (ranks: [Int], grounds: [RouteModel.Ground])?
        for route in model.services.filter({ $0.hosts.contains(host) }).flatMap(\.routes) {
            let matches = zip(route.segments, path).compactMap { segment, text -> Int? in
                switch segment {
                case .literal(let literal): literal == text ? 0 : nil
                case .parameter: 1
                case .rest: nil
                }
            }
            guard route.segments.count == path.count, matches.count == path.count else { continue }
            let ground = route.method == "GET" ? [route.ground] : []
            if matches == best?.ranks {
                best?.grounds += ground
            } else if best.map({ matches.lexicographicallyPrecedes($0.ranks) }) ?? true {
                best = (matches, ground)
            }
        }
        return best?.grounds.contains { ground in
            switch ground {
            case .public: return true
            case .preflight: return false
            case .scopes(let all, let any):
                func holds(_ scope: UInt16) -> Bool { model.scopes[Int(scope)].name == token }
                return all.allSatisfy(holds) && (any.isEmpty || any.contains(where: holds))
            }
        } ?? false
    }
}
