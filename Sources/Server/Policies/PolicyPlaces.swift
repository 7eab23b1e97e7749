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
/// A file that is written or removed in place is left alone until SIGHUP, and the log says so once. Folders kept by
/// symbolic links change under a name that is no file's (`..data`); where the path itself goes over a link (`current`),
/// the link may be exchanged.
struct PolicyWatch: ~Copyable {
    /// Beyond this the policy is read again on SIGHUP only.
    static let foldersMax = 1_000
    private static let depthMax = 32
    private static let namesMax = 100_000

    private let places: PolicyPlaces?
    private let log: EventLog
    private var watch: FolderWatch
    /// Folders of which every name counts.
    private var whole: Set<String> = []
    /// Symbolic links that the paths go over.
    private var links: Set<String> = []
    /// Whether a change in place was told of since the policy was last read.
    private var hasWarned = false
    var raw: Int32 { watch.raw }

    /// - Throws: when nothing can be watched. A single folder that cannot be is told in the log.
    init(_ places: PolicyPlaces?, log: EventLog) throws(SystemError) {
        self.places = places
        self.log = log
        watch = try FolderWatch()
        follow()
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
            follow()
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

    private func counts(_ change: FolderChange) -> Bool {
        switch change {
        case .eventsLost, .folderGone: return true
        case .changedInPlace: return false
        case .folderMade(let folder, let name): return whole.contains(folder) && !name.hasPrefix(".")
        case .renamedInto(let folder, let name):
            if name.hasPrefix("..") || links.contains(PolicyWatch.join(folder, name)) { return true }
            if whole.contains(folder) { return !name.hasPrefix(".") }
            return places?.paths.contains { Files.split($0) == (folder, name) } ?? false
        }
    }

    /// Looks where the paths lead now: again whenever the policy is read.
    mutating func follow() {
        hasWarned = false
        whole = []
        links = []
        for path in places?.paths ?? [] {
            add(Files.split(path).folder)
            followLinks(of: path)
            // One that is not there is refused when the policy is read, and comes back under its name.
            guard PolicyWatch.kind(path, followsLinks: true) == .folder else { continue }
            whole.insert(path)
            add(path)
            follow(below: path, depth: 1)
        }
    }

    private mutating func followLinks(of path: String) {
        var prefix = Files.split(path).folder
        while prefix != ".", prefix != "/" {
            let folder = Files.split(prefix).folder
            if PolicyWatch.kind(prefix, followsLinks: false) == .link {
                links.insert(PolicyWatch.join(folder, Files.split(prefix).name))
                add(folder)
            }
            prefix = folder
        }
    }

    private mutating func follow(below folder: String, depth: Int) {
        guard depth <= PolicyWatch.depthMax,
            let names = try? Files.names(in: folder, namesMax: PolicyWatch.namesMax)
        else { return }
        for name in names where !name.hasPrefix(".") {
            let path = PolicyWatch.join(folder, name)
            // What cannot be looked at is refused when the policy is read.
            guard PolicyWatch.kind(path, followsLinks: false) == .folder else { continue }
            guard whole.count < PolicyWatch.foldersMax else {
                log.write(
                    .warning, "policy_folders_unwatched",
                    "the policy has more than \(PolicyWatch.foldersMax) folders, and changes in `\(path)` are seen on "
                        + "SIGHUP only")
                return
            }
            whole.insert(path)
            add(path)
            follow(below: path, depth: depth + 1)
        }
    }

    private mutating func add(_ folder: String) {
        do throws(SystemError) {
            try watch.add(folder: folder)
        } catch {
            log.write(.warning, "policy_folder_unwatched", "changes in `\(folder)` are seen on SIGHUP only: \(error)")
        }
    }

    private static func join(_ folder: String, _ name: String) -> String {
        folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
    }

    /// - Returns: nil for what cannot be looked at.
    private static func kind(_ path: String, followsLinks: Bool) -> FileKind? {
        try? Files.kind(path, followsLinks: followsLinks)
    }
}
