public import Kernel

/// Why a source was left as it is.
public enum FormatRefusal: Error, Sendable, CustomStringConvertible {
    /// It is no YAML that the language takes; each diagnostic says where.
    case notReadable([Diagnostic])
    /// It is written in a way that the formatter does not know.
    case unknownForm(line: Int, what: String)
    /// What would have been written does not mean the same, or not for good: a defect of the formatter.
    case notSame(String)

    public var description: String {
        switch self {
        case .notReadable(let diagnostics):
            diagnostics.first.map { "line \($0.line): \($0.message); \($0.mend)" } ?? "it cannot be read"
        case .unknownForm(let line, let what):
            "line \(line): \(what) is not formatted; write it in the usual way, or leave the file as it is"
        case .notSame(let what):
            "the formatter would have changed \(what), so it changed nothing; please report this with the file"
        }
    }
}

/// Puts the text of one policy file in order and keeps every comment: two spaces for each level, `- ` before members, one
/// blank line between the sections of the file, spaces as in `{ a: b }` and `[a, b]`, nothing behind the end of a line, a
/// line feed at the end of each. Spaces that align values and comments stay. No line is broken or joined.
///
/// It never changes what a file means: the result is read again, and where its tree or its comments are not those of the
/// source, or where formatting it once more would change it, nothing is handed out.
/// - Parameters:
///   - source: UTF-8, at most 512 MiB; a byte order mark and carriage returns before line feeds are removed.
///   - file: how diagnostics name it.
/// Source: YAML 1.2.2 §6.1 (indentation), §6.6 (comments), §7.4 (flow collections).
public func formatPolicy(source: [UInt8], file: String) throws(FormatRefusal) -> [UInt8] {
    let clean = withoutForeignLineEnds(source)
    // As it is: what the language refuses is not made good by taking it away.
    let isMarked = source.starts(with: [0xEF, 0xBB, 0xBF])
    let before = try readTree(isMarked ? Array(source.dropFirst(3)) : source, file)
    var layout = try LineLayout.read(clean)
    let result = layout.written()
    if result == source { return result }
    let after = try readAgain(result)
    guard isSame(before, after) else { throw .notSame("the policy's meaning") }
    var again = try LineLayout.read(result)
    guard layout.comments == again.comments else { throw .notSame("comments") }
    guard again.written() == result else { throw .notSame("its own output") }
    return result
}

private func readTree(_ source: [UInt8], _ file: String) throws(FormatRefusal) -> SyntaxTree {
    let read = FileTree(source, file: file)
    guard let tree = read.tree else { throw .notReadable(read.diagnostics) }
    return tree
}

private func readAgain(_ source: [UInt8]) throws(FormatRefusal) -> SyntaxTree {
    do throws(FormatRefusal) {
        return try readTree(source, "")
    } catch {
        throw .notSame("the policy into something that cannot be read")
    }
}

/// Kinds, texts and order of all nodes.
private func isSame(_ left: SyntaxTree, _ right: SyntaxTree) -> Bool {
    guard left.count == right.count else { return false }
    for node in 0..<left.count {
        guard left.kind(node) == right.kind(node), left.after(node) == right.after(node) else { return false }
        // A scalar's bytes; a collection has none.
        if left.bytes(node) != right.bytes(node) { return false }
    }
    return true
}

private func withoutForeignLineEnds(_ source: [UInt8]) -> [UInt8] {
    let isMarked = source.starts(with: [0xEF, 0xBB, 0xBF])
    guard isMarked || source.contains(0x0D) else { return source }
    var result: [UInt8] = []
    result.reserveCapacity(source.count)
    var index = isMarked ? 3 : 0
    while index < source.count {
        let isReturn = source[index] == 0x0D && index + 1 < source.count && source[index + 1] == 0x0A
        if !isReturn { result.append(source[index]) }
        index += 1
    }
    return result
}

/// Puts a file's new text in place as a whole; readers see the old text or the new one. The file keeps its mode, and a
/// symbolic link stays one: what it leads to is replaced.
/// - Throws: the system's error; ELOOP or ENOENT where the path leads nowhere.
public func replacePolicyFile(_ path: String, bytes: [UInt8]) throws(SystemError) {
    let target = try Files.target(of: path)
    try Files.replace(target, bytes: bytes.span, mode: try Files.mode(of: target))
}
