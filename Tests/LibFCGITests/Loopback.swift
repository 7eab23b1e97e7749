@testable import Decision
import Foundation
import Glibc
import LibFCGI
import Octets
import Testing

/// One engine on a thread of its own behind a unix socket in a folder of its own.
final class Loopback: Sendable {
    let path: String
    private let folder: String
    private let listening: Int32
    private let wake: Int32
    private let waker: Int32
    private let ended = DispatchSemaphore(value: 0)

    init(engines: Int = 1, admit: @escaping @Sendable (Int32) -> Bool = { _ in true }) throws {
        folder = NSTemporaryDirectory() + "libfcgi-" + String(UUID().uuidString.prefix(8))
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        path = folder + "/s"
        listening = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var ends: [Int32] = [-1, -1]
        // SAFETY: two descriptors are written into an array of two.
        let hasPipe = unsafe pipe(&ends) == 0
        (wake, waker) = (ends[0], ends[1])
        let (listening, wake, ended) = (listening, wake, ended)
        let bound = unsafe withAddress(path) { unsafe bind(listening, $0, $1) }
        try #require(bound == 0 && listen(listening, 64) == 0 && hasPipe)
        for _ in 0..<engines {
            Thread.detachNewThread {
                if var engine = try? LibFCGIEngine(
                    listenDescriptor: listening, wakeDescriptor: wake, profile: .scopecheck)
                {
                    _ = engine.run(admit: admit) { facts, bytes, answer in decide(facts, bytes, &answer) }
                }
                ended.signal()
            }
        }
    }

    /// Ends the engines, and fails the test when one does not end.
    func stop(engines: Int = 1) {
        // Its closing makes the other end readable.
        close(waker)
        for _ in 0..<engines { #expect(ended.wait(timeout: .now() + 20) == .success) }
        close(listening)
        close(wake)
        try? FileManager.default.removeItem(atPath: folder)  // a folder left behind harms nothing
    }

    /// Sends `bytes` in pieces and reads until the engine closes.
    /// - Returns: nil when it does not close within ten seconds.
    func exchange(_ bytes: [UInt8], size: Int = Int.max) -> [UInt8]? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        guard unsafe withAddress(path, { unsafe connect(descriptor, $0, $1) }) == 0 else { return nil }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        // SAFETY: the option's value is a local of the stated size.
        unsafe _ = setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(size))
            let sent = unsafe send(descriptor, piece, piece.count, Int32(MSG_NOSIGNAL))
            guard sent > 0 else { break }
            rest = rest.dropFirst(sent)
        }
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 8_192)
        while true {
            let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
            if count < 0 { return errno == ECONNRESET ? received : nil }
            if count == 0 { return received }
            received += chunk.prefix(count)
        }
    }
}

/// Calls `body` with the socket address of a path.
private func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    // SAFETY: the paths of this test are far shorter than sun_path, which starts zeroed.
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
    return unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}

/// A decision that shows in its answer every fact it was given, so that equal answers mean equal facts.
func decide(_ facts: RequestFacts, _ bytes: Span<UInt8>, _ answer: inout Answer) {
    answer.status = facts.conflict ? 403 : facts.authorizationCount == 1 ? 200 : 401
    answer.write(.decision) { $0.append(facts.conflict ? "conflict" : "none") }
    answer.write(.reason) { $0.append(decimal: UInt64(facts.authorizationCount)) }
    let shown: [(AnswerField, ByteRange)] = [
        (.route, facts.method), (.policy, facts.target), (.auditID, facts.requestID), (.subject, facts.host),
        (.client, facts.clientAddress), (.issuer, facts.scheme), (.granted, facts.port),
        (.challenge, facts.authorization),
    ]
    for (field, place) in shown {
        if place.isPresent {
            answer.writeEncoded(field, bytes.bytes(at: place))
        } else {
            answer.write(field) { $0.append("(absent)") }
        }
    }
}

extension Answer {
    /// Fills one field by appending to the text.
    mutating func write(_ field: AnswerField, _ body: (inout ByteWriter) -> Void) {
        let start = text.count
        body(&text)
        close(field, from: start)
    }
}
