internal import Decision
internal import FastCGI
internal import HTTP1
internal import Kernel
internal import Octets
internal import SPOP

/// One accepted connection of a worker, with its buffers. Objects are used again for later connections, so that
/// steady traffic allocates nothing.
final class Connection {
    enum State {
        case free
        /// A request has begun to arrive, or should; the deadline is that of a whole request.
        case receiving
        /// Kept open between requests; the deadline is the idle one.
        case idle
        /// Waiting until the peer takes the rest of an answer.
        case sending
        /// A request waits for its turn to have a signature verified.
        case owingVerification
        /// A request waits for keys, an issuer's reply or a status list.
        case parked
    }

    /// Answers are below 4 KB each; room for several, so that pipelined requests share one write.
    static let outputBytes = 16 * 1_024
    /// An answer and the records around it fit when this much is free.
    static let answerBytesMax = 5 * 1_024

    let slot: Int
    /// Tells a late event for an earlier connection in this slot from one for the present connection.
    var generation: UInt32 = 0
    var listener = 0
    var state = State.free
    /// On the worker's clock.
    var deadlineMilliseconds: Int64 = 0
    var isRegistered = false
    var waitsForWrite = false
    /// What has been written is sent, then the connection ends.
    var closesAfterSending = false

    /// In one piece: each access to a property of a class is checked while the program runs.
    var exchange: Exchange
    var pendingFastCGI: FastCGIRequest?
    var pendingHTTP: HTTPRequest?
    var pendingSPOP: SPOPRequest?
    /// This place has no socket: it holds one question of a SPOP connection that waits, so that those behind it on
    /// that connection need not.
    var asker: Asker?
    /// Questions of this connection that wait so.
    var waitingQuestions = 0
    /// How long it may wait for what it waited for last, on the worker's clock.
    var awaitDeadlineMilliseconds: Int64 = 0
    /// What its issuer is being asked, while it waits for that.
    var question: IntrospectionQuestion?
    /// For what the pending request has waited.
    var awaited: Awaited = []
    /// Whether it counts among the worker's `parkedQuestions`.
    var hasParked = false

    init(slot: Int, receiveBytes: Int) {
        self.slot = slot
        exchange = Exchange(receiveBytes: receiveBytes, outputBytes: Connection.outputBytes)
    }

    /// A place for a question that waits; it writes nothing.
    init(slot: Int, heldBytes: Int) {
        self.slot = slot
        exchange = Exchange(receiveBytes: heldBytes, outputBytes: 1)
    }
}

/// The connection that a held question came in on, if it is still there.
struct Asker {
    var slot: Int
    var generation: UInt32
    /// Of the client that the question is about, among `HeldShares`.
    var share: Int
}

/// How many questions wait, by client address in buckets, so that one client cannot take every place.
struct HeldShares: ~Copyable {
    private static let bucketMask = 255
    /// What a bucket may have when half of all places are taken.
    private static let fairCount: UInt16 = 8

    private var counts = [UInt16](repeating: 0, count: HeldShares.bucketMask + 1)
    private var total = 0
    /// Unknown to clients, so that nobody can choose an address that shares a bucket with another.
    private let seed = UInt64.random(in: .min ... .max)

    func bucket(of address: Span<UInt8>) -> Int {
        var hash = seed
        for index in address.indices {
            hash = (hash ^ UInt64(address[index])) &* 0x0000_0100_0000_01B3
            hash ^= hash >> 29
        }
        return Int(truncatingIfNeeded: hash >> 32) & HeldShares.bucketMask
    }

    /// - Returns: false when there is no place, or the bucket has its share of places that are getting few.
    mutating func take(_ bucket: Int, of placesMax: Int) -> Bool {
        guard total < placesMax, total < placesMax / 2 || counts[bucket] < HeldShares.fairCount else { return false }
        counts[bucket] += 1
        total += 1
        return true
    }

    mutating func giveBack(_ bucket: Int) {
        guard counts[bucket] > 0 else { return }
        counts[bucket] -= 1
        total -= 1
    }
}

/// Slots in order of arrival, in a ring whose size never changes.
final class SlotQueue {
    private var slots: [Int32]
    private var generations: [UInt32]
    private var head = 0
    private(set) var count = 0

    init(capacity: Int) {
        slots = [Int32](repeating: 0, count: max(1, capacity))
        generations = [UInt32](repeating: 0, count: max(1, capacity))
    }

    var isEmpty: Bool { count == 0 }

    /// - Returns: false when the ring is full; each waiting connection has one place, so that is our own fault.
    func append(_ connection: Connection) -> Bool {
        guard count < slots.count else { return false }
        let place = (head + count) % slots.count
        slots[place] = Int32(truncatingIfNeeded: connection.slot)
        generations[place] = connection.generation
        count += 1
        return true
    }

    /// The first one, which may have gone since: compare the generation.
    func removeFirst() -> (slot: Int, generation: UInt32)? {
        guard count > 0 else { return nil }
        let result = (Int(slots[head]), generations[head])
        head = (head + 1) % slots.count
        count -= 1
        return result
    }
}
