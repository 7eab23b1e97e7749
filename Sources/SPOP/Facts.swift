internal import Decision
internal import Octets

// Which argument is which fact. An argument that comes twice, or with a type that it cannot have, is a conflict; NULL
// is an argument that was not given, wherever it stands.
//
// Swift 6.3.1 loses writes to the properties of a struct that a failable initialiser makes in a loop, when it optimises
// (`ConnectionReading` came out without its port). Hence readers that are made first and filled by a function; the
// integration tests, which run the optimised binary, look at every fact of both messages.

/// The arguments of `scopecheck-http`.
struct RequestReading {
    private var facts = RequestFacts()
    private var conflict = false
    private var hostCount: Int64 = -1
    private var authorization = CountedHeader()
    private var dpop = CountedHeader()
    private var origin = CountedHeader()
    private var requestedMethod = CountedHeader()
    private var cookie = CountedHeader()
    private var webSocketProtocol = CountedHeader()
    private var certificate = CertificateReading()
    private var address = AddressReading()

    /// - Returns: false when the arguments are not whole.
    mutating func read(_ bytes: Span<UInt8>, at position: inout Int, count: Int) -> Bool {
        for _ in 0..<count {
            guard let name = bytes.countedRange(at: &position, end: bytes.count),
                let value = TypedData(bytes, at: &position, end: bytes.count)
            else { return false }
            // Nearly half of the arguments are headers that the client did not send.
            if case .null = value { continue }
            take(bytes.bytes(at: name), value)
        }
        return true
    }

    var question: SPOPQuestion {
        var facts = self.facts
        var conflict = self.conflict
        (facts.clientAddress, facts.clientAddressForm) = (address.place, address.form)
        facts.certificate = certificate.given(&conflict)
        // The host is the last of several, so it is only believed when it is the only one.
        if hostCount >= 0, hostCount != 1 { conflict = true }
        (facts.authorization, facts.authorizationCount) = authorization.given(&conflict)
        (facts.dpop, facts.dpopCount) = dpop.given(&conflict)
        (facts.origin, facts.originCount) = origin.given(&conflict)
        (facts.accessControlRequestMethod, facts.accessControlRequestMethodCount) = requestedMethod.given(&conflict)
        (facts.cookie, facts.cookieCount) = cookie.given(&conflict)
        (facts.webSocketProtocol, facts.webSocketProtocolCount) = webSocketProtocol.given(&conflict)
        facts.conflict = conflict
        // Without its count nobody knows whether there was a second Authorization header.
        return conflict || authorization.count >= 0 ? .request(facts) : .refused(.missingFact)
    }

    private mutating func take(_ name: Span<UInt8>, _ value: TypedData) {
        // By length first: most names differ in it.
        switch name.count {
        case 4:
            if name.spells("host") {
                facts.host = text(value, after: facts.host, &conflict)
            } else if name.spells("port") {
                setPort(value)
            } else if name.spells("path") {
                facts.rawPath = text(value, after: facts.rawPath, &conflict)
            } else if name.spells("dpop") {
                dpop.take(value: value, &conflict)
            }
        case 6:
            if name.spells("method") {
                facts.method = text(value, after: facts.method, &conflict)
            } else if name.spells("target") {
                facts.target = text(value, after: facts.target, &conflict)
            } else if name.spells("scheme") {
                facts.scheme = text(value, after: facts.scheme, &conflict)
            } else if name.spells("origin") {
                origin.take(value: value, &conflict)
            } else if name.spells("cookie") {
                cookie.take(value: value, &conflict)
            }
        case 10:
            if name.spells("request_id") {
                facts.requestID = text(value, after: facts.requestID, &conflict)
            } else if name.spells("host_count") {
                hostCount = number(value, after: hostCount, &conflict)
            } else if name.spells("dpop_count") {
                dpop.take(count: value, &conflict)
            }
        case 12:
            if name.spells("origin_count") {
                origin.take(count: value, &conflict)
            } else if name.spells("cookie_count") {
                cookie.take(count: value, &conflict)
            }
        case 13:
            if name.spells("authorization") { authorization.take(value: value, &conflict) }
        case 14:
            if name.spells("client_address") { address.take(value, &conflict) }
        case 18:
            if name.spells("websocket_protocol") {
                webSocketProtocol.take(value: value, &conflict)
            } else {
                certificate.take(name, value, &conflict)
            }
        case 19:
            if name.spells("authorization_count") { authorization.take(count: value, &conflict) }
        case 24:
            if name.spells("websocket_protocol_count") { webSocketProtocol.take(count: value, &conflict) }
        case 29:
            if name.spells("access_control_request_method") { requestedMethod.take(value: value, &conflict) }
        case 35:
            if name.spells("access_control_request_method_count") {
                requestedMethod.take(count: value, &conflict)
            }
        default: certificate.take(name, value, &conflict)
        }
    }

    private mutating func setPort(_ value: TypedData) {
        switch value {
        case .bytes: facts.port = text(value, after: facts.port, &conflict)
        default: facts.portNumber = number(value, after: facts.portNumber, &conflict)
        }
        if facts.port.isPresent, facts.portNumber >= 0 { conflict = true }
    }
}

/// The arguments of `scopecheck-tcp`.
struct ConnectionReading {
    private var facts = ConnectionFacts()
    private var conflict = false
    private var certificate = CertificateReading()
    private var address = AddressReading()

    /// - Returns: false when the arguments are not whole.
    mutating func read(_ bytes: Span<UInt8>, at position: inout Int, count: Int) -> Bool {
        for _ in 0..<count {
            guard let name = bytes.countedRange(at: &position, end: bytes.count),
                let value = TypedData(bytes, at: &position, end: bytes.count)
            else { return false }
            take(bytes.bytes(at: name), value)
        }
        return true
    }

    private mutating func take(_ name: Span<UInt8>, _ value: TypedData) {
        if name.spells("port") {
            facts.port = number(value, after: facts.port, &conflict)
        } else if name.spells("client_address") {
            address.take(value, &conflict)
        } else if name.spells("request_id") {
            facts.requestID = text(value, after: facts.requestID, &conflict)
        } else {
            certificate.take(name, value, &conflict)
        }
    }

    var question: SPOPQuestion {
        var facts = self.facts
        var conflict = self.conflict
        (facts.clientAddress, facts.clientAddressForm) = (address.place, address.form)
        facts.certificate = certificate.given(&conflict)
        facts.conflict = conflict
        return conflict || facts.port >= 0 && certificate.isStated ? .connection(facts) : .refused(.missingFact)
    }
}

/// A header of the client's: its value and how often it was there.
struct CountedHeader {
    private var value = ByteRange.absent
    private(set) var count: Int64 = -1

    mutating func take(value given: TypedData, _ conflict: inout Bool) {
        value = text(given, after: value, &conflict)
    }

    mutating func take(count given: TypedData, _ conflict: inout Bool) {
        count = number(given, after: count, &conflict)
    }

    /// A value without its count may hide a second one; a count without a value hides the first.
    func given(_ conflict: inout Bool) -> (value: ByteRange, count: UInt16) {
        if value.isPresent != (count > 0) { conflict = true }
        return (value, UInt16(clamping: count))
    }
}

struct CertificateReading {
    private var used: Int64 = -1
    private var verifyResult: Int64 = -1
    private var der = ByteRange.absent

    /// Whether the proxy said if there was a certificate, and how it verified.
    var isStated: Bool { used >= 0 && verifyResult >= 0 }

    mutating func take(_ name: Span<UInt8>, _ value: TypedData, _ conflict: inout Bool) {
        if name.spells("certificate") {
            der = text(value, after: der, &conflict)
        } else if name.spells("certificate_used") {
            // `ssl_c_used` is a truth value to HAProxy, a number to whoever counts.
            if case .bool(let isTrue) = value {
                used = number(.integer(isTrue ? 1 : 0), after: used, &conflict)
            } else {
                used = number(value, after: used, &conflict)
            }
        } else if name.spells("certificate_verify") {
            verifyResult = number(value, after: verifyResult, &conflict)
        }
    }

    func given(_ conflict: inout Bool) -> CertificateFacts {
        if used > 1 { conflict = true }
        var facts = CertificateFacts()
        facts.isUsed = used == 1
        facts.verifyResult = verifyResult
        facts.der = der
        return facts
    }
}

struct AddressReading {
    private(set) var place = ByteRange.absent
    private(set) var form = AddressForm.text

    mutating func take(_ value: TypedData, _ conflict: inout Bool) {
        switch value {
        case .null: break
        case .bytes(let range): set(range, .text, &conflict)
        case .ipv4(let range): set(range, .ipv4, &conflict)
        case .ipv6(let range): set(range, .ipv6, &conflict)
        case .bool, .integer: conflict = true
        }
    }

    private mutating func set(_ range: ByteRange, _ form: AddressForm, _ conflict: inout Bool) {
        if place.isPresent { conflict = true }
        place = range
        self.form = form
    }
}

/// What a text fact is after one more argument of its name.
private func text(_ value: TypedData, after present: ByteRange, _ conflict: inout Bool) -> ByteRange {
    switch value {
    case .null: return present
    case .bytes(let range) where !present.isPresent: return range
    case .bytes, .bool, .integer, .ipv4, .ipv6:
        conflict = true
        return present
    }
}

/// The same for a number that is not negative; -1 while it was not given.
private func number(_ value: TypedData, after present: Int64, _ conflict: inout Bool) -> Int64 {
    switch value {
    case .null: return present
    case .integer(let number) where number >= 0 && present < 0: return number
    case .integer, .bool, .bytes, .ipv4, .ipv6:
        conflict = true
        return present
    }
}
