/// A class of path segments that both policies treat alike.
enum SegmentClass: Equatable {
    /// Number of the decoded text.
    case literal(Int32)
    /// The same text with a character escaped that needs no escape: it is read in two ways.
    case escaped(Int32)
    /// Any other text that is not empty; none of these, which are ascending.
    case other(excluding: [Int32])
    /// What follows a trailing slash.
    case empty
}

/// Where the search for a path has come to in both tries.
struct PathReading {
    var old: Candidates
    var new: Candidates
}

/// The same for both ways to read a path: one that escapes characters without need is looked up as it came and as a
/// backend may read it, and must come to one route (`DecisionState.findRoute`).
struct PathState {
    var plain: PathReading
    /// nil as long as it is the same.
    var decoded: PathReading?
}

/// Walks through all classes of paths that one policy or the other knows, and leaves out those below which both
/// policies mean the same.
///
/// Two paths whose segments are of the same classes, one by one, lead to the same candidates in both tries, so the
/// policies cannot tell them apart. A class is a literal that some candidate knows there, everything else that is not
/// empty, or nothing at all, which can only end a path. Where no candidate is left but those with `**`, nothing that
/// follows makes a difference, and the walk goes no deeper.
struct PathWalk {
    /// A request with more segments is refused.
    private static let segmentsMax = 64

    let old: PathTrie
    let new: PathTrie
    /// Number of the empty text.
    let emptyText: Int32
    /// Whether the text with this number has a character that a request may escape without need.
    let isEscapable: (Int32) -> Bool
    /// Steps that may still be taken; below 0 the walk has been given up.
    private(set) var stepsLeft: Int
    private var path: [SegmentClass] = []

    init(
        old: PathTrie, new: PathTrie, emptyText: Int32, stepsLeft: Int, isEscapable: @escaping (Int32) -> Bool
    ) {
        self.old = old
        self.new = new
        self.emptyText = emptyText
        self.stepsLeft = stepsLeft
        self.isEscapable = isEscapable
    }

    /// - Parameter visit: is given each class of paths with where it leads.
    mutating func run(_ visit: ([SegmentClass], PathState) -> Void) {
        guard new.root >= 0 else { return }
        let start = PathReading(old: old.root >= 0 ? [old.root] : [], new: [new.root])
        walk(PathState(plain: start), visit)
    }

    private mutating func walk(_ state: PathState, _ visit: ([SegmentClass], PathState) -> Void) {
        // Templates that overlap make many candidates, and each is work.
        stepsLeft -= 1 + (state.plain.old.count + state.plain.new.count) / 4
        guard stepsLeft >= 0, !isSettled(state) else { return }
        if !path.isEmpty { visit(path, state) }
        guard path.count < PathWalk.segmentsMax, hasNode(state) else {
            return
        }
        let texts = literals(state)
        step(.other(excluding: texts), advance(state, .other), visit)
        for text in texts {
            step(.literal(text), advance(state, .literal(text)), visit)
            guard isEscapable(text) else { continue }
            let decoded = advance(state.decoded ?? state.plain, .literal(text))
            step(.escaped(text), PathState(plain: advance(state.plain, .other), decoded: decoded), visit)
        }
        let end = advance(state, .empty(emptyText))
        if !isSettled(end) { visit(path + [.empty], end) }
    }

    private mutating func step(
        _ segment: SegmentClass, _ next: PathState, _ visit: ([SegmentClass], PathState) -> Void
    ) {
        path.append(segment)
        walk(next, visit)
        path.removeLast()
    }

    private func advance(_ state: PathState, _ step: PathTrie.Step) -> PathState {
        PathState(plain: advance(state.plain, step), decoded: state.decoded.map { advance($0, step) })
    }

    private func advance(_ reading: PathReading, _ step: PathTrie.Step) -> PathReading {
        PathReading(old: old.advance(reading.old, step), new: new.advance(reading.new, step))
    }

    private func hasNode(_ state: PathState) -> Bool {
        readings(state).contains { old.hasNode($0.old) || new.hasNode($0.new) }
    }

    private func readings(_ state: PathState) -> [PathReading] {
        state.decoded.map { [state.plain, $0] } ?? [state.plain]
    }

    /// Literals that some candidate knows, the empty one apart; ascending.
    private func literals(_ state: PathState) -> [Int32] {
        var result: [Int32] = []
        for reading in readings(state) {
            for (trie, candidates) in [(old, reading.old), (new, reading.new)] {
                for candidate in candidates where candidate >= 0 {
                    let range = trie.nodes[Int(candidate)].literals
                    for index in range { result.append(trie.literals[Int(index)].text) }
                }
            }
        }
        result.sort()
        var kept = 0
        for text in result where text != emptyText && (kept == 0 || result[kept - 1] != text) {
            result[kept] = text
            kept += 1
        }
        result.removeLast(result.count - kept)
        return result
    }

    // MARK: What needs no look

    /// Whether nothing from here on can be wider: the new policy has no route, or both mean the same.
    private func isSettled(_ state: PathState) -> Bool {
        guard readings(state).allSatisfy({ !$0.new.isEmpty }) else { return true }
        guard readings(state).allSatisfy({ old.meaning($0.old) == new.meaning($0.new) }) else { return false }
        guard let decoded = state.decoded else { return true }
        // Both readings must come to one route: where they stand towards each other matters too.
        return places(of: decoded.old, in: state.plain.old) == places(of: decoded.new, in: state.plain.new)
    }

    private func places(of candidates: Candidates, in others: Candidates) -> [Int] {
        candidates.map { others.firstIndex(of: $0) ?? -1 }
    }
}
