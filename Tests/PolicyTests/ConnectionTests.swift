import Decision
@testable import Policy
import PolicyTables
import Signatures
import Testing

/// Ports without HTTP alone, each kind of name in a certificate, and a place for tests at the end.
let connectionSampleText = """
    scopecheck: 1
    scopes:
      read: {}
      write: { implies: [read] }
      other: {}
    services:
      metrics: { kind: tcp, ports: [9443, 9444], scopes: read }
      admin: { kind: tcp, ports: [1], scopes: { all: [read], any: [write, other] } }
      new: { kind: tcp, ports: [2], scopes: other, mode: observe, until: 2026-12-01T00:00:00Z }
    clients:
      scraper: { certificate: { uri: "spiffe://example.org/scraper" }, scopes: read }
      writer: { certificate: { dns: Writer.example.com }, scopes: write }
      root: { certificate: { subject: 'CN=J\\C3\\BCrgen\\, root,O=a+OU=b' }, scopes: "*" }
    tests:
    """

/// Tests of connections in a policy: how they are read, and what comes out of them.
@Suite struct ConnectionTests {
    private static func one(_ text: String) -> String { tests("  - { \(text) }") }

    static let cases: [Case] = [
        Case("no certificate", one("connect: 9443, expect: no_certificate")),
        Case(
            "everything at once",
            one(
                "connect: 9443, certificate: { uri: \"a:b\", dns: A.example, subject: CN=a },"
                    + " at: 2026-12-01T00:00:00Z, expect: deny"
            )),
        Case("a port as text", one("connect: ‹\"9443\", expect: deny"), Expected(.badPort)),
        Case("a port beyond 65535", one("connect: ‹65536, expect: deny"), Expected(.badPort)),
        Case("a port that is a list", one("connect: ‹[9443], expect: deny"), Expected(.badPort)),
        Case("no expectation", tests("  - ‹{ connect: 9443 }"), Expected(.missingKey, "expects nothing")),
        Case(
            "neither request nor connection", tests("  - ‹{ expect: deny }"),
            Expected(.missingKey, "without `request` or `connect`", mend: "or `connect:` with a port")),
        Case(
            "both", one("connect: 9443, ‹request: GET https://a.example/, expect: deny"),
            Expected(.conflictingKeys, "`request` in a test of a connection")),
        Case(
            "what a connection has not", one("connect: 9443, ‹scopes: [read], ‹subject: alice, ‹port: 1, expect: deny"),
            Expected(.conflictingKeys, "`scopes`"), Expected(.conflictingKeys, "`subject`"),
            Expected(.conflictingKeys, "`port`", mend: "in `connect`")),
        Case(
            "a certificate on a request",
            one("request: GET https://a.example/, ‹certificate: { dns: a.example }, expect: deny"),
            Expected(.conflictingKeys, "without `connect`", mend: "`connect: 9443`")),
        Case(
            "a certificate without names", one("connect: 9443, certificate: ‹{}, expect: deny"), Expected(.emptyValue)),
        Case("a certificate as text", one("connect: 9443, certificate: ‹none, expect: deny"), Expected(.wrongType)),
        Case(
            "a bad name",
            one("connect: 9443, certificate: { dns: \"‹*.example\" }, expect: deny").replacing("\"‹*", with: "‹\"*"),
            Expected(.badWildcard)),
        Case(
            "a bad subject", one("connect: 9443, certificate: { subject: ‹/CN=a }, expect: deny"), Expected(.badSubject)
        ),
        Case("a bad time", one("connect: 9443, at: ‹tomorrow, expect: deny"), Expected(.badTime)),
    ]

    @Test(arguments: cases) func rules(_ one: Case) { check(one) }

    @Test func values() throws {
        let found = load(
            ConnectionTests.one(
                "connect: 9443, certificate: { uri: \"a:B\", dns: A.Example }, at: 1970-01-01T00:00:07Z, expect: allow")
        )
        #expect(
            found.tests.map(\.attempt) == [
                .connection(TestConnection(port: 9_443, certificate: TestCertificate(uri: "a:B", dns: "a.example")))
            ])
        #expect(found.tests.first?.time == 7 && found.tests.first?.expectation == .allow)
        #expect(found.tests.first?.position.line == 13)
    }

    private static let subjects = [
        "CN=a", "CN=", "CN=a b", "CN=a=b,O=c/d", "CN=\\ a\\ ", "CN=\\ ", "CN=\\#a#", "CN=#", "CN=#+O=#,C=DE",
        "CN=a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h",
        "CN=J\\C3\\BCrgen", "CN=a\\00b", "CN=a\\0Ab\\7F", "CN=\\F0\\9F\\98\\80", "OU=a+CN=b+UID=c,O=d,C=DE",
        "emailAddress=a@b.example,serialNumber=1,street=x,DC=example,DC=com,jurisdictionC=DE,organizationIdentifier=y",
        "1.2.3.4=#0C0178,CN=a", "2.999.18446744073709551=#0C0178", "2.25.329800735698586629=#0C0178", "CN=#03020078",
        "CN=" + String(repeating: "a", count: 300) + ",O=" + String(repeating: "b", count: 1_000),
        "O=a,O=b,O=a", "uid=a,UID=b,mail=c,GN=d,SN=e,title=f,dnQualifier=g,pseudonym=h,role=i,name=j",
    ]

    /// What a test presents is what OpenSSL then prints, for every subject that the language takes.
    @Test(arguments: subjects) func subjectsAreWhatOpenSSLPrints(_ subject: String) throws {
        let der = try TrialCertificate().der(TestCertificate(subject: subject), at: testNow)
        let certificate = try ClientCertificate(der: der.span)
        #expect(String(decoding: certificate.subject, as: UTF8.self) == subject)
        #expect(certificate.uris.isEmpty && certificate.dnsNames.isEmpty)
    }

    /// Whatever is taken as a subject, however it was come by, is what OpenSSL prints of some certificate.
    @Test func subjectsThatAreTakenCanBePrinted() throws {
        let maker = try TrialCertificate()
        var random = Generator(state: 7)
        let signs = Array("\\,+=#; \"<>C3BF0acOU.12/".utf8) + [0, 0x1F, 0x7F, 0xC3, 0xFF]
        var taken = 0
        for subject in ConnectionTests.subjects where subject.utf8.count < 200 {
            for _ in 0..<400 {
                var bytes = Array(subject.utf8)
                for _ in 0...Int.random(in: 0..<3, using: &random) {
                    let index = Int.random(in: 0...bytes.count, using: &random)
                    let sign = signs[Int.random(in: 0..<signs.count, using: &random)]
                    if index == bytes.count || Bool.random(using: &random) {
                        bytes.insert(sign, at: index)
                    } else if Bool.random(using: &random) {
                        bytes.remove(at: index)
                    } else {
                        bytes[index] = sign
                    }
                }
                guard (try? DistinguishedName.read(bytes[...])) != nil else { continue }
                let text = String(decoding: bytes, as: UTF8.self)
                guard let der = try? maker.der(TestCertificate(subject: text), at: testNow) else { continue }
                taken += 1
                let printed = (try? ClientCertificate(der: der.span))?.subject
                #expect(printed == bytes, "\(text)")
            }
        }
        #expect(taken > 100)
    }

    /// Whatever OpenSSL prints is taken, and says what the certificate does.
    @Test func subjectsThatArePrintedAreTaken() throws {
        let maker = try TrialCertificate()
        var random = Generator(state: 11)
        let signs: [Unicode.Scalar] = [
            "a", "b", " ", " ", "#", ",", "+", "=", "\"", "\\", "<", ">", ";", "/", "0", "F", "\0", "\n", "\u{7F}", "ü",
            "\u{10FFFF}",
        ]
        for _ in 0..<2_000 {
            let parts = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                (0..<Int.random(in: 1...2, using: &random)).map { _ in
                    var text = ""
                    for _ in 0..<Int.random(in: 0...5, using: &random) {
                        text.unicodeScalars.append(signs[Int.random(in: 0..<signs.count, using: &random)])
                    }
                    let type = ["CN", "O", "OU", "UID", "emailAddress"].randomElement(using: &random) ?? ""
                    return DistinguishedName.Attribute(type: type, value: .text(Array(text.utf8)))
                }
            }
            let subject = DistinguishedName(parts: parts)
            let der = try maker.der(TestCertificate(), subject: subject, at: testNow)
            let printed = try ClientCertificate(der: der.span).subject
            #expect(
                (try? DistinguishedName.read(printed[...])) == subject, "\(String(decoding: printed, as: UTF8.self))")
        }
    }

    /// The same for every type of value that could stand in hexadecimal digits.
    @Test(arguments: ["CN", "1.2.3.4"]) func encodedValuesThatAreTakenCanBePrinted(_ type: String) throws {
        let maker = try TrialCertificate()
        var taken: Set<Int> = []
        for tag in 0...255 {
            let digits = String(tag, radix: 16, uppercase: true)
            for content in ["00", "0100", "0107", "020078", "020178", "02017F", "020878", "0400000041"] {
                let text = "\(type)=#\(digits.count == 1 ? "0" : "")\(digits)\(content)"
                guard (try? DistinguishedName.read(Array(text.utf8)[...])) != nil else { continue }
                let der = try maker.der(TestCertificate(subject: text), at: testNow)
                #expect((try? ClientCertificate(der: der.span))?.subject == Array(text.utf8), "\(text)")
                taken.insert(tag)
            }
        }
        // A bit string and a sequence have no text; every text has where the attribute is known.
        #expect(taken.isSuperset(of: [0x03, 0x30]))
        #expect(taken.contains(0x0C) == (type != "CN"))
    }

    /// Every attribute's name is the one that OpenSSL prints for its identifier.
    @Test func attributesAreWhatOpenSSLPrints() throws {
        for name in AttributeTypes.identifiers.keys {
            let der = try TrialCertificate().der(TestCertificate(subject: "\(name)=a"), at: testNow)
            #expect(String(decoding: try ClientCertificate(der: der.span).subject, as: UTF8.self) == "\(name)=a")
        }
    }

    @Test(
        arguments: [0, 1, 3_600, 2_524_604_399, 2_524_607_999, 2_524_608_000, 2_524_611_600, 253_402_300_799] as [Int64]
    )
    func certificatesAreValidWhenTheyArePresented(_ time: Int64) throws {
        let der = try TrialCertificate().der(TestCertificate(uri: "a:b", dns: "a.example"), at: time)
        let certificate = try ClientCertificate(der: der.span)
        #expect(certificate.validity(at: time) == .valid)
        #expect(certificate.subject.isEmpty)
        #expect(certificate.uris == [Array("a:b".utf8)] && certificate.dnsNames == [Array("a.example".utf8)])
    }

    @Test func anAttributeThatCannotBeMade() throws {
        let maker = try TrialCertificate()
        #expect(throws: TrialCertificate.Failure.self) {
            try maker.der(TestCertificate(subject: "favouriteDrink=tea"), at: testNow)
        }
    }

    /// What goes into a test, and what comes out.
    @Test(arguments: [
        ("connect: 9443, certificate: { uri: \"spiffe://example.org/scraper\" }", "allow"),
        ("connect: 9444, certificate: { uri: \"spiffe://example.org/scraper\" }", "allow"),
        ("connect: 9443, certificate: { uri: \"spiffe://example.org/Scraper\" }", "unknown_certificate"),
        ("connect: 9443, certificate: { dns: WRITER.example.com }", "allow"),
        ("connect: 9443, certificate: { dns: riter.example.com }", "unknown_certificate"),
        ("connect: 9443, certificate: { subject: 'CN=J\\C3\\BCrgen\\, root,O=a+OU=b' }", "allow"),
        ("connect: 9443, certificate: { subject: 'CN=J\\C3\\BCrgen\\, root,OU=b+O=a' }", "unknown_certificate"),
        ("connect: 9443, certificate: { subject: 'O=a' }", "unknown_certificate"),
        ("connect: 9443", "no_certificate"),
        ("connect: 443, certificate: { dns: writer.example.com }", "port_not_allowed"),
        ("connect: 443", "port_not_allowed"),
        ("connect: 1, certificate: { uri: \"spiffe://example.org/scraper\" }", "insufficient_scope"),
        ("connect: 1, certificate: { dns: writer.example.com }", "allow"),
        (
            "connect: 1, certificate: { dns: writer.example.com, uri: \"spiffe://example.org/scraper\" }",
            "ambiguous_certificate"
        ),
        ("connect: 1, certificate: { dns: writer.example.com, uri: \"a:b\", subject: CN=c }", "allow"),
        ("connect: 2, at: 2026-11-30T00:00:00Z", "observed"),
        ("connect: 2, certificate: { dns: writer.example.com }, at: 2026-11-30T00:00:00Z", "observed"),
        ("connect: 2, certificate: { dns: writer.example.com }, at: 2026-12-01T00:00:00Z", "insufficient_scope"),
        ("connect: 3, at: 2026-11-30T00:00:00Z", "port_not_allowed"),
    ]) func outcomes(_ test: String, _ outcome: String) throws {
        let text = connectionSampleText + "\n  - { \(test), expect: \(outcome) }\n"
        let policy = load(text)
        #expect(policy.diagnostics == [])
        let model = try #require(policy.model)
        let trial = try PolicyTrial(model: model, source: Array(text.utf8), now: testNow)
        let runner = try PolicyTestRunner(trial, now: testNow)
        let result = try runner.run(try #require(policy.tests.first))
        #expect(result.outcome == outcome)
        #expect(result.passed)
        let port = test.split(separator: ",")[0].dropFirst("connect: ".count)
        #expect(result.route == (outcome == "port_not_allowed" ? nil : "tcp/\(port)"))
        // The same must fail when something else is expected.
        var other = try #require(policy.tests.first)
        other.expectation = outcome == "allow" ? .deny : .allow
        #expect(try !runner.run(other).passed)
    }
}

/// The same numbers in every run (SplitMix64).
private struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
