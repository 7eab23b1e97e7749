import OpenAPI
import Policy
import PolicyTables
import Signatures
import Testing

/// 2026-11-14T00:00:00Z.
let testNow: Int64 = 1_794_614_400

/// The same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

func document(_ text: String) throws -> APIDocument { try APIDocument(Array(text.utf8)) }

/// The message of a document that cannot be used.
func refusal(_ text: String, _ options: ImportOptions = ImportOptions()) -> String {
    refusal(Array(text.utf8), options)
}

func refusal(_ bytes: [UInt8], _ options: ImportOptions = ImportOptions()) -> String {
    do throws(DocumentError) {
        _ = try ServiceImport(APIDocument(bytes), options)
        return "none"
    } catch {
        return "\(error)"
    }
}

/// A document with these paths, and schemes `oauth`, `bearer`, `key` and `basic`.
func paths(_ paths: String, top: String = "") -> String {
    """
    openapi: 3.0.3
    info: { title: Orders API, version: 1.2.0 }
    servers: [{ url: https://api.example.com/v1 }]
    \(top)
    components:
      securitySchemes:
        oauth:
          type: oauth2
          flows:
            clientCredentials:
              tokenUrl: https://id.example.com/token
              scopes: { read: Read orders, write: Change orders, admin: 'Everything: all of it' }
        oidc: { type: openIdConnect, openIdConnectUrl: https://id.example.com/.well-known/openid-configuration }
        other: { type: openIdConnect, openIdConnectUrl: https://elsewhere.example/.well-known/openid-configuration }
        bearer: { type: http, scheme: Bearer }
        basic: { type: http, scheme: basic }
        key: { type: apiKey, in: header, name: X-Key }
    paths:
    \(paths)
    """
}

/// A path `/orders` whose GET has this security.
func operation(_ security: String) -> String {
    paths("  /orders:\n    get:\n      security: \(security)\n      responses: {}\n  /open:\n    get: { security: [] }")
}

/// The lines of routes of an import, without blanks at the front.
func routes(_ text: String, _ options: ImportOptions = ImportOptions()) throws -> [String] {
    let imported = try ServiceImport(document(text), options)
    return imported.source.split(separator: "\n").map(String.init)
        .filter { $0.contains("match:") || $0.contains("# Left out") || $0.contains("# The document lets in") }
        .map { String($0.drop { $0 == " " || $0 == "-" }) }
}

let issuerSection = """

    issuers:
      - issuer: https://id.example.com
        audience: https://api.example.com
        keys: { discovery: true }

    """

func model(_ source: String, hasIssuer: Bool = false) throws -> PolicyModel {
    let policy = loadPolicy(
        source: Array((hasIssuer ? source : source + issuerSection).utf8), file: "policy.yaml", now: testNow)
    #expect(policy.errorCount == 0, "\(policy.diagnostics.map { "\($0.line): \($0.message)" })")
    return try #require(policy.model)
}
