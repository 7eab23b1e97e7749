public import Signatures
internal import Synchronization
public import Tokens

/// What is known of a token that its issuer was asked about.
public enum IntrospectionFinding: Sendable {
    case active(VerifiedToken)
    case inactive
    case refused(TokenRefusal)
    /// The issuer could not be asked.
    case unavailable
}

/// Replies of issuers, found by all workers. Bounded: a reply that is forgotten is asked for again.
///
/// Active tokens and all others have rooms of their own, so that made-up tokens, which no issuer calls active, push
/// none out that one did. A lock is held for a few comparisons, by the tokens of one part in up to 64.
public final class IntrospectionRecords: Sendable {
    private final class Part: Sendable {
        let rooms: Mutex<FindingRooms>
        init(entriesMax: Int) { rooms = Mutex(FindingRooms(entriesMax: entriesMax)) }
    }

    private let parts: [Part]

    /// - Parameter entriesMax: findings kept at the most, 8 to 16,777,216, rounded up to a power of two; half of them of
    ///   active tokens. About 90 bytes each, and the tokens themselves.
    public init(entriesMax: Int) {
        let entriesMax = max(8, min(entriesMax, 1 << 24))
        var partCount = 1
        while partCount < 64, entriesMax / partCount >= 256 { partCount *= 2 }
        parts = (0..<partCount).map { _ in Part(entriesMax: (entriesMax + partCount - 1) / partCount) }
    }

    /// Findings kept now; those whose time is over count until their room is needed.
    public var count: Int { parts.reduce(0) { $0 + $1.rooms.withLock { $0.active.count + $0.others.count } } }

    /// Replaces what was known of the token. An active token is not believed beyond its `freshUntil`.
    /// - Parameter until: how long it is believed, Unix seconds: up to the second before.
    public func store(_ finding: IntrospectionFinding, for question: IntrospectionQuestion, until: Int64) {
        let key = FindingKey(
            digest: question.digest, issuerIndex: question.issuerIndex, generation: question.generation)
        var end = until
        if case .active(let token) = finding { end = min(end, token.freshUntil) }
        let record = FindingRecord(key: key, finding: finding, until: end)
        part(question.digest).rooms.withLock { rooms in
            if case .active = finding {
                rooms.others.remove(key)
                rooms.active.insert(record)
            } else {
                rooms.active.remove(key)
                rooms.others.insert(record)
            }
        }
    }

    /// - Parameter generation: `IssuerSnapshot.generation` that the decision is made under.
    public func finding(
        for token: Digest, issuerIndex: Int, generation: UInt64, now: Int64
    ) -> IntrospectionFinding? {
        let key = FindingKey(digest: token, issuerIndex: issuerIndex, generation: generation)
        return part(token).rooms.withLock { rooms in
            rooms.active.finding(key, now: now) ?? rooms.others.finding(key, now: now)
        }
    }

    /// Whether there is a finding to decide the question with.
    public func knows(_ question: IntrospectionQuestion, now: Int64) -> Bool {
        finding(
            for: question.digest, issuerIndex: question.issuerIndex, generation: question.generation, now: now) != nil
    }

    private func part(_ digest: Digest) -> Part {
        // Other bits than those that choose a set.
        parts[Int(truncatingIfNeeded: digest.firstWord >> 56) & (parts.count - 1)]
    }
}

private struct FindingKey: Equatable {
    let digest: Digest
    let issuerIndex: Int
    let generation: UInt64
}

private struct FindingRecord {
    let key: FindingKey
    let finding: IntrospectionFinding
    let until: Int64
}

private struct FindingRooms: ~Copyable {
    var active: FindingRoom
    var others: FindingRoom

    init(entriesMax: Int) {
        active = FindingRoom(entriesMax: (entriesMax + 1) / 2)
        others = FindingRoom(entriesMax: (entriesMax + 1) / 2)
    }
}

/// A fixed number of sets of four places. A full set gives up one of an older generation of issuers, or else the one
/// that ends first.
private struct FindingRoom: ~Copyable {
    private static let placesPerSet = 4

    private let setMask: Int
    private var records: [FindingRecord?]
    private(set) var count = 0

    init(entriesMax: Int) {
        var sets = 1
        while sets * FindingRoom.placesPerSet < entriesMax { sets *= 2 }
        setMask = sets - 1
        records = [FindingRecord?](repeating: nil, count: sets * FindingRoom.placesPerSet)
    }

    private func places(of key: FindingKey) -> Range<Int> {
        let first = (Int(truncatingIfNeeded: key.digest.firstWord) & setMask) * FindingRoom.placesPerSet
        return first..<first + FindingRoom.placesPerSet
    }

    func finding(_ key: FindingKey, now: Int64) -> IntrospectionFinding? {
        for place in places(of: key) {
            if let record = records[place], record.key == key { return now < record.until ? record.finding : nil }
        }
        return nil
    }

    mutating func insert(_ record: FindingRecord) {
        remove(record.key)
        var chosen: Int?
        for place in places(of: record.key) {
            guard let present = records[place] else {
                chosen = place
                break
            }
            guard let other = chosen.flatMap({ records[$0] }) else {
                chosen = place
                continue
            }
            if rank(present) < rank(other) { chosen = place }
        }
        guard let chosen else { return }
        if records[chosen] == nil { count += 1 }
        records[chosen] = record
    }

    /// Lowest goes first.
    private func rank(_ record: FindingRecord) -> (UInt64, Int64) { (record.key.generation, record.until) }

    mutating func remove(_ key: FindingKey) {
        for place in places(of: key) where records[place]?.key == key {
            records[place] = nil
            count -= 1
        }
    }
}
