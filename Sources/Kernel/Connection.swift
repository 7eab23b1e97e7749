internal import CLinux
internal import Glibc
public import Octets

/// What became of one attempt to accept a connection.
public enum AcceptOutcome: ~Copyable {
    case connection(FileDescriptor)
    /// Nobody is waiting.
    case wouldBlock
    /// This connection failed before it was accepted (it was aborted, or its network failed). Try again.
    case transient
    /// No descriptor or memory is left. Stop accepting until a connection is closed.
    case exhausted
}

public enum ReceiveOutcome: Equatable, Sendable {
    case bytes(Int)
    case wouldBlock
    /// The peer will send no more.
    case closed
    /// The buffer has no room; nothing was asked of the socket.
    case bufferFull
    /// The connection is broken; the code is an `errno`.
    case failed(Int32)
}

public enum SendOutcome: Equatable, Sendable {
    /// Bytes taken, possibly fewer than offered.
    case sent(Int)
    case wouldBlock
    /// The peer is gone.
    case closed
    case failed(Int32)
}

/// Who is at the other end of a unix socket, as the kernel saw it when the peer connected.
public struct PeerCredentials: Equatable, Sendable {
    public let processID: Int32
    public let userID: UInt32
    public let groupID: UInt32
}

/// The accept error codes that accept(2) tells to treat like EAGAIN, and those that mean "no room".
enum AcceptFailure: Equatable {
    case wouldBlock, transient, exhausted

    init(code: Int32) {
        switch code {
        case EAGAIN: self = .wouldBlock
        case EMFILE, ENFILE, ENOMEM, ENOBUFS: self = .exhausted
        default: self = .transient
        }
    }
}

extension ListeningSocket {
    /// Accepts one connection: non-blocking, close-on-exec. Allocates nothing.
    public func accept() -> AcceptOutcome {
        let listener = raw
        let flags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        // SAFETY: null address and length are allowed: the peer's address is not wanted.
        let result = retrying { Int(accept4(listener, nil, nil, flags)) }
        guard result < 0 else {
            return .connection(FileDescriptor(owning: Int32(truncatingIfNeeded: result)))
        }
        switch AcceptFailure(code: Int32(truncatingIfNeeded: -result)) {
        case .wouldBlock: return .wouldBlock
        case .transient: return .transient
        case .exhausted: return .exhausted
        }
    }
}

extension FileDescriptor {
    /// Receives what there is, up to the buffer's free room. Allocates nothing.
    public borrowing func receive(into buffer: inout ReceiveBuffer) -> ReceiveOutcome {
        guard buffer.freeCount > 0 else { return .bufferFull }
        let descriptor = raw
        // SAFETY: `space` is the free part of the buffer, for the length of the call.
        let result = unsafe buffer.fill { space in
            retrying { unsafe recv(descriptor, space.baseAddress, space.count, 0) }
        }
        if result > 0 { return .bytes(result) }
        if result == 0 { return .closed }
        let code = Int32(truncatingIfNeeded: -result)
        return code == EAGAIN ? .wouldBlock : .failed(code)
    }

    /// Sends as much as the socket takes; a peer that is gone raises no SIGPIPE. Allocates nothing.
    public borrowing func send(_ bytes: Span<UInt8>) -> SendOutcome {
        let descriptor = raw
        // SAFETY: the bytes are borrowed for the length of the call.
        let result = unsafe bytes.withUnsafeBufferPointer { source in
            retrying {
                unsafe Glibc.send(descriptor, source.baseAddress, source.count, Int32(MSG_NOSIGNAL))
            }
        }
        guard result < 0 else { return .sent(result) }
        let code = Int32(truncatingIfNeeded: -result)
        switch code {
        case EAGAIN: return .wouldBlock
        case EPIPE, ECONNRESET: return .closed
        default: return .failed(code)
        }
    }

    /// The peer of a unix socket; nil for other sockets, where the kernel knows none.
    public borrowing func peerCredentials() -> PeerCredentials? {
        // struct ucred: pid, uid, gid (unix(7)).
        var credentials: (Int32, UInt32, UInt32) = (0, UInt32.max, UInt32.max)
        var size = socklen_t(12)
        let descriptor = raw
        // SAFETY: the tuple is three 32-bit words, exactly the 12 bytes that are written at the most.
        let result = retrying {
            unsafe Int(getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size))
        }
        // A TCP socket answers with pid 0 and ids of -1.
        guard result >= 0, size == 12, credentials.1 != UInt32.max else { return nil }
        return PeerCredentials(
            processID: credentials.0, userID: credentials.1, groupID: credentials.2)
    }

    /// Sends TCP segments at once. Harmless on other sockets.
    public borrowing func disableDelay() {
        try? setOption(raw, Int32(IPPROTO_TCP), TCP_NODELAY, 1)  // a unix socket refuses, and needs none
    }

    /// Tells the peer that nothing more will be sent.
    public borrowing func shutDownSending() {
        _ = shutdown(raw, Int32(SHUT_WR))
    }
}
