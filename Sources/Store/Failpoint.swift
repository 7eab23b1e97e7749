#if DEBUG
    internal import Glibc
#endif

/// Places at which a test may have the process killed, to see what a crash there leaves behind.
///
/// In debug builds a process whose environment says `SCOPECHECK_FAILPOINT=NAME` ends by SIGKILL when it passes the
/// place of that name. Release builds hold nothing of it.
public enum Failpoint {
    /// - Parameter stage: of the step, such as `before`.
    @inline(__always)
    public static func pass(_ step: StaticString, _ stage: StaticString) {
        #if DEBUG
            end(step, stage)
        #endif
    }

    #if DEBUG
        private static let wanted: String? = {
            // SAFETY: the environment is not changed after the start; the text is copied at once.
            guard let value = unsafe getenv("SCOPECHECK_FAILPOINT") else { return nil }
            return unsafe String(cString: value)
        }()

        private static func end(_ step: StaticString, _ stage: StaticString) {
            guard let wanted, wanted == "\(step).\(stage)" else { return }
            _ = kill(getpid(), SIGKILL)
        }
    #endif
}
