internal import Octets
public import Signatures

/// What a proof must have been made for: one request, in the parts that `htm` and `htu` are compared with.
///
/// Example: `GET https://API.example.com:443/v1/caf%c3%a9?x=1` is `GET`, secure, `api.example.com`, 443,
/// `/v1/caf%C3%A9`.
public struct ProofRequest: ~Escapable {
    /// As it was sent; methods are case-sensitive (RFC 9110 §9.1).
    public let method: Span<UInt8>
    /// https, not http.
    public let isSecure: Bool
    /// Lower case, without a port or a trailing dot; an IPv6 address in its brackets.
    public let host: Span<UInt8>
    public let port: UInt16
    /// Escapes of unreserved characters decoded, other escapes in upper case, no dot segments, no query.
    public let path: Span<UInt8>

    @_lifetime(copy method, copy host, copy path)
    public init(method: Span<UInt8>, isSecure: Bool, host: Span<UInt8>, port: UInt16, path: Span<UInt8>) {
        self.method = method
        self.isSecure = isSecure
        self.host = host
        self.port = port
        self.path = path
    }
}

/// Which nonces a proof may have (RFC 9449 §9).
public struct NonceRule: ~Escapable {
    let isRequired: Bool
    let current: Span<UInt8>
    let previous: Span<UInt8>

    /// No nonce was given out: whatever `nonce` a proof has plays no part.
    @_lifetime(immortal)
    public init() {
        isRequired = false
        current = Span()
        previous = Span()
    }

    /// A proof must have this nonce. An empty one matches nothing.
    @_lifetime(copy nonce)
    public init(required nonce: Span<UInt8>) {
        isRequired = true
        current = nonce
        previous = nonce
    }

    /// A proof must have one of the two, so that nonces can change while requests are on their way. An empty one
    /// matches nothing.
    @_lifetime(copy current, copy previous)
    public init(required current: Span<UInt8>, or previous: Span<UInt8>) {
        isRequired = true
        self.current = current
        self.previous = previous
    }

    func accepts(_ value: JSONValue, in text: Span<UInt8>) -> Bool {
        guard value.kind == .string else { return false }
        if current.count > 0, isString(value, in: text, equalTo: current) { return true }
        return previous.count > 0 && isString(value, in: text, equalTo: previous)
    }
}

/// What proofs are checked by that is the same for many requests.
public struct ProofRules: Sendable, Equatable {
    /// A bit for each accepted algorithm.
    private let algorithms: UInt16
    /// How old `iat` may be, seconds, 0 to 86,400.
    public let ageSecondsMax: Int64
    /// How far ahead of our clock `iat` may be, seconds, 0 to 86,400.
    public let aheadSecondsMax: Int64

    public init(algorithms: [SignatureAlgorithm], ageSecondsMax: Int64, aheadSecondsMax: Int64) {
        self.algorithms = algorithms.reduce(0) { $0 | 1 << UInt16($1.rawValue) }
        self.ageSecondsMax = max(0, min(ageSecondsMax, 86_400))
        self.aheadSecondsMax = max(0, min(aheadSecondsMax, 86_400))
    }

    public func allows(_ algorithm: SignatureAlgorithm) -> Bool {
        algorithms >> UInt16(algorithm.rawValue) & 1 == 1
    }
}
