internal import Glibc

/// Talks to the service manager that started us, if one did (sd_notify(3)). Failures are ignored: the
/// protocol is advice to the manager, and a service that cannot give it works all the same.
public struct ServiceManager: Sendable {
    /// Path, or `@name` for an abstract socket; nil when nobody listens.
    private let socketPath: String?
    /// How often the manager wants to hear from us, microseconds; nil when it does not.
    public let watchdogMicroseconds: UInt64?

    /// - Parameter environment: looks a variable up; `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    public init(environment: (String) -> String? = Environment.value) {
        let path = environment("NOTIFY_SOCKET")
        socketPath = path.flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil }
        let pid = environment("WATCHDOG_PID").map { Int32($0) == getpid() } ?? true
        watchdogMicroseconds = pid ? environment("WATCHDOG_USEC").flatMap { UInt64($0) } : nil
    }

    public func ready(status: String) { send("READY=1\nSTATUS=\(line(status))") }
    public func status(_ text: String) { send("STATUS=\(line(text))") }
    public func stopping() { send("STOPPING=1") }
    public func watchdog() { send("WATCHDOG=1") }
    /// Say `ready` when the reload is done (Type=notify-reload).
    public func reloading() {
        send("RELOADING=1\nMONOTONIC_USEC=\(SystemClock.monotonicNanoseconds() / 1000)")
    }

    private func line(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }

    private func send(_ text: String) {
        guard let socketPath else { return }
        let isAbstract = socketPath.hasPrefix("@")
        let name = Array((isAbstract ? String(socketPath.dropFirst()) : socketPath).utf8)
        // A path that is no address (too long) cannot be told anything.
        guard var address = try? SocketAddress(unixPath: name, abstract: isAbstract) else { return }
        // An abstract name is exactly as long as the length says; it has no NUL at its end.
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let raw = socket(AF_UNIX, type, 0)
        guard raw >= 0 else { return }
        let descriptor = FileDescriptor(owning: raw)
        let bytes = Array(text.utf8)
        // SAFETY: all pointers live for the call.
        _ = unsafe address.withPointer { pointer, length in
            retrying {
                unsafe sendto(
                    descriptor.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL), pointer, length.pointee)
            }
        }
    }
}

/// The process's environment. Read and changed only while there is one thread.
public enum Environment {
    public static func value(_ name: String) -> String? {
        // SAFETY: the string is copied at once.
        guard let text = unsafe getenv(name) else { return nil }
        return unsafe String(cString: text)
    }

    static func remove(_ name: String) {
        // SAFETY: the string lives for the call.
        _ = unsafe unsetenv(name)
    }
}

/// Listening sockets that the service manager opened for us (sd_listen_fds(3)).
public struct InheritedSockets: ~Copyable {
    /// The first descriptor that the protocol passes.
    static let firstDescriptor: Int32 = 3
    /// More than anyone configures; a larger number is not believed.
    static let countMax: Int32 = 256

    private var sockets: [(name: String, socket: ListeningSocket)] = []

    /// Takes what LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES announce, and clears them so that no child
    /// takes it again. Empty when they are meant for another process. Call it once, while there is one
    /// thread.
    /// - Throws: when a descriptor is no listening stream socket.
    public static func take() throws(SystemError) -> InheritedSockets {
        let result = try InheritedSockets(first: firstDescriptor, environment: Environment.value)
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { Environment.remove(name) }
        return result
    }

    init(first: Int32, environment: (String) -> String?) throws(SystemError) {
        guard let pid = environment("LISTEN_PID").flatMap({ Int32($0) }), pid == getpid(),
            let count = environment("LISTEN_FDS").flatMap({ Int32($0) }), count > 0, count <= Self.countMax
        else { return }
        let names = (environment("LISTEN_FDNAMES") ?? "").split(
            separator: ":", omittingEmptySubsequences: false)
        for index in 0..<Int(count) {
            let descriptor = FileDescriptor(owning: first + Int32(index))
            let socket = try ListeningSocket.adopt(descriptor)
            sockets.append((index < names.count ? String(names[index]) : "", socket))
        }
    }

    /// The sockets of this name (FileDescriptorName=); each is given out once.
    public mutating func take(named name: String) -> [ListeningSocket] {
        let found = sockets.filter { $0.name == name }.map(\.socket)
        sockets.removeAll { $0.name == name }
        return found
    }

    /// The socket bound to this address; given out once.
    public mutating func take(address: ListenAddress) -> ListeningSocket? {
        let wanted = canonical(address)
        guard let index = sockets.firstIndex(where: { canonical($0.socket.address) == wanted }) else {
            return nil
        }
        return sockets.remove(at: index).socket
    }

    /// Those that nobody took, for a message: name and address.
    public var untaken: [(name: String, address: ListenAddress)] {
        sockets.map { ($0.name, $0.socket.address) }
    }

    /// One spelling for one address, as the kernel spells it.
    private func canonical(_ address: ListenAddress) -> ListenAddress {
        guard case .tcp = address, let socketAddress = try? SocketAddress(address) else { return address }
        return socketAddress.listenAddress ?? address
    }
}
