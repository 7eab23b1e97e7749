import Glibc
import Octets
import Synchronization
import Testing

@testable import Kernel

/// Answers each connection with the next of some fixed byte strings, after it has received something.
private final class CannedServer: Sendable {
    let listener: ListeningSocket
    let received = Mutex<[[UInt8]]>([])
    private let answers: [[UInt8]?]
    private let thread = Mutex<SystemThread?>(nil)

    /// - Parameter answers: nil keeps the connection open and silent until the peer closes it.
    init(_ answers: [[UInt8]?], at address: ListenAddress) throws {
        self.answers = answers
        listener = try ListeningSocket.listen(on: address)
        let thread = try SystemThread.start(name: "canned", context: self) { $0.serve() }
        self.thread.withLock { $0 = thread }
    }

    func join() { thread.withLock { $0 }?.join() }

    private func serve() {
        for answer in answers {
            guard waitUntilReadable(listener.raw), case .connection(let peer) = listener.accept() else {
                return
            }
            var buffer = ReceiveBuffer(capacity: 65536)
            guard waitUntilReadable(peer.raw) else { return }
            _ = peer.receive(into: &buffer)
            received.withLock { $0.append([UInt8](copying: buffer.bytes)) }
            if let answer {
                _ = peer.send(answer.span)
            } else {
                _ = waitUntilReadable(peer.raw, milliseconds: 10_000)
            }
        }
    }
}

@Suite struct LocalHTTPTests {
    let folder = TemporaryFolder()

    private func exchange(
        _ answer: String?, body: [UInt8] = [], deadline: Int64 = 10_000, bytesMax: Int = 1000
    ) throws -> (Result<LocalResponse, LocalHTTPError>, request: String) {
        let address = ListenAddress.unix(path: folder.file("\(UInt32.random(in: .min ... .max)).sock"))
        let server = try CannedServer([answer.map { Array($0.utf8) }], at: address)
        let result = Result { () throws(LocalHTTPError) in
            try LocalHTTP.request(
                body.isEmpty ? "GET" : "POST", "/v1/x", at: address, body: body,
                contentType: body.isEmpty ? nil : "text/plain", deadlineMilliseconds: deadline,
                responseBytesMax: bytesMax)
        }
        server.join()
        return (result, text(server.received.withLock { $0.first ?? [] }))
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 404\r\nContent-Length: 0\r\n\r\nrest", 404, ""),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 200,
            "abcde"
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length:  2 \r\n\r\nab", 200, "ab"),
    ])
    func answers(_ answer: String, _ status: Int, _ body: String) throws {
        let (result, request) = try exchange(answer)
        #expect(result == .success(LocalResponse(status: status, body: Array(body.utf8))))
        #expect(request == "GET /v1/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    }

    @Test(arguments: [
        "", "hello\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n0\r\n\r\n",
    ])
    func refusals(_ answer: String) throws {
        let (result, _) = try exchange(answer)
        guard case .failure(.badResponse) = result else {
            Issue.record("\(result)")
            return
        }
    }

    @Test func sendsABody() throws {
        let (result, request) = try exchange(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", body: Array("hello".utf8))
        #expect(result == .success(LocalResponse(status: 200, body: [])))
        #expect(request.hasPrefix("POST /v1/x HTTP/1.1\r\n"))
        #expect(request.contains("\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"))
    }

    @Test func limits() throws {
        let long = "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + String(repeating: "x", count: 1001)
        let (result, _) = try exchange(long)
        guard case .failure(.tooLarge) = result else {
            Issue.record("\(result)")
            return
        }
        let (silent, _) = try exchange(nil, deadline: 200)
        guard case .failure(.system(let error)) = silent else {
            Issue.record("\(silent)")
            return
        }
        #expect(error.code == ETIMEDOUT)
    }

    @Test func nobodyListens() {
        let address = ListenAddress.unix(path: folder.file("none.sock"))
        #expect(throws: LocalHTTPError.self) { try LocalHTTP.request("GET", "/", at: address) }
        #expect(throws: SystemError.self) { try HealthProbe.probe(address) }
    }

    static let fastCGI: [UInt8] = {
        let head = Array("Status: 403 Forbidden\r\nX-Scope-Decision: deny\r\n\r\n".utf8)
        return [1, 6, 0, 1, 0, UInt8(head.count), 3, 0] + head + [0, 0, 0] + [1, 3, 0, 1, 0, 8, 0, 0]
            + [0, 0, 0, 0, 0, 0, 0, 0]
    }()

    @Test(arguments: [
        ([Array("HTTP/1.1 403 Forbidden\r\nX-Scope-Decision: deny\r\nContent-Length: 0\r\n\r\n".utf8)], 403),
        ([Array("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}".utf8)], 503),
        ([Array("HTTP/1.1 200 OK\r\nServer: another\r\n\r\n".utf8), [], []], nil),
        ([[], fastCGI], 403),
        ([[], [], []], nil),
        ([[], [], [0, 0, 0, 7, 101, 0, 0, 0, 1, 0, 0]], 200),
        ([[], [], [0, 0, 0, 7, 102, 0, 0, 0, 1, 0, 0]], 503),
        ([[], [], [0, 0, 0, 7, 103, 0, 0, 0, 1, 0, 0]], nil),
        ([[], [], [0, 0, 0, 8, 101, 0, 0, 0, 1, 0, 0]], nil),
        ([Array("garbage".utf8), fastCGI], 403),
    ])
    func probe(_ answers: [[UInt8]], _ expected: Int?) throws {
        let server = try CannedServer(answers, at: .tcp(host: "127.0.0.1", port: 0))
        let isForeign = String(decoding: answers[0], as: UTF8.self).contains("another")
        #expect(
            try HealthProbe.probe(server.listener.address)
                == expected.map { .answered(status: $0) } ?? (isForeign ? .foreign(httpStatus: 200) : .silent))
        server.join()
        let requests = server.received.withLock { $0 }
        #expect(requests.first.map(text) == HealthProbe.httpRequest)
        if answers.count == 2 { #expect(requests.last == HealthProbe.fastCGIRequest) }
        if answers.count == 3 {
            #expect(requests.last == HealthProbe.spopHello)
            #expect(Int(HealthProbe.spopHello[3]) == HealthProbe.spopHello.count - 4)
        }
    }

    @Test(arguments: [
        ([UInt8](), nil), ([1, 6, 0, 1], nil), ([2, 6, 0, 1, 0, 0, 0, 0], nil),
        (Array(fastCGI.prefix(20)), nil), (fastCGI, 403),
        ([1, 6, 0, 1, 0, 8, 0, 0] + Array("A: b\r\n\r\n".utf8), 200),
    ])
    func fastCGIAnswers(_ bytes: [UInt8], _ expected: Int?) {
        #expect(HealthProbe.fastCGIStatus(bytes) == expected)
    }
}
