internal import Octets

// What the writers of tables have in common.

/// Where the next byte of a table goes, as the offset that its records hold.
/// - Parameter what: the table, for people: `the catalogue`.
func tableOffset(_ count: Int, in what: String) throws(PolicyTableError) -> UInt32 {
    guard count <= TableLayout.tableBytesMax else {
        throw PolicyTableError.tooLarge(what: what, limit: TableLayout.tableBytesMax)
    }
    return UInt32(count)
}

/// A number that a table holds in 16 bits.
func tableNumber(_ value: Int, _ what: String) throws(PolicyTableError) -> UInt16 {
    guard let value = UInt16(exactly: value) else {
        throw PolicyTableError.tooLarge(what: what, limit: Int(UInt16.max))
    }
    return value
}

extension Array where Element == UInt8 {
    /// Appends a record of zeros, to be filled in with `store`.
    /// - Returns: where it begins.
    mutating func appendRecord(_ bytesCount: Int) -> Int {
        let start = count
        append(contentsOf: repeatElement(0, count: bytesCount))
        return start
    }

    /// Writes a number over bytes that are there, little-endian.
    mutating func store<Number: FixedWidthInteger>(_ value: Number, at offset: Int) {
        let size = Number.bitWidth / 8
        precondition(offset >= 0 && offset <= count - size)
        // SAFETY: the bytes from `offset` on lie within the array.
        unsafe withUnsafeMutableBytes { bytes in
            unsafe bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Number.self)
        }
    }

    /// Appends the offsets of records, and writes their number and place into the header.
    mutating func appendDirectory(
        _ places: [UInt32], count: Int, at directory: Int, in what: String
    ) throws(PolicyTableError) {
        store(UInt32(places.count), at: count)
        store(try tableOffset(self.count, in: what), at: directory)
        for place in places { append(littleEndian32: place) }
    }
}
