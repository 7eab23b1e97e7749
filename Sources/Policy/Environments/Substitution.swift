/// Puts values in the place of `${name}`, in the texts of a policy but not in its keys.
///
/// A value is put in as it is, so that nothing is replaced twice; `$${` is the text `${`.
struct Substitution {
    /// A part of a text.
    enum Piece: Equatable {
        /// Bytes of the text as they are, from its start.
        case text(Range<Int>)
        /// The text `${`, written `$${`.
        case sign
        /// The value of a name; `offset` is where its `${` stands.
        case value(String, offset: Int)
    }

    /// What all texts with values may take together. A policy has no reason to come near.
    static let bytesMax = 64 << 20

    /// nil for a policy without environments.
    let values: [String: EnvironmentValue]?
    let environment: String?
    private let bytesMax: Int
    private var bytesLeft: Int

    init(values: [String: EnvironmentValue]?, environment: String?, bytesMax: Int = Substitution.bytesMax) {
        self.values = values
        self.environment = environment
        self.bytesMax = bytesMax
        bytesLeft = bytesMax
    }

    /// - Parameter keysAlone: leaves all other texts as they are. Keys hold no values: they mean the same in every
    ///   environment.
    mutating func run(on tree: inout SyntaxTree, sink: DiagnosticSink, lines: LineIndex, keysAlone: Bool = false) {
        for reference in tree.references where reference.isKey || !keysAlone {
            let node = Int(reference.node)
            // Everything after it would say the same.
            guard bytesLeft >= 0 else {
                tree.refuse(node)
                continue
            }
            do throws(TextProblem) {
                var origin: SourcePosition?
                tree.setText(node, try result(tree.bytes(node), isKey: reference.isKey, &origin))
                if let origin { sink.explain(tree.position(node), byValueAt: origin) }
            } catch {
                let place = lines.position(of: error.offset, in: tree.bytes(node), at: tree.position(node))
                sink.error(error.code, at: place, error.message, mend: error.mend)
                tree.refuse(node)
            }
        }
    }

    /// - Parameter origin: becomes where the first value of the text is defined.
    private mutating func result(
        _ text: ArraySlice<UInt8>, isKey: Bool, _ origin: inout SourcePosition?
    ) throws(TextProblem) -> [UInt8] {
        var result: [UInt8] = []
        for piece in try Substitution.pieces(text) {
            switch piece {
            case .text(let range):
                result += text[text.startIndex + range.lowerBound..<text.startIndex + range.upperBound]
            case .sign: result += [0x24, 0x7B]
            case .value(let name, let offset):
                guard !isKey else {
                    throw TextProblem(
                        code: .valueInKey, offset: offset, message: "a value in the key \(quoted(text))",
                        mend: "write the key out; values stand only after the `:`, and `$${` is the text `${`")
                }
                let value = try value(name, offset: offset)
                if origin == nil { origin = value.position }
                result += value.bytes
            }
        }
        bytesLeft -= result.count
        guard bytesLeft >= 0 else {
            throw TextProblem(
                code: .limitExceeded, offset: 0,
                message: "the texts with values take more than \(bytesMax) bytes in all",
                mend: "use shorter values, or fewer of them")
        }
        return result
    }

    private func value(_ name: String, offset: Int) throws(TextProblem) -> EnvironmentValue {
        guard let values else {
            throw TextProblem(
                code: .unknownValue, offset: offset,
                message: "`${\(name)}` stands for a value, and the policy has no `environments`",
                mend: "define it there, as in `environments: { prod: { values: { \(name): … } } }`, "
                    + "or write `$${` for the text `${`")
        }
        if let value = values[name] { return value }
        let known = values.keys.sorted()
        throw TextProblem(
            code: .unknownValue, offset: offset, message: "unknown value `${\(name)}`",
            mend: didYouMean(
                name, among: known,
                otherwise: "define it under `values` of \(environment.map { quoted($0) } ?? "the environment")"
                    + (known.isEmpty ? "" : ", which has \(quotedList(known))")))
    }

    // MARK: Reading texts

    static let nameBytesMax = 64

    /// 1 to 64 letters, digits, `_`, `-` and `.`.
    static func isName(_ name: ArraySlice<UInt8>) -> Bool {
        !name.isEmpty && name.count <= nameBytesMax && name.allSatisfy(isNameCharacter)
    }

    /// What a text is put together from. Example: `https://${host}/a` is text, value, text.
    static func pieces(_ text: ArraySlice<UInt8>) throws(TextProblem) -> [Piece] {
        var pieces: [Piece] = []
        var plainStart = text.startIndex
        var index = text.startIndex
        func flush(_ end: Int) {
            if end > plainStart { pieces.append(.text(plainStart - text.startIndex..<end - text.startIndex)) }
        }
        while index < text.endIndex {
            let rest = text[index...].prefix(3)
            if rest.equals("$${") {
                flush(index)
                pieces.append(.sign)
                index += 3
                plainStart = index
            } else if rest.prefix(2).equals("${") {
                flush(index)
                let offset = index - text.startIndex
                guard let end = text[index...].firstIndex(of: 0x7D) else {
                    throw TextProblem(
                        code: .badReference, offset: offset, message: "a `${` without its `}`",
                        mend: "close it, as in `${api_host}`, or write `$${` for the text `${`")
                }
                let name = text[index + 2..<end]
                guard isName(name) else {
                    throw TextProblem(
                        code: .badReference, offset: offset, message: "\(quoted(name)) is no name of a value",
                        mend: "use 1 to \(nameBytesMax) letters, digits, `_`, `-` and `.`, "
                            + "or write `$${` for the text `${`")
                }
                pieces.append(.value(String(decoding: name, as: UTF8.self), offset: offset))
                index = end + 1
                plainStart = index
            } else {
                index += 1
            }
        }
        flush(text.endIndex)
        return pieces
    }
}
