internal import Decision
internal import Octets

/// Every place that the facts name, in one order.
func places(of facts: RequestFacts) -> [ByteRange] {
    [
        facts.method, facts.target, facts.normalizedPath, facts.host, facts.scheme, facts.port,
        facts.clientAddress, facts.requestID, facts.clientCertificate, facts.authorization, facts.dpop,
        facts.origin, facts.accessControlRequestMethod, facts.cookie, facts.webSocketProtocol,
    ]
}

/// Checks that all places lie within the request, and writes down what the facts say, apart from where.
func note(_ facts: RequestFacts, _ bytes: Span<UInt8>, within request: ByteRange, in notes: inout [UInt8]) {
    for place in places(of: facts) {
        guard place.isPresent else {
            notes.append(0)
            continue
        }
        check(
            place.start >= request.start
                && UInt64(place.start) + UInt64(place.count) <= UInt64(request.start) + UInt64(request.count),
            "a fact lies outside its request")
        notes.append(1)
        notes.append(copying: bytes.bytes(at: place))
    }
    for count in [
        facts.authorizationCount, facts.dpopCount, facts.originCount, facts.accessControlRequestMethodCount,
        facts.cookieCount, facts.webSocketProtocolCount,
    ] { notes.append(bigEndian16: count) }
    check(facts.authorizationCount > 0 || !facts.authorization.isPresent, "a fact that was never counted")
    notes.append(facts.conflict ? 1 : 0)
}
