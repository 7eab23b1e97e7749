internal import Glibc

/// A folder that only this process's user can enter and that goes, with what is in it, when its owner does.
public final class TemporaryFolder: Sendable {
    public let path: String

    /// - Parameter prefix: the beginning of the folder's name, without slashes.
    public init(prefix: String) throws(SystemError) {
        let parent = Environment.value("TMPDIR") ?? "/tmp"
        let template = "\(parent)/\(prefix)XXXXXX"
        var name = Array(template.utf8CString)
        // SAFETY: the array is NUL-ended and written in place.
        let made = unsafe name.withUnsafeMutableBufferPointer { buffer -> Bool in
            guard let base = buffer.baseAddress else { return false }
            return unsafe mkdtemp(base) != nil
        }
        guard made else {
            let code = errno
            throw SystemError(
                code: code, call: "mkdtemp", path: template,
                detail:
                    "no temporary folder can be made in `\(parent)` (\(systemText(code))); set TMPDIR to a folder that "
                    + "this user may write")
        }
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        removeTree(path, depth: 0)
    }

    /// Files and folders below; symbolic links are removed, never followed.
    private func removeTree(_ folder: String, depth: Int) {
        guard depth < 8 else { return }
        // SAFETY: the directory stream is closed below; names are copied at once, paths are NUL-ended for each call.
        if let stream = unsafe opendir(folder) {
            while let entry = unsafe readdir(stream) {
                let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                        unsafe String(cString: $0)
                    }
                }
                guard name != ".", name != ".." else { continue }
                let path = "\(folder)/\(name)"
                if unsafe unlink(path) != 0 { removeTree(path, depth: depth + 1) }
            }
            unsafe _ = closedir(stream)
        }
        _ = unsafe rmdir(folder)
    }
}
