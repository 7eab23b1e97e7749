internal import Glibc

extension FileDescriptor {
    /// A second descriptor of the same open file, close-on-exec.
    public borrowing func duplicate() throws(SystemError) -> FileDescriptor {
        let descriptor = raw
        let copy = try checked("fcntl") { Int(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)) }
        return FileDescriptor(owning: Int32(truncatingIfNeeded: copy))
    }

    /// Waits until there is something to receive, the peer has closed, or the time is over.
    /// - Returns: false when the time is over.
    public borrowing func waitReadable(milliseconds: Int32) -> Bool { wait(for: Int16(POLLIN), milliseconds) }

    /// Waits until something can be sent.
    public borrowing func waitWritable(milliseconds: Int32) -> Bool { wait(for: Int16(POLLOUT), milliseconds) }

    private borrowing func wait(for event: Int16, _ milliseconds: Int32) -> Bool {
        let deadline = Deadline(milliseconds: Int64(milliseconds))
        while true {
            var entry = pollfd(fd: raw, events: event, revents: 0)
            let left = deadline.remainingMilliseconds
            // SAFETY: one entry. Not `retrying`: after a signal the time that is left has to be asked again.
            let result = once { unsafe Int(poll(&entry, 1, left)) }
            if result > 0 { return true }
            guard result == -Int(EINTR), left > 0 else { return false }
        }
    }
}

/// A file that takes bytes on their way to somebody else and goes with its owner.
public final class SpoolFile: Sendable {
    public let path: String
    private let file: FileDescriptor

    /// Makes the file (0600) in place of one of that name that was left behind.
    public init(path: String) throws(SystemError) {
        try Files.remove(path)
        file = try Files.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        self.path = path
    }

    deinit {
        // Whoever starts next removes what could not be removed.
        try? Files.remove(path)
    }

    public func append(_ bytes: Span<UInt8>) throws(SystemError) {
        try Files.writeWhole(bytes, to: file.raw, path: path)
    }
}

extension Files {
    /// A path from the root: as it is when it begins there, otherwise as seen from the working folder. Symbolic links
    /// stay as they are.
    public static func absolute(_ path: String) throws(SystemError) -> String {
        if path.hasPrefix("/") { return path }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let capacity = buffer.count
        // SAFETY: the array has `capacity` bytes.
        let isKnown = unsafe buffer.withUnsafeMutableBufferPointer { unsafe getcwd($0.baseAddress, capacity) != nil }
        guard isKnown else { throw SystemError(code: errno, call: "getcwd", path: path) }
        let folder = String(
            decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.isEmpty || path == "." ? folder : resolve(path, against: folder)
    }

    /// What the system says when a disk, a quota or the process's limit of file sizes is full.
    public static func isFull(_ error: SystemError) -> Bool { [ENOSPC, EDQUOT, EFBIG].contains(error.code) }
}
