internal import ArgumentParser
internal import Kernel
internal import Policy
internal import PolicyTables

/// What `policy test` says besides its results.
struct CoverageOptions: ParsableArguments {
    @Flag(help: "Say which routes no test has reached with an allow and with a denial.")
    var coverage = false

    @Option(name: .customLong("require-coverage"), help: "Fail below this share of routes' outcomes, per cent.")
    var coveragePercentMin: Int?

    @Option(help: "Write the results to this file as JUnit XML.")
    var junit: String?

    func validate() throws {
        if let least = coveragePercentMin, !(0...100).contains(least) {
            throw ValidationError("--require-coverage takes a number from 0 to 100")
        }
    }

    /// Writes the JUnit file, if one was asked for.
    func write(_ document: JUnitDocument) throws {
        guard let path = junit else { return }
        try requireFolder(of: path)
        do throws(SystemError) {
            try Files.replace(path, bytes: Array(document.text.utf8).span, mode: 0o644)
        } catch {
            throw fail("\(error)")
        }
    }

    /// The same where no test could be run: results of an earlier run must not pass for this one's.
    func write(error: String, file: String, line: Int) throws {
        var document = JUnitDocument(suite: file)
        document.add(
            JUnitDocument.Case(
                name: "the policy's tests", file: file, line: line, failure: nil, error: "\(file):\(line): \(error)"))
        try write(document)
    }
}

/// Gathers results for the reports that were asked for.
struct CoverageReport {
    private let options: CoverageOptions
    private var coverage: RouteCoverage
    private var document: JUnitDocument

    init(_ options: CoverageOptions, _ model: PolicyModel, policy: PolicySource, suite: String) {
        self.options = options
        coverage = RouteCoverage(model, policy: policy)
        document = JUnitDocument(suite: suite)
    }

    private var isShown: Bool { options.coverage || options.coveragePercentMin != nil }

    /// - Parameters:
    ///   - file: the test's file as messages name it.
    ///   - line: of the test in that file.
    mutating func add(_ result: PolicyTestResult, file: String, line: Int) {
        if isShown { coverage.add(result) }
        if options.junit != nil { document.add(JUnitReport.row(result, file: file, line: line)) }
    }

    /// `,"coverage":{…}` for the results' object; empty when it was not asked for.
    var jsonMember: String { isShown ? ",\"coverage\":\(coverage.json)" : "" }

    var text: String {
        guard isShown else { return "" }
        guard let least = options.coveragePercentMin, coverage.percent < least else { return coverage.text }
        return coverage.text + "coverage is below the \(least) % that --require-coverage asks for\n"
    }

    var isEnough: Bool { coverage.percent >= options.coveragePercentMin ?? 0 }

    /// Writes the JUnit file, if one was asked for.
    func write() throws { try options.write(document) }
}
