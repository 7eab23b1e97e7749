internal import Decision
internal import Kernel
internal import Octets

/// The denials of one worker, as JSON lines, until there is an audit trail.
///
/// A worker never waits for its log: lines go into a pipe that does not block, from which a thread of its own
/// writes them out. At most `linesPerSecond` are written; what is left out is counted, and the next line that is
/// written says how many.
final class DenialLine {
    private let pipe: LinePipe
    private let linesPerSecond: Int64
    private var line = ByteWriter(capacity: DenialLine.lineBytesMax)
    private var second: Int64 = 0
    private var written: Int64 = 0
    private var leftOut: UInt64 = 0

    /// A pipe takes this much in one piece or not at all (PIPE_BUF).
    static let lineBytesMax = 4_096
    /// Bytes of a client-controlled value that are logged.
    private static let valueBytesMax = 256
    /// When bytes that need escapes make the line too long all the same: no value can keep a denial out of the log.
    private static let shortValueBytesMax = 32

    init(pipe: LinePipe, linesPerSecond: Int) {
        self.pipe = pipe
        self.linesPerSecond = Int64(linesPerSecond)
    }

    /// Logs the decider's last decision on the request that `facts` describes.
    func write(_ decider: Decider, _ facts: RequestFacts, _ bytes: Span<UInt8>, _ time: WorkerClock) {
        write(decider, .request(facts), bytes, time)
    }

    /// The same for a connection without HTTP.
    func write(_ decider: Decider, _ facts: ConnectionFacts, _ bytes: Span<UInt8>, _ time: WorkerClock) {
        write(decider, .connection(facts), bytes, time)
    }

    private enum Facts {
        case request(RequestFacts)
        case connection(ConnectionFacts)
    }

    private func write(_ decider: Decider, _ facts: Facts, _ bytes: Span<UInt8>, _ time: WorkerClock) {
        if time.unixSeconds != second {
            second = time.unixSeconds
            written = 0
        }
        guard written < linesPerSecond else {
            leftOut &+= 1
            return
        }
        compose(decider, facts, bytes, time, valueBytesMax: DenialLine.valueBytesMax)
        if line.overflowed { compose(decider, facts, bytes, time, valueBytesMax: DenialLine.shortValueBytesMax) }
        guard !line.overflowed, pipe.write(line.bytes) else {
            leftOut &+= 1
            return
        }
        written += 1
        leftOut = 0
    }

    private func compose(
        _ decider: Decider, _ facts: Facts, _ bytes: Span<UInt8>, _ time: WorkerClock, valueBytesMax: Int
    ) {
        line.removeAll()
        line.append("{\"time\":\"")
        line.append(Timestamp(unixNanoseconds: time.unixNanoseconds))
        line.append(decider.status == 200 ? "\",\"event\":\"observed\"" : "\",\"event\":\"denial\"")
        switch facts {
        case .request(let facts): decider.appendLogMembers(to: &line, facts, bytes, valueBytesMax: valueBytesMax)
        case .connection(let facts):
            decider.appendLogMembers(to: &line, facts, bytes, valueBytesMax: valueBytesMax)
        }
        if leftOut > 0 {
            line.append(",\"left_out\":")
            line.append(decimal: leftOut)
        }
        line.append("}\n")
    }
}
