import FastCGI
import Octets
import Testing

/// Seeded, so that a failure repeats.
struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

@Suite struct HostileTests {
    static let seeds: [[UInt8]] = [
        ordinaryRequest(flags: 1),
        ordinaryRequest(role: 2, flags: 1),
        record(9, id: 0, pairs([("FCGI_MAX_CONNS", ""), ("FCGI_MPXS_CONNS", "")]), padding: 4)
            + ordinaryRequest(id: 2, flags: 1),
        begin() + begin(id: 2) + params(pairs(ordinaryPairs), size: 20, padding: 3) + record(5, [1, 2])
            + record(5),
        begin(role: 3, flags: 1) + record(77, id: 0) + ordinaryRequest(id: 4, role: 2, flags: 1),
    ]

    /// 120,000 damaged streams in random pieces. None may trap or go on for ever; the connection's memory is
    /// its two buffers; and whatever was said, every end of a request follows a status line of its own.
    @Test func damagedStreamsNeverEndEmpty() {
        var random = Generator(state: 42)
        var requests = 0
        var closed = 0
        for round in 0..<120_000 {
            var bytes = Self.seeds[round % Self.seeds.count]
            if round % 3 == 0 { bytes += Self.seeds[Int.random(in: 0..<Self.seeds.count, using: &random)] }
            damage(&bytes, &random)
            let size = Int.random(in: 1...max(1, bytes.count), using: &random)
            let seen = converse(bytes, size: size, outputBytes: 16_384, status: round % 2 == 0 ? 200 : 403)
            requests += seen.requests.count
            closed += seen.isClosed ? 1 : 0
            guard endsWithStatus(seen.output) else {
                Issue.record("round \(round): an end without a status")
                return
            }
        }
        // The damage must leave both kinds of stream, or the test shows nothing.
        #expect(requests > 10_000)
        #expect(closed > 10_000)
    }

    /// The same damaged bytes in one piece and in small ones come to the same end.
    @Test func damageReadsTheSameHoweverItIsCut() {
        var random = Generator(state: 7)
        for round in 0..<10_000 {
            var bytes = Self.seeds[round % Self.seeds.count]
            damage(&bytes, &random)
            let size = Int.random(in: 1...40, using: &random)
            #expect(converse(bytes, size: size) == converse(bytes), "round \(round), reads of \(size)")
        }
    }

    private func damage(_ bytes: inout [UInt8], _ random: inout Generator) {
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(UInt8.random(in: 0...11, using: &random), at: place)
            case 4: bytes.removeSubrange(place...)
            default:
                let end = min(bytes.count, place + Int.random(in: 1...64, using: &random))
                bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
            }
            if bytes.isEmpty { bytes = [1] }
        }
    }

    private func endsWithStatus(_ output: [UInt8]) -> Bool {
        guard let sent = records(output) else { return false }
        var hasStatus: Set<UInt16> = []
        for one in sent {
            if one.type == 6, text(one.content).hasPrefix("Status: ") { hasStatus.insert(one.id) }
            if one.type == 3, hasStatus.remove(one.id) == nil { return false }
        }
        return true
    }
}
