internal import Octets

extension DocumentTree {
    private static let hopsMax = 16
    private static let pointerStepsMax = 32
    /// A longer one names nothing that a person would have named.
    private static let pointerBytesMax = 2_048

    /// The node that a `$ref` leads to, or the node itself where it has none.
    func resolved(_ node: Int, what: String) throws(DocumentError) -> Int {
        try chain(node, what: what).last ?? node
    }

    /// The node, and all that `$ref` leads through from there; the last one has none.
    func chain(_ node: Int, what: String) throws(DocumentError) -> [Int] {
        var places = [node]
        for _ in 0..<DocumentTree.hopsMax {
            let place = places[places.count - 1]
            guard kind(place) == .mapping, let reference = try member("$ref", of: place, what: what) else {
                return places
            }
            places.append(try target(of: reference))
        }
        throw DocumentError(
            line: line(node), "references lead in a circle, or through more than \(DocumentTree.hopsMax) places",
            mend: "let `$ref` name the place itself")
    }

    /// A JSON pointer (RFC 6901 §6) into this document.
    func target(of reference: Int) throws(DocumentError) -> Int {
        let text = beginning(reference)
        func fault(_ message: String, _ mend: String) -> DocumentError {
            DocumentError(line: line(reference), message, mend: mend)
        }
        guard bytes(reference).count <= DocumentTree.pointerBytesMax else {
            throw fault(
                "the reference \(quoted(text)) has more than \(DocumentTree.pointerBytesMax) bytes",
                "let it name a place with a shorter name")
        }
        guard text.utf8.first == 0x23 else {
            throw fault(
                "the reference \(quoted(text)) leads out of the document, and nothing else is fetched",
                "bundle the document into one file")
        }
        guard let decoded = percentDecoded(text.utf8.dropFirst()), decoded.isEmpty || decoded.first == 0x2F else {
            throw fault("the reference \(quoted(text)) is no place in the document", "write it as `#/components/…`")
        }
        var place = DocumentTree.root
        let steps = decoded.split(separator: 0x2F, omittingEmptySubsequences: false).dropFirst()
        guard steps.count <= DocumentTree.pointerStepsMax else {
            throw fault("the reference \(quoted(text)) is too long", "name a place nearer to the root")
        }
        for step in steps {
            let name = unescaped(step)
            let next: Int? =
                switch kind(place) {
                case .mapping: try member(name, of: place, what: "what a reference leads through")
                case .sequence: try element(arrayIndex(name), of: place)
                default: nil
                }
            guard let next else {
                throw fault("the reference \(quoted(text)) leads to nothing", "correct it, or add what it names")
            }
            place = next
        }
        return place
    }

    /// Digits without a zero before them (RFC 6901 §4).
    private func arrayIndex(_ name: String) -> Int? {
        guard name.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), name == "0" || !name.hasPrefix("0") else {
            return nil
        }
        return Int(name)
    }

    private func percentDecoded(_ text: Substring.UTF8View) -> [UInt8]? {
        var result: [UInt8] = []
        var bytes = text.makeIterator()
        while let byte = bytes.next() {
            guard byte == 0x25 else {
                result.append(byte)
                continue
            }
            guard let high = bytes.next().flatMap(hexadecimalValue), let low = bytes.next().flatMap(hexadecimalValue)
            else { return nil }
            result.append(high << 4 | low)
        }
        return result
    }

    /// `~1` is `/`, `~0` is `~` (RFC 6901 §4).
    private func unescaped(_ step: ArraySlice<UInt8>) -> String {
        var result: [UInt8] = []
        var index = step.startIndex
        while index < step.endIndex {
            let next = index + 1 < step.endIndex ? step[index + 1] : 0
            if step[index] == 0x7E, next == 0x30 || next == 0x31 {
                result.append(next == 0x31 ? 0x2F : 0x7E)
                index += 2
            } else {
                result.append(step[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
