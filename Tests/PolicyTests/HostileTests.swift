import Policy
import PolicyTables
import Testing

/// Sources made to cost time, memory or a crash: refused, bounded, never a trap.
@Suite struct HostileTests {
    private func codes(_ bytes: [UInt8]) -> [DiagnosticCode] {
        let policy = loadPolicy(source: bytes, file: "p", now: testNow)
        #expect(policy.model == nil)
        #expect(policy.diagnostics.count <= 100)
        // Rendering meets the same source.
        #expect(diagnosticsText(policy).utf8.count < 200_000)
        #expect(diagnosticsJSON(policy).utf8.count < 200_000)
        return policy.diagnostics.map(\.code)
    }

    private func codes(_ text: String) -> [DiagnosticCode] { codes(Array(text.utf8)) }

    @Test func billionLaughs() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(aliases)]\n"
        }
        let found = codes(text)
        #expect(found.contains(.anchor) && found.contains(.alias))
    }

    /// Keys that are aliases of aliases: comparing them would take as long as expanding them.
    @Test func billionLaughsAsKeys() {
        var text = "a0: &a0 [x, x]\n"
        for level in 1...40 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        text += "? *a40\n: 1\n? *a40\n: 2\n"
        #expect(codes(text).contains(.alias))
    }

    @Test(arguments: ["[", "{", "{a: ", "[{a: [", "- ", "? ", "- - "]) func deepNesting(_ unit: String) {
        let found = codes(String(repeating: unit, count: 10_000))
        #expect(found == [.tooDeep] || found == [.syntax], "\(found)")
    }

    @Test func deepBlockIndentation() {
        var text = ""
        for level in 0..<500 { text += String(repeating: " ", count: level) + "a:\n" }
        #expect(codes(text) == [.tooDeep])
    }

    @Test func nestingUpToTheLimitIsRead() {
        // The top mapping and 31 lists are 32 levels.
        let text = "a: " + String(repeating: "[", count: 31) + String(repeating: "]", count: 31)
        #expect(codes(text).contains(.unknownKey))
        let deeper = "a: " + String(repeating: "[", count: 32) + String(repeating: "]", count: 32)
        #expect(codes(deeper) == [.tooDeep])
    }

    @Test func fiftyMegabytesOfBrackets() {
        #expect(codes([UInt8](repeating: 0x5B, count: 50_000_000)) == [.tooDeep])
    }

    @Test func oneMegabyteOfNUL() {
        let policy = loadPolicy(source: [UInt8](repeating: 0, count: 1_000_000), file: "p", now: testNow)
        #expect(policy.errorCount == 1_000_000)
        #expect(policy.diagnostics.count == 100)
        #expect(policy.omittedCount == 999_900)
    }

    @Test func oneLongLine() {
        #expect(codes(String(repeating: "a", count: 5_000_000)) == [.wrongType])
        #expect(codes("\"" + String(repeating: "a", count: 5_000_000)) == [.syntax])
        #expect(codes("# " + String(repeating: "a", count: 5_000_000)) == [.emptySource])
        #expect(codes("a: [" + String(repeating: "x, ", count: 500_000) + "{]").contains(.syntax))
    }

    @Test func manyDirectives() {
        #expect(Set(codes(String(repeating: "%TAG !a! b\n", count: 100_000))) == [.directive])
        #expect(codes("a: 1\n...\n" + String(repeating: "%TAG !a! b\n", count: 1_000)).contains(.directive))
    }

    @Test func manyUnknownAndRepeatedKeys() {
        var text = "scopecheck: 1\n"
        for number in 0..<50_000 { text += "key\(number % 100): 1\n" }
        #expect(Set(codes(text)) == [.unknownKey])
        text = "scopecheck: 1\nscopes:\n"
        for _ in 0..<50_000 { text += "  same: {}\n" }
        #expect(codes(text).contains(.duplicateKey))
    }

    @Test(arguments: [
        "99999999999999999999999999999999", "-1", "0", "65536", "1e3", "0x50", "0o17", "1_000", "08", "+80",
        "80.0",
        "true", "\"80\"", "~", "''", "[80]", "{}",
    ]) func portsThatAreNone(_ port: String) {
        let found = codes(service("    hosts: [a.example]\n    ports: [\(port)]"))
        #expect(found == [.badPort])
    }

    @Test func hugeNumbersElsewhere() {
        let digits = String(repeating: "9", count: 4_000)
        #expect(
            codes(policyWith().replacing("scopecheck: 1", with: "scopecheck: \(digits)")) == [.badVersion])
        let leeway =
            "  - { issuer: https://i.example, audience: a, keys: { discovery: true }, leeway: \(digits)s }"
        #expect(codes(issuer(leeway)) == [.badDuration])
        #expect(
            codes(service("    hosts: [a.example]\n    mode: observe\n    until: \(digits)")) == [.badTime])
    }

    /// Half a policy is still YAML more often than not; none of its prefixes may trap.
    @Test(arguments: [sampleText, connectionSampleText]) func everyPrefixOfAPolicy(_ text: String) {
        let bytes = Array(text.utf8)
        for end in bytes.indices {
            let policy = loadPolicy(source: Array(bytes[..<end]), file: "p", now: testNow)
            #expect(
                diagnosticsText(policy).isEmpty == policy.diagnostics.isEmpty)
        }
    }

    /// One byte changed, at every seventh place, to each of the signs that mean something.
    @Test(arguments: [sampleText, connectionSampleText]) func everyByteReplaced(_ text: String) {
        let bytes = Array(text.utf8)
        for sign in Array("{}[]:,*&!'\"#|>%@- \n\t\\~/0".utf8) + [0, 0x80, 0xFF] {
            for index in stride(from: Int(sign) % 7, to: bytes.count, by: 7) {
                var changed = bytes
                changed[index] = sign
                let policy = loadPolicy(source: changed, file: "p", now: testNow)
                #expect((policy.model == nil) == policy.hasErrors)
                if let model = policy.model {
                    #expect(throws: Never.self) { try PolicyCompiler(model).check() }
                }
            }
        }
    }
}
