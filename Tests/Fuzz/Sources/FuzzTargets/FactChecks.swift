internal import Decision
internal import Octets

/// Every place that the facts name, in one order.
func places(of facts: RequestFacts) -> [ByteRange] {
    [
        facts.method, facts.target, facts.normalizedPath, facts.host, facts.scheme, facts.port,
        facts.clientAddress, facts.requestID, facts.clientCertificate, facts.authorization, facts.dpop,
        facts.origin, facts.accessControlRequestMethod, facts.cookie, facts.webSocketProtocol, facts.rawPath,
        facts.certificate.der,
    ]
}

/// Checks that all places lie within the request, and writes down what the facts say, apart from where.
func note(_ facts: RequestFacts, _ bytes: Span<UInt8>, within request: ByteRange, in notes: inout [UInt8]) {
    for place in places(of: facts) { note(place, bytes, within: request, in: &notes) }
    notes.append(littleEndian64: UInt64(bitPattern: facts.portNumber))
    note(facts.certificate, facts.clientAddressForm, facts.clientAddress, in: &notes)
    for count in [
        facts.authorizationCount, facts.dpopCount, facts.originCount, facts.accessControlRequestMethodCount,
        facts.cookieCount, facts.webSocketProtocolCount,
    ] { notes.append(bigEndian16: count) }
    check(
        facts.authorizationCount > 0 || !facts.authorization.isPresent || facts.conflict,
        "a fact that was never counted")
    notes.append(facts.conflict ? 1 : 0)
}

/// The same for a connection without HTTP.
func note(_ facts: ConnectionFacts, _ bytes: Span<UInt8>, within request: ByteRange, in notes: inout [UInt8]) {
    for place in [facts.clientAddress, facts.requestID, facts.certificate.der] {
        note(place, bytes, within: request, in: &notes)
    }
    notes.append(littleEndian64: UInt64(bitPattern: facts.port))
    note(facts.certificate, facts.clientAddressForm, facts.clientAddress, in: &notes)
    notes.append(facts.conflict ? 1 : 0)
}

private func note(_ place: ByteRange, _ bytes: Span<UInt8>, within request: ByteRange, in notes: inout [UInt8]) {
    guard place.isPresent else {
        notes.append(0)
        return
    }
    check(
        place.start >= request.start
            && UInt64(place.start) + UInt64(place.count) <= UInt64(request.start) + UInt64(request.count),
        "a fact lies outside its request")
    notes.append(1)
    notes.append(copying: bytes.bytes(at: place))
}

private func note(
    _ certificate: CertificateFacts, _ form: AddressForm, _ address: ByteRange, in notes: inout [UInt8]
) {
    switch form {
    case .text: break
    case .ipv4: check(address.count == 4, "an address of another length")
    case .ipv6: check(address.count == 16, "an address of another length")
    }
    notes.append(form.rawValue)
    notes.append(certificate.isUsed ? 1 : 0)
    notes.append(littleEndian64: UInt64(bitPattern: certificate.verifyResult))
}
