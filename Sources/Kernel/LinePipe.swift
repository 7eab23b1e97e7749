internal import CLinux
internal import Glibc
internal import Synchronization

/// A pipe that carries whole lines from threads that may not wait to one that writes them out.
///
/// pipe(7): a write of up to PIPE_BUF (4,096) bytes goes in whole or not at all when the pipe does not
/// block, so several writers never mix their lines.
public final class LinePipe: Sendable {
    private let reading: FileDescriptor
    private let writing: FileDescriptor
    private let isDone = Atomic<Bool>(false)

    public init() throws(SystemError) {
        var descriptors: [Int32] = [-1, -1]
        // SAFETY: two descriptors are written into an array of two.
        _ = try checked("pipe2") { unsafe Int(pipe2(&descriptors, O_CLOEXEC)) }
        reading = FileDescriptor(owning: descriptors[0])
        writing = FileDescriptor(owning: descriptors[1])
        let raw = writing.raw
        _ = try checked("fcntl") { Int(fcntl(raw, F_SETFL, O_NONBLOCK)) }
    }

    /// Puts one line, its line end included, into the pipe.
    /// - Returns: false when the pipe is full; nothing was written then.
    public func write(_ line: Span<UInt8>) -> Bool {
        let raw = writing.raw
        // SAFETY: the span lives for the call.
        let result = unsafe line.withUnsafeBufferPointer { source in
            retrying { unsafe Glibc.write(raw, source.baseAddress, source.count) }
        }
        return result == line.count
    }

    /// Copies what comes to `output` until a line that is a single NUL.
    public func copy(to output: Int32) {
        defer { isDone.store(true, ordering: .releasing) }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let capacity = buffer.count
        let raw = reading.raw
        while true {
            // SAFETY: the array has `capacity` bytes.
            let count = retrying { unsafe read(raw, &buffer, capacity) }
            guard count > 0 else { return }
            let isEnd = buffer[count - 1] == 0
            let lines = buffer.span.extracting(0..<(isEnd ? count - 1 : count))
            // A log that cannot be written any more stops nothing.
            _ = writeAll(output, lines)
            if isEnd { return }
        }
    }

    /// Ends `copy` after everything written so far, as far as its output takes it in time.
    public func finish(waitingMilliseconds: Int64) {
        let deadline = SystemClock.monotonicNanoseconds() + waitingMilliseconds * 1_000_000
        let end: [UInt8] = [0]
        var isSaid = false
        while !isDone.load(ordering: .acquiring), SystemClock.monotonicNanoseconds() < deadline {
            if !isSaid { isSaid = write(end.span) }
            sleepMilliseconds(1)
        }
    }
}

/// Whether a piece of up to PIPE_BUF bytes can be written to a descriptor now without waiting.
public func takesOutput(_ descriptor: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    // SAFETY: one entry is read and written.
    return unsafe poll(&entry, 1, 0) == 1 && entry.revents & Int16(POLLOUT) != 0
}

/// Writes all bytes to a descriptor that blocks.
/// - Returns: whether all went out.
public func writeAll(_ descriptor: Int32, _ bytes: Span<UInt8>) -> Bool {
    var sent = 0
    while sent < bytes.count {
        let rest = bytes.extracting(sent..<bytes.count)
        // SAFETY: the span lives for the call.
        let result = unsafe rest.withUnsafeBufferPointer { source in
            retrying { unsafe Glibc.write(descriptor, source.baseAddress, source.count) }
        }
        guard result > 0 else { return false }
        sent += result
    }
    return true
}

/// Reads what there is, at most `countMax` bytes, waiting for at least one.
/// - Returns: false at the end, or when the descriptor cannot be read.
public func appendBytes(from descriptor: Int32, countMax: Int, to buffer: inout [UInt8]) -> Bool {
    let start = buffer.count
    buffer.append(contentsOf: repeatElement(0, count: countMax))
    // SAFETY: `countMax` bytes from `start` on are the array's own.
    let count = unsafe buffer.withUnsafeMutableBytes { bytes in
        retrying { unsafe read(descriptor, bytes.baseAddress.map { unsafe $0 + start }, countMax) }
    }
    buffer.removeLast(countMax - max(0, count))
    return count > 0
}
