internal import PolicyTables

/// A place as a person finds it; line and column count from 1, columns in Unicode scalars.
public struct SourcePlace: Sendable, Hashable {
    /// The file as it was named by whoever asked.
    public var file: String
    public var line: Int
    public var column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }
}

/// The files of one policy as one text, so that a position is one line number wherever it stands.
///
/// One file is kept as it is. Several stand one after the other, each with one line at its end that is not its own: an
/// error at the very end of a file has a place of its own. Example: of `a\n` and `b\n` the lines are 1 `a`, 2 the end
/// of the first file, 3 `b`, 4 the end of the second.
struct PolicyText: Sendable {
    struct Part: Sendable {
        /// How messages name the file.
        var label: String
        /// Where it begins in `bytes`, and how many of them are its own.
        var start: Int
        var count: Int
        /// The number of its first line in the whole text.
        var firstLine: Int

        var range: Range<Int> { start..<start + count }
    }

    let bytes: [UInt8]
    /// In the order of the text; one at least.
    let parts: [Part]

    /// One file by itself; its bytes are shared, not copied.
    init(_ source: [UInt8], label: String) {
        bytes = source
        parts = [Part(label: label, start: 0, count: source.count, firstLine: 1)]
    }

    /// - Parameter labels: one for each file of the bundle, in its order; nil takes the names.
    init(_ bundle: PolicyBundle, labels: [String]?) {
        let names = bundle.files.map(\.name)
        let labels = labels.flatMap { $0.count == names.count ? $0 : nil } ?? names
        guard bundle.files.count > 1 else {
            self = PolicyText(bundle.files[0].bytes, label: labels[0].isEmpty ? "policy" : labels[0])
            return
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(bundle.files.reduce(0) { $0 + $1.bytes.count + 2 })
        var parts: [Part] = []
        var line = 1
        for (file, label) in zip(bundle.files, labels) {
            parts.append(Part(label: label, start: bytes.count, count: file.bytes.count, firstLine: line))
            bytes += file.bytes
            line += PolicyText.lineEnds(file.bytes.span)
            if file.bytes.last != 0x0A {
                bytes.append(0x0A)
                line += 1
            }
            bytes.append(0x0A)
            line += 1
        }
        self = PolicyText(bytes: bytes, parts: parts)
    }

    private init(bytes: [UInt8], parts: [Part]) {
        self.bytes = bytes
        self.parts = parts
    }

    private static func lineEnds(_ bytes: Span<UInt8>) -> Int {
        var count = 0
        for index in bytes.indices where bytes[index] == 0x0A { count += 1 }
        return count
    }

    /// The file that a line of the whole text belongs to.
    func part(ofLine line: Int) -> Part {
        var low = 0
        var high = parts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if parts[middle].firstLine <= line { low = middle } else { high = middle }
        }
        return parts[low]
    }

    func place(of position: SourcePosition) -> SourcePlace {
        let part = part(ofLine: position.line)
        return SourcePlace(file: part.label, line: position.line - part.firstLine + 1, column: position.column)
    }

    /// `line 6`, or ``line 6 of `orders.yaml` `` when that is another file than the one of `here`.
    func lineName(of position: SourcePosition, from here: SourcePosition) -> String {
        let place = place(of: position)
        return place.file == self.place(of: here).file
            ? "line \(place.line)" : "line \(place.line) of \(quoted(place.file))"
    }
}
