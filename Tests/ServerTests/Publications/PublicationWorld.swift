import Kernel
import Policy
import PolicyTables
@testable import Server
import Signatures
import Store
import Synchronization
import Testing

/// A desk for publications on a store of its own. Who judges and who activates do as the test says.
final class PublicationWorld: Sendable {
    struct Broken: Error {}

    enum Verdict {
        case tightens
        case widens
        /// From this judgement on, counted from 1.
        case widensFrom(Int)
        case refused(PublicationRefusal)
    }

    static let now: Int64 = 1_794_614_400

    let store: PolicyStore
    let desk: PublicationDesk
    let verdict = Mutex(Verdict.tightens)
    let judged = Mutex(0)
    /// How often another version decides just before one is to be made active.
    let moves = Mutex(0)
    /// Makes a different version of the same publication.
    let salt = Mutex(0)
    let failsToActivate = Mutex(false)
    /// Causes of activations.
    let activations = Mutex<[String]>([])
    private let environment: Store.Environment
    private let folder: Kernel.TemporaryFolder
    private let key: PrivateKey

    init(isActive: Bool = true, requiresSignatures: Bool = false) throws {
        folder = try Kernel.TemporaryFolder(prefix: "sc-publish-")
        environment = try Store.Environment(path: folder.path, mapBytes: 64 << 20, maxReaders: 16)
        store = try PolicyStore(environment)
        key = try PrivateKey.generate(.ed25519)
        if isActive { _ = try store.activate(PublicationWorld.add("first", store), now: 1) }
        let link = Link()
        desk = PublicationDesk(
            PublicationHost(
                store: store, now: { PublicationWorld.now }, requiresSignatures: requiresSignatures,
                judge: { signed, _, _, _ in try link.world().judge(signed) },
                activate: { try link.world().activate($0, $1, $2) },
                log: EventLog(output: LineOutput(descriptor: -1))))
        link.set(self)
    }

    /// The desk is made before the world that it asks is complete.
    private final class Link: Sendable {
        private struct Place: @unchecked Sendable { weak var world: PublicationWorld? }
        private let place = Mutex(Place())
        func set(_ world: PublicationWorld) { place.withLock { $0.world = world } }
        func world() throws -> PublicationWorld {
            guard let world = place.withLock({ $0.world }) else { throw Broken() }
            return world
        }
    }

    private static func add(_ text: String, _ store: PolicyStore) throws -> Digest {
        let route = RouteModel(method: "GET", segments: [.literal("a")], ground: .public, label: "GET /a")
        var model = PolicyModel()
        model.services = [ServiceModel(name: "a", hosts: ["a.example"], issuers: [], routes: [route])]
        return try store.add(model, source: Array(text.utf8).span, now: 1)
    }

    private func judge(_ signed: [UInt8]) throws -> PublicationVerdict {
        let count = judged.withLock { count in
            count += 1
            return count
        }
        let publication = try SignedPublication.read(signed)
        var widenings: [String] = []
        switch verdict.withLock({ $0 }) {
        case .tightens: break
        case .widens: widenings = ["more"]
        case .widensFrom(let first): widenings = count >= first ? ["more"] : []
        case .refused(let refusal): throw refusal
        }
        let text = "\(publication.statement.serial) \(salt.withLock { $0 }) \(moved.withLock { $0 })"
        return PublicationVerdict(
            version: try PublicationWorld.add(text, store), service: publication.statement.service,
            keyID: publication.keyID,
            serial: publication.statement.serial, ends: nil, widenings: widenings)
    }

    private let moved = Mutex(0)

    private func activate(
        _ version: Digest, _ cause: ActivationCause, _ expecting: Digest
    ) throws -> PublicationHost.Change {
        if failsToActivate.withLock({ $0 }) { throw Broken() }
        let moves = moves.withLock { moves in
            guard moves > 0 else { return false }
            moves -= 1
            return true
        }
        if moves {
            let number = moved.withLock { moved in
                moved += 1
                return moved
            }
            _ = try store.activate(PublicationWorld.add("other \(number)", store), now: 2)
        }
        guard try store.active()?.version == expecting else { throw PublicationHost.Moved() }
        let activation = try store.activate(version, now: 3, cause: cause)
        activations.withLock { $0.append("\(cause.author): \(cause.note)") }
        return PublicationHost.Change(number: activation.number, isUnchanged: false)
    }

    // MARK: What tests ask for

    func publication(_ serial: UInt64, service: String = "orders") throws -> [UInt8] {
        let file = Array("file".utf8)
        let statement = PublicationStatement(
            action: .publish(file: sha256(file.span), ttlSeconds: 0), service: service, serial: serial)
        return try SignedPublication.sign(statement, file: file, key: key, algorithm: .ed25519, keyID: "ci").text
    }

    func withdrawal(_ serial: UInt64, service: String = "orders") throws -> [UInt8] {
        let statement = PublicationStatement(action: .withdraw, service: service, serial: serial)
        return try SignedPublication.sign(statement, file: [], key: key, algorithm: .ed25519, keyID: "ci").text
    }

    /// nil when it was taken.
    func reason(_ text: [UInt8]) -> PublicationRefusal.Reason? {
        refusal { try desk.publish(text, note: "", sender: "") }
    }

    func refusal(_ body: () throws -> PublicationDesk.Outcome) -> PublicationRefusal.Reason? {
        do {
            _ = try body()
            return nil
        } catch let refusal as PublicationRefusal {
            return refusal.reason
        } catch {
            Issue.record("\(error)")
            return nil
        }
    }

    func proposed(_ serial: UInt64) throws -> PublicationProposal {
        verdict.withLock { $0 = .widens }
        guard case .proposed(let proposal, _) = try desk.publish(try publication(serial), note: "", sender: "") else {
            throw Broken()
        }
        return proposal
    }

    func record(_ service: String, _ serial: UInt64) throws -> PublicationProposal {
        let version = sha256(Array("\(service) \(serial)".utf8).span)
        return PublicationProposal(
            version: version, parent: version, service: service, keyID: "ci", serial: serial, ends: nil, note: "",
            author: "", madeAt: 1, findings: ["more"], signed: [1, 2, 3])
    }

    /// Writes into the database that holds the state of the store.
    func set(_ name: String, _ value: [UInt8]) throws {
        let database = try environment.database("state")
        let name = Array(name.utf8)
        try environment.write { transaction throws(StoreError) in
            try transaction.put(database, name.span, value.span)
        }
    }
}
