internal import CLinux
internal import Glibc

/// Readiness of a descriptor, wanted or reported (epoll_ctl(2)).
public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// EPOLLIN
    public static let readable = Readiness(rawValue: 0x1)
    /// EPOLLOUT
    public static let writable = Readiness(rawValue: 0x4)
    /// EPOLLERR; always reported, never needs asking.
    public static let error = Readiness(rawValue: 0x8)
    /// EPOLLHUP; always reported.
    public static let hangUp = Readiness(rawValue: 0x10)
    /// EPOLLRDHUP: the peer shut down its sending side.
    public static let peerClosed = Readiness(rawValue: 0x2000)
    /// EPOLLEXCLUSIVE: of several instances that watch one descriptor, wake at least one, not all. Only in
    /// `add`, and only with `readable`, `writable`; never modified afterwards.
    public static let exclusive = Readiness(rawValue: 1 << 28)
    /// EPOLLET
    public static let edgeTriggered = Readiness(rawValue: 1 << 31)
}

/// One event of the last wait.
public struct EpollEvent: Equatable, Sendable {
    /// As given to `add` or `modify`.
    public let token: UInt64
    public let readiness: Readiness
}

/// An epoll instance with its own array of events, for one thread. A wait allocates nothing.
@safe
public struct Epoll: ~Copyable {
    private let descriptor: FileDescriptor
    private let events: UnsafeMutablePointer<epoll_event>
    /// Events that one wait can return.
    public let capacity: Int
    private var count = 0

    public init(capacity: Int = 256) throws(SystemError) {
        precondition(capacity > 0 && capacity <= 65536)
        let raw = try checked("epoll_create1") { Int(epoll_create1(Int32(EPOLL_CLOEXEC))) }
        descriptor = FileDescriptor(owning: Int32(truncatingIfNeeded: raw))
        unsafe events = UnsafeMutablePointer<epoll_event>.allocate(capacity: capacity)
        unsafe events.initialize(repeating: epoll_event(), count: capacity)
        self.capacity = capacity
    }

    deinit {
        unsafe events.deallocate()
    }

    public borrowing func add(
        _ watched: Int32, token: UInt64, for interest: Readiness
    ) throws(SystemError) {
        try control(EPOLL_CTL_ADD, watched, token, interest)
    }

    public borrowing func modify(
        _ watched: Int32, token: UInt64, for interest: Readiness
    ) throws(SystemError) {
        try control(EPOLL_CTL_MOD, watched, token, interest)
    }

    /// Closing the only descriptor of a file removes it too.
    public borrowing func remove(_ watched: Int32) throws(SystemError) {
        try control(EPOLL_CTL_DEL, watched, 0, [])
    }

    /// Waits for events.
    /// - Parameter timeoutMilliseconds: 0 only looks; nil waits without limit.
    /// - Returns: how many `event(_:)` may be asked for; 0 after the timeout or a signal.
    public mutating func wait(timeoutMilliseconds: Int32?) -> Int {
        let raw = descriptor.raw
        let limit = Int32(truncatingIfNeeded: capacity)
        let timeout = timeoutMilliseconds.map { max(0, $0) } ?? -1
        // SAFETY: the array holds `capacity` events for as long as self lives.
        let result = unsafe once { [events] in unsafe Int(epoll_wait(raw, events, limit, timeout)) }
        // What is left is EINTR (a signal; the caller looks at its clock anyway) or our own bug.
        precondition(result >= 0 || result == -Int(EINTR), "epoll_wait refused its arguments")
        count = max(0, result)
        return count
    }

    /// An event of the last wait, `index` from 0 to one less than what it returned.
    public borrowing func event(_ index: Int) -> EpollEvent {
        precondition(index >= 0 && index < count)
        // SAFETY: index is checked against the events written by the last wait; all our tokens are u64.
        let event = unsafe events[index]
        return unsafe EpollEvent(token: event.data.u64, readiness: Readiness(rawValue: event.events))
    }

    private borrowing func control(
        _ operation: Int32, _ watched: Int32, _ token: UInt64, _ interest: Readiness
    ) throws(SystemError) {
        // SAFETY: `data` is a union that we use as u64 only.
        var event = unsafe epoll_event()
        unsafe event.events = interest.rawValue
        unsafe event.data.u64 = token
        let raw = descriptor.raw
        // SAFETY: one event is read during the call.
        _ = try checked("epoll_ctl") { unsafe Int(epoll_ctl(raw, operation, watched, &event)) }
    }
}
