internal import Glibc

/// Something that happened in a watched folder.
public enum FolderChange: Hashable, Sendable {
    /// A file was renamed into the folder under this name: it is complete.
    case renamedInto(folder: String, name: String)
    /// A folder was made in it, which is not watched yet.
    case folderMade(folder: String, name: String)
    /// A file was written and closed, removed, or renamed away: what is there now may be half of something.
    case changedInPlace(folder: String, name: String)
    /// The folder itself was removed or moved; it is no longer watched.
    case folderGone(folder: String)
    /// The kernel dropped events: treat every file as changed.
    case eventsLost
}

/// Tells of files that are renamed into place, and of those that are not (inotify(7)).
///
/// Only IN_MOVED_TO says that a file is complete. One that was written in place and closed may be half of what is to
/// come; whoever changes a file must rename it into place or say so by SIGHUP. A folder managed through a symbolic link
/// that is swapped (`..data`) reports the link's name.
public struct FolderWatch: ~Copyable {
    private static let inPlace = UInt32(IN_CLOSE_WRITE) | UInt32(IN_DELETE) | UInt32(IN_MOVED_FROM)

    private let descriptor: FileDescriptor
    /// One folder may have several names.
    private var folders: [(watch: Int32, path: String)] = []
    /// For `Epoll.add`, with `readable`.
    public var raw: Int32 { descriptor.raw }

    public init() throws(SystemError) {
        let flags = Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC)
        let raw = try checked("inotify_init1") { Int(inotify_init1(flags)) }
        descriptor = FileDescriptor(owning: Int32(truncatingIfNeeded: raw))
    }

    /// Watches one more folder, or the one that has its name now instead of the one that had it. The same folder again
    /// changes nothing.
    public mutating func add(folder: String) throws(SystemError) {
        let events =
            UInt32(IN_MOVED_TO) | UInt32(IN_CREATE) | FolderWatch.inPlace | UInt32(IN_DELETE_SELF)
            | UInt32(IN_MOVE_SELF)
            | UInt32(IN_ONLYDIR)
        let raw = descriptor.raw
        // SAFETY: the string lives for the call.
        let watch = try checked("inotify_add_watch", path: folder) {
            unsafe Int(inotify_add_watch(raw, folder, events))
        }
        let number = Int32(truncatingIfNeeded: watch)
        if let index = folders.firstIndex(where: { $0.path == folder }) {
            let old = folders[index].watch
            guard old != number else { return }
            folders.remove(at: index)
            if !folders.contains(where: { $0.watch == old }) { _ = inotify_rm_watch(raw, old) }
        }
        folders.append((number, folder))
    }

    /// Everything that happened since the last call.
    public mutating func changes() -> [FolderChange] {
        var changes: [FolderChange] = []
        let capacity = 16384
        var buffer = [UInt8](repeating: 0, count: capacity)
        let raw = descriptor.raw
        while true {
            // SAFETY: the array has `capacity` bytes.
            let count = retrying { unsafe read(raw, &buffer, capacity) }
            guard count > 0 else { return changes }
            append(events: buffer.prefix(count), to: &changes)
        }
    }

    /// `struct inotify_event`: watch (4), mask (4), cookie (4), name length (4), name padded with NULs.
    /// Example: `01000000 80000000 2a000000 10000000 "a.yaml" 00…` is `a.yaml` moved into watch 1.
    private mutating func append(events: ArraySlice<UInt8>, to changes: inout [FolderChange]) {
        var rest = events
        while rest.count >= 16 {
            let start = rest.startIndex
            let watch = Int32(bitPattern: word(rest, start))
            let mask = word(rest, start + 4)
            let length = Int(word(rest, start + 12))
            guard length <= rest.count - 16 else { return }
            let name = rest[(start + 16)..<(start + 16 + length)].prefix { $0 != 0 }
            rest = rest.dropFirst(16 + length)
            if mask & UInt32(IN_Q_OVERFLOW) != 0 {
                changes.append(.eventsLost)
                continue
            }
            let text = String(decoding: name, as: UTF8.self)
            for folder in folders where folder.watch == watch {
                if let change = change(mask, folder.path, text) { changes.append(change) }
            }
            if mask & (UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)) != 0 {
                folders.removeAll { $0.watch == watch }
            }
        }
    }

    private func change(_ mask: UInt32, _ folder: String, _ name: String) -> FolderChange? {
        if mask & UInt32(IN_MOVED_TO) != 0 { return .renamedInto(folder: folder, name: name) }
        if mask & UInt32(IN_CREATE) != 0 {
            // A file that is made is written later.
            return mask & UInt32(IN_ISDIR) == 0 ? nil : .folderMade(folder: folder, name: name)
        }
        if mask & FolderWatch.inPlace != 0 { return .changedInPlace(folder: folder, name: name) }
        return mask & (UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)) != 0 ? .folderGone(folder: folder) : nil
    }

    /// 32 bits in the machine's order.
    private func word(_ bytes: ArraySlice<UInt8>, _ index: Int) -> UInt32 {
        let little =
            UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]) << 16
            | UInt32(bytes[index + 3]) << 24
        return UInt32(littleEndian: little)
    }
}
