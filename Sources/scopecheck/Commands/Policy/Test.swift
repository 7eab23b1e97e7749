internal import ArgumentParser
internal import Octets
internal import Policy
internal import PolicyTables

extension PolicyCommand {
    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs the tests that a policy holds.",
            discussion: """
                Coverage counts outcomes: an allow and a denial for each route that demands something, an allow for each \
                that is open. Exit 0 when all pass, 1 when one fails, when less is covered than --require-coverage asks \
                for, or when the policy has errors, 2 when it cannot be read.
                """)

        @OptionGroup var policy: PolicyArguments

        @Flag(help: "Print results as JSON.")
        var json = false

        @OptionGroup var reports: CoverageOptions

        @Option(help: "Time of tests that name none: Unix seconds or RFC 3339.")
        var at: TimeArgument?

        func run() throws {
            let loaded: LoadedPolicy
            do {
                loaded = try policy.load()
            } catch {
                try reports.write(error: "the policy cannot be read", file: policy.files.first ?? "", line: 1)
                throw error
            }
            let now = at?.unixSeconds ?? nowSeconds()
            if let first = loaded.policy.diagnostics.first(where: { $0.severity == .error }) {
                try reports.write(error: first.message, file: first.file, line: first.line)
            }
            let model = try loaded.checkedModel(json: json)
            let tests = loaded.policy.tests
            var passed = 0
            var rows: [[UInt8]] = []
            var report = CoverageReport(reports, model, policy: loaded.policy, suite: loaded.label)
            do {
                let trial = try PolicyTrial(model: model, source: loaded.source, now: now)
                let runner = try PolicyTestRunner(trial, now: now)
                let bar = ProgressBar()
                defer { bar.finish() }
                for (number, test) in tests.enumerated() {
                    let result = try runner.run(test)
                    if result.passed { passed += 1 }
                    report.add(result, file: test.file, line: test.position.line)
                    if json {
                        rows.append(TestReport.json(result))
                    } else if !result.passed {
                        bar.finish()
                        printOut(TestReport.text(result, file: test.file))
                    }
                    bar.show("testing", number + 1, of: tests.count)
                }
            } catch {
                try reports.write(error: "the tests could not be run: \(error)", file: loaded.label, line: 1)
                throw fail("`\(loaded.label)`: the tests could not be run: \(error)")
            }
            let failed = tests.count - passed
            if json {
                let results = rows.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ",")
                printOut("{\"passed\":\(passed),\"failed\":\(failed),\"results\":[\(results)]\(report.jsonMember)}\n")
            } else {
                printOut(report.text + "\(passed) passed, \(failed) failed\n")
            }
            try report.write()
            if failed > 0 || !report.isEnough { throw Ending.no }
        }
    }
}
