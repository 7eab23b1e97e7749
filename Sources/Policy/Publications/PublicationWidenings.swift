/// What a publication allows that is denied, for people.
public struct PublicationWidenings: Sendable, Equatable, ExpressibleByArrayLiteral {
    /// One each, of one line; not all of them where there are many.
    public var lines: [String]
    /// How many more there are.
    public var omittedCount: Int

    public init(_ lines: [String], omittedCount: Int = 0) {
        self.lines = lines
        self.omittedCount = omittedCount
    }

    public init(arrayLiteral lines: String...) { self.init(lines) }

    public var isEmpty: Bool { lines.isEmpty && omittedCount == 0 }

    /// The first of them, the rest counted.
    public func prefix(_ count: Int) -> PublicationWidenings {
        let shown = Array(lines.prefix(count))
        return PublicationWidenings(shown, omittedCount: omittedCount + lines.count - shown.count)
    }

    /// Each in a line below what they belong to.
    var text: String {
        lines.map { "  \($0)\n" }.joined() + (omittedCount > 0 ? "  and \(omittedCount) more\n" : "")
    }
}
