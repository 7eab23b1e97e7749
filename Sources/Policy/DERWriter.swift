/// Writes DER (X.690): what the certificates of policy tests are made of.
///
/// Example: the sequence of the integer 1 is `30 03 02 01 01`.
struct DERWriter {
    private(set) var bytes: [UInt8] = []

    enum Tag {
        static let integer: UInt8 = 0x02
        static let bitString: UInt8 = 0x03
        static let octetString: UInt8 = 0x04
        static let objectIdentifier: UInt8 = 0x06
        static let utf8String: UInt8 = 0x0C
        static let utcTime: UInt8 = 0x17
        static let generalizedTime: UInt8 = 0x18
        static let sequence: UInt8 = 0x30
        static let set: UInt8 = 0x31
    }

    mutating func add(_ tag: UInt8, _ content: [UInt8]) {
        bytes.append(tag)
        if content.count < 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: content.count))
        } else {
            let width = content.count < 0x100 ? 1 : content.count < 0x1_0000 ? 2 : content.count < 0x100_0000 ? 3 : 4
            bytes.append(0x80 | UInt8(truncatingIfNeeded: width))
            for position in (0..<width).reversed() {
                bytes.append(UInt8(truncatingIfNeeded: content.count >> (8 * position)))
            }
        }
        bytes += content
    }

    mutating func add(_ tag: UInt8, _ body: (inout DERWriter) -> Void) {
        var inner = DERWriter()
        body(&inner)
        add(tag, inner.bytes)
    }

    /// Something that is DER already.
    mutating func add(der: [UInt8]) { bytes += der }

    /// - Parameter identifier: as `AttributeTypes.isIdentifier` takes it.
    mutating func add(objectIdentifier identifier: String) {
        let arcs = identifier.split(separator: ".").compactMap { UInt64($0) }
        guard arcs.count >= 2 else { return }
        var content: [UInt8] = []
        // X.690 §8.19.4: the first two in one number. 18 decimal digits and 80 fit.
        for arc in [arcs[0] * 40 + arcs[1]] + arcs.dropFirst(2) {
            var shift = 63
            while shift > 0, arc >> shift == 0 { shift -= 7 }
            while shift >= 0 {
                let group = UInt8(truncatingIfNeeded: arc >> shift) & 0x7F
                content.append(shift > 0 ? group | 0x80 : group)
                shift -= 7
            }
        }
        add(Tag.objectIdentifier, content)
    }

    /// Whether the bytes are a tag of one byte, a length in its shortest form, and that much content.
    static func isOneValue(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= 2, bytes[0] & 0x1F != 0x1F else { return false }
        if bytes[1] < 0x80 { return bytes.count == 2 + Int(bytes[1]) }
        let width = Int(bytes[1] & 0x7F)
        guard width >= 1, width <= 4, bytes.count >= 2 + width, bytes[2] != 0 else { return false }
        var count = 0
        for byte in bytes[2..<2 + width] { count = count << 8 | Int(byte) }
        return count >= 0x80 && bytes.count == 2 + width + count
    }
}
