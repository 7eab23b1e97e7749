import Policy
import PolicyTables
import Testing

/// Services of `kind: tcp`, and who may connect to them.
@Suite struct PortTests {
    static let client = "  c: { certificate: { uri: \"spiffe://example.org/a\" }, scopes: [read, write] }"

    static func policy(
        services: String, clients: String = PortTests.client, scopes: String = "  read: {}\n  write: {}",
        tests: String = ""
    ) -> String {
        "scopecheck: 1\nscopes:\n\(scopes)\nservices:\n\(services)\nclients:\n\(clients)\n\(tests)"
    }

    /// One service, beside one that uses every scope.
    private static func tcp(_ body: String) -> String {
        policy(services: "  used: { kind: tcp, ports: [1], scopes: [read, write] }\n  a: { \(body) }")
    }

    static let services: [Case] = [
        Case("one scope", tcp("kind: tcp, ports: [9443], scopes: read")),
        Case("a list", tcp("kind: tcp, ports: [9443, 9444], scopes: [read, write]")),
        Case("all and any", tcp("kind: tcp, ports: [9443], scopes: { all: read, any: [read, write] }")),
        Case("observed", tcp("kind: tcp, ports: [9443], scopes: read, mode: observe, until: 2027-01-01T00:00:00Z")),
        Case(
            "observed for ever", tcp("kind: tcp, ports: [9443], scopes: read, mode: ‹observe"), Expected(.missingKey)),
        Case(
            "observed until a time that has passed",
            tcp("kind: tcp, ports: [9443], scopes: read, mode: observe, until: ‹2026-01-01T00:00:00Z"),
            Expected(.observeEnded)),
        Case(
            "both kinds",
            tcp("kind: http, hosts: [a.example], ports: [9443], routes: [{ match: GET /, public: true }]")),
        Case(
            "an unknown kind", tcp("kind: ‹tpc, ports: [9443], scopes: read"),
            Expected(.badChoice, "`tpc`", mend: "did you mean `tcp`?")),
        Case(
            "an unknown kind like no other",
            tcp("kind: ‹quic, hosts: [a.example], routes: [{ match: ‹get /, public: true }]"),
            Expected(.badChoice, "`quic`", mend: "without `kind` it is `http`"), Expected(.badMethod)),
        Case("a kind in capitals", tcp("kind: ‹TCP, ports: [1]"), Expected(.badChoice, mend: "write `tcp`")),
        Case("a kind that is a list", tcp("kind: ‹[tcp], ports: [9443], scopes: read"), Expected(.wrongType)),
        Case("an empty kind", tcp("kind: ‹\"\", ports: [9443], scopes: read"), Expected(.emptyValue)),
        Case(
            "no ports", tcp("kind: tcp, scopes: read").replacing("  a:", with: "  ‹a:"),
            Expected(.missingKey, "without `ports`", mend: "`ports: [9443]`")),
        Case("an empty list of ports", tcp("kind: tcp, ports: ‹[], scopes: read"), Expected(.emptyValue)),
        Case("a port as a number", tcp("kind: tcp, ports: ‹9443, scopes: read"), Expected(.wrongType)),
        Case("a port beyond 65535", tcp("kind: tcp, ports: [‹65536], scopes: read"), Expected(.badPort)),
        Case("the port 0", tcp("kind: tcp, ports: [‹0], scopes: read"), Expected(.badPort)),
        Case(
            "a port twice in a service", tcp("kind: tcp, ports: [9443, ‹9443], scopes: read"), Expected(.duplicateValue)
        ),
        Case(
            "a port in two services", tcp("kind: tcp, ports: [9443, ‹1], scopes: read"),
            Expected(.duplicatePort, "port 1 is already one of the service `used` in line 6", mend: "one of the two")),
        Case(
            "a port of an HTTP service",
            tcp("hosts: [a.example], ports: [1], routes: [{ match: GET /, public: true }]")),
        Case(
            "no scopes", tcp("kind: tcp, ports: [9443]").replacing("  a:", with: "  ‹a:"),
            Expected(.missingKey, "without `scopes`", mend: "`scopes: read:metrics`")),
        Case(
            "an empty list of scopes", tcp("kind: tcp, ports: [9443], scopes: ‹[]"),
            Expected(.emptyValue, mend: "at least one scope")),
        Case(
            "scopes that ask for nothing", tcp("kind: tcp, ports: [9443], scopes: ‹{}"),
            Expected(.emptyValue, mend: "at least one scope")),
        Case(
            "an unknown scope", tcp("kind: tcp, ports: [9443], scopes: [read, ‹wriet]"),
            Expected(.unknownScope, mend: "did you mean `write`?")),
        Case(
            "a wildcard", tcp("kind: tcp, ports: [9443], scopes: ‹\"*\""),
            Expected(.badWildcard, "a service cannot require the wildcard")),
        Case("a scope twice", tcp("kind: tcp, ports: [9443], scopes: [read, ‹read]"), Expected(.duplicateValue)),
        Case(
            "an unknown key in scopes", tcp("kind: tcp, ports: [9443], scopes: { ‹anny: read }"),
            Expected(.unknownKey, "required `scopes`", mend: "`any`")),
        Case(
            "everything of HTTP",
            tcp(
                "kind: tcp, ports: [9443], scopes: read, ‹hosts: [a.example], ‹base_path: /v1, ‹issuers: [x],"
                    + " ‹audience: y, ‹token_from: header, ‹routes: []"),
            Expected(.wrongKind, "`hosts` has no meaning on a service of `kind: tcp`", mend: "by its port alone"),
            Expected(.wrongKind, "`base_path`", mend: "no path"), Expected(.wrongKind, "`issuers`", mend: "`clients`"),
            Expected(.wrongKind, "`audience`", mend: "no token"),
            Expected(.wrongKind, "`token_from`", mend: "no token"),
            Expected(.wrongKind, "`routes`", mend: "write the `scopes` on the service")),
        Case(
            "scopes on an HTTP service",
            tcp("hosts: [a.example], ‹scopes: read, routes: [{ match: GET /, public: true }]"),
            Expected(.wrongKind, "not `kind: tcp`", mend: "on each route")),
        Case(
            "a kind on a route", tcp("hosts: [a.example], routes: [{ match: GET /, public: true, ‹kind: tcp }]"),
            Expected(.unknownKey, mend: "it belongs in a service")),
        Case(
            "a name with a space", tcp("kind: tcp, ports: [9443], scopes: read").replacing("  a:", with: "  ‹a b:"),
            Expected(.badName)),
        Case(
            "a scope that no client holds",
            policy(
                services: "  a: { kind: tcp, ports: [9443], scopes: { any: [read, ‹write] } }",
                clients: client.replacing(", write", with: "")),
            Expected(.unheldScope, "`write` that `a` requires", mend: "approve it for a client")),
        Case(
            "no client at all",
            "scopecheck: 1\nscopes: { read: {} }\nservices:\n  a: { kind: tcp, ports: [9443], scopes: ‹read }\n",
            Expected(.unheldScope, "`read`")),
        Case(
            "a scope that nothing requires",
            policy(
                services: "  a: { kind: tcp, ports: [9443], scopes: read }", scopes: "  read: {}\n  ‹write: {}"),
            Expected(.unusedScope, "nothing requires")),
    ]

    /// One client, beside one that holds every scope.
    static func client(_ body: String) -> String {
        policy(
            services: "  s: { kind: tcp, ports: [9443], scopes: { any: [read, write] } }",
            clients: "  all: { certificate: { dns: all.example }, scopes: \"*\" }\n  c: { \(body) }",
            scopes: "  read: {}\n  write: {}\n  admin:all: { implies: [read, write] }\n  admin:other: {}"
        ).replacing("any: [read", with: "any: [admin:other, read")
    }

    static let clients: [Case] = [
        Case("a URI", client("certificate: { uri: \"spiffe://example.org/a\" }, scopes: [read]")),
        Case("a URN", client("certificate: { uri: \"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6\" }, scopes: read")),
        Case("a name", client("certificate: { dns: Scraper.example.com }, scopes: read")),
        Case("a subject", client("certificate: { subject: \"CN=a,O=b\" }, scopes: read")),
        Case("a wildcard", client("certificate: { dns: a.example }, scopes: [\"admin:*\"]")),
        Case(
            "a list of clients",
            policy(services: "  s: { kind: tcp, ports: [1], scopes: read }", clients: "  - a").replacing(
                "clients:\n  -", with: "clients:\n  ‹-"), Expected(.wrongType)),
        Case(
            "no clients in it",
            "scopecheck: 1\nscopes: { r: {} }\nservices:\n  s: { kind: tcp, ports: [1], scopes: r }\nclients: ‹{}\n",
            Expected(.emptyValue)),
        Case(
            "a client without certificate", client("scopes: read").replacing("  c:", with: "  ‹c:"),
            Expected(
                .issuersMissing, "the client `c` is known by its tokens, and the policy has no issuers",
                mend: "`certificate: { uri: … }`")),
        Case(
            "no name", client("certificate: ‹{}, scopes: read"),
            Expected(.emptyValue, mend: "`uri`, `dns` and `subject`")),
        Case(
            "two names", client("certificate: { dns: a.example, ‹uri: \"a:b\" }, scopes: read"),
            Expected(.conflictingKeys, "two names")),
        Case(
            "three names", client("certificate: { subject: CN=a, ‹dns: a.example, uri: \"a:b\" }, scopes: read"),
            Expected(.conflictingKeys)),
        Case("a certificate as text", client("certificate: ‹a.example, scopes: read"), Expected(.wrongType)),
        Case(
            "an unknown kind of name", client("certificate: { ‹urn: a }, scopes: read"),
            Expected(.unknownKey, mend: "did you mean `uri`?")),
        Case(
            "a name beside the certificate", client("certificate: { dns: a.example }, ‹uri: \"a:b\", scopes: read"),
            Expected(.unknownKey, mend: "`certificate: { uri: … }`")),
        Case(
            "a subject that YAML cuts", client("certificate: { subject: CN=a,‹O=b }, scopes: read"),
            Expected(.unknownKey, mend: "`subject: 'CN=a,O=b'`")),
        Case(
            "one name for two clients",
            client("certificate: { dns: ‹ALL.example }, scopes: read").replacing("‹ALL", with: "ALL").replacing(
                "{ dns: ALL", with: "{ ‹dns: ALL"),
            Expected(.duplicateIdentity, "the client in line 10 has the same name", mend: "one client")),
        Case(
            "one text as URI and as subject",
            policy(
                services: "  s: { kind: tcp, ports: [1], scopes: [read, write] }",
                clients: client
                    + "\n  d: { certificate: { dns: a.example }, scopes: \"*\" }"
                    + "\n  e: { certificate: { subject: CN=a.example }, scopes: \"*\" }"
            )),
        Case(
            "no scopes", client("certificate: { dns: a.example }").replacing("  c:", with: "  ‹c:"),
            Expected(.missingKey, "a client without `scopes`")),
        Case("an empty list of scopes", client("certificate: { dns: a.example }, scopes: ‹[]"), Expected(.emptyValue)),
        Case(
            "scopes as a mapping", client("certificate: { dns: a.example }, scopes: ‹{ all: read }"),
            Expected(.wrongType)),
        Case(
            "an unknown scope", client("certificate: { dns: a.example }, scopes: [‹raed]"),
            Expected(.unknownScope, mend: "did you mean `read`?")),
        Case(
            "a scope twice", client("certificate: { dns: a.example }, scopes: [read, ‹read]"), Expected(.duplicateValue)
        ),
        Case(
            "a wildcard in the middle", client("certificate: { dns: a.example }, scopes: [‹\"a*b\"]"),
            Expected(.badWildcard)),
        Case(
            "a wildcard for nothing", client("certificate: { dns: a.example }, scopes: [‹\"orders:*\"]"),
            Expected(.badWildcard, "matches no scope")),
        Case(
            "what tokens alone have",
            client(
                "certificate: { dns: a.example }, scopes: read, ‹on_excess: deny, ‹grants: [], ‹mode: observe,"
                    + " ‹until: 2027-01-01T00:00:00Z"),
            Expected(.notEnforced, "`on_excess` of a client that is known by its certificate only"),
            Expected(
                .notEnforced, "`grants` of a client", mend: "remove it; if the client has tokens too, add `client_id`"),
            Expected(.notEnforced, "`mode` of a client"), Expected(.notEnforced, "`until` of a client")),
        Case(
            "a key of a service", client("certificate: { dns: a.example }, scopes: read, ‹ports: [1]"),
            Expected(.unknownKey, mend: "it belongs in a service")),
        Case(
            "a client in a service",
            client("certificate: { dns: a.example }, scopes: read").replacing(
                "scopes: { any", with: "‹clients: [c], scopes: { any"),
            Expected(.unknownKey, mend: "it belongs in the policy")),
        Case(
            "a name with a space",
            client("certificate: { dns: a.example }, scopes: read").replacing("  c:", with: "  ‹c d:"),
            Expected(.badName, "name of a client")),
        Case(
            "an empty name",
            client("certificate: { dns: a.example }, scopes: read").replacing("  c:", with: "  ‹\"\":"),
            Expected(.badName)),
        Case(
            "a client twice",
            client("certificate: { dns: a.example }, scopes: read").replacing("  c:", with: "  ‹all:"),
            Expected(.duplicateKey)),
        Case(
            "scopes that open no port",
            policy(
                services: "  s: { kind: tcp, ports: [1], scopes: [read, write] }",
                clients: client + "\n  ‹d: { certificate: { dns: a.example }, scopes: read }"),
            Expected(.opensNothing, "the client `d` open no port")),
        Case(
            "scopes that open no port though all of them are required",
            policy(
                services: "  s: { kind: tcp, ports: [1], scopes: { all: read, any: [write] } }",
                clients: client + "\n  ‹d: { certificate: { dns: a.example }, scopes: read }"),
            Expected(.opensNothing)),
    ]

    @Test(arguments: services) func serviceRules(_ one: Case) { check(one) }
    @Test(arguments: clients) func clientRules(_ one: Case) { check(one) }

    @Test func bothPlacesAreNamed() {
        let ports = load(PortTests.tcp("kind: tcp, ports: [1], scopes: read"))
        #expect(ports.diagnostics.map(\.position) == [SourcePosition(line: 7, column: 27)])
        #expect(ports.diagnostics.first?.notes.map(\.position) == [SourcePosition(line: 6, column: 30)])
        let names = load(PortTests.client("certificate: { dns: all.example }, scopes: read"))
        #expect(names.diagnostics.map(\.code) == [.duplicateIdentity])
        #expect(names.diagnostics.first?.notes.map(\.position) == [SourcePosition(line: 10, column: 25)])
    }

    @Test func values() throws {
        let text = PortTests.policy(
            services: "  b: { kind: tcp, ports: [9444, 9443], scopes: { all: [write], any: [read, admin:x] } }\n"
                + "  a: { kind: tcp, ports: [1], scopes: read, mode: observe, until: 2027-01-01T00:00:00Z }",
            clients: "  z: { certificate: { dns: Z.Example }, scopes: \"admin:*\" }\n"
                + "  y: { certificate: { subject: 'CN=J\\C3\\BCrgen,O=\\#a\\, b\\ +L=c' }, scopes: [write, read] }",
            scopes: "  read: {}\n  write: {}\n  admin:x: { implies: [read] }\n  admin:y: { implies: [write] }")
        let policy = load(text)
        #expect(policy.diagnostics == [])
        let model = try #require(policy.model)
        #expect(model.services.isEmpty && model.issuers.isEmpty && policy.routePositions.isEmpty)
        #expect(
            model.portServices == [
                PortServiceModel(name: "b", ports: [9_443, 9_444], all: [1], any: [0, 2]),
                PortServiceModel(name: "a", ports: [1], all: [0], observeUntil: 1_798_761_600),
            ])
        #expect(
            model.certificateClients == [
                CertificateClientModel(name: "z", identity: .dns("z.example"), scopes: [0, 1, 2, 3]),
                CertificateClientModel(
                    name: "y", identity: .subject("CN=J\\C3\\BCrgen,O=\\#a\\, b\\ +L=c"), scopes: [0, 1]),
            ])
    }

    /// Many clients with every scope must be refused before they take the machine's memory.
    @Test func expansionIsBounded() {
        var scopes = ""
        for number in 0..<20_000 { scopes += "  s:\(number): {}\n" }
        var clients = ""
        for number in 0..<1_000 {
            clients += "  c\(number): { certificate: { dns: c\(number).example }, scopes: \"*\" }\n"
        }
        let policy = load(
            PortTests.policy(
                services: "  a: { kind: tcp, ports: [1], scopes: s:1 }", clients: clients, scopes: scopes))
        #expect(policy.diagnostics.filter { $0.severity == .error }.map(\.code) == [.limitExceeded])
    }

    @Test func table() throws {
        let text = PortTests.policy(
            services: "  metrics: { kind: tcp, ports: [9443, 9444], scopes: read }\n"
                + "  admin: { kind: tcp, ports: [1], scopes: { all: [read], any: [write, other] },"
                + " mode: observe, until: 2027-01-01T00:00:00Z }",
            clients: "  prometheus: { certificate: { uri: \"spiffe://example.org/p\" }, scopes: read }\n"
                + "  root: { certificate: { subject: \"CN=a,O=b\" }, scopes: \"*\" }",
            scopes: "  read: {}\n  write: { implies: [read] }\n  other: {}")
        let table = effectiveTable(try #require(load(text).model))
        #expect(
            table.text == """
                SERVICE  TCP PORTS  REQUIRES                                                                      CLIENTS
                metrics  9443,9444  read (or write)                                                               prometheus, root
                admin    1          read (or write) and one of write, other; observed until 2027-01-01T00:00:00Z  root

                CLIENT      CERTIFICATE                 HOLDS
                prometheus  uri spiffe://example.org/p  read
                root        subject CN=a,O=b            read write other

                """)
        #expect(
            table.json == """
                {"routes":[],"connections":[\
                {"service":"metrics","ports":[9443,9444],"all":[{"scope":"read","accepted":["read","write"]}],"any":[],\
                "mode":"enforce","clients":["prometheus","root"]},\
                {"service":"admin","ports":[1],"all":[{"scope":"read","accepted":["read","write"]}],\
                "any":[{"scope":"write","accepted":["write"]},{"scope":"other","accepted":["other"]}],\
                "mode":"observe","until":"2027-01-01T00:00:00Z","clients":["root"]}],\
                "clients":[{"client":"prometheus","certificate":{"uri":"spiffe://example.org/p"},"scopes":["read"]},\
                {"client":"root","certificate":{"subject":"CN=a,O=b"},"scopes":["read","write","other"]}],\
                "token_clients":[],"unknown_clients":[],"ending_scopes":[]}
                """)
    }
}
