internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Signatures
internal import Store

extension PolicyCommand {
    /// What the daemon runs as a child before a version decides that it did not compile itself: the signatures are over
    /// the source, so the tables must be what the source says.
    struct Remake: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remake", abstract: "Compares a stored version with its source, and makes its tables anew.",
            discussion:
                "Exit 0 with `same` or `remade`, 1 when the source is not the version's, 2 when it cannot be told.",
            shouldDisplay: false)

        @Argument(help: "The version, 64 hexadecimal digits.")
        var version: String

        @Option(help: "The store's folder.")
        var store: String

        @Option(help: "The store's map size.")
        var mapBytes: Int = PolicyTrial.mapBytes

        func run() throws {
            ProcessResources.endWithParent()
            try? ProcessResources.limitAddressSpace(bytes: 64 << 30)
            guard let digest = Digest(hexadecimal: version) else { throw fail("`\(version)` is no version") }
            let now = nowSeconds()
            do throws(PolicyStoreError) {
                let opened = try PolicyCommand.openStore(store, mapBytes: mapBytes)
                let isSame = try opened.reconcile(digest, now: now) { source in
                    guard let bundle = PolicyBundle(decoding: [UInt8](copying: source)) else { return nil }
                    return loadPolicy(bundle: bundle, now: now).model
                }
                printOut(isSame ? "same\n" : "remade\n")
            } catch {
                if case .store = error { throw fail("\(error)") }
                printOut("\(error)\n")
                throw Ending.no
            }
        }
    }

    static func openStore(_ folder: String, mapBytes: Int) throws(PolicyStoreError) -> PolicyStore {
        let environment: Store.Environment
        do throws(StoreError) {
            environment = try Store.Environment(path: folder, mapBytes: mapBytes, maxReaders: 256)
        } catch {
            throw .store(error)
        }
        return try PolicyStore(environment)
    }
}
