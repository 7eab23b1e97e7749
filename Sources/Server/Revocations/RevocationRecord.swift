internal import Decision
internal import Octets
internal import Signatures

/// A revocation as it is kept.
///
///     offset  bytes
///      0      1    layout, 1
///      1      1    kind, as `Revocation.Kind`
///      2      8    issued at most, Unix seconds, little-endian as all; Int64.max means all
///     10      8    until, Unix seconds; Int64.max means for ever
///     18      8    revoked at, Unix seconds
///     26      4    user who asked; 2^32 - 1 for unknown
///     30      2    bytes of the issuer
///     32      2    bytes of the value
///     34      2    bytes of the reason
///     36           issuer, value, reason (UTF-8)
///                  then 8 bytes: the first of the SHA-256 of all before
///
/// Example: subject `al` of issuer `i`, issued at most 5, until 9, revoked at 5 by user 0, reason `x`, is
/// `01 02 · 05 00… · 09 00… · 05 00… · 00 00 00 00 · 01 00 · 02 00 · 01 00 · 69 · 61 6c · 78` and its check.
struct RevocationRecord: Sendable, Equatable {
    static let layout: UInt8 = 1
    static let headBytes = 36
    static let checkBytes = 8
    /// The greatest time but "for ever": what a double still tells from its neighbours.
    static let timeMax: Int64 = 1 << 53

    var revocation: Revocation
    var revokedAt: Int64
    /// nil where the system did not tell.
    var who: UInt32?
    var reason: String

    init(revocation: Revocation, revokedAt: Int64, who: UInt32?, reason: String) {
        self.revocation = revocation
        self.revokedAt = revokedAt
        self.who = who
        self.reason = reason
    }

    var encoded: [UInt8] {
        let reasonBytes = Array(reason.utf8)
        var bytes: [UInt8] = [RevocationRecord.layout, revocation.kind.rawValue]
        bytes.append(littleEndian64: UInt64(bitPattern: revocation.issuedAtMax))
        bytes.append(littleEndian64: UInt64(bitPattern: revocation.until))
        bytes.append(littleEndian64: UInt64(bitPattern: revokedAt))
        bytes.append(littleEndian32: who ?? UInt32.max)
        bytes.append(littleEndian16: UInt16(clamping: revocation.issuer.count))
        bytes.append(littleEndian16: UInt16(clamping: revocation.value.count))
        bytes.append(littleEndian16: UInt16(clamping: reasonBytes.count))
        bytes += revocation.issuer + revocation.value + reasonBytes
        return bytes + RevocationRecord.check(bytes.span)
    }

    /// Reads a record completely or not at all.
    /// - Parameters:
    ///   - key: under which it was found; it must be the record's own.
    /// - Throws: what is wrong with it.
    static func read(_ bytes: Span<UInt8>, key: Span<UInt8>) throws(Damage) -> RevocationRecord {
        guard bytes.count >= headBytes + checkBytes else { throw Damage("it is too short") }
        guard bytes[0] == layout else { throw Damage("its layout is \(bytes[0]), and this build reads \(layout)") }
        let content = bytes.extracting(0..<bytes.count - checkBytes)
        guard check(content).elementsEqual([UInt8](copying: bytes.extracting(content.count..<bytes.count))) else {
            throw Damage("it has changed since it was written")
        }
        guard let kind = Revocation.Kind(rawValue: bytes[1]) else { throw Damage("it is of no known kind") }
        guard let issuedAtMax = bytes.littleEndian64(at: 2), let until = bytes.littleEndian64(at: 10),
            let revokedAt = bytes.littleEndian64(at: 18), let who = bytes.littleEndian32(at: 26),
            let issuerBytes = bytes.littleEndian16(at: 30), let valueBytes = bytes.littleEndian16(at: 32),
            let reasonBytes = bytes.littleEndian16(at: 34)
        else { throw Damage("it is too short") }
        let valueStart = headBytes + Int(issuerBytes)
        let reasonStart = valueStart + Int(valueBytes)
        guard reasonStart + Int(reasonBytes) == content.count else { throw Damage("its lengths do not add up") }
        let reason = content.extracting(reasonStart..<content.count)
        guard isUTF8(reason) else { throw Damage("its reason is not UTF-8") }
        let record = RevocationRecord(
            revocation: Revocation(
                kind: kind, issuer: [UInt8](copying: content.extracting(headBytes..<valueStart)),
                value: [UInt8](copying: content.extracting(valueStart..<reasonStart)),
                issuedAtMax: Int64(bitPattern: issuedAtMax), until: Int64(bitPattern: until)),
            revokedAt: Int64(bitPattern: revokedAt), who: who == UInt32.max ? nil : who, reason: String(lossy: reason))
        guard equal(record.revocation.key.bytes.span, key) else { throw Damage("it stands under another one's key") }
        return record
    }

    /// What is wrong with a record.
    struct Damage: Error {
        let problem: String
        init(_ problem: String) { self.problem = problem }
    }

    private static func check(_ bytes: Span<UInt8>) -> [UInt8] {
        Array(sha256(bytes).bytes.prefix(checkBytes))
    }
}
