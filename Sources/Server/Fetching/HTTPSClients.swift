internal import AsyncHTTPClient
internal import Kernel
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL
internal import Signatures
internal import Synchronization

/// A certificate of ours that a server asks for.
struct ClientIdentity: Sendable {
    /// Whose it is; one that has changed takes the place of the one before.
    var name: String
    /// Of chain and key.
    var digest: Digest
    /// Own certificate first.
    var chain: [NIOSSLCertificate]
    var key: NIOSSLPrivateKey
}

/// Speaks to issuers' servers: no redirects, a bounded reply, one deadline for all of it, HTTP/1.1, TLS 1.2 or later.
///
/// There is one client, with connections of its own, for each pair of certificate authorities and certificate of ours.
/// Files of authorities are read again when they have changed.
final class HTTPSClients: Sendable {
    private struct Place: Hashable {
        /// Empty for the system's.
        var authorityFile: String
        /// Empty without a certificate of ours.
        var identity: String
    }

    private struct Entry {
        var client: HTTPClient
        var authorityStamp: FileStamp?
        var identityDigest: Digest?
    }

    private struct State {
        var entries: [Place: Entry] = [:]
        /// Replaced, but perhaps still in use.
        var retired: [ObjectIdentifier: HTTPClient] = [:]
        var isStopped = false
    }

    /// Of a file of certificate authorities; those that systems come with have some 250 KB.
    static let authorityBytesMax = 4 << 20

    private let timeoutMilliseconds: Int64
    private let connectionsMax: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - timeoutMilliseconds: the longest that any request may have.
    ///   - connectionsMax: at once, to one server with one certificate.
    init(timeoutMilliseconds: Int64, connectionsMax: Int = 8) {
        self.timeoutMilliseconds = timeoutMilliseconds
        self.connectionsMax = connectionsMax
    }

    /// Exchanges that are under way end with an error. Not on a thread that serves connections.
    func stop() {
        let open = state.withLock { state in
            state.isStopped = true
            defer {
                state.entries.removeAll()
                state.retired.removeAll()
            }
            return state.entries.values.map(\.client) + state.retired.values
        }
        // A fetch that is cut off ends with an error of its own; there is nobody left to tell.
        for client in open { try? client.syncShutdown() }
    }

    func exchange(
        _ request: HTTPSRequest, authorityFile: String?, identity: ClientIdentity? = nil
    ) async throws(HTTPSError) -> HTTPSReply {
        let client = try client(authorityFile, identity)
        guard HTTPSAddress.isAllowed(request.url, issuer: request.issuer) else { throw .notSecure(request.url) }
        do {
            return try await withThrowingTaskGroup(of: HTTPSReply.self) { group in
                group.addTask { try await HTTPSClients.ask(client, request) }
                // The client's own deadline ends with the head of the answer: a body that trickles has this one.
                group.addTask {
                    try await Task.sleep(nanoseconds: UInt64(clamping: request.timeoutMilliseconds) * 1_000_000)
                    throw HTTPSError.notReachable(
                        "`\(request.url)`: no complete answer within \(request.timeoutMilliseconds) ms")
                }
                defer { group.cancelAll() }
                guard let first = try await group.next() else { throw HTTPSError.notReachable("cancelled") }
                return first
            }
        } catch let error as HTTPSError {
            throw error
        } catch is NIOTooManyBytesError {
            throw .tooLarge(request.url, request.replyBytesMax)
        } catch {
            throw .notReachable("`\(request.url)`: \(error)")
        }
    }

    private static func ask(_ client: HTTPClient, _ request: HTTPSRequest) async throws -> HTTPSReply {
        var sent = HTTPClientRequest(url: request.url)
        sent.method = request.method == .post ? .POST : .GET
        for header in request.headers { sent.headers.add(name: header.name, value: header.value) }
        if request.method == .post { sent.body = .bytes(request.body, length: .known(Int64(request.body.count))) }
        let response = try await client.execute(sent, timeout: .milliseconds(request.timeoutMilliseconds))
        let types = response.headers["content-type"]
        var reply = HTTPSReply(
            status: Int(response.status.code), mediaType: types.count == 1 ? mediaType(types[0]) : nil, body: [])
        guard response.status == .ok else { return reply }
        reply.body = Array(try await response.body.collect(upTo: request.replyBytesMax).readableBytesView)
        return reply
    }

    /// Example: `Application/JSON; charset=utf-8` is `application/json`.
    static func mediaType(_ field: String) -> String? {
        let type = field.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }.lowercased()
        return type.isEmpty ? nil : type
    }

    // MARK: clients

    private func client(_ authorityFile: String?, _ identity: ClientIdentity?) throws(HTTPSError) -> HTTPClient {
        let place = Place(authorityFile: authorityFile ?? "", identity: identity?.name ?? "")
        let known = state.withLock { $0.entries[place] }
        // A file that is gone for a moment is no reason to stop speaking to those that it vouched for.
        let stamp = authorityFile.flatMap { try? Files.stamp($0) } ?? known?.authorityStamp
        if let known, known.authorityStamp == stamp, known.identityDigest == identity?.digest { return known.client }
        let configuration: HTTPClient.Configuration
        do throws(HTTPSError) {
            configuration = try self.configuration(authorityFile, identity)
        } catch {
            // Half a file, say: the one before goes on, for the same certificate of ours.
            guard let known, known.identityDigest == identity?.digest else { throw error }
            return known.client
        }
        let (client, replaced) = state.withLock { state -> (HTTPClient?, HTTPClient?) in
            // A client that nobody shuts down ends the process.
            guard !state.isStopped else { return (nil, nil) }
            let present = state.entries[place]
            if let present, present.authorityStamp == stamp, present.identityDigest == identity?.digest {
                return (present.client, nil)
            }
            let made = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
            state.entries[place] = Entry(
                client: made, authorityStamp: stamp, identityDigest: identity?.digest)
            if let old = present?.client { state.retired[ObjectIdentifier(old)] = old }
            return (made, present?.client)
        }
        if let replaced { retire(replaced) }
        guard let client else { throw .notReachable("this daemon is being stopped") }
        return client
    }

    private func configuration(
        _ authorityFile: String?, _ identity: ClientIdentity?
    ) throws(HTTPSError) -> HTTPClient.Configuration {
        var settings = HTTPClient.Configuration(redirectConfiguration: .disallow)
        settings.timeout.connect = .milliseconds(timeoutMilliseconds)
        settings.timeout.read = .milliseconds(timeoutMilliseconds)
        settings.httpVersion = .http1Only
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = connectionsMax
        // Shorter than servers keep an idle connection: a request on one that is just being closed is lost.
        settings.connectionPool.idleTimeout = .seconds(4)
        // The schedule of whoever asks tries again; a second try within one fetch only hides why the first one failed.
        settings.connectionPool.retryConnectionEstablishment = false
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        // Whoever answers without end would be read until its goodbye comes.
        tls.shutdownTimeout = .milliseconds(100)
        if let authorityFile {
            do {
                // Not by name: a pipe would hold up a thread that fetches for all issuers.
                let file = try Files.read(authorityFile, bytesMax: HTTPSClients.authorityBytesMax)
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(file.bytes))
            } catch {
                throw .notReachable("the certificate authorities `\(authorityFile)` cannot be read: \(error)")
            }
        }
        if let identity {
            tls.certificateChain = identity.chain.map { .certificate($0) }
            tls.privateKey = .privateKey(identity.key)
        }
        settings.tlsConfiguration = tls
        return settings
    }

    /// Shuts a client down once nothing can be under way in it any more.
    private func retire(_ client: HTTPClient) {
        Task.detached { [self] in
            try? await Task.sleep(nanoseconds: UInt64(clamping: timeoutMilliseconds) * 1_000_000)
            let isOurs = state.withLock { $0.retired.removeValue(forKey: ObjectIdentifier(client)) != nil }
            // Otherwise `stop` has it.
            if isOurs { try? await client.shutdown() }
        }
    }
}
