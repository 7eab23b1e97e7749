import PolicyTables
import Signatures
import Testing

@testable import Server

@Suite struct KeyDownloadTests {
    let server: KeyServer
    let keys: [UInt8]

    init() throws {
        server = try KeyServer()
        keys = try keySet("a", "b")
        try server.publish(keys)
    }

    private func model(_ source: IssuerModel.KeySource, issuer: String? = nil) -> IssuerModel {
        IssuerModel(
            issuer: issuer ?? server.secure, audiences: ["x"], keySource: source, algorithms: [.es256])
    }

    private func download(
        _ model: IssuerModel, timeoutSeconds: Int64 = 20, trusts: Bool = true
    ) async -> Result<(url: String, bytes: [UInt8]), KeyDownloadError> {
        let download = KeyDownload(
            timeoutSeconds: timeoutSeconds, defaultAuthorityFile: trusts ? server.authorityFile : nil)
        defer { download.stop() }
        do throws(KeyDownloadError) {
            return .success(try await download.document(for: model, certificateAuthorityFile: nil))
        } catch {
            return .failure(error)
        }
    }

    @Test func fetches() async throws {
        let found = try await download(model(.uri("\(server.secure)/jwks"))).get()
        #expect(found.bytes == keys)
        #expect(found.url == "\(server.secure)/jwks")
    }

    @Test func ownAuthorityOfTheIssuer() async throws {
        let download = KeyDownload(timeoutSeconds: 20, defaultAuthorityFile: nil)
        defer { download.stop() }
        let found = try await download.document(
            for: model(.uri("\(server.secure)/jwks")), certificateAuthorityFile: server.authorityFile)
        #expect(found.bytes == keys)
    }

    @Test func certificatesAreChecked() async {
        let unknown = await download(model(.uri("\(server.secure)/jwks")), trusts: false)
        #expect(throws: KeyDownloadError.self) { try unknown.get() }
        // Trusted, but not for this name.
        let other = await download(model(.uri("https://127.0.0.2:\(server.securePort)/jwks")))
        #expect(throws: KeyDownloadError.self) { try other.get() }
        #expect(server.hits("/jwks") == 0)
    }

    @Test func missingAuthorityFile() async {
        let download = KeyDownload(timeoutSeconds: 5, defaultAuthorityFile: "/no/such/ca.pem")
        defer { download.stop() }
        var message = ""
        do throws(KeyDownloadError) {
            _ = try await download.document(
                for: model(.uri("\(server.secure)/jwks")), certificateAuthorityFile: nil)
        } catch {
            message = "\(error)"
        }
        #expect(message.contains("/no/such/ca.pem"))
    }

    @Test(arguments: [
        ("/500", "500"), ("/redirect", "redirects are not followed"), ("/none", "404"),
        ("/huge", "more than"), ("/endless", "more than"), ("/short", ""),
    ])
    func badAnswers(_ path: String, _ part: String) async {
        let result = await download(model(.uri(server.secure + path)))
        #expect { try result.get() } throws: { "\($0)".contains(part) }
        #expect(server.hits(path) == 1)
        if path == "/redirect" { #expect(server.hits("/jwks") == 0) }
    }

    @Test(arguments: ["/slow", "/silent"]) func deadlineHoldsForTheWholeAnswer(_ path: String) async {
        let result = await download(model(.uri(server.secure + path)), timeoutSeconds: 1)
        #expect(throws: KeyDownloadError.self) { try result.get() }
    }

    @Test func plainHTTPOnlyBetweenLoopbackAddresses() async throws {
        let refused = await download(model(.uri("\(server.plain)/jwks"), issuer: "https://id.example.com"))
        #expect { try refused.get() } throws: { "\($0)".contains("over https only") }
        #expect(server.hits("/jwks") == 0)
        let found = await download(model(.uri("\(server.plain)/jwks"), issuer: server.plain))
        #expect(try found.get().bytes == keys)
    }

    @Test(arguments: [
        ("https://a/x", "https://b", true), ("http://127.0.0.1:1/x", "http://localhost", true),
        ("http://[::1]:1/x", "http://127.0.0.1:9/i", true), ("http://127.0.0.1/x", "https://b", false),
        ("http://a/x", "http://a", false), ("http://127.0.0.1@evil/x", "http://localhost", false),
        ("http://localhost.evil/x", "http://localhost", false), ("ftp://localhost/x", "http://localhost", false),
        ("file:///etc/x", "https://b", false), ("HTTP://localhost/x", "http://localhost", false),
        ("", "https://b", false),
    ])
    func addresses(_ url: String, _ issuer: String, _ expected: Bool) {
        #expect(HTTPSAddress.isAllowed(url, issuer: issuer) == expected)
    }

    @Test func discoveryOfBothKinds() async throws {
        let issuer = "\(server.secure)/tenant"
        let metadata = #"{"issuer":"\#(issuer)","jwks_uri":"\#(server.secure)/jwks","x":[1]}"#
        let none = await download(model(.discovery, issuer: issuer))
        #expect { try none.get() } throws: { "\($0)".contains("404") }

        try server.folder.write("tenant_.well-known_openid-configuration", metadata)
        #expect(try await download(model(.discovery, issuer: issuer)).get().bytes == keys)
        #expect(server.hits("/.well-known/oauth-authorization-server/tenant") == 2)

        try server.folder.write(".well-known_oauth-authorization-server_tenant", metadata)
        #expect(try await download(model(.discovery, issuer: issuer)).get().bytes == keys)
        #expect(server.hits("/tenant/.well-known/openid-configuration") == 2)
    }

    @Test func discoveryWithAnotherIssuerIsNotUsed() async throws {
        let metadata = #"{"issuer":"\#(server.secure)/","jwks_uri":"\#(server.secure)/jwks"}"#
        try server.folder.write(".well-known_oauth-authorization-server", metadata)
        try server.folder.write(".well-known_openid-configuration", metadata)
        let result = await download(model(.discovery))
        #expect { try result.get() } throws: { "\($0)".contains("its issuer is") }
        #expect(server.hits("/jwks") == 0)
    }

    @Test func discoveryCannotLeaveHTTPS() async throws {
        let metadata = #"{"issuer":"\#(server.secure)","jwks_uri":"\#(server.plain)/jwks"}"#
        try server.folder.write(".well-known_oauth-authorization-server", metadata)
        let result = await download(model(.discovery))
        #expect { try result.get() } throws: { "\($0)".contains("over https only") }
        #expect(server.hits("/jwks") == 0)
    }

    @Test(arguments: [
        "", "{}", "[]", #"{"issuer":"https://i"}"#, #"{"jwks_uri":"https://i/k"}"#,
        #"{"issuer":1,"jwks_uri":"https://i/k"}"#, #"{"issuer":"https://i/","jwks_uri":"https://i/k"}"#,
        #"{"issuer":"HTTPS://i","jwks_uri":"https://i/k"}"#, #"{"issuer":"https://i","jwks_uri":null}"#,
        #"{"issuer":"https://x","issuer":"https://i","jwks_uri":"https://i/k"}"#,
        #"{"issuer":"https://i","jwks_uri":"https://i/k"} "x""#, "<html>",
    ])
    func metadataRefused(_ document: String) {
        #expect(throws: KeyDownloadError.self) {
            try KeyDownload.keySetURL(in: Array(document.utf8), issuer: "https://i", from: "u")
        }
    }

    @Test func metadataTaken() throws {
        let document = #"{"jwks_uri":"https:\/\/i\/k","issuer":"https://i"}"#
        #expect(
            try KeyDownload.keySetURL(in: Array(document.utf8), issuer: "https://i", from: "u") == "https://i/k")
    }

    @Test(arguments: [
        (
            "https://h",
            ["https://h/.well-known/oauth-authorization-server", "https://h/.well-known/openid-configuration"]
        ),
        (
            "https://h:8443/a/b/",
            [
                "https://h:8443/.well-known/oauth-authorization-server/a/b",
                "https://h:8443/a/b/.well-known/openid-configuration",
            ]
        ),
        ("nonsense", []),
    ])
    func metadataURLs(_ issuer: String, _ expected: [String]) {
        #expect(KeyDownload.metadataURLs(issuer) == expected)
    }

    @Test func nothingIsFetchedAfterStop() async {
        let download = KeyDownload(timeoutSeconds: 5, defaultAuthorityFile: server.authorityFile)
        download.stop()
        var isRefused = false
        do throws(KeyDownloadError) {
            _ = try await download.document(
                for: model(.uri("\(server.secure)/jwks")), certificateAuthorityFile: nil)
        } catch {
            isRefused = true
        }
        #expect(isRefused)
        #expect(server.hits("/jwks") == 0)
    }
}
