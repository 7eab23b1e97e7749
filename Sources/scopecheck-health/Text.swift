/// Messages are bytes: what they quote comes from a socket or a command line and need not be text.
extension [UInt8] {
    mutating func add(_ text: String) {
        append(contentsOf: text.utf8)
    }

    mutating func add(_ number: UInt64) {
        var digits: [UInt8] = []
        var rest = number
        repeat {
            digits.append(UInt8(truncatingIfNeeded: rest % 10) + 0x30)
            rest /= 10
        } while rest > 0
        var index = digits.count
        while index > 0 {
            index -= 1
            append(digits[index])
        }
    }

    /// At most 200 bytes of `bytes` in backticks, all but printable ASCII as `\xNN`, so that they cannot steer a
    /// terminal or make a second line.
    mutating func addQuoted(_ bytes: [UInt8]) {
        append(0x60)
        for byte in bytes.prefix(200) {
            if byte >= 0x20, byte < 0x7F, byte != 0x60, byte != 0x5C {
                append(byte)
            } else {
                add("\\x")
                append(hexadecimalDigit(byte >> 4))
                append(hexadecimalDigit(byte & 15))
            }
        }
        if bytes.count > 200 { add("…") }
        append(0x60)
    }

    func equals(_ text: String) -> Bool {
        elementsEqual(text.utf8)
    }

    func starts(_ text: String) -> Bool {
        starts(with: text.utf8)
    }

    /// Decimal digits alone, without a leading zero unless it is all there is.
    var decimal: UInt64? {
        guard let first, count <= 20, first != 0x30 || count == 1 else { return nil }
        var value: UInt64 = 0
        for byte in self {
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, alsoTooLarge) = product.addingReportingOverflow(UInt64(byte - 0x30))
            guard !tooLarge, !alsoTooLarge else { return nil }
            value = sum
        }
        return value
    }
}

private func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x57 + value
}

/// Why the checker ends other than healthy.
struct Trouble: Error {
    let exitStatus: Int32
    let text: [UInt8]

    /// It was reached and does not serve.
    static let unhealthy: Int32 = 1
    /// Nobody there, no answer in time, or no agent.
    static let unreachable: Int32 = 2
    /// EX_USAGE of sysexits.h.
    static let usage: Int32 = 64

    init(_ exitStatus: Int32, _ text: [UInt8]) {
        self.exitStatus = exitStatus
        self.text = text
    }

    init(_ exitStatus: Int32, _ text: String) {
        self.init(exitStatus, Array(text.utf8))
    }
}
