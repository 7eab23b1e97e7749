internal import Octets

// FastCGI 1.0 §3.3: what one record looks like. Worked example, the record that begins request 1 in the
// role Authorizer, to be closed after the answer:
//
//     01 01 00 01 00 08 00 00   version 1, BEGIN_REQUEST, request 1, 8 bytes of content, no padding
//     00 02 00 00 00 00 00 00   role 2, flags 0, five reserved bytes
//
// and a PARAMS record with one pair, `SC_PORT` = `443`, padded by four bytes to a multiple of eight:
//
//     01 04 00 01 00 0c 04 00   PARAMS, request 1, 12 bytes of content, 4 bytes of padding
//     07 03 53 43 5f 50 4f 52 54 34 34 33   lengths 7 and 3, "SC_PORT", "443"
//     00 00 00 00

/// §8 lists the values. An answer never uses STDERR, DATA or ABORT_REQUEST.
enum RecordType {
    static let beginRequest: UInt8 = 1
    static let abortRequest: UInt8 = 2
    static let endRequest: UInt8 = 3
    static let params: UInt8 = 4
    static let standardInput: UInt8 = 5
    static let standardOutput: UInt8 = 6
    static let values: UInt8 = 9
    static let valuesResult: UInt8 = 10
    static let unknownType: UInt8 = 11
}

/// §5.5, the last field of END_REQUEST.
enum ProtocolStatus {
    static let requestComplete: UInt8 = 0
    static let cannotMultiplex: UInt8 = 1
    static let unknownRole: UInt8 = 3
}

struct RecordHeader {
    static let byteCount = 8
    static let beginBodyCount = 8

    let version: UInt8
    let type: UInt8
    let id: UInt16
    let contentCount: Int
    let paddingCount: Int

    /// The caller has made sure that eight bytes follow `offset`.
    @inline(always)
    init(_ bytes: Span<UInt8>, at offset: Int) {
        version = bytes[offset]
        type = bytes[offset + 1]
        id = bytes.bigEndian16(at: offset + 2)
        contentCount = Int(bytes.bigEndian16(at: offset + 4))
        paddingCount = Int(bytes[offset + 6])
    }
}

extension ByteWriter {
    mutating func appendRecordHeader(_ type: UInt8, id: UInt16, contentCount: Int, paddingCount: Int = 0) {
        append(1)
        append(type)
        append(bigEndian16: id)
        append(bigEndian16: UInt16(truncatingIfNeeded: contentCount))
        append(UInt8(truncatingIfNeeded: paddingCount))
        append(0)
    }

    /// The two records that end a request: an empty STDOUT and END_REQUEST with application status 0.
    mutating func appendEnd(id: UInt16, protocolStatus: UInt8) {
        appendRecordHeader(RecordType.standardOutput, id: id, contentCount: 0)
        appendRecordHeader(RecordType.endRequest, id: id, contentCount: 8)
        append(bigEndian32: 0)
        append(protocolStatus)
        append(0)
        append(bigEndian16: 0)
    }

    static var endByteCount: Int { RecordHeader.byteCount + RecordHeader.byteCount + 8 }
}
