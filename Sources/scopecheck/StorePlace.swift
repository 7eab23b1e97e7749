internal import ArgumentParser
internal import Kernel

/// Where versions and revocations are kept: with a running daemon, or in the files of one that does not run.
struct StorePlace: ParsableArguments {
    @OptionGroup var daemon: DaemonPlace

    @Option(help: "Folder of the store, while no daemon runs on it.")
    var store: String?

    init() {}

    /// For commands that nothing but a running daemon answers.
    init(asking daemon: DaemonPlace) {
        self.daemon = daemon
        store = nil
    }

    func validate() throws {
        guard daemon.admin == nil || store == nil else {
            throw ValidationError("give --admin of the running daemon, or --store while none runs")
        }
    }

    var name: String { store.map { "`\($0)`" } ?? "`\(daemon.address)`" }

    /// The same as it was given, to follow the words of a command that is printed; empty when it was not.
    var words: String { store.map { " --store \(shellWord($0))" } ?? daemon.words }

    /// - Parameter offline: answers the same in the files of a store.
    func ask(
        _ method: String, _ target: String, body: [UInt8] = [], contentType: String = "application/octet-stream",
        patience: DaemonPlace.Patience = .usual, offline: (_ store: String) throws -> (status: Int, body: [UInt8])
    ) throws -> DaemonPlace.Answer {
        guard let store else {
            return try daemon.ask(
                method, target, body: body, contentType: contentType, patience: patience,
                otherwise: ", or --store FOLDER while none runs")
        }
        try requireOwnUser(of: store)
        do {
            let answer = try offline(store)
            return DaemonPlace.Answer(status: answer.status, body: answer.body)
        } catch let error as SystemError where error.isWouldBlock {
            throw fail("a daemon runs on `\(store)`: \(error); or ask it: give --admin unix:PATH instead of --store")
        } catch let code as ExitCode {
            throw code
        } catch {
            throw fail("\(error)")
        }
    }

    /// Whatever opens a store makes files in it, also to read: root's own would keep the daemon's user out.
    private func requireOwnUser(of store: String) throws {
        guard Accounts.ownUserID == 0, let owner = try? Files.ownerID(store), owner != 0 else { return }
        let name = Accounts.userName(owner)
        throw fail(
            "`\(store)` belongs to `\(name ?? "\(owner)")`; run this as that user: "
                + "sudo -u \(name ?? "'#\(owner)'") scopecheck …")
    }
}
