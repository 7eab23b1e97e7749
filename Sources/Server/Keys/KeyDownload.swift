internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL
internal import Octets
internal import PolicyTables
internal import Synchronization
internal import Tokens

/// Fetches JWK sets over HTTPS: no redirects, a bounded answer, a deadline for all of it.
///
/// Plain HTTP is taken only where the issuer itself is a loopback address: a development issuer.
final class KeyDownload: Sendable {
    /// A metadata document (RFC 8414 §3.2) is a few kilobytes.
    private static let metadataBytesMax = 256 << 10

    private let timeoutSeconds: Int64
    private let defaultAuthorityFile: String?
    /// One client for each file of certificate authorities; the empty name stands for the system's.
    private let clients = Mutex<[String: HTTPClient]>([:])
    private let isStopped = Atomic<Bool>(false)

    init(timeoutSeconds: Int64, defaultAuthorityFile: String?) {
        self.timeoutSeconds = timeoutSeconds
        self.defaultAuthorityFile = defaultAuthorityFile
    }

    func stop() {
        let open = clients.withLock { clients in
            isStopped.store(true, ordering: .releasing)
            defer { clients.removeAll() }
            return Array(clients.values)
        }
        // A fetch that is cut off ends with an error of its own; there is nobody left to tell.
        for client in open { try? client.syncShutdown() }
    }

    /// The issuer's JWK set document and the URL it came from.
    func document(
        for issuer: IssuerModel, certificateAuthorityFile: String?
    ) async throws(KeyDownloadError) -> (url: String, bytes: [UInt8]) {
        let client = try client(certificateAuthorityFile ?? defaultAuthorityFile)
        switch issuer.keySource {
        case .file: throw .notReachable("the keys are a file")
        case .uri(let url):
            return (url, try await fetch(url, for: issuer, client, TokenLimits.keySetBytesMax))
        case .discovery:
            let url = try await discover(issuer, client)
            return (url, try await fetch(url, for: issuer, client, TokenLimits.keySetBytesMax))
        }
    }

    // MARK: discovery

    /// `jwks_uri` of the issuer's metadata: RFC 8414 §3.1 first, OpenID Connect Discovery §4 next.
    private func discover(_ issuer: IssuerModel, _ client: HTTPClient) async throws(KeyDownloadError) -> String {
        var problem = KeyDownloadError.notReachable("there is no metadata")
        for url in KeyDownload.metadataURLs(issuer.issuer) {
            do throws(KeyDownloadError) {
                let document = try await fetch(url, for: issuer, client, KeyDownload.metadataBytesMax)
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
        _ url: String, for issuer: IssuerModel, _ client: HTTPClient, _ bytesMax: Int
    ) async throws(KeyDownloadError) -> [UInt8] {
        guard KeyDownload.mayFetch(url, issuer: issuer.issuer) else { throw .notSecure(url) }
        do {
            return try await withThrowingTaskGroup(of: [UInt8].self) { group in
                group.addTask {
                    var request = HTTPClientRequest(url: url)
                    request.headers.add(name: "accept", value: "application/jwk-set+json, application/json")
                    let response = try await client.execute(
                        request, timeout: .seconds(self.timeoutSeconds))
                    guard response.status == .ok else {
                        throw KeyDownloadError.badStatus(url, Int(response.status.code))
                    }
                    let body = try await response.body.collect(upTo: bytesMax)
                    return Array(body.readableBytesView)
                }
                // The client's own deadline ends with the head of the answer: a body that trickles has this one.
                group.addTask {
                    try await Task.sleep(nanoseconds: UInt64(self.timeoutSeconds) * 1_000_000_000)
                    throw KeyDownloadError.notReachable("no complete answer within \(self.timeoutSeconds) s")
                }
                defer { group.cancelAll() }
                guard let first = try await group.next() else { throw KeyDownloadError.notReachable("cancelled") }
                return first
            }
        } catch let error as KeyDownloadError {
            throw error
        } catch is NIOTooManyBytesError {
            throw .tooLarge(url, bytesMax)
        } catch {
            throw .notReachable("`\(url)`: \(error)")
        }
    }

    /// https always; http between loopback addresses.
    static func mayFetch(_ url: String, issuer: String) -> Bool {
        url.hasPrefix("https://") || isLoopbackHTTP(url) && isLoopbackHTTP(issuer)
    }

    private static func isLoopbackHTTP(_ url: String) -> Bool {
        guard url.hasPrefix("http://") else { return false }
        let authority = url.dropFirst(7).prefix { $0 != "/" }
        guard !authority.contains("@") else { return false }
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        return host == "localhost" || host == "127.0.0.1" || host == "[::1]"
    }

    private func client(_ authorityFile: String?) throws(KeyDownloadError) -> HTTPClient {
        let name = authorityFile ?? ""
        if let known = clients.withLock({ $0[name] }) { return known }
        var settings = HTTPClient.Configuration(redirectConfiguration: .disallow)
        settings.timeout.connect = .seconds(timeoutSeconds)
        settings.timeout.read = .seconds(timeoutSeconds)
        settings.httpVersion = .http1Only
        // The schedule here tries again; a second try within one fetch only hides why the first one failed.
        settings.connectionPool.retryConnectionEstablishment = false
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if let authorityFile {
            do {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authorityFile))
            } catch {
                throw .notReachable("the certificate authorities `\(authorityFile)` cannot be read: \(error)")
            }
        }
        settings.tlsConfiguration = tls
        let client: HTTPClient? = clients.withLock { clients in
            // A client that nobody shuts down ends the process.
            guard !isStopped.load(ordering: .acquiring) else { return nil }
            if let known = clients[name] { return known }
            let made = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
            clients[name] = made
            return made
        }
        guard let client else { throw .notReachable("this daemon is being stopped") }
        return client
    }
}

/// Why an issuer's keys could not be fetched.
enum KeyDownloadError: Error, CustomStringConvertible {
    case notSecure(String)
    case notReachable(String)
    case badStatus(String, Int)
    case tooLarge(String, Int)
    case badMetadata(String, String)

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
