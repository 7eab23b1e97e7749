internal import CLinux
internal import Glibc

/// Limits and memory of this process.
public enum ProcessResources {
    public static var processID: Int32 { getpid() }

    /// Raises the soft limit of open files to the hard one.
    /// - Returns: the limit now in force.
    @discardableResult
    public static func raiseOpenFileLimit() throws(SystemError) -> UInt64 {
        var limit = rlimit()
        // SAFETY: one structure is written, then read.
        _ = try checked("getrlimit") { unsafe Int(getrlimit(openFiles, &limit)) }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            _ = try checked("setrlimit") { unsafe Int(setrlimit(openFiles, &limit)) }
        }
        return UInt64(limit.rlim_cur)
    }

    /// Limits this process's address space. For a child that does work on behalf of the daemon, first thing.
    public static func limitAddressSpace(bytes: UInt64) throws(SystemError) {
        try set(__rlimit_resource_t(RLIMIT_AS.rawValue), bytes)
    }

    /// Has the kernel end this process when the thread that started it has ended (prctl(2) PR_SET_PDEATHSIG). For a child that
    /// does work on behalf of the daemon: nobody waits for its answer, or keeps its deadline, after that.
    public static func endWithParent() {
        // It fails for no signal but an unknown one.
        _ = prctl_end_with_parent()
    }

    /// Limits this process's processor time; past it the kernel ends the process.
    public static func limitProcessorTime(seconds: UInt64) throws(SystemError) {
        try set(__rlimit_resource_t(RLIMIT_CPU.rawValue), seconds)
    }

    /// Lets the other processes of the machine go first (setpriority(2) 5, sched(7) SCHED_BATCH). For a child that computes
    /// for seconds beside workers that answer. Where they want every processor it still gets about a quarter of one; at the
    /// highest number it would get a seventieth, and whoever keeps the workers busy could hold up a policy for minutes.
    public static func giveWay() throws(SystemError) {
        _ = try checked("setpriority") { Int(setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 5)) }
        var none = sched_param()
        // SAFETY: one structure is read.
        _ = try checked("sched_setscheduler") { unsafe Int(sched_setscheduler(0, batchScheduling, &none)) }
    }

    /// Gives free memory of the allocator back to the system. After a large policy was loaded, say.
    public static func trimMemory() {
        _ = malloc_trim(0)
    }

    /// SCHED_BATCH, which <sched.h> declares with _GNU_SOURCE only.
    private static let batchScheduling: Int32 = 3
    private static let openFiles = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)

    private static func set(_ resource: __rlimit_resource_t, _ value: UInt64) throws(SystemError) {
        var limit = rlimit(rlim_cur: rlim_t(value), rlim_max: rlim_t(value))
        // SAFETY: one structure is read.
        _ = try checked("setrlimit") { unsafe Int(setrlimit(resource, &limit)) }
    }
}

/// Users and groups of the system, by name or number.
public enum Accounts {
    /// Effective user id of this process.
    public static var ownUserID: UInt32 { geteuid() }
    public static var ownGroupID: UInt32 { getegid() }

    /// The login name of this process's user; nil for one that has none.
    public static var ownUserName: String? { userName(ownUserID) }

    /// The login name of a user; nil for one that has none.
    public static func userName(_ id: UInt32) -> String? {
        var record = unsafe passwd()
        var name: String?
        // SAFETY: the name is copied while the buffer lives.
        _ = unsafe lookUp { buffer, size in
            var found: UnsafeMutablePointer<passwd>?
            let code = unsafe getpwuid_r(id, &record, buffer, size, &found)
            name = unsafe found.flatMap { unsafe $0.pointee.pw_name }.map { unsafe String(cString: $0) }
            return unsafe (code, found.map { unsafe $0.pointee.pw_uid })
        }
        return name
    }

    /// The name of a group; nil for one that has none.
    public static func groupName(_ id: UInt32) -> String? {
        var record = unsafe group()
        var name: String?
        // SAFETY: as above.
        _ = unsafe lookUp { buffer, size in
            var found: UnsafeMutablePointer<group>?
            let code = unsafe getgrgid_r(id, &record, buffer, size, &found)
            name = unsafe found.flatMap { unsafe $0.pointee.gr_name }.map { unsafe String(cString: $0) }
            return unsafe (code, found.map { unsafe $0.pointee.gr_gid })
        }
        return name
    }

    /// The id of a user named by login name or decimal number; nil when there is none.
    public static func userID(_ name: String) -> UInt32? {
        if let number = number(name) { return number }
        var record = unsafe passwd()
        // SAFETY: the buffer outlives the record, of which only a number is taken.
        return unsafe lookUp { buffer, size in
            var found: UnsafeMutablePointer<passwd>?
            let code = unsafe getpwnam_r(name, &record, buffer, size, &found)
            return unsafe (code, found.map { unsafe $0.pointee.pw_uid })
        }
    }

    public static func groupID(_ name: String) -> UInt32? {
        if let number = number(name) { return number }
        var record = unsafe group()
        // SAFETY: as above.
        return unsafe lookUp { buffer, size in
            var found: UnsafeMutablePointer<group>?
            let code = unsafe getgrnam_r(name, &record, buffer, size, &found)
            return unsafe (code, found.map { unsafe $0.pointee.gr_gid })
        }
    }

    private static func number(_ name: String) -> UInt32? {
        guard name.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = UInt32(name) else {
            return nil
        }
        // (uid_t)-1 stands for "no change" in chown(2).
        return number == UInt32.max ? nil : number
    }

    private static func lookUp(
        _ body: (UnsafeMutablePointer<CChar>, Int) -> (code: Int32, id: UInt32?)
    ) -> UInt32? {
        var size = 1024
        while size <= 1 << 20 {
            // SAFETY: the buffer lives for the call.
            let result = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) { buffer in
                guard let base = buffer.baseAddress else { return (code: ENOMEM, id: UInt32?.none) }
                return unsafe body(base, size)
            }
            if result.code != ERANGE { return result.id }
            size *= 2
        }
        return nil
    }
}
