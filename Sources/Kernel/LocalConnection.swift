internal import Glibc

/// A blocking exchange with a local server, bounded by one deadline. For commands, never for workers.
struct LocalConnection: ~Copyable {
    private let descriptor: FileDescriptor
    private let address: ListenAddress
    private let deadline: Deadline

    init(to address: ListenAddress, deadline: Deadline) throws(SystemError) {
        descriptor = try connected(to: address, deadline: deadline)
        self.address = address
        self.deadline = deadline
    }

    /// Sends everything.
    /// - Returns: false when the peer closed before it had taken all; it may still have answered.
    borrowing func sendAll(_ bytes: Span<UInt8>) throws(SystemError) -> Bool {
        var sent = 0
        while sent < bytes.count {
            switch descriptor.send(bytes.extracting(sent..<bytes.count)) {
            case .sent(let count): sent += count
            case .wouldBlock: try wait(for: POLLOUT, call: "send")
            case .closed: return false
            case .failed(let code):
                throw SystemError(code: code, call: "send", path: address.description)
            }
        }
        return true
    }

    /// Receives some bytes; none when the peer has closed, also when it did so by a reset.
    borrowing func receive() throws(SystemError) -> [UInt8] {
        var chunk = [UInt8](repeating: 0, count: 16384)
        let raw = descriptor.raw
        while true {
            // SAFETY: the array has 16384 bytes.
            let count = retrying { unsafe recv(raw, &chunk, 16384, 0) }
            if count >= 0 { return Array(chunk.prefix(count)) }
            switch Int32(truncatingIfNeeded: -count) {
            case EAGAIN: try wait(for: POLLIN, call: "recv")
            case ECONNRESET: return []
            case let code: throw SystemError(code: code, call: "recv", path: address.description)
            }
        }
    }

    private borrowing func wait(for event: Int32, call: String) throws(SystemError) {
        try waitUntilReady(descriptor.raw, for: event, by: deadline, call: call, address: address)
    }
}

private func connected(
    to address: ListenAddress, deadline: Deadline
) throws(SystemError) -> FileDescriptor {
    var target = try SocketAddress(address)
    let descriptor = try makeSocket(target.family)
    let raw = descriptor.raw
    // SAFETY: the pointers live for the call.
    let result = unsafe target.withPointer { pointer, length in
        retrying { unsafe Int(connect(raw, pointer, length.pointee)) }
    }
    // EAGAIN, the full queue of a unix listener, is an error too: this socket has nothing to wait for.
    guard result < 0 else { return descriptor }
    let code = Int32(truncatingIfNeeded: -result)
    guard code == EINPROGRESS else {
        throw SystemError(code: code, call: "connect", path: address.description)
    }
    try waitUntilReady(raw, for: POLLOUT, by: deadline, call: "connect", address: address)
    let outcome = try integerOption(raw, SO_ERROR)
    guard outcome == 0 else { throw SystemError(code: outcome, call: "connect", path: address.description) }
    return descriptor
}

private func waitUntilReady(
    _ raw: Int32, for event: Int32, by deadline: Deadline, call: String, address: ListenAddress
) throws(SystemError) {
    while true {
        let left = deadline.remainingMilliseconds
        guard left > 0 else { throw SystemError(code: ETIMEDOUT, call: call, path: address.description) }
        var entry = pollfd(fd: raw, events: Int16(truncatingIfNeeded: event), revents: 0)
        // SAFETY: one entry. Not `retrying`: after a signal the time that is left has to be asked again.
        let result = once { unsafe Int(poll(&entry, 1, left)) }
        if result > 0 { return }
        guard result == 0 || result == -Int(EINTR) else {
            throw SystemError(code: Int32(truncatingIfNeeded: -result), call: "poll")
        }
    }
}
