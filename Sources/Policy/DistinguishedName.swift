/// A certificate's subject as RFC 4514 text, in the one spelling that OpenSSL prints with `-nameopt RFC2253`. Policies
/// compare that text byte by byte, so that another spelling of the same name would never match.
///
/// Example: `CN=J\C3\BCrgen,OU=\ lead,O=A\, B+L=Bonn,1.2.3.4=#0C0178` has four parts; the third has two attributes.
struct DistinguishedName: Equatable {
    enum Value: Equatable {
        /// UTF-8, unescaped.
        case text([UInt8])
        /// What has no text: the value's own DER, tag and length included.
        case der([UInt8])
    }

    struct Attribute: Equatable {
        /// OpenSSL's short name, or an object identifier in dots.
        var type: String
        var value: Value
    }

    /// As printed: the most specific first. None is empty.
    var parts: [[Attribute]]

    static let bytesMax = 2_048
    static let command = "openssl x509 -in FILE -noout -subject -nameopt RFC2253"

    static func read(_ text: ArraySlice<UInt8>) throws(TextProblem) -> DistinguishedName {
        var reader = DistinguishedNameReader(text)
        return DistinguishedName(parts: try reader.read())
    }
}

private struct DistinguishedNameReader {
    private let text: ArraySlice<UInt8>
    private var index: Int

    init(_ text: ArraySlice<UInt8>) {
        self.text = text
        index = text.startIndex
    }

    mutating func read() throws(TextProblem) -> [[DistinguishedName.Attribute]] {
        try refuseOtherForms()
        var parts: [[DistinguishedName.Attribute]] = []
        var part: [DistinguishedName.Attribute] = []
        while true {
            part.append(try attribute())
            guard index < text.endIndex else { break }
            // An attribute ends at a separator or at the end.
            if text[index] == 0x2C {
                parts.append(part)
                part = []
            }
            index += 1
        }
        return parts + [part]
    }

    private func problem(_ place: Int, _ message: String, mend: String? = nil) -> TextProblem {
        TextProblem(
            code: .badSubject, offset: place - text.startIndex, message: message,
            mend: mend
                ?? "print it with `\(DistinguishedName.command)` and write what stands behind `subject=`")
    }

    private func refuseOtherForms() throws(TextProblem) {
        guard text.count <= DistinguishedName.bytesMax else {
            throw problem(
                text.startIndex,
                "a subject of \(text.count) bytes; \(DistinguishedName.bytesMax) are the most",
                mend: "name the client by `uri` or `dns`")
        }
        guard let first = text.first else { throw problem(text.startIndex, "an empty subject") }
        if first == 0x2F {
            throw problem(
                text.startIndex, "\(quoted(text)) is the form with slashes, which is not the same for every certificate"
            )
        }
        if text.starts(with: Array("subject=".utf8)) {
            throw problem(text.startIndex, "\(quoted(text)) starts with `subject=`", mend: "write only what follows it")
        }
    }

    private mutating func attribute() throws(TextProblem) -> DistinguishedName.Attribute {
        let start = index
        while index < text.endIndex, text[index] != 0x3D, text[index] != 0x2C, text[index] != 0x2B { index += 1 }
        guard index < text.endIndex, text[index] == 0x3D else {
            throw problem(start, "\(quoted(text[start..<index])) in a subject has no `=`")
        }
        let type = try attributeType(text[start..<index])
        index += 1
        let hasText = !isDigit(text[start])
        if index < text.endIndex, text[index] == 0x23, !(hasText && isAtEndOfValue(index + 1)) {
            return DistinguishedName.Attribute(type: type, value: .der(try encodedValue(hasText: hasText)))
        }
        guard hasText else {
            throw problem(start, "the value of \(quoted(type)) is not written as `#` and hexadecimal digits")
        }
        return DistinguishedName.Attribute(type: type, value: .text(try textValue()))
    }

    private func attributeType(_ type: ArraySlice<UInt8>) throws(TextProblem) -> String {
        if type.first == 0x20 || type.last == 0x20 {
            throw problem(
                type.startIndex, "a space beside a separator of a subject",
                mend: "write it without spaces around `,`, `+` and `=`, as `\(DistinguishedName.command)` does")
        }
        let name = String(decoding: type, as: UTF8.self)
        if let first = type.first, isDigit(first) {
            guard AttributeTypes.isIdentifier(type) else {
                throw problem(type.startIndex, "\(quoted(type)) is no attribute of a subject")
            }
            if let known = AttributeTypes.identifiers.first(where: { $0.value == name }) {
                throw problem(
                    type.startIndex, "\(quoted(type)) is printed by its name", mend: "write `\(known.key)`")
            }
            return name
        }
        guard let first = type.first, isLetter(first), type.allSatisfy({ isLetter($0) || isDigit($0) || $0 == 0x2D })
        else { throw problem(type.startIndex, "\(quoted(type)) is no attribute of a subject") }
        guard AttributeTypes.identifiers[name] == nil else { return name }
        // OpenSSL knows a thousand names more; one that differs in case alone is a slip.
        let folded = name.lowercased()
        if let known = AttributeTypes.identifiers.keys.first(where: { $0.lowercased() == folded }) {
            throw problem(
                type.startIndex, "the attribute \(quoted(type)) is not spelled as it is printed",
                mend: "write `\(known)`")
        }
        return name
    }

    /// `#` and the DER of the value, for what has no text.
    /// - Parameter hasText: the attribute is one whose texts are printed as such.
    private mutating func encodedValue(hasText: Bool) throws(TextProblem) -> [UInt8] {
        let start = index
        index += 1
        var bytes: [UInt8] = []
        while index < text.endIndex, text[index] != 0x2C, text[index] != 0x2B {
            guard let byte = byte(at: index) else {
                throw problem(index, "a value that starts with `#` goes on with other than capital hexadecimal digits")
            }
            bytes.append(byte)
            index += 2
        }
        guard DERWriter.isOneValue(bytes), isPrintedInDigits(bytes, hasText: hasText) else {
            throw problem(start, "\(quoted(text[start..<index])) is not the DER of a value that is printed so")
        }
        return bytes
    }

    /// The types that OpenSSL takes in a name (X.680 §8.6) and, with `hasText`, has no text for.
    private func isPrintedInDigits(_ value: [UInt8], hasText: Bool) -> Bool {
        switch value[0] {
        case 0x03:
            // DER has the unused bits of a bit string zero (X.690 §11.2.1).
            guard value.count > 3, value[1] < 0x80, let last = value.last, value[2] < 8 else { return false }
            return last & (1 << value[2] - 1) == 0
        case 0x07, 0x08, 0x09, 0x0B, 0x0D, 0x0E, 0x0F, 0x1D, 0x30: return true
        case 0x0C:
            let header = value[1] < 0x80 ? 2 : 2 + Int(value[1] & 0x7F)
            return !hasText && String(validating: value.dropFirst(header), as: UTF8.self) != nil
        case 0x12, 0x13, 0x14, 0x16: return !hasText
        default: return false
        }
    }

    private func isAtEndOfValue(_ place: Int) -> Bool {
        place == text.endIndex || text[place] == 0x2C || text[place] == 0x2B
    }

    private mutating func textValue() throws(TextProblem) -> [UInt8] {
        let start = index
        var bytes: [UInt8] = []
        while index < text.endIndex, text[index] != 0x2C, text[index] != 0x2B {
            let byte = text[index]
            if byte == 0x5C {
                bytes.append(try escape(from: start))
                continue
            }
            try checkPlain(byte, isFirst: index == start)
            bytes.append(byte)
            index += 1
        }
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw problem(start, "the bytes of \(quoted(text[start..<index])) are not UTF-8")
        }
        return bytes
    }

    private func checkPlain(_ byte: UInt8, isFirst: Bool) throws(TextProblem) {
        switch byte {
        case 0x20:
            guard isFirst || isAtEndOfValue(index + 1) else { return }
            throw problem(
                index, "a space beside a separator of a subject",
                mend: "remove it; where it belongs to the value, write `\\ `")
        case 0x22, 0x3B, 0x3C, 0x3E:
            let sign = Character(Unicode.Scalar(byte))
            throw problem(index, "`\(sign)` in a subject without `\\` before it", mend: "write `\\\(sign)`")
        case 0x21...0x7E: return
        default:
            throw problem(index, "a subject is printed in ASCII: other characters as `\\` and two hexadecimal digits")
        }
    }

    /// A backslash and what it stands before.
    private mutating func escape(from start: Int) throws(TextProblem) -> UInt8 {
        let place = index
        guard place + 1 < text.endIndex else { throw problem(place, "a subject ends with `\\`") }
        let sign = text[place + 1]
        let next = place + 2
        switch sign {
        case 0x22, 0x2B, 0x2C, 0x3B, 0x3C, 0x3E, 0x5C:
            index = next
            return sign
        case 0x20, 0x23:
            // A hash alone is printed as it is.
            let isLast = isAtEndOfValue(next)
            guard sign == 0x20 ? place == start || isLast : place == start && !isLast else { break }
            index = next
            return sign
        default:
            guard let byte = byte(at: place + 1), byte < 0x20 || byte >= 0x7F else { break }
            index = place + 3
            return byte
        }
        throw problem(place, "\(quoted(text[place..<next])) in a subject is not escaped when it is printed")
    }

    /// Two capital hexadecimal digits.
    private func byte(at place: Int) -> UInt8? {
        guard place + 1 < text.endIndex, let high = digit(text[place]), let low = digit(text[place + 1]) else {
            return nil
        }
        return high << 4 | low
    }

    private func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        default: nil
        }
    }

    private func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A }
}

/// The attributes of subjects by the short names that OpenSSL prints.
enum AttributeTypes {
    static let identifiers: [String: String] = [
        "CN": "2.5.4.3", "SN": "2.5.4.4", "serialNumber": "2.5.4.5", "C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8",
        "street": "2.5.4.9", "O": "2.5.4.10", "OU": "2.5.4.11", "title": "2.5.4.12", "description": "2.5.4.13",
        "businessCategory": "2.5.4.15", "postalAddress": "2.5.4.16", "postalCode": "2.5.4.17",
        "postOfficeBox": "2.5.4.18", "telephoneNumber": "2.5.4.20", "name": "2.5.4.41", "GN": "2.5.4.42",
        "initials": "2.5.4.43", "generationQualifier": "2.5.4.44", "x500UniqueIdentifier": "2.5.4.45",
        "dnQualifier": "2.5.4.46", "houseIdentifier": "2.5.4.51", "dmdName": "2.5.4.54", "pseudonym": "2.5.4.65",
        "role": "2.5.4.72", "organizationIdentifier": "2.5.4.97", "UID": "0.9.2342.19200300.100.1.1",
        "mail": "0.9.2342.19200300.100.1.3", "DC": "0.9.2342.19200300.100.1.25",
        "uid": "0.9.2342.19200300.100.1.44", "emailAddress": "1.2.840.113549.1.9.1",
        "unstructuredName": "1.2.840.113549.1.9.2", "unstructuredAddress": "1.2.840.113549.1.9.8",
        "jurisdictionL": "1.3.6.1.4.1.311.60.2.1.1", "jurisdictionST": "1.3.6.1.4.1.311.60.2.1.2",
        "jurisdictionC": "1.3.6.1.4.1.311.60.2.1.3",
    ]

    /// Numbers in dots: two at least, none with a leading zero, the first at most 2, the second below 40 but under 2.
    static func isIdentifier(_ text: ArraySlice<UInt8>) -> Bool {
        let arcs = text.split(separator: 0x2E, omittingEmptySubsequences: false)
        guard arcs.count >= 2, arcs.count <= 64, let first = decimal(arcs[0]), first <= 2,
            first == 2 || decimal(arcs[1]).map({ $0 < 40 }) ?? false
        else { return false }
        return arcs.allSatisfy { arc in
            !arc.isEmpty && arc.count <= 18 && arc.allSatisfy(isDigit) && (arc.first != 0x30 || arc.count == 1)
        }
    }
}
