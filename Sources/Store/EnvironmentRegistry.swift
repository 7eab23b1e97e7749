internal import Glibc
internal import Synchronization

/// The folders that this process has open.
///
/// lmdb.h, caveats: "Do not have open an LMDB database twice in the same process at the same time. Not even
/// from a plain open() call - close()ing it breaks fcntl() advisory locking."
enum EnvironmentRegistry {
    struct Folder: Hashable, Sendable {
        var device: UInt
        var inode: UInt
    }

    private static let open = Mutex<Set<Folder>>([])

    /// One folder's entry, given up when the value goes.
    struct Claim: ~Copyable, Sendable {
        private let folder: Folder
        /// Keeps the inode from becoming another folder's when this one is removed meanwhile.
        private let descriptor: Int32

        /// - Throws: `alreadyOpen`.
        init(_ path: String) throws(StoreError) {
            let opened = try EnvironmentRegistry.openFolder(path)
            do throws(StoreError) {
                folder = try EnvironmentRegistry.claim(opened, path)
                descriptor = opened
            } catch {
                close(opened)
                throw error
            }
        }

        deinit {
            let folder = folder
            _ = EnvironmentRegistry.open.withLock { $0.remove(folder) }
            close(descriptor)
        }
    }

    /// An existing folder, whatever name it is reached by.
    @inline(never)
    private static func openFolder(_ path: String) throws(StoreError) -> Int32 {
        // SAFETY: the path is read during the call only.
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreError(code: errno, operation: "open", path: path) }
        return descriptor
    }

    private static func claim(_ descriptor: Int32, _ path: String) throws(StoreError) -> Folder {
        var status = stat()
        // SAFETY: fstat fills the structure or returns -1.
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw StoreError(code: errno, operation: "fstat", path: path)
        }
        let folder = Folder(device: UInt(status.st_dev), inode: UInt(status.st_ino))
        guard open.withLock({ $0.insert(folder).inserted }) else {
            throw StoreError(code: EBUSY, operation: "mdb_env_open", path: path)
        }
        return folder
    }

    /// Makes the folder for its owner alone, unless it exists.
    @inline(never)
    static func makeFolder(_ path: String) throws(StoreError) {
        // SAFETY: the path is read during the call only.
        guard unsafe mkdir(path, 0o700) != 0 else { return }
        guard errno == EEXIST else { throw StoreError(code: errno, operation: "mkdir", path: path) }
    }
}
