internal import Glibc

extension Files {
    /// What a path leads to when all symbolic links are followed (realpath(3)).
    /// - Throws: ENOENT where there is nothing, ELOOP where links lead in a circle.
    public static func target(of path: String) throws(SystemError) -> String {
        // SAFETY: the path lives for the call; what comes back is NUL-ended, ours, copied and freed.
        guard let resolved = unsafe realpath(path, nil) else {
            throw SystemError(code: errno, call: "realpath", path: path)
        }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// The permission bits of what a path leads to.
    public static func mode(of path: String) throws(SystemError) -> UInt32 {
        var status = Glibc.stat()
        // SAFETY: the string and the structure live for the call.
        _ = try checked("stat", path: path) { unsafe Int(fstatat(AT_FDCWD, path, &status, 0)) }
        return UInt32(status.st_mode) & 0o777
    }

    /// Puts a file where none is yet, as a whole.
    /// - Throws: code EEXIST when something has the name already; nothing is changed then.
    public static func create(_ path: String, bytes: Span<UInt8>, mode: UInt32 = 0o644) throws(SystemError) {
        let (folder, name) = split(path)
        let temporary = "\(folder)/.\(name).\(getpid()).\(UInt32.random(in: .min ... .max)).tmp"
        try replace(temporary, bytes: bytes, mode: mode)
        // SAFETY: both strings live for the call. link(2) fails where rename(2) would take the place.
        let result = retrying { unsafe Int(link(temporary, path)) }
        // SAFETY: as above.
        _ = unsafe unlink(temporary)
        guard result < 0 else { return }
        let code = Int32(truncatingIfNeeded: -result)
        guard code == EEXIST else { throw SystemError(code: code, call: "link", path: path) }
        throw SystemError(
            code: code, call: "link", path: path,
            detail: "`\(path)` exists already and is left as it is; choose another name")
    }
}
