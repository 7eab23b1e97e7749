internal import Kernel
internal import PolicyTables

/// The thread that answers with public documents: metadata of protected resources (RFC 9728 §3) and the keys of
/// transaction tokens. Everybody may read them; a browser from any page too.
final class DocumentListener: SideListener {
    /// One document is one small read; who takes longer is not served.
    static let requestMillisecondsMax: Int64 = 500

    private let listener: PlainHTTPListener

    init(socket: ListeningSocket, routes: DocumentRoutes, log: EventLog) throws(SystemError) {
        var limits = PlainLimits()
        limits.headBytesMax = 16_384
        let settings = PlainHTTPListener.Settings(
            name: "documents", limits: limits, exchangeMilliseconds: DocumentListener.requestMillisecondsMax,
            connectionsMax: 64)
        listener = try PlainHTTPListener(socket: socket, settings, log: log) { routes.answer($0) }
    }

    func start() throws(SystemError) -> SystemThread { try listener.start() }

    func requestStop() { listener.requestStop() }
}

/// The documents that there are.
struct DocumentRoutes: Sendable {
    static let metadataPath = MetadataPlace.wellKnownPath
    static let keysPath = "/.well-known/jwks.json"
    /// Longer ones are no host and path of a policy.
    static let pathBytesMax = 400

    /// The metadata at a canonical host and a path of the version in force; nil where it publishes none there.
    var metadata: @Sendable (_ host: String, _ path: String) throws -> [UInt8]?
    /// The public keys of transaction tokens; nil where none are made.
    var transactionKeys: (@Sendable () -> [UInt8])?

    func answer(_ request: PlainRequest) -> PlainAnswer {
        guard request.method == "GET" || request.method == "HEAD" else {
            var answer = PlainAnswer.failure(405, "only GET and HEAD are known here")
            answer.fields.append("Allow: GET, HEAD")
            return answer
        }
        // What the path means is compared byte by byte: nothing is decoded, no other spelling leads here.
        let path = request.path
        guard path.utf8.count <= DocumentRoutes.pathBytesMax else { return missing }
        if path == DocumentRoutes.keysPath {
            guard let transactionKeys else { return missing }
            return document(transactionKeys())
        }
        guard path == DocumentRoutes.metadataPath || path.hasPrefix(DocumentRoutes.metadataPath + "/"),
            let host = request.host.flatMap({ canonicalHost($0) })
        else { return missing }
        do {
            guard let text = try metadata(host, path) else { return missing }
            return document(text)
        } catch {
            // The log of the store's owner has the cause; the public needs none.
            return .failure(503, "the document cannot be read at the moment")
        }
    }

    private var missing: PlainAnswer {
        var answer = PlainAnswer.failure(404, "there is no such document")
        // A policy to come may have it.
        answer.fields.append("Access-Control-Allow-Origin: *")
        return answer
    }

    private func document(_ text: [UInt8]) -> PlainAnswer {
        var answer = PlainAnswer(200, text)
        answer.fields = [
            "Cache-Control: public, max-age=60", "Access-Control-Allow-Origin: *", "X-Content-Type-Options: nosniff",
        ]
        return answer
    }
}

/// A Host field as policies spell hosts: lower case, no port, no dot at the end (RFC 9110 §7.2); nil when it is none.
func canonicalHost(_ text: String) -> String? {
    let bytes = Array(text.utf8)
    guard (1...261).contains(bytes.count) else { return nil }
    var name = bytes
    if bytes[0] == 0x5B {
        guard let end = bytes.firstIndex(of: 0x5D), end > 1 else { return nil }
        name = Array(bytes[...end])
        guard isPort(bytes[(end + 1)...]) else { return nil }
    } else if let colon = bytes.firstIndex(of: 0x3A) {
        name = Array(bytes[..<colon])
        guard isPort(bytes[colon...]) else { return nil }
    }
    if name.count > 1, name.last == 0x2E { name.removeLast() }
    guard !name.isEmpty, name.count <= 255 else { return nil }
    let isAddress = bytes[0] == 0x5B
    for (index, byte) in name.enumerated() {
        switch byte {
        case 0x30...0x39, 0x2E: break
        case 0x41...0x5A: name[index] = byte | 0x20
        case 0x61...0x7A: break
        case 0x2D, 0x5F: guard !isAddress else { return nil }
        case 0x3A, 0x5B, 0x5D: guard isAddress else { return nil }
        default: return nil
        }
    }
    return String(decoding: name, as: UTF8.self)
}

/// Nothing, or `:` and a port.
private func isPort(_ text: ArraySlice<UInt8>) -> Bool {
    guard let first = text.first else { return true }
    let digits = text.dropFirst()
    return first == 0x3A && (1...5).contains(digits.count) && digits.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
}
