extension Base64URL {
    /// What a character contributes to the 24 bits of its group of four, by its place in the group: 256
    /// entries for the first place, then for the second, third and fourth. The top byte is set for a
    /// character outside the alphabet. A token's characters touch about 1.5 KB of it.
    private static let contributions: [UInt32] = {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var table = [UInt32](repeating: 0xFF00_0000, count: 1_024)
        for (value, character) in alphabet.enumerated() {
            for place in 0..<4 {
                table[place * 256 + Int(character)] = UInt32(value) << UInt32(18 - 6 * place)
            }
        }
        return table
    }()

    /// Decodes a whole text as `decode(_:into:)` does, with the same refusals, eight characters at a time.
    /// For the parts of tokens, where decoding is the second largest cost after the signature.
    /// - Parameter output: eight bytes longer than the result; they are overwritten.
    /// - Returns: the number of bytes, or nil when the text is refused or the output is too short.
    public static func decodeInBlocks(_ text: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Int? {
        guard text.count % 4 != 1, decodedCount(text.count) + 8 <= output.count else { return nil }
        let blocks = text.count / 8
        // SAFETY: block i reads characters 8i..<8i+8, which lie within the text, and writes bytes 6i..<6i+8,
        // which lie within the output; a byte and a place make an index below 1,024.
        let combined = unsafe contributions.withUnsafeBufferPointer { table in
            unsafe text.withUnsafeBufferPointer { input in
                unsafe output.withUnsafeMutableBytes { room in
                    var bad: UInt32 = 0
                    for block in 0..<blocks {
                        let at = block * 8
                        let first =
                            unsafe table[Int(input[at])] | table[256 + Int(input[at + 1])]
                            | table[512 + Int(input[at + 2])] | table[768 + Int(input[at + 3])]
                        let second =
                            unsafe table[Int(input[at + 4])] | table[256 + Int(input[at + 5])]
                            | table[512 + Int(input[at + 6])] | table[768 + Int(input[at + 7])]
                        bad |= first | second
                        let bytes = UInt64(first) << 40 | UInt64(second) << 16
                        unsafe room.storeBytes(of: bytes.bigEndian, toByteOffset: block * 6, as: UInt64.self)
                    }
                    return bad
                }
            }
        }
        guard combined & 0xFF00_0000 == 0 else { return nil }
        var tail = InlineArray<6, UInt8>(repeating: 0)
        var tailRoom = tail.mutableSpan
        guard let tailCount = decode(text.extracting((blocks * 8)...), into: &tailRoom) else { return nil }
        for index in 0..<tailCount { output[blocks * 6 + index] = tail[index] }
        return blocks * 6 + tailCount
    }
}
