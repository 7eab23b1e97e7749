public import Octets

// Which parameter or header is which fact. One name/value pair at a time, so that an adapter needs no table
// of pairs and the order of pairs never matters.
//
// Why these names in profile `cgi`, from what Apache 2.4.71 and lighttpd 1.4.69 were seen to send:
// * the host is SERVER_NAME: both send it in lower case and without port, while HTTP_HOST carries the
//   client's own port. An empty SERVER_NAME (HTTP/1.0 without Host) is a present but empty fact.
// * the port is SERVER_PORT: lighttpd sends the listener's. Apache sends the port that the CLIENT wrote into
//   `Host`, unless `UseCanonicalName On` and `UseCanonicalPhysicalPort On` are set: a configuration that
//   restricts routes to ports must set both.
// * the scheme is REQUEST_SCHEME, which both always send. `HTTPS` counts where it is missing, and must not
//   contradict it where it is not.

extension RequestFacts {
    /// Takes one FastCGI parameter. What is none of the profile's names is ignored.
    ///
    /// A proxy-set fact that comes twice sets `conflict`; so does a name that only looks like one of ours:
    /// folded to `[A-Z0-9_]` it begins with ours and then stops or goes on with a byte outside that set
    /// (`HTTP_AUTHORIZATION=x`, `SC_METHOD` followed by NUL, `http_dpop`). Another reader of the same
    /// request could take such a name for ours. A client's own header that comes twice is counted, and its
    /// first place is kept.
    /// - Parameters:
    ///   - name: the place of the name in `bytes`
    ///   - value: the place of the value in `bytes`
    public mutating func take(
        parameter name: ByteRange, value: ByteRange, in bytes: Span<UInt8>, profile: FactProfile
    ) {
        let spelled = bytes.bytes(at: name)
        guard let candidate = Candidate(parameter: spelled, profile: profile) else { return }
        switch candidate.likeness(ofParameter: spelled) {
        case .other: return
        case .hiding: conflict = true
        case .exact:
            switch candidate.fact {
            case .scheme where profile == .cgi: takeRequestScheme(value, in: bytes)
            case .https: takeHTTPS(name: name, value: value, in: bytes)
            default: set(candidate.fact, value)
            }
        }
    }

    /// Takes one HTTP header field of a request that came by HTTP. Names match in either case.
    ///
    /// The facts are the `SC-…` fields of profile `scopecheck`. HTTP has no names for the facts of profile `cgi`: a
    /// listener with that profile finds them missing and denies. Any of these names, and of the client's own headers,
    /// in a spelling with `_` for `-` sets `conflict`: nginx leaves out a fact that is empty, so that a client's
    /// `SC_Client_Certificate` would stand there alone; and a backend could read either of its own.
    public mutating func take(
        header name: ByteRange, value: ByteRange, in bytes: Span<UInt8>, profile: FactProfile
    ) {
        let spelled = bytes.bytes(at: name)
        guard let candidate = Candidate(header: spelled) else { return }
        switch candidate.likeness(ofHeader: spelled) {
        case .other: return
        case .exact where !candidate.isProxySet: set(candidate.fact, value)
        case .exact:
            if profile == .scopecheck { set(candidate.fact, value) }
        case .hiding: conflict = true
        }
    }

    private mutating func set(_ name: FactName, _ value: ByteRange) {
        switch name {
        case .method: setOnce(&method, value, &conflict)
        case .target: setOnce(&target, value, &conflict)
        case .normalizedPath: setOnce(&normalizedPath, value, &conflict)
        case .host: setOnce(&host, value, &conflict)
        case .scheme: setOnce(&scheme, value, &conflict)
        case .port: setOnce(&port, value, &conflict)
        case .clientAddress: setOnce(&clientAddress, value, &conflict)
        case .requestID: setOnce(&requestID, value, &conflict)
        case .clientCertificate: setOnce(&clientCertificate, value, &conflict)
        case .https: return  // handled where its name is known
        case .authorization: count(&authorization, &authorizationCount, value)
        case .dpop: count(&dpop, &dpopCount, value)
        case .origin: count(&origin, &originCount, value)
        case .accessControlRequestMethod:
            count(&accessControlRequestMethod, &accessControlRequestMethodCount, value)
        case .cookie: count(&cookie, &cookieCount, value)
        case .webSocketProtocol: count(&webSocketProtocol, &webSocketProtocolCount, value)
        }
    }

    private mutating func takeRequestScheme(_ value: ByteRange, in bytes: Span<UInt8>) {
        if scheme.isPresent {
            // Only the name HTTPS itself can stand there without a repeated REQUEST_SCHEME.
            let isFromHTTPS = equal(bytes.bytes(at: scheme), "HTTPS")
            guard isFromHTTPS, equalIgnoringCase(bytes.bytes(at: value), "https") else {
                conflict = true
                return
            }
        }
        scheme = value
    }

    /// `HTTPS` on says https: there is no value to point at, so the fact points at the parameter's name,
    /// which spells the scheme (schemes match in either case, RFC 3986 §3.1).
    private mutating func takeHTTPS(name: ByteRange, value: ByteRange, in bytes: Span<UInt8>) {
        let text = bytes.bytes(at: value)
        guard !text.isEmpty, !equalIgnoringCase(text, "off") else { return }
        guard scheme.isPresent else {
            scheme = name
            return
        }
        let isSecondHTTPS = scheme == name || equal(bytes.bytes(at: scheme), "HTTPS")
        if isSecondHTTPS || !equalIgnoringCase(bytes.bytes(at: scheme), "https") { conflict = true }
    }
}

private func setOnce(_ fact: inout ByteRange, _ value: ByteRange, _ conflict: inout Bool) {
    if fact.isPresent { conflict = true } else { fact = value }
}

private func count(_ place: inout ByteRange, _ times: inout UInt16, _ value: ByteRange) {
    if !place.isPresent { place = value }
    if times < UInt16.max { times += 1 }
}

/// The facts that any profile has names for.
enum FactName {
    case method, target, normalizedPath, host, scheme, port, clientAddress, requestID, clientCertificate
    case https
    case authorization, dpop, origin, accessControlRequestMethod, cookie, webSocketProtocol
}

/// The one name that a spelling could be, found by a few of its bytes, still to be compared in full.
struct Candidate {
    enum Likeness {
        case exact
        /// Not ours, but a reader that folds or cuts names would take it for ours.
        case hiding
        case other
    }

    let fact: FactName
    let name: StaticString
    let isProxySet: Bool

    private init(_ fact: FactName, _ name: StaticString) {
        self.fact = fact
        self.name = name
        isProxySet = true
    }

    private init(client fact: FactName, _ name: StaticString) {
        self.fact = fact
        self.name = name
        isProxySet = false
    }

    init?(parameter name: Span<UInt8>, profile: FactProfile) {
        guard name.count >= 5 else { return nil }
        let first = folded(name[0])
        let found: Candidate?
        if first == UInt8(ascii: "H") {
            found =
                profile == .cgi && folded(name[4]) == UInt8(ascii: "S")
                ? Candidate(.https, "HTTPS") : Candidate.clientParameter(name)
        } else if profile == .scopecheck {
            found = first == UInt8(ascii: "S") ? Candidate.scopecheckParameter(name) : nil
        } else {
            found = Candidate.cgiParameter(name)
        }
        guard let found else { return nil }
        self = found
    }

    private static func clientParameter(_ name: Span<UInt8>) -> Candidate? {
        guard name.count > 6 else { return nil }
        switch folded(name[5]) {
        case UInt8(ascii: "A"):
            return folded(name[6]) == UInt8(ascii: "U")
                ? Candidate(client: .authorization, "HTTP_AUTHORIZATION")
                : Candidate(client: .accessControlRequestMethod, "HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        case UInt8(ascii: "C"): return Candidate(client: .cookie, "HTTP_COOKIE")
        case UInt8(ascii: "D"): return Candidate(client: .dpop, "HTTP_DPOP")
        case UInt8(ascii: "O"): return Candidate(client: .origin, "HTTP_ORIGIN")
        case UInt8(ascii: "S"): return Candidate(client: .webSocketProtocol, "HTTP_SEC_WEBSOCKET_PROTOCOL")
        default: return nil
        }
    }

    private static func scopecheckParameter(_ name: Span<UInt8>) -> Candidate? {
        switch folded(name[3]) {
        case UInt8(ascii: "C"):
            guard name.count > 11 else { return nil }
            return folded(name[10]) == UInt8(ascii: "A")
                ? Candidate(.clientAddress, "SC_CLIENT_ADDRESS")
                : Candidate(.clientCertificate, "SC_CLIENT_CERTIFICATE")
        case UInt8(ascii: "H"): return Candidate(.host, "SC_HOST")
        case UInt8(ascii: "M"): return Candidate(.method, "SC_METHOD")
        case UInt8(ascii: "P"):
            return folded(name[4]) == UInt8(ascii: "A")
                ? Candidate(.normalizedPath, "SC_PATH") : Candidate(.port, "SC_PORT")
        case UInt8(ascii: "R"): return Candidate(.requestID, "SC_REQUEST_ID")
        case UInt8(ascii: "S"): return Candidate(.scheme, "SC_SCHEME")
        case UInt8(ascii: "T"): return Candidate(.target, "SC_TARGET")
        default: return nil
        }
    }

    private static func cgiParameter(_ name: Span<UInt8>) -> Candidate? {
        guard name.count > 8 else { return nil }
        switch folded(name[0]) {
        case UInt8(ascii: "S"):
            return folded(name[7]) == UInt8(ascii: "N")
                ? Candidate(.host, "SERVER_NAME") : Candidate(.port, "SERVER_PORT")
        case UInt8(ascii: "R"):
            switch folded(name[8]) {
            case UInt8(ascii: "M"): return Candidate(.method, "REQUEST_METHOD")
            case UInt8(ascii: "U"): return Candidate(.target, "REQUEST_URI")
            case UInt8(ascii: "S"): return Candidate(.scheme, "REQUEST_SCHEME")
            default: return Candidate(.clientAddress, "REMOTE_ADDR")
            }
        default: return nil
        }
    }

    init?(header name: Span<UInt8>) {
        guard name.count >= 4 else { return nil }
        switch lowercased(name[0]) {
        case UInt8(ascii: "a"):
            self =
                lowercased(name[1]) == UInt8(ascii: "u")
                ? Candidate(client: .authorization, "authorization")
                : Candidate(client: .accessControlRequestMethod, "access-control-request-method")
        case UInt8(ascii: "c"): self = Candidate(client: .cookie, "cookie")
        case UInt8(ascii: "d"): self = Candidate(client: .dpop, "dpop")
        case UInt8(ascii: "o"): self = Candidate(client: .origin, "origin")
        case UInt8(ascii: "s"):
            if lowercased(name[1]) == UInt8(ascii: "e") {
                self = Candidate(client: .webSocketProtocol, "sec-websocket-protocol")
            } else {
                guard let found = Candidate.scopecheckHeader(name) else { return nil }
                self = found
            }
        default: return nil
        }
    }

    private static func scopecheckHeader(_ name: Span<UInt8>) -> Candidate? {
        switch lowercased(name[3]) {
        case UInt8(ascii: "c"):
            guard name.count > 11 else { return nil }
            return lowercased(name[10]) == UInt8(ascii: "a")
                ? Candidate(.clientAddress, "sc-client-address")
                : Candidate(.clientCertificate, "sc-client-certificate")
        case UInt8(ascii: "h"): return Candidate(.host, "sc-host")
        case UInt8(ascii: "m"): return Candidate(.method, "sc-method")
        case UInt8(ascii: "p"):
            guard name.count > 4 else { return nil }
            return lowercased(name[4]) == UInt8(ascii: "a")
                ? Candidate(.normalizedPath, "sc-path") : Candidate(.port, "sc-port")
        case UInt8(ascii: "r"): return Candidate(.requestID, "sc-request-id")
        case UInt8(ascii: "s"): return Candidate(.scheme, "sc-scheme")
        case UInt8(ascii: "t"): return Candidate(.target, "sc-target")
        default: return nil
        }
    }

    func likeness(ofParameter spelled: Span<UInt8>) -> Likeness {
        let length = name.utf8CodeUnitCount
        guard spelled.count >= length else { return .other }
        // SAFETY: a StaticString with a pointer representation holds utf8CodeUnitCount bytes for ever.
        let expected = unsafe name.utf8Start
        var isExact = spelled.count == length
        var index = 0
        while index < length {
            let byte = spelled[index]
            guard unsafe folded(byte) == expected[index] else { return .other }
            if unsafe byte != expected[index] { isExact = false }
            index += 1
        }
        if isExact { return .exact }
        guard spelled.count > length else { return .hiding }
        let next = spelled[length]
        return next == UInt8(ascii: "_") || folded(next) != UInt8(ascii: "_") ? .other : .hiding
    }

    func likeness(ofHeader spelled: Span<UInt8>) -> Likeness {
        guard spelled.count == name.utf8CodeUnitCount else { return .other }
        // SAFETY: as above.
        let expected = unsafe name.utf8Start
        var isExact = true
        var index = 0
        while index < spelled.count {
            let byte = lowercased(spelled[index])
            if unsafe byte != expected[index] {
                guard unsafe byte == UInt8(ascii: "_") && expected[index] == UInt8(ascii: "-") else {
                    return .other
                }
                isExact = false
            }
            index += 1
        }
        return isExact ? .exact : .hiding
    }
}

/// As gateways map header names to variables: letters to upper case, digits kept, all else to `_`.
@inline(always)
private func folded(_ byte: UInt8) -> UInt8 {
    switch byte {
    case 0x41...0x5A, 0x30...0x39: byte
    case 0x61...0x7A: byte & 0xDF
    default: UInt8(ascii: "_")
    }
}
