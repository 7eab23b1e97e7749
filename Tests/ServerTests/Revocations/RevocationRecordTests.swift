import Decision
import Signatures
import Testing

@testable import Server

@Suite struct RevocationRecordTests {
    private let record = RevocationRecord(
        revocation: Revocation(kind: .subject, issuer: [0x69], value: [0x61, 0x6C], issuedAtMax: 5, until: 9),
        revokedAt: 5, who: 0, reason: "x")

    private func read(_ bytes: [UInt8]) -> RevocationRecord? {
        try? RevocationRecord.read(bytes.span, key: record.revocation.key.bytes.span)
    }

    @Test func theExampleOfTheLayout() {
        let expected: [UInt8] =
            [
                1, 2, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1,
                0,
            ]
            + [0x69, 0x61, 0x6C, 0x78]
        #expect(Array(record.encoded.dropLast(8)) == expected)
        #expect(read(record.encoded) == record)
    }

    @Test func extremesSurvive() throws {
        for kind in Revocation.Kind.allCases {
            for who in [nil, 0, UInt32.max - 1] {
                let one = RevocationRecord(
                    revocation: Revocation(kind: kind, issuer: [UInt8](repeating: 0xC3, count: 2_048), value: []),
                    revokedAt: .max, who: who, reason: "")
                #expect(try RevocationRecord.read(one.encoded.span, key: one.revocation.key.bytes.span) == one)
            }
        }
    }

    @Test func everyChangedByteAndEveryCutIsSeen() {
        let bytes = record.encoded
        for index in bytes.indices {
            for bit: UInt8 in [1, 0x80] {
                var changed = bytes
                changed[index] ^= bit
                #expect(read(changed) == nil, "byte \(index)")
            }
        }
        for count in 0..<bytes.count { #expect(read(Array(bytes.prefix(count))) == nil) }
        #expect(read(bytes + [0]) == nil)
    }

    @Test func belongsToItsKeyAlone() {
        var other = record
        other.revocation.value = [0x61, 0x6D]
        #expect(read(other.encoded) == nil)
        other = record
        other.revocation.kind = .client
        #expect(read(other.encoded) == nil)
        #expect((try? RevocationRecord.read(record.encoded.span, key: [1, 2, 3].span)) == nil)
    }
}
