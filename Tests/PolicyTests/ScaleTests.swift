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
}
