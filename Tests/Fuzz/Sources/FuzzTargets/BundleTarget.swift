internal import Octets
@testable internal import Policy
internal import PolicyTables

/// The bytes that a version is stored as, and what was made of them.
///
/// What can be decoded has exactly these bytes again. Its files make one policy or say why not: every diagnostic names a
/// place in the file that it names, every position of a route one of some file, and what is said for one environment
/// alone stands in the report of all.
@Sendable func fuzzBundle(_ bytes: Span<UInt8>) {
    let stored = [UInt8](copying: bytes)
    guard let bundle = PolicyBundle(decoding: stored) else { return }
    check(bundle.encoded == stored, "a bundle changes when it is written")
    let policy = loadPolicy(bundle: bundle, now: 1_700_000_000)
    check((policy.model == nil) == policy.hasErrors, "a model with errors, or none without")
    check(policy.environment == bundle.environment, "another environment")
    let files = FileLines(bundle)
    for diagnostic in policy.diagnostics {
        files.check(diagnostic.file, diagnostic.line)
        for note in diagnostic.notes { files.check(note.file, note.position.line) }
    }
    for test in policy.tests { files.check(test.file, test.position.line) }
    for position in policy.routePositions.joined() {
        let place = policy.place(of: position)
        files.check(place.file, place.line)
    }
    check(diagnosticsText(policy).isEmpty == policy.diagnostics.isEmpty, "no diagnostics as text")
    checkEnvironments(bundle)
    guard let model = policy.model else { return }
    check(policy.routePositions.count == model.services.count, "a service without places")
}

private func checkEnvironments(_ bundle: PolicyBundle) {
    let policies = loadEveryEnvironment(bundle: bundle, now: 1_700_000_000)
    check(!policies.isEmpty, "a policy for no environment at all")
    let report = DiagnosticReport(policies)
    check(report.diagnostics.count <= 100, "more is shown than anyone reads")
    check((report.errorCount == 0) == policies.allSatisfy { !$0.hasErrors }, "errors of an environment are lost")
    check(
        report.diagnostics.count + report.omittedCount >= policies.map(\.diagnostics.count).max() ?? 0,
        "diagnostics of an environment are lost")
    for policy in policies {
        let name = policy.environment
        check(name == nil || PolicyBundle.isEnvironment(name ?? ""), "an environment that cannot be named")
        if policies.count > 1 { check(name != nil, "an environment without a name") }
    }
}

/// How many lines each file has.
private struct FileLines {
    private var counts: [String: Int] = [:]

    init(_ bundle: PolicyBundle) {
        for file in bundle.files {
            let label = bundle.files.count == 1 && file.name.isEmpty ? "policy" : file.name
            counts[label] = 2 + file.bytes.count { $0 == 0x0A || $0 == 0x0D }
        }
    }

    func check(_ file: String, _ line: Int) {
        guard let count = counts[file] else { return FuzzTargets.check(false, "a file that is not there") }
        FuzzTargets.check(line >= 1 && line <= count, "a line beyond its file")
    }
}
