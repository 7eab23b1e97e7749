internal import Kernel

/// Whether the process at the other end of a connection may ask.
enum PeerCheck: Sendable {
    case admitted
    /// - userID: nil where the system does not tell.
    case refused(userID: UInt32?)
}

/// The connection that was refused last, in one word that a worker writes and the control thread reads.
struct RefusedPeer: Equatable {
    /// Of the daemon's listeners.
    var listener: Int
    var userID: UInt32?

    init(listener: Int, userID: UInt32?) {
        self.listener = listener
        self.userID = userID
    }

    init(packed: UInt64) {
        listener = Int(packed >> 32)
        let low = UInt32(truncatingIfNeeded: packed)
        userID = low == UInt32.max ? nil : low
    }

    /// No user has the id (uid_t)-1 (chown(2)).
    var packed: UInt64 { UInt64(listener) << 32 | UInt64(userID ?? UInt32.max) }
}

/// Tells the log of connections that were refused. The most common mistake of a set-up is a proxy whose user is not let in.
struct RefusedPeersReport {
    /// Of each worker: the connections that the log was told of.
    private var told: [UInt64] = []
    /// The user that was looked up last; a look-up may ask a server.
    private var known: (id: UInt32, name: String?)?

    mutating func observe(_ controls: [WorkerControl], _ listeners: [Listener], _ log: EventLog) {
        told += [UInt64](repeating: 0, count: max(0, controls.count - told.count))
        var count: UInt64 = 0
        var last: RefusedPeer?
        for (index, control) in controls.enumerated() {
            let refused = control.figures.peersRefused
            guard refused != told[index] else { continue }
            count &+= refused &- told[index]
            told[index] = refused
            last = control.lastRefusedPeer
        }
        guard let last, listeners.indices.contains(last.listener) else { return }
        let address = listeners[last.listener].socket.address
        log.write(
            .warning, "peers_refused", text(count, last, address),
            [("listener", "\(address)")] + (last.userID.map { [("uid", "\($0)")] } ?? []))
    }

    private mutating func text(_ count: UInt64, _ last: RefusedPeer, _ address: ListenAddress) -> String {
        let what =
            count == 1
            ? "1 connection to `\(address)` was closed"
            : "\(count) connections were closed, the last one to `\(address)`"
        guard let userID = last.userID else { return "\(what): the system does not say whose process it was" }
        if known?.id != userID { known = (userID, Accounts.userName(userID)) }
        let user = known?.name.map { "user `\($0.prefix(64))` (uid \(userID))" } ?? "uid \(userID)"
        return
            "\(what): \(user) may not ask; give the socket the group of the same name, or add the user to `peers` of "
            + "that listener, which then names all who may"
    }
}
