@testable internal import Decision
internal import FastCGI
internal import Octets
internal import Policy
internal import PolicyTables
internal import Tokens

/// What a client writes about its request: target, host, credential, and all facts together. The first byte
/// chooses what the rest is.
///
/// * A target: its canonical form has one reading, and is its own canonical form.
/// * A host, a credential.
/// * Facts as `NAME=value` lines, decided twice on a fixed policy: an allow needs the token that the fixed
///   key signed or a route that asks for none, and the answer is printable.
@Sendable func fuzzRequest(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    let choice = input.byte()
    switch choice & 7 {
    case 0, 1: fuzzTarget(input.rest())
    case 2: fuzzHost(input.rest())
    case 3: fuzzCredential(&input, TokenSourceKind(rawValue: choice >> 3 & 3) ?? .header)
    case 4: fuzzDecision(input.rest(), .parameters(.cgi))
    case 5: fuzzDecision(input.rest(), .headers(choice & 8 == 0 ? .scopecheck : .cgi))
    default: fuzzDecision(input.rest(), .parameters(.scopecheck))
    }
}

// MARK: Targets and hosts

private func fuzzTarget(_ text: [UInt8]) {
    var target = CanonicalTarget()
    guard target.read(text.span) else { return }
    let path = [UInt8](copying: target.path.bytes)
    let decoded = [UInt8](copying: target.decoded.bytes)
    check(path.first == 0x2F && decoded.first == 0x2F, "a path without a slash in front")
    checkPath(path)
    check(isUTF8(decoded.span), "a path that is not UTF-8")
    check(decoded.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "a control in a path")
    check(path.count { $0 == 0x2F } == decoded.count { $0 == 0x2F }, "a slash that was encoded")
    check(percentDecoded(path) == decoded, "two readings of one path")
    check(!decoded.contains(0x5C) && !decoded.contains(0x25), "a byte that would be decoded once more")
    if target.authority.isPresent {
        check(text.span.bytes(at: target.authority).count > 0, "an authority outside its target")
    }
    let segments = decoded.count { $0 == 0x2F }
    check(segments <= CanonicalTarget.segmentsMax, "more segments than allowed")
    var joined: [UInt8] = []
    for number in 0..<segments {
        joined.append(0x2F)
        joined.append(copying: target.decoded.bytes.bytes(at: target.decodedSegment(number)))
    }
    check(joined == decoded, "a path is not its segments")
    check(target.decodedSegment(segments).isEmpty, "a segment behind the last one")
    // Escapes may make the canonical form longer than a target may be.
    guard path.count <= CanonicalTarget.targetBytesMax else { return }
    var again = CanonicalTarget()
    check(again.read(path.span), "a canonical path is refused")
    check(equal(again.path.bytes, path.span), "a canonical path changes when it is read")
    check(equal(again.decoded.bytes, decoded.span), "a canonical path is decoded in two ways")
}

private func checkPath(_ path: [UInt8]) {
    check(path.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "a byte that no URI has")
    check(!path.contains(0x3F) && !path.contains(0x23) && !path.contains(0x5C), "a delimiter in a path")
    let segments = path.dropFirst().split(separator: 0x2F, omittingEmptySubsequences: false)
    for (number, segment) in segments.enumerated() {
        check(!segment.isEmpty || number == segments.count - 1, "an empty segment")
        check(segment != [0x2E] && segment != [0x2E, 0x2E], "a dot segment")
        check(!segment.contains(0x3B), "path parameters")
    }
}

/// Nil for a bad escape, one of lower case, or one of an unreserved byte.
private func percentDecoded(_ path: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    var index = 0
    while index < path.count {
        guard path[index] == 0x25 else {
            result.append(path[index])
            index += 1
            continue
        }
        guard index + 2 < path.count, let high = hexadecimalValue(path[index + 1]),
            let low = hexadecimalValue(path[index + 2])
        else { return nil }
        for digit in path[index + 1...index + 2] where digit >= 0x61 { return nil }
        result.append(high << 4 | low)
        index += 3
    }
    return result
}

private func fuzzHost(_ text: [UInt8]) {
    var host = CanonicalHost()
    guard host.read(text.span) else { return }
    let name = [UInt8](copying: host.name.bytes)
    check(!name.isEmpty && name.count <= CanonicalHost.hostBytesMax, "a host of another length")
    check(name.allSatisfy { $0 > 0x20 && $0 < 0x7F && lowercased($0) == $0 }, "a host in another spelling")
    check(!name.contains(0x2C) && !name.contains(0x40) && !name.contains(0x2F), "two hosts in one")
    check(name.first == 0x5B || !name.contains(0x3A), "a port in a host")
    var again = CanonicalHost()
    check(again.read(name.span), "a canonical host is refused")
    // A name that ends in two dots loses one at a time; no policy has either.
    check(equal(again.name.bytes, name.span) || name.last == 0x2E, "a canonical host changes when it is read")
}

private func fuzzCredential(_ input: inout Input, _ source: TokenSourceKind) {
    let name = input.take(upTo: 0x0A)
    var facts = RequestFacts()
    var bytes: [UInt8] = []
    for line in [input.take(upTo: 0x0A), input.take(upTo: 0x0A), input.take(upTo: 0x0A)].enumerated()
    where !line.element.isEmpty {
        let place = ByteRange(start: bytes.count, count: line.element.count)
        bytes += line.element
        switch line.offset {
        case 0: (facts.authorization, facts.authorizationCount) = (place, 1)
        case 1: (facts.cookie, facts.cookieCount) = (place, 1)
        default: (facts.webSocketProtocol, facts.webSocketProtocolCount) = (place, 1)
        }
    }
    switch findCredential(facts, bytes.span, source: source, name: name.span) {
    case .refused(let reason, _): check(reason.status == 401, "a bad credential is not answered by 401")
    case .token(let range, let scheme):
        check(scheme != .none, "a token sent by no scheme")
        let token = [UInt8](copying: bytes.span.bytes(at: range))
        check(!token.isEmpty && token.count == Int(range.count), "a token outside the request")
        check(token.allSatisfy { isTokenCharacter($0) || $0 == 0x2F || $0 == 0x3D }, "a token of other bytes")
        let within = [facts.authorization, facts.cookie, facts.webSocketProtocol].contains {
            $0.isPresent && range.start >= $0.start && range.start + range.count <= $0.start + $0.count
        }
        check(within, "a token across two headers")
        check(source != .header || range.start > facts.authorization.start, "a token from elsewhere")
    }
}

// MARK: Decisions

private enum Adapter {
    case parameters(FactProfile)
    case headers(FactProfile)
}

private func fuzzDecision(_ text: [UInt8], _ adapter: Adapter) {
    var facts = RequestFacts()
    let bytes = text.span
    var start = 0
    while start < text.count {
        let end = bytes.firstIndex(of: 0x0A, from: start) ?? text.count
        let equals = min(bytes.firstIndex(of: 0x3D, from: start) ?? end, end)
        let name = ByteRange(start: start, count: equals - start)
        let value = ByteRange(start: min(equals + 1, end), count: max(0, end - equals - 1))
        switch adapter {
        case .parameters(let profile): facts.take(parameter: name, value: value, in: bytes, profile: profile)
        case .headers(let profile): facts.take(header: name, value: value, in: bytes, profile: profile)
        }
        start = end + 1
    }
    var notes: [UInt8] = []
    note(facts, bytes, within: ByteRange(start: 0, count: text.count), in: &notes)
    // SAFETY: a fuzz process has one thread.
    guard let world = unsafe DecisionWorld.shared else {
        check(false, "the fixed policy cannot be used")
        return
    }
    let first = decide(world, facts, text)
    // The second time the token is in the cache.
    check(decide(world, facts, text) == first, "one request is decided in two ways")
}

private func decide(_ world: DecisionWorld, _ facts: RequestFacts, _ text: [UInt8]) -> Reason {
    let decider = world.decider
    let outcome = decider.decide(
        facts, text.span, now: FixedKeys.now, limits: DecisionLimits(mayVerify: true, mayWaitForKey: false))
    check(outcome == .answered, "a request without an answer")
    decider.withAnswer { answer in
        check(answer.isAllow == (answer.reason.status == 200), "a status that the reason does not have")
        for role in [FastCGIRole.responder, .authorizer] {
            var head = ByteWriter(capacity: 8_192)
            check(AnswerHead.append(answer, role: role, into: &head), "an answer that is not printable")
            check(head.count <= AnswerHead.bytesMax && !head.overflowed, "an answer that is too long")
        }
    }
    let reason = decider.reason
    guard reason.status == 200 else { return reason }
    switch reason {
    case .granted:
        check(decider.verifiedToken != nil, "a grant without a token")
        check(contains(text, world.token), "a grant without the token that was signed")
        check(!facts.conflict, "a grant on doubtful facts")
    case .public: check(decider.details.ground == .public, "a route that is not public")
    case .preflight:
        check(equal(text.span.bytes(at: facts.method), "OPTIONS"), "a preflight by another method")
    default: check(false, "an allow for no reason")
    }
    return reason
}

private func contains(_ text: [UInt8], _ part: [UInt8]) -> Bool {
    guard text.count >= part.count, let first = part.first else { return false }
    var start = 0
    while let found = text.span.firstIndex(of: first, from: start), found + part.count <= text.count {
        if text[found..<found + part.count].elementsEqual(part) { return true }
        start = found + 1
    }
    return false
}

/// One policy in a store of its own, and the one token that is good for it.
private final class DecisionWorld {
    let decider: Decider
    let token: [UInt8]
    private let trial: PolicyTrial

    // SAFETY: a fuzz process has one thread.
    nonisolated(unsafe) static let shared = try? DecisionWorld()

    private init() throws {
        let source = Array(DecisionWorld.policy.utf8)
        guard let model = loadPolicy(source: source, file: "policy.yaml", now: FixedKeys.now).model,
            let key = FixedKeys.signing
        else { throw TokenRefusal.malformed }
        trial = try PolicyTrial(model: model, source: source, now: FixedKeys.now)
        try trial.setKeys([FixedKeys.set])
        decider = try trial.makeDecider()
        token = try TokenMint.token(
            header: Array(DecisionWorld.header.utf8).span, claims: Array(DecisionWorld.claims.utf8).span,
            key: key.key, algorithm: key.algorithm)
    }

    private static let header = "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"o1\"}"

    private static let claims = """
        {"iss":"https://id.example.com","sub":"ann","client_id":"web","aud":"https://api.example.com",\
        "iat":1699999990,"exp":1700000300,"jti":"1","scope":"orders:read","tenant":"t1"}
        """

    private static let policy = """
        scopecheck: 1
        issuers:
          - issuer: https://id.example.com
            audience: [https://api.example.com]
            keys: { jwks_uri: https://id.example.com/jwks }
            algorithms: [EdDSA, ES256, RS256]
        scopes:
          orders:read: { description: Read orders }
          orders:write: { implies: [orders:read] }
        services:
          orders:
            issuers: [https://id.example.com]
            audience: https://api.example.com
            hosts: [api.example.com, "*.apps.example.com", "[::1]"]
            routes:
              - { match: "GET /orders/{order}", scopes: orders:read }
              - { match: "PUT /orders/{order}", scopes: orders:write }
              - { match: "GET /tenants/{tenant}/**", scopes: orders:read, where: { tenant: tenant } }
              - { match: "GET /metrics", scopes: orders:read, ports: [9443] }
              - { match: "OPTIONS /**", preflight: true }
              - { match: "GET /healthz", public: true }
          cookies:
            issuers: [https://id.example.com]
            hosts: [cookies.example.com]
            token_from: { cookie: session }
            routes:
              - { match: "GET /**", scopes: orders:read }
          sockets:
            issuers: [https://id.example.com]
            hosts: [sockets.example.com]
            token_from: { websocket_protocol: bearer }
            routes:
              - { match: "GET /**", scopes: orders:read }
        """
}
