@testable import Decision
import Kernel
import Octets
import Signatures
import Synchronization
import Testing
@testable import Tokens

@Suite struct ProofRecordsTests {
    private let rules = ProofRules(algorithms: [.es256], ageSecondsMax: 60, aheadSecondsMax: 10)

    private func proof(
        _ number: Int, client: String? = nil, issuedAt: Int64 = World.now, age: Int64 = 60
    ) -> VerifiedProof {
        let name = bytes("proof \(number)")
        let key = bytes(client ?? "proof \(number)")
        return VerifiedProof(
            thumbprint: sha256(key.span), replayKey: sha256(name.span), issuedAt: issuedAt,
            acceptableThrough: issuedAt + age, hasPreviousNonce: false)
    }

    private func nonce(_ records: ProofRecords, _ period: Int64) -> String {
        var writer = ByteWriter(capacity: ProofRecords.nonceBytes)
        records.writeNonce(ofPeriod: period, to: &writer)
        return String(lossy: writer.bytes)
    }

    @Test("a proof is taken once until its time is over, to the second, and never after")
    func once() {
        let records = ProofRecords(entriesMax: 8, startedAt: .min)
        #expect(records.add(proof(1), now: World.now) == .added)
        #expect(records.add(proof(1), now: World.now) == .known)
        #expect(records.add(proof(2), now: World.now + 30) == .added)
        #expect(records.add(proof(1), now: World.now + 60) == .known)
        #expect(records.count == 2)
        // Over: no clock of ours accepts it now, whatever a lagging worker says of the time.
        #expect(records.add(proof(1), now: World.now + 61) == .known)
        #expect(records.add(proof(1), now: World.now) == .known)
        #expect(records.add(proof(3, issuedAt: World.now + 61), now: World.now + 61) == .added)
        #expect(records.add(proof(4, issuedAt: World.now), now: World.now) == .known)
    }

    @Test("one client cannot take the room of all, and gets its share back when times are over")
    func share() {
        let records = ProofRecords(entriesMax: 1_024, startedAt: .min)
        var taken = 0
        while records.add(proof(taken, client: "greedy"), now: World.now) == .added { taken += 1 }
        #expect(taken == 513)
        // Another one, unless it meets the greedy one in its bucket: of 32 most do not.
        let others = (0..<32).filter {
            records.add(proof(10_000 + $0, client: "other \($0)"), now: World.now) == .added
        }
        #expect(others.count >= 16)
        for number in 0..<taken { #expect(records.add(proof(number, client: "greedy"), now: World.now) == .known) }
        let later = World.now + 61
        #expect(records.add(proof(-1, client: "greedy", issuedAt: later), now: later) == .added)
    }

    @Test("a full memory refuses what is new, forgets nothing early, and takes more when times are over")
    func full() {
        for entriesMax in [1, 2, 7, 64, 1_000] {
            let records = ProofRecords(entriesMax: entriesMax, startedAt: .min)
            for number in 0..<entriesMax { #expect(records.add(proof(number), now: World.now) == .added) }
            for second in [0, 1, 59, 60] as [Int64] {
                let now = World.now + second
                #expect(records.add(proof(-1 - Int(second), issuedAt: now), now: now) == .full)
                for number in 0..<entriesMax { #expect(records.add(proof(number), now: now) == .known) }
            }
            #expect(records.count == entriesMax)
            let later = World.now + 61
            for number in 0..<entriesMax {
                #expect(records.add(proof(10_000 + number, issuedAt: later), now: later) == .added)
            }
            #expect(records.add(proof(-1, issuedAt: later), now: later) == .full)
            #expect(records.count == entriesMax)
        }
    }

    @Test("places are used again one by one, each for as long as its own proof lasts")
    func mixedTimes() {
        let records = ProofRecords(entriesMax: 4, startedAt: .min)
        for number in 0..<4 {
            #expect(records.add(proof(number, issuedAt: World.now + Int64(number)), now: World.now + 3) == .added)
        }
        var kept = Set(0..<4)
        for second in 61...64 as ClosedRange<Int64> {
            let now = World.now + second
            kept.remove(Int(second - 61))
            #expect(records.add(proof(100 + Int(second), issuedAt: now), now: now) == .added)
            #expect(records.add(proof(200, issuedAt: now), now: now) == .full)
            for number in kept {
                #expect(records.add(proof(number, issuedAt: World.now + Int64(number)), now: now) == .known)
            }
        }
    }

    @Test("against a plain set, with a clock that goes on by itself")
    func againstSet() {
        var random = SeededGenerator(7)
        let records = ProofRecords(entriesMax: 5_000, startedAt: .min)
        var used: Set<Int> = []
        var now = World.now
        for _ in 0..<20_000 {
            if random.chance(2) { now += 1 }
            let number = Int.random(in: 0..<6_000, using: &random)
            // Every proof has one time of its own.
            let issuedAt = World.now + Int64(number % 400)
            guard issuedAt <= now + 10, now <= issuedAt + 60 else { continue }
            let expected: ProofTable.Addition = used.insert(number).inserted ? .added : .known
            #expect(records.add(proof(number, issuedAt: issuedAt), now: now) == expected)
        }
        #expect(used.count > 1_000)
    }

    @Test("of many at the same time exactly one is the first", arguments: [1, 256])
    func concurrent(_ parts: Int) throws {
        let race = Race(
            records: ProofRecords(entriesMax: 512 * parts, startedAt: .min), proofs: (0..<300).map { proof($0) })
        let threads = try (0..<8).map { number in
            try SystemThread.start(name: "racer \(number)", context: race) { $0.run() }
        }
        for thread in threads { thread.join() }
        #expect(race.added.load(ordering: .relaxed) == 300 && race.others.load(ordering: .relaxed) == 7 * 300)
        #expect(race.records.count == 300)
    }

    @Test("nothing is known of the time before the start")
    func start() {
        let records = ProofRecords(entriesMax: 8, startedAt: World.now)
        for second in [-100, 0, 1, 69, 70] as [Int64] { #expect(records.demandsNonce(rules, now: World.now + second)) }
        #expect(!records.demandsNonce(rules, now: World.now + 71))
        // The clock goes back, the records do not.
        #expect(!records.demandsNonce(rules, now: World.now))
        let wide = ProofRules(algorithms: [.es256], ageSecondsMax: 600, aheadSecondsMax: 60)
        #expect(records.demandsNonce(wide, now: World.now + 660) && !records.demandsNonce(wide, now: World.now + 661))
        for now in [Int64.min, -1, 0, World.now, .max] {
            #expect(!ProofRecords(entriesMax: 8, startedAt: .min).demandsNonce(rules, now: now) || now == .min)
        }
    }

    @Test("longer times for proofs: those forgotten under the shorter ones may not pass again")
    func growth() {
        let records = ProofRecords(entriesMax: 8, startedAt: .min)
        records.allow(ageSeconds: 60, now: World.now)
        #expect(!records.demandsNonce(rules, now: World.now))
        #expect(records.add(proof(1), now: World.now) == .added)
        records.allow(ageSeconds: 30, now: World.now + 50)
        #expect(!records.demandsNonce(rules, now: World.now + 50))
        // A shorter time does not shorten memory.
        #expect(records.add(proof(1, age: 30), now: World.now + 30) == .known)
        let wide = ProofRules(algorithms: [.es256], ageSecondsMax: 600, aheadSecondsMax: 10)
        records.allow(ageSeconds: 600, now: World.now + 100)
        #expect(records.demandsNonce(wide, now: World.now + 100) && records.demandsNonce(wide, now: World.now + 710))
        #expect(!records.demandsNonce(wide, now: World.now + 711))
        // Proofs by shorter rules are now kept as long as by the longest.
        #expect(records.add(proof(2, issuedAt: World.now + 720), now: World.now + 720) == .added)
        let late = proof(2, issuedAt: World.now + 720, age: 600)
        #expect(records.add(late, now: World.now + 1_320) == .known)
        #expect(records.add(late, now: World.now + 1_321) == .known)
    }

    @Test("longer times for proofs: nonces from before are good no more, since a forgotten proof may carry one")
    func growthChangesNonces() {
        let records = ProofRecords(entriesMax: 8, startedAt: .min)
        func given() -> [String] {
            var held = ProofNonces()
            held.follow(records, now: World.now)
            return [String(lossy: held.current.bytes), String(lossy: held.previous.bytes)]
        }
        var held = ProofNonces()
        held.follow(records, now: World.now)
        records.allow(ageSeconds: 60, now: World.now)
        let before = given()
        #expect(before == [String(lossy: held.current.bytes), String(lossy: held.previous.bytes)])
        records.allow(ageSeconds: 600, now: World.now)
        held.follow(records, now: World.now)
        let after = given()
        #expect(Set(before + after).count == 4)
        #expect(after == [String(lossy: held.current.bytes), String(lossy: held.previous.bytes)])
        records.allow(ageSeconds: 30, now: World.now)
        #expect(given() == after)
    }

    @Test("nonces: 22 characters of base64url, one for each period, others elsewhere")
    func nonces() {
        let (one, other) = (ProofRecords(entriesMax: 1, startedAt: .min), ProofRecords(entriesMax: 1, startedAt: .min))
        var seen: Set<String> = []
        for period in [Int64.min, -1, 0, 1, 2, 6_000_000, .max] {
            for records in [one, other] {
                let text = nonce(records, period)
                #expect(text == nonce(records, period) && text.utf8.count == 22)
                #expect(Base64URL.decode(bytes(text).span)?.count == 16)
                seen.insert(text)
            }
        }
        #expect(seen.count == 14)
        #expect(one.noncePeriod(now: 299) == 0 && one.noncePeriod(now: 300) == 1)
        // It does not go back.
        #expect(one.noncePeriod(now: 0) == 1)
        var held = ProofNonces()
        held.follow(other, now: 1_000)
        #expect(String(lossy: held.current.bytes) == nonce(other, 3))
        #expect(String(lossy: held.previous.bytes) == nonce(other, 2))
        held.follow(other, now: 1_200)
        #expect(String(lossy: held.current.bytes) == nonce(other, 4))
        #expect(String(lossy: held.previous.bytes) == nonce(other, 3))
    }

    @Test("any number of entries is taken, and any time")
    func limits() {
        for entriesMax in [Int.min, -1, 0, 1, 2_047, 2_048, 100_000] {
            let records = ProofRecords(entriesMax: entriesMax, startedAt: .min)
            for now in [Int64.min, -1, 0, World.now, .max] {
                _ = records.add(proof(1, issuedAt: 1 << 53), now: now)
                _ = records.noncePeriod(now: now)
            }
        }
    }
}

/// Threads that all add the same proofs in the same order, from the same moment on.
private final class Race: Sendable {
    let records: ProofRecords
    let proofs: [VerifiedProof]
    let added = Atomic<Int>(0)
    let others = Atomic<Int>(0)
    private let waiting = Atomic<Int>(8)

    init(records: ProofRecords, proofs: [VerifiedProof]) {
        self.records = records
        self.proofs = proofs
    }

    func run() {
        waiting.subtract(1, ordering: .sequentiallyConsistent)
        while waiting.load(ordering: .sequentiallyConsistent) > 0 {}
        for proof in proofs {
            switch records.add(proof, now: World.now) {
            case .added: added.add(1, ordering: .relaxed)
            case .known, .full: others.add(1, ordering: .relaxed)
            }
        }
    }
}
