import Kernel
import Octets
import PolicyTables
import Signatures
import Synchronization
import Testing

@testable import Decision
@testable import Server
@testable import Tokens

/// A desk that asks a little server on loopback, with everything that it needs.
final class Inquiry: Sendable {
    let server: IssuerServer
    let records = IntrospectionRecords(entriesMax: 4_096)
    let clock = AnchoredClock()
    let hand = HandClock()
    let kept = KeptLog()
    let desk: IntrospectionDesk
    let key: PrivateJWK
    private let generation = Atomic<UInt64>(0)
    private let rules = Mutex(IntrospectionRules())
    private let tokens = Atomic<Int>(0)

    static let secret = "s3c:r t+%é"

    init(_ server: IssuerServer, trusts: Bool = true) throws {
        self.server = server
        key = try PrivateJWK(key: PrivateKey.generate(.es256), algorithm: .es256, keyID: "k")
        desk = IntrospectionDesk(
            records: records, clock: clock, log: kept.log,
            defaultAuthorityFile: trusts ? server.authorityFile : nil, nanoseconds: { [hand] in hand.nanoseconds })
        try server.folder.write("secret", Inquiry.secret + "\n")
    }

    deinit { desk.stop() }

    func model(_ path: String = "/answer", isPlain: Bool = false) -> IssuerModel {
        let origin = isPlain ? server.plain : server.secure
        var model = IssuerModel(
            issuer: origin, audiences: ["x"], keySource: .none, algorithms: [.es256], profile: .compat)
        var introspection = IntrospectionModel(
            endpoint: origin + path, clientID: "orders gateway", authentication: .basic)
        introspection.secretFile = "secret"
        introspection.timeoutMilliseconds = 30_000
        model.introspection = introspection
        return model
    }

    func use(_ model: IssuerModel) {
        var settings = IssuerSettings(
            issuer: Array(model.issuer.utf8), audiences: [Array("x".utf8)], algorithms: [.es256], profile: .compat)
        if let introspection = model.introspection {
            settings.introspection = introspection.use == .all ? .all : .opaque
            settings.introspectionRules.clientID = Array(introspection.clientID.utf8)
            settings.introspectionRules.demandsJWT = introspection.demandsJWT
            settings.introspectionRules.cacheSecondsMax = Int64(introspection.cacheSecondsMax)
            settings.introspectionRules.negativeSecondsMax = Int64(introspection.negativeSecondsMax)
        }
        let keys = try? KeySet.parse(jwks: JWKText.set([key.publicText()]).span, algorithms: [.es256, .ed25519])
        let snapshot = IssuerSnapshot(
            issuers: [IssuerKeys(settings: settings, keys: keys)],
            generation: generation.add(1, ordering: .acquiringAndReleasing).newValue)
        desk.use(models: [model], snapshot: snapshot, folder: server.folder.path)
    }

    /// About a token that was not asked about before, unless one is given.
    func question(_ token: String? = nil, issuerIndex: Int = 0, generation: UInt64? = nil) -> IntrospectionQuestion {
        let number = tokens.add(1, ordering: .acquiringAndReleasing).newValue
        let bytes = Array((token ?? "opaque/\(number)+~=").utf8)
        return IntrospectionQuestion(
            issuerIndex: issuerIndex, generation: generation ?? self.generation.load(ordering: .acquiring),
            digest: sha256(bytes.span), token: bytes, timeoutMilliseconds: 30_000)
    }

    func finding(_ question: IntrospectionQuestion, later: Int64 = 0) -> IntrospectionFinding? {
        records.finding(
            for: question.digest, issuerIndex: question.issuerIndex, generation: question.generation,
            now: clock.nowSeconds() + later)
    }

    /// Asks and waits for the end.
    /// - Returns: what was found, in words; `refused` when the desk did not ask.
    func ask(_ token: String? = nil) async -> String { await ask(question(token)) }

    func ask(_ question: IntrospectionQuestion) async -> String {
        // As a worker does: what was found is looked up once the end is told, and not much later.
        let found = Found()
        guard desk.want(question, { [self] in found.put(words(finding(question))) }) else { return "not asked" }
        guard await eventually({ found.word != nil }) else { return "never ended" }
        return found.word ?? ""
    }

    func words(_ finding: IntrospectionFinding?) -> String {
        switch finding {
        case .active: "active"
        case .inactive: "inactive"
        case .refused(let refusal): "\(refusal.name)"
        case .unavailable: "unavailable"
        case nil: "nothing"
        }
    }

    var status: IntrospectionStatus? { desk.status.first }

    /// A JWS of the issuer.
    func token(_ model: IssuerModel, lifetimeSeconds: Int64 = 600) throws -> String {
        var claims = JSONObjectWriter()
        claims.add("iss", string: model.issuer)
        claims.add("aud", string: "x")
        claims.add("exp", number: clock.nowSeconds() + lifetimeSeconds)
        claims.add("scope", string: "a b")
        return String(
            decoding: try TokenMint.token(
                claims: claims.text().span, key: key.key, algorithm: .es256, keyID: "k"), as: UTF8.self)
    }
}

private final class Found: Sendable {
    private let found = Mutex<String?>(nil)
    var word: String? { found.withLock { $0 } }
    func put(_ word: String) { found.withLock { $0 = word } }
}

let activeReply = #"{"active":true,"aud":"x","scope":"a"}"#
