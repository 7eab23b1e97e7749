@testable import Tokens

// MARK: B16–B22 claims

let claimTypeRows: [AttackCase] =
    claimRows(
        "B16", "claims_malformed",
        ["nbf", "exp", "iat"].flatMap { name -> [KeyValuePairs<String, String?>] in
            ["\"9999\"", "null", "true", "[]", "{}", "[1]", "\"\""].map { [name: $0] }
        })
    + claimRows(
        "B16", "claims_malformed",
        ["sub", "client_id", "jti", "iss"].flatMap { name -> [KeyValuePairs<String, String?>] in
            ["1", "null", "true", "[]", "{}", "[\"user-1\"]"].map { [name: $0] }
        })
    + claimRows(
        "B46", "claims_malformed",
        ["1", "null", "true", "{}", "[1]", "[\"a\",null]", "[[\"a\"]]"].map { ["scope": $0] })
    + claimRows("B16", "claims_malformed", [["cnf": "1"], ["cnf": "null"], ["cnf": "\"a\""], ["cnf": "[]"]])
    + claimRows(
        "B43", "proof_required",
        [["cnf": "{}"], ["cnf": "{\"jkt\":\"a\"}"], ["cnf": "{\"x5t#S256\":\"a\"}"], ["cnf": "{\"odd\":1}"]])
    + claimRows(
        "B18", "missing_claim",
        ["exp", "aud", "iss", "sub", "client_id", "iat", "jti"].map { [$0: nil] }
            + ["sub", "client_id", "jti"].map { [$0: "\"\""] })
    + claimRows("B18", "missing_claim", [["exp": nil], ["aud": nil], ["iss": nil]], compat)
    + claimRows(
        "B18", "verified",
        [["sub": nil, "client_id": nil, "iat": nil, "jti": nil], ["scope": nil], ["sub": "\"\""]],
        compat)
    + claimRows("B18", "verified", [["scope": nil]])

let dateRows: [AttackCase] =
    claimRows(
        "B17", "claims_malformed",
        ["exp", "nbf", "iat"].flatMap { name -> [KeyValuePairs<String, String?>] in
            [
                "0", "-1", "-0", "0.5", "1e999", "9007199254740993", "9223372036854775807",
                "9223372036854775808",
                "18446744073709551616", "99999999999999999999999",
            ].map { [name: $0] }
        })
    + claimRows(
        "B17", "expired", [["exp": "1"], ["exp": "1700000000"], ["exp": "1700000000.9"], ["exp": "1.7e9"]])
    + claimRows(
        "B17", "verified",
        [
            ["exp": "1700000001"], ["exp": "1.700000001e9"], ["exp": "9007199254740992"],
            ["nbf": "1700000000"], ["nbf": "1"],
        ])
    + claimRows(
        "B17", "not_yet_valid", [["nbf": "1700000001"], ["nbf": "1700000000.1"], ["nbf": "9007199254740992"]])
    + claimRows("B17", "verified", [["iat": "1700000300"], ["iat": "1"]])
    + claimRows("B17", "not_yet_valid", [["iat": "1700000301"], ["iat": "1700000300.5"]])
    + claimRows(
        "B17", "verified", [["exp": "1699999941"], ["nbf": "1700000060"]],
        snapshot(settings(leewaySeconds: 60)))
    + claimRows("B17", "expired", [["exp": "1699999940"]], snapshot(settings(leewaySeconds: 60)))
    + claimRows("B17", "not_yet_valid", [["nbf": "1700000061"]], snapshot(settings(leewaySeconds: 60)))

let issuerRows: [AttackCase] =
    claimRows(
        "B19", "unknown_issuer",
        [
            "https://id.example.co", "https://id.example.com/", "https://id.example.comx",
            "HTTPS://id.example.com", "",
            "https://ID.example.com", "http://id.example.com", " https://id.example.com", "id.example.com",
            "https://id.example.com\\n", "https://evil.example/https://id.example.com",
        ].map { ["iss": "\"\($0)\""] })
    + claimRows(
        "B19", "claims_malformed",
        [
            ["iss": "[\"\(issuerName)\"]"], ["iss": "[\"https://evil.example\",\"\(issuerName)\"]"],
            ["iss": "null"],
        ])
    + claimRows("B19", "verified", [["iss": "\"https:\\/\\/id.example.com\""]])

let audienceRows: [AttackCase] =
    claimRows(
        "B20", "claims_malformed",
        [
            "1", "null", "true", "{}", "[]", "[1]", "[null]", "[[\"\(audienceName)\"]]",
            "[\"\(audienceName)\",1]",
            "{\"a\":\"\(audienceName)\"}",
        ].map { ["aud": $0] })
    + claimRows(
        "B20", "audience_mismatch",
        [
            "\"\"", "\"api.example.com\"", "\"https://api.example.com/\"", "\"http://api.example.com\"",
            "\"https://API.example.com\"", "\"https://api.example.comx\"", "\"https://api.example.co\"",
            "[\"\"]",
            "[\"a\",\"b\"]", "\"https://api.example.com https://second.example.com\"",
        ].map { ["aud": $0] })
    + claimRows(
        "B20", "verified",
        [
            "\"https://second.example.com\"", "[\"\(audienceName)\"]", "[\"x\",\"\(audienceName)\",\"y\"]",
            "\"https:\\/\\/api.example.com\"",
        ].map { ["aud": $0] })

/// Each `typ` in both profiles.
let typeRows: [AttackCase] = {
    let kinds: [(String?, rfc9068: String, compat: String)] = [
        ("at+jwt", "verified", "verified"), ("AT+JWT", "verified", "verified"),
        ("application/at+jwt", "verified", "verified"), ("Application/AT+JWT", "verified", "verified"),
        ("at\\u002bjwt", "verified", "verified"), ("JWT", "token_type_mismatch", "verified"),
        ("jwt", "token_type_mismatch", "verified"), (nil, "token_type_mismatch", "verified"),
        ("dpop+jwt", "token_type_mismatch", "token_type_mismatch"),
        ("logout+jwt", "token_type_mismatch", "token_type_mismatch"),
        ("secevent+jwt", "token_type_mismatch", "token_type_mismatch"),
        ("token-introspection+jwt", "token_type_mismatch", "token_type_mismatch"),
        ("statuslist+jwt", "token_type_mismatch", "token_type_mismatch"),
        ("oauth-authz-req+jwt", "token_type_mismatch", "token_type_mismatch"),
        ("txntoken+jwt", "token_type_mismatch", "token_type_mismatch"),
        ("kb+jwt", "token_type_mismatch", "token_type_mismatch"),
        ("", "token_type_mismatch", "token_type_mismatch"),
        ("at+jwt ", "token_type_mismatch", "token_type_mismatch"),
        ("at jwt", "token_type_mismatch", "token_type_mismatch"),
        ("application/at+jwt;x=y", "token_type_mismatch", "token_type_mismatch"),
        ("application/JWT", "token_type_mismatch", "token_type_mismatch"),
        ("JOSE", "token_type_mismatch", "token_type_mismatch"),
    ]
    let rows = kinds.flatMap { kind -> [AttackCase] in
        let value = kind.0.map { "\"\($0)\"" }
        return [
            row("B22", "typ \(kind.0 ?? "absent"), rfc9068", kind.rfc9068) {
                try token(header: header(TestKeys.es256, ["typ": value]))
            },
            row("B22", "typ \(kind.0 ?? "absent"), compat", kind.compat, compat) {
                try token(header: header(TestKeys.es256, ["typ": value]))
            },
        ]
    }
    let others = ["events", "token_introspection", "status_list"].flatMap { name in
        [
            row("B22", "\(name) in a token of type JWT", "token_type_mismatch", compat) {
                try token(claims([name: "{}"]), header: header(TestKeys.es256, ["typ": "\"JWT\""]))
            },
            row("B22", "\(name) in an access token", "verified", compat) { try token(claims([name: "{}"])) },
        ]
    }
    return rows + others
}()
