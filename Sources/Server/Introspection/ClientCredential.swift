internal import Kernel
internal import NIOSSL
internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

/// Why we cannot say who we are.
struct ClientCredentialError: Error, CustomStringConvertible {
    var description: String
}

/// How we authenticate to an introspection endpoint: the contents of the files that the policy names.
struct ClientCredential: Sendable {
    enum Proof: Sendable {
        case basic(secret: [UInt8])
        case post(secret: [UInt8])
        case assertion(PrivateJWK)
        case certificate(ClientIdentity)
    }

    /// A secret, a key or a chain is shorter.
    static let fileBytesMax = 64 << 10

    var proof: Proof
    /// Of the files that it was read from, in the order of `paths`.
    var stamps: [FileStamp]

    // MARK: files

    /// The files that the method of authentication needs.
    static func paths(_ model: IntrospectionModel, folder: String) throws(ClientCredentialError) -> [String] {
        let names: [String?] =
            switch model.authentication {
            case .basic, .post: [model.secretFile]
            case .privateKeyJWT: [model.keyFile]
            case .mutualTLS: [model.certificateFile, model.keyFile]
            }
        var paths: [String] = []
        for name in names {
            guard let name else { throw ClientCredentialError(description: "the policy names no file for it") }
            paths.append(Files.resolve(name, against: folder))
        }
        return paths
    }

    static func read(
        _ model: IntrospectionModel, folder: String, issuer: String
    ) throws(ClientCredentialError) -> ClientCredential {
        let paths = try paths(model, folder: folder)
        var files: [FileContents] = []
        for path in paths {
            do throws(SystemError) {
                files.append(try Files.read(path, bytesMax: fileBytesMax))
            } catch {
                throw ClientCredentialError(description: "\(error)")
            }
        }
        let proof: Proof =
            switch model.authentication {
            case .basic: .basic(secret: try secret(files[0].bytes, paths[0]))
            case .post: .post(secret: try secret(files[0].bytes, paths[0]))
            case .privateKeyJWT: .assertion(try key(files[0].bytes, paths[0]))
            case .mutualTLS: .certificate(try identity(files[0].bytes, files[1].bytes, paths, issuer))
            }
        return ClientCredential(proof: proof, stamps: files.map(\.stamp))
    }

    /// Whether the files are those that it was read from. One that cannot be looked at is not.
    func isCurrent(_ model: IntrospectionModel, folder: String) -> Bool {
        guard let paths = try? ClientCredential.paths(model, folder: folder), paths.count == stamps.count else {
            return false
        }
        return zip(paths, stamps).allSatisfy { path, stamp in (try? Files.stamp(path)) == stamp }
    }

    /// One line; its end, which editors add, does not belong to it.
    private static func secret(_ bytes: [UInt8], _ path: String) throws(ClientCredentialError) -> [UInt8] {
        var secret = bytes
        if secret.last == 0x0A { secret.removeLast() }
        if secret.last == 0x0D { secret.removeLast() }
        guard !secret.isEmpty else { throw ClientCredentialError(description: "the secret in `\(path)` is empty") }
        guard !secret.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw ClientCredentialError(
                description: "the secret in `\(path)` has control characters; it must be one line of text")
        }
        return secret
    }

    private static func key(_ bytes: [UInt8], _ path: String) throws(ClientCredentialError) -> PrivateJWK {
        do throws(PrivateJWKError) {
            return try PrivateJWK(parsing: bytes.span)
        } catch {
            throw ClientCredentialError(description: "`\(path)`: \(error)")
        }
    }

    private static func identity(
        _ chain: [UInt8], _ key: [UInt8], _ paths: [String], _ issuer: String
    ) throws(ClientCredentialError) -> ClientIdentity {
        let certificates: [NIOSSLCertificate]
        let privateKey: NIOSSLPrivateKey
        do {
            certificates = try NIOSSLCertificate.fromPEMBytes(chain)
        } catch {
            throw ClientCredentialError(description: "`\(paths[0])` has no PEM certificates that can be read")
        }
        do {
            privateKey = try NIOSSLPrivateKey(bytes: key, format: .pem)
        } catch {
            throw ClientCredentialError(description: "`\(paths[1])` has no PEM private key that can be read")
        }
        guard !certificates.isEmpty else {
            throw ClientCredentialError(description: "`\(paths[0])` has no PEM certificates")
        }
        return ClientIdentity(
            name: issuer, digest: sha256((chain + key).span), chain: certificates, key: privateKey)
    }

    // MARK: requests

    /// The certificate that the connection is made with.
    var identity: ClientIdentity? {
        if case .certificate(let identity) = proof { return identity }
        return nil
    }

    /// The request that asks about a token (RFC 7662 §2.1), except for deadline and size.
    /// - Parameter now: Unix seconds.
    func request(
        about token: [UInt8], _ model: IntrospectionModel, issuer: String, now: Int64
    ) throws(ClientCredentialError) -> HTTPSRequest {
        let clientID = Array(model.clientID.utf8)
        var body = Array("token=".utf8)
        body.append(formEncoded: token)
        body.append(contentsOf: "&token_type_hint=access_token".utf8)
        var headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", model.demandsJWT ? "application/token-introspection+jwt" : "application/json"),
        ]
        switch proof {
        case .basic(let secret):
            // RFC 6749 §2.3.1: both are form-encoded first, so that a colon in either stands for itself.
            var pair: [UInt8] = []
            pair.append(formEncoded: clientID)
            pair.append(0x3A)
            pair.append(formEncoded: secret)
            headers.append(("authorization", "Basic " + base64(pair)))
        case .post(let secret):
            body.append("client_id", clientID)
            body.append("client_secret", secret)
        case .assertion(let key):
            body.append("client_id", clientID)
            body.append(
                "client_assertion_type", Array("urn:ietf:params:oauth:client-assertion-type:jwt-bearer".utf8))
            body.append("client_assertion", try assertion(key, model.clientID, issuer, now))
        case .certificate:
            // RFC 8705 §2: the certificate alone does not say which client.
            body.append("client_id", clientID)
        }
        return HTTPSRequest(
            url: model.endpoint, issuer: issuer, method: .post, headers: headers, body: body,
            replyBytesMax: IntrospectionReader.replyBytesMax,
            timeoutMilliseconds: Int64(model.timeoutMilliseconds))
    }

    /// RFC 7523 §3. The audience is the issuer alone: one that fits several servers could be used at the others.
    private func assertion(
        _ key: PrivateJWK, _ clientID: String, _ issuer: String, _ now: Int64
    ) throws(ClientCredentialError) -> [UInt8] {
        var claims = JSONObjectWriter()
        claims.add("iss", string: clientID)
        claims.add("sub", string: clientID)
        claims.add("aud", string: issuer)
        claims.add("jti", string: String(decoding: Base64URL.encode(randomBytes(16).span), as: UTF8.self))
        claims.add("iat", number: now)
        claims.add("exp", number: now + 60)
        do throws(MintError) {
            return try TokenMint.token(
                claims: claims.text().span, key: key.key, algorithm: key.algorithm, keyID: key.keyID, type: "JWT")
        } catch {
            throw ClientCredentialError(description: "no assertion could be signed: \(error)")
        }
    }
}

extension [UInt8] {
    /// Appends a form parameter after others.
    fileprivate mutating func append(_ name: String, _ value: [UInt8]) {
        append(0x26)
        append(contentsOf: name.utf8)
        append(0x3D)
        append(formEncoded: value)
    }

    /// Everything but unreserved characters (RFC 3986 §2.3) is percent-encoded, which readers of forms and of URIs
    /// take for the same.
    mutating func append(formEncoded bytes: [UInt8]) {
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in bytes {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: append(byte)
            default:
                append(0x25)
                append(digits[Int(byte >> 4)])
                append(digits[Int(byte & 15)])
            }
        }
    }
}

/// RFC 4648 §4, padded.
func base64(_ bytes: [UInt8]) -> String {
    var text = Base64URL.encode(bytes.span).map { $0 == 0x2D ? 0x2B : $0 == 0x5F ? 0x2F : $0 }
    while text.count % 4 != 0 { text.append(0x3D) }
    return String(decoding: text, as: UTF8.self)
}
