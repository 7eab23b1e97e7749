import Decision
import Kernel
import Octets
import Synchronization
import Testing

@testable import Server

/// An admin listener over a desk.
private final class AdminWorld: Sendable {
    let desk = try? DeskWorld()
    let revocations: RevocationDesk
    let socket: ListeningSocket
    private let listener: AdminListener
    private let thread: SystemThread

    init(tcp: Bool = false) throws {
        guard let desk else { throw CancellationError() }
        revocations = try desk.open()
        socket = try ListeningSocket.listen(
            on: tcp ? .tcp(host: "127.0.0.1", port: 0) : .unix(path: desk.folder.path + "/admin.sock"))
        let routes = AdminRoutes(
            status: { Array("{\"pid\":1}".utf8) }, statusText: { Array("text".utf8) }, isReady: { true },
            explain: { _, bytes, at in Array("{\"bytes\":\(bytes.count),\"at\":\(at ?? 0)}".utf8) },
            revocations: revocations, transactionKeys: { Array("{\"keys\":[]}".utf8) })
        listener = try AdminListener(
            socket: socket, peerUserIDs: [Accounts.ownUserID], routes: routes, log: desk.log.log)
        thread = try listener.start()
    }

    deinit {
        listener.requestStop()
        thread.join()
    }

    func ask(_ text: String) -> String { Conversation.exchange(text, with: socket.address) }
    func status(_ text: String) -> Int { Conversation.status(ask(text)) }

    static func post(_ body: String, _ fields: String = "") -> String {
        "POST /revocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\(fields)"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }
}

private let good = #"{"revocations":[{"kind":"subject","issuer":"https://hour","value":"al","reason":"left"}]}"#

@Suite struct AdminRevocationTests {
    @Test func revokesListsAndTakesBack() throws {
        let world = try AdminWorld()
        let made = world.ask(AdminWorld.post(good))
        #expect(made.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(made.contains(#""state":"revoked","term":"max_lifetime""#))
        #expect(made.contains("\"who\":\(Accounts.ownUserID)"))
        #expect(world.revocations.current.count == 1)
        let list = world.ask("GET /revocations?limit=5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        #expect(list.contains(#""value":"al""#))
        #expect(list.contains(#""total":1}"#))
        let id = try #require(try world.revocations.list(limit: 1).records.first).revocation.key
        let delete = "DELETE /revocations/\(id) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        #expect(world.status(delete) == 200)
        #expect(world.revocations.current.count == 0)
        #expect(world.status(delete) == 404)
    }

    @Test func theOtherRoutesAreAsTheyWere() throws {
        let world = try AdminWorld()
        let tail = " HTTP/1.1\r\nHost: localhost\r\n\r\n"
        #expect(world.status("GET /" + tail) == 200)
        #expect(world.ask("GET /status" + tail).hasSuffix("{\"pid\":1}"))
        #expect(world.ask("GET /status.txt" + tail).hasSuffix("text"))
        #expect(world.ask("GET /explain?at=7" + tail).contains("\"at\":7"))
        // Explaining a preflight states its origin as a fact.
        #expect(world.status("GET /explain HTTP/1.1\r\nHost: localhost\r\nOrigin: https://a\r\n\r\n") == 200)
        #expect(world.ask("GET /jwks.json" + tail).hasSuffix("{\"keys\":[]}"))
        #expect(world.status("GET /nothing" + tail) == 404)
        #expect(world.status("PUT /status HTTP/1.1\r\nHost: localhost\r\n\r\n") == 405)
    }

    static let attacks: [(Int, String)] = [
        // No length, so the body is a second request.
        (400, "POST /revocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n\(good)"),
        (400, AdminWorld.post(good, "Content-Length: \(good.utf8.count)\r\n")),
        (400, AdminWorld.post(good, "Content-Length: 0\r\n")), (400, AdminWorld.post(good, "content-length: 5\r\n")),
        (400, AdminWorld.post(good, "Transfer-Encoding: chunked\r\n")),
        (
            501,
            "POST /revocations HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
        ),
        (417, AdminWorld.post(good, "Expect: 100-continue\r\n")), (400, AdminWorld.post(good, "Host: other\r\n")),
        (400, AdminWorld.post(good, "A : b\r\n")), (400, AdminWorld.post(good, " folded: b\r\n")),
        (400, AdminWorld.post(good, "A: b\nContent-Length: 3\r\n")),
        (400, AdminWorld.post(good, "Content_Length: 3\r\n")),
        (403, AdminWorld.post(good, "Origin: https://evil.example\r\n")),
        (403, AdminWorld.post(good, "origin: null\r\n")),
        (415, AdminWorld.post(good).replacing("application/json", with: "text/plain")),
        (415, AdminWorld.post(good, "Content-Type: application/json\r\n")),
        (415, AdminWorld.post(good).replacing("Content-Type: application/json\r\n", with: "")),
        (400, AdminWorld.post(good) + "x"), (400, AdminWorld.post(good) + AdminWorld.post(good)),
        (413, "POST /revocations HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"),
        (413, "POST /revocations HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
        (400, "POST /revocations HTTP/1.1\r\nHost: a\r\nContent-Length: 05\r\n\r\nabcde"),
        (400, "POST /revocations HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde"),
        (400, "POST /revocations HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\nabcde"),
        (400, "POST /revocations HTTP/1.1\r\nHost: a\r\nContent-Length: 5,5\r\n\r\nabcde"),
        (405, "PUT /revocations HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"),
        (400, "GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"),
        (400, "GET /revocations HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"),
        (400, "DELETE /revocations/12 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (405, "DELETE /revocations HTTP/1.1\r\nHost: a\r\n\r\n"),
        (405, "POST /revocations/12 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /revocations?limit=0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /revocations?limit=1001 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /revocations?after=zz HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /revocations?issuer=0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]

    @Test(arguments: attacks)
    func attack(_ status: Int, _ request: String) throws {
        let world = try AdminWorld()
        #expect(world.status(request) == status)
        #expect(world.revocations.current.count == 0)
        // The listener goes on.
        #expect(world.status(AdminWorld.post(good)) == 200)
    }

    static let bodies: [String] = [
        "", "[]", "{}", #"{"revocations":{}}"#, #"{"revocations":[]}"#, #"{"revocations":[1]}"#,
        good.replacing("]}", with: "],\"x\":1}"), good.replacing("\"kind\"", with: "\"kind2\""),
        good.replacing("subject", with: "everything"), good.replacing("\"reason\"", with: "\"reasons\""),
        good.replacing("\"al\"", with: "7"), good.replacing("\"al\"", with: "\"\\u0000\""),
        good.replacing("\"al\"", with: "\"\""), good.replacing("\"reason\":\"left\"", with: "\"all\":false"),
        good.replacing("\"reason\":\"left\"", with: "\"all\":\"true\""),
        good.replacing("\"reason\":\"left\"", with: "\"until\":1.5"),
        good.replacing("\"reason\":\"left\"", with: "\"until\":1e99"),
        good.replacing("\"reason\":\"left\"", with: "\"until\":99999999999999999999"),
        good.replacing("\"reason\":\"left\"", with: "\"until\":-1"),
        good.replacing("\"reason\":\"left\"", with: "\"digest\":\"00\""),
        good.replacing("\"reason\":\"left\"", with: "\"value\":\"bo\""),
        #"{"revocations":[{"kind":"token","digest":"00"}]}"#, #"{"revocations":[{"kind":"token","token":"a.b.c"}]}"#,
        #"{"revocations":[{"kind":"token","digest":"\#(String(repeating: "g", count: 64))"}]}"#,
        good + good, good.replacing("left", with: String(repeating: "x", count: 257)),
        "{\"revocations\":[" + Array(repeating: "{}", count: 257).joined(separator: ",") + "]}",
        String(repeating: "[", count: 5_000),
    ]

    @Test(arguments: bodies)
    func refusedBodies(_ body: String) throws {
        let world = try AdminWorld()
        #expect(world.status(AdminWorld.post(body)) == 400)
        #expect(world.revocations.count == 0)
    }

    @Test func takesTheLongestBodyInSmallPieces() throws {
        let world = try AdminWorld()
        let space = String(repeating: " ", count: 65_536 - good.utf8.count)
        let request = Array(AdminWorld.post(good + space).utf8)
        let pieces = stride(from: 0, to: request.count, by: 1_000).map {
            Array(request[$0..<min($0 + 1_000, request.count)])
        }
        #expect(Conversation.status(Conversation.exchange(pieces, with: world.socket.address)) == 200)
        let small = Array(AdminWorld.post(good).utf8).map { [$0] }
        #expect(Conversation.status(Conversation.exchange(small, with: world.socket.address)) == 200)
        #expect(world.revocations.count == 1)
    }

    @Test func aSlowPeerHoldsUpNobodyAndIsRefused() throws {
        let world = try AdminWorld()
        var slow: [Int32] = []
        let partial = Array(AdminWorld.post(good).dropLast(5).utf8)
        for _ in 0..<10 {
            let peer = Conversation.connect(world.socket.address)
            _ = peer.send(partial.span)
            slow.append(peer.release())
        }
        let before = SystemClock.monotonicNanoseconds()
        #expect(world.status("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n") == 200)
        #expect(SystemClock.monotonicNanoseconds() - before < 10_000_000_000)
        for raw in slow {
            let peer = FileDescriptor(owning: raw)
            #expect(Conversation.status(Conversation.readAll(peer)) == 408)
        }
        #expect(world.revocations.count == 0)
    }

    @Test func overTCPOnlyForThisMachinesNames() throws {
        let world = try AdminWorld(tcp: true)
        guard case .tcp(_, let port) = world.socket.address else { return }
        for (host, status) in [
            ("localhost", 200), ("LOCALHOST:\(port)", 200), ("127.0.0.1:\(port)", 200), ("evil.example", 421),
            ("localhost.evil.example", 421), ("localhost:1", 421),
        ] {
            #expect(world.status("GET /status HTTP/1.1\r\nHost: \(host)\r\n\r\n") == status, "\(host)")
            #expect(world.status(AdminWorld.post(good).replacing("localhost", with: host)) == status)
        }
        #expect(world.status("GET /status HTTP/1.0\r\n\r\n") == 421)
    }
}
