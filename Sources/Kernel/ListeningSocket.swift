internal import Glibc
internal import Synchronization

/// Who may connect to a unix socket, as file mode and owner.
public struct SocketFilePermissions: Equatable, Sendable {
    /// Permission bits, e.g. 0o660.
    public var mode: UInt32
    /// nil leaves this process's own.
    public var ownerID: UInt32?
    public var groupID: UInt32?

    public init(mode: UInt32 = 0o660, ownerID: UInt32? = nil, groupID: UInt32? = nil) {
        self.mode = mode
        self.ownerID = ownerID
        self.groupID = groupID
    }
}

/// A socket that accepts connections: non-blocking, close-on-exec, shared by all workers.
///
/// The file of a unix socket is removed at `close`, but only while it is still the one that this socket
/// made. Inherited sockets are never unlinked: whoever started us owns their files.
public final class ListeningSocket: Sendable {
    /// Connections that the kernel completes before they are accepted. It clamps to net.core.somaxconn.
    public static let backlog: Int32 = 4096

    /// Where it really listens; differs from what was asked for when that was port 0.
    public let address: ListenAddress
    public let isInherited: Bool
    public let raw: Int32
    /// The socket file that we made: its identity on disk.
    private let file: FileIdentity?
    private let isClosed = Atomic<Bool>(false)

    private init(owning raw: Int32, address: ListenAddress, file: FileIdentity?, isInherited: Bool) {
        self.raw = raw
        self.address = address
        self.file = file
        self.isInherited = isInherited
    }

    deinit {
        close()
    }

    /// Binds and listens.
    ///
    /// A stale unix socket file, one where nobody answers, is replaced. One that answers is an error, as is
    /// anything there that is no socket.
    public static func listen(
        on address: ListenAddress, permissions: SocketFilePermissions = SocketFilePermissions()
    ) throws(SystemError) -> ListeningSocket {
        switch address {
        case .unix(let path): try listen(unixPath: path, permissions: permissions)
        case .tcp: try listen(tcp: address)
        }
    }

    /// Takes a socket that somebody else bound, e.g. the service manager.
    static func adopt(_ descriptor: consuming FileDescriptor) throws(SystemError) -> ListeningSocket {
        let raw = descriptor.raw
        guard try integerOption(raw, SO_ACCEPTCONN) == 1, try integerOption(raw, SO_TYPE) == streamType else {
            throw SystemError(
                code: EINVAL, call: "getsockopt",
                detail: "inherited descriptor \(raw) is no listening stream socket;"
                    + " use ListenStream= and Accept=no in the socket unit")
        }
        guard let address = try boundAddress(raw) else {
            throw SystemError(
                code: EAFNOSUPPORT, call: "getsockname",
                detail: "inherited descriptor \(raw) is bound to neither a socket file nor a TCP port")
        }
        try descriptor.setNonBlocking()
        return ListeningSocket(owning: descriptor.release(), address: address, file: nil, isInherited: true)
    }

    /// Stops listening. Idempotent. Connections already accepted live on.
    public func close() {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        // The file goes first: as long as the socket is open the kernel holds its inode, so that an equal
        // inode number means the same file.
        if let file, case .unix(let path) = address, FileIdentity(ofLink: path) == file {
            // SAFETY: `path` is a NUL-ended string for the call.
            _ = unsafe unlink(path)
        }
        _ = Glibc.close(raw)
    }

    private static func listen(
        unixPath path: String, permissions: SocketFilePermissions
    ) throws(SystemError) -> ListeningSocket {
        let address = ListenAddress.unix(path: path)
        var bound = try SocketAddress(address)
        let descriptor = try makeSocket(AF_UNIX)
        let raw = descriptor.raw
        // The mode of an unbound socket becomes the file's mode (less the umask): with none, nobody can
        // connect before owner and mode are set. Unlike a umask this touches no other thread.
        _ = try checked("fchmod", path: path) { Int(fchmod(raw, 0)) }
        try removeStale(path)
        try bindSocket(raw, &bound, address)
        guard let file = FileIdentity(ofLink: path) else {
            throw SystemError(code: ENOENT, call: "lstat", path: path)
        }
        do {
            try permissions.apply(to: path)
            _ = try checked("listen", path: address.description) { Int(Glibc.listen(raw, backlog)) }
        } catch {
            if FileIdentity(ofLink: path) == file {
                // SAFETY: `path` is a NUL-ended string for the call.
                _ = unsafe unlink(path)
            }
            throw error
        }
        return ListeningSocket(owning: descriptor.release(), address: address, file: file, isInherited: false)
    }

    private static func listen(tcp address: ListenAddress) throws(SystemError) -> ListeningSocket {
        var wanted = try SocketAddress(address)
        let descriptor = try makeSocket(wanted.family)
        let raw = descriptor.raw
        try setOption(raw, SOL_SOCKET, SO_REUSEADDR, 1)
        if wanted.family == AF_INET6 { try setOption(raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        // Every answer is one write; without this the last segment of one waits for the peer's ACK.
        try setOption(raw, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        try bindSocket(raw, &wanted, address)
        _ = try checked("listen", path: address.description) { Int(Glibc.listen(raw, backlog)) }
        let real = try boundAddress(raw) ?? address
        return ListeningSocket(owning: descriptor.release(), address: real, file: nil, isInherited: false)
    }

    /// Removes a socket file that nobody answers on; does nothing when there is no file.
    private static func removeStale(_ path: String) throws(SystemError) {
        var status = stat()
        // SAFETY: the string and the structure live for the call.
        let found = retrying { unsafe Int(lstat(path, &status)) }
        if found == -Int(ENOENT) { return }
        guard found >= 0 else { throw SystemError(code: Int32(-found), call: "lstat", path: path) }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw SystemError(
                code: EEXIST, call: "bind", path: path,
                detail: "`\(path)` exists and is no socket; remove it, or choose another path")
        }
        switch try connectOutcome(path) {
        case 0, -Int(EAGAIN), -Int(EINPROGRESS):
            throw SystemError(
                code: EADDRINUSE, call: "bind", path: path,
                detail: "another process already serves at `unix:\(path)`; stop it, or choose another path")
        case -Int(ECONNREFUSED):
            _ = try checked("unlink", path: path) { unsafe Int(unlink(path)) }
        case -Int(ENOENT): return
        case let failure:
            let why = systemText(Int32(truncatingIfNeeded: -failure))
            throw SystemError(
                code: Int32(truncatingIfNeeded: -failure), call: "connect", path: path,
                detail: "cannot tell whether `unix:\(path)` is still served (\(why));"
                    + " remove the file if it is not")
        }
    }

    private static func connectOutcome(_ path: String) throws(SystemError) -> Int {
        var target = try SocketAddress(.unix(path: path))
        let probe = try makeSocket(AF_UNIX)
        let raw = probe.raw
        // SAFETY: the pointers live for the call.
        return unsafe target.withPointer { pointer, length in
            retrying { unsafe Int(connect(raw, pointer, length.pointee)) }
        }
    }
}

extension SocketFilePermissions {
    /// Owner first: a change of owner may clear mode bits, and the mode opens the door.
    fileprivate func apply(to path: String) throws(SystemError) {
        if ownerID != nil || groupID != nil {
            // (uid_t)-1 leaves an id as it is (chown(2)).
            let owner = ownerID ?? UInt32.max
            let group = groupID ?? UInt32.max
            let changed = retrying { unsafe Int(lchown(path, owner, group)) }
            guard changed >= 0 else { throw refusal(Int32(truncatingIfNeeded: -changed), path) }
        }
        let bits = mode_t(mode & 0o777)
        _ = try checked("chmod", path: path) { unsafe Int(chmod(path, bits)) }
    }

    /// Why the socket could not be given away. Whoever is not root may give it to a group of their own (chown(2)).
    private func refusal(_ code: Int32, _ path: String) -> SystemError {
        guard code == EPERM, let groupID, ownerID == nil || ownerID == Accounts.ownUserID else {
            return SystemError(code: code, call: "chown", path: path)
        }
        let group = Accounts.groupName(groupID) ?? "\(groupID)"
        let user = Accounts.ownUserName ?? "\(Accounts.ownUserID)"
        return SystemError(
            code: code, call: "chown", path: path,
            detail:
                "`\(path)`: this user is no member of group `\(group)`: `usermod -aG \(group) \(user)`, then start again"
        )
    }
}

/// What a path names, whatever it is called: device and inode.
struct FileIdentity: Equatable, Sendable {
    let device: UInt64
    let inode: UInt64

    /// Of the path itself, symbolic links not followed; nil when nothing is there.
    init?(ofLink path: String) {
        var status = stat()
        // SAFETY: the string and the structure live for the call.
        guard retrying({ unsafe Int(lstat(path, &status)) }) >= 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}

let streamType = Int32(SOCK_STREAM.rawValue)

/// A non-blocking, close-on-exec stream socket.
func makeSocket(_ family: Int32) throws(SystemError) -> FileDescriptor {
    let type = streamType | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let raw = try checked("socket") { Int(socket(family, type, 0)) }
    return FileDescriptor(owning: Int32(truncatingIfNeeded: raw))
}

func setOption(_ raw: Int32, _ level: Int32, _ name: Int32, _ value: Int32) throws(SystemError) {
    var value = value
    let size = socklen_t(MemoryLayout<Int32>.size)
    // SAFETY: one Int32 is read during the call.
    _ = try checked("setsockopt") { unsafe Int(setsockopt(raw, level, name, &value, size)) }
}

func integerOption(_ raw: Int32, _ name: Int32) throws(SystemError) -> Int32 {
    var value: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    // SAFETY: one Int32 is written during the call.
    _ = try checked("getsockopt") { unsafe Int(getsockopt(raw, SOL_SOCKET, name, &value, &size)) }
    return value
}

private func bindSocket(
    _ raw: Int32, _ socketAddress: inout SocketAddress, _ address: ListenAddress
) throws(SystemError) {
    // SAFETY: the pointers live for the call.
    let result = unsafe socketAddress.withPointer { pointer, length in
        retrying { unsafe Int(bind(raw, pointer, length.pointee)) }
    }
    guard result >= 0 else {
        let code = Int32(truncatingIfNeeded: -result)
        var detail: String?
        if code == ENOENT, case .unix(let path) = address {
            detail = "`\(address)`: the folder `\(Files.split(path).folder)` is not there; make it, owned by this user"
        }
        throw SystemError(code: code, call: "bind", path: address.description, detail: detail)
    }
}

/// Where a socket is bound; nil when that is neither a socket file nor a TCP port.
func boundAddress(_ raw: Int32) throws(SystemError) -> ListenAddress? {
    var address = SocketAddress()
    // SAFETY: the pointers live for the call; the length says how much may be written.
    let result = unsafe address.withPointer { pointer, length in
        retrying { unsafe Int(getsockname(raw, pointer, length)) }
    }
    guard result >= 0 else {
        throw SystemError(code: Int32(truncatingIfNeeded: -result), call: "getsockname")
    }
    return address.listenAddress
}
