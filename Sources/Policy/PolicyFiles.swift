internal import Kernel
public import PolicyTables

/// Why files could not be taken for a policy: a sentence that says what to do.
public struct PolicyFilesError: Error, Equatable, Sendable, CustomStringConvertible {
    public var description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// The files of a policy, as paths of files and folders name them.
///
/// A folder stands for every `*.yaml` and `*.yml` below it; names that begin with a dot are passed over. What is called
/// so and is no regular file is refused, and so is a link that leads out of the folder: a policy is what a reviewer
/// finds in its folder. Files are named relative to the deepest folder that all paths have in common, so that a version
/// does not depend on where it was read.
public struct PolicyFiles: Sendable {
    /// In byte order of their names. One file that was named itself has the last part of its path.
    public let files: [PolicyBundle.File]
    /// The file as the paths name it, for messages; in the same order.
    public let labels: [String]
    /// Where relative paths of key files start: the deepest folder that all paths have in common, as it was named where
    /// there is one path.
    public let folder: String

    public static let depthMax = 32
    /// Of any kind, in one folder.
    static let namesMax = 100_000

    /// - Parameter progress: called with the number of files read and of all.
    /// - Throws: a path that cannot be read; more than `PolicyBundle.filesMax` files or `PolicyBundle.bytesMax`
    ///   bytes; a file named twice; a name that no bundle holds; a link or a special file where a policy file should
    ///   be; no file at all.
    public static func read(
        _ paths: [String], progress: ((_ done: Int, _ total: Int) -> Void)? = nil
    ) throws(PolicyFilesError) -> PolicyFiles {
        var search = FileSearch()
        for path in paths { try search.add(path) }
        let (files, labels, folder) = try search.result(progress: progress)
        return PolicyFiles(files: files, labels: labels, folder: folder)
    }

    /// What was read from standard input: one file of no folder.
    public init(standardInput bytes: [UInt8]) {
        self.init(files: [PolicyBundle.File(name: "-", bytes: bytes)], labels: ["-"], folder: ".")
    }

    private init(files: [PolicyBundle.File], labels: [String], folder: String) {
        self.files = files
        self.labels = labels
        self.folder = folder
    }

    /// - Parameter environment: nil for a policy that has none.
    /// - Throws: a name of an environment that is none.
    public func bundle(environment: String?) throws(PolicyFilesError) -> PolicyBundle {
        if let environment, !PolicyBundle.isEnvironment(environment) {
            throw PolicyFilesError(
                "\(quoted(environment)) is no name of an environment; use 1 to 64 letters, digits, `_`, `-` and `.`")
        }
        if let bundle = PolicyBundle(files: files, environment: environment) { return bundle }
        // With an environment even one file has its name in the version.
        let name = files.first { !PolicyBundle.isName($0.name) }?.name ?? ""
        throw refusedName(name)
    }
}

private func refusedName(_ name: String) -> PolicyFilesError {
    PolicyFilesError(
        "\(quoted(name)) cannot be the name of a policy file; rename it, without spaces, backslashes and control "
            + "characters and with at most \(PolicyBundle.nameBytesMax) bytes")
}

/// Finds the files below some paths, and then reads them.
private struct FileSearch {
    private struct Found {
        /// To open it.
        var path: String
        var label: String
        /// Absolute, without links in its folders.
        var real: String
    }

    private var found: [Found] = []
    /// The folder of each path, absolute and without links.
    private var folders: [String] = []
    private var firstFolder = "."
    private var isOneFile = false

    mutating func add(_ path: String) throws(PolicyFilesError) {
        guard !path.isEmpty else { throw refusal("an empty path", "name a file or a folder") }
        switch try kind(path, followsLinks: true) {
        case .regular:
            let (folder, name) = Files.split(path)
            let real = try realPath(folder)
            note(folder: folder, real: real)
            found.append(Found(path: path, label: path, real: join(real, name)))
            isOneFile = folders.count == 1
        case .folder:
            let real = try realPath(path)
            note(folder: path, real: real)
            isOneFile = false
            let before = found.count
            try walk(path, real: real, root: real, depth: 1)
            guard found.count > before else {
                throw refusal("`\(path)` holds no policy file", "put one there that ends in `.yaml` or `.yml`")
            }
        case .link, .other:
            throw refusal("`\(path)` is neither a file nor a folder", "name a policy file, or a folder of some")
        }
    }

    private mutating func note(folder: String, real: String) {
        if folders.isEmpty { firstFolder = folder }
        folders.append(real)
    }

    private mutating func walk(_ folder: String, real: String, root: String, depth: Int) throws(PolicyFilesError) {
        guard depth <= PolicyFiles.depthMax else {
            throw refusal(
                "`\(folder)` is more than \(PolicyFiles.depthMax) folders deep", "use fewer folders")
        }
        for name in try names(in: folder) where !name.hasPrefix(".") {
            let path = join(folder, name)
            let itself = try kind(path, followsLinks: false)
            if itself == .folder {
                try walk(path, real: join(real, name), root: root, depth: depth + 1)
                continue
            }
            if itself == .link { try checkLink(path, root: root) }
            guard isPolicyName(name) else { continue }
            guard try kind(path, followsLinks: true) == .regular else {
                throw refusal("`\(path)` is no regular file", "remove it, or give it another ending")
            }
            guard found.count < PolicyBundle.filesMax else {
                throw refusal(
                    "there are more than \(PolicyBundle.filesMax) policy files", "join some of them")
            }
            found.append(Found(path: path, label: path, real: join(real, name)))
        }
    }

    /// A link may name another file of the folder, as volumes of containers do; not a folder, which could hold itself.
    private func checkLink(_ path: String, root: String) throws(PolicyFilesError) {
        if isFolder(path) {
            throw refusal("`\(path)` is a link to a folder", "put the folder itself there, or name it as well")
        }
        guard isPolicyName(path) else { return }
        let target = try realPath(path)
        guard target.utf8.starts(with: (root == "/" ? root : root + "/").utf8) else {
            throw refusal(
                "`\(path)` is a link that leads out of the folder, to `\(target)`",
                "put the file itself there, or name `\(target)` as well")
        }
    }

    private func isPolicyName(_ path: String) -> Bool { path.hasSuffix(".yaml") || path.hasSuffix(".yml") }

    private func isFolder(_ path: String) -> Bool {
        // What cannot be looked at is no folder that would be walked.
        (try? Files.kind(path, followsLinks: true)) == .folder
    }

    // MARK: Reading

    func result(
        progress: ((_ done: Int, _ total: Int) -> Void)?
    ) throws(PolicyFilesError) -> (files: [PolicyBundle.File], labels: [String], folder: String) {
        let common = commonFolder
        let named = try name(below: common)
        let files = try read(named, progress: progress)
        return (files, named.map(\.found.label), folders.count == 1 ? firstFolder : common)
    }

    private typealias Named = (name: String, found: Found)

    /// In byte order of the names.
    private func name(below common: String) throws(PolicyFilesError) -> [Named] {
        guard !found.isEmpty else { throw refusal("no policy file was named", "name a file or a folder") }
        guard found.count <= PolicyBundle.filesMax else {
            throw refusal(
                "there are more than \(PolicyBundle.filesMax) policy files", "join some of them")
        }
        let prefix = common == "/" ? 1 : common.utf8.count + 1
        var named: [Named] = []
        for one in found {
            let name = String(decoding: one.real.utf8.dropFirst(prefix), as: UTF8.self)
            // The name of one file is not part of its version; it was always free.
            guard isOneFile || PolicyBundle.isName(name) else {
                throw refusedName(name)
            }
            named.append((name, one))
        }
        named.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        return named
    }

    private func read(
        _ named: [Named], progress: ((_ done: Int, _ total: Int) -> Void)?
    ) throws(PolicyFilesError) -> [PolicyBundle.File] {
        var files: [PolicyBundle.File] = []
        var bytesLeft = PolicyBundle.bytesMax
        var owners: [FileStamp: String] = [:]
        for (name, found) in named {
            let contents: FileContents
            do throws(SystemError) {
                contents = try Files.read(found.path, bytesMax: bytesLeft)
            } catch {
                guard error.isTooLarge else { throw PolicyFilesError("\(error)") }
                throw refusal(
                    "the policy has more than \(PolicyBundle.bytesMax) bytes with `\(found.label)`",
                    "split it into policies for separate daemons")
            }
            if let first = owners.updateValue(found.label, forKey: contents.stamp) {
                throw refusal(
                    "`\(first)` and `\(found.label)` are the same file", "name it once")
            }
            bytesLeft -= contents.bytes.count
            files.append(PolicyBundle.File(name: name, bytes: contents.bytes))
            progress?(files.count, named.count)
        }
        return files
    }

    /// The deepest folder that all have in common.
    private var commonFolder: String {
        var common = (folders.first ?? "/").split(separator: "/")
        for folder in folders.dropFirst() {
            let parts = folder.split(separator: "/")
            common = Array(zip(common, parts).prefix { $0 == $1 }.map(\.0))
        }
        return "/" + common.joined(separator: "/")
    }

    private func join(_ folder: String, _ name: String) -> String {
        folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
    }

    private func refusal(_ message: String, _ mend: String) -> PolicyFilesError {
        PolicyFilesError("\(message); \(mend)")
    }
}

// MARK: The system, whose refusals are sentences too

private func kind(_ path: String, followsLinks: Bool) throws(PolicyFilesError) -> FileKind {
    do throws(SystemError) {
        return try Files.kind(path, followsLinks: followsLinks)
    } catch {
        throw PolicyFilesError("\(error)")
    }
}

private func realPath(_ path: String) throws(PolicyFilesError) -> String {
    do throws(SystemError) {
        return try Files.realPath(path)
    } catch {
        throw PolicyFilesError("\(error)")
    }
}

private func names(in folder: String) throws(PolicyFilesError) -> [String] {
    do throws(SystemError) {
        return try Files.names(in: folder, namesMax: PolicyFiles.namesMax)
    } catch {
        throw PolicyFilesError("\(error)")
    }
}
