internal import CLMDB
internal import Glibc

/// A failed call on a store: LMDB's or the system's code, the C function, and the store's folder.
///
/// Nothing was changed: a write that fails is undone as a whole.
public struct StoreError: Error, Equatable, Sendable {
    /// An `errno` value when positive, an `MDB_…` code when negative.
    public let code: Int32
    /// The C function, for example `mdb_txn_begin`.
    public let operation: String
    /// The folder of the environment, or the file concerned.
    public let path: String

    public init(code: Int32, operation: String, path: String) {
        self.code = code
        self.operation = operation
        self.path = path
    }

    /// The map is full: `MDB_MAP_FULL`.
    public static let mapFull: Int32 = MDB_MAP_FULL
    /// All reader slots are taken: `MDB_READERS_FULL`.
    public static let readersFull: Int32 = MDB_READERS_FULL
    /// No such entry or database: `MDB_NOTFOUND`.
    public static let notFound: Int32 = MDB_NOTFOUND
    /// A key is empty or longer than `Environment.keyBytesMax`, or a value too long: `MDB_BAD_VALSIZE`.
    public static let badSize: Int32 = MDB_BAD_VALSIZE
    /// Damaged pages, or counts that do not add up: `MDB_CORRUPTED`.
    public static let corrupted: Int32 = MDB_CORRUPTED
    /// The data file is no LMDB file: `MDB_INVALID`.
    public static let invalidFile: Int32 = MDB_INVALID
    /// This process has the folder open already: `EBUSY`.
    public static let alreadyOpen: Int32 = EBUSY
    /// Whether the map or the disk has no more room.
    public var isFull: Bool { [MDB_MAP_FULL, ENOSPC, EDQUOT, EFBIG].contains(code) }

    /// A write inside a write on the same thread: `EDEADLK`.
    public static let nestedWrite: Int32 = EDEADLK
}

extension StoreError: CustomStringConvertible {
    /// What happened, where, and what to do next.
    public var description: String {
        "`\(operation)` failed on `\(path)`: \(cause)"
    }

    private var cause: String {
        switch code {
        case MDB_MAP_FULL:
            "the store's map is full and nothing was changed; "
                + "start again with a larger map size, or remove old versions and compact the store"
        case MDB_READERS_FULL:
            "all reader slots are taken; start with more reader slots, or end commands that read the store"
        case MDB_DBS_FULL:
            "the environment has no room for another database; this is a fault of the program, report it"
        case MDB_NOTFOUND:
            "there is no such entry or database; check that this is the right folder"
        case MDB_INVALID:
            "the data file is not an LMDB file; restore the folder from a backup"
        case MDB_VERSION_MISMATCH:
            "the data file has another format version; copy the store with the tools that wrote it"
        case MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_PANIC:
            "the store is damaged; stop the daemon and restore the folder from a backup"
        case MDB_MAP_RESIZED:
            "another process enlarged the store; stop it and start again with the same map size"
        case MDB_BAD_VALSIZE:
            "a key has no bytes or more than \(Environment.keyBytesMax), or a value is too long; "
                + "shorten it"
        case MDB_BAD_TXN:
            "an earlier step of this write failed, so nothing was changed; mend the first error"
        case MDB_TXN_FULL:
            "the write has too many changed pages; split it into smaller writes"
        case EBUSY:
            "this process has the folder open already; open it once and share it"
        case EDEADLK:
            "a write was begun inside another write on the same thread; finish the first one"
        case ENOSPC, EDQUOT, EFBIG:
            "\(systemText); nothing was changed; make room on the file system and try again"
        case EIO:
            // mdb.c, mdb_page_flush: a write that took only a part of its bytes is answered EIO.
            "\(systemText), or the disk took only a part of what was written, as a full one does; nothing was changed; "
                + "make room on the file system, and look at the system's log where there is room"
        case EACCES, EPERM, EROFS:
            "\(systemText); the folder and its files must be writable by this user, "
                + "`lock.mdb` for reading too"
        case ENOENT, ENOTDIR:
            "\(systemText); create the parent folder, or correct the path"
        case EEXIST:
            "\(systemText); choose a folder that holds no store"
        default:
            "\(systemText) (code \(code)); check the folder with `store check`"
        }
    }

    private var systemText: String {
        // SAFETY: mdb_strerror returns a text that lives for ever, or one of strerror's.
        unsafe String(cString: mdb_strerror(code))
    }
}
