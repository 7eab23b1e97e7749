internal import Octets
internal import Signatures

/// What is used of a JWS protected header (RFC 7515 §4.1). `jku`, `jwk`, `x5u` and `x5c` are never looked at:
/// keys come from the issuer's key set alone.
struct TokenHeader {
    /// The kinds of `typ` that are told apart. Only the first two can be an access token.
    enum TypeName {
        /// `at+jwt` or `application/at+jwt` (RFC 9068 §2.1), in any case.
        case accessToken
        /// `JWT`, or no `typ`: says nothing.
        case plain
        /// `token-introspection+jwt` (RFC 9701 §5): an issuer's reply, never an access token.
        case introspection
        /// `statuslist+jwt` (draft-ietf-oauth-status-list §5.1), never an access token.
        case statusList
        /// Another kind of token: a DPoP proof, a logout token, a security event, …
        case other
    }

    /// Nil for a name that is none of this build's: `none`, HS256, or unknown.
    let algorithm: SignatureAlgorithm?
    /// The name as the token has it, for algorithms that only a signature check by hand knows.
    let algorithmName: JSONValue
    /// Nil when absent.
    let keyID: JSONValue?
    let type: TypeName
    let hasCritical: Bool
    /// `cty` is `JWT`: the payload is another token (RFC 7519 §5.2).
    let isNested: Bool

    /// Reads the header. The index is the caller's and holds the header afterwards.
    init(_ text: Span<UInt8>, _ index: inout JSONIndex) throws(TokenRefusal) {
        do throws(JSONError) {
            try index.read(text, limits: .header)
        } catch {
            throw .headerMalformed
        }
        guard let root = index.root, let alg = index.member("alg", of: root, in: text), alg.kind == .string
        else { throw .headerMalformed }
        algorithmName = alg
        algorithm = TokenHeader.algorithm(alg, text)

        keyID = index.member("kid", of: root, in: text)
        if let keyID {
            guard keyID.kind == .string, keyID.range.count <= TokenLimits.keyIDBytesMax else {
                throw .headerMalformed
            }
        }
        type = try TokenHeader.type(index.member("typ", of: root, in: text), text)
        hasCritical = index.member("crit", of: root, in: text) != nil
        isNested = try TokenHeader.isNested(index.member("cty", of: root, in: text), text)
    }

    static func algorithm(_ value: JSONValue, _ text: Span<UInt8>) -> SignatureAlgorithm? {
        let raw = text.bytes(at: value.range)
        guard value.hasEscapes else { return SignatureAlgorithm.named(raw) }
        // Legal, though nobody writes it: `\u0052S256`. The longest name has seven characters.
        var name = InlineArray<8, UInt8>(repeating: 0)
        var count = 0
        var bytes = UnescapedBytes(raw)
        while let byte = bytes.next() {
            guard count < name.count else { return nil }
            name[count] = byte
            count += 1
        }
        return SignatureAlgorithm.named(name.span.extracting(0..<count))
    }

    private static func type(_ value: JSONValue?, _ text: Span<UInt8>) throws(TokenRefusal) -> TypeName {
        guard let value else { return .plain }
        guard value.kind == .string else { throw .headerMalformed }
        let name = text.bytes(at: value.range)
        if isMediaType(name, "at+jwt") || isMediaType(name, "application/at+jwt") { return .accessToken }
        if isMediaType(name, "JWT") { return .plain }
        if isMediaType(name, "token-introspection+jwt") { return .introspection }
        if isMediaType(name, "application/token-introspection+jwt") { return .introspection }
        if isMediaType(name, "statuslist+jwt") || isMediaType(name, "application/statuslist+jwt") {
            return .statusList
        }
        return .other
    }

    private static func isNested(_ value: JSONValue?, _ text: Span<UInt8>) throws(TokenRefusal) -> Bool {
        guard let value else { return false }
        guard value.kind == .string else { throw .headerMalformed }
        let name = text.bytes(at: value.range)
        return isMediaType(name, "JWT") || isMediaType(name, "application/jwt")
    }

    /// Media types compare in any case (RFC 7515 §4.1.9), after unescaping: some writers of JSON escape
    /// every `+`.
    static func isMediaType(_ raw: Span<UInt8>, _ name: StaticString) -> Bool {
        var bytes = UnescapedBytes(raw)
        let count = name.utf8CodeUnitCount
        var index = 0
        while let byte = bytes.next() {
            // SAFETY: a StaticString with a pointer representation holds `count` bytes for ever.
            guard index < count, unsafe lowercased(name.utf8Start[index]) == lowercased(byte) else {
                return false
            }
            index += 1
        }
        return index == count
    }
}
