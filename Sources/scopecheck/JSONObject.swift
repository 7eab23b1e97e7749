internal import Octets
internal import Tokens

/// A JSON object of an answer, with its members copied out.
struct JSONObject {
    /// As it came.
    let bytes: [UInt8]
    private let depthMax: Int
    private var strings: [String: String] = [:]
    private var numbers: [String: Int64] = [:]
    private var truths: Set<String> = []
    /// Members that are objects, and the objects of lists, as texts.
    private var objects: [String: [[UInt8]]] = [:]
    /// The strings of lists.
    private var texts: [String: [String]] = [:]

    /// - Returns: nil for what is no object.
    init?(_ text: [UInt8], depthMax: Int = 6) {
        bytes = text
        self.depthMax = depthMax
        var index = JSONIndex()
        let limits = JSONLimits(depthMax: depthMax, valuesMax: 1 << 20)
        guard (try? index.read(text.span, limits: limits)) != nil, let root = index.root, root.kind == .object
        else { return nil }
        var strings: [String: String] = [:]
        var numbers: [String: Int64] = [:]
        var truths: Set<String> = []
        var objects: [String: [[UInt8]]] = [:]
        var texts: [String: [String]] = [:]
        var item = index.child(after: nil, of: root)
        while let current = item {
            let name = String(lossy: text.span.bytes(at: index.nameRange(of: current)))
            let raw = text.span.bytes(at: current.range)
            switch current.kind {
            case .string: strings[name] = current.string(in: text.span).map { String(decoding: $0, as: UTF8.self) }
            case .number: numbers[name] = Int64(String(lossy: raw))
            case .true: truths.insert(name)
            case .object: objects[name] = [[UInt8](copying: raw)]
            case .array:
                var entry = index.child(after: nil, of: current)
                while let one = entry {
                    if one.kind == .object {
                        objects[name, default: []].append([UInt8](copying: text.span.bytes(at: one.range)))
                    } else if let string = one.string(in: text.span) {
                        texts[name, default: []].append(String(decoding: string, as: UTF8.self))
                    }
                    entry = index.child(after: one, of: current)
                }
            default: break
            }
            item = index.child(after: current, of: root)
        }
        self.strings = strings
        self.numbers = numbers
        self.truths = truths
        self.objects = objects
        self.texts = texts
    }

    func string(_ name: String) -> String? { strings[name] }
    func number(_ name: String) -> Int64? { numbers[name] }
    func isTrue(_ name: String) -> Bool { truths.contains(name) }
    /// An object as it came.
    func raw(_ name: String) -> [UInt8]? { objects[name]?.first }
    func object(_ name: String) -> JSONObject? { raw(name).flatMap { JSONObject($0, depthMax: depthMax) } }
    func list(_ name: String) -> [JSONObject] {
        (objects[name] ?? []).compactMap { JSONObject($0, depthMax: depthMax) }
    }
    func strings(_ name: String) -> [String] { texts[name] ?? [] }
}

/// Somebody else's text for a terminal: what a terminal would act on is not shown.
func shown(_ text: String) -> String {
    String(
        String.UnicodeScalarView(
            text.unicodeScalars.map { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: "\u{FFFD}"
                default: scalar
                }
            }))
}
