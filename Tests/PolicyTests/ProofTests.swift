import Policy
import PolicyTables
import Signatures
import Testing

/// What issuers, services and routes demand of a token's binding and of the user's authentication: how it is read, what
/// is refused, and what of it is shown.
@Suite struct ProofTests {
    private static func dpop(_ text: String) -> String {
        issuer("  - { issuer: https://i.example, audience: a, keys: { discovery: true }, dpop: \(text) }")
    }

    static let issuers: [Case] = [
        Case("everything", dpop("{ algorithms: [ES256, EdDSA], max_age: 10m, ahead: 0s, nonce: required }")),
        Case("one thing", dpop("{ nonce: optional }")),
        Case("nothing", dpop("‹{}"), Expected(.emptyValue, "`dpop` says nothing", mend: "`{ nonce: required }`")),
        Case("text", dpop("‹required"), Expected(.wrongType, "an issuer's `dpop` is a mapping")),
        Case(
            "an unknown key", dpop("{ ‹nonces: required }"),
            Expected(.unknownKey, "an issuer's `dpop`", mend: "did you mean `nonce`?")),
        Case(
            "a key of an issuer", dpop("{ ‹leeway: 5s }"), Expected(.unknownKey, mend: "belongs in an issuer")),
        Case("no algorithms", dpop("{ algorithms: ‹[] }"), Expected(.emptyValue)),
        Case(
            "no signature", dpop("{ algorithms: [ES256, ‹none] }"),
            Expected(.badAlgorithm, "accept proofs without a signature", mend: "that clients may sign with")),
        Case(
            "symmetric", dpop("{ algorithms: [‹HS512] }"),
            Expected(.badAlgorithm, "verify a proof could forge one", mend: "let clients sign")),
        Case(
            "unknown", dpop("{ algorithms: [‹ES256K] }"), Expected(.badAlgorithm, mend: "did you mean `ES256`?")),
        Case("one by both names", dpop("{ algorithms: [EdDSA, ‹Ed25519] }"), Expected(.duplicateValue)),
        Case("one second", dpop("{ max_age: 1s, ahead: 60s }")),
        Case(
            "no age at all", dpop("{ max_age: ‹0s }"),
            Expected(.badDuration, "`0s` is less than `1s`", mend: "write at least `1s`")),
        Case(
            "too old", dpop("{ max_age: ‹601s }"),
            Expected(.badDuration, "more than 600 seconds", mend: "write at most `600s`")),
        Case("too far ahead", dpop("{ ahead: ‹61s }"), Expected(.badDuration, "more than 60 seconds")),
        Case("a number", dpop("{ max_age: ‹60 }"), Expected(.badDuration, mend: "as in `60s`")),
        Case("days", dpop("{ max_age: ‹1d }"), Expected(.badDuration, mend: "`s`, `m` or `h`")),
        Case(
            "a nonce that is none", dpop("{ nonce: ‹requried }"),
            Expected(.badChoice, "`requried` is no value of `nonce`", mend: "did you mean `required`?")),
        Case(
            "a nonce as truth", dpop("{ nonce: ‹true }"),
            Expected(.badChoice, mend: "write one of `required` and `optional`")),
    ]

    static let services: [Case] = [
        Case("a public port", service("    hosts: [a.example]\n    ports: [8443]\n    public_port: 443")),
        Case("port 0", service("    hosts: [a.example]\n    public_port: ‹0"), Expected(.badPort, "`0` is no port")),
        Case("a port as text", service("    hosts: [a.example]\n    public_port: ‹\"443\""), Expected(.badPort)),
        Case("two ports", service("    hosts: [a.example]\n    public_port: ‹[443]"), Expected(.badPort, "a list")),
        Case("dpop", service("    hosts: [a.example]\n    proof: dpop")),
        Case("any", service("    hosts: [a.example]\n    proof: any")),
        Case(
            "none", service("    hosts: [a.example]\n    proof: ‹none"),
            Expected(.noEffect, "no effect on a service", mend: "on a route")),
        Case(
            "unknown", service("    hosts: [a.example]\n    proof: ‹tls"),
            Expected(.badChoice, "`tls` is no value of `proof`", mend: "did you mean `mtls`?")),
        Case(
            "unlike any", service("    hosts: [a.example]\n    proof: ‹certificate"),
            Expected(.badChoice, mend: "write one of `none`, `any`, `dpop` and `mtls`")),
        Case(
            "dpop and a cookie", service("    hosts: [a.example]\n    token_from: { cookie: s }\n    proof: ‹dpop"),
            Expected(.conflictingKeys, "`token_from` is not the header", mend: "`proof: mtls`")),
        Case("mtls and a cookie", service("    hosts: [a.example]\n    token_from: { cookie: s }\n    proof: mtls")),
        Case(
            "a key of a route", service("    hosts: [a.example]\n    ‹acr: mfa"),
            Expected(.unknownKey, mend: "belongs in a route")),
        Case(
            "on ports without HTTP",
            policyWith(service: "    hosts: [a.example]")
                + "\n  other: { kind: tcp, ports: [1], scopes: read, ‹public_port: 2, ‹proof: mtls }\n"
                + "clients: { c: { certificate: { dns: c.example }, scopes: read } }",
            Expected(.wrongKind, "`public_port` has no meaning", mend: "no URL"),
            Expected(.wrongKind, "`proof` has no meaning", mend: "is itself the proof")),
    ]

    private static func demand(_ text: String) -> String { route("{ match: GET /a, scopes: read, \(text) }") }

    static let routes: [Case] = [
        Case("dpop", demand("proof: dpop")), Case("mtls", demand("proof: mtls")), Case("any", demand("proof: any")),
        Case("everything", demand("proof: dpop, dpop_nonce: required, acr: [mfa, \"2\"], max_age: 5m")),
        Case("a nonce for bound tokens", demand("dpop_nonce: required")),
        Case(
            "none for nothing", demand("proof: ‹none"),
            Expected(.noEffect, "the service demands no proof", mend: "remove it")),
        Case("unknown", demand("proof: ‹dpopp"), Expected(.badChoice, mend: "did you mean `dpop`?")),
        Case("upper case", demand("proof: ‹DPoP"), Expected(.badChoice, mend: "write `dpop`")),
        Case("a list of proofs", demand("proof: ‹[dpop]"), Expected(.wrongType, "`proof` is one text")),
        Case(
            "a nonce that is optional", demand("dpop_nonce: ‹optional"),
            Expected(.badChoice, "no value of `dpop_nonce`", mend: "write `required`, or remove it")),
        Case(
            "a nonce for a certificate", demand("proof: mtls, ‹dpop_nonce: required"),
            Expected(.noEffect, "beside `proof: mtls`")),
        Case("one second", demand("max_age: 1s")),
        Case("a leap year", demand("max_age: 366d")),
        Case(
            "longer", demand("max_age: ‹367d"),
            Expected(.badDuration, "more than 31622400 seconds", mend: "write at most `366d`")),
        Case("no time at all", demand("max_age: ‹0m"), Expected(.badDuration, mend: "write at least `1s`")),
        Case("a part of a second", demand("max_age: ‹1.5s"), Expected(.badDuration, "not a duration")),
        Case("less than nothing", demand("max_age: ‹-5m"), Expected(.badDuration)),
        Case("no unit", demand("max_age: ‹300"), Expected(.badDuration, mend: "`s`, `m`, `h` or `d`, as in `5m`")),
        Case("nine nines", demand("max_age: ‹999999999d"), Expected(.badDuration, "more than")),
        Case("no values", demand("acr: ‹[]"), Expected(.emptyValue)),
        Case("an empty value", demand("acr: [mfa, ‹\"\"]"), Expected(.emptyValue, "a value of `acr` is empty")),
        Case("a value twice", demand("acr: [mfa, ‹mfa]"), Expected(.duplicateValue, "the `acr` value `mfa`")),
        Case("a space", demand("acr: ‹mfa hwk"), Expected(.badName, "`mfa hwk` cannot be named", mend: "spaces")),
        Case("a quote", demand("acr: ‹'a\"b'"), Expected(.badName, mend: "quotes")),
        Case("a backslash", demand("acr: ‹'a\\b'"), Expected(.badName, mend: "backslashes")),
        Case("a line end", demand("acr: ‹\"a\\nb\""), Expected(.badName)),
        Case("beyond ASCII", demand("acr: ‹é"), Expected(.badName, mend: "ASCII")),
        Case("DEL", demand("acr: ‹\"a\\x7F\""), Expected(.controlCharacter)),
        Case("128 bytes", demand("acr: \(String(repeating: "a", count: 128))")),
        Case("129 bytes", demand("acr: ‹\(String(repeating: "a", count: 129))"), Expected(.badName, mend: "128")),
        Case("16 values", demand("acr: [\((1...16).map { "v\($0)" }.joined(separator: ", "))]")),
        Case(
            "17 values", demand("acr: ‹[\((1...17).map { "v\($0)" }.joined(separator: ", "))]"),
            Expected(.limitExceeded, "more than 16 values")),
        Case("a value that is a list", demand("acr: [‹[mfa]]"), Expected(.wrongType)),
        Case(
            "on a public route",
            route(
                "{ match: GET /a, public: true, ‹proof: dpop, ‹dpop_nonce: required, ‹acr: mfa, ‹max_age: 5m }"),
            Expected(.noEffect, "`proof` has no effect on a route that needs no token"),
            Expected(.noEffect, "`dpop_nonce`"), Expected(.noEffect, "`acr`"), Expected(.noEffect, "`max_age`")),
        Case(
            "on a preflight", route("{ match: OPTIONS /used, preflight: true, ‹proof: none }"), Expected(.noEffect)),
        Case(
            "beside an unknown scope",
            route("{ match: GET /a, scopes: ‹raed, proof: dpop, acr: mfa, max_age: 5m, dpop_nonce: required }"),
            Expected(.unknownScope)),
        Case("a key of an issuer", demand("‹dpop: {}"), Expected(.unknownKey, mend: "belongs in an issuer")),
    ]

    private static func proofs(_ service: String, _ routes: String...) -> String {
        policyWith(
            service: "    hosts: [a.example]\n" + service,
            routes: (["{ match: HEAD /used, scopes: [read, write] }"] + routes).map { "      - " + $0 }
                .joined(separator: "\n"))
    }

    static let together: [Case] = [
        Case(
            "lifted on one route", proofs("    proof: dpop", "{ match: GET /a, scopes: read, proof: none }")),
        Case(
            "a nonce beside the service's certificate",
            proofs("    proof: mtls", "{ match: GET /a, scopes: read, ‹dpop_nonce: required }"), Expected(.noEffect)),
        Case(
            "a nonce where the route is another's",
            proofs("    proof: mtls", "{ match: GET /a, scopes: read, proof: dpop, dpop_nonce: required }")),
        Case(
            "none below what is wrong",
            proofs("    proof: ‹dpopp", "{ match: GET /a, scopes: read, proof: none }"), Expected(.badChoice)),
        Case(
            "dpop with a token from elsewhere",
            proofs(
                "    token_from: { websocket_protocol: bearer }",
                "{ match: GET /a, scopes: read, proof: ‹dpop }", "{ match: GET /b, scopes: read, proof: any }"),
            Expected(.conflictingKeys)),
        Case("public routes of a service with proof", proofs("    proof: dpop", "{ match: GET /a, public: true }")),
    ]

    @Test(arguments: issuers) func issuerRules(_ one: Case) { check(one) }
    @Test(arguments: services) func serviceRules(_ one: Case) { check(one) }
    @Test(arguments: routes) func routeRules(_ one: Case) { check(one) }
    @Test(arguments: together) func rulesTogether(_ one: Case) { check(one) }

    @Test func issuerValues() throws {
        let text = ProofTests.dpop("{ algorithms: [PS384, EdDSA], max_age: 2m, ahead: 30s, nonce: required }")
        let proofs = try #require(load(text).model?.issuers.first).proofs
        #expect(proofs.algorithms == [.ps384, .ed25519] && proofs.demandsNonce)
        #expect(proofs.ageSecondsMax == 120 && proofs.aheadSecondsMax == 30)
        let others = try #require(load(ProofTests.dpop("{ nonce: optional }")).model?.issuers.first).proofs
        #expect(others == ProofModel() && others == load(policyWith()).model?.issuers.first?.proofs)
    }

    @Test func serviceAndRouteValues() throws {
        let text = ProofTests.proofs(
            "    proof: mtls\n    ports: [8443]\n    public_port: 443",
            "{ match: GET /none, scopes: read, proof: none }",
            "{ match: \"GET,PUT /dpop\", scopes: read, proof: dpop, dpop_nonce: required, acr: [b, a], max_age: 30d }",
            "{ match: GET /acr, scopes: read, acr: 1, max_age: 90s }", "{ match: GET /open, public: true }")
        let service = try #require(load(text).model?.services.first)
        #expect(service.publicPort == 443)
        #expect(
            service.routes.map(\.label)
                == ["HEAD /used", "GET /none", "GET /dpop", "PUT /dpop", "GET /acr", "GET /open"])
        #expect(service.routes.map(\.proof) == [.certificate, .none, .dpop, .dpop, .certificate, .none])
        #expect(service.routes.map(\.demandsNonce) == [false, false, true, true, false, false])
        #expect(service.routes.map(\.authenticationContexts) == [[], [], ["b", "a"], ["b", "a"], ["1"], []])
        #expect(service.routes.map(\.authenticationAgeSecondsMax) == [0, 0, 2_592_000, 2_592_000, 90, 0])
        #expect(load(policyWith()).model?.services.first?.publicPort == 0)
        #expect(load(policyWith()).model?.services.first?.routes.first?.proof == ProofDemand.none)
    }

    @Test func shownToPeopleAndPrograms() throws {
        let text = ProofTests.proofs(
            "    proof: any",
            "{ match: \"GET /{u}\", scopes: read, where: { u: sub }, proof: dpop, dpop_nonce: required, "
                + "acr: [mfa, hwk], max_age: 5m, mode: observe, until: 2027-12-01T00:00:00Z }",
            "{ match: GET /n, scopes: read, proof: none, max_age: 90s }")
        let table = effectiveTable(try #require(load(text).model))
        #expect(
            table.rows.map(\.requirementText) == [
                "read and write; proof any",
                "read; {u} = sub; proof dpop; dpop_nonce required; acr mfa or hwk; max_age 5m; "
                    + "observed until 2027-12-01T00:00:00Z",
                "read; max_age 90s",
            ])
        #expect(
            table.json.contains(
                #""where":[{"parameter":"u","claim":"sub"}],"proof":"dpop","dpop_nonce":"required","#
                    + #""acr":["mfa","hwk"],"max_age":300,"mode":"observe","#))
        #expect(table.json.contains(#""where":[],"proof":"any","acr":[],"mode":"enforce","#))
        #expect(table.json.contains(#""where":[],"proof":"none","acr":[],"max_age":90,"mode":"enforce","#))
    }

    @Test(arguments: [
        (1, "1s"), (59, "59s"), (60, "1m"), (90, "90s"), (3_600, "1h"), (86_400, "24h"), (90_000, "25h"),
        (172_800, "2d"), (31_622_400, "366d"),
    ]) func durationsAreShownAsTheyAreWritten(_ seconds: UInt32, _ text: String) throws {
        let table = effectiveTable(try #require(load(ProofTests.demand("max_age: \(seconds)s")).model))
        #expect(table.rows.last?.requirementText == "read; max_age \(text)")
        #expect(load(ProofTests.demand("max_age: \(text)")).model != nil)
    }
}
