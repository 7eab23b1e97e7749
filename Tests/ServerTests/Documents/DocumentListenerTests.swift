import Glibc
import Kernel
import Octets
import Testing

@testable import Server

private struct Broken: Error {}

/// A listener with one document.
private final class DocumentWorld: Sendable {
    let folder: Kernel.TemporaryFolder
    let socket: ListeningSocket
    private let listener: DocumentListener
    private let thread: SystemThread

    init() throws {
        folder = try Kernel.TemporaryFolder(prefix: "scopecheck-documents-")
        socket = try ListeningSocket.listen(on: .unix(path: folder.path + "/documents.sock"))
        let routes = DocumentRoutes(
            metadata: { host, path in
                if host == "broken.example.com" { throw Broken() }
                return host == "api.example.com" && path == "/.well-known/oauth-protected-resource/v1"
                    ? Array("{\"resource\":\"r\"}".utf8) : nil
            }, transactionKeys: { Array("{\"keys\":[]}".utf8) })
        listener = try DocumentListener(socket: socket, routes: routes, log: TestLog(folder.path + "/log").log)
        thread = try listener.start()
    }

    deinit {
        listener.requestStop()
        thread.join()
    }

    func ask(_ text: String) -> String { Conversation.exchange(text, with: socket.address) }
}

private let path = "/.well-known/oauth-protected-resource/v1"

@Suite struct DocumentListenerTests {
    @Test func gives() throws {
        let world = try DocumentWorld()
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: public, max-age=60\r\n"
            + "Access-Control-Allow-Origin: *\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 16\r\n"
            + "Connection: close\r\n\r\n"
        #expect(world.ask("GET \(path) HTTP/1.1\r\nHost: api.example.com\r\n\r\n") == head + "{\"resource\":\"r\"}")
        #expect(world.ask("HEAD \(path) HTTP/1.1\r\nHost: api.example.com\r\n\r\n") == head)
        for host in ["API.Example.COM", "api.example.com.", "api.example.com:8443"] {
            #expect(
                Conversation.status(world.ask("GET \(path)?x=1 HTTP/1.1\r\nHost: \(host)\r\nOrigin: https://a\r\n\r\n"))
                    == 200)
        }
        let keys = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: any\r\n\r\n"
        #expect(world.ask(keys).hasSuffix("{\"keys\":[]}"))
        #expect(Conversation.status(world.ask("GET /.well-known/jwks.json HTTP/1.0\r\n\r\n")) == 200)
    }

    static let refusals: [(Int, String)] = [
        (404, "GET \(path)/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n"),
        (404, "GET \(path) HTTP/1.1\r\nHost: other.example.com\r\n\r\n"), (404, "GET \(path) HTTP/1.0\r\n\r\n"),
        (404, "GET /.well-known/oauth%2Dprotected-resource/v1 HTTP/1.1\r\nHost: api.example.com\r\n\r\n"),
        (404, "GET /.well-known/oauth-protected-resourcev1 HTTP/1.1\r\nHost: api.example.com\r\n\r\n"),
        (404, "GET http://api.example.com\(path) HTTP/1.1\r\nHost: api.example.com\r\n\r\n"),
        (404, "GET \(path)\(String(repeating: "x", count: 500)) HTTP/1.1\r\nHost: api.example.com\r\n\r\n"),
        (404, "GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"),
        (404, "GET /revocations HTTP/1.1\r\nHost: api.example.com\r\n\r\n"),
        (404, "GET \(path) HTTP/1.1\r\nHost: api.example.com:x\r\n\r\n"),
        (405, "POST \(path) HTTP/1.1\r\nHost: api.example.com\r\n\r\n"),
        (405, "OPTIONS \(path) HTTP/1.1\r\nHost: api.example.com\r\n\r\n"),
        (405, "get \(path) HTTP/1.1\r\nHost: api.example.com\r\n\r\n"),
        (413, "GET \(path) HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 1\r\n\r\nx"),
        (501, "GET \(path) HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, "GET \(path) HTTP/1.1\r\nHost: api.example.com\r\nHost: b\r\n\r\n"),
        (400, "GET \(path) HTTP/1.1\r\n\r\n"), (400, "GET \(path) HTTP/1.1\nHost: a\n\n"), (400, "garbage\r\n\r\n"),
        (400, "GET \(path) HTTP/1.1\r\nHost: api.example.com\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (431, "GET \(path) HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 17_000))\r\n\r\n"),
        (414, "GET /\(String(repeating: "x", count: 17_000)) HTTP/1.1\r\nHost: a\r\n\r\n"),
        (503, "GET \(path) HTTP/1.1\r\nHost: broken.example.com\r\n\r\n"),
    ]

    @Test(arguments: refusals)
    func refuses(_ status: Int, _ request: String) throws {
        let world = try DocumentWorld()
        #expect(Conversation.status(world.ask(request)) == status)
    }

    @Test func slowPeersEndAndHoldUpNobody() throws {
        let world = try DocumentWorld()
        // More than there are places, so that the next one waits for a deadline at most.
        var slow: [Int32] = []
        for number in 0..<80 {
            let peer = Conversation.connect(world.socket.address)
            if number.isMultiple(of: 2) { _ = peer.send(Array("GET /".utf8).span) }
            slow.append(peer.release())
        }
        #expect(Conversation.status(world.ask("GET \(path) HTTP/1.1\r\nHost: api.example.com\r\n\r\n")) == 200)
        for (number, raw) in slow.enumerated() {
            let answer = Conversation.readAll(FileDescriptor(owning: raw))
            #expect(Conversation.status(answer) == (number.isMultiple(of: 2) ? 408 : 0))
        }
    }

    static let hostRows: [(String, String?)] = [
        ("a.example.com", "a.example.com"), ("A.", "a"), ("a:80", "a"), ("a:", nil), ("a:8x", nil), ("", nil),
        (".", "."),
        (":80", nil), ("[::1]", "[::1]"), ("[::1]:80", "[::1]"), ("[::1", nil), ("[]", nil), ("[::1]80", nil),
        ("[fe80-1]", nil), ("a,b", nil), ("a%41", nil), ("a b", nil), ("a@b", nil), ("x_y", "x_y"),
        (String(repeating: "a", count: 256), nil), ("a]", nil),
    ]

    @Test(arguments: hostRows)
    func hosts(_ text: String, _ expected: String?) {
        #expect(canonicalHost(text) == expected)
    }
}
