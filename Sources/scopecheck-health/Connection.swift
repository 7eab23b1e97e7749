internal import CHealth

/// When everything must be over, by the monotonic clock.
struct Deadline {
    private let endNanoseconds: Int64

    init(milliseconds: UInt64) {
        endNanoseconds = Deadline.now &+ Int64(milliseconds) &* 1_000_000
    }

    private static var now: Int64 {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// Rounded up, so that a wait of it reaches the end; 0 when that has passed.
    var millisecondsLeft: Int32 {
        Int32(clamping: max(0, (endNanoseconds &- Deadline.now &+ 999_999) / 1_000_000))
    }
}

/// A connection to the agent. Nothing here waits longer than the deadline.
struct Connection: ~Copyable {
    private let descriptor: Int32
    private let deadline: Deadline
    private var pending: sockaddr_storage
    private let pendingLength: socklen_t

    /// Makes the socket; `connect` connects it.
    init(_ address: AgentAddress, _ deadline: Deadline) throws(Trouble) {
        var storage = sockaddr_storage()
        let length = try storage.fill(address)
        let made = health_socket(Int32(storage.ss_family))
        guard made >= 0 else { throw Connection.failure("cannot make a socket: ", health_error()) }
        descriptor = made
        self.deadline = deadline
        // Connecting is apart: an initializer of a noncopyable type may not throw once all is set.
        pending = storage
        pendingLength = length
    }

    deinit {
        _ = close(descriptor)
    }

    mutating func connect() throws(Trouble) {
        while true {
            // SAFETY: sockaddr is the common head of every family's structure; the pointer lives for the call.
            let result = unsafe withUnsafePointer(to: &pending) {
                unsafe CHealth.connect(
                    descriptor, UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self), pendingLength)
            }
            if result == 0 { return }
            let error = health_error()
            switch error {
            case EISCONN: return
            // Of a unix socket: its line of waiting connections is full. There is nothing to wait on but time.
            case EAGAIN: try pause(milliseconds: 5)
            case EINPROGRESS, EALREADY, EINTR: return try finishConnect()
            default: throw Connection.failure("nobody accepts connections there: ", error)
            }
        }
    }

    private func finishConnect() throws(Trouble) {
        try wait(Int16(POLLOUT), "connecting")
        var error: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        // SAFETY: SO_ERROR writes one int, for which there is room.
        let result = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size)
        guard result == 0, error == 0 else {
            throw Connection.failure("nobody accepts connections there: ", result == 0 ? error : health_error())
        }
    }

    private func pause(milliseconds: Int32) throws(Trouble) {
        let left = deadline.millisecondsLeft
        guard left > 0 else { throw Connection.timeout("connecting") }
        _ = poll(nil, 0, min(milliseconds, left))
    }

    private func wait(_ events: Int16, _ doing: String) throws(Trouble) {
        while true {
            let left = deadline.millisecondsLeft
            guard left > 0 else { throw Connection.timeout(doing) }
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            // SAFETY: one entry, which lives for the call.
            let ready = unsafe poll(&entry, 1, left)
            if ready > 0 { return }
            if ready < 0, health_error() != EINTR { throw Connection.failure("cannot wait: ", health_error()) }
        }
    }

    func send(_ bytes: [UInt8], _ doing: String) throws(Trouble) {
        var sent = 0
        while sent < bytes.count {
            // SAFETY: `sent` is less than the count; the pointer lives for the call.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe health_send(descriptor, $0.baseAddress?.advanced(by: sent), $0.count - sent)
            }
            if count > 0 {
                sent += count
                continue
            }
            let error = health_error()
            // It hung up. What it said before, or that it said nothing, tells more than this does.
            if error == EPIPE || error == ECONNRESET { return }
            if count < 0, error == EAGAIN {
                try wait(Int16(POLLOUT), doing)
            } else if error != EINTR {
                throw Connection.failure("the connection broke off: ", error)
            }
        }
    }

    /// Without waiting, and whether or not it arrives.
    func sendGoodbye() {
        let bytes = Question.goodbye
        // SAFETY: the pointer lives for the call.
        _ = unsafe bytes.withUnsafeBytes { unsafe health_send(descriptor, $0.baseAddress, $0.count) }
    }

    /// One frame without its length.
    func receiveFrame(_ doing: String) throws(Trouble) -> [UInt8] {
        var length = 0
        for byte in try receive(4, doing) { length = length << 8 | Int(byte) }
        guard length >= FrameLimits.bytesMin, length <= FrameLimits.bytesMax else {
            var text = Array("no agent listens there: its frame has a length of ".utf8)
            text.add(UInt64(length))
            text.add("; check that the address is the daemon's `--spop`")
            throw Trouble(Trouble.unreachable, text)
        }
        return try receive(length, doing)
    }

    private func receive(_ count: Int, _ doing: String) throws(Trouble) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            // SAFETY: `filled` is less than the count; at most what is left of the buffer is written.
            let received = unsafe bytes.withUnsafeMutableBytes {
                unsafe recv(descriptor, $0.baseAddress?.advanced(by: filled), $0.count - filled, 0)
            }
            if received > 0 {
                filled += received
                continue
            }
            let error = health_error()
            if received == 0 || error == ECONNRESET {
                var text = Array("the peer closed the connection while ".utf8)
                text.add(doing)
                text.add("; check that the address is the daemon's `--spop` and that this user may ask it")
                throw Trouble(Trouble.unreachable, text)
            }
            if error == EAGAIN {
                try wait(Int16(POLLIN), doing)
            } else if error != EINTR {
                throw Connection.failure("the connection broke off: ", error)
            }
        }
        return bytes
    }

    private static func timeout(_ doing: String) -> Trouble {
        var text = Array("no answer in time while ".utf8)
        text.add(doing)
        text.add("; is the daemon overloaded, or `--timeout` too short?")
        return Trouble(Trouble.unreachable, text)
    }

    private static func failure(_ what: String, _ error: Int32) -> Trouble {
        var text = Array(what.utf8)
        // SAFETY: a constant text with a NUL at its end, or NULL.
        if let description = unsafe strerrordesc_np(error) {
            var index = 0
            while unsafe description[index] != 0 {
                unsafe text.append(UInt8(bitPattern: description[index]))
                index += 1
            }
        } else {
            text.add("error ")
            text.add(UInt64(error.magnitude))
        }
        if error == EACCES {
            text.add("; the socket's group and mode must let this user in")
        } else {
            text.add("; check the address and that the daemon runs")
        }
        return Trouble(Trouble.unreachable, text)
    }
}

extension sockaddr_storage {
    /// Makes this the address. - Returns: how many of its bytes count.
    fileprivate mutating func fill(_ address: AgentAddress) throws(Trouble) -> socklen_t {
        switch address {
        case .unix(let path):
            ss_family = sa_family_t(AF_UNIX)
            let start = MemoryLayout<sa_family_t>.size
            // SAFETY: a path has at most 107 bytes, this structure 128, and it was zeroed.
            unsafe withUnsafeMutableBytes(of: &self) { target in
                var index = 0
                while index < min(path.count, AgentAddress.pathBytesMax) {
                    unsafe target[start + index] = path[index]
                    index += 1
                }
            }
            return socklen_t(start + path.count + 1)
        case .tcp(let host, let port):
            return try fill(host, port, address)
        }
    }

    private mutating func fill(_ host: [UInt8], _ port: UInt16, _ address: AgentAddress) throws(Trouble) -> socklen_t {
        let text = host.map { CChar(bitPattern: $0) } + [0]
        var four = sockaddr_in()
        var six = sockaddr_in6()
        // SAFETY: `text` ends with NUL; each call writes the address of its own family. The copies below fit this
        // structure, which is made to hold either.
        if unsafe inet_pton(AF_INET, text, &four.sin_addr) == 1 {
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = port.bigEndian
            unsafe withUnsafeMutableBytes(of: &self) { target in
                unsafe withUnsafeBytes(of: &four) { unsafe target.copyMemory(from: $0) }
            }
            return socklen_t(MemoryLayout<sockaddr_in>.size)
        }
        // SAFETY: as above.
        if unsafe inet_pton(AF_INET6, text, &six.sin6_addr) == 1 {
            six.sin6_family = sa_family_t(AF_INET6)
            six.sin6_port = port.bigEndian
            unsafe withUnsafeMutableBytes(of: &self) { target in
                unsafe withUnsafeBytes(of: &six) { unsafe target.copyMemory(from: $0) }
            }
            return socklen_t(MemoryLayout<sockaddr_in6>.size)
        }
        throw AgentAddress.unreadable(address.text)
    }
}
