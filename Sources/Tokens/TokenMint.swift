internal import Octets
public import Signatures

/// Why no token was made.
public enum MintError: Error, Sendable, Equatable, CustomStringConvertible {
    case invalidHeader(JSONError)
    case invalidClaims(JSONError)
    case key(KeyError)
    /// Longer than any verifier of ours takes.
    case tooLarge(bytes: Int)

    public var description: String {
        switch self {
        case .invalidHeader(let error): "the header is not a strict JSON object: \(error)"
        case .invalidClaims(let error): "the claims are not a strict JSON object: \(error)"
        case .key(let error): "\(error)"
        case .tooLarge(let bytes):
            "the token has \(bytes) bytes; at most \(TokenLimits.tokenBytesMax) are taken; leave claims out"
        }
    }
}

/// Makes signed tokens: for trying a policy out and for development issuers.
public enum TokenMint {
    /// A token with a header of `alg`, `typ` and `kid`.
    ///
    /// Example: claims `{"iss":"https://id.example.com"}`, key ID `a`, ES256 give the header
    /// `{"alg":"ES256","typ":"at+jwt","kid":"a"}`.
    /// - Parameters:
    ///   - claims: a strict JSON object; it goes into the token as it is.
    ///   - type: `typ`; nil leaves it out.
    public static func token(
        claims: Span<UInt8>, key: PrivateKey, algorithm: SignatureAlgorithm, keyID: String?,
        type: String? = "at+jwt"
    ) throws(MintError) -> [UInt8] {
        var header = JSONObjectWriter()
        header.add("alg", string: algorithm.name)
        if let type { header.add("typ", string: type) }
        if let keyID { header.add("kid", string: keyID) }
        return try token(header: header.text().span, claims: claims, key: key, algorithm: algorithm)
    }

    /// A token with a header of the caller's. Its `alg` is not compared with `algorithm`.
    public static func token(
        header: Span<UInt8>, claims: Span<UInt8>, key: PrivateKey, algorithm: SignatureAlgorithm
    ) throws(MintError) -> [UInt8] {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(header, limits: .header)
        } catch {
            throw .invalidHeader(error)
        }
        do throws(JSONError) {
            try index.read(claims, limits: .claims)
        } catch {
            throw .invalidClaims(error)
        }
        let token = try sign(header: header, payload: claims, key: key, algorithm: algorithm)
        guard token.count <= TokenLimits.tokenBytesMax else { throw .tooLarge(bytes: token.count) }
        return token
    }

    /// A compact JWS (RFC 7515 §7.1) of exactly these bytes; neither is looked at.
    public static func sign(
        header: Span<UInt8>, payload: Span<UInt8>, key: PrivateKey, algorithm: SignatureAlgorithm
    ) throws(MintError) -> [UInt8] {
        var text = Base64URL.encode(header)
        text.append(0x2E)
        text.append(contentsOf: Base64URL.encode(payload))
        do throws(KeyError) {
            let signature = try key.sign(text.span, algorithm)
            text.append(0x2E)
            text.append(contentsOf: Base64URL.encode(signature.span))
            return text
        } catch {
            throw .key(error)
        }
    }
}

/// Writes one JSON object, member by member. Names are the caller's to keep apart.
public struct JSONObjectWriter: Sendable {
    private var bytes: [UInt8] = [0x7B]

    public init() {}

    public mutating func add(_ name: String, string value: String) {
        begin(name)
        bytes.append(jsonString: value)
    }

    public mutating func add(_ name: String, number value: Int64) {
        begin(name)
        bytes.append(contentsOf: String(value).utf8)
    }

    public mutating func add(_ name: String, boolean value: Bool) {
        begin(name)
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    public mutating func add(_ name: String, strings values: [String]) {
        begin(name)
        bytes.append(0x5B)
        for (position, value) in values.enumerated() {
            if position > 0 { bytes.append(0x2C) }
            bytes.append(jsonString: value)
        }
        bytes.append(0x5D)
    }

    /// - Parameter value: one JSON value, written as it is.
    public mutating func add(_ name: String, json value: [UInt8]) {
        begin(name)
        bytes.append(contentsOf: value)
    }

    /// The object with what has been added so far.
    public func text() -> [UInt8] { bytes + [0x7D] }

    private mutating func begin(_ name: String) {
        if bytes.count > 1 { bytes.append(0x2C) }
        bytes.append(jsonString: name)
        bytes.append(0x3A)
    }
}
