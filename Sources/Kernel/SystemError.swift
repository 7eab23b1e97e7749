internal import Glibc

/// A system call that failed: which one, on what, and what to do about it.
///
/// The corresponding C notion is `errno`; `code` holds its value.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    public let code: Int32
    /// Name of the call as in its manual page, e.g. `bind`.
    public let call: String
    /// The file or address the call was about; nil where there is none.
    public let path: String?
    /// A sentence of our own that replaces the general one; nil where the code says enough.
    public let detail: String?

    public init(code: Int32, call: String, path: String? = nil, detail: String? = nil) {
        self.code = code
        self.call = call
        self.path = path
        self.detail = detail
    }

    /// What was asked for is held by somebody else at the moment, or not ready.
    public var isWouldBlock: Bool { code == EWOULDBLOCK }

    /// A file has more bytes than it may.
    public var isTooLarge: Bool { code == EFBIG }

    /// What was to be made is there already.
    public var isAlreadyThere: Bool { code == EEXIST }

    /// Nobody listens at the address that was to be connected to.
    public var isNobodyThere: Bool { call == "connect" && (code == ENOENT || code == ECONNREFUSED) }

    /// This user may not.
    public var isForbidden: Bool { code == EACCES || code == EPERM }

    /// What happened, where, and what to do next.
    public var description: String {
        if let detail { return detail }
        let subject = path.map { "`\($0)`: " } ?? ""
        return "\(subject)\(call): \(systemText(code))\(mend(code).map { "; \($0)" } ?? "")"
    }
}

/// The system's own words for an error number, lower case.
func systemText(_ code: Int32) -> String {
    var text = [CChar](repeating: 0, count: 128)
    let capacity = text.count
    // SAFETY: the buffer is ours for the call and its true size is given; the call ends it with a NUL.
    let known = unsafe text.withUnsafeMutableBufferPointer { buffer -> Bool in
        guard let base = buffer.baseAddress else { return false }
        return unsafe strerror_r(code, base, capacity) == 0
    }
    guard known else { return "error \(code)" }
    let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let words = String(decoding: bytes, as: UTF8.self)
    return words.prefix(1).lowercased() + words.dropFirst()
}

private func mend(_ code: Int32) -> String? {
    switch code {
    case EACCES: "give this user access to it and to every folder above it"
    case EPERM: "run as a user that may do this, or leave the owner and group as they are"
    case EADDRINUSE: "stop the process that uses the address, or choose another one"
    case EADDRNOTAVAIL: "use an address that this machine has"
    case ENOENT: "create it, or correct the path"
    case ENOTDIR: "a part of the path is not a folder; correct the path"
    case EISDIR: "name a file, not a folder"
    case EEXIST: "remove what is there, or choose another path"
    case EMFILE, ENFILE: "raise the limit of open files (LimitNOFILE= or `ulimit -n`)"
    case ENOSPC, EDQUOT: "make room on the disk"
    case EROFS: "the file system is read-only; choose a path that can be written"
    case ENAMETOOLONG: "use a shorter path"
    case ENOMEM: "give the process more memory"
    case ECONNREFUSED: "nothing listens there; start the daemon, or correct the address"
    case ETIMEDOUT: "no answer in time; see whether the other side is overloaded or stopped"
    case ELOOP: "the path runs through too many symbolic links; correct it"
    default: nil
    }
}

/// Makes one call, again while it is interrupted by a signal.
///
/// The only place that reads `errno` for calls which may be retried. `errno` is read in the same function
/// as the call, so that no reference counting comes between them.
/// - Returns: the call's result when it is not -1, or the negated `errno`.
@inline(never)
func retrying(_ body: () -> Int) -> Int {
    while true {
        let result = body()
        if result != -1 { return result }
        let code = errno
        if code != EINTR { return -Int(code) }
    }
}

/// As `retrying`, for calls that must not be repeated after a signal (`close`, waits with a timeout).
@inline(never)
func once(_ body: () -> Int) -> Int {
    let result = body()
    return result != -1 ? result : -Int(errno)
}

/// The result of a call, or its failure as an error.
func checked(
    _ call: String, path: String? = nil, _ body: () -> Int
) throws(SystemError) -> Int {
    let result = retrying(body)
    guard result >= 0 else {
        throw SystemError(code: Int32(truncatingIfNeeded: -result), call: call, path: path)
    }
    return result
}
