internal import Octets

/// Texts of a record of the store: their lengths first, 16 bits each, then their bytes; nothing may follow.
struct RecordTexts {
    private var lengths: [UInt8] = []
    private var texts: [UInt8] = []

    /// - Parameter bytesMax: what is longer is cut before the character that does not fit.
    mutating func add(_ text: String, bytesMax: Int) {
        let bytes = clipped(text, bytesMax: bytesMax)
        lengths.append(littleEndian16: UInt16(clamping: bytes.count))
        texts += bytes
    }

    var encoded: [UInt8] { lengths + texts }

    /// - Returns: nil unless `bytes` are exactly `count` texts.
    static func read(_ count: Int, _ bytes: Span<UInt8>) -> [String]? {
        guard bytes.count >= 2 * count else { return nil }
        var start = 2 * count
        var result: [String] = []
        for number in 0..<count {
            guard let length = bytes.littleEndian16(at: 2 * number), start + Int(length) <= bytes.count else {
                return nil
            }
            result.append(String(lossy: bytes.extracting(start..<start + Int(length))))
            start += Int(length)
        }
        return start == bytes.count ? result : nil
    }
}

/// The beginning of a text that has room in `bytesMax` bytes, never half a character of UTF-8.
func clipped(_ text: String, bytesMax: Int) -> [UInt8] {
    var bytes = Array(text.utf8)
    guard bytes.count > bytesMax else { return bytes }
    var end = bytesMax
    while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
    bytes.removeLast(bytes.count - end)
    return bytes
}
