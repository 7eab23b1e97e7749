public import Octets

/// Why a text is not the strict JSON that tokens and key sets must be, and where.
public struct JSONError: Error, Equatable, Sendable {
    public enum Cause: UInt8, CaseIterable, Sendable {
        case empty
        /// A byte order mark in front (RFC 8259 §8.1 forbids sending one).
        case byteOrderMark
        /// Ends within a value.
        case truncated
        /// A byte that the grammar does not allow here.
        case unexpectedByte
        /// Not UTF-8 (RFC 3629), inside a string.
        case invalidUTF8
        /// A raw byte below 0x20 inside a string.
        case controlCharacter
        case invalidEscape
        /// `\uD800`–`\uDFFF` that is no half of a pair.
        case loneSurrogate
        /// `\u0000`, where the limits refuse it.
        case nulCharacter
        case invalidNumber
        /// Two members of one object have the same name after unescaping.
        case duplicateName
        case tooLarge
        case tooDeep
        case tooManyMembers
        case tooManyNames
        case tooManyValues
        /// Bytes after the one top-level value.
        case trailingBytes
        case notAnObject
    }

    public let cause: Cause
    /// Byte offset into the text.
    public let offset: Int

    public init(_ cause: Cause, at offset: Int) {
        self.cause = cause
        self.offset = offset
    }
}

extension JSONError: CustomStringConvertible {
    public var description: String { "\(cause.text) at byte \(offset)" }
}

extension JSONError.Cause {
    /// For people: what is wrong, without the place.
    public var text: StaticString {
        switch self {
        case .empty: "no JSON value"
        case .byteOrderMark: "a byte order mark"
        case .truncated: "the JSON text ends too early"
        case .unexpectedByte: "a byte that JSON does not allow here"
        case .invalidUTF8: "a string that is not UTF-8"
        case .controlCharacter: "a raw control character in a string"
        case .invalidEscape: "an escape that JSON does not have"
        case .loneSurrogate: "half of a surrogate pair"
        case .nulCharacter: "a NUL character"
        case .invalidNumber: "a number that is not of JSON's form"
        case .duplicateName: "a member name that occurs twice in one object"
        case .tooLarge: "a text beyond the size limit"
        case .tooDeep: "nesting beyond the depth limit"
        case .tooManyMembers: "an object with too many members"
        case .tooManyNames: "too many member names"
        case .tooManyValues: "too many values"
        case .trailingBytes: "bytes after the JSON value"
        case .notAnObject: "a JSON value that is not an object"
        }
    }
}

/// Bounds that a text is read under. Each is checked before anything is kept.
public struct JSONLimits: Sendable, Equatable {
    /// More levels than this are never read, whatever `depthMax` says.
    public static let depthCeiling = 64

    /// Objects and arrays within each other, the top one counted; 1 to `depthCeiling`.
    public var depthMax: Int
    public var membersPerObjectMax: Int
    /// Member names in the whole text.
    public var namesMax: Int
    /// Values of every kind in the whole text.
    public var valuesMax: Int
    /// Whether `\u0000` may stand in a string. A reader that ends strings at NUL would see another name
    /// or value than we do, so tokens may not have it.
    public var allowsNUL: Bool

    public init(
        depthMax: Int, membersPerObjectMax: Int = 256, namesMax: Int = 4_096, valuesMax: Int = 16_384,
        allowsNUL: Bool = true
    ) {
        self.depthMax = max(1, min(depthMax, JSONLimits.depthCeiling))
        self.membersPerObjectMax = membersPerObjectMax
        self.namesMax = min(namesMax, 4_096)
        self.valuesMax = valuesMax
        self.allowsNUL = allowsNUL
    }

    /// A JWS protected header: a handful of members, hardly nested.
    public static let header = JSONLimits(
        depthMax: 8, membersPerObjectMax: 64, namesMax: 256, valuesMax: 1_024, allowsNUL: false)
    /// A JWT claims set.
    public static let claims = JSONLimits(
        depthMax: 32, membersPerObjectMax: 256, namesMax: 4_096, valuesMax: 8_192, allowsNUL: false)
    /// A JWK set: 256 keys of about ten members.
    public static let keySet = JSONLimits(
        depthMax: 8, membersPerObjectMax: 256, namesMax: 4_096, valuesMax: 16_384, allowsNUL: false)
}

public enum JSONKind: UInt8, Sendable {
    case object, array, string, number, `true`, `false`, null
}

/// One value of a text that a `JSONIndex` has read: what it is and where it stands.
public struct JSONValue: Sendable, Equatable {
    public let kind: JSONKind
    /// A string: the bytes between the quotes, still escaped. Anything else: the whole text of the value.
    public let range: ByteRange
    /// The string has at least one escape, so that its bytes are not its characters.
    public let hasEscapes: Bool
    /// Its place in the index that read it.
    let node: Int
}
