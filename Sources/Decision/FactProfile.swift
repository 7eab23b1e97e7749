public import Octets

/// Which names a listener reads the request's facts from. Exactly the names of one profile are read.
public enum FactProfile: UInt8, Sendable, CaseIterable {
    /// `SC_METHOD`, `SC_TARGET`, … all of them set by the proxy's configuration, empty ones too.
    case scopecheck
    /// `REQUEST_METHOD`, `REQUEST_URI`, `SERVER_*`, as a FastCGI Authorizer caller sends them.
    case cgi
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
    public var clientAddress = ByteRange.absent
    public var requestID = ByteRange.absent
    /// URL-encoded PEM of the client's certificate; empty without one.
    public var clientCertificate = ByteRange.absent

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
