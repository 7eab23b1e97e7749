internal import Octets
internal import Signatures

/// The `jwk` of a proof's header as bytes: decoded, not yet made into a key. One buffer, used again for each proof.
///
/// As strict as for the keys of an issuer (`JWKReader`), without its allocations.
struct ProofKey: ~Copyable {
    private enum Form {
        case rsa
        case ec(Curve)
        case ed25519
    }

    private var form = Form.ed25519
    /// RSA `n`, EC and OKP `x`.
    private var first = KeyNumber()
    /// RSA `e`, EC `y`.
    private var second = KeyNumber()
    /// The spelling of a member, then the text that the thumbprint is of.
    private var text = ByteWriter(capacity: ProofLimits.proofBytesMax)
    private var hasher = SHA256Hasher()

    /// `e` < 2^33.
    private static let exponentBytesMax = 5

    /// - Parameter index: has read `header`.
    mutating func read(
        _ index: borrowing JSONIndex, _ header: borrowing DecodedPart, _ algorithm: SignatureAlgorithm
    ) throws(ProofRefusal) {
        let bytes = header.bytes
        guard let root = index.root, let key = index.member("jwk", of: root, in: bytes) else {
            throw .keyMissing
        }
        guard key.kind == .object, let type = index.string("kty", of: key, in: bytes) else {
            throw .keyInvalid
        }
        if isString(type, in: bytes, equalTo: "oct") { throw .keySymmetric }
        guard !index.hasPrivateMember(key, in: bytes) else { throw .keyPrivate }
        form = try ProofKey.form(index, key, type, bytes)
        guard publicKind.fits(algorithm) else { throw .keyMismatch }
        if let declared = index.member("alg", of: key, in: bytes) {
            guard declared.kind == .string else { throw .keyInvalid }
            guard TokenHeader.algorithm(declared, bytes) == algorithm else { throw .keyMismatch }
        }
        guard index.purposeFault(of: key, in: bytes) == nil else { throw .keyInvalid }
        switch form {
        case .rsa: try readRSA(index, key, bytes)
        case .ec(let curve): try readCoordinates(index, key, bytes, "y", curve.coordinateBytes)
        case .ed25519: try readCoordinates(index, key, bytes, nil, 32)
        }
    }

    private static func form(
        _ index: borrowing JSONIndex, _ key: JSONValue, _ type: JSONValue, _ bytes: Span<UInt8>
    ) throws(ProofRefusal) -> Form {
        if isString(type, in: bytes, equalTo: "RSA") { return .rsa }
        guard let curve = index.string("crv", of: key, in: bytes) else { throw .keyInvalid }
        if isString(type, in: bytes, equalTo: "EC") {
            if isString(curve, in: bytes, equalTo: "P-256") { return .ec(.p256) }
            if isString(curve, in: bytes, equalTo: "P-384") { return .ec(.p384) }
            if isString(curve, in: bytes, equalTo: "P-521") { return .ec(.p521) }
        } else if isString(type, in: bytes, equalTo: "OKP"), isString(curve, in: bytes, equalTo: "Ed25519") {
            return .ed25519
        }
        throw .keyInvalid
    }

    private var publicKind: PublicKey.Kind {
        switch form {
        // The bits do not matter to whether an algorithm fits.
        case .rsa: .rsa(bits: PublicKey.modulusBitsMin)
        case .ec(let curve): .ec(curve)
        case .ed25519: .ed25519
        }
    }

    private mutating func readRSA(
        _ index: borrowing JSONIndex, _ key: JSONValue, _ bytes: Span<UInt8>
    ) throws(ProofRefusal) {
        try first.decode(index.string("n", of: key, in: bytes), bytes, &text)
        try second.decode(index.string("e", of: key, in: bytes), bytes, &text)
        // The thumbprint is of the fewest bytes that hold the number (RFC 7638 §3.3, RFC 7518 §2), so that a key has
        // one thumbprint however its proof spells it.
        first.dropLeadingZeros()
        second.dropLeadingZeros()
        guard first.bytes.count > 0, second.bytes.count > 0,
            second.bytes.count <= ProofKey.exponentBytesMax
        else { throw .keyInvalid }
    }

    private mutating func readCoordinates(
        _ index: borrowing JSONIndex, _ key: JSONValue, _ bytes: Span<UInt8>, _ secondName: StaticString?,
        _ coordinateBytes: Int
    ) throws(ProofRefusal) {
        try first.decode(index.string("x", of: key, in: bytes), bytes, &text)
        guard first.bytes.count == coordinateBytes else { throw .keyInvalid }
        guard let secondName else { return }
        try second.decode(index.string(secondName, of: key, in: bytes), bytes, &text)
        guard second.bytes.count == coordinateBytes else { throw .keyInvalid }
    }

    /// The JWK thumbprint (RFC 7638 §3) of the key itself: written anew from its numbers.
    mutating func thumbprint() -> Digest {
        ProofKey.thumbprint(form, first, second, &text, &hasher)
    }

    private static func thumbprint(
        _ form: Form, _ first: borrowing KeyNumber, _ second: borrowing KeyNumber, _ text: inout ByteWriter,
        _ hasher: inout SHA256Hasher
    ) -> Digest {
        text.removeAll()
        switch form {
        case .rsa:
            text.append("{\"e\":\"")
            text.append(base64URL: second.bytes)
            text.append("\",\"kty\":\"RSA\",\"n\":\"")
            text.append(base64URL: first.bytes)
        case .ec(let curve):
            text.append("{\"crv\":\"")
            text.append(curve.thumbprintName)
            text.append("\",\"kty\":\"EC\",\"x\":\"")
            text.append(base64URL: first.bytes)
            text.append("\",\"y\":\"")
            text.append(base64URL: second.bytes)
        case .ed25519:
            text.append("{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"")
            text.append(base64URL: first.bytes)
        }
        text.append("\"}")
        return hasher.digest(text.bytes)
    }

    /// Makes the key, with every check of `PublicKey`, and its context. The costly step.
    func prepare(_ algorithm: SignatureAlgorithm) throws(ProofRefusal) -> PreparedVerifier {
        do throws(KeyError) {
            let key =
                switch form {
                case .rsa: try PublicKey.rsa(modulus: first.bytes, exponent: second.bytes)
                case .ec(let curve): try PublicKey.ec(curve: curve, x: first.bytes, y: second.bytes)
                case .ed25519: try PublicKey.ed25519(first.bytes)
                }
            return try PreparedVerifier(key: key, algorithm: algorithm)
        } catch {
            throw .keyInvalid
        }
    }
}

/// One decoded member of a key.
private struct KeyNumber: ~Copyable {
    /// A modulus of the longest kind that `PublicKey` takes, with room for zeros in front.
    private var buffer = [UInt8](repeating: 0, count: PublicKey.modulusBitsMax / 8 + 32)
    private var start = 0
    private var end = 0

    var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get { buffer.span.extracting(start..<end) }
    }

    /// Strict base64url of at least one byte.
    /// - Parameter spelling: for the text without its escapes.
    mutating func decode(
        _ value: JSONValue?, _ text: Span<UInt8>, _ spelling: inout ByteWriter
    ) throws(ProofRefusal) {
        start = 0
        end = 0
        guard let value else { throw .keyInvalid }
        spelling.removeAll()
        spelling.append(string: value, in: text)
        var room = buffer.mutableSpan
        guard !spelling.overflowed, let count = Base64URL.decode(spelling.bytes, into: &room), count > 0 else {
            throw .keyInvalid
        }
        end = count
    }

    mutating func dropLeadingZeros() {
        while start < end, buffer[start] == 0 { start += 1 }
    }
}

extension Curve {
    fileprivate var thumbprintName: StaticString {
        switch self {
        case .p256: "P-256"
        case .p384: "P-384"
        case .p521: "P-521"
        }
    }
}

extension JSONIndex {
    fileprivate func string(_ name: StaticString, of object: JSONValue, in text: Span<UInt8>) -> JSONValue? {
        guard let value = member(name, of: object, in: text), value.kind == .string else { return nil }
        return value
    }

    /// RFC 7518 §6: the members that only private and shared keys have, of whatever kind this one says to be.
    fileprivate func hasPrivateMember(_ key: JSONValue, in text: Span<UInt8>) -> Bool {
        member("d", of: key, in: text) != nil || member("p", of: key, in: text) != nil
            || member("q", of: key, in: text) != nil || member("dp", of: key, in: text) != nil
            || member("dq", of: key, in: text) != nil || member("qi", of: key, in: text) != nil
            || member("oth", of: key, in: text) != nil || member("k", of: key, in: text) != nil
    }
}

extension ByteWriter {
    /// Writes base64url without padding (RFC 4648 §5).
    mutating func append(base64URL bytes: Span<UInt8>) {
        var index = 0
        while index < bytes.count {
            let left = bytes.count - index
            let first = bytes[index]
            let second = left > 1 ? bytes[index + 1] : 0
            let third = left > 2 ? bytes[index + 2] : 0
            append(base64URLCharacter(first >> 2))
            append(base64URLCharacter((first & 3) << 4 | second >> 4))
            if left > 1 { append(base64URLCharacter((second & 15) << 2 | third >> 6)) }
            if left > 2 { append(base64URLCharacter(third & 63)) }
            index += 3
        }
    }
}

private func base64URLCharacter(_ value: UInt8) -> UInt8 {
    switch value {
    case 0..<26: 0x41 + value
    case 26..<52: 0x61 + value - 26
    case 52..<62: 0x30 + value - 52
    case 62: 0x2D
    default: 0x5F
    }
}
