import Testing

@testable import Server

@Suite struct StatusListAddressTests {
    private func isAllowed(
        _ uri: String, _ prefixes: [String] = ["https://s.example/", "https://t.example/lists/1"],
        issuer: String = "https://i"
    ) -> Bool {
        StatusListAddress.isAllowed(
            Array(uri.utf8), prefixes: prefixes.map { Array($0.utf8) }, issuer: issuer)
    }

    @Test(arguments: [
        "https://s.example/1", "https://s.example/a/b/1?x=y", "https://t.example/lists/1", "https://s.example/a%20b",
        "https://s.example/..a/b..", "https://s.example/", "https://s.example/.hidden",
    ])
    func allowed(_ uri: String) { #expect(isAllowed(uri)) }

    @Test(arguments: [
        "", "https://", "https://s.example", "https://s.example.evil/1", "https://s.example:444/1",
        "https://t.example/lists/12", "https://t.example/lists/", "https://t.example/lists/1/", "http://s.example/1",
        "HTTPS://s.example/1", "https://S.example/1", "https://s.example/../1", "https://s.example/a/..",
        "https://s.example/a/../../1", "https://s.example/%2e%2e/1", "https://s.example/.%2E/1",
        "https://s.example/a%2f..%2f1", "https://s.example/a%5c..%5c1", "https://s.example/..;x/1",
        "https://s.example/%252e%252e/1", "https://s.example/1#f", "https://s.example/1#", "https://s.example/a b",
        "https://s.example/a\nb", "https://s.example/a\\b", "https://s.example/\u{e9}", "https://s.example/%",
        "https://s.example/%2", "https://s.example/%zz", "https://s.example/%00", "https://evil/https://s.example/1",
        "https://s.example@evil/1", "//s.example/1", "file:///etc/passwd",
    ])
    func refused(_ uri: String) { #expect(!isAllowed(uri)) }

    @Test func noUserInformationEvenWhereThePolicyHasIt() {
        #expect(!isAllowed("https://u@s.example/1", ["https://u@s.example/"]))
        #expect(!isAllowed("https:///1", ["https:///"]))
    }

    @Test func tooLong() {
        let room = StatusListAddress.bytesMax - "https://s.example/".utf8.count
        #expect(isAllowed("https://s.example/" + String(repeating: "a", count: room)))
        #expect(!isAllowed("https://s.example/" + String(repeating: "a", count: room + 1)))
    }

    @Test func withoutPrefixesNone() { #expect(!isAllowed("https://s.example/1", [])) }

    @Test func plainOnlyBetweenLoopbackAddresses() {
        let prefixes = ["http://127.0.0.1:1/"]
        #expect(isAllowed("http://127.0.0.1:1/a", prefixes, issuer: "http://localhost"))
        #expect(!isAllowed("http://127.0.0.1:1/a", prefixes, issuer: "https://i"))
        #expect(!isAllowed("http://s.example/a", ["http://s.example/"], issuer: "http://localhost"))
    }
}
