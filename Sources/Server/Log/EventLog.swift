internal import Kernel
internal import Octets
internal import Synchronization

/// What happened to the daemon, as JSON lines on standard error: time, level, event, message and fields.
///
/// For everything but requests; those that are denied go through `DenialLine`.
public final class EventLog: Sendable {
    public enum Level: String, Sendable {
        case info
        case warning
        case error
    }

    private let output: LineOutput?

    /// - Parameter output: nil keeps no log; for commands, which say themselves what they did.
    init(output: LineOutput?) {
        self.output = output
    }

    /// - Parameters:
    ///   - event: a stable name, snake case.
    ///   - message: for people: what happened, where, what to do next.
    public func write(_ level: Level, _ event: String, _ message: String, _ fields: [(String, String)] = []) {
        var line: [UInt8] = []
        line.append(contentsOf: "{\"time\":".utf8)
        line.append(jsonString: Timestamp(unixNanoseconds: SystemClock.realtimeNanoseconds()).text)
        for (name, value) in [("level", level.rawValue), ("event", event), ("message", message)] + fields {
            line.append(0x2C)
            line.append(jsonString: name)
            line.append(0x3A)
            line.append(jsonString: value)
        }
        line.append(contentsOf: "}\n".utf8)
        output?.write(line)
    }
}

/// Where lines go: a descriptor, written to by one thread at a time.
final class LineOutput: Sendable {
    private let descriptor: Int32
    private let lock = Mutex(())
    /// A pipe that is ready takes this much without waiting (PIPE_BUF).
    private static let pieceBytesMax = 4_096

    /// - Parameter descriptor: stays open; not owned.
    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    func write(_ line: [UInt8]) {
        lock.withLock { _ in
            // A log that nobody reads stops nothing: what cannot be taken now is left out.
            var start = 0
            while start < line.count, takesOutput(descriptor) {
                let end = min(start + LineOutput.pieceBytesMax, line.count)
                guard writeAll(descriptor, line.span.extracting(start..<end)) else { return }
                start = end
            }
        }
    }
}

/// UTC time for people and machines: `2026-11-21T04:05:06.789Z` (RFC 3339).
public struct Timestamp: Sendable {
    public var unixNanoseconds: Int64

    public init(unixNanoseconds: Int64) {
        self.unixNanoseconds = unixNanoseconds
    }

    public init(unixSeconds: Int64) {
        unixNanoseconds = unixSeconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue
    }

    public var text: String {
        var writer = ByteWriter(capacity: 32)
        writer.append(self)
        return String(lossy: writer.bytes)
    }
}

extension ByteWriter {
    mutating func append(_ time: Timestamp) {
        let seconds = time.unixNanoseconds / 1_000_000_000
        let date = CivilDate(daysSinceEpoch: seconds / 86_400)
        let second = max(0, seconds % 86_400)
        append(padded: UInt64(clamping: date.year), digits: 4)
        append(0x2D)
        append(padded: UInt64(date.month), digits: 2)
        append(0x2D)
        append(padded: UInt64(date.day), digits: 2)
        append(0x54)
        append(padded: UInt64(second / 3_600), digits: 2)
        append(0x3A)
        append(padded: UInt64(second / 60 % 60), digits: 2)
        append(0x3A)
        append(padded: UInt64(second % 60), digits: 2)
        append(0x2E)
        append(padded: UInt64(max(0, time.unixNanoseconds / 1_000_000 % 1_000)), digits: 3)
        append(0x5A)
    }

    private mutating func append(padded value: UInt64, digits: Int) {
        var divisor: UInt64 = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(truncatingIfNeeded: 0x30 + (value / divisor) % 10))
            divisor /= 10
        }
    }
}

/// A day of the Gregorian calendar, from a count of days since 1970-01-01 (eras of 400 years, 146,097 days).
private struct CivilDate {
    var year: Int64
    var month: Int64
    var day: Int64

    init(daysSinceEpoch: Int64) {
        let days = max(0, daysSinceEpoch) + 719_468
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shifted + 2) / 5 + 1
        month = shifted < 10 ? shifted + 3 : shifted - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }
}
