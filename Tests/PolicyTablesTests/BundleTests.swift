import PolicyTables
import Testing

/// The files of one version, in their one encoding.
@Suite struct BundleTests {
    private func file(_ name: String, _ text: String = "x") -> PolicyBundle.File {
        PolicyBundle.File(name: name, bytes: Array(text.utf8))
    }

    @Test func oneFileIsStoredAsItIs() throws {
        let bundle = PolicyBundle(source: Array("scopecheck: 1\n".utf8), name: "policy.yaml")
        #expect(bundle.encoded == Array("scopecheck: 1\n".utf8))
        #expect(PolicyBundle(decoding: bundle.encoded)?.files.map(\.bytes) == [bundle.encoded])
    }

    @Test func severalFiles() throws {
        let bundle = try #require(
            PolicyBundle(files: [file("b.yaml", "two"), file("a/é.yaml", "")], environment: "prod"))
        let text = "scopecheck bundle 1\nenvironment prod\nfile 0 a/é.yaml\n\nfile 3 b.yaml\ntwo\n"
        #expect(String(decoding: bundle.encoded, as: UTF8.self) == text)
        #expect(PolicyBundle(decoding: bundle.encoded) == bundle)
        // Every other spelling of it is none.
        for other in [
            text + "\n", String(text.dropLast()), text.replacing("file 3", with: "file 03"),
            text.replacing("file 3", with: "file 4"), text.replacing("file 3", with: "file 99999999999999999999"),
            text.replacing("prod\n", with: "prod\nenvironment prod\n"), text.replacing("b.yaml", with: "a"),
            text.replacing("b.yaml", with: "a/é.yaml"), "scopecheck bundle 1\n", text.replacing("prod", with: "p d"),
        ] {
            #expect(PolicyBundle(decoding: Array(other.utf8)) == nil, "\(other)")
        }
    }

    /// They are written to disk by `policy export`, and shown on terminals.
    @Test(arguments: [
        "", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", ".bashrc", ".git/hooks/pre-commit", "a/.b", "a b", "a\\b",
        "a\nb", "\u{9B}31m.yaml", "a\u{202E}b", "a\u{200B}b", "a\u{2028}b", "\u{7F}", "a\u{E000}",
    ])
    func namesThatAreNone(_ name: String) {
        #expect(!PolicyBundle.isName(name))
        #expect(PolicyBundle(files: [file("ok.yaml"), file(name)]) == nil)
    }

    @Test(arguments: ["a", "a.yaml", "teams/orders.yml", "é/ü.yaml", "a-b_c.1"])
    func names(_ name: String) { #expect(PolicyBundle.isName(name)) }
}
