import Glibc
import Kernel
import Policy
import PolicyTables
import Testing

/// A folder with some files in it, which goes with this object.
private final class Folder {
    let temporary: TemporaryFolder
    /// Without links: a machine may have its temporary files behind one.
    let path: String

    init(_ files: [String: String] = [:]) throws {
        temporary = try TemporaryFolder(prefix: "scopecheck-")
        path = try Files.realPath(temporary.path)
        for (name, text) in files { try write(name, text) }
    }

    func write(_ name: String, _ text: String) throws {
        let file = "\(path)/\(name)"
        try Files.makeFolder(Files.split(file).folder)
        try Files.replace(file, bytes: Array(text.utf8).span)
    }

    func link(_ name: String, to target: String) throws {
        try Files.makeFolder(Files.split("\(path)/\(name)").folder)
        let result = unsafe symlink(target, "\(path)/\(name)")
        try #require(result == 0)
    }
}

private func refusal(_ paths: [String]) -> String? {
    do throws(PolicyFilesError) {
        _ = try PolicyFiles.read(paths)
        return nil
    } catch {
        return error.description
    }
}

@Suite struct PolicyFilesTests {
    @Test func oneFile() throws {
        let folder = try Folder(["my policy.yaml": "a"])
        let files = try PolicyFiles.read(["\(folder.path)/my policy.yaml"])
        #expect(files.files == [PolicyBundle.File(name: "my policy.yaml", bytes: Array("a".utf8))])
        #expect(files.labels == ["\(folder.path)/my policy.yaml"])
        #expect(files.folder == folder.path)
        #expect(try files.bundle(environment: nil).encoded == Array("a".utf8))
    }

    @Test func aFolder() throws {
        let folder = try Folder([
            "b.yaml": "1", "a.yml": "2", "team/c.yaml": "3", "README.md": "x", ".hidden.yaml": "x", ".git/d.yaml": "x",
            "a/z.yaml": "4", "e.yaml.bak": "x",
        ])
        let files = try PolicyFiles.read([folder.path + "/"])
        #expect(files.files.map(\.name) == ["a.yml", "a/z.yaml", "b.yaml", "team/c.yaml"])
        #expect(files.labels.last == "\(folder.path)/team/c.yaml")
        #expect(files.folder == folder.path + "/")
        let bundle = try files.bundle(environment: "prod")
        #expect(bundle.environment == "prod")
        #expect(PolicyBundle(decoding: bundle.encoded) == bundle)
    }

    /// The same files have the same names from wherever they are read.
    @Test func namesStartAtTheCommonFolder() throws {
        let folder = try Folder(["x/common/a.yaml": "1", "x/team/b.yaml": "2", "x/team/sub/c.yaml": "3"])
        let one = try PolicyFiles.read(["\(folder.path)/x"])
        let several = try PolicyFiles.read([
            "\(folder.path)/x/team/../team/sub/c.yaml", "\(folder.path)/x/common", "\(folder.path)/x/team/b.yaml",
        ])
        #expect(several.files == one.files)
        #expect(several.folder == "\(folder.path)/x")
        #expect(try several.bundle(environment: nil).encoded == one.bundle(environment: nil).encoded)
        #expect(several.labels[2] == "\(folder.path)/x/team/../team/sub/c.yaml")
    }

    /// Adding a file deeper down does not move the place that relative paths start from.
    @Test func aFolderOfOneFileDeepDown() throws {
        let folder = try Folder(["a/b/c.yaml": "1"])
        let files = try PolicyFiles.read([folder.path])
        #expect(files.files.map(\.name) == ["a/b/c.yaml"])
        #expect(files.folder == folder.path)
    }

    @Test func linksWithinTheFolder() throws {
        // As a volume of a container is made: the file is a link through a hidden folder.
        let folder = try Folder(["..2026/policy.yaml": "1"])
        try folder.link("..data", to: "..2026")
        try folder.link("policy.yaml", to: "..data/policy.yaml")
        try folder.link("NOTES", to: "/nowhere")
        #expect(try PolicyFiles.read([folder.path]).files.map(\.name) == ["policy.yaml"])
    }

    @Test func linksOutOfTheFolder() throws {
        let outside = try Folder(["o.yaml": "1"])
        let folder = try Folder(["a.yaml": "1"])
        try folder.link("b.yaml", to: "\(outside.path)/o.yaml")
        #expect(refusal([folder.path])?.contains("leads out of the folder, to `\(outside.path)/o.yaml`") == true)
        // Who names the link means it.
        #expect(refusal(["\(folder.path)/b.yaml"]) == nil)
        // The name of one folder may be the start of another's.
        let other = try Folder(["in/a.yaml": "1", "inside/b.yaml": "2"])
        try other.link("in/b.yaml", to: "../inside/b.yaml")
        #expect(refusal(["\(other.path)/in"])?.contains("leads out") == true)
    }

    @Test func linksToFolders() throws {
        let folder = try Folder(["a/b.yaml": "1"])
        try folder.link("a/loop", to: "..")
        #expect(refusal([folder.path])?.contains("is a link to a folder") == true)
        let dangling = try Folder()
        try dangling.link("a.yaml", to: "nowhere.yaml")
        #expect(refusal([dangling.path])?.contains("create it, or correct the path") == true)
    }

    @Test func specialFiles() throws {
        let folder = try Folder(["a.yaml": "1"])
        let made = unsafe mkfifo("\(folder.path)/b.yaml", 0o600)
        try #require(made == 0)
        #expect(refusal([folder.path])?.contains("`\(folder.path)/b.yaml` is no regular file") == true)
        #expect(refusal(["\(folder.path)/b.yaml"])?.contains("neither a file nor a folder") == true)
        #expect(refusal(["/dev/null"])?.contains("neither a file nor a folder") == true)
        // A pipe that is called something else is nobody's policy.
        let other = try Folder(["a.yaml": "1"])
        let alsoMade = unsafe mkfifo("\(other.path)/pipe", 0o600)
        try #require(alsoMade == 0)
        #expect(refusal([other.path]) == nil)
        // A folder that is called like a file is a folder.
        let third = try Folder(["x.yaml/a.yaml": "1"])
        #expect(try PolicyFiles.read([third.path]).files.map(\.name) == ["x.yaml/a.yaml"])
    }

    @Test func nothingToRead() throws {
        let folder = try Folder(["README.md": "x"])
        #expect(refusal([folder.path])?.contains("holds no policy file") == true)
        #expect(refusal([])?.contains("no policy file was named") == true)
        #expect(refusal([""])?.contains("an empty path") == true)
        #expect(refusal(["\(folder.path)/none.yaml"])?.contains("create it, or correct the path") == true)
    }

    @Test func aFileNamedTwice() throws {
        let folder = try Folder(["a.yaml": "1", "b.yaml": "2"])
        let (first, second) = ("\(folder.path)/a.yaml", "\(folder.path)/./a.yaml")
        #expect(refusal([first, second]) == "`\(first)` and `\(second)` are the same file; name it once")
        #expect(refusal([folder.path, first])?.contains("are the same file") == true)
        let linked = unsafe link(first, "\(folder.path)/c.yaml")
        try #require(linked == 0)
        #expect(refusal([folder.path])?.contains("are the same file") == true)
    }

    @Test func namesThatNoBundleHolds() throws {
        let folder = try Folder(["a.yaml": "1", "b c.yaml": "2"])
        #expect(refusal([folder.path])?.contains("`b c.yaml` cannot be the name of a policy file; rename it") == true)
        let one = try PolicyFiles.read(["\(folder.path)/b c.yaml"])
        #expect(throws: PolicyFilesError.self) { try one.bundle(environment: "prod") }
        #expect(throws: PolicyFilesError.self) { try one.bundle(environment: "no such\n") }
        #expect(throws: Never.self) { try PolicyFiles(standardInput: []).bundle(environment: "prod") }
    }

    @Test func foldersThatAreTooDeep() throws {
        let deepest = String(repeating: "d/", count: PolicyFiles.depthMax)
        let folder = try Folder(["a.yaml": "1"])
        try Files.makeFolder("\(folder.path)/\(deepest)")
        #expect(refusal([folder.path])?.contains("folders deep") == true)
        // The temporary folder is not removed that deep.
        for depth in stride(from: PolicyFiles.depthMax, through: 1, by: -1) {
            _ = unsafe rmdir("\(folder.path)/" + String(repeating: "d/", count: depth))
        }
    }

    @Test func namesThatAreNoText() throws {
        let folder = try Folder(["a.yaml": "1"])
        let name = Array("\(folder.path)/".utf8CString.dropLast()) + [CChar(bitPattern: 0xFF), 0]
        let file = unsafe open(name, O_CREAT | O_WRONLY, 0o600)
        try #require(file >= 0)
        close(file)
        #expect(refusal([folder.path])?.contains("a name that is not UTF-8") == true)
        _ = unsafe unlink(name)
    }

    @Test func progressCounts() throws {
        let folder = try Folder(["a.yaml": "1", "b.yaml": "2"])
        var steps: [[Int]] = []
        _ = try PolicyFiles.read([folder.path]) { steps.append([$0, $1]) }
        #expect(steps == [[1, 2], [2, 2]])
    }

    /// From a folder to a policy that tells its files apart.
    @Test func aFolderIsAPolicy() throws {
        let folder = try Folder([
            "common.yaml": "scopecheck: 1\nscopes: { read: {} }\n",
            "team/api.yaml":
                "scopecheck: 1\nservices:\n  api: { hosts: [a.example.com], routes: [{ match: GET /, scopes: x }] }\n",
        ])
        let files = try PolicyFiles.read([folder.path])
        let policy = loadPolicy(bundle: try files.bundle(environment: nil), labels: files.labels, now: testNow)
        #expect(policy.diagnostics.contains { $0.code == .unknownScope && $0.file == "\(folder.path)/team/api.yaml" })
    }
}
