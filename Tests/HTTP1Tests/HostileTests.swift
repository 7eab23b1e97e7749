import HTTP1
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
    /// 100,000 damaged heads: none may trap or go on for ever, and the answer to each is a whole head.
    @Test func damagedHeads() {
        var random = Generator(state: 42)
        let seeds = wellFormedHeads.map(\.0) + malformedHeads.map(\.text) + [ordinaryHead]
        var requests = 0
        var refused = 0
        for round in 0..<100_000 {
            var bytes = Array(seeds[round % seeds.count].utf8)
            damage(&bytes, &random)
            let size = Int.random(in: 1...max(1, bytes.count), using: &random)
            let seen = converse(bytes, size: size, capacity: 2_048)
            requests += seen.requests.count
            refused += seen.refusal == nil ? 0 : 1
            guard seen.output.isEmpty || seen.output.hasSuffix("\r\n\r\n"), seen.refusal != 200 else {
                Issue.record("round \(round)")
                return
            }
        }
        #expect(requests > 5_000)
        #expect(refused > 10_000)
    }

    @Test func damageReadsTheSameHoweverItIsCut() {
        var random = Generator(state: 7)
        let seeds = wellFormedHeads.map(\.0) + [ordinaryHead]
        for round in 0..<20_000 {
            var bytes = Array((seeds[round % seeds.count] + seeds[(round + 5) % seeds.count]).utf8)
            damage(&bytes, &random)
            let size = Int.random(in: 1...40, using: &random)
            let whole = converse(bytes, capacity: 2_048)
            #expect(converse(bytes, size: size, capacity: 2_048) == whole, "round \(round), reads of \(size)")
        }
    }

    private func damage(_ bytes: inout [UInt8], _ random: inout Generator) {
        let pieces = [
            "\r\n", "\n", "\r", ":", " ", "\t", ",", "\r\n\r\n", "Host: a\r\n", "Content-Length: 5\r\n",
        ]
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            guard !bytes.isEmpty else { break }
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.remove(at: place)
            case 3:
                bytes.insert(contentsOf: Array((pieces.randomElement(using: &random) ?? "").utf8), at: place)
            case 4: bytes.removeSubrange(place...)
            default:
                let end = min(bytes.count, place + Int.random(in: 1...64, using: &random))
                bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
            }
        }
        if bytes.isEmpty { bytes = [0x47] }
    }
}
