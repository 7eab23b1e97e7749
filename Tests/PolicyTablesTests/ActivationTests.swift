import Octets
import PolicyTables
import Signatures
import Store
import Testing

private func error(_ body: () throws -> Void) -> PolicyStoreError? {
    do {
        try body()
        return nil
    } catch {
        return error as? PolicyStoreError
    }
}

private func policy(_ path: String) -> PolicyModel { model([service("s", [route("GET \(path)")])]) }

private let apply = ActivationCause(kind: .apply, author: "alice (uid 7)", note: "because")
private let rollback = ActivationCause(kind: .rollback)

/// Two versions in a store.
private struct World {
    let temporary = try? TemporaryStore()
    let one: Digest
    let two: Digest
    var store: PolicyStore { get throws { try #require(temporary).store } }

    init() throws {
        let temporary = try #require(temporary)
        one = try temporary.add(policy("/one"), "one")
        two = try temporary.add(policy("/two"), "two")
    }
}

@Suite struct ActivationTests {
    @Test func theLogSaysWhoAndWhy() throws {
        let world = try World()
        let store = try world.store
        let first = try store.activate(world.one, now: 10, cause: apply, folder: "/etc/a")
        #expect(first.cause == apply && first.folder == "/etc/a" && first.previous == nil && first.serial == 0)
        let second = try store.activate(world.two, now: 20, cause: rollback, folder: "/etc/b")
        #expect(second.previous == world.one)
        #expect(try store.log() == [first, second])
        #expect(try store.active() == second && store.activation(1) == first && store.activation(3) == nil)
        #expect(try store.log(limit: 10) == [second, first])
        #expect(try store.log(limit: 1) == [second] && store.log(before: 2, limit: 5) == [first])
        #expect(try store.log(before: 1, limit: 5) == [] && store.log(before: .max, limit: 5).count == 2)
        #expect(try store.versionBefore() == world.one && store.lastActivation(of: world.one) == first)
        // The same version with another folder reads other key files.
        #expect(try store.activate(world.two, now: 30, cause: apply, folder: "/etc/b") == second)
        #expect(try store.activate(world.two, now: 30, cause: apply, folder: "/etc/c").number == 3)
        #expect(try store.versionBefore() == world.one)
    }

    @Test func textsAreCutToWhatRecordsHold() throws {
        let world = try World()
        let cause = ActivationCause(
            kind: .apply, author: String(repeating: "é", count: 200), note: String(repeating: "n", count: 9_000))
        let made = try world.store.activate(world.one, now: 1, cause: cause)
        #expect(made.cause.author.utf8.count == 256 && made.cause.note.utf8.count == 4_096)
        #expect(try world.store.active() == made)
        let odd = ActivationCause(kind: .apply, author: "x" + String(repeating: "é", count: 200))
        #expect(try world.store.activate(world.two, now: 1, cause: odd).cause.author.utf8.count == 255)
    }

    /// 48 bytes: what builds before causes wrote.
    @Test func recordsOfOlderBuilds() throws {
        let world = try World()
        let temporary = try #require(world.temporary)
        _ = try world.store.activate(world.one, now: 10)
        _ = try world.store.activate(world.two, now: 20)
        for key in try temporary.keys("state") {
            let value = try #require(try temporary.value("state", key))
            if value.count > 48 { try temporary.set("state", key, Array(value.prefix(48))) }
        }
        try temporary.set("state", Array("file".utf8), nil)
        let active = try #require(try world.store.active())
        #expect(active.number == 2 && active.version == world.two && active.cause == ActivationCause())
        #expect(active.previous == nil && active.folder == "" && active.serial == 0)
        #expect(try world.store.versionBefore() == world.one)
        // They all came from the file.
        _ = try world.store.activate(world.one, now: 30, cause: rollback)
        #expect(try world.store.heldBack() == world.two)
        let record = try #require(try temporary.value("versions", world.one.bytes))
        try temporary.set("versions", world.one.bytes, Array(record.prefix(64)))
        #expect(try world.store.info(world.one)?.origin == VersionOrigin())
    }

    @Test func damagedRecords() throws {
        let world = try World()
        let temporary = try #require(world.temporary)
        let made = try world.store.activate(world.one, now: 10, cause: apply, folder: "/f")
        let key = Array("active".utf8)
        let good = try #require(try temporary.value("state", key))
        var bad = [Array(good.dropLast()), good + [0], Array(good.prefix(49)), Array(good.prefix(57)), []]
        for (place, value) in [(48, UInt8(9)), (49, 2), (58, 255), (60, 255), (62, 255)] {
            var bytes = good
            bytes[place] = value
            bad.append(bytes)
        }
        for bytes in bad {
            try temporary.set("state", key, bytes)
            #expect(throws: PolicyStoreError.self) { try world.store.active() }
            #expect(throws: PolicyStoreError.self) { try world.store.activate(world.two, now: 11) }
        }
        try temporary.set("state", key, good)
        #expect(try world.store.active() == made)
    }

    @Test func originsOfVersions() throws {
        let temporary = try TemporaryStore()
        let parent = try temporary.add(policy("/p"), "p")
        let origin = VersionOrigin(author: "a", note: "n", parent: parent, folder: "/f")
        let source = Array("source".utf8)
        let version = try temporary.store.add(policy("/x"), source: source.span, now: 5, origin: origin)
        #expect(try temporary.store.info(version)?.origin == origin)
        #expect(try temporary.store.info(parent)?.origin == VersionOrigin())
        // Stored first by whoever stored it first.
        _ = try temporary.store.add(policy("/x"), source: source.span, now: 9, origin: VersionOrigin(author: "b"))
        #expect(try temporary.store.info(version)?.origin == origin)
        #expect(try temporary.store.versions(beginningWith: String("\(version)".prefix(9))).map(\.version) == [version])
        #expect(try temporary.store.source(version, from: 2, count: 3) == Array("urc".utf8))
        #expect(try temporary.store.source(version, from: 4, count: .max) == Array("ce".utf8))
        #expect(try temporary.store.source(version, from: 6, count: 1) == [])
        #expect(try temporary.store.source(version, from: -1, count: 1) == [])
        let record = try #require(try temporary.value("versions", version.bytes))
        for bytes in [Array(record.dropLast()), record + [0], Array(record.prefix(65)), Array(record.prefix(63))] {
            try temporary.set("versions", version.bytes, bytes)
            #expect(throws: PolicyStoreError.self) { try temporary.store.info(version) }
        }
    }

    // MARK: the policy file

    @Test func aFileThatWasLeftIsHeldBack() throws {
        let world = try World()
        let store = try world.store
        _ = try store.activate(world.one, now: 1)
        let second = try store.activate(world.two, now: 2)
        _ = try store.activate(world.one, now: 3, cause: rollback)
        #expect(try store.heldBack() == world.two)
        #expect(error { _ = try store.activate(world.two, now: 4) } == .heldBack(world.two))
        #expect(try store.active()?.number == 3)
        // Rolling back to what the file holds releases it, and leaving it once more holds it back again.
        _ = try store.activate(second.version, now: 5, cause: rollback)
        #expect(try store.heldBack() == nil)
        #expect(try store.activate(world.two, now: 6).number == 4)
        _ = try store.activate(world.one, now: 7, cause: apply)
        #expect(try store.heldBack() == world.two)
        // Another content of the file releases it, also one that is in force already.
        #expect(try store.activate(world.one, now: 8).number == 5)
        #expect(try store.heldBack() == nil)
        #expect(try store.activate(world.two, now: 9).number == 6)
    }

    /// With publications the version of a file is another one than the file's own hash.
    @Test func aFileIsKnownByItsOwnBytesWhateverWasPublished() throws {
        let world = try World()
        let store = try world.store
        let temporary = try #require(world.temporary)
        let others = try ["/3", "/4", "/5"].map { try temporary.add(policy($0), $0) }
        let publish = ActivationCause(kind: .publish)
        _ = try store.activate(world.one, now: 1)
        _ = try store.activate(world.two, now: 2, cause: publish)
        #expect(try store.heldBack() == nil)
        // The file with what was published, at a restart.
        #expect(try store.activate(world.two, now: 3, file: world.one).number == 2)
        _ = try store.activate(others[0], now: 4, cause: apply)
        #expect(try store.heldBack() == world.one)
        _ = try store.activate(others[1], now: 5, cause: publish)
        #expect(try store.heldBack() == world.one)
        #expect(error { _ = try store.activate(others[2], now: 6, file: world.one) } == .heldBack(world.one))
        // Rolling back to what the file became releases it.
        _ = try store.activate(world.two, now: 7, cause: rollback)
        #expect(try store.heldBack() == nil)
        // Another file is taken.
        #expect(try store.activate(others[2], now: 8, file: others[2]).number == 6)
        try temporary.set("state", Array("file".utf8), [1])
        #expect(throws: PolicyStoreError.self) { try store.activate(world.one, now: 9, cause: rollback) }
    }

    @Test func rollingBackTwiceGoesFurtherBack() throws {
        let world = try World()
        let store = try world.store
        let three = try #require(world.temporary).add(policy("/3"), "3")
        _ = try store.activate(world.one, now: 1, cause: apply)
        #expect(error { _ = try store.versionBefore() } == .nothingBefore)
        _ = try store.activate(world.two, now: 2, cause: apply)
        _ = try store.activate(three, now: 3, cause: apply)
        #expect(try store.versionBefore() == world.two)
        _ = try store.activate(world.two, now: 4, cause: rollback)
        #expect(try store.versionBefore() == world.one)
        _ = try store.activate(world.one, now: 5, cause: rollback)
        #expect(error { _ = try store.versionBefore() } == .nothingBefore)
        // Forward again by name, and from there back as before.
        _ = try store.activate(three, now: 6, cause: rollback)
        #expect(try store.versionBefore() == world.two)
        _ = try store.activate(world.one, now: 7, cause: apply)
        #expect(try store.versionBefore() == three)
    }

    /// The version that decides had decided before the one that is left: going back must not go round in a circle.
    @Test func rollingBackPassesEachStepOnce() throws {
        let world = try World()
        let store = try world.store
        let three = try #require(world.temporary).add(policy("/3"), "3")
        for version in [three, world.one, world.two, world.one] {
            _ = try store.activate(version, now: 1, cause: apply)
        }
        for (version, origin) in [(world.two, 3), (world.one, 2), (three, 1)] as [(Digest, UInt64)] {
            #expect(try store.versionBefore() == version)
            let made = try store.activate(version, now: 2, cause: rollback)
            #expect(try made.origin == origin && store.active() == made)
        }
        #expect(error { _ = try store.versionBefore() } == .nothingBefore)
    }

    /// Against histories that are kept whole: for each activation the versions that lie behind it.
    @Test(arguments: 0..<8 as Range<UInt64>) func rollbacksGoBackTheWayThatWasCome(_ seed: UInt64) throws {
        let world = try World()
        let store = try world.store
        var versions = [world.one, world.two]
        for number in 3...5 {
            versions.append(try #require(world.temporary).add(policy("/\(number)"), "\(number)"))
        }
        var state = seed &+ 1
        func random(_ bound: UInt64) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % bound)
        }
        var histories: [[Digest]] = []
        func behind(_ history: [Digest]) -> Digest? { history.last { $0 != history.last } }
        for step in 0..<80 {
            var history = histories.last ?? []
            #expect((try? store.versionBefore()) == behind(history), "step \(step)")
            var target = versions[random(5)]
            var cause = random(2) == 0 ? apply : rollback
            if random(2) == 0, let back = behind(history) { (target, cause) = (back, rollback) }
            if target == history.last { continue }
            if cause == apply {
                history.append(target)
            } else if let place = history.dropLast().lastIndex(of: target) {
                history = Array(history[...place])
            } else {
                history = histories.last { $0.last == target } ?? history + [target]
            }
            histories.append(history)
            _ = try store.activate(target, now: 1, cause: cause)
        }
    }

    @Test func withoutAFileNothingIsHeldBack() throws {
        let world = try World()
        let store = try world.store
        _ = try store.activate(world.one, now: 1, cause: apply)
        _ = try store.activate(world.two, now: 2, cause: apply)
        _ = try store.activate(world.one, now: 3, cause: rollback)
        #expect(try store.heldBack() == nil)
    }

    // MARK: approvals

    @Test func serialsOnlyGrow() throws {
        let world = try World()
        let store = try world.store
        #expect(try store.highestSerial() == 0)
        let first = try store.activate(
            world.one, now: 1, cause: apply, approval: Approval(serial: 5, signatures: [1, 2]))
        #expect(first.serial == 5)
        #expect(try store.approval(1) == [1, 2] && store.highestSerial() == 5)
        for serial in [UInt64(5), 4, 0] {
            let old = Approval(serial: serial, signatures: [])
            #expect(
                error { _ = try store.activate(world.two, now: 2, cause: apply, approval: old) }
                    == .staleSerial(serial, highest: 5))
        }
        // The same version under a new statement is a new activation.
        let again = try store.activate(world.one, now: 3, cause: apply, approval: Approval(serial: 9, signatures: [3]))
        #expect(again.number == 2 && again.serial == 9)
        #expect(try store.approval(2) == [3])
        let leaving = Approval(
            serial: 10, signatures: [4], leaving: Approval.Leaving(version: world.one, serial: 5))
        #expect(
            error { _ = try store.activate(world.two, now: 4, cause: rollback, approval: leaving) }
                == .notPresent(world.one))
        var right = leaving
        right.leaving?.serial = 9
        #expect(try store.activate(world.two, now: 5, cause: rollback, approval: right).serial == 10)
        #expect(try store.highestSerial() == 10 && store.active()?.number == 3)
    }

    @Test func aStoreThatNeedsApprovalsTakesNothingElse() throws {
        let world = try World()
        let strict = try PolicyStore(try #require(world.temporary).environment, requiresApproval: true)
        for cause in [ActivationCause(), apply, rollback] {
            #expect(error { _ = try strict.activate(world.one, now: 1, cause: cause) } == .approvalMissing)
        }
        #expect(try strict.active() == nil)
        _ = try strict.activate(world.one, now: 1, cause: apply, approval: Approval(serial: 1, signatures: []))
        // Not even what decides already.
        #expect(error { _ = try strict.activate(world.one, now: 1) } == .approvalMissing)
    }

    @Test func preparedRollbacksLastAsLongAsTheirActivation() throws {
        let world = try World()
        let store = try world.store
        let three = try #require(world.temporary).add(policy("/three"), "three", now: 0)
        var approval = Approval(serial: 1, signatures: [])
        approval.rollbacks = [PreparedRollback(target: three, signatures: [7])]
        _ = try store.activate(world.one, now: 1, cause: apply, approval: approval)
        #expect(try store.preparedRollbacks() == approval.rollbacks)
        // What it names is not pruned, nor what the caller names.
        #expect(try store.prune(keep: 0, keeping: [world.two]) == [])
        #expect(try store.prune(keep: 0) == [world.two])
        #expect(try store.info(three) != nil)
        _ = try store.activate(three, now: 2, cause: rollback, approval: Approval(serial: 2, signatures: []))
        #expect(try store.preparedRollbacks() == [])
        // What decided before stays for a rollback.
        #expect(try store.prune(keep: 0) == [])
        #expect(try store.info(world.one) != nil)
    }

    /// Whoever may store versions must not push out those that people may have to go back to.
    @Test func versionsThatNeverDecidedPushNothingOut() throws {
        let world = try World()
        let store = try world.store
        let temporary = try #require(world.temporary)
        _ = try store.activate(world.one, now: 1, cause: apply)
        _ = try store.activate(world.two, now: 2, cause: apply)
        for number in 0..<20 { _ = try temporary.add(policy("/s\(number)"), "s\(number)", now: Int64(100 + number)) }
        let removed = try store.prune(keep: 16)
        #expect(removed.count == 16 && !removed.contains(world.one) && !removed.contains(world.two))
        #expect(try store.versionBefore() == world.one)
        #expect(try store.info(world.one) != nil)
    }

    @Test func aDamagedNumberDoesNotHangTheLog() throws {
        let world = try World()
        let store = try world.store
        let temporary = try #require(world.temporary)
        _ = try store.activate(world.one, now: 1, cause: apply)
        let key = Array("active".utf8)
        var record = try #require(try temporary.value("state", key))
        record[5] = 1
        try temporary.set("state", key, record)
        #expect(try store.log(limit: 10).count == 1)
        #expect(try store.log(before: .max, limit: 10).count == 1)
    }

    // MARK: comparison with the source

    @Test func tablesThatSaySomethingElseAreMadeAnew() throws {
        let world = try World()
        let temporary = try #require(world.temporary)
        let store = try world.store
        #expect(try store.reconcile(world.one, now: 5) { _ in policy("/one") })
        // The tables of the one are those of the other, seal and all: a source that says so.
        #expect(try !store.reconcile(world.one, now: 5) { _ in policy("/lie") })
        try store.verify(world.one, withSource: true)
        #expect(try !store.reconcile(world.one, now: 5) { _ in policy("/one") })
        #expect(try store.reconcile(world.one, now: 5) { _ in policy("/one") })
        #expect(try store.info(world.one)?.createdAt == 1_000)
        // Damage, a missing record and one table too many.
        let tables = try temporary.keys("tables").filter { $0.starts(with: world.one.bytes.prefix(16)) }
        try temporary.set("tables", try #require(tables.last), [1, 2, 3])
        #expect(try !store.reconcile(world.one, now: 5) { _ in policy("/one") })
        try temporary.set("versions", world.one.bytes, nil)
        #expect(try !store.reconcile(world.one, now: 5) { _ in policy("/one") })
        try temporary.set("tables", Array(world.one.bytes.prefix(16)) + [0x68, 0x7A], [1])
        #expect(try !store.reconcile(world.one, now: 5) { _ in policy("/one") })
        #expect(try store.reconcile(world.one, now: 5) { _ in policy("/one") })
        // A source that is not the version's, none, and one that is refused.
        #expect(error { _ = try store.reconcile(world.one, now: 5) { _ in nil } } == .sourceRefused(world.one))
        try temporary.set("sources", world.one.bytes, Array("other".utf8))
        guard case .corrupt = error({ _ = try store.reconcile(world.one, now: 5) { _ in policy("/one") } }) else {
            Issue.record("taken")
            return
        }
        try temporary.set("sources", world.one.bytes, nil)
        #expect(
            error { _ = try store.reconcile(world.one, now: 5) { _ in policy("/one") } } == .unknownVersion(world.one))
    }

    @Test func versionsThatShareTheirTablesPlace() throws {
        let temporary = try TemporaryStore()
        let source = Array("one".utf8)
        let version = PolicyStore.version(ofSource: source.span)
        let twin = Array(version.bytes.prefix(16)) + [UInt8](repeating: 7, count: 16)
        try temporary.set("versions", twin, [UInt8](repeating: 0, count: 64))
        guard case .corrupt = error({ _ = try temporary.add(policy("/one"), "one") }) else {
            Issue.record("stored")
            return
        }
        #expect(try temporary.keys("tables") == [])
        try temporary.set("versions", twin, nil)
        #expect(try temporary.add(policy("/one"), "one") == version)
    }

    /// Another process that takes a version for unfinished must not leave half of it behind.
    @Test func damagedVersionsAreStoredAgain() throws {
        let world = try World()
        let temporary = try #require(world.temporary)
        let tables = try temporary.keys("tables").filter { $0.starts(with: world.one.bytes.prefix(16)) }
        try temporary.set("tables", try #require(tables.first), nil)
        #expect(throws: PolicyStoreError.self) { try world.store.activate(world.one, now: 1) }
        _ = try temporary.add(policy("/one"), "one")
        #expect(try world.store.activate(world.one, now: 1).number == 1)
    }
}
