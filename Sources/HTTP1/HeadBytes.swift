// Which bytes may stand where in a request head (RFC 9110 §5.6.2 and §5.5, RFC 3986 §3.2.2). Sets over
// ASCII as two words of 64 bits: one shift and one mask per byte.

internal import Octets

@inline(always)
private func contains(_ low: UInt64, _ high: UInt64, _ byte: UInt8) -> Bool {
    let word = byte & 0x40 == 0 ? low : high
    return byte < 0x80 && word >> UInt64(byte & 0x3F) & 1 != 0
}

/// `tchar`: letters, digits and ``!#$%&'*+-.^_`|~``.
@inline(always)
func isTokenByte(_ byte: UInt8) -> Bool {
    contains(0x03FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE, byte)
}

/// A byte of `uri-host [ ":" port ]`: unreserved, sub-delims, `%`, `:`, `[`, `]`; but no comma, which is what
/// two Host lines become when they are joined.
@inline(always)
func isHostByte(_ byte: UInt8) -> Bool {
    contains(0x2FFF_6FF2_0000_0000, 0x47FF_FFFE_AFFF_FFFE, byte)
}

/// A byte of a request target: visible ASCII. What the target means is not decided here.
@inline(always)
func isTargetByte(_ byte: UInt8) -> Bool {
    byte &- 0x21 < 0x5E
}

@inline(always)
func isBlank(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09
}

/// The first place at or after `start` that is no letter, digit or hyphen, or less than eight bytes from the end. Eight
/// bytes at a time, since field names are made of hardly anything else.
@inline(always)
func endOfPlainName(_ bytes: Span<UInt8>, from start: Int) -> Int {
    var position = start
    while position + 8 <= bytes.count {
        let word = bytes.littleEndianWord(at: position)
        // 0x20 makes letters small and turns nothing else into one.
        let plain =
            lanes(of: word | lanes(0x20), from: 0x61, through: 0x7A) | lanes(of: word, from: 0x30, through: 0x39)
            | lanes(of: word, equalTo: 0x2D)
        let others = plain ^ lanes(0x80)
        guard others == 0 else { return position + others.trailingZeroBitCount / 8 }
        position += 8
    }
    return position
}
