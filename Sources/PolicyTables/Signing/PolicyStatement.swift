public import Signatures

/// What people sign: that a version may decide, as a text that says everything and has one spelling.
///
///     scopecheck policy statement 1
///     action rollback
///     version 2c26b46b…                64 hexadecimal digits
///     serial 1790000001                decimal, 1 to 2^63 - 1
///     from fcde2b2e…                   of a rollback only: the version that may be left
///     from-serial 1790000000           of a rollback only: the serial that it was accepted under
///
/// Each line ends with a line feed. The first line keeps signatures over other texts from counting here.
public struct PolicyStatement: Sendable, Equatable {
    /// Of a rollback: what must be in force.
    public typealias Leaving = Approval.Leaving

    public var version: Digest
    /// Statements are accepted in ascending order of it only, so that an old one cannot be brought again.
    public var serial: UInt64
    /// nil for an apply.
    public var leaving: Leaving?

    public static let serialMax = UInt64(Int64.max)
    public static let textBytesMax = 512

    public init(version: Digest, serial: UInt64, leaving: Leaving? = nil) {
        self.version = version
        self.serial = serial
        self.leaving = leaving
    }

    /// The bytes that are signed.
    public var text: [UInt8] {
        var text = "\(PolicyStatement.firstLine)\naction \(leaving == nil ? "apply" : "rollback")\n"
        text += "version \(version)\nserial \(serial)\n"
        if let leaving { text += "from \(leaving.version)\nfrom-serial \(leaving.serial)\n" }
        return Array(text.utf8)
    }

    /// - Returns: nil unless the bytes are exactly what `text` makes of a statement.
    public init?(_ text: [UInt8]) {
        guard text.count <= PolicyStatement.textBytesMax, let whole = String(validating: text, as: UTF8.self) else {
            return nil
        }
        var values: [String: String] = [:]
        for line in whole.split(separator: "\n").dropFirst() {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2 else { return nil }
            values[String(parts[0])] = String(parts[1])
        }
        guard let version = values["version"].flatMap(Digest.init(hexadecimal:)),
            let serial = values["serial"].flatMap(UInt64.init), (1...PolicyStatement.serialMax).contains(serial)
        else { return nil }
        var leaving: Leaving?
        if values["action"] == "rollback" {
            guard let from = values["from"].flatMap(Digest.init(hexadecimal:)),
                let fromSerial = values["from-serial"].flatMap(UInt64.init)
            else { return nil }
            leaving = Leaving(version: from, serial: fromSerial)
        }
        self.init(version: version, serial: serial, leaving: leaving)
        // One spelling: no line more, less, twice or in another order, no upper case, no leading zero.
        guard self.text == text else { return nil }
    }

    private static let firstLine = "scopecheck policy statement 1"
}
