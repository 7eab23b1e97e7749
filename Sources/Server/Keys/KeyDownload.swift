internal import PolicyTables
internal import Tokens

/// Fetches JWK sets over HTTPS: no redirects, a bounded answer, a deadline for all of it.
///
/// Plain HTTP is taken only where the issuer itself is a loopback address: a development issuer.
final class KeyDownload: Sendable {
    /// A metadata document (RFC 8414 §3.2) is a few kilobytes.
    private static let metadataBytesMax = 256 << 10

    private let timeoutSeconds: Int64
    private let defaultAuthorityFile: String?
    private let clients: HTTPSClients

    init(timeoutSeconds: Int64, defaultAuthorityFile: String?) {
        self.timeoutSeconds = timeoutSeconds
        self.defaultAuthorityFile = defaultAuthorityFile
        clients = HTTPSClients(timeoutMilliseconds: timeoutSeconds * 1_000)
    }

    func stop() { clients.stop() }

    /// The issuer's JWK set document and the URL it came from.
    func document(
        for issuer: IssuerModel, certificateAuthorityFile: String?
    ) async throws(KeyDownloadError) -> (url: String, bytes: [UInt8]) {
        let authorityFile = certificateAuthorityFile ?? defaultAuthorityFile
        switch issuer.keySource {
        case .file, .none: throw .notReachable("the keys are not fetched")
        case .uri(let url):
            return (url, try await fetch(url, for: issuer, authorityFile, TokenLimits.keySetBytesMax))
        case .discovery:
            let url = try await discover(issuer, authorityFile)
            return (url, try await fetch(url, for: issuer, authorityFile, TokenLimits.keySetBytesMax))
        }
    }

    // MARK: discovery

    /// `jwks_uri` of the issuer's metadata: RFC 8414 §3.1 first, OpenID Connect Discovery §4 next.
    private func discover(
        _ issuer: IssuerModel, _ authorityFile: String?
    ) async throws(KeyDownloadError) -> String {
        var problem = KeyDownloadError.notReachable("there is no metadata")
        for url in KeyDownload.metadataURLs(issuer.issuer) {
            do throws(KeyDownloadError) {
                let document = try await fetch(url, for: issuer, authorityFile, KeyDownload.metadataBytesMax)
                return try KeyDownload.keySetURL(in: document, issuer: issuer.issuer, from: url)
            } catch {
                problem = error
            }
        }
        throw problem
    }

    /// Example: `https://id.example.com/a` has `https://id.example.com/.well-known/oauth-authorization-server/a` and
    /// `https://id.example.com/a/.well-known/openid-configuration`.
    static func metadataURLs(_ issuer: String) -> [String] {
        let trimmed = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        guard let colon = trimmed.firstIndex(of: ":"), trimmed[colon...].hasPrefix("://") else { return [] }
        let rest = trimmed[colon...].dropFirst(3)
        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count)
        let origin = "\(trimmed[..<colon])://\(authority)"
        return [
            "\(origin)/.well-known/oauth-authorization-server\(path)",
            "\(trimmed)/.well-known/openid-configuration",
        ]
    }

    /// RFC 8414 §3.3: the issuer in the document must be identical to the one asked for.
    static func keySetURL(
        in document: [UInt8], issuer: String, from url: String
    ) throws(KeyDownloadError) -> String {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(document.span, limits: JSONLimits(depthMax: 16))
        } catch {
            throw .badMetadata(url, "it is not a JSON object: \(error)")
        }
        guard let root = index.root,
            let named = index.member("issuer", of: root, in: document.span)?.string(in: document.span),
            let keys = index.member("jwks_uri", of: root, in: document.span)?.string(in: document.span)
        else { throw .badMetadata(url, "it has no `issuer` or no `jwks_uri`") }
        guard named == Array(issuer.utf8) else {
            throw .badMetadata(url, "its issuer is `\(String(decoding: named, as: UTF8.self))`")
        }
        return String(decoding: keys, as: UTF8.self)
    }

    // MARK: one request

    private func fetch(
        _ url: String, for issuer: IssuerModel, _ authorityFile: String?, _ bytesMax: Int
    ) async throws(KeyDownloadError) -> [UInt8] {
        let request = HTTPSRequest(
            url: url, issuer: issuer.issuer,
            headers: [("accept", "application/jwk-set+json, application/json")], replyBytesMax: bytesMax,
            timeoutMilliseconds: timeoutSeconds * 1_000)
        let reply: HTTPSReply
        do throws(HTTPSError) {
            reply = try await clients.exchange(request, authorityFile: authorityFile)
        } catch {
            throw KeyDownloadError(error)
        }
        guard reply.status == 200 else { throw .badStatus(url, reply.status) }
        return reply.body
    }
}

/// Why an issuer's keys could not be fetched.
enum KeyDownloadError: Error, CustomStringConvertible {
    case notSecure(String)
    case notReachable(String)
    case badStatus(String, Int)
    case tooLarge(String, Int)
    case badMetadata(String, String)

    init(_ error: HTTPSError) {
        self =
            switch error {
            case .notSecure(let url): .notSecure(url)
            case .notReachable(let problem): .notReachable(problem)
            case .tooLarge(let url, let bytesMax): .tooLarge(url, bytesMax)
            }
    }

    var description: String {
        switch self {
        case .notSecure(let url): "`\(url)` is not fetched: keys come over https only; correct jwks_uri"
        case .notReachable(let problem): problem
        case .badStatus(let url, let status):
            "`\(url)` answered \(status); redirects are not followed: name the address of the keys themselves"
        case .tooLarge(let url, let bytesMax): "`\(url)` answered with more than \(bytesMax) bytes"
        case .badMetadata(let url, let problem): "`\(url)` is not this issuer's metadata: \(problem)"
        }
    }
}
