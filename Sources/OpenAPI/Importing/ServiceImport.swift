internal import Policy
internal import PolicyTables

/// An OpenAPI document as a file of the policy language.
public struct ServiceImport: Sendable {
    /// The file.
    public let source: String
    public let remarks: [ImportRemark]
    /// Names and how many routes each has, without those that were left out.
    public let services: [(name: String, routeCount: Int)]

    /// Whether the policy says something other than the document somewhere.
    public var hasReservations: Bool { remarks.contains(where: \.isReservation) }

    /// What is written is read again before it is given away: it has no errors.
    ///
    /// Nobody gets through the routes whom the document keeps out: what the policy language cannot say is left out or
    /// made stricter, and remarked on.
    public init(_ document: APIDocument, _ options: ImportOptions = ImportOptions()) throws(DocumentError) {
        let draft = try ServiceDraft(document, options)
        // Who names the schemes has said whose they are; the others' alternatives are left out.
        if options.schemes.isEmpty { try TokenAuthorities(document.schemes).requireOne(draft.usesOfSchemes) }
        remarks = draft.allRemarks
        services = draft.services.map { service in
            (service.name, service.routes.count { !draft.routes[$0].isLeftOut })
        }
        guard draft.routes.contains(where: { !$0.isLeftOut }) else {
            let why = remarks.first(where: \.isReservation).map { ": \($0.sentence)" } ?? ""
            throw DocumentError(
                "the document has no operation that a policy can express\(why)",
                mend: "say with --default-scope what a token needs, or write the routes by hand")
        }
        source = ServiceFileWriter(draft).write()
        try ServiceImport.check(source, hasIssuer: options.issuer != nil)
    }

    private static func check(_ source: String, hasIssuer: Bool) throws(DocumentError) {
        let policy = loadPolicy(
            source: Array((hasIssuer ? source : source + standInIssuer).utf8), file: "import", now: 0)
        guard let model = policy.model else {
            let first = policy.diagnostics.first { $0.severity == .error }
            throw DocumentError(
                "the document cannot be written as a policy: \(first?.message ?? "it has errors")",
                mend: first?.mend ?? "correct the document")
        }
        do {
            try PolicyCompiler(model).check()
        } catch {
            throw DocumentError(
                "the document cannot be compiled as a policy: \(error)", mend: "split it, or correct its paths")
        }
    }

    /// A service file may stand beside another file that has the issuers.
    static let standInIssuer = """

        issuers:
          - issuer: https://issuer.invalid
            audience: https://api.invalid
            keys: { discovery: true }

        """
}
