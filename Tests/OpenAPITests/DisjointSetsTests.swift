import Testing

@testable import OpenAPI

@Suite struct DisjointSetsTests {
    /// Against sets that are joined member by member.
    @Test(arguments: 0..<20) func joinedAsSets(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var sets = DisjointSets<Int>()
        var plain: [Int: Set<Int>] = [:]
        for _ in 0..<30 {
            let (one, other) = (Int.random(in: 0..<40, using: &random), Int.random(in: 0..<40, using: &random))
            sets.join(one, other)
            let joined = (plain[one] ?? [one]).union(plain[other] ?? [other])
            for member in joined { plain[member] = joined }
        }
        #expect(Set(sets.members) == Set(plain.keys))
        for one in 0..<40 {
            #expect(sets.contains(one) == (plain[one] != nil))
            for (other, set) in plain where plain[one] != nil {
                let isJoined = sets.set(of: one) == sets.set(of: other)
                #expect(isJoined == set.contains(one))
            }
        }
    }

    @Test func aNewMemberIsASetOfItsOwn() {
        var sets = DisjointSets<String>()
        sets.join("a", "b")
        let found = ["a", "b", "c", "c"].map { sets.set(of: $0) }
        #expect(found[0] == found[1] && found[2] == found[3] && found[0] != found[2])
    }
}
