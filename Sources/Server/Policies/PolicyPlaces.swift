internal import Kernel

/// The files and folders that the daemon takes its policy from.
public struct PolicyPlaces: Sendable, Equatable {
    /// At least one; a folder stands for every `*.yaml` and `*.yml` below it.
    public var paths: [String]

    public init(paths: [String]) {
        self.paths = paths.map { path in
            var path = path
            while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
            return path
        }
    }

    /// How messages name them.
    var label: String { (paths.first ?? "") + (paths.count > 1 ? " and \(paths.count - 1) more" : "") }
}

/// Tells when the files of the policy may have changed: one was renamed into place in a folder that it is in.
///
/// A file that is written or removed in place is left alone until SIGHUP, and the log says so once. Folders kept by symbolic links
/// change under a name that is no file's (`..data`), or are exchanged themselves (`current`).
struct PolicyWatch: ~Copyable {
    /// Beyond this the policy is read again on SIGHUP only.
    static let foldersMax = 1_000
    private static let depthMax = 32
    private static let namesMax = 100_000

    private let places: PolicyPlaces?
    private let log: EventLog
    private var watch: FolderWatch
    /// Folders of which every name counts.
    private var whole: Set<String>
    /// Whether a change in place was told of since the policy was last read.
    private var hasWarned = false
    var raw: Int32 { watch.raw }

    /// - Throws: when what the daemon was told to read cannot be watched.
    init(_ places: PolicyPlaces?, log: EventLog) throws(SystemError) {
        var watch = try FolderWatch()
        var whole: Set<String> = []
        for path in places?.paths ?? [] {
            try watch.add(folder: Files.split(path).folder)
            if PolicyWatch.isFolder(path) { whole.insert(path) }
        }
        self.places = places
        self.log = log
        self.watch = watch
        self.whole = whole
        followNewFolders()
    }

    /// Whether anything happened since the last call after which the policy is to be read again.
    mutating func hasChanged() -> Bool {
        var result = false
        var inPlace: String?
        for change in watch.changes() {
            if counts(change) { result = true }
            if case .changedInPlace(let folder, let name) = change, isPolicyFile(folder, name) { inPlace = name }
        }
        if result {
            followNewFolders()
        } else if let inPlace, !hasWarned {
            hasWarned = true
            log.write(
                .warning, "policy_changed_in_place",
                "`\(inPlace)` was written or removed in place, which may be half of a change, and is not read: send "
                    + "SIGHUP when all is there, or rename files into place")
        }
        return result
    }

    private func isPolicyFile(_ folder: String, _ name: String) -> Bool {
        if places?.paths.contains(where: { Files.split($0) == (folder, name) }) ?? false { return true }
        return whole.contains(folder) && !name.hasPrefix(".") && (name.hasSuffix(".yaml") || name.hasSuffix(".yml"))
    }

    private mutating func counts(_ change: FolderChange) -> Bool {
        switch change {
        case .eventsLost: return true
        case .changedInPlace: return false
        case .renamedInto(let folder, let name):
            if name.hasPrefix("..") { return true }
            if whole.contains(folder) { return !name.hasPrefix(".") }
            return places?.paths.contains { Files.split($0) == (folder, name) } ?? false
        case .folderGone(let folder):
            // One that was named may come back under its name.
            if places?.paths.contains(folder) ?? false { return true }
            if whole.remove(folder) != nil { return true }
            log.write(
                .warning, "policy_folder_gone",
                "the folder `\(folder)` was moved or removed; restart to follow the policy in it again")
            return false
        }
    }

    /// Also after SIGHUP: a folder that was made, not moved, into one of the policy's is not reported.
    mutating func followNewFolders() {
        hasWarned = false
        // One that is not there is refused when the policy is read, and comes back under its name.
        for path in places?.paths ?? [] where whole.contains(path) && PolicyWatch.isFolder(path) {
            follow(path)
            follow(below: path, depth: 1)
        }
    }

    private mutating func follow(_ folder: String) {
        do throws(SystemError) {
            try watch.add(folder: folder)
            whole.insert(folder)
        } catch {
            log.write(.warning, "policy_folder_unwatched", "changes in `\(folder)` are seen on SIGHUP only: \(error)")
        }
    }

    private mutating func follow(below folder: String, depth: Int) {
        guard depth <= PolicyWatch.depthMax,
            let names = try? Files.names(in: folder, namesMax: PolicyWatch.namesMax)
        else { return }
        for name in names where !name.hasPrefix(".") {
            let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
            // What cannot be looked at is refused when the policy is read.
            guard (try? Files.kind(path, followsLinks: false)) == .folder else { continue }
            guard whole.contains(path) || whole.count < PolicyWatch.foldersMax else {
                log.write(
                    .warning, "policy_folders_unwatched",
                    "the policy has more than \(PolicyWatch.foldersMax) folders, and changes in `\(path)` are seen on "
                        + "SIGHUP only")
                return
            }
            follow(path)
            follow(below: path, depth: depth + 1)
        }
    }

    private static func isFolder(_ path: String) -> Bool {
        (try? Files.kind(path, followsLinks: true)) == .folder
    }
}
