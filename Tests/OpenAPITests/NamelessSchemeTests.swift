import OpenAPI
import Testing

/// Schemes that name no authority, as `http` with `bearer`: one is the issuer's, several may be of several.
@Suite struct NamelessSchemeTests {
    private static func document(_ securities: String...) -> String {
        let operations = securities.enumerated().map { "  /p\($0): { get: { security: \($1) } }" }
        return """
            openapi: 3.1.0
            info: { title: A, version: '1' }
            servers: [{ url: https://api.example.com }]
            components:
              securitySchemes:
                userToken: { type: http, scheme: bearer }
                adminToken: { type: http, scheme: bearer }
                empty: { type: oauth2, flows: {} }
                oauth: { type: oauth2, flows: { implicit: { authorizationUrl: 'https://a.example/auth', scopes: {} } } }
                key: { type: apiKey, in: header, name: X-Key }
            paths:
              /open: { get: { security: [] } }
            \(operations.joined(separator: "\n"))
            """
    }

    @Test(arguments: [
        ["[{ userToken: [a] }]", "[{ adminToken: [a] }]", "[{ userToken: [a], adminToken: [a] }]"],
        ["[{ userToken: [a] }]", "[{ adminToken: [a] }]"], ["[{ userToken: [a], adminToken: [b] }]"],
        ["[{ userToken: [a] }, { adminToken: [b] }]"],
        ["[{ userToken: [a] }, { adminToken: [a] }]", "[{ adminToken: [a] }]"],
        ["[{ userToken: [a] }, { adminToken: [a, b] }]"],
        ["[{ userToken: [a], oauth: [x] }, { adminToken: [a] }]"],
        ["[{ userToken: [a] }]", "[{ adminToken: [a], oauth: [x] }]"],
    ]) func severalAreAskedAbout(_ securities: [String]) {
        let text = NamelessSchemeTests.text(securities)
        let found = refusal(text)
        #expect(found.contains("`adminToken` and `userToken`") && found.contains("name no authority"), "\(found)")
        #expect(found.contains("--security adminToken"), "\(found)")
        var options = ImportOptions()
        options.schemes = ["userToken", "adminToken", "oauth"]
        #expect(refusal(text, options) == "none")
    }

    private static func text(_ securities: [String]) -> String {
        securities.reduce(document()) { text, security in
            text + "\n  /q\(text.utf8.count): { get: { security: \(security) } }"
        }
    }

    @Test func oneThatNamesNobodyInAnotherWay() {
        let found = refusal(NamelessSchemeTests.document("[{ userToken: [a] }]", "[{ empty: [a] }]"))
        #expect(found.contains("`empty` and `userToken`"), "\(found)")
    }

    @Test(arguments: [
        ["[{ userToken: [a] }]"], ["[{ userToken: [a] }]", "[{ oauth: [a] }]", "[{ userToken: [a], oauth: [a] }]"],
        // Either of them everywhere: whichever the issuer's is.
        ["[{ userToken: [a] }, { adminToken: [a] }]", "[{ adminToken: [b, a] }, { userToken: [a, b] }]"],
        ["[{ userToken: [a], oauth: [x] }, { oauth: [x], adminToken: [a] }]"],
        // What is left out needs nobody.
        ["[{ userToken: [a] }]", "[{ adminToken: [b], key: [] }]"], ["[{ userToken: [a] }]", "[{ adminToken: [] }]"],
    ]) func oneIsTaken(_ securities: [String]) {
        let text = NamelessSchemeTests.text(securities)
        #expect(refusal(text) == "none", "\(refusal(text))")
    }

    @Test func countedWithADefaultScope() {
        let text = NamelessSchemeTests.document("[{ userToken: [] }]", "[{ adminToken: [] }]")
        var options = ImportOptions()
        options.defaultScope = "api"
        #expect(refusal(text, options).contains("`adminToken` and `userToken`"))
        let either = NamelessSchemeTests.document("[{ userToken: [] }, { adminToken: [] }]")
        #expect(refusal(either, options) == "none")
    }

    @Test func decidedAsAPersonSays() throws {
        let text = NamelessSchemeTests.document(
            "[{ userToken: [a] }]", "[{ adminToken: [a] }]", "[{ userToken: [a], adminToken: [b] }]",
            "[{ userToken: [a] }, { adminToken: [b] }]")
        var options = ImportOptions()
        options.schemes = ["userToken"]
        let decided = try Decided(ServiceImport(OpenAPITests.document(text), options))
        #expect(try decided.allows("GET", "/p0", ["a"]))
        #expect(try !decided.allows("GET", "/p1", ["a", "b"]))
        #expect(try !decided.allows("GET", "/p2", ["a", "b"]))
        #expect(try decided.allows("GET", "/p3", ["a"]))
        #expect(try !decided.allows("GET", "/p3", ["b"]))
    }
}
