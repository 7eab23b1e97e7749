/// What a service may write into the file that it publishes: itself, scopes and tests.
///
/// Looked at before it is composed with the rest, and apart from it, so that no other section of the policy can be
/// reached. What the sections hold is the policy reader's to check.
final class PublishedFile {
    /// The scopes that the file declares, by the names that they have in the policy: `$${` is what it stands for.
    private(set) var scopes: [String] = []
    /// How many `${name}` it has an environment fill in.
    private(set) var valueCount = 0

    private static let sections = ["scopecheck", "services", "scopes", "tests"]
    /// Keys of a service that are the publisher's to set, not the service's.
    private static let serviceKeysRefused = ["mode", "until", "ends", "kind"]

    private let tree: SyntaxTree
    private let sink: DiagnosticSink

    /// - Parameter name: how messages name the file.
    init(_ bytes: [UInt8], service: String, name: String) throws(PublicationRefusal) {
        let text = PolicyText(bytes, label: name)
        let sink = DiagnosticSink(text)
        let lines = LineIndex(bytes)
        guard let read = YAMLReader(text, sink: sink).read(lines: lines) else {
            throw PublicationRefusal(.policyErrors, PublishedFile.text(sink))
        }
        var tree = read.0
        let errorCount = sink.errorCount
        // What is compared here must be what the policy's reader sees.
        var substitution = Substitution(values: nil, environment: nil)
        substitution.run(on: &tree, sink: sink, lines: lines, keysAlone: true)
        guard sink.errorCount == errorCount else {
            throw PublicationRefusal(.policyErrors, PublishedFile.text(sink))
        }
        self.sink = sink
        self.tree = tree
        countValues()
        check(service)
        guard sink.errorCount == 0 else { throw PublicationRefusal(.outsideFile, PublishedFile.text(sink)) }
    }

    private static func text(_ sink: DiagnosticSink) -> String {
        let shown = sink.shown
        return diagnosticsText(
            PolicySource(
                model: nil, tests: [], diagnostics: shown,
                omittedCount: sink.errorCount + sink.warningCount - shown.count, errorCount: sink.errorCount,
                warningCount: sink.warningCount, routePositions: [], environment: nil, text: sink.text))
    }

    private func check(_ service: String) {
        var services: Int?
        forEach(0) { key, value, name in
            guard PublishedFile.sections.contains(name) else {
                refuse(
                    key, "a published file has no \(quoted(name))",
                    mend: "keep to `services`, `scopes` and `tests`; the rest is said in the policy's own files")
                return
            }
            switch name {
            case "services": services = value
            case "scopes": readScopes(value)
            case "tests": readTests(value)
            default: break
            }
        }
        guard let services else {
            refuse(0, "the file has no `services`", mend: "add `services:` with `\(service):` below it")
            return
        }
        var isThere = false
        forEach(services) { key, value, name in
            guard name.utf8.elementsEqual(service.utf8) else {
                refuse(
                    key, "the file defines the service \(quoted(name)), and is published for \(quoted(service))",
                    mend: "publish each service for itself, with a key of its own")
                return
            }
            isThere = true
            forEach(value) { key, _, name in
                guard PublishedFile.serviceKeysRefused.contains(name) else { return }
                refuse(
                    key, "a published service has no `\(name)`",
                    mend: name == "ends"
                        ? "remove it, and publish with `--ttl`" : "remove it; what is published is enforced")
            }
        }
        if !isThere {
            refuse(services, "the file does not define the service \(quoted(service))", mend: "add it below `services`")
        }
    }

    private func readScopes(_ node: Int) {
        forEach(node) { _, _, name in scopes.append(name) }
    }

    private func countValues() {
        for reference in tree.references where !reference.isKey {
            // What is no text with values is the policy reader's to report.
            guard let pieces = try? Substitution.pieces(tree.bytes(Int(reference.node))) else { continue }
            for case .value in pieces { valueCount += 1 }
        }
    }

    private func readTests(_ node: Int) {
        for test in tree.members(node) {
            forEach(test) { key, _, name in
                guard name == "connect" else { return }
                refuse(
                    key, "a published test connects to a port", mend: "ask for the service's own routes with `request`")
            }
        }
    }

    /// Keys and values of a mapping whose keys are text; nothing for anything else, which the policy's reader reports.
    private func forEach(_ node: Int, _ body: (_ key: Int, _ value: Int, _ name: String) -> Void) {
        guard tree.kind(node) == .mapping else { return }
        var key = node + 1
        while key < tree.after(node) {
            let value = tree.after(key)
            if tree.isScalar(key) { body(key, value, tree.string(key)) }
            key = tree.after(value)
        }
    }

    private func refuse(_ node: Int, _ message: String, mend: String) {
        sink.error(.outsidePublication, at: tree.position(node), message, mend: mend)
    }
}
