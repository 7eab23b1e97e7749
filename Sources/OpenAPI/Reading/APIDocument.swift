/// What an OpenAPI document (3.0 or 3.1) says about who may do what: operations, where they are served, and which
/// security they require. Everything else in it is left aside.
public struct APIDocument: Sendable, Equatable {
    /// What a credential of one kind is, as far as it concerns access tokens.
    public struct Scheme: Sendable, Equatable {
        public enum Kind: Sendable, Equatable {
            /// `oauth2`, `openIdConnect`, or `http` with `bearer`: an access token.
            case token
            /// Anything else, in the document's words: `apiKey in header`, `http basic`, `mutualTLS`.
            case other(String)
        }

        public var kind: Kind
        /// Its authorization, token and discovery URLs, those of one flow together.
        public var flows: [[TokenEndpoint]] = []
        /// Declared by its flows, in order, each once.
        public var scopes: [ScopeText] = []
    }

    public struct ScopeText: Sendable, Equatable {
        public var name: String
        public var description: String
    }

    public enum Security: Sendable, Equatable {
        /// Neither the operation nor the document says anything.
        case unstated
        /// `security: []`, or an alternative that requires nothing.
        case open
        /// Of which one must be met; each is schemes, with their scopes, that must all be met.
        case alternatives([[SchemeUse]])
    }

    public struct SchemeUse: Sendable, Equatable {
        public var scheme: String
        public var scopes: [String]
    }

    public struct Operation: Sendable, Equatable {
        /// Upper case.
        public var method: String
        /// As written.
        public var path: String
        public var line: Int
        public var summary: String
        public var isDeprecated: Bool
        /// Stands for all methods of a path that has no operations: it is not shown to everybody.
        var isHidden = false
        /// Index into `serverLists`.
        public var servers: Int
        /// Index into `securities`.
        public var security: Int
    }

    public struct Server: Sendable, Equatable {
        /// With the defaults of its variables.
        public var url = ""
        public var line: Int
        /// In the order in which the URL names them.
        public var variables: [ServerVariable] = []
        var parts: [ServerPart] = []

        func url(_ value: (ServerVariable) -> String) -> String {
            parts.reduce(into: "") { url, part in
                switch part {
                case .text(let text): url += text
                case .variable(let index): url += value(variables[index])
                }
            }
        }
    }

    public struct ServerVariable: Sendable, Equatable {
        public var name: String
        public var defaultValue: String
        /// All that it can be, the default first; empty where it can be anything.
        public var values: [String] = []
    }

    enum ServerPart: Sendable, Equatable {
        case text(String)
        /// Index into the server's variables.
        case variable(Int)
    }

    public var title = ""
    public var version = ""
    /// Of the format, as `3.0.3`.
    public var format = ""
    public var schemes: [String: Scheme] = [:]
    public var serverLists: [[Server]] = []
    public var securities: [Security] = []
    /// By path, in the order of the document; methods in a fixed order.
    public var operations: [Operation] = []

    public static let operationsMax = 100_000
    static let alternativesMax = 64
    static let schemesPerAlternativeMax = 32
    static let scopesPerSchemeMax = 256
    static let schemesMax = 1_000
    /// OpenAPI has four kinds; later ones may have more.
    static let flowsMax = 16
    static let declaredScopesMax = 65_535
    static let serversMax = 64
    static let serverVariableValuesMax = 64
    static let urlBytesMax = 2_048
    static let mentionsMax = 1 << 18
    /// A name counts as one mention more for each so many bytes.
    static let mentionBytes = 64
    /// Longer than any path of a request, with room for long names of parameters.
    static let pathBytesMax = 8_192

    /// Reads a document, JSON or YAML, of at most 32 MiB. References within it are followed; others are refused where
    /// they matter.
    /// - Throws: what makes it unusable, with line and mend.
    public init(_ bytes: [UInt8]) throws(DocumentError) {
        let reader = APIDocumentReader(try DocumentText.read(bytes))
        self = try reader.read()
    }

    init() {}
}
