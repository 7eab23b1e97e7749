internal import CLinux
internal import Glibc

/// What a child process is allowed and given.
public struct ChildLimits: Equatable, Sendable {
    /// Past this the child, with its process group, is killed.
    public var deadlineMilliseconds: Int64
    /// Bytes kept of each of standard output and standard error; a child that writes more is killed.
    public var outputBytesMax: Int

    public init(deadlineMilliseconds: Int64, outputBytesMax: Int) {
        self.deadlineMilliseconds = deadlineMilliseconds
        self.outputBytesMax = outputBytesMax
    }
}

public struct ChildResult: Equatable, Sendable {
    public enum End: Equatable, Sendable {
        case exited(status: Int32)
        case signalled(Int32)
        case deadlinePassed
        case outputTooLong
    }

    public let end: End
    public let standardOutput: [UInt8]
    public let standardError: [UInt8]

    public var succeeded: Bool { end == .exited(status: 0) }
}

/// Runs a program to its end, in a process group of its own, with nothing inherited but what is named here.
///
/// The caller waits for it; nothing of this is for a worker thread.
public enum ChildProcess {
    /// Runs this very executable with other arguments, so that work on untrusted or large input, such as
    /// compiling a policy, cannot take the daemon with it. The child lowers its own limits first
    /// (`ProcessResources.limitAddressSpace`).
    /// - Parameter input: what the child reads on its standard input.
    public static func runSelf(
        arguments: [String], input: [UInt8] = [], limits: ChildLimits
    ) throws(SystemError) -> ChildResult {
        try run("/proc/self/exe", name: "scopecheck", arguments: arguments, input: input, limits: limits)
    }

    static func run(
        _ executable: String, name: String, arguments: [String], input: [UInt8] = [], limits: ChildLimits
    ) throws(SystemError) -> ChildResult {
        let deadline = Deadline(milliseconds: limits.deadlineMilliseconds)
        // A socket pair rather than a pipe: writing to a child that is gone then raises no signal.
        var inputPair: [Int32] = [-1, -1]
        let type = streamType | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        // SAFETY: two descriptors are written into an array of two.
        _ = try checked("socketpair") { unsafe Int(socketpair(AF_UNIX, type, 0, &inputPair)) }
        let inputOurs = FileDescriptor(owning: inputPair[0])
        let inputTheirs = FileDescriptor(owning: inputPair[1])
        // The child's end must block: programs do not expect EAGAIN on standard input.
        let theirs = inputTheirs.raw
        _ = try checked("fcntl") { Int(fcntl(theirs, F_SETFL, 0)) }
        let output = try Pipe()
        let errors = try Pipe()
        let child = try spawn(
            executable, arguments: [name] + arguments,
            descriptors: (theirs, output.writing.raw, errors.writing.raw))
        _ = consume inputTheirs
        var run = ChildRun(
            child: child, input: consume inputOurs, pending: input, output: output.keepReading(),
            errors: errors.keepReading(), outputBytesMax: limits.outputBytesMax)
        return run.finish(by: deadline)
    }

    private static func spawn(
        _ executable: String, arguments: [String], descriptors: (Int32, Int32, Int32)
    ) throws(SystemError) -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        // SAFETY: both are initialised here and destroyed at the end of this function.
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe _ = posix_spawnattr_destroy(&attributes) }
        // SAFETY: initialised above.
        unsafe posix_spawn_file_actions_adddup2(&actions, descriptors.0, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, descriptors.1, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, descriptors.2, 2)
        // Ours close on exec; those that a library or our own parent left open do not.
        unsafe posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var none = signalSet([])
        var all = sigset_t()
        // SAFETY: the sets live for each call.
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))

        var child: pid_t = 0
        let copies = unsafe arguments.map { unsafe strdup($0) }
        defer { unsafe copies.forEach { unsafe free($0) } }
        var vector = unsafe copies + [nil]
        // SAFETY: the vector is ended by nil and its strings live until this function returns.
        let code = unsafe posix_spawn(&child, executable, &actions, &attributes, &vector, environ)
        guard code == 0 else { throw SystemError(code: code, call: "posix_spawn", path: executable) }
        return child
    }
}

/// A point in time that an operation must not outlast.
struct Deadline {
    private let endNanoseconds: Int64

    init(milliseconds: Int64) {
        let bounded = min(max(0, milliseconds), 86_400_000)
        endNanoseconds = SystemClock.monotonicNanoseconds() &+ bounded &* 1_000_000
    }

    /// Rounded up, so that a wait of this length does not end before the deadline; 0 when it has passed.
    var remainingMilliseconds: Int32 {
        let left = endNanoseconds &- SystemClock.monotonicNanoseconds()
        return left <= 0 ? 0 : Int32(truncatingIfNeeded: (left + 999_999) / 1_000_000)
    }

    var hasPassed: Bool { remainingMilliseconds == 0 }
}

private struct Pipe: ~Copyable {
    let reading: FileDescriptor
    let writing: FileDescriptor

    init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        // SAFETY: two descriptors are written into an array of two.
        _ = try checked("pipe2") { unsafe Int(pipe2(&ends, O_CLOEXEC)) }
        let read = FileDescriptor(owning: ends[0])
        let write = FileDescriptor(owning: ends[1])
        try read.setNonBlocking()
        reading = read
        writing = write
    }

    /// The reading end; the other one is closed, so that the child's copy is the last.
    consuming func keepReading() -> FileDescriptor { reading }
}

/// One running child and what came from it so far.
private struct ChildRun: ~Copyable {
    let child: pid_t
    var input: FileDescriptor?
    var pending: [UInt8]
    let output: FileDescriptor
    let errors: FileDescriptor
    let outputBytesMax: Int
    var sent = 0
    var outputBytes: [UInt8] = []
    var errorBytes: [UInt8] = []
    var outputOpen = true
    var errorsOpen = true
    /// wait status, once the child has been reaped
    var status: Int32?

    init(
        child: pid_t, input: consuming FileDescriptor, pending: [UInt8], output: consuming FileDescriptor,
        errors: consuming FileDescriptor, outputBytesMax: Int
    ) {
        self.child = child
        self.input = consume input
        self.pending = pending
        self.output = output
        self.errors = errors
        self.outputBytesMax = outputBytesMax
    }

    /// Nothing returns before the child is reaped.
    mutating func finish(by deadline: Deadline) -> ChildResult {
        while true {
            sendInput()
            let outputFits = receive(from: 1)
            let errorsFit = receive(from: 2)
            guard outputFits, errorsFit else { return kill(because: .outputTooLong) }
            if status != nil { return result() }
            let left = deadline.remainingMilliseconds
            guard left > 0 else { return kill(because: .deadlinePassed) }
            wait(milliseconds: min(left, 20))
            // Output is looked at once more after the child is gone: what it wrote last is still there.
            reap(blocking: false)
        }
    }

    /// Until a pipe has news, or a little while: the end of a child has no descriptor here.
    private borrowing func wait(milliseconds: Int32) {
        var descriptors = [
            pollfd(fd: outputOpen ? output.raw : -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: errorsOpen ? errors.raw : -1, events: Int16(POLLIN), revents: 0),
        ]
        if sent < pending.count, let raw = inputRaw {
            descriptors.append(pollfd(fd: raw, events: Int16(POLLOUT), revents: 0))
        }
        let count = nfds_t(descriptors.count)
        // SAFETY: the array has `count` entries.
        _ = once { unsafe Int(poll(&descriptors, count, milliseconds)) }
    }

    private var inputRaw: Int32? {
        switch input {
        case let descriptor?: descriptor.raw
        case nil: nil
        }
    }

    private mutating func sendInput() {
        guard let raw = inputRaw else { return }
        while sent < pending.count {
            let start = sent
            // SAFETY: the bytes are borrowed for the length of the call.
            let result = unsafe pending[start...].withUnsafeBufferPointer { source in
                retrying { unsafe send(raw, source.baseAddress, source.count, Int32(MSG_NOSIGNAL)) }
            }
            if result == -Int(EAGAIN) { return }
            guard result > 0 else { break }
            sent = start + result
        }
        sent = pending.count
        input = nil
    }

    /// - Returns: false when there is more than the limit.
    private mutating func receive(from stream: Int) -> Bool {
        guard stream == 1 ? outputOpen : errorsOpen else { return true }
        let raw = stream == 1 ? output.raw : errors.raw
        var chunk = [UInt8](repeating: 0, count: 16384)
        while true {
            // SAFETY: the array has 16384 bytes.
            let count = retrying { unsafe read(raw, &chunk, 16384) }
            if count == -Int(EAGAIN) { return true }
            guard count > 0 else {
                if stream == 1 { outputOpen = false } else { errorsOpen = false }
                return true
            }
            let have = stream == 1 ? outputBytes.count : errorBytes.count
            let fitting = min(count, outputBytesMax - have)
            if stream == 1 {
                outputBytes.append(contentsOf: chunk.prefix(fitting))
            } else {
                errorBytes.append(contentsOf: chunk.prefix(fitting))
            }
            if fitting < count { return false }
        }
    }

    private mutating func reap(blocking: Bool) {
        guard status == nil else { return }
        var value: Int32 = 0
        let pid = child
        // SAFETY: one word is written.
        let result = retrying { unsafe Int(waitpid(pid, &value, blocking ? 0 : WNOHANG)) }
        if result == Int(pid) {
            status = value
        } else if result < 0 {
            // ECHILD: somebody ignores SIGCHLD, so the status is lost. Unknown is not success.
            status = 0x7F00
        }
    }

    private mutating func kill(because end: ChildResult.End) -> ChildResult {
        _ = Glibc.kill(-child, SIGKILL)
        _ = Glibc.kill(child, SIGKILL)
        reap(blocking: true)
        return ChildResult(end: end, standardOutput: outputBytes, standardError: errorBytes)
    }

    private borrowing func result() -> ChildResult {
        let value = status ?? 0
        let signal = value & 0x7F
        let end: ChildResult.End = signal == 0 ? .exited(status: value >> 8 & 0xFF) : .signalled(signal)
        return ChildResult(end: end, standardOutput: outputBytes, standardError: errorBytes)
    }
}
