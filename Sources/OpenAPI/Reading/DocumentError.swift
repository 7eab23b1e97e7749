/// Why a published document cannot be used: what is wrong, where, and what to do.
public struct DocumentError: Error, Sendable, Equatable, CustomStringConvertible {
    /// From 1; nil when it is about the document as a whole.
    public let line: Int?
    public let message: String
    public let mend: String

    init(line: Int? = nil, _ message: String, mend: String) {
        self.line = line
        self.message = message
        self.mend = mend
    }

    public var description: String {
        (line.map { "line \($0): " } ?? "") + message + "; " + mend
    }
}
