@testable import Decision
import PolicyTables
import Signatures
import Testing
import Tokens

/// Random policies and requests: an allow is only ever given on a ground that the oracle sees, and every such
/// ground is given.
@Suite struct OracleTests {
    private static let words = ["a", "b", "c", "x y", "caf\u{E9}"]
    private static let methods = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]
    private static let ports: [UInt16] = [443, 8443]
    private static let hosts = ["one.example.com", "two.example.com", "three.example.com"]

    private static func policy(_ random: inout SeededGenerator) -> PolicyModel {
        var model = PolicyModel()
        model.issuers = sampleIssuers()
        model.scopes = sampleScopes()
        for (number, host) in hosts.dropLast().enumerated() {
            var routes: [RouteModel] = []
            var taken: Set<String> = []
            while routes.count < 24 {
                let route = route(&random)
                let shape = route.segments.map { segment in
                    if case .literal(let text) = segment { return text }
                    return segment == .rest ? "**" : "{}"
                }
                if taken.insert("\(route.method) \(shape)").inserted { routes.append(route) }
            }
            var service = ServiceModel(
                name: "s\(number)", hosts: [host], issuers: random.chance(50) ? [0, 2] : [0, 1, 2],
                routes: routes)
            if random.chance(40) { service.audience = "https://orders.example.com" }
            if number == 1 { service.ports = [443] }
            model.services.append(service)
        }
        return model
    }

    private static func route(_ random: inout SeededGenerator) -> RouteModel {
        let method = random.pick(methods)
        var parts: [RouteModel.Segment] = []
        var bindings: [RouteModel.Binding] = []
        for number in 0..<Int.random(in: 1...3, using: &random) {
            if random.chance(35) {
                parts.append(.parameter("p\(number)"))
                if random.chance(30) { bindings.append(RouteModel.Binding(segment: number, claim: "sub")) }
            } else {
                parts.append(.literal(random.pick(words)))
            }
        }
        if random.chance(15) { parts.append(.rest) }
        var ground = RouteModel.Ground.public
        if method == "OPTIONS", random.chance(70) {
            ground = .preflight
        } else if random.chance(85) {
            let all = (0..<6).filter { _ in random.chance(20) }.map { UInt16($0) }
            let any = (0..<6).filter { _ in random.chance(20) }.map { UInt16($0) }
            ground = .scopes(all: all.isEmpty && any.isEmpty ? [0] : all, any: any)
        }
        var isScoped = false
        if case .scopes = ground { isScoped = true }
        return RouteModel(
            method: method, segments: parts, ground: ground,
            ports: random.chance(20) ? [random.pick(ports)] : [],
            bindings: isScoped ? bindings : [],
            observeUntil: isScoped && random.chance(15) ? World.now + 400 : nil, label: "\(method) /x")
    }

    private static func tokens(_ world: World, _ random: inout SeededGenerator) throws -> [PlainToken] {
        try (0..<120).map { _ in
            let issuer = random.pick([0, 0, 0, 1, 2])
            var plan = TokenPlan()
            plan.issuer = sampleIssuers()[issuer].issuer
            plan.clientClaim = issuer == 1 ? "azp" : "client_id"
            plan.subject = random.pick(words)
            let names = sampleScopes().map(\.name) + ["unknown", "*"]
            let scopes = names.filter { _ in random.chance(40) }
            plan.scope = scopes.isEmpty ? nil : scopes.joined(separator: " ")
            let known = ["https://api.example.com", "https://orders.example.com"]
            var audience = random.chance(80) ? known : [random.pick(known)]
            if random.chance(5) { audience = ["https://other.example.com"] }
            plan.audience = audience
            plan.expiresAt = World.now + random.pick([-500, 200, 1_000, 5_000])
            plan.notBefore = random.chance(20) ? World.now + random.pick([-200, 300]) : nil
            let isSigned = !random.chance(10)
            let text = try world.token(plan, issuer: issuer, key: isSigned ? nil : otherKey(world, issuer))
            return PlainToken(
                issuer: issuer, subject: plan.subject ?? "", scopes: Set(scopes), audiences: Set(audience),
                notBefore: plan.notBefore ?? 0, issuedAt: plan.issuedAt ?? 0, expiresAt: plan.expiresAt ?? 0,
                isSigned: isSigned, text: text)
        }
    }

    /// A key of the right kind that is not the issuer's.
    private static func otherKey(_ world: World, _ issuer: Int) -> PrivateKey {
        issuer == 1 ? world.otherEdwards : world.stranger
    }

    private static func request(
        _ model: PolicyModel, _ tokens: [PlainToken], _ random: inout SeededGenerator
    ) -> PlainRequest {
        var segments = (0..<Int.random(in: 1...4, using: &random)).map { _ in random.pick(words) }
        var method = random.pick(methods)
        if random.chance(70) {
            // A path that some route has.
            let route = random.pick(random.pick(model.services).routes)
            segments = route.segments.map { segment in
                if case .literal(let text) = segment { return text }
                return random.pick(words)
            }
            if random.chance(80) { method = route.method }
        }
        if random.chance(10) { segments[segments.count - 1] = "" }
        return PlainRequest(
            method: method, segments: segments,
            host: random.chance(95) ? random.pick(Array(hosts.dropLast())) : hosts[2],
            port: random.pick(ports),
            asks: random.chance(method == "OPTIONS" ? 70 : 5) ? random.pick(methods) : nil,
            token: random.chance(85) ? random.pick(tokens) : nil,
            now: World.now + random.pick([-1_000, -100, 0, 0, 0, 300, 4_000]))
    }

    private static func spelled(_ plain: PlainRequest, _ random: inout SeededGenerator) -> Request {
        var target = ""
        for segment in plain.segments {
            target += "/"
            for byte in segment.utf8 {
                let isRaw = byte > 0x20 && byte < 0x7F && !random.chance(10)
                target += isRaw ? String(Character(Unicode.Scalar(byte))) : "%" + String(byte, radix: 16)
            }
        }
        var request = Request(plain.method, target + random.pick(["", "?q=/../"]), host: plain.host)
        request.port = bytes("\(plain.port)")
        if let asks = plain.asks {
            request.origin = [bytes("https://web.example.com")]
            request.requestedMethod = [bytes(asks)]
        }
        return plain.token.map { request.bearing($0.text) } ?? request
    }

    private func escaped(_ value: String) -> String {
        var answer = Answer()
        answer.writeEncoded(.subject, bytes(value).span)
        return text(answer.copy(of: .subject))
    }

    /// Turns any request into one that must be denied.
    private static func spoil(_ request: inout Request, _ random: inout SeededGenerator) {
        switch Int.random(in: 0..<7, using: &random) {
        case 0: request.target = bytes("/") + (request.target ?? [])
        case 1: request.target = (request.target ?? []).filter { $0 != 0x3F } + bytes("%2f")
        case 2: request.host = nil
        case 3: request.conflict = true
        case 4: request.normalizedPath = bytes("/elsewhere")
        case 5: request.scheme = bytes("ws")
        default: request.target = bytes("/..") + (request.target ?? [])
        }
    }

    @Test("25,000 decisions over five policies are what the oracle says", arguments: 1...5)
    func agrees(_ seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let model = Self.policy(&random)
        let world = try World(model)
        let oracle = Oracle(model: model)
        let tokens = try Self.tokens(world, &random)
        // A cache that is too small for all, so that tokens come and go.
        let decider = try world.decider(entries: seed % 2 == 0 ? 8 : 256)
        var grounds: [String: Int] = [:]
        for round in 0..<5_000 {
            if round % 1_000 == 999 { world.publish() }
            let plain = Self.request(model, tokens, &random)
            var request = Self.spelled(plain, &random)
            var expected = oracle.ground(plain)
            if random.chance(8) {
                Self.spoil(&request, &random)
                expected = nil
            }
            let verdict = decider.verdict(request, now: plain.now)
            let found = verdict.isAllow ? "\(verdict.reason.name)" : nil
            guard verdict.outcome == .answered, found == expected else {
                Issue.record(
                    "\(found ?? "\(verdict.reason)"), not \(expected ?? "a denial"): \(plain) \(request)")
                return
            }
            grounds[expected ?? "denied", default: 0] += 1
            if expected == "granted" {
                #expect(verdict[.subject] == plain.token.map { escaped($0.subject) })
            } else {
                #expect(verdict.identity == ["", "", "", ""])
            }
        }
        for ground in ["granted", "public", "preflight", "observed", "denied"] {
            #expect(grounds[ground, default: 0] > 5, "\(grounds)")
        }
    }
}
