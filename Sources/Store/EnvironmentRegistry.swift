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

        /// - Throws: `alreadyOpen`.
        init(_ path: String) throws(StoreError) {
            let identified = try EnvironmentRegistry.identify(path)
            guard EnvironmentRegistry.open.withLock({ $0.insert(identified).inserted }) else {
                throw StoreError(code: EBUSY, operation: "mdb_env_open", path: path)
            }
            folder = identified
        }

        deinit {
            let folder = folder
            _ = EnvironmentRegistry.open.withLock { $0.remove(folder) }
        }
    }

    /// The identity of an existing folder, whatever name it is reached by.
    @inline(never)
    static func identify(_ path: String) throws(StoreError) -> Folder {
        var status = stat()
        // SAFETY: stat fills the structure or returns -1.
        guard unsafe stat(path, &status) == 0 else {
            throw StoreError(code: errno, operation: "stat", path: path)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw StoreError(code: ENOTDIR, operation: "stat", path: path)
        }
        return Folder(device: UInt(status.st_dev), inode: UInt(status.st_ino))
    }

    /// Makes the folder for its owner alone, unless it exists.
    @inline(never)
    static func makeFolder(_ path: String) throws(StoreError) {
        // SAFETY: the path is read during the call only.
        guard unsafe mkdir(path, 0o700) != 0 else { return }
        guard errno == EEXIST else { throw StoreError(code: errno, operation: "mkdir", path: path) }
    }
}
