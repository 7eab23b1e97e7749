/// Sets that are joined and never parted (union-find; a search halves the way to a set's root, which keeps all of them
/// together in line with the number of members but for a logarithm).
struct DisjointSets<Member: Hashable> {
    private var numbers: [Member: Int] = [:]
    /// By number: another member of the same set, nearer to its root; the root's is itself.
    private var parents: [Int] = []

    var members: some Collection<Member> { numbers.keys }

    func contains(_ member: Member) -> Bool { numbers[member] != nil }

    /// What is not a member yet becomes one.
    mutating func join(_ one: Member, _ other: Member) {
        let (one, other) = (set(of: one), set(of: other))
        parents[one] = other
    }

    /// The same number for all members of a set, until sets are joined; of its own for what was not a member yet.
    mutating func set(of member: Member) -> Int {
        guard var number = numbers[member] else {
            numbers[member] = parents.count
            parents.append(parents.count)
            return parents.count - 1
        }
        while parents[number] != number {
            parents[number] = parents[parents[number]]
            number = parents[number]
        }
        return number
    }
}
