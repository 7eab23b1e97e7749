import Kernel
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

@testable import Server

/// Requests as the issuer's server sees them.
@Suite struct IntrospectionRequestTests {
    let server: IssuerServer
    let inquiry: Inquiry

    init() throws {
        server = try IssuerServer()
        inquiry = try Inquiry(server)
        try server.answer(activeReply)
    }

    @Test func basic() async throws {
        inquiry.use(inquiry.model())
        #expect(await inquiry.ask("a+b/c&d=%") == "active")
        let request = try #require(server.requests.first)
        #expect(request.hasPrefix("POST /answer HTTP/1.1\n"))
        #expect(request.requestBody == "token=a%2Bb%2Fc%26d%3D%25&token_type_hint=access_token")
        #expect(request.header("content-type") == "application/x-www-form-urlencoded")
        #expect(request.header("accept") == "application/json")
        // printf 'orders%%20gateway:s3c%%3Ar%%20t%%2B%%25%%C3%%A9' | base64
        #expect(
            request.header("authorization")
                == "Basic b3JkZXJzJTIwZ2F0ZXdheTpzM2MlM0FyJTIwdCUyQiUyNSVDMyVBOQ==")
        #expect(!request.contains("peer: "))
    }

    @Test func post() async throws {
        var model = inquiry.model()
        model.introspection?.authentication = .post
        inquiry.use(model)
        #expect(await inquiry.ask("t") == "active")
        let request = try #require(server.requests.first)
        #expect(
            request.requestBody
                == "token=t&token_type_hint=access_token&client_id=orders%20gateway"
                + "&client_secret=s3c%3Ar%20t%2B%25%C3%A9")
        #expect(request.header("authorization") == nil)
    }

    @Test func privateKeyJWT() async throws {
        let key = try PrivateJWK(key: PrivateKey.generate(.ed25519), algorithm: .ed25519, keyID: "ours")
        try server.folder.write("key.jwk", key.privateText())
        var model = inquiry.model()
        model.introspection?.authentication = .privateKeyJWT
        model.introspection?.secretFile = nil
        model.introspection?.keyFile = "key.jwk"
        inquiry.use(model)
        var names: Set<String> = []
        for number in 1...2 {
            #expect(await inquiry.ask() == "active")
            let request = try #require(server.requests.last)
            let parameters = request.formParameters
            #expect(request.header("authorization") == nil)
            #expect(parameters["client_id"] == "orders%20gateway")
            #expect(parameters["client_secret"] == nil)
            #expect(
                parameters["client_assertion_type"]
                    == "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer")
            let assertion = Array(try #require(parameters["client_assertion"]).utf8)
            let token = try #require(verified(assertion, key, audience: model.issuer))
            #expect(String(decoding: Array(copying: token.subject), as: UTF8.self) == "orders gateway")
            #expect(String(decoding: Array(copying: token.keyID), as: UTF8.self) == "ours")
            #expect(token.expiresAt - token.issuedAt == 60)
            var audiences = 0
            token.forEachAudience { _ in
                audiences += 1
                return true
            }
            #expect(audiences == 1)
            names.insert(String(decoding: Array(copying: token.tokenID), as: UTF8.self))
            #expect(names.count == number, "every assertion has a name of its own")
        }
    }

    private func verified(_ assertion: [UInt8], _ key: PrivateJWK, audience: String) -> VerifiedToken? {
        let settings = IssuerSettings(
            issuer: Array("orders gateway".utf8), audiences: [Array(audience.utf8)], algorithms: [.ed25519],
            profile: .compat)
        guard let keys = try? KeySet.parse(jwks: JWKText.set([key.publicText()]).span, algorithms: [.es256, .ed25519])
        else { return nil }
        let issuers = IssuerSnapshot(issuers: [IssuerKeys(settings: settings, keys: keys)], generation: 1)
        let result = TokenVerifier().verify(
            assertion.span, digest: sha256(assertion.span), issuers: issuers, now: inquiry.clock.nowSeconds())
        if case .verified(let token) = result { return token }
        return nil
    }

    @Test func certificate() async throws {
        let server = try IssuerServer(knowsClients: true)
        let inquiry = try Inquiry(server)
        try server.answer(activeReply)
        var model = inquiry.model()
        model.introspection?.authentication = .mutualTLS
        model.introspection?.secretFile = nil
        model.introspection?.certificateFile = "client-cert.pem"
        model.introspection?.keyFile = "client-key.pem"
        inquiry.use(model)
        #expect(await inquiry.ask("t") == "active")
        let request = try #require(server.requests.first)
        #expect(request.header("peer") == "orders-gateway")
        #expect(request.header("authorization") == nil)
        #expect(request.requestBody == "token=t&token_type_hint=access_token&client_id=orders%20gateway")

        shell(
            "cd '\(server.folder.path)' && mv next-cert.pem client-cert.pem"
                + " && mv next-key.pem client-key.pem")
        #expect(await inquiry.ask() == "active")
        #expect(server.requests.last?.header("peer") == "orders-gateway-2")
    }

    @Test func signedRepliesAreAskedForWhereTheyAreDemanded() async throws {
        var model = inquiry.model()
        model.introspection?.demandsJWT = true
        inquiry.use(model)
        #expect(await inquiry.ask() == "unavailable")
        #expect(server.requests.first?.header("accept") == "application/token-introspection+jwt")
        #expect(inquiry.status?.lastError?.contains("token-introspection+jwt") == true)
    }

    @Test func signedReplyIsRead() async throws {
        var model = inquiry.model()
        model.introspection?.demandsJWT = true
        inquiry.use(model)
        var claims = JSONObjectWriter()
        claims.add("iss", string: model.issuer)
        claims.add("aud", string: "orders gateway")
        claims.add("iat", number: inquiry.clock.nowSeconds())
        claims.add("token_introspection", json: Array(activeReply.utf8))
        let reply = try TokenMint.token(
            claims: claims.text().span, key: inquiry.key.key, algorithm: .es256, keyID: "k",
            type: "token-introspection+jwt")
        try server.answer(
            String(decoding: reply, as: UTF8.self), type: "application/token-introspection+jwt")
        #expect(await inquiry.ask() == "active")
    }

    @Test func aChangedSecretIsUsedAtOnce() async throws {
        var model = inquiry.model()
        model.introspection?.authentication = .post
        inquiry.use(model)
        #expect(await inquiry.ask() == "active")
        try server.folder.write("secret", "second")
        #expect(await inquiry.ask() == "active")
        #expect(server.requests.last?.formParameters["client_secret"] == "second")
        #expect(inquiry.kept.count("introspection_credential_changed") == 1)
    }

    @Test func withoutASecretNothingIsAsked() async throws {
        inquiry.use(inquiry.model())
        for (number, secret) in ["", "\n", "two\nlines", "\u{7F}", nil].enumerated() {
            if let secret {
                try server.folder.write("secret", secret)
            } else {
                shell("rm '\(server.folder.file("secret"))'")
            }
            for _ in 0..<6 { #expect(await inquiry.ask() == "unavailable") }
            #expect(server.requests.count == number)
            #expect(inquiry.status?.lastError?.contains("secret") == true)
            #expect(inquiry.status?.state == "closed", "the issuer has done nothing wrong")
            #expect(inquiry.kept.count("introspection_credential_unreadable") == number + 1)
            try server.folder.write("secret", "mended")
            #expect(await inquiry.ask() == "active")
            #expect(inquiry.status?.lastError == nil)
        }
    }

    @Test(arguments: [IntrospectionModel.Authentication.privateKeyJWT, .mutualTLS])
    func keysThatCannotBeReadAreTold(_ method: IntrospectionModel.Authentication) async throws {
        try server.folder.write("key", "{\"kty\":\"EC\"}")
        var model = inquiry.model()
        model.introspection?.authentication = method
        model.introspection?.keyFile = "key"
        model.introspection?.certificateFile = "cert.pem"
        inquiry.use(model)
        #expect(inquiry.kept.count("introspection_credential_unreadable") == 1)
        #expect(await inquiry.ask() == "unavailable")
        #expect(server.requests.isEmpty)
    }

    @Test func formEncoding() {
        var text: [UInt8] = []
        text.append(formEncoded: Array("aZ09-._~ +&=%/é".utf8) + [0, 0xFF])
        #expect(String(decoding: text, as: UTF8.self) == "aZ09-._~%20%2B%26%3D%25%2F%C3%A9%00%FF")
        #expect(base64([0xFB, 0xFF, 0xFE, 0]) == "+//+AA==")
        #expect(base64([]) == "")
    }
}
