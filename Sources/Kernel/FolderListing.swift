internal import Glibc

/// What a name in a folder leads to.
public enum FileKind: Sendable, Equatable {
    case regular, folder, link
    /// A device, a pipe, a socket.
    case other
}

extension Files {
    /// The names in a folder without `.` and `..`, in byte order.
    /// - Throws: the call that failed; E2BIG when there are more than `namesMax`, EILSEQ when one is no UTF-8.
    public static func names(in folder: String, namesMax: Int) throws(SystemError) -> [String] {
        // SAFETY: the string lives for the call.
        guard let stream = unsafe opendir(folder) else {
            throw SystemError(code: errno, call: "opendir", path: folder)
        }
        defer { unsafe _ = closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            // SAFETY: the stream is open, and nobody else has it; the entry is copied before the next call.
            guard let entry = unsafe readdir(stream) else {
                let code = errno
                guard code == 0 else { throw SystemError(code: code, call: "readdir", path: folder) }
                break
            }
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(validatingCString: $0)
                }
            }
            guard let name else {
                throw SystemError(
                    code: EILSEQ, call: "readdir", path: folder,
                    detail: "`\(folder)` holds a name that is not UTF-8; rename it")
            }
            if name == "." || name == ".." { continue }
            guard names.count < namesMax else {
                throw SystemError(
                    code: E2BIG, call: "readdir", path: folder,
                    detail: "`\(folder)` holds more than \(namesMax) names, which is the limit; use another folder")
            }
            names.append(name)
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// What a path leads to.
    /// - Parameter followsLinks: false says `link` of a symbolic link.
    public static func kind(_ path: String, followsLinks: Bool) throws(SystemError) -> FileKind {
        var status = Glibc.stat()
        // SAFETY: the string and the structure live for the call.
        _ = try checked("stat", path: path) {
            unsafe Int(fstatat(AT_FDCWD, path, &status, followsLinks ? 0 : AT_SYMLINK_NOFOLLOW))
        }
        return switch status.st_mode & S_IFMT {
        case S_IFREG: .regular
        case S_IFDIR: .folder
        case S_IFLNK: .link
        default: .other
        }
    }

    /// The absolute path without links, `.` and `..`.
    public static func realPath(_ path: String) throws(SystemError) -> String {
        // SAFETY: the string lives for the call; the result is ours and freed here.
        guard let found = unsafe realpath(path, nil) else {
            throw SystemError(code: errno, call: "realpath", path: path)
        }
        defer { unsafe free(found) }
        guard let real = unsafe String(validatingCString: found) else {
            throw SystemError(
                code: EILSEQ, call: "realpath", path: path,
                detail: "`\(path)` leads to a name that is not UTF-8; rename it")
        }
        return real
    }
}
