import Kernel
import OpenAPI
import Policy
import PolicyTables
import Testing

/// Documents that services really publish: they are imported, checked, and decided as their text says.
@Suite struct DocumentTests {
    struct Published: CustomTestStringConvertible, Sendable {
        var name: String
        var host: String
        var operationCount: Int
        /// Of all those.
        var routeCount: Int
        /// Required where a token is asked for without scopes.
        var defaultScope: String?
        var testDescription: String { name }
    }

    static let all = [
        Published(name: "petstore.yaml", host: "petstore.swagger.io", operationCount: 3, routeCount: 3),
        Published(name: "petstore-tokens.yaml", host: "petstore3.swagger.io", operationCount: 13, routeCount: 12),
        Published(
            name: "jupyterhub.yaml", host: "hub.example.com", operationCount: 54, routeCount: 54, defaultScope: "hub"),
        Published(name: "datadog-v1.yaml", host: "api.datadoghq.com", operationCount: 235, routeCount: 125),
        Published(name: "datadog-v2.json", host: "api.datadoghq.com", operationCount: 1_661, routeCount: 713),
        Published(name: "github.json", host: "api.github.com", operationCount: 1_078, routeCount: 1_078),
        Published(
            name: "stripe.json", host: "api.stripe.com", operationCount: 588, routeCount: 588, defaultScope: "api"),
        Published(
            name: "airflow.yaml", host: "airflow.example.com", operationCount: 128, routeCount: 128,
            defaultScope: "airflow"),
        Published(name: "google-gmail.json", host: "gmail.googleapis.com", operationCount: 79, routeCount: 76),
        Published(name: "google-pubsub.json", host: "pubsub.googleapis.com", operationCount: 33, routeCount: 11),
    ]

    static func bytes(_ name: String) throws -> [UInt8] {
        let folder = Files.split(#filePath).folder
        return try Files.read("\(folder)/Documents/\(name)", bytesMax: publishedDocumentBytesMax).bytes
    }

    private static func imported(_ one: Published) throws -> (document: APIDocument, imported: ServiceImport) {
        let document = try APIDocument(bytes(one.name))
        var options = ImportOptions()
        options.service = "published"
        options.hosts = [one.host]
        options.defaultScope = one.defaultScope
        return (document, try ServiceImport(document, options))
    }

    @Test(arguments: all) func isImported(_ one: Published) throws {
        let (document, imported) = try DocumentTests.imported(one)
        #expect(document.operations.count == one.operationCount)
        #expect(imported.services.reduce(0) { $0 + $1.routeCount } == one.routeCount)
        let policy = loadPolicy(
            source: Array((imported.source + issuerSection).utf8), file: one.name, now: testNow)
        #expect(policy.errorCount == 0)
        // Nothing that a person would be warned of either, but the issuer's name.
        #expect(policy.warningCount == 0, "\(policy.diagnostics.map { "\($0.line): \($0.message)" })")
        #expect(!imported.source.split(separator: "\n").contains { $0.hasSuffix(" ") })
    }

    /// What the document says, read once more and without what the import is made of.
    private static func allows(_ document: APIDocument, _ operation: APIDocument.Operation, _ scopes: [String]?) -> Bool
    {
        switch document.securities[operation.security] {
        case .unstated, .open: return true
        case .alternatives(let alternatives):
            guard let scopes else { return false }
            return alternatives.contains { uses in
                uses.allSatisfy { use in
                    document.schemes[use.scheme]?.kind == .token && use.scopes.allSatisfy(scopes.contains)
                }
            }
        }
    }

    /// Tokens around what an operation asks for: none, one with each alternative, with one scope less, with another.
    private static func tokens(_ document: APIDocument, _ operation: APIDocument.Operation, _ one: Published)
        -> [[String]?]
    {
        var result: [[String]?] = [nil, ["unrelated"]]
        guard case .alternatives(let alternatives) = document.securities[operation.security] else { return result }
        for uses in alternatives.prefix(4) {
            let scopes = uses.flatMap(\.scopes)
            guard !scopes.isEmpty else { continue }
            result.append(scopes)
            if Set(scopes).count > 1 { result.append(scopes.filter { $0 != scopes[0] }) }
        }
        if let scope = one.defaultScope { result.append([scope]) }
        return result
    }

    @Test(arguments: all) func isDecidedAsItSays(_ one: Published) throws {
        let (document, imported) = try DocumentTests.imported(one)
        let decided = try Decided(imported, host: one.host)
        var questions: [Decided.Question] = []
        var asked: [APIDocument.Operation] = []
        // Every operation of the small ones, every few of the large ones: each first-seen token is signed and verified.
        let step = max(1, document.operations.count / 150)
        for (number, operation) in document.operations.enumerated() where number % step == 0 {
            let path = DocumentTests.request(operation.path)
            guard !path.contains("?"), !path.contains("#") else { continue }
            let bases = Set(document.serverLists[operation.servers].map { DocumentTests.basePath($0.url) })
            for base in bases.isEmpty ? [""] : bases {
                for scopes in DocumentTests.tokens(document, operation, one) {
                    questions.append(Decided.Question(method: operation.method, path: base + path, scopes: scopes))
                    asked.append(operation)
                }
            }
        }
        let answers = try decided.allows(questions)
        let leftOut = Set(imported.remarks.filter(\.isReservation).flatMap(\.operations))
        var allowedCount = 0
        for (index, isAllowed) in answers.enumerated() {
            let said = DocumentTests.allows(document, asked[index], questions[index].scopes)
            if isAllowed { allowedCount += 1 }
            #expect(said || !isAllowed, "wider: \(questions[index])")
            let isExact = !imported.hasReservations || document.isExact(asked[index])
            if isExact, !leftOut.contains("\(asked[index].method) \(asked[index].path)") {
                #expect(said == isAllowed, "\(questions[index])")
            }
        }
        #expect(allowedCount > 0)
    }

    /// A path that only this template has: values for its parameters that nothing else begins with.
    private static func request(_ template: String) -> String {
        var result = ""
        var isOpen = false
        for character in template {
            if character == "{" {
                isOpen = true
                result += "zz9"
            } else if character == "}" {
                isOpen = false
            } else if !isOpen {
                result.append(character)
            }
        }
        return result
    }

    private static func basePath(_ url: String) -> String {
        let rest =
            url.split(separator: "://", maxSplits: 1).last.map { url.contains("://") ? $0 : Substring(url) } ?? ""
        let path = url.contains("://") ? rest.drop { $0 != "/" } : rest
        return path.hasSuffix("/") ? String(path.dropLast()) : String(path)
    }

    @Test(arguments: all) func freshImportHasNoDrift(_ one: Published) throws {
        let (document, imported) = try DocumentTests.imported(one)
        let report = try DriftReport(
            openAPI: document, model: model(imported.source), service: "published", now: testNow)
        // What was left out is denied; nothing else differs.
        let kinds = Set(report.findings.map(\.kind)).subtracting([.operationDenied, .notComparable, .hostUnknown])
        #expect(kinds.isEmpty, "\(report.findings.filter { kinds.contains($0.kind) }.prefix(3))")
        let denied = report.findings.count { $0.kind == .operationDenied }
        if report.omittedCount == 0, one.operationCount == one.routeCount { #expect(denied == 0) }
    }

    @Test func asAPersonWouldHaveWritten() throws {
        let document = try APIDocument(DocumentTests.bytes("petstore-tokens.yaml"))
        var options = ImportOptions()
        options.issuer = "https://petstore3.swagger.io"
        options.service = "pets"
        #expect(try ServiceImport(document, options).source == expectedPetstore)
    }
}

extension APIDocument {
    /// Whether the operation's requirement is one that a policy says exactly: tokens with scopes, no more than one
    /// alternative.
    fileprivate func isExact(_ operation: APIDocument.Operation) -> Bool {
        switch securities[operation.security] {
        case .unstated, .open: return !operation.path.contains("}.") && operation.path != "/"
        case .alternatives(let alternatives):
            guard alternatives.count == 1, let uses = alternatives.first else { return false }
            return uses.allSatisfy { schemes[$0.scheme]?.kind == .token && !$0.scopes.isEmpty }
        }
    }
}

private let leftOut =
    "# Left out, so denied: GET /store/inventory: not expressible: the alternative `api_key`: apiKey in header"

private let expectedPetstore = """
    # Petstore 1.0.27, from its OpenAPI document.
    # `GET /pet/{petId}`: not expressible: the alternative `api_key`: apiKey in header is no access token
    # 3 operations, as `POST /store/order`: the document says nothing of its security, which means everybody
    scopecheck: 1

    issuers:
      - issuer: https://petstore3.swagger.io
        audience: https://petstore3.swagger.io    # what tokens for this API carry in `aud`
        keys: { discovery: true }

    scopes:
      write:pets: { description: Change pets in your account }
      read:pets:  { description: Read your pets }

    services:
      pets:
        issuers: [https://petstore3.swagger.io]
        hosts: [petstore3.swagger.io]
        base_path: /api/v3
        routes:
          - { match: POST /pet,                       scopes: [write:pets, read:pets] }
          - { match: PUT /pet,                        scopes: [write:pets, read:pets] }
          - { match: GET /pet/findByStatus,           scopes: [write:pets, read:pets] }
          - { match: GET /pet/findByTags,             scopes: [write:pets, read:pets] }    # deprecated
          - { match: "GET /pet/{petId}",              scopes: [write:pets, read:pets] }
          - { match: "POST /pet/{petId}",             scopes: [write:pets, read:pets] }
          - { match: "DELETE /pet/{petId}",           scopes: [write:pets, read:pets] }
          - { match: "POST /pet/{petId}/uploadImage", scopes: [write:pets, read:pets] }
          \(leftOut) is no
          #   access token
          - { match: POST /store/order,               public: true }    # Order a pet
          - { match: "GET /store/order/{orderId}",    public: true }
          - { match: "DELETE /store/order/{orderId}", public: true }
          - { match: GET /user/login,                 public: true }    # Log in

    """
