internal import CFastCGI
public import Decision
public import FastCGI
internal import Glibc
internal import Octets

/// One thread's engine over libfcgi: accepts, reads, decides and answers, one request after the other.
///
/// Owns the `FCGX_Request`, whose address the library keeps. Used by one thread from `init` to its end.
@safe
public struct LibFCGIEngine: ~Copyable {
    /// Why `run` came back.
    public enum Stop: Equatable, Sendable {
        /// The wake descriptor became readable.
        case asked
        /// The listening socket is of no use any more.
        case failed(LibFCGIError)
    }

    private let request: UnsafeMutablePointer<FCGX_Request>
    private let listenDescriptor: Int32
    private let wakeDescriptor: Int32
    private let profile: FactProfile
    private let limits: FastCGILimits
    private var bytes: ByteWriter
    private var head: ByteWriter

    /// - Parameters:
    ///   - listenDescriptor: a listening stream socket, made by the caller (`FCGX_OpenSocket` would bind to
    ///     all addresses and end the process on failure); it is made non-blocking, is not closed here, and
    ///     several engines may share it
    ///   - wakeDescriptor: becomes readable when `run` shall return, an eventfd for instance; never read
    public init(
        listenDescriptor: Int32, wakeDescriptor: Int32, profile: FactProfile,
        limits: FastCGILimits = FastCGILimits()
    ) throws(LibFCGIError) {
        try LibFCGI.initialize()
        let flags = fcntl(listenDescriptor, F_GETFL)
        // Another engine may take the connection that woke this one; its accept must not wait for the next.
        guard flags >= 0, fcntl(listenDescriptor, F_SETFL, flags | O_NONBLOCK) == 0 else {
            throw LibFCGIError(operation: "fcntl", code: errno)
        }
        let request = UnsafeMutablePointer<FCGX_Request>.allocate(capacity: 1)
        unsafe request.initialize(to: FCGX_Request())
        // SAFETY: `request` is allocated and stays where it is until deinit.
        let code = unsafe FCGX_InitRequest(request, listenDescriptor, FCGI_FAIL_ACCEPT_ON_INTR)
        guard code == 0 else {
            unsafe request.deallocate()
            throw LibFCGIError(operation: "FCGX_InitRequest", code: code)
        }
        unsafe self.request = request
        self.listenDescriptor = listenDescriptor
        self.wakeDescriptor = wakeDescriptor
        self.profile = profile
        self.limits = limits
        bytes = ByteWriter(capacity: max(1, limits.paramsBytesMax))
        head = ByteWriter(capacity: AnswerHead.bytesMax)
    }

    deinit {
        // SAFETY: nobody else holds the pointer; FCGX_Free accepts a request that is finished already.
        unsafe FCGX_Free(request, 1)
        unsafe request.deallocate()
    }

    /// Serves requests until the wake descriptor becomes readable.
    ///
    /// The calling thread waits in `poll`, so that waking is never missed; but while the library reads from a
    /// peer that has stalled, only a signal without SA_RESTART brings it back. To stop for certain: make the
    /// wake descriptor readable, then signal the thread again and again until it has ended.
    /// - Parameters:
    ///   - admit: whether the peer on this descriptor may ask at all (`SO_PEERCRED`). It is called once the
    ///     parameters have been read, since the library accepts and reads in one call.
    ///   - decide: fills the answer, which is a denial when it comes; the bytes are what the facts point into
    public mutating func run(
        admit: (Int32) -> Bool, decide: (RequestFacts, Span<UInt8>, inout Answer) -> Void
    ) -> Stop {
        while true {
            switch wait() {
            case .wake: return .asked
            case .failed(let code): return .failed(LibFCGIError(operation: "poll", code: code))
            case .again: continue
            case .connection: break
            }
            if let code = accept() {
                if isFatal(code) { return .failed(LibFCGIError(operation: "FCGX_Accept_r", code: code)) }
                if isShortage(code) { usleep(10_000) }
                continue
            }
            if !serve(admit, decide) {
                // DENY: closes without an end of request, which every caller takes for a failure.
                // SAFETY: `request` holds an accepted request.
                unsafe FCGX_Free(request, 1)
            }
        }
    }

    // MARK: Waiting

    private enum Wait {
        case wake, connection, again
        case failed(Int32)
    }

    @inline(never)
    private func wait() -> Wait {
        var descriptors = (
            pollfd(fd: wakeDescriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: listenDescriptor, events: Int16(POLLIN), revents: 0)
        )
        let result = unsafe withUnsafeMutablePointer(to: &descriptors) { pair in
            // SAFETY: a tuple of two equal structs is laid out as an array of two.
            unsafe pair.withMemoryRebound(to: pollfd.self, capacity: 2) { unsafe poll($0, 2, -1) }
        }
        if result < 0 { return errno == EINTR ? .again : .failed(errno) }
        if descriptors.0.revents != 0 { return .wake }
        return descriptors.1.revents != 0 ? .connection : .again
    }

    /// Nil when a request has been accepted and its parameters read; otherwise an errno value.
    @inline(never)
    private mutating func accept() -> Int32? {
        // SAFETY: `request` was initialised by FCGX_InitRequest; strings of the last request are not used
        // any more.
        let result = unsafe FCGX_Accept_r(request)
        return result == 0 ? nil : -result
    }

    /// Whether the listening socket itself is what failed.
    private func isFatal(_ code: Int32) -> Bool {
        code == EBADF || code == EINVAL || code == ENOTSOCK || code == EOPNOTSUPP
    }

    /// Out of descriptors or memory: the connection stays in the queue, and asking again at once would spin.
    private func isShortage(_ code: Int32) -> Bool {
        code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM
    }

    // MARK: One request

    /// - Returns: false when no answer could be given; the request is then still to be closed.
    private mutating func serve(
        _ admit: (Int32) -> Bool, _ decide: (RequestFacts, Span<UInt8>, inout Answer) -> Void
    ) -> Bool {
        // Where PARAMS break off between two pairs, by an error or ABORT_REQUEST, the library hands out what
        // it has as if it were all; only the stream's error tells.
        // SAFETY: the accepted request's fields are valid until FCGX_Finish_r or FCGX_Free.
        guard unsafe FCGX_GetError(request.pointee.in) == 0, unsafe admit(request.pointee.ipcFd),
            let role = unsafe FastCGIRole(rawValue: UInt16(truncatingIfNeeded: request.pointee.role)),
            let facts = readFacts()
        else { return false }
        // An Authorizer is owed no STDIN: waiting for it would block for ever.
        if role == .responder, !drainStandardInput() { return false }
        // A new one for each request, so that nothing of the last answer can stay in it.
        var answer = Answer()
        decide(facts, bytes.bytes, &answer)
        head.removeAll()
        guard AnswerHead.append(answer, role: role, into: &head), !head.overflowed, write() else {
            return false
        }
        // SAFETY: as above. The second call closes a connection that the caller asked to keep.
        unsafe FCGX_Finish_r(request)
        unsafe FCGX_Free(request, 1)
        return true
    }

    /// Puts names and values into `bytes`, one after the other as they stand in PARAMS, and takes the facts.
    /// Nil beyond the limits that the codec has for the same parameters.
    private mutating func readFacts() -> RequestFacts? {
        bytes.removeAll()
        guard var entry = unsafe request.pointee.envp else { return nil }
        var facts = RequestFacts()
        var count = 0
        var encodedCount = 0
        // SAFETY: envp ends with a null pointer, each entry with a NUL (fcgiapp.h).
        while let text = unsafe entry.pointee {
            let length = unsafe strlen(text)
            let nameCount = unsafe nameLength(text, length)
            let valueStart = min(nameCount + 1, length)
            let valueCount = length - valueStart
            // The library adds FCGI_ROLE by itself; the codec's caller never sent that.
            count += 1
            encodedCount += nameCount + valueCount + (nameCount < 128 ? 1 : 4) + (valueCount < 128 ? 1 : 4)
            guard count <= limits.paramsCountMax + 1, encodedCount <= limits.paramsBytesMax else {
                return nil
            }
            let name = ByteRange(start: bytes.count, count: nameCount)
            unsafe append(text, nameCount)
            let value = ByteRange(start: bytes.count, count: valueCount)
            unsafe append(text + valueStart, valueCount)
            guard !bytes.overflowed else { return nil }
            facts.take(parameter: name, value: value, in: bytes.bytes, profile: profile)
            unsafe entry += 1
        }
        return facts
    }

    @unsafe
    private func nameLength(_ text: UnsafePointer<CChar>, _ length: Int) -> Int {
        var index = 0
        // SAFETY: the caller says that `length` bytes are there.
        while index < length, unsafe text[index] != CChar(bitPattern: UInt8(ascii: "=")) { index += 1 }
        return index
    }

    @unsafe
    private mutating func append(_ text: UnsafePointer<CChar>, _ count: Int) {
        // SAFETY: the caller says that `count` bytes are there; CChar and UInt8 have one layout.
        unsafe text.withMemoryRebound(to: UInt8.self, capacity: count) { start in
            bytes.append(unsafe Span(_unsafeStart: start, count: count))
        }
    }

    /// Reads STDIN to its end, which the library needs before it can finish a request cleanly.
    /// - Returns: false when there is more than the limit, or when it breaks off.
    private func drainStandardInput() -> Bool {
        // SAFETY: the accepted request's stream; the library writes at most `count` bytes.
        let isAtEnd = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1_024) { scratch in
            var drained = 0
            while drained <= limits.ignoredBytesMax {
                let count = unsafe FCGX_GetStr(
                    scratch.baseAddress, Int32(scratch.count), request.pointee.in)
                drained += Int(max(0, count))
                if count < scratch.count { return true }
            }
            return false
        }
        return unsafe isAtEnd && FCGX_GetError(request.pointee.in) == 0
    }

    private func write() -> Bool {
        let span = head.bytes
        // SAFETY: the accepted request's stream copies the bytes.
        let written = unsafe span.withUnsafeBufferPointer { buffer in
            unsafe buffer.withMemoryRebound(to: CChar.self) {
                unsafe FCGX_PutStr($0.baseAddress, Int32($0.count), request.pointee.out)
            }
        }
        return written == span.count
    }
}
