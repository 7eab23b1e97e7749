import Octets
import Signatures

@testable import Tokens

// MARK: B23–B27 signatures

let signatureRows: [AttackCase] = {
    func replaced(_ key: PrivateJWK, _ change: ([UInt8]) -> [UInt8]) throws -> [UInt8] {
        let good = text(try token(signedBy: key)).split(separator: ".").map(String.init)
        guard let signature = Base64URL.decode(bytes(good[2]).span) else { return [] }
        return bytes("\(good[0]).\(good[1]).\(encoded(change(signature)))")
    }
    let zeros = [UInt8](repeating: 0, count: 32)
    var rows: [AttackCase] = []
    for (what, half) in [("0", zeros), ("n", order), ("n+1", order.dropLast() + [order[31] + 1])] {
        rows += [
            row("B23", "r = s = \(what)", "signature_invalid") {
                try replaced(TestKeys.es256) { _ in half + half }
            },
            row("B23", "r = \(what)", "signature_invalid") {
                try replaced(TestKeys.es256) { half + $0[32...] }
            },
            row("B23", "s = \(what)", "signature_invalid") {
                try replaced(TestKeys.es256) { $0[..<32] + half }
            },
        ]
    }
    for key in [TestKeys.es256, TestKeys.rs256, TestKeys.ed25519] {
        let name = key.algorithm.name
        rows += [
            row("B24", "\(name) one byte short", "signature_invalid") { try replaced(key) { $0.dropLast() } },
            row("B24", "\(name) one byte long", "signature_invalid") { try replaced(key) { $0 + [0] } },
            row("B24", "\(name) zero in front", "signature_invalid") { try replaced(key) { [0] + $0 } },
            row("B24", "\(name) of one byte", "signature_invalid") { try replaced(key) { _ in [0] } },
            row("B24", "\(name) of 96 bytes", "signature_invalid") {
                try replaced(key) { _ in .init(repeating: 1, count: 96) }
            },
            row("B24", "\(name) of 11,000 bytes", "signature_invalid") {
                try replaced(key) { _ in .init(repeating: 1, count: 11_000) }
            },
            row("B24", "\(name) all zero", "signature_invalid") { try replaced(key) { $0.map { _ in 0 } } },
        ]
    }
    rows += [
        row("B24", "DER instead of r ‖ s", "signature_invalid") { try replaced(TestKeys.es256) { der($0) } },
        row("B25", "n - s is the same signature", "verified") {
            try replaced(TestKeys.es256) { $0[..<32] + subtract(Array($0[32...]), from: order) }
        },
        row("B27", "PS256 labelled RS256", "signature_invalid") {
            let (head, body) = (bytes(header(TestKeys.rs256)), bytes(claims()))
            return try TokenMint.sign(
                header: head.span, payload: body.span, key: TestKeys.rs256.key, algorithm: .ps256)
        },
        row("B27", "RS384 labelled RS256", "signature_invalid") {
            let (head, body) = (bytes(header(TestKeys.rs256)), bytes(claims()))
            return try TokenMint.sign(
                header: head.span, payload: body.span, key: TestKeys.rs256.key, algorithm: .rs384)
        },
    ]
    return rows
}()

/// The order of P-256 (SP 800-186 §3.2.1.3).
private let order: [UInt8] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC,
    0xE6, 0xFA,
    0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
]

private func subtract(_ small: [UInt8], from large: [UInt8]) -> [UInt8] {
    var result = large
    var borrow = 0
    for position in result.indices.reversed() {
        let difference = Int(large[position]) - Int(small[position]) - borrow
        borrow = difference < 0 ? 1 : 0
        result[position] = UInt8(truncatingIfNeeded: difference)
    }
    return result
}

private func der(_ signature: [UInt8]) -> [UInt8] {
    func integer(_ half: [UInt8]) -> [UInt8] {
        let padded = half[0] >= 0x80 ? [0] + half : half
        return [0x02, UInt8(padded.count)] + padded
    }
    let inner = integer(Array(signature[..<32])) + integer(Array(signature[32...]))
    return [0x30, UInt8(inner.count)] + inner
}
