import Kernel
import Policy
import Testing

/// `policy fmt`: order without a change of meaning, and without a lost comment.
@Suite struct FormatTests {
    struct Form: CustomTestStringConvertible, Sendable {
        var name: String
        var before: String
        var after: String
        var testDescription: String { name }
    }

    static let forms: [Form] = [
        Form(
            name: "indentation of four becomes two, members are indented",
            before:
                "scopecheck: 1\nservices:\n    orders:\n        hosts:\n        - a.example\n        -   b.example\n",
            after: "scopecheck: 1\n\nservices:\n  orders:\n    hosts:\n      - a.example\n      - b.example\n"),
        Form(
            name: "mappings in a list",
            before: "issuers:\n-   issuer: x\n    audience:   y\n-\n    issuer: z\n",
            after: "issuers:\n  - issuer: x\n    audience:   y\n  -\n    issuer: z\n"),
        Form(
            name: "lists in lists",
            before: "a:\n- - b\n  - c\n-    - d\n     -   - e\n",
            after: "a:\n  - - b\n    - c\n  - - d\n    - - e\n"),
        Form(
            name: "spaces in brackets",
            before: "a: {b: c,d: [ e,f ,g ] ,\"h\":i}\nj: { }\nk: [ ]\n",
            after: "a: { b: c, d: [e, f, g], \"h\": i }\n\nj: {}\n\nk: []\n"),
        Form(
            name: "alignment stays",
            before: "scopes:\n  read:    { description: Read }\n  read:all: { implies:   [read] }\n",
            after: "scopes:\n  read:    { description: Read }\n  read:all: { implies:   [read] }\n"),
        Form(
            name: "one blank line between sections, none doubled, none at the ends",
            before: "\n\na: 1\nb:\n  c: 2\n\n\n  d: 3\n\n\n\ne: 4\n\n",
            after: "a: 1\n\nb:\n  c: 2\n\n  d: 3\n\ne: 4\n"),
        Form(
            name: "comments go with what they stand at",
            before:
                "# head\na:\n    # of b\n    b: 1\n    # last of a\n# of c\nc:\n        # deep\n        d: 2   # behind\n"
                + "  # between\n",
            after:
                "# head\na:\n  # of b\n  b: 1\n  # last of a\n\n# of c\nc:\n  # deep\n  d: 2         # behind\n  # between\n"
        ),
        Form(
            name: "comments in one column stay in one",
            before: "a:\n  - {b: c}  # one\n  - {d: ef} # two\n  - g       # three\n",
            after: "a:\n  - { b: c }  # one\n  - { d: ef } # two\n  - g         # three\n"),
        Form(
            name: "line ends",
            before: "\u{FEFF}a: 1  \r\nb: 2\t\r\n", after: "a: 1\n\nb: 2\n"),
        Form(name: "no line end", before: "a: 1", after: "a: 1\n"),
        Form(
            name: "brackets over several lines",
            before: "a:\n    b: [\n        c,   # why\n        d\n    ]\n    e: {f: g,\n        h: i}\n",
            after: "a:\n  b: [\n      c,     # why\n      d\n  ]\n  e: { f: g,\n      h: i }\n"),
        Form(
            name: "texts over several lines",
            before:
                "a:\n    b: |\n        one\n          two  \n\n        three\n    c: \"d\n        e\"\n    f: g\n      h  \n",
            after: "a:\n  b: |\n    one\n      two  \n\n    three\n  c: \"d\n      e\"\n  f: g\n    h\n"),
        Form(
            name: "block texts with a stated indentation and kept ends",
            before: "a:\n    b: |2+ # why\n         one\n\n    c: >-\n     two\n     three\nd: 1\n",
            after: "a:\n  b: |2+ # why\n       one\n\n  c: >-\n    two\n    three\n\nd: 1\n"),
        Form(
            name: "no blank line becomes part of a text that keeps its ends",
            before: "a:\n    b: |+\n        one\n\n\n# of c\nc: >+\n    two\nd: |+\ne: 1\n",
            after: "a:\n  b: |+\n    one\n\n\n# of c\nc: >+\n  two\nd: |+\ne: 1\n"),
        Form(
            name: "a comment below a block text stays out of it",
            before: "a:\n    - |\n        one\n      # why\n    - b\n", after: "a:\n  - |\n    one\n  # why\n  - b\n"),
        Form(
            name: "a document's marks", before: "---\na:\n    b: 1\n...\n", after: "---\na:\n  b: 1\n...\n"),
        Form(name: "pairs in a list", before: "a: [b: c,{d: e}, f]\n", after: "a: [b: c, { d: e }, f]\n"),
        Form(
            name: "nothing where a value could be", before: "a:\nb:\n    c:\n    d: []\n    -e: 1\n",
            after: "a:\n\nb:\n  c:\n  d: []\n  -e: 1\n"),
        Form(name: "other scripts", before: "ä: {ö: ü}   # ß\n", after: "ä: { ö: ü } # ß\n"),
        Form(
            name: "quotes that hold marks",
            before: "a: {'b,c': \"d # e\",f: 'g''{h'}\n", after: "a: { 'b,c': \"d # e\", f: 'g''{h' }\n"),
    ]

    /// What the language refuses is not made good by taking it away.
    @Test func aRefusedLineEndStaysRefused() {
        for text in ["scopecheck: 1\r\r\n", "scopecheck: 1\nscopes: { a: { description: \"x\r\r\ny\" } }\n"] {
            #expect(throws: FormatRefusal.self) { try formatPolicy(source: Array(text.utf8), file: "p.yaml") }
        }
        let good = try? formatPolicy(source: Array("\u{FEFF}scopecheck: 1\r\n".utf8), file: "p.yaml")
        #expect(good == Array("scopecheck: 1\n".utf8))
    }

    @Test(arguments: forms) func ordered(_ form: Form) throws {
        let result = try formatPolicy(source: Array(form.before.utf8), file: "policy.yaml")
        #expect(String(decoding: result, as: UTF8.self) == form.after)
        #expect(try formatPolicy(source: result, file: "policy.yaml") == result)
    }

    @Test(arguments: ["", "a: [", "a: &b 1", "a: *b", "a: !c d", "%YAML 1.2\n---\na: 1", "\ta: 1", "a: 1\n---\nb: 2"])
    func refusedWhatTheLanguageRefuses(_ text: String) {
        #expect { try formatPolicy(source: Array(text.utf8), file: "policy.yaml") } throws: { error in
            guard case .notReadable(let diagnostics) = error as? FormatRefusal else { return false }
            return diagnostics.contains { $0.severity == .error && $0.file == "policy.yaml" }
        }
    }

    @Test(arguments: [("a: 1\n? b\n: c\n", 2), ("{ ? a : b }\n", 1)])
    func refusedWhatItDoesNotKnow(_ text: String, _ line: Int) {
        #expect { try formatPolicy(source: Array(text.utf8), file: "policy.yaml") } throws: { error in
            guard case .unknownForm(line, _) = error as? FormatRefusal else { return false }
            return true
        }
    }

    @Test func differenceIsShown() throws {
        let before = Array("a: 1\nb: {c: d}\n\n\ne: 2\n".utf8)
        let after = try formatPolicy(source: before, file: "p.yaml")
        #expect(
            formatDifference(before: before, after: after, file: "p.yaml") == """
                --- p.yaml
                +++ p.yaml (formatted)
                @@ -1,5 +1,5 @@
                 a: 1
                +
                -b: {c: d}
                +b: { c: d }
                 
                -
                 e: 2

                """)
        #expect(formatDifference(before: after, after: after, file: "p.yaml") == "")
    }

    @Test func replacesBehindALinkAndKeepsTheMode() throws {
        let folder = try TemporaryFolder(prefix: "scopecheck-format-")
        let path = "\(folder.path)/policy.yaml"
        try Files.replace(path, bytes: Array("a: 1".utf8).span, mode: 0o640)
        try replacePolicyFile(path, bytes: Array("a: 2\n".utf8))
        #expect(try Files.read(path, bytesMax: 100).bytes == Array("a: 2\n".utf8))
        #expect(try Files.mode(of: path) == 0o640)
        #expect(throws: SystemError.self) { try replacePolicyFile("\(folder.path)/none", bytes: []) }
        #expect(throws: SystemError.self) { try Files.create(path, bytes: Array("b".utf8).span) }
        #expect(try Files.read(path, bytesMax: 100).bytes == Array("a: 2\n".utf8))
    }

    // MARK: Properties

    static let samples = [sampleText, policyWith(), SchemaTests.language] + WrittenPolicies.documents

    @Test(arguments: samples) func writtenPoliciesKeepTheirMeaning(_ text: String) throws {
        let result = try formatPolicy(source: Array(text.utf8), file: "")
        #expect(try formatPolicy(source: result, file: "") == result)
        #expect(load(text).model == load(String(decoding: result, as: UTF8.self)).model)
    }

    @Test func enoughPoliciesAreTried() throws {
        #expect(WrittenPolicies.documents.count >= 4)
        #expect(try WrittenPolicies.corpus().count > 100)
    }

    /// What fuzzing found hard to read is formatted or refused, and means the same.
    @Test func corpusKeepsItsMeaning() throws {
        for source in try WrittenPolicies.corpus() {
            do {
                let result = try formatPolicy(source: source, file: "")
                #expect(try formatPolicy(source: result, file: "") == result)
            } catch FormatRefusal.notSame(let what) {
                Issue.record("changed \(what):\n\(String(decoding: source, as: UTF8.self))")
            } catch {}
        }
    }

    /// Documents of every style that the language takes, with comments and strange spaces.
    @Test(arguments: 0..<40) func generatedDocumentsKeepTheirMeaning(_ seed: UInt64) throws {
        for round in 0..<50 {
            var writer = DocumentWriter(seed: seed &* 1_000 &+ UInt64(round))
            let text = writer.document()
            let source = Array(text.utf8)
            let result: [UInt8]
            do {
                result = try formatPolicy(source: source, file: "policy.yaml")
            } catch FormatRefusal.notReadable {
                // What was written strangely may be no YAML at all.
                continue
            } catch {
                Issue.record("\(error)\n\(text)")
                return
            }
            #expect(try formatPolicy(source: result, file: "") == result, "\(text)")
            #expect(result.last == 0x0A)
            let lines = result.split(separator: 0x0A, omittingEmptySubsequences: false)
            #expect(
                !lines.contains {
                    $0.last == 0x20 && !text.contains("|") && !text.contains(">-") && !text.contains("\"")
                }, "\(text)")
            #expect(text.count { $0 == "#" } == String(decoding: result, as: UTF8.self).count { $0 == "#" })
        }
    }

    /// Bytes changed at random: a result or a refusal, never a trap and never another meaning.
    @Test(arguments: 0..<20) func damagedDocuments(_ seed: UInt64) throws {
        var generator = Seeded(seed)
        let marks = Array("{}[]:,-#|>\"' \n?&*!%@`\t".utf8)
        for _ in 0..<100 {
            var source = Array(policyWith().utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: source.indices, using: &generator)
                source[place] = marks[Int.random(in: marks.indices, using: &generator)]
            }
            do {
                let result = try formatPolicy(source: source, file: "")
                #expect(try formatPolicy(source: result, file: "") == result)
            } catch FormatRefusal.notSame(let what) {
                Issue.record("changed \(what):\n\(String(decoding: source, as: UTF8.self))")
            } catch {}
        }
    }
}

/// xorshift64*, so that a seed means the same everywhere.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) {
        state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}

/// Writes documents as many hands do: any indentation, both styles, comments everywhere.
private struct DocumentWriter {
    private var generator: Seeded
    private var text = ""
    private var keys = 0

    init(seed: UInt64) {
        generator = Seeded(seed)
    }

    private mutating func roll(_ sides: Int) -> Int { Int.random(in: 0..<sides, using: &generator) }

    private mutating func scalar(inFlow: Bool) -> String {
        switch roll(inFlow ? 6 : 8) {
        case 0: "\"q \(roll(9)), # \\\"no\\\" {\""
        case 1: "'it''s: [\(roll(9))'"
        case 2: "https://id.example/\(roll(99))#x"
        case 3: "orders:read"
        case 4: "\(roll(999))"
        case 5: "ünï-\(roll(9))"
        case 6: "two words and \(roll(9))"
        default: "a,b {c}"
        }
    }

    private mutating func key() -> String {
        keys += 1
        return roll(5) == 0 ? "\"k \(keys)\"" : "k\(keys):x"
    }

    private mutating func spaces(_ most: Int) -> String { String(repeating: " ", count: roll(most + 1)) }

    private mutating func flow(_ depth: Int) -> String {
        if depth == 0 || roll(3) == 0 { return scalar(inFlow: true) }
        let isMapping = roll(2) == 0
        var members: [String] = []
        for _ in 0..<roll(4) {
            let value = flow(depth - 1)
            members.append(isMapping ? key() + ":" + " " + spaces(2) + value : value)
        }
        let separator = roll(8) == 0 ? ",\n" + String(repeating: " ", count: 30) : spaces(1) + "," + spaces(2)
        let inner = spaces(2) + members.joined(separator: separator) + spaces(2)
        return isMapping ? "{\(inner)}" : "[\(inner)]"
    }

    private mutating func comment(_ indent: Int) {
        if roll(4) == 0 { text += String(repeating: " ", count: roll(2) == 0 ? indent : roll(8)) + "#c\(roll(99))\n" }
        if roll(5) == 0 { text += String(repeating: "\n", count: roll(4)) }
    }

    private mutating func endLine() {
        if roll(4) == 0 { text += " " + spaces(5) + "# behind \(roll(99))" }
        text += spaces(1) + "\n"
    }

    private mutating func block(_ indent: Int, _ depth: Int) {
        let pad = String(repeating: " ", count: indent)
        let isMapping = roll(3) > 0
        for _ in 0...roll(3) {
            comment(indent)
            text += pad
            if isMapping { text += key() + ":" } else { text += "-" }
            switch depth == 0 ? 0 : roll(4) {
            case 0, 1:
                text += " " + spaces(2) + (roll(2) == 0 ? flow(2) : scalar(inFlow: false))
                endLine()
            case 2 where roll(2) == 0:
                text += roll(2) == 0 ? " |" : " >-"
                text += "\n" + pad + "   literal # not a comment \n\n" + pad + "    more\n"
            default:
                endLine()
                block(indent + 1 + roll(4), depth - 1)
            }
        }
    }

    mutating func document() -> String {
        for _ in 0...roll(4) {
            comment(0)
            text += key() + ":"
            endLine()
            block(1 + roll(4), 3)
        }
        return text
    }
}
