internal import ArgumentParser
internal import Policy
internal import PolicyTables

extension PolicyCommand {
    struct Lint: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Finds what a policy may say and seldom means to.",
            discussion: """
                Routes that can never be reached or lose methods to a more specific path, public routes beside protected \
                ones, scopes that nobody is granted, grants, old names and observe modes about to end, hosts that \
                overlap, services without tests; and the warnings of `policy check`. A comment on the line or the one \
                before allows a finding: `# lint: allow RULE reason`.

                Exit 0 without findings of the level error, 1 with one (with --strict: with any finding) or when the \
                policy has errors, 2 when it cannot be read.
                """)

        @OptionGroup var policy: PolicyArguments

        @Flag(help: "Print findings as JSON.")
        var json = false

        @Flag(help: "Warnings count as errors for the exit code.")
        var strict = false

        @Option(help: "The time at which things are about to end: Unix seconds or RFC 3339.")
        var at: TimeArgument?

        func run() throws {
            let loaded = try policy.load()
            _ = try loaded.checkedModel(json: json)
            let files = zip(loaded.labels, loaded.bundle.files).map { LintFile(label: $0, bytes: $1.bytes) }
            guard
                let report = lintPolicy(
                    loaded.policy, files: files, environment: loaded.bundle.environment,
                    now: at?.unixSeconds ?? nowSeconds())
            else { throw Ending.no }
            printOut(json ? report.json + "\n" : report.text)
            if report.errorCount > 0 || (strict && report.warningCount > 0) { throw Ending.no }
        }
    }
}
