internal import Glibc

/// What tells one version of a file from another without reading it.
public struct FileStamp: Hashable, Sendable {
    public let device: UInt64
    public let inode: UInt64
    public let byteCount: Int64
    public let modifiedNanoseconds: Int64
}

public struct FileContents: Sendable {
    public let bytes: [UInt8]
    public let stamp: FileStamp
}

/// Whole files, off the request path.
public enum Files {
    /// Reads a regular file completely.
    /// - Throws: the call that failed; EFBIG when the file has more than `bytesMax` bytes, EISDIR or EINVAL
    ///   when it is no regular file.
    public static func read(_ path: String, bytesMax: Int) throws(SystemError) -> FileContents {
        // Non-blocking, so that opening a pipe does not wait for a writer.
        let file = try open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        let status = try status(of: file, path: path)
        guard status.st_mode & S_IFMT == S_IFREG else {
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            throw SystemError(
                code: isFolder ? EISDIR : EINVAL, call: "read", path: path,
                detail: "`\(path)` is \(isFolder ? "a folder" : "no regular file"); name a file")
        }
        guard status.st_size <= bytesMax else { throw tooLarge(path, bytesMax) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(status.st_size) + 1)
        let raw = file.raw
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            // SAFETY: the array has exactly this many bytes.
            let count = try checked("read", path: path) { unsafe Glibc.read(raw, &chunk, 65536) }
            if count == 0 { break }
            guard bytes.count + count <= bytesMax else { throw tooLarge(path, bytesMax) }
            bytes.append(contentsOf: chunk.prefix(count))
        }
        return FileContents(bytes: bytes, stamp: stamp(status))
    }

    /// The stamp of what a path leads to, symbolic links followed.
    public static func stamp(_ path: String) throws(SystemError) -> FileStamp {
        var status = Glibc.stat()
        // SAFETY: the string and the structure live for the call.
        _ = try checked("stat", path: path) { unsafe Int(fstatat(AT_FDCWD, path, &status, 0)) }
        return stamp(status)
    }

    /// The user that a file or folder belongs to, symbolic links followed.
    public static func ownerID(_ path: String) throws(SystemError) -> UInt32 {
        var status = Glibc.stat()
        // SAFETY: the string and the structure live for the call.
        _ = try checked("stat", path: path) { unsafe Int(fstatat(AT_FDCWD, path, &status, 0)) }
        return status.st_uid
    }

    /// Puts a file in place as a whole: readers see the old bytes or the new ones, also after a crash.
    ///
    /// Written beside it, synced, renamed over it, and the folder synced.
    public static func replace(_ path: String, bytes: Span<UInt8>, mode: UInt32 = 0o600) throws(SystemError) {
        let (folder, name) = split(path)
        let temporary = "\(folder)/.\(name).\(getpid()).\(UInt32.random(in: .min ... .max)).tmp"
        do {
            try writeNew(temporary, bytes: bytes, mode: mode)
            // SAFETY: both strings live for the call.
            _ = try checked("rename", path: path) { unsafe Int(rename(temporary, path)) }
        } catch {
            // SAFETY: as above. It may not exist; then there is nothing to remove.
            _ = unsafe unlink(temporary)
            throw error
        }
        let directory = try open(folder, O_RDONLY | O_DIRECTORY)
        let raw = directory.raw
        _ = try checked("fsync", path: folder) { Int(fsync(raw)) }
    }

    /// Makes a folder and those above it, as far as they are missing. Existing ones keep their mode.
    public static func makeFolder(_ path: String, mode: UInt32 = 0o700) throws(SystemError) {
        var prefix = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            prefix += prefix.isEmpty || prefix.hasSuffix("/") ? String(part) : "/\(part)"
            let folder = prefix
            // SAFETY: the string lives for the call.
            let result = retrying { unsafe Int(mkdir(folder, mode_t(mode & 0o777))) }
            if result >= 0 || result == -Int(EEXIST) { continue }
            throw SystemError(code: Int32(truncatingIfNeeded: -result), call: "mkdir", path: folder)
        }
        var status = Glibc.stat()
        // SAFETY: the string and the structure live for the call.
        _ = try checked("stat", path: path) { unsafe Int(fstatat(AT_FDCWD, path, &status, 0)) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw SystemError(
                code: ENOTDIR, call: "mkdir", path: path,
                detail: "`\(path)` exists and is no folder; remove it, or choose another path")
        }
    }

    /// Removes a file; one that is not there is no error.
    public static func remove(_ path: String) throws(SystemError) {
        // SAFETY: the string lives for the call.
        let result = retrying { unsafe Int(unlink(path)) }
        guard result >= 0 || result == -Int(ENOENT) else {
            throw SystemError(code: Int32(truncatingIfNeeded: -result), call: "unlink", path: path)
        }
    }

    /// The folder and the last part of a path: `a/b` is (`a`, `b`), `b` is (`.`, `b`), `/b` is (`/`, `b`).
    public static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = path[..<slash]
        return (folder.isEmpty ? "/" : String(folder), String(path[path.index(after: slash)...]))
    }

    /// The path of a file in a folder that may be written with slashes at its end.
    public static func join(_ folder: String, _ name: String) -> String {
        var folder = folder
        while folder.utf8.last == UInt8(ascii: "/") { folder.removeLast() }
        return "\(folder)/\(name)"
    }

    /// `path` itself when it is absolute, otherwise as seen from `folder`.
    public static func resolve(_ path: String, against folder: String) -> String {
        if path.hasPrefix("/") || folder.isEmpty || folder == "." { return path }
        return folder.hasSuffix("/") ? folder + path : "\(folder)/\(path)"
    }

    /// For reading as it comes, of whatever size.
    public static func openForReading(_ path: String) throws(SystemError) -> FileDescriptor {
        try open(path, O_RDONLY | O_NOCTTY)
    }

    static func open(_ path: String, _ flags: Int32, mode: UInt32 = 0) throws(SystemError) -> FileDescriptor {
        // SAFETY: the string lives for the call.
        let raw = try checked("open", path: path) {
            unsafe Int(Glibc.open(path, flags | O_CLOEXEC, mode_t(mode)))
        }
        return FileDescriptor(owning: Int32(truncatingIfNeeded: raw))
    }

    /// - Parameter path: for messages.
    static func writeWhole(_ bytes: Span<UInt8>, to raw: Int32, path: String) throws(SystemError) {
        var written = 0
        while written < bytes.count {
            let rest = bytes.extracting(written..<bytes.count)
            // SAFETY: the bytes are borrowed for the length of the call.
            let result = unsafe rest.withUnsafeBufferPointer { source in
                retrying { unsafe write(raw, source.baseAddress, source.count) }
            }
            guard result > 0 else {
                throw SystemError(code: result == 0 ? ENOSPC : Int32(-result), call: "write", path: path)
            }
            written += result
        }
    }

    private static func writeNew(
        _ path: String, bytes: Span<UInt8>, mode: UInt32
    ) throws(SystemError) {
        let file = try open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        let raw = file.raw
        try writeWhole(bytes, to: raw, path: path)
        _ = try checked("fchmod", path: path) { Int(fchmod(raw, mode_t(mode & 0o777))) }
        _ = try checked("fsync", path: path) { Int(fsync(raw)) }
    }

    private static func status(
        of file: borrowing FileDescriptor, path: String
    ) throws(SystemError) -> stat {
        var status = Glibc.stat()
        let raw = file.raw
        // SAFETY: one structure is written.
        _ = try checked("fstat", path: path) { unsafe Int(fstat(raw, &status)) }
        return status
    }

    private static func stamp(_ status: stat) -> FileStamp {
        FileStamp(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), byteCount: Int64(status.st_size),
            modifiedNanoseconds: Int64(status.st_mtim.tv_sec) &* 1_000_000_000
                &+ Int64(status.st_mtim.tv_nsec))
    }

    private static func tooLarge(_ path: String, _ bytesMax: Int) -> SystemError {
        SystemError(
            code: EFBIG, call: "read", path: path,
            detail: "`\(path)` has more than \(bytesMax) bytes, which is the limit; use a smaller file")
    }
}

/// An exclusive lock that lasts as long as this value, or the process (flock(2)).
///
/// The file stays when the lock goes: removing it would let two processes lock two files of one name.
public struct FileLock: ~Copyable {
    private let file: FileDescriptor

    /// Locks at once or fails; the file is made when it is missing and holds the owner's process id.
    /// - Throws: code EWOULDBLOCK when another process, or another value in this one, has it.
    public init(path: String) throws(SystemError) {
        let opened = try Files.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        let raw = opened.raw
        let result = retrying { Int(flock(raw, LOCK_EX | LOCK_NB)) }
        guard result >= 0 else {
            let code = Int32(truncatingIfNeeded: -result)
            guard code == EWOULDBLOCK else { throw SystemError(code: code, call: "flock", path: path) }
            throw SystemError(
                code: code, call: "flock", path: path,
                detail: "`\(path)` is locked by \(holder(of: raw)); stop it, or use another store folder")
        }
        let text = Array("\(getpid())\n".utf8)
        // Only for people who look: that it could not be written changes nothing.
        _ = retrying { Int(ftruncate(raw, 0)) }
        // SAFETY: the array lives for the call.
        _ = retrying { unsafe pwrite(raw, text, text.count, 0) }
        file = opened
    }
}

private func holder(of raw: Int32) -> String {
    var text = [UInt8](repeating: 0, count: 20)
    // SAFETY: the array has 20 bytes.
    let count = retrying { unsafe pread(raw, &text, 20, 0) }
    let digits = text.prefix(max(0, count)).prefix { $0 >= 0x30 && $0 <= 0x39 }
    return digits.isEmpty ? "another process" : "process \(String(decoding: digits, as: UTF8.self))"
}
