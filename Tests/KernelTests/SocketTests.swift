import Glibc
import Octets
import Testing

@testable import Kernel

@Suite struct SocketTests {
    let folder = TemporaryFolder()

    @Test(arguments: [UInt32(0o600), 0o660, 0o666])
    func modeIsSetWhateverTheUmask(_ mode: UInt32) throws {
        let path = folder.file("a.sock")
        let socket = try ListeningSocket.listen(
            on: .unix(path: path), permissions: SocketFilePermissions(mode: mode))
        #expect(permissions(path) == mode)
        socket.close()
        #expect(status(path) == nil)
    }

    @Test(.enabled(if: geteuid() == 0)) func ownerAndGroup() throws {
        let path = folder.file("a.sock")
        let wanted = SocketFilePermissions(mode: 0o640, ownerID: 12345, groupID: 54321)
        let socket = try ListeningSocket.listen(on: .unix(path: path), permissions: wanted)
        #expect(status(path)?.st_uid == 12345)
        #expect(status(path)?.st_gid == 54321)
        #expect(permissions(path) == 0o640)
        socket.close()
    }

    @Test func staleFileIsReplaced() throws {
        let path = folder.file("a.sock")
        leaveStaleSocket(path)
        let before = try #require(status(path)).st_ino
        let socket = try ListeningSocket.listen(on: .unix(path: path))
        let client = FileDescriptor(owning: try connect(socket))
        #expect(waitUntilReadable(socket.raw))
        _ = before
        _ = consume client
        socket.close()
    }

    @Test func liveSocketIsRefusedAndLeftAlone() throws {
        let path = folder.file("a.sock")
        let first = try ListeningSocket.listen(on: .unix(path: path))
        #expect { try ListeningSocket.listen(on: .unix(path: path)) } throws: { error in
            guard let error = error as? SystemError else { return false }
            return error.code == EADDRINUSE && error.description.contains("another process already serves")
        }
        _ = FileDescriptor(owning: try connect(first))
        #expect(status(path) != nil)
        first.close()
    }

    @Test func otherFilesAreNeverReplaced() throws {
        folder.write("file", "precious")
        #expect(throws: SystemError.self) { try ListeningSocket.listen(on: .unix(path: folder.file("file"))) }
        #expect(text(try Files.read(folder.file("file"), bytesMax: 100).bytes) == "precious")
        // A symbolic link to a socket is no socket either.
        leaveStaleSocket(folder.file("target.sock"))
        // SAFETY: the strings live for the call.
        unsafe _ = symlink("target.sock", folder.file("link"))
        #expect(throws: SystemError.self) { try ListeningSocket.listen(on: .unix(path: folder.file("link"))) }
        #expect(status(folder.file("target.sock")) != nil)
    }

    @Test func closeRemovesOnlyItsOwnFile() throws {
        let path = folder.file("a.sock")
        let first = try ListeningSocket.listen(on: .unix(path: path))
        // SAFETY: the string lives for the call.
        unsafe _ = unlink(path)
        let second = try ListeningSocket.listen(on: .unix(path: path))
        first.close()
        #expect(status(path) != nil)
        second.close()
        second.close()
        #expect(status(path) == nil)
    }

    @Test func missingFolderSaysWhatToDo() {
        #expect { try ListeningSocket.listen(on: .unix(path: folder.file("none/a.sock"))) } throws: { error in
            "\(error)".contains("none/a.sock")
                && "\(error)".contains("the folder `\(folder.file("none"))` is not there; make it, owned by this user")
        }
    }

    @Test(arguments: ["127.0.0.1", "::1"]) func tcpChoosesAPort(_ host: String) throws {
        let socket = try ListeningSocket.listen(on: .tcp(host: host, port: 0))
        guard case .tcp(let bound, let port) = socket.address else {
            Issue.record("no TCP address")
            return
        }
        #expect(bound == host)
        #expect(port != 0)
        #expect(throws: SystemError.self) { try ListeningSocket.listen(on: socket.address) }
    }

    @Test func exchangeAndOutcomes() throws {
        let listener = try ListeningSocket.listen(on: .unix(path: folder.file("a.sock")))
        guard case .wouldBlock = listener.accept() else {
            Issue.record("nobody connected yet")
            return
        }
        let client = FileDescriptor(owning: try connect(listener))
        guard case .connection(let server) = listener.accept() else {
            Issue.record("a connection is waiting")
            return
        }
        var buffer = ReceiveBuffer(capacity: 4)
        #expect(server.receive(into: &buffer) == .wouldBlock)
        #expect(client.send([1, 2, 3, 4, 5, 6].span) == .sent(6))
        #expect(server.receive(into: &buffer) == .bytes(4))
        #expect([UInt8](copying: buffer.bytes) == [1, 2, 3, 4])
        #expect(server.receive(into: &buffer) == .bufferFull)
        buffer.removeAll()
        #expect(server.receive(into: &buffer) == .bytes(2))
        client.shutDownSending()
        #expect(server.receive(into: &buffer) == .closed)

        let credentials = server.peerCredentials()
        #expect(credentials == PeerCredentials(processID: getpid(), userID: geteuid(), groupID: getegid()))

        _ = consume client
        #expect(server.send([1].span) == .closed)
    }

    @Test func sendStopsWhenThePeerDoesNotRead() throws {
        let listener = try ListeningSocket.listen(on: .unix(path: folder.file("a.sock")))
        let client = FileDescriptor(owning: try connect(listener))
        let chunk = [UInt8](repeating: 7, count: 65536)
        var outcome = SendOutcome.sent(0)
        for _ in 0..<10_000 {
            outcome = client.send(chunk.span)
            if outcome == .wouldBlock { break }
        }
        #expect(outcome == .wouldBlock)
    }

    @Test func tcpHasNoPeerCredentials() throws {
        let listener = try ListeningSocket.listen(on: .tcp(host: "127.0.0.1", port: 0))
        let client = FileDescriptor(owning: try connect(listener))
        #expect(waitUntilReadable(listener.raw))
        guard case .connection(let server) = listener.accept() else {
            Issue.record("a connection is waiting")
            return
        }
        server.disableDelay()
        #expect(server.peerCredentials() == nil)
        _ = consume client
    }

    @Test func acceptedDescriptorsDoNotBlockAndCloseOnExec() throws {
        let listener = try ListeningSocket.listen(on: .unix(path: folder.file("a.sock")))
        let client = FileDescriptor(owning: try connect(listener))
        guard case .connection(let server) = listener.accept() else {
            Issue.record("a connection is waiting")
            return
        }
        for raw in [listener.raw, client.raw, server.raw] {
            #expect(fcntl(raw, F_GETFL) & O_NONBLOCK != 0)
            #expect(fcntl(raw, F_GETFD) & FD_CLOEXEC != 0)
        }
    }

    @Test(arguments: [
        (EAGAIN, AcceptFailure.wouldBlock), (EMFILE, .exhausted), (ENFILE, .exhausted), (ENOMEM, .exhausted),
        (ENOBUFS, .exhausted), (ECONNABORTED, .transient), (EPROTO, .transient), (EPERM, .transient),
        (ENETDOWN, .transient), (EHOSTUNREACH, .transient),
    ])
    func acceptFailures(_ code: Int32, _ expected: AcceptFailure) {
        #expect(AcceptFailure(code: code) == expected)
    }

    /// A socket file whose socket is closed.
    private func leaveStaleSocket(_ path: String) {
        let raw = socket(AF_UNIX, streamType, 0)
        guard var address = try? SocketAddress(.unix(path: path)) else { return }
        // SAFETY: the pointers live for the call.
        _ = unsafe address.withPointer { unsafe bind(raw, $0, $1.pointee) }
        _ = Glibc.close(raw)
    }
}
