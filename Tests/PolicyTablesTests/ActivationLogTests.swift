import Octets
@testable import PolicyTables
import Signatures
import Store
import Testing

private let apply = ActivationCause(kind: .apply)
private let rollback = ActivationCause(kind: .rollback)

private func limits(kept: Int, slack: Int = 0, batch: Int = 2) -> ActivationLogLimits {
    var limits = ActivationLogLimits()
    limits.kept = kept
    limits.slack = slack
    limits.batch = batch
    return limits
}

/// The same numbers at each run.
private struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &+ 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }
}

/// A store with some versions.
private struct World {
    let temporary: TemporaryStore
    var versions: [Digest] = []
    var store: PolicyStore { temporary.store }

    init(versions count: Int) throws {
        temporary = try TemporaryStore()
        for number in 0..<count {
            versions.append(try temporary.add(model([service("s", [route("GET /\(number)")])]), "source \(number)"))
        }
    }

    func numbers() throws -> [UInt64] { try store.log().map(\.number) }

    func before() -> Digest? { try? store.versionBefore() }

    /// As builds before causes wrote them.
    func shorten(_ activation: Activation) throws {
        for key in [Array("active".utf8), StateKey.log(activation.number)] {
            let value = try #require(try temporary.value("state", key))
            try temporary.set("state", key, Array(value.prefix(48)))
        }
    }
}

@Suite struct ActivationLogTests {
    @Test func theNewestEntriesStay() throws {
        let world = try World(versions: 2)
        let store = world.store
        for number in 1...12 {
            let approval = Approval(serial: UInt64(number), signatures: [UInt8(number)])
            _ = try store.activate(world.versions[number % 2], now: Int64(number), cause: apply, approval: approval)
        }
        // Nothing goes while there are no more than the slack.
        try store.shortenLog(limits(kept: 8, slack: 4))
        #expect(try world.numbers() == Array(1...12))
        try store.shortenLog(limits(kept: 8, slack: 3))
        #expect(try world.numbers() == Array(5...12))
        for number in UInt64(1)...12 {
            #expect(try store.approval(number) == (number < 5 ? nil : [UInt8(number)]))
            #expect(try store.activation(number)?.number == (number < 5 ? nil : number))
        }
        #expect(try store.log(limit: 3).map(\.number) == [12, 11, 10])
        #expect(try store.log(before: 6, limit: 3).map(\.number) == [5] && store.log(before: 3, limit: 3) == [])
        // Numbers go on, also when next to nothing is left.
        try store.shortenLog(limits(kept: 1))
        #expect(try world.numbers() == [11, 12])
        let next = try store.activate(
            world.versions[1], now: 13, cause: apply, approval: Approval(serial: 13, signatures: []))
        #expect(next.number == 13)
        #expect(try store.highestSerial() == 13)
    }

    @Test func pruningShortensTheLog() throws {
        let world = try World(versions: 2)
        _ = try world.store.activate(world.versions[0], now: 1, cause: apply)
        _ = try world.store.activate(world.versions[1], now: 2, cause: apply)
        // As many more as are kept, and one more than the slack.
        let limits = ActivationLogLimits()
        let first = try #require(try world.store.activation(1))
        let environment = world.temporary.environment
        let database = try environment.database("state")
        let newest = UInt64(limits.kept + limits.slack + 4)
        try environment.write { transaction throws(PolicyStoreError) in
            for number in 3...newest {
                let entry = Activation(number: number, version: first.version, activatedAt: 3, cause: apply)
                try transaction.set(database, StateKey.log(number), entry.encoded)
            }
            let active = Activation(number: newest, version: first.version, activatedAt: 3, cause: apply)
            try transaction.set(database, StateKey.active, active.encoded)
        }
        try world.store.prune(keep: 16)
        let numbers = try world.numbers()
        #expect(numbers.count == limits.kept + 1 && numbers.last == newest)
        // The other version decided last under 2.
        #expect(numbers.prefix(2) == [2, newest - UInt64(limits.kept) + 1])
        #expect(try world.store.lastActivation(of: world.versions[1])?.number == 2)
        #expect(try world.store.activate(world.versions[1], now: 4, cause: apply).number == newest + 1)
    }

    /// Against a store that forgets nothing: what is asked of versions is the same, and going back comes to an end.
    @Test(arguments: 0..<6 as Range<UInt64>) func rollbacksNeedNoMoreThanWhatStays(_ seed: UInt64) throws {
        let short = try World(versions: 5)
        let whole = try World(versions: 5)
        var random = Seeded(seed: seed)
        for step in 0..<60 {
            let goesBack = Bool.random(using: &random)
            var cause = Bool.random(using: &random) ? apply : rollback
            var target = try #require(short.versions.randomElement(using: &random))
            if goesBack, let before = short.before() { (target, cause) = (before, rollback) }
            let isOld = Int.random(in: 0..<6, using: &random) == 0
            // The same version under another folder comes after itself.
            let folder = Bool.random(using: &random) ? "/a" : "/b"
            for world in [short, whole] {
                let made = try world.store.activate(target, now: 1, cause: cause, folder: folder)
                if isOld { try world.shorten(made) }
            }
            try short.store.shortenLog(limits(kept: 1 + Int(seed)))
            #expect(short.before() != target, "step \(step)")
            for version in short.versions {
                #expect(
                    try short.store.lastActivation(of: version)?.number
                        == whole.store.lastActivation(of: version)?.number,
                    "step \(step)")
            }
            let versions = Set(short.versions)
            #expect(try short.store.lastUses(of: versions) == whole.store.lastUses(of: versions), "step \(step)")
        }
        #expect(try short.numbers().count <= 1 + Int(seed) + 3 * 5)
    }

    /// The entries of a version that is not there any more are of no use to a rollback.
    @Test func whatIsKnownOfRemovedVersionsGoesToo() throws {
        let world = try World(versions: 4)
        for version in world.versions { _ = try world.store.activate(version, now: 1, cause: apply) }
        #expect(try world.store.prune(keep: 0).count == 2)
        try world.store.shortenLog(limits(kept: 1))
        #expect(try world.numbers() == [3, 4])
        #expect(world.before() == world.versions[2])
    }

    /// A number that damage made huge takes nothing with it: it is counted what is there.
    @Test func aDamagedNumberTakesNoEntriesAlong() throws {
        let world = try World(versions: 2)
        for number in 0..<4 { _ = try world.store.activate(world.versions[number % 2], now: 1, cause: apply) }
        let far = Activation(number: 1 << 40, version: world.versions[0], activatedAt: 1, cause: apply)
        try world.temporary.set("state", StateKey.active, far.encoded)
        #expect(try world.store.activate(world.versions[1], now: 2, cause: apply).number == 1 << 40 + 1)
        try world.store.shortenLog(limits(kept: 5))
        #expect(try world.numbers() == [1, 2, 3, 4, 1 << 40 + 1])
        try world.temporary.set("state", StateKey.log(3), [1])
        #expect(try world.numbers() == [1, 2, 4, 1 << 40 + 1])
        #expect(try world.store.log(limit: 3).map(\.number) == [1 << 40 + 1, 4, 2])
    }

    /// Records that older builds wrote, which do not say where a rollback went back to.
    @Test func rollbacksOfOlderBuildsAreNotWalkedInACircle() throws {
        let world = try World(versions: 3)
        for version in world.versions { _ = try world.store.activate(version, now: 1, cause: apply) }
        let back = try world.store.activate(world.versions[1], now: 2, cause: rollback)
        #expect(back.origin == 2)
        let older = Activation(
            number: back.number, version: back.version, activatedAt: 2, cause: rollback, previous: back.previous)
        for key in [Array("active".utf8), StateKey.log(back.number)] {
            try world.temporary.set("state", key, older.encoded)
        }
        #expect(world.before() == world.versions[0])
        #expect(try world.store.activate(world.versions[0], now: 3, cause: rollback).origin == 1)
        #expect(world.before() == nil)
    }

    /// An entry that says a greater number than its own would be come upon again and again.
    @Test func anEntryUnderAnotherNumberIsPassedOver() throws {
        let world = try World(versions: 4)
        for version in world.versions.prefix(3) { _ = try world.store.activate(version, now: 1, cause: apply) }
        let first = try #require(try world.store.activation(1))
        let damaged = Activation(number: 100, version: first.version, activatedAt: 1, cause: apply)
        try world.temporary.set("state", StateKey.log(1), damaged.encoded)
        #expect(try world.store.activation(1) == nil && world.numbers() == [2, 3])
        #expect(try world.store.activate(world.versions[3], now: 2, cause: rollback).origin == nil)
        #expect(world.before() == world.versions[2])
        try world.store.shortenLog(limits(kept: 1))
        #expect(try world.numbers().last == 4)
    }

    @Test func versionsThatDecidedLast() throws {
        let world = try World(versions: 4)
        for place in [0, 1, 0, 2] { _ = try world.store.activate(world.versions[place], now: 1, cause: apply) }
        let found = try world.store.lastUses(of: Set(world.versions))
        #expect(found == [world.versions[0]: 3, world.versions[1]: 2, world.versions[2]: 4])
        #expect(try world.store.lastUses(of: []) == [:])
    }
}
