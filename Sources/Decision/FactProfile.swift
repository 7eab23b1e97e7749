public import Octets

/// Which names a listener reads the request's facts from. Exactly the names of one profile are read.
public enum FactProfile: UInt8, Sendable, CaseIterable {
    /// `SC_METHOD`, `SC_TARGET`, … all of them set by the proxy's configuration, empty ones too.
    case scopecheck
    /// `REQUEST_METHOD`, `REQUEST_URI`, `SERVER_*`, as a FastCGI Authorizer caller sends them.
    case cgi
}

/// How a client's address stands in the request.
public enum AddressForm: UInt8, Sendable {
    case text
    /// 4 bytes, most significant first.
    case ipv4
    /// 16 bytes, most significant first.
    case ipv6
}

/// What HAProxy says about the client's certificate.
///
/// It is believed only when all three say so: `ssl_c_verify` is 0 without a certificate too.
public struct CertificateFacts: Sendable {
    /// `ssl_c_used`: the client presented a certificate in this connection.
    public var isUsed = false
    /// `ssl_c_verify`: OpenSSL's verify result, 0 when the chain is good; negative when it was not given.
    public var verifyResult: Int64 = -1
    /// `ssl_c_der`.
    public var der = ByteRange.absent

    public init() {}
}

/// What the proxy says about one connection without HTTP: places in the message's own bytes.
public struct ConnectionFacts: Sendable {
    /// Of the listener; negative when it was not given or is none.
    public var port: Int64 = -1
    public var clientAddress = ByteRange.absent
    public var clientAddressForm = AddressForm.text
    public var requestID = ByteRange.absent
    public var certificate = CertificateFacts()
    /// A fact came twice or is not of its type.
    public var conflict = false

    public init() {}
}

/// What the proxy says about one request: places in the request's own bytes, nothing decoded.
///
/// A fact that was not given is `.absent`; one that was given twice sets `conflict`. The client's own
/// credential headers are counted instead, since a repeated `Authorization` has a denial of its own.
public struct RequestFacts: Sendable {
    public var method = ByteRange.absent
    /// The request target exactly as received.
    public var target = ByteRange.absent
    /// The proxy's own decoded and normalised path; empty or absent when it sends none.
    public var normalizedPath = ByteRange.absent
    public var host = ByteRange.absent
    public var scheme = ByteRange.absent
    /// Decimal port of the listener that the request came in on.
    public var port = ByteRange.absent
    /// The same from a proxy that sends it as a number; negative without one. Both together are a conflict.
    public var portNumber: Int64 = -1
    /// The path exactly as received, from a proxy that sends it beside the target; must be the target's own.
    public var rawPath = ByteRange.absent
    public var clientAddress = ByteRange.absent
    public var clientAddressForm = AddressForm.text
    public var requestID = ByteRange.absent
    /// URL-encoded PEM of the client's certificate; empty without one.
    public var clientCertificate = ByteRange.absent
    /// DER of the client's certificate, from a proxy that sends it so, and whether it was presented and verified.
    public var certificate = CertificateFacts()

    public var authorization = ByteRange.absent
    public var authorizationCount: UInt16 = 0
    public var dpop = ByteRange.absent
    public var dpopCount: UInt16 = 0
    public var origin = ByteRange.absent
    public var originCount: UInt16 = 0
    public var accessControlRequestMethod = ByteRange.absent
    public var accessControlRequestMethodCount: UInt16 = 0
    public var cookie = ByteRange.absent
    public var cookieCount: UInt16 = 0
    public var webSocketProtocol = ByteRange.absent
    public var webSocketProtocolCount: UInt16 = 0

    /// A proxy-set fact came twice, or under a name that could hide another.
    public var conflict = false

    public init() {}
}
