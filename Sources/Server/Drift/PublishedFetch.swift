internal import Kernel
internal import Synchronization

/// Fetches what a service publishes of itself: https only, no redirects, a bounded answer, one deadline for all of it.
public final class PublishedFetch: Sendable {
    /// Longest answer, bytes.
    public static let bytesMax = 8 << 20
    /// For the whole exchange, milliseconds.
    public static let timeoutMilliseconds: Int64 = 10_000

    private let clients = HTTPSClients(timeoutMilliseconds: PublishedFetch.timeoutMilliseconds, connectionsMax: 1)
    private let authorityFile: String?

    /// - Parameter authorityFile: PEM file of private certificate authorities; nil takes the system's.
    public init(authorityFile: String? = nil) {
        self.authorityFile = authorityFile
    }

    /// Ends exchanges that are under way. Must be called before this object goes.
    public func stop() { clients.stop() }

    /// - Throws: why there is no document, for people.
    public func document(_ url: String) async throws(PublishedFetchError) -> [UInt8] {
        let request = HTTPSRequest(
            url: url, issuer: url, headers: [("accept", "application/json, application/yaml, */*;q=0.5")],
            replyBytesMax: PublishedFetch.bytesMax, timeoutMilliseconds: PublishedFetch.timeoutMilliseconds)
        let reply: HTTPSReply
        do throws(HTTPSError) {
            reply = try await clients.exchange(request, authorityFile: authorityFile)
        } catch {
            switch error {
            case .notSecure: throw PublishedFetchError(message: "`\(url)` is not fetched: over https only")
            case .notReachable, .tooLarge: throw PublishedFetchError(message: "\(error)")
            }
        }
        guard reply.status == 200 else {
            throw PublishedFetchError(
                message: "`\(url)` answered \(reply.status); redirects are not followed: name the document itself")
        }
        return reply.body
    }

    /// The same for a caller that waits, on a thread that serves nobody.
    public func documentNow(_ url: String) throws(PublishedFetchError) -> [UInt8] {
        let slot = FetchSlot()
        Task.detached { [self] in
            do throws(PublishedFetchError) {
                slot.put(.success(try await document(url)))
            } catch {
                slot.put(.failure(error))
            }
        }
        return try slot.take().get()
    }
}

public struct PublishedFetchError: Error, Sendable, CustomStringConvertible {
    public let message: String
    public var description: String { message }
}

/// A result that another thread waits for.
private final class FetchSlot: Sendable {
    private let result = Mutex<Result<[UInt8], PublishedFetchError>?>(nil)

    func put(_ value: Result<[UInt8], PublishedFetchError>) { result.withLock { $0 = value } }

    func take() -> Result<[UInt8], PublishedFetchError> {
        while true {
            if let value = result.withLock({ $0 }) { return value }
            sleepMilliseconds(5)
        }
    }
}
