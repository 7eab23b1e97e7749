@testable import Decision
import Octets
import Signatures
import Testing

@Suite struct RevocationSetTests {
    private static func subject(_ name: String, _ issuedAtMax: Int64 = .max, until: Int64 = .max) -> Revocation {
        Revocation(
            kind: .subject, issuer: bytes("i"), value: bytes(name), issuedAtMax: issuedAtMax, until: until)
    }

    @Test("the key is SHA-256 over kind, issuer and value, each with its length")
    func key() {
        let ann = Revocation(kind: .subject, issuer: bytes("i"), value: bytes("ann"))
        let plain: [UInt8] = [2, 0, 0, 0, 0, 0, 0, 0, 1, 0x69, 0, 0, 0, 0, 0, 0, 0, 3, 0x61, 0x6E, 0x6E]
        #expect(ann.key == digest(plain))
        // What is moved from one part to another is another key, whatever the kind.
        var keys: Set<Digest> = []
        let parts = [("i", "ann"), ("ia", "nn"), ("", "iann"), ("iann", ""), ("i", "ann\0"), ("i\0", "ann")]
        for kind in Revocation.Kind.allCases {
            for (issuer, value) in parts {
                keys.insert(Revocation(kind: kind, issuer: bytes(issuer), value: bytes(value)).key)
            }
        }
        #expect(keys.count == 6 * parts.count)
        let names = Revocation.Kind.allCases.map { "\($0.name)" }
        #expect(names == ["token", "jti", "subject", "client", "issuer", "key"])
        #expect(Revocation.Kind.allCases.map(\.rawValue) == [0, 1, 2, 3, 4, 5])
    }

    @Test("a change is a new set with an epoch that no other has; the old one stays as it was")
    func immutable() {
        let empty = RevocationSet.empty
        #expect(empty.epoch == 0 && empty.count == 0 && empty.find(Self.subject("a").key) == nil)
        let one = empty.adding([Self.subject("a", 10, until: 20)])
        let two = one.adding([Self.subject("b")])
        #expect(0 < one.epoch && one.epoch < two.epoch && one.count == 1 && two.count == 2)
        #expect(empty.count == 0 && one.find(Self.subject("b").key) == nil)
        #expect(one.find(Self.subject("a").key)?.issuedAtMax == 10)
        // Nothing to add is no change.
        #expect(two.adding([]) === two)
        // The same again is a change all the same.
        let again = two.adding([Self.subject("b")])
        #expect(again.epoch > two.epoch && again.count == 2)
        // Two that were made of the same one are told apart.
        #expect(two.adding([Self.subject("c")]).epoch > again.epoch)
    }

    @Test("of two with one key the wider one stays, whichever came first, in either table")
    func widening() throws {
        let rows: [((Int64, Int64), (Int64, Int64), (Int64, Int64))] = [
            ((10, 20), (5, 30), (10, 30)), ((5, 30), (10, 20), (10, 30)), ((10, .max), (.max, 20), (.max, .max)),
            ((1, 1), (1, 1), (1, 1)),
        ]
        let filler = (0..<RevocationSet.recentEntriesMax).map { Self.subject("f\($0)") }
        for (first, second, expected) in rows {
            for isMerged in [false, true] {
                var set = RevocationSet.empty.adding([Self.subject("a", first.0, until: first.1)])
                if isMerged { set = set.adding(filler) }
                set = set.adding([Self.subject("a", second.0, until: second.1)])
                let found = try #require(set.find(Self.subject("a").key))
                #expect(found.issuedAtMax == expected.0 && found.until == expected.1, "\(isMerged)")
                #expect(set.count == (isMerged ? filler.count + 1 : 1))
            }
        }
    }

    @Test("filtering takes out what has ended and what is not kept")
    func filtering() {
        let set = RevocationSet.empty.adding([
            Self.subject("a", until: 100), Self.subject("b", until: 101), Self.subject("c"),
        ])
        #expect(set.filtered(now: 99) === set)
        let later = set.filtered(now: 100)
        #expect(later.count == 2 && later.epoch > set.epoch && later.find(Self.subject("a").key) == nil)
        let chosen = later.filtered(now: 100) { $0 != Self.subject("c").key }
        #expect(chosen.count == 1 && chosen.find(Self.subject("b").key) != nil)
        let none = chosen.filtered(now: 101)
        #expect(none.count == 0 && none.epoch > chosen.epoch)
        #expect(!none.has(.subject) && chosen.has(.subject) && !chosen.has(.client))
        #expect(set.count == 3)
    }

    /// Against a dictionary: every table size around the places where the tables grow and merge.
    @Test("random changes against a dictionary", arguments: [UInt64(1), 2, 3])
    func oracle(_ seed: UInt64) {
        var random = SeededGenerator(seed)
        var set = RevocationSet.empty
        var oracle: [Digest: (Int64, Int64)] = [:]
        let names = 6_000
        for round in 0..<60 {
            if random.chance(10) {
                let now = Int64.random(in: 0..<20, using: &random)
                let dropped = UInt8.random(in: 0...255, using: &random)
                set = set.filtered(now: now) { $0[0] != dropped }
                oracle = oracle.filter { now < $0.value.1 && $0.key[0] != dropped }
            }
            let count =
                random.chance(20) ? Int.random(in: 0..<3_000, using: &random) : Int.random(in: 0..<40, using: &random)
            var added: [Revocation] = []
            for _ in 0..<count {
                let one = Self.subject(
                    "s\(Int.random(in: 0..<names, using: &random))", Int64.random(in: 0..<20, using: &random),
                    until: Int64.random(in: 0..<60, using: &random))
                added.append(one)
                let known = oracle[one.key]
                oracle[one.key] = (max(known?.0 ?? 0, one.issuedAtMax), max(known?.1 ?? 0, one.until))
            }
            set = set.adding(added)
            #expect(set.count == oracle.count, "\(round)")
            for _ in 0..<200 {
                let key = Self.subject("s\(Int.random(in: 0..<2 * names, using: &random))").key
                let found = set.find(key)
                guard found?.issuedAtMax == oracle[key]?.0, found?.until == oracle[key]?.1 else {
                    Issue.record("round \(round): \(String(describing: found))")
                    return
                }
            }
        }
        #expect(oracle.count > 4_096)
        for (key, value) in oracle {
            guard let found = set.find(key), found.issuedAtMax == value.0, found.until == value.1 else {
                Issue.record("\(key) is lost")
                return
            }
        }
    }
}
