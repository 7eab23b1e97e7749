internal import CFastCGI
internal import Glibc
internal import Synchronization

/// The reference FastCGI library as an engine: `fastcgi.engine: libfcgi`.
///
/// It gives the same answers as this project's own codec, through the library's public calls (and one field,
/// the descriptor of an accepted connection, for the check of the peer), for those who want the reference
/// implementation, and as the independent peer in tests. It is not the default. Who picks it should know what
/// libfcgi 2.4 does, none of which can be mended from outside:
///
/// * **Anyone who can connect can end the process.** A GET_VALUES record that names a known value four
///   times writes past 64 bytes of stack (Debian's build then aborts). Give the socket to nobody but the
///   proxy: a unix socket of mode 0660.
/// * **No timeouts.** A peer that sends one byte and stops holds its thread for ever; over TCP it need not
///   even send one (a silent unix peer is dropped after 2 s, `LIBFCGI_IS_AF_UNIX_KEEPER_POLL_TIMEOUT`).
///   A signal whose handler has no SA_RESTART breaks the wait.
/// * **A closed connection lingers** up to 2 s (`LIBFCGI_OS_CLOSE_POLL_TIMEOUT`) until the peer closes too,
///   and holds its thread meanwhile.
/// * **Names and values are joined** as `name=value` C strings. A parameter named `K=x` cannot be told from
///   `K`; a NUL cuts its value short.
/// * **One request in flight per thread**, so concurrency is the number of threads.
/// * Parameters have no limit inside the library: it holds as much as the peer sends before this engine can
///   refuse it.
///
/// Where the two engines differ, for the same bytes: this one never keeps a connection (a kept and idle one
/// would pin a thread, and a pipelined request would be lost); closes at roles other than Responder and
/// Authorizer, where the codec says UNKNOWN_ROLE; answers GET_VALUES with one connection, and only when more
/// bytes arrive; pads its STDOUT record; closes where the record that ends PARAMS has padding (the library
/// reads that as the next record); takes `K=x` for `K`, and a value up to its first NUL.
public enum LibFCGI {
    /// Prepares the library, once in a process, before any engine runs.
    ///
    /// `FCGX_Init` installs handlers of its own for SIGPIPE, SIGUSR1 and SIGTERM wherever the disposition is
    /// default or ignore; its SIGTERM handler only sets a flag, so that the process no longer ends by it. The
    /// dispositions of all three are put back, except that SIGPIPE is ignored where it had been default: the
    /// library writes without MSG_NOSIGNAL.
    /// - Throws: when the library or the system refuses; run without this engine then.
    public static func initialize() throws(LibFCGIError) {
        let code = initialization.withLock { (done: inout Int32?) -> Int32 in
            if let done { return done }
            let result = initializeKeepingSignals()
            done = result
            return result
        }
        guard code == 0 else { throw LibFCGIError(operation: "FCGX_Init", code: code) }
    }

    private static let initialization = Mutex<Int32?>(nil)

    private static func initializeKeepingSignals() -> Int32 {
        var pipe = sigaction()
        var user = sigaction()
        var terminate = sigaction()
        // SAFETY: each call gets a valid signal number and the address of a local for its duration.
        guard unsafe sigaction(SIGPIPE, nil, &pipe) == 0, unsafe sigaction(SIGUSR1, nil, &user) == 0,
            unsafe sigaction(SIGTERM, nil, &terminate) == 0
        else { return errno }
        let result = FCGX_Init()
        // SAFETY: as above; the handlers put back are those that were read.
        unsafe _ = sigaction(SIGUSR1, &user, nil)
        unsafe _ = sigaction(SIGTERM, &terminate, nil)
        if unsafe pipe.__sigaction_handler.sa_handler == nil {
            _ = signal(SIGPIPE, SIG_IGN)
        } else {
            unsafe _ = sigaction(SIGPIPE, &pipe, nil)
        }
        return result
    }
}

/// A call of libfcgi, or of the system for it, that failed.
public struct LibFCGIError: Error, Equatable, CustomStringConvertible {
    /// The C function.
    public let operation: String
    /// Its result, or the errno value.
    public let code: Int32

    public var description: String {
        "libfcgi: \(operation) failed with code \(code); check the listening socket, or use the own engine"
    }
}
