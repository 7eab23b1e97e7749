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

    enum Match { case current, previous, none }

    func match(_ value: JSONValue, in text: Span<UInt8>) -> Match {
        guard value.kind == .string else { return .none }
        if current.count > 0, isString(value, in: text, equalTo: current) { return .current }
        return previous.count > 0 && isString(value, in: text, equalTo: previous) ? .previous : .none
    }
}

/// What proofs are checked by that is the same for many requests.
public struct ProofRules: Sendable, Equatable {
    /// Four bits for each accepted algorithm in the order that they were given in, the first one lowest: 1 more than
    /// its raw value, 0 behind the last.
    private let algorithms: UInt64
    /// How old `iat` may be, seconds, 0 to 86,400.
    public let ageSecondsMax: Int64
    /// How far ahead of our clock `iat` may be, seconds, 0 to 86,400.
    public let aheadSecondsMax: Int64

    public init(algorithms: [SignatureAlgorithm], ageSecondsMax: Int64, aheadSecondsMax: Int64) {
        var packed: UInt64 = 0
        var shift: UInt64 = 0
        for (index, algorithm) in algorithms.enumerated() where !algorithms[..<index].contains(algorithm) {
            packed |= UInt64(algorithm.rawValue + 1) << shift
            shift += 4
        }
        self.algorithms = packed
        self.ageSecondsMax = max(0, min(ageSecondsMax, 86_400))
        self.aheadSecondsMax = max(0, min(aheadSecondsMax, 86_400))
    }

    public func allows(_ algorithm: SignatureAlgorithm) -> Bool {
        var rest = algorithms
        while rest != 0 {
            if rest & 15 == UInt64(algorithm.rawValue + 1) { return true }
            rest >>= 4
        }
        return false
    }

    /// The accepted algorithms, each once, in the order that they were given in; nil beyond the last.
    public func algorithm(_ index: Int) -> SignatureAlgorithm? {
        guard index >= 0, index < 16 else { return nil }
        let value = algorithms >> UInt64(4 * index) & 15
        return value == 0 ? nil : SignatureAlgorithm(rawValue: UInt8(value - 1))
    }
}
