import Kernel
import Octets
import PolicyTables
import Synchronization
import Testing

@testable import Server

/// A listener for publications, over a desk whose judge does as the test says.
private final class ListenerWorld: Sendable {
    let publishing: PublicationWorld
    let socket: ListeningSocket
    private let folder: Kernel.TemporaryFolder
    private let listener: PublicationListener
    private let thread: SystemThread

    init(peers: [UInt32]? = nil, pause: Int64 = 0) throws {
        publishing = try PublicationWorld()
        folder = try Kernel.TemporaryFolder(prefix: "scopecheck-publications-")
        socket = try ListeningSocket.listen(on: .unix(path: folder.path + "/publications.sock"))
        listener = try PublicationListener(
            socket: socket, peerUserIDs: peers,
            publications: PublicationUploads(publishing.desk, pauseAfterRefusalMilliseconds: pause),
            log: TestLog(folder.path + "/log").log)
        thread = try listener.start()
    }

    deinit {
        listener.requestStop()
        thread.join()
    }

    func ask(_ text: String) -> String { Conversation.exchange(text, with: socket.address) }
    func status(_ text: String) -> Int { Conversation.status(ask(text)) }

    /// - Returns: a connection whose body does not come.
    func stall(bytes: Int = 1_000) -> FileDescriptor {
        let peer = Conversation.connect(socket.address)
        _ = peer.send(Array(ListenerWorld.head(bytes).utf8).span)
        return peer
    }

    static func head(_ bytes: Int, _ fields: String = "") -> String {
        "POST /policy/publications HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n\(fields)"
            + "Content-Length: \(bytes)\r\n\r\n"
    }

    static func post(_ body: String, _ path: String = "/policy/publications", _ fields: String = "") -> String {
        head(body.utf8.count, fields).replacing("/policy/publications", with: path) + body
    }

    func publication(_ serial: UInt64) throws -> String {
        ListenerWorld.post("{}\n" + String(decoding: try publishing.publication(serial), as: UTF8.self))
    }
}

private let bare = " HTTP/1.1\r\nHost: localhost\r\n\r\n"
private let decision = "{\"id\":\"12345678\",\"note\":\"\"}"

@Suite struct PublicationListenerTests {
    @Test func takesPublications() throws {
        let world = try ListenerWorld()
        let answer = world.ask(try world.publication(1))
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.contains("\"state\":\"active\""))
        #expect(Conversation.status(world.ask(try world.publication(1))) == 403, "the same again")
        let text = String(decoding: try world.publishing.withdrawal(2), as: UTF8.self)
        #expect(world.ask(ListenerWorld.post("{}\n" + text)).contains("\"state\":\"withdrawn\""))
        world.publishing.verdict.withLock { $0 = .widens }
        #expect(world.ask(try world.publication(3)).hasPrefix("HTTP/1.1 202 "))
        // Head and body in pieces, as they may come.
        world.publishing.verdict.withLock { $0 = .tightens }
        let bytes = Array(try world.publication(4).utf8)
        let pieces = stride(from: 0, to: bytes.count, by: 37).map { Array(bytes[$0..<min($0 + 37, bytes.count)]) }
        #expect(Conversation.status(Conversation.exchange(pieces, with: world.socket.address)) == 200)
    }

    /// What the admin listener answers, and how its path may be spelled.
    static let others =
        [
            "GET /", "GET /status", "GET /status.txt", "GET /explain", "GET /revocations", "GET /jwks.json",
            "GET /policy/log", "GET /policy/proposals", "GET /policy/shadow", "GET /policy/versions", "HEAD /status",
            "POST /policy/proposals/approve", "POST /revocations", "DELETE /revocations/12", "OPTIONS *",
        ].map { $0 + bare }
        + [
            "/policy/proposals/approve", "/policy/proposals/reject", "/policy/versions", "/policy/rollback",
            "/revocations", "/policy/publications/", "//policy/publications", "/policy/./publications",
            "/policy/publications?a=1", "/policy/publications%20", "/policy/%70ublications", "/Policy/publications",
            "http://localhost/policy/publications", "/policy/proposals/../publications",
            "/policy/publications/../proposals/approve",
        ].map { ListenerWorld.post(decision, $0) }

    @Test(arguments: others)
    func refusesAllElse(_ request: String) throws {
        let world = try ListenerWorld()
        let answer = world.ask(request)
        let status = Conversation.status(answer)
        #expect(status == 404 || request.hasPrefix("OPTIONS") && status == 400, "\(answer)")
        #expect(status != 404 || answer.contains("takes publications only") || request.hasPrefix("HEAD"))
        #expect(world.publishing.judged.withLock { $0 } == 0)
    }

    static let attacks: [(Int, String)] = [
        (405, "GET /policy/publications" + bare), (405, "PUT /policy/publications" + bare),
        (411, "POST /policy/publications" + bare),
        (413, "PUT /policy/publications HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"),
        (403, ListenerWorld.post("{}\nx", "/policy/publications", "Origin: https://evil.example\r\n")),
        (415, ListenerWorld.post("{}\nx").replacing("octet-stream", with: "json")),
        (415, ListenerWorld.post("{}\nx", "/policy/publications", "Content-Type: text/plain\r\n")),
        (413, ListenerWorld.head(PublicationRequests.bodyBytesMax + 1)),
        (413, ListenerWorld.head(PolicyUploads.bodyBytesMax + 1)), (413, ListenerWorld.head(99_999_999_999)),
        (400, ListenerWorld.post("{}\nx", "/policy/publications", "Content-Length: 4\r\n")),
        (400, ListenerWorld.post("{}\nx", "/policy/publications", "Content-Length: 0\r\n")),
        (400, ListenerWorld.post("{}\nx", "/policy/publications", "Transfer-Encoding: chunked\r\n")),
        (417, ListenerWorld.post("{}\nx", "/policy/publications", "Expect: 100-continue\r\n")),
        (400, ListenerWorld.post("{}\nx", "/policy/publications", " folded: b\r\n")),
        (400, ListenerWorld.post("{}\nx") + "x"), (400, ListenerWorld.post("{}\nx") + "GET /status" + bare),
        (400, ListenerWorld.post("x")), (400, ListenerWorld.post("{}\n")),
        (400, ListenerWorld.post("{\"id\":\"x\"}\nx")),
        (400, "garbage\r\n\r\n"), (400, "\0\0\0\0\r\n\r\n"),
        (431, "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 17_000))\r\n\r\n"),
        (414, "GET /\(String(repeating: "x", count: 17_000)) HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]

    @Test(arguments: attacks)
    func attack(_ status: Int, _ request: String) throws {
        let world = try ListenerWorld()
        let answer = world.ask(request)
        #expect(Conversation.status(answer) == status, "\(answer)")
        #expect(world.publishing.judged.withLock { $0 } == 0)
        #expect(world.status(try world.publication(1)) == 200, "it goes on")
    }

    @Test func peers() throws {
        let own = try ListenerWorld(peers: [Accounts.ownUserID])
        #expect(own.status(try own.publication(1)) == 200)
        let others = try ListenerWorld(peers: [Accounts.ownUserID ^ 1])
        #expect(others.ask(try others.publication(1)).isEmpty)
        #expect(others.publishing.judged.withLock { $0 } == 0)
    }

    /// Who delivers slowly keeps its place, the others are told, and the commands' turns are others.
    @Test func stalledBodies() throws {
        let world = try ListenerWorld()
        var stalled: [Int32] = []
        for _ in 1..<PublicationUploads.waitingMax { stalled.append(world.stall().release()) }
        // The thread may come to a later request before it has read all of theirs, and those before may have ended.
        var answer = ""
        for serial: UInt64 in 1...100 where !answer.contains("too many") {
            stalled.append(world.stall().release())
            answer = world.ask(try world.publication(serial))
        }
        #expect(answer.contains("too many publications are being judged"))
        let proposal = try world.publishing.record("orders", 1_000)
        #expect(try world.publishing.store.propose(proposal) == .kept)
        let commands = PublicationRequests(desk: world.publishing.desk)
        var request = PlainRequest(method: "POST", target: PublicationRequests.rejectPath)
        request.userID = 0
        let body = Array("{\"id\":\"\(proposal.identifier)\",\"note\":\"\"}".utf8)
        #expect(commands.answer(request, body: body).status == 200)
        for raw in stalled {
            #expect([408, 503].contains(Conversation.status(Conversation.readAll(FileDescriptor(owning: raw)))))
        }
        #expect(world.status(try world.publication(2_000)) == 200)
    }

    /// Refusals cost a pause, which a good publication behind them waits for and comes through.
    @Test func refusalsArePaced() throws {
        let world = try ListenerWorld(pause: 50)
        let startedAt = SystemClock.monotonicNanoseconds()
        for _ in 0..<4 { #expect(world.status(ListenerWorld.post("{}\nx")) == 400) }
        #expect(world.status(try world.publication(1)) == 200)
        #expect(SystemClock.monotonicNanoseconds() - startedAt >= 200_000_000)
    }
}
