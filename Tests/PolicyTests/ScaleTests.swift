import Policy
import PolicyTables
import Testing

/// Many of everything: read in full and without surprises. Times are for the benchmarks.
@Suite struct ScaleTests {
    @Test func manyRoutes() throws {
        var text = policyWith(routes: "")
        for number in 0..<20_000 {
            text += "      - { match: \"GET /r/\(number)/{id}\", scopes: [read, write] }\n"
        }
        let policy = load(text.replacing("\n\n", with: "\n"))
        #expect(policy.diagnostics == [])
        #expect(try #require(policy.model).services.first?.routes.count == 20_000)
    }

    @Test func manyServices() throws {
        var text = "scopecheck: 1\nservices:\n"
        for number in 0..<2_000 {
            text +=
                "  s\(number): { hosts: [h\(number).example, shared.example], base_path: /s\(number), routes: ["
            text += "{ match: GET /healthz, public: true }, { match: \"GET /{id}\", public: true }] }\n"
        }
        #expect(load(text).errorCount == 0)
    }

    @Test func manyFaults() {
        var text = "scopecheck: 1\nscopes:\n"
        for number in 0..<2_000 { text += "  scope:\(number): {}\n" }
        text += "services:\n  a:\n    hosts: [a.example]\n    routes:\n"
        for number in 0..<5_000 { text += "      - { match: GET /\(number), scopes: scoope:\(number) }\n" }
        let policy = load(text)
        #expect(policy.errorCount == 5_000)
        #expect(policy.diagnostics.count == 100)
    }

    @Test func oneRouteAThousandTimes() {
        var text = "scopecheck: 1\nservices:\n  a:\n    hosts: [a.example]\n    routes:\n"
        for _ in 0..<1_000 { text += "      - { match: GET /a, public: true }\n" }
        let policy = load(text)
        #expect(policy.errorCount == 999)
        #expect(policy.diagnostics.allSatisfy { $0.notes.first?.position.line == 6 })
    }

    @Test func manyFiles() throws {
        var files = [PolicyBundle.File(name: "common.yaml", bytes: Array(policyWith().utf8))]
        for number in 0..<100 {
            var text = "scopecheck: 1\nscopes: { s\(number): {} }\nservices:\n  s\(number):\n"
            text += "    hosts: [h\(number).example]\n    routes:\n"
            for route in 0..<100 {
                text += "      - { match: \"GET /r/\(route)/{id}\", scopes: [read, s\(number)] }\n"
            }
            files.append(PolicyBundle.File(name: "team/\(number).yaml", bytes: Array(text.utf8)))
        }
        let policy = loadPolicy(bundle: try #require(PolicyBundle(files: files)), now: testNow)
        #expect(policy.diagnostics == [])
        #expect(policy.model?.services.reduce(0) { $0 + $1.routes.count } == 10_001)
        let last = try #require(policy.routePositions.last?.last)
        #expect(policy.place(of: last) == SourcePlace(file: "team/99.yaml", line: 106, column: 18))
    }

    @Test func asManyFilesAsABundleHolds() throws {
        let text = Array("scopecheck: 1\nscopes: { s: {} }\n".utf8)
        let files = (0..<PolicyBundle.filesMax).map { PolicyBundle.File(name: "\($0).yaml", bytes: text) }
        let policy = loadPolicy(bundle: try #require(PolicyBundle(files: files)), now: testNow)
        #expect(policy.errorCount == PolicyBundle.filesMax)
        #expect(policy.diagnostics.count == 100)
        #expect(policy.diagnostics.allSatisfy { $0.position == SourcePosition(line: 2, column: 11) || $0.line == 1 })
    }
}
