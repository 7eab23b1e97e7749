import Glibc
import Testing

@testable import Kernel

@Suite struct FileTests {
    let folder = TemporaryFolder()

    @Test func readWithLimit() throws {
        folder.write("a", "12345")
        let contents = try Files.read(folder.file("a"), bytesMax: 5)
        #expect(text(contents.bytes) == "12345")
        #expect(contents.stamp == (try Files.stamp(folder.file("a"))))
        #expect { try Files.read(folder.file("a"), bytesMax: 4) } throws: { error in
            (error as? SystemError)?.code == EFBIG && "\(error)".contains("more than 4 bytes")
        }
    }

    /// Its size says 0 although it has bytes: the limit holds for what is read, not for what stat says.
    @Test func limitOfAFileThatLiesAboutItsSize() throws {
        #expect(try Files.read("/proc/self/status", bytesMax: 100_000).bytes.count > 100)
        #expect(throws: SystemError.self) { try Files.read("/proc/self/status", bytesMax: 100) }
    }

    @Test func onlyRegularFiles() throws {
        #expect { try Files.read(folder.path, bytesMax: 5) } throws: { "\($0)".contains("is a folder") }
        // SAFETY: the string lives for the call.
        unsafe _ = mkfifo(folder.file("pipe"), 0o600)
        #expect { try Files.read(folder.file("pipe"), bytesMax: 5) } throws: {
            "\($0)".contains("no regular file")
        }
        #expect { try Files.read(folder.file("none"), bytesMax: 5) } throws: { error in
            (error as? SystemError)?.code == ENOENT && "\(error)".contains("correct the path")
        }
    }

    @Test func replaceIsWholeAndLeavesNothingBehind() throws {
        folder.write("a", "old")
        let bytes = Array(repeating: UInt8(0x61), count: 300_000)
        try Files.replace(folder.file("a"), bytes: bytes.span, mode: 0o640)
        #expect(try Files.read(folder.file("a"), bytesMax: 1 << 20).bytes == bytes)
        #expect(permissions(folder.file("a")) == 0o640)
        try Files.replace(folder.file("empty"), bytes: [UInt8]().span)
        #expect(permissions(folder.file("empty")) == 0o600)
        #expect(throws: SystemError.self) {
            try Files.replace(folder.file("none/a"), bytes: bytes.span)
        }
        // A folder of that name makes the rename fail; the temporary file goes.
        try Files.makeFolder(folder.file("taken/x"))
        #expect(throws: SystemError.self) { try Files.replace(folder.file("taken"), bytes: bytes.span) }
        #expect(entries(folder.path) == ["a", "empty", "taken"])
    }

    @Test func folders() throws {
        try Files.makeFolder(folder.file("x/y/z"), mode: 0o750)
        try Files.makeFolder(folder.file("x/y/z"))
        #expect(permissions(folder.file("x/y/z")) == 0o750)
        folder.write("file", "")
        #expect { try Files.makeFolder(folder.file("file")) } throws: { "\($0)".contains("no folder") }
        #expect(throws: SystemError.self) { try Files.makeFolder(folder.file("file/below")) }
    }

    @Test(arguments: [
        ("a/b", "a", "b"), ("b", ".", "b"), ("/b", "/", "b"), ("/a/b/c", "/a/b", "c"),
    ])
    func split(_ path: String, _ parent: String, _ name: String) {
        #expect(Files.split(path) == (parent, name))
    }

    @Test(arguments: [
        ("a", "/etc", "/etc/a"), ("/a", "/etc", "/a"), ("a", ".", "a"), ("a", "", "a"), ("a", "/", "/a"),
    ])
    func resolve(_ path: String, _ parent: String, _ expected: String) {
        #expect(Files.resolve(path, against: parent) == expected)
    }

    @Test(arguments: [("a", "a/b"), ("a/", "a/b"), ("a//", "a/b"), ("/", "/b"), (".", "./b"), ("/a/c/", "/a/c/b")])
    func join(_ parent: String, _ expected: String) {
        #expect(Files.join(parent, "b") == expected)
    }

    @Test func lockIsExclusive() throws {
        let path = folder.file("lock")
        do {
            let lock = try FileLock(path: path)
            var message = ""
            do { _ = try FileLock(path: path) } catch {
                #expect(error.code == EWOULDBLOCK)
                message = error.description
            }
            #expect(message.contains("process \(getpid())"))
            _ = consume lock
        }
        _ = try FileLock(path: path)
        #expect(permissions(path) == 0o600)
    }

    @Test func accounts() {
        #expect(Accounts.userID("root") == 0)
        #expect(Accounts.groupID("root") == 0)
        #expect(Accounts.userID("1234") == 1234)
        #expect(Accounts.userID("4294967295") == nil)
        #expect(Accounts.userID("99999999999") == nil)
        #expect(Accounts.userID("no-such-user-here") == nil)
        #expect(Accounts.groupID("no-such-group-here") == nil)
        #expect(Accounts.userID("") == nil)
    }

    @Test func errorsSayWhatToDo() {
        let error = SystemError(code: EACCES, call: "open", path: "/etc/x")
        #expect(
            error.description
                == "`/etc/x`: open: permission denied; give this user access to it and to every folder above it"
        )
        #expect(SystemError(code: EINVAL, call: "epoll_ctl").description == "epoll_ctl: invalid argument")
        #expect(SystemError(code: 9999, call: "x").description.contains("9999"))
        #expect(SystemError(code: 1, call: "x", detail: "so it is").description == "so it is")
    }
}
