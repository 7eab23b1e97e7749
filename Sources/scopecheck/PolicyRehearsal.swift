internal import Policy
internal import PolicyTables

/// Runs a policy's own tests on compiled tables, before anything is sent or stored.
///
/// Those that services have published were passed when they were published. A service must not be able to hold up
/// everybody's changes with them, by one that fails some time later.
/// - Returns: the reports of those that fail; empty when all pass.
func failedTests(of loaded: LoadedPolicy, _ model: PolicyModel, now: Int64) throws -> [String] {
    guard !loaded.policy.tests.isEmpty else { return [] }
    let trial = try PolicyTrial(model: model, source: loaded.source, now: now)
    let runner = try PolicyTestRunner(trial, now: now)
    var failures: [String] = []
    for test in loaded.policy.tests where !PolicyBundle.isPublished(test.file) {
        let result = try runner.run(test)
        if result.passed || result.isOfEndedService { continue }
        failures.append(TestReport.text(result, file: test.file))
    }
    return failures
}
