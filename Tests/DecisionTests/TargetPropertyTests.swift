@testable import Decision
import Testing

/// Random targets against the plain reading of the rules.
@Suite struct TargetPropertyTests {
    static let pieces: [String] = [
        "/", "/", "/", "/", "a", "b", "Z", "0", ".", "..", "-", "_", "~", "%2e", "%2E", "%41", "%7e", "%20",
        "%3A",
        "%3b", ";", ":", "@", "+", "%2B", "?", "%3F", "#", "%23", "%2f", "%5C", "%25", "%00", "%7F", "%",
        "%g1",
        "\\", "|", "\"", "%c3%a9", "%C3", "%a9", "%e2%82%ac", "%c0%af", "%ed%a0%80", "\u{E9}", " ", "\t", "(",
        "=",
        "http://", "h", "&", "*", "%zz", "[", "{x}", "%f0%9f%98%80",
    ]

    private func target(_ random: inout SeededGenerator) -> [UInt8] {
        var result: [UInt8] = random.chance(90) ? bytes("/") : (random.chance(50) ? bytes("https://h/") : [])
        // Mostly harmless pieces, so that many targets come through.
        let harmless = Array(TargetPropertyTests.pieces.prefix(25))
        for _ in 0..<Int.random(in: 0..<14, using: &random) {
            result += bytes(random.pick(random.chance(85) ? harmless : TargetPropertyTests.pieces))
        }
        if random.chance(4), !result.isEmpty {
            result[Int.random(in: 0..<result.count, using: &random)] = UInt8.random(
                in: 0...255, using: &random)
        }
        return result
    }

    @Test("60,000 targets as the reference reads them; what is read is read again as itself")
    func agreesWithReference() {
        var random = SeededGenerator(0x7461_7267)
        var canonical = CanonicalTarget()
        var taken = 0
        for _ in 0..<60_000 {
            let target = target(&random)
            let expected = reference(target)
            let reading = read(target, with: &canonical)
            guard reading == expected else {
                Issue.record(
                    "\(text(target)): \(String(describing: reading)), not \(String(describing: expected))")
                return
            }
            guard let reading else { continue }
            taken += 1
            let again = read(bytes(reading.path), with: &canonical)
            guard again == TargetReading(reading.path, reading.decoded) else {
                Issue.record("\(text(target)): canonical \(reading.path) is \(String(describing: again))")
                return
            }
        }
        #expect(taken > 10_000 && taken < 50_000)
    }

    @Test("bytes at random never pass where the reference refuses")
    func randomBytes() {
        var random = SeededGenerator(7)
        for _ in 0..<20_000 {
            var target = bytes("/")
            for _ in 0..<Int.random(in: 0..<8, using: &random) {
                target.append(UInt8.random(in: 0...255, using: &random))
            }
            guard read(target) == reference(target) else {
                Issue.record("\(target)")
                return
            }
        }
    }
}
