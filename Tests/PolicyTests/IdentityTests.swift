import Policy
import Testing

/// The names that certificates are known by.
@Suite struct IdentityTests {
    private static func identity(_ text: String) -> String {
        PortTests.client("certificate: { \(text) }, scopes: read")
    }
    private static let path = String(repeating: "a", count: 2_030)

    static let identities: [Case] = [
        Case("an empty URI", identity("uri: ‹\"\""), Expected(.emptyValue)),
        Case("a relative URI", identity("uri: ‹/a/b"), Expected(.badURL, "no absolute URI")),
        Case("a URI without scheme", identity("uri: ‹\"://a\""), Expected(.badURL, "no absolute URI")),
        Case("a URI of a scheme alone", identity("uri: ‹\"spiffe:\""), Expected(.badURL, "no absolute URI")),
        Case("a scheme that starts with a digit", identity("uri: ‹\"1a:b\""), Expected(.badURL)),
        Case("a scheme with a sign", identity("uri: ‹\"a_b:c\""), Expected(.badURL)),
        Case("a space in a URI", identity("uri: \"a:b‹ c\""), Expected(.badURL, "character that no URI has")),
        Case("a letter beyond ASCII", identity("uri: \"a:b‹ü\""), Expected(.badURL)),
        Case("a quote in a URI", identity("uri: 'a:b‹\"'"), Expected(.badURL)),
        Case("a URI of 2048 bytes", identity("uri: \"https://a.example/\(path)\"")),
        Case(
            "a URI of 2049 bytes", identity("uri: ‹\"https://a.example/a\(path)\""),
            Expected(.limitExceeded, "2049 bytes")),
        Case("a URI that is a list", identity("uri: ‹[a]"), Expected(.wrongType)),
        Case(
            "a star in a URI", identity("uri: \"spiffe://example.org/‹*\""),
            Expected(.literalWildcard, "stands for itself")),
        Case("an empty name", identity("dns: ‹\"\""), Expected(.emptyValue)),
        Case("a wildcard name", identity("dns: ‹\"*.example.com\""), Expected(.badWildcard, "byte by byte")),
        Case("a trailing dot", identity("dns: ‹a.example."), Expected(.badHost, "ends with a dot")),
        Case("a port", identity("dns: \"a.example‹:1\""), Expected(.badHost, "no DNS name", mend: "the name alone")),
        Case("a label too long", identity("dns: ‹\(String(repeating: "a", count: 64)).example"), Expected(.badHost)),
        Case("letters beyond ASCII", identity("dns: ‹bücher.example"), Expected(.badHost, mend: "`xn--`")),
        Case("an address", identity("dns: ‹192.0.2.1"), Expected(.badHost, "is an address")),
        Case("an IPv6 address", identity("dns: \"[‹::1]\""), Expected(.badHost, "no DNS name")),
        Case(
            "an empty subject", identity("subject: ‹\"\""), Expected(.badSubject, "empty subject", mend: "openssl x509")
        ),
        Case(
            "slashes", identity("subject: ‹/C=DE/CN=a"),
            Expected(.badSubject, "form with slashes", mend: "-nameopt RFC2253")),
        Case(
            "with what openssl prints before it", identity("subject: ‹\"subject=CN=a\""),
            Expected(.badSubject, "starts with `subject=`")),
        Case(
            "a space behind a comma", identity("subject: \"CN=a,‹ O=b\""),
            Expected(.badSubject, "space beside a separator", mend: "without spaces")),
        Case(
            "a space before a comma", identity("subject: \"CN=a‹ ,O=b\""),
            Expected(.badSubject, "space beside a separator")),
        Case("a space behind an equals sign", identity("subject: \"CN=‹ a\""), Expected(.badSubject, "space beside")),
        Case("a space before an equals sign", identity("subject: ‹\"CN =a\""), Expected(.badSubject, "space beside")),
        Case("a space before a plus sign", identity("subject: \"CN=a‹ +O=b\""), Expected(.badSubject, "space beside")),
        Case("a space at the end", identity("subject: \"CN=a‹ \""), Expected(.badSubject, "space beside")),
        Case("no equals sign", identity("subject: ‹CN"), Expected(.badSubject, "no `=`")),
        Case("a comma at the end", identity("subject: \"CN=a,‹\""), Expected(.badSubject, "no `=`")),
        Case("a semicolon", identity("subject: \"CN=a‹;O=b\""), Expected(.badSubject, mend: "`\\;`")),
        Case("quotes", identity("subject: 'CN=‹\"a\"'"), Expected(.badSubject, "`\"`")),
        Case(
            "an attribute in lower case", identity("subject: \"CN=a,‹o=b\""),
            Expected(.badSubject, "not spelled", mend: "write `O`")),
        Case(
            "an attribute by its long name",
            identity("subject: ‹E=b@example.com").replacing("E=", with: "emailaddress="),
            Expected(.badSubject, mend: "write `emailAddress`")),
        Case("an attribute that is none", identity("subject: ‹\"a_b=c\""), Expected(.badSubject, "no attribute")),
        Case(
            "an identifier that has a name", identity("subject: ‹\"2.5.4.3=a\""),
            Expected(.badSubject, mend: "write `CN`")),
        Case("an identifier that is none", identity("subject: ‹\"1.02=#0500\""), Expected(.badSubject, "no attribute")),
        Case("an identifier with text", identity("subject: ‹\"1.2.3=a\""), Expected(.badSubject, "`#`")),
        Case(
            "bytes in lower case", identity("subject: \"1.2.3=#0‹c0178\"").replacing("#0‹c", with: "#‹0c"),
            Expected(.badSubject, "capital")),
        Case("bytes that are no DER", identity("subject: \"1.2.3=‹#0C0278\""), Expected(.badSubject, "not the DER")),
        Case("letters as they are", identity("subject: \"CN=J‹ürgen\""), Expected(.badSubject, "in ASCII")),
        Case("an escape in lower case", identity("subject: 'CN=J‹\\c3\\bcrgen'"), Expected(.badSubject, "not escaped")),
        Case("an escape of a letter", identity("subject: 'CN=‹\\41'"), Expected(.badSubject, "not escaped")),
        Case("an escape of an equals sign", identity("subject: 'CN=a‹\\=b'"), Expected(.badSubject, "not escaped")),
        Case("an escape of a space inside", identity("subject: 'CN=a‹\\ b'"), Expected(.badSubject, "not escaped")),
        Case("an escape of a hash inside", identity("subject: 'CN=a‹\\#b'"), Expected(.badSubject, "not escaped")),
        Case("a backslash at the end", identity("subject: 'CN=a‹\\'"), Expected(.badSubject, "ends with `\\`")),
        Case("bytes that are no text", identity("subject: 'CN=‹\\C3'"), Expected(.badSubject, "not UTF-8")),
        Case("a subject that is a list", identity("subject: ‹[a]"), Expected(.wrongType, mend: "openssl x509")),
        Case("a URL", identity("dns: https‹://a.example"), Expected(.badHost, "no DNS name")),
        Case(
            "a subject that does not fit into an answer",
            identity("‹subject: \"CN=a\(String(repeating: " b", count: 600))\""),
            Expected(.limitExceeded, "takes 2404 bytes in an answer", mend: "shorter")),
        Case(
            "a subject of 2049 bytes", identity("subject: ‹CN=\(path)\(path.prefix(16))"),
            Expected(.badSubject, "2049 bytes")),
    ]

    @Test(arguments: identities) func rules(_ one: Case) { check(one) }
}
