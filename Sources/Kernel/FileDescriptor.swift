internal import Glibc

/// Owner of one file descriptor: closed when it goes.
public struct FileDescriptor: ~Copyable, Sendable {
    public let raw: Int32

    /// Takes ownership: nobody else may close `raw`.
    public init(owning raw: Int32) {
        self.raw = raw
    }

    /// No descriptor: nothing is closed when it goes.
    public static var none: FileDescriptor { FileDescriptor(owning: -1) }

    deinit {
        guard raw >= 0 else { return }
        // Never repeated: on Linux the descriptor is gone even when `close` is interrupted.
        _ = Glibc.close(raw)
    }

    /// Gives the descriptor to the caller, who must close it.
    public consuming func release() -> Int32 {
        let descriptor = raw
        discard self
        return descriptor
    }

    /// Sets non-blocking mode and close-on-exec. For descriptors that came from elsewhere.
    public borrowing func setNonBlocking() throws(SystemError) {
        let descriptor = raw
        let flags = try checked("fcntl") { Int(fcntl(descriptor, F_GETFL)) }
        let wanted = Int32(truncatingIfNeeded: flags) | O_NONBLOCK
        _ = try checked("fcntl") { Int(fcntl(descriptor, F_SETFL, wanted)) }
        _ = try checked("fcntl") { Int(fcntl(descriptor, F_SETFD, FD_CLOEXEC)) }
    }
}
