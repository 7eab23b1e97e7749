internal import Kernel

/// Lines of a descriptor, read in large pieces. A line longer than the limit is given as what fits, cut.
final class LineInput {
    private let descriptor: Int32
    private let lineBytesMax: Int
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    init(descriptor: Int32, lineBytesMax: Int) {
        self.descriptor = descriptor
        self.lineBytesMax = lineBytesMax
    }

    /// The next line without its line end, or nil at the end.
    func next() -> [UInt8]? {
        var scanned = start
        while true {
            if let end = buffer[scanned...].firstIndex(of: 0x0A) {
                let line = Array(buffer[start..<end].prefix(lineBytesMax))
                start = end + 1
                return line
            }
            scanned = buffer.count
            guard !isAtEnd else {
                guard start < buffer.count else { return nil }
                let line = Array(buffer[start...].prefix(lineBytesMax))
                start = buffer.count
                return line
            }
            if start > 0 {
                buffer.removeFirst(start)
                scanned -= start
                start = 0
            }
            // A line that never ends is cut, so that it cannot take all memory.
            if buffer.count > 2 * lineBytesMax {
                buffer.removeLast(buffer.count - lineBytesMax)
                scanned = buffer.count
            }
            isAtEnd = !appendBytes(from: descriptor, countMax: 1 << 16, to: &buffer)
        }
    }
}
