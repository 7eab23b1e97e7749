import Glibc
import Testing

@testable import Kernel

/// Descriptors are process-wide numbers, so these tests run one after the other and use numbers nobody has.
@Suite(.serialized) struct InheritanceTests {
    let folder = TemporaryFolder()

    /// Puts copies of `sockets` at 700, 701, … as a service manager would.
    private func inherit(
        _ sockets: [ListeningSocket], names: String?, pid: String = "\(getpid())"
    ) throws(SystemError) -> InheritedSockets {
        for (index, socket) in sockets.enumerated() { _ = dup2(socket.raw, 700 + Int32(index)) }
        let values = ["LISTEN_PID": pid, "LISTEN_FDS": "\(sockets.count)", "LISTEN_FDNAMES": names]
        return try InheritedSockets(first: 700) { values[$0] ?? nil }
    }

    @Test func byNameAndByAddress() throws {
        let path = folder.file("a.sock")
        let unix = try ListeningSocket.listen(on: .unix(path: path))
        let tcp = try ListeningSocket.listen(on: .tcp(host: "127.0.0.1", port: 0))
        let other = try ListeningSocket.listen(on: .tcp(host: "::1", port: 0))
        var inherited = try inherit([unix, tcp, other], names: "fastcgi:http:admin")
        let byName = inherited.take(named: "admin")
        #expect(byName.map(\.address) == [other.address])
        #expect(inherited.take(named: "admin").isEmpty)
        guard case .tcp(_, let port) = tcp.address else { return }
        let byAddress = inherited.take(address: .tcp(host: "localhost", port: port))
        #expect(byAddress?.address == tcp.address)
        #expect(byAddress?.isInherited == true)
        #expect(inherited.take(address: tcp.address) == nil)
        #expect(inherited.untaken.map(\.name) == ["fastcgi"])

        let last = inherited.take(address: .unix(path: path))
        let taken = try #require(last)
        #expect(fcntl(taken.raw, F_GETFD) & FD_CLOEXEC != 0)
        #expect(fcntl(taken.raw, F_GETFL) & O_NONBLOCK != 0)
        taken.close()
        #expect(status(path) != nil, "an inherited socket's file is not ours")
    }

    @Test(arguments: ["1", "", "x"]) func meantForAnotherProcess(_ pid: String) throws {
        var inherited = try inherit([], names: nil, pid: pid)
        #expect(inherited.take(named: "").isEmpty)
    }

    @Test func unnamed() throws {
        let tcp = try ListeningSocket.listen(on: .tcp(host: "127.0.0.1", port: 0))
        var inherited = try inherit([tcp], names: nil)
        #expect(inherited.take(address: tcp.address)?.isInherited == true)
    }

    @Test func whatIsNoListenerIsRefused() throws {
        let raw = socket(AF_UNIX, streamType, 0)
        _ = dup2(raw, 700)
        _ = Glibc.close(raw)
        let values = ["LISTEN_PID": "\(getpid())", "LISTEN_FDS": "1"]
        // `#expect(throws:)` cannot hold a noncopyable result.
        var message = ""
        do { _ = try InheritedSockets(first: 700) { values[$0] } } catch { message = "\(error)" }
        #expect(message.contains("no listening stream socket"))
    }

    @Test func notifications() throws {
        let path = folder.file("notify")
        let raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        let receiver = FileDescriptor(owning: raw)
        var address = try SocketAddress(.unix(path: path))
        // SAFETY: the pointers live for the call.
        _ = unsafe address.withPointer { unsafe bind(raw, $0, $1.pointee) }
        let values = ["NOTIFY_SOCKET": path, "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "\(getpid())"]
        let manager = ServiceManager { values[$0] }
        #expect(manager.watchdogMicroseconds == 5_000_000)
        manager.ready(status: "serving\nFAKE=1")
        #expect(datagram(raw) == "READY=1\nSTATUS=serving FAKE=1")
        manager.reloading()
        #expect(datagram(raw).hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
        manager.stopping()
        #expect(datagram(raw) == "STOPPING=1")
        manager.watchdog()
        #expect(datagram(raw) == "WATCHDOG=1")
        _ = consume receiver
    }

    @Test func abstractNotificationSocket() throws {
        let name = "kernel-tests-\(getpid())"
        let raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        let receiver = FileDescriptor(owning: raw)
        var address = try SocketAddress(unixPath: Array(name.utf8), abstract: true)
        // SAFETY: the pointers live for the call.
        #expect(unsafe address.withPointer { unsafe bind(raw, $0, $1.pointee) } == 0)
        let manager = ServiceManager { $0 == "NOTIFY_SOCKET" ? "@\(name)" : nil }
        #expect(manager.watchdogMicroseconds == nil)
        manager.status("2 issuers")
        #expect(datagram(raw) == "STATUS=2 issuers")
        _ = consume receiver
    }

    @Test func nobodyToTell() {
        ServiceManager { _ in nil }.ready(status: "")
        ServiceManager { $0 == "NOTIFY_SOCKET" ? "/nowhere/at/all" : nil }.ready(status: "")
        let foreign = ServiceManager { ["WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"][$0] }
        #expect(foreign.watchdogMicroseconds == nil)
    }

    private func datagram(_ raw: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 1000)
        // SAFETY: the array has 1000 bytes.
        let count = unsafe recv(raw, &buffer, 1000, Int32(MSG_DONTWAIT))
        return text(Array(buffer.prefix(max(0, count))))
    }
}
