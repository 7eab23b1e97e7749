import Testing

@testable import OpenAPI

/// What reading and settling cost, in steps: in line with the document, however its parts lead to one another.
@Suite struct WorkTests {
    private static func steps(_ text: String) throws -> Int {
        let tree = try DocumentText.read(Array(text.utf8))
        _ = try APIDocumentReader(tree).read()
        return tree.stepCount
    }

    /// As many references as a list has members, each to the last of them.
    private static func listed(_ count: Int) -> String {
        let zeros = String(repeating: "0,", count: count)
        let paths = (0..<count).map { "\"/p\($0)\":{\"$ref\":\"#/x/\(count)\"}" }.joined(separator: ",")
        return "{\"openapi\":\"3.0.0\",\"x\":[\(zeros){\"get\":{}}],\"paths\":{\(paths)}}"
    }

    private static func named(_ count: Int) -> String {
        let members = (0..<count).map { "\"k\($0)\":0," }.joined()
        let paths = (0..<count).map { "\"/p\($0)\":{\"$ref\":\"#/x/last\"}" }.joined(separator: ",")
        return "{\"openapi\":\"3.0.0\",\"x\":{\(members)\"last\":{\"get\":{}}},\"paths\":{\(paths)}}"
    }

    @Test func referencesIntoLongCollections() throws {
        for make in [WorkTests.listed, WorkTests.named] {
            let few = try WorkTests.steps(make(500))
            let many = try WorkTests.steps(make(4_000))
            #expect(many <= 9 * few, "\(few) \(many)")
        }
    }

    @Test(arguments: ["00", "+1", "-0", "01", "1e0", "", "99999999999999999999", "2"])
    func numbersOfMembers(_ number: String) {
        let text = "openapi: 3.0.0\nx: [{}, { get: {} }]\npaths: { /a: { $ref: '#/x/\(number)' } }"
        #expect(refusal(text).contains("leads to nothing"), "\(refusal(text))")
        #expect(!refusal(text.replacing("/x/\(number)'", with: "/x/1'")).contains("leads to nothing"))
    }

    @Test func longReference() {
        let long = String(repeating: "a", count: 3_000)
        #expect(refusal("openapi: 3.0.0\npaths: { /a: { $ref: '#/\(long)' } }").contains("has more than 2048 bytes"))
    }

    @Test func longPath() {
        let long = String(repeating: "a", count: 9_000)
        #expect(refusal("{\"openapi\":\"3.0.0\",\"paths\":{\"/{\(long)}\":{}}}").contains("is longer than 8192 bytes"))
    }

    /// Long names that aliases mention over and over, and long lists of scopes that many schemes declare.
    @Test func longNamesAndLists() {
        let long = String(repeating: "s", count: 100_000)
        var text = "openapi: 3.0.3\nx: &s \(long)\npaths:\n"
        for number in 0..<200 { text += "  /p\(number): { get: { security: [{ o: [*s, *s] }] } }\n" }
        #expect(refusal(text).contains("names schemes, scopes and servers more than"), "\(refusal(text))")
        let scopes = (0..<10_000).map { "s\($0): ''" }.joined(separator: ", ")
        text = "openapi: 3.0.3\nx: &f { implicit: { scopes: { \(scopes) } } }\ncomponents:\n  securitySchemes:\n"
        for number in 0..<100 { text += "    o\(number): { type: oauth2, flows: *f }\n" }
        #expect(refusal(text).contains("names schemes, scopes and servers more than"), "\(refusal(text))")
    }

    /// A text of 300 KB that 2,000 operations have as their summary is read as far as it may be shown.
    @Test func longSummaries() throws {
        let count = 2_000
        let hidden = String(repeating: "\u{200B}", count: 100_000)
        func document(_ member: String) -> String {
            let operations = (0..<count).map { "  /p\($0): { get: { security: []\(member) } }\n" }.joined()
            return "openapi: 3.0.3\nx: &s '\(hidden)'\npaths:\n\(operations)"
        }
        func copiedBytes(_ text: String) throws -> Int {
            let tree = try DocumentText.read(Array(text.utf8))
            #expect(try APIDocumentReader(tree).read().operations.count == count)
            return tree.copiedBytes
        }
        let copied = try copiedBytes(document(", summary: *s")) - copiedBytes(document(""))
        #expect(copied == count * DocumentTree.beginningBytesMax)
    }

    /// Steps of a search are the nodes that it looks at and what it finds there.
    @Test func searchesCountWhatTheyFind() {
        var trie = RouteTrie(stepsMax: 1_000)
        for value in 0..<400 { _ = trie.add([.parameter], value) }
        let mixed = PathPattern.Segment.mixed(prefix: [0x61], suffix: [])
        for stepsLeft in [598, 196, -206] {
            #expect(trie.overlapping([mixed]).count == 400)
            #expect(trie.stepsLeft == stepsLeft)
        }
        #expect(trie.overlapping([mixed]).isEmpty, "nothing is found where no step is left")
    }

    /// And what it compares: ten texts with 64 bytes, which is two steps each beside the one of looking.
    @Test func searchesCountWhatTheyCompare() {
        var trie = RouteTrie(stepsMax: 1_000)
        for value in 0..<10 { _ = trie.add([.parameter, .literal("\(value)")], value) }
        let long = [UInt8](repeating: 0x61, count: 2 * RouteTrie.stepBytes)
        let pattern: [PathPattern.Segment] = [.mixed(prefix: [], suffix: [0x61]), .mixed(prefix: long, suffix: [])]
        #expect(trie.overlapping(pattern).isEmpty)
        #expect(trie.stepsLeft == 1_000 - 2 - 10 * 3)
    }

    @Test func workOnWhatIsFoundCounts() {
        var trie = RouteTrie(stepsMax: 1_000)
        _ = trie.add([.parameter], 0)
        trie.spend(998)
        #expect(trie.overlapping([.parameter("p")]) == [0])
        #expect(trie.stepsLeft == -1)
        #expect(trie.overlapping([.parameter("p")]).isEmpty)
    }
}
