/// A place in a policy source: both count from 1; columns count Unicode scalars, a tab is one.
public struct SourcePosition: Sendable, Hashable, Comparable {
    public var line: Int
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    public static func < (left: SourcePosition, right: SourcePosition) -> Bool {
        left.line != right.line ? left.line < right.line : left.column < right.column
    }
}

/// One thing that is wrong with a policy source, where, and how to mend it.
public struct Diagnostic: Sendable, Equatable {
    public enum Severity: String, Sendable {
        /// The policy cannot be used.
        case error
        /// The policy can be used; something in it has no effect or looks unintended.
        case warning
    }

    /// Another place that has to do with it.
    public struct Note: Sendable, Equatable {
        public var position: SourcePosition
        public var message: String

        public init(position: SourcePosition, message: String) {
            self.position = position
            self.message = message
        }
    }

    public var severity: Severity
    public var code: DiagnosticCode
    /// The file as it was named by whoever asked.
    public var file: String
    public var line: Int
    public var column: Int
    /// One line, user input in backticks, no full stop at the end.
    public var message: String
    /// What to do about it; never empty.
    public var mend: String
    public var notes: [Note]

    public var position: SourcePosition { SourcePosition(line: line, column: column) }
}

/// The stable names of the rules that a policy source can break; `name` stands in JSON output.
public enum DiagnosticCode: String, Sendable, CaseIterable {
    // The bytes and their YAML.
    case sourceTooLarge = "source_too_large"
    case emptySource = "empty_source"
    case notUTF8 = "not_utf8"
    case byteOrderMark = "byte_order_mark"
    case controlCharacter = "control_character"
    case lineEnding = "line_ending"
    case tabIndentation = "tab_indentation"
    case directive
    case syntax
    case severalDocuments = "several_documents"
    case anchor
    case alias
    case tag
    case mergeKey = "merge_key"
    case tooDeep = "too_deep"
    case tooManyNodes = "too_many_nodes"

    // Keys and types.
    case keyNotText = "key_not_text"
    case duplicateKey = "duplicate_key"
    case unknownKey = "unknown_key"
    case notEnforced = "not_enforced"
    case missingKey = "missing_key"
    case conflictingKeys = "conflicting_keys"
    case wrongType = "wrong_type"
    case emptyValue = "empty_value"
    case badVersion = "bad_version"

    // Values.
    case badName = "bad_name"
    case badURL = "bad_url"
    case badAlgorithm = "bad_algorithm"
    case badDuration = "bad_duration"
    case badTime = "bad_time"
    case badChoice = "bad_choice"
    case badHost = "bad_host"
    case badPort = "bad_port"
    case badPath = "bad_path"
    case badMethod = "bad_method"
    case badRequest = "bad_request"
    case badWildcard = "bad_wildcard"
    case badSubject = "bad_subject"
    case duplicateValue = "duplicate_value"
    case limitExceeded = "limit_exceeded"

    // What names mean together.
    case unknownScope = "unknown_scope"
    case unknownIssuer = "unknown_issuer"
    case unknownParameter = "unknown_parameter"
    case unknownReason = "unknown_reason"
    case impliesCycle = "implies_cycle"
    case duplicateRoute = "duplicate_route"
    case unreachableRoute = "unreachable_route"
    case noEffect = "no_effect"
    case issuersMissing = "issuers_missing"
    case wrongKind = "wrong_kind"
    case duplicatePort = "duplicate_port"
    case duplicateIdentity = "duplicate_identity"

    // Warnings.
    case unusedScope = "unused_scope"
    case unusedIssuer = "unused_issuer"
    case observeEnded = "observe_ended"
    case audienceElsewhere = "audience_elsewhere"
    case literalWildcard = "literal_wildcard"
    case opensNothing = "opens_nothing"
    case unheldScope = "unheld_scope"

    public var name: String { rawValue }
}

/// Gathers diagnostics. Keeps a bounded number and counts the rest, so that a source of a million faults
/// costs no more than one of a hundred: texts are only made for those that are kept.
final class DiagnosticSink {
    /// Shown at most; beyond it a person mends the first ones and asks again.
    static let shownMax = 100
    /// Kept of each severity before sorting: checks over the whole policy come after the walk through it.
    private static let keptMax = 2 * DiagnosticSink.shownMax

    let file: String
    private(set) var errors: [Diagnostic] = []
    private(set) var warnings: [Diagnostic] = []
    private(set) var errorCount = 0
    private(set) var warningCount = 0

    init(file: String) {
        self.file = file
    }

    func error(
        _ code: DiagnosticCode, at position: SourcePosition, _ message: @autoclosure () -> String,
        mend: @autoclosure () -> String, notes: @autoclosure () -> [Diagnostic.Note] = []
    ) {
        errorCount += 1
        guard errors.count < DiagnosticSink.keptMax else { return }
        errors.append(make(.error, code, position, message(), mend(), notes()))
    }

    func warning(
        _ code: DiagnosticCode, at position: SourcePosition, _ message: @autoclosure () -> String,
        mend: @autoclosure () -> String, notes: @autoclosure () -> [Diagnostic.Note] = []
    ) {
        warningCount += 1
        guard warnings.count < DiagnosticSink.keptMax else { return }
        warnings.append(make(.warning, code, position, message(), mend(), notes()))
    }

    private func make(
        _ severity: Diagnostic.Severity, _ code: DiagnosticCode, _ position: SourcePosition,
        _ message: String, _ mend: String, _ notes: [Diagnostic.Note]
    ) -> Diagnostic {
        Diagnostic(
            severity: severity, code: code, file: file, line: position.line, column: position.column,
            message: message, mend: mend, notes: notes)
    }

    /// What is shown, by position: errors first when there is no room for all.
    var shown: [Diagnostic] {
        let firstErrors = errors.sorted { $0.position < $1.position }.prefix(DiagnosticSink.shownMax)
        let room = DiagnosticSink.shownMax - firstErrors.count
        let firstWarnings = warnings.sorted { $0.position < $1.position }.prefix(room)
        return (firstErrors + firstWarnings).sorted { $0.position < $1.position }
    }

    var omittedCount: Int { errorCount + warningCount - shown.count }
}
