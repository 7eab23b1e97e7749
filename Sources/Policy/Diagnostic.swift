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
public struct Diagnostic: Sendable, Hashable {
    public enum Severity: String, Sendable {
        /// The policy cannot be used.
        case error
        /// The policy can be used; something in it has no effect or looks unintended.
        case warning
    }

    /// Another place that has to do with it.
    public struct Note: Sendable, Hashable {
        /// The file as it was named by whoever asked; filled in when the diagnostic is taken.
        public var file = ""
        /// Within the file, once the diagnostic was taken.
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
    /// Those that it was found in, where a policy was checked for several and it does not hold for all.
    public var environments: [String] = []

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

    // Environments.
    case unknownEnvironment = "unknown_environment"
    case badReference = "bad_reference"
    case valueInKey = "value_in_key"
    case unknownValue = "unknown_value"
    case missingValue = "missing_value"

    // What names mean together.
    case unknownScope = "unknown_scope"
    case unknownIssuer = "unknown_issuer"
    case oldScope = "old_scope"
    case unknownRole = "unknown_role"
    case outsidePublication = "outside_publication"
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
    case unknownMethod = "unknown_method"
    case opensNothing = "opens_nothing"
    case unheldScope = "unheld_scope"
    case unusedValue = "unused_value"
    case unusedRole = "unused_role"
    case grantEnded = "grant_ended"
    case scopeEnded = "scope_ended"
    case serviceEnded = "service_ended"
    case narrowForwardsToken = "narrow_forwards_token"
    case noClients = "no_clients"
    case unknownClient = "unknown_client"

    public var name: String { rawValue }
}
