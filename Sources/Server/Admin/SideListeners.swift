internal import Kernel

/// A thread that answers something else than questions of proxies.
protocol SideListener: Sendable {
    func start() throws(SystemError) -> SystemThread
    func requestStop()
}

/// Their sockets, which are opened before anything is answered.
struct SideSockets {
    var admin: ListeningSocket?
    var documents: ListeningSocket?
    var publications: ListeningSocket?

    /// As `status` lists them.
    var listed: [(address: String, name: String)] {
        [("admin", admin), ("documents", documents), ("publications", publications)].compactMap { name, socket in
            socket.map { ($0.address.description, name) }
        }
    }
}

/// Those that run.
struct SideListeners {
    private var running: [(listener: any SideListener, thread: SystemThread)] = []

    mutating func start(_ listener: (any SideListener)?) throws {
        guard let listener else { return }
        running.append((listener, try listener.start()))
    }

    func stop() {
        for (listener, thread) in running {
            listener.requestStop()
            thread.join()
        }
    }
}
