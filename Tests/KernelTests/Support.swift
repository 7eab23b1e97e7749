import Glibc
import Octets

@testable import Kernel

/// A folder of its own for each test, removed with everything in it.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/kernel-tests-XXXXXX".utf8CString)
        // SAFETY: the template is a NUL-ended array that lives for the call.
        unsafe _ = mkdtemp(&template)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        removeAll(path)
    }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ name: String, _ text: String) {
        // SAFETY: the strings live for the calls.
        let raw = unsafe open(file(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        unsafe _ = Glibc.write(raw, text, text.utf8.count)
        _ = Glibc.close(raw)
    }
}

private func removeAll(_ path: String) {
    guard let found = status(path) else { return }
    if found.st_mode & S_IFMT == S_IFDIR {
        for name in entries(path) { removeAll("\(path)/\(name)") }
    }
    // SAFETY: the string lives for the call.
    unsafe _ = remove(path)
}

/// Names in a folder, sorted.
func entries(_ path: String) -> [String] {
    // SAFETY: the stream is closed below; each entry is copied before the next call.
    guard let stream = unsafe opendir(path) else { return [] }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
        let name = unsafe withUnsafePointer(to: entry.pointee.d_name) { pointer in
            unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    unsafe _ = closedir(stream)
    return names.sorted()
}

/// lstat of a path; nil when nothing is there.
func status(_ path: String) -> stat? {
    var status = stat()
    // SAFETY: the string and the structure live for the call.
    return unsafe lstat(path, &status) == 0 ? status : nil
}

func permissions(_ path: String) -> UInt32? { status(path).map { UInt32($0.st_mode & 0o7777) } }

/// A connected pair: what connects to the listener, and what the listener accepts.
func connect(_ listener: ListeningSocket) throws -> Int32 {
    var target = try SocketAddress(listener.address)
    let socket = try makeSocket(target.family)
    let raw = socket.raw
    // SAFETY: the pointers live for the call.
    _ = unsafe target.withPointer { unsafe Glibc.connect(raw, $0, $1.pointee) }
    return socket.release()
}

func waitUntilReadable(_ raw: Int32, milliseconds: Int32 = 5000) -> Bool {
    var entry = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
    // SAFETY: one entry.
    return unsafe poll(&entry, 1, milliseconds) == 1
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
