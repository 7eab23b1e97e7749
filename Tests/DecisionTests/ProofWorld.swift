@testable import Decision
import Octets
import PolicyTables
import Signatures
import Tokens

/// Routes with every demand on tokens, one service with a public port, and an issuer (2) that demands nonces.
func proofModel() -> PolicyModel {
    var model = sampleModel()
    model.issuers[2].proofs.demandsNonce = true
    model.issuers[2].proofs.algorithms = [.ed25519, .es256]
    func demanding(_ match: String, _ change: (inout RouteModel) -> Void) -> RouteModel {
        var made = route(match, all: [Scope.read])
        change(&made)
        return made
    }
    let routes = [
        demanding("GET /free") { _ in },
        demanding("POST /free") { _ in },
        demanding("GET /free/{name}") { _ in },
        demanding("GET /any") { $0.proof = .any },
        demanding("GET /dpop") { $0.proof = .dpop },
        demanding("GET /mtls") { $0.proof = .certificate },
        demanding("GET /nonce") {
            $0.proof = .dpop
            $0.demandsNonce = true
        },
        demanding("GET /users/{user}") { $0.bindings = [.init(segment: 1, claim: "sub")] },
        demanding("GET /watched") {
            $0.ground = .scopes(all: [Scope.support], any: [])
            $0.observeUntil = observeEnd
        },
        demanding("GET /watched-dpop") {
            $0.proof = .dpop
            $0.observeUntil = observeEnd
        },
        demanding("GET /acr") { $0.authenticationContexts = ["gold", "urn:acr:platinum"] },
        demanding("GET /age") { $0.authenticationAgeSecondsMax = 300 },
        demanding("GET /both") {
            $0.authenticationContexts = ["gold"]
            $0.authenticationAgeSecondsMax = 300
            $0.proof = .any
        },
        demanding("GET /long") {
            $0.authenticationContexts = (0..<16).map { String(repeating: "a", count: 126) + String(10 + $0) }
            $0.authenticationAgeSecondsMax = 1
        },
    ]
    var service = ServiceModel(name: "pay", hosts: ["pay.example.com"], issuers: [0, 2], routes: routes)
    model.services.append(service)
    service.name = "outside"
    service.hosts = ["outside.example.com"]
    service.publicPort = 8_443
    model.services.append(service)
    return model
}

/// Who holds a key and sends proofs made with it.
struct ProofClient {
    let key: PrivateKey
    let algorithm: SignatureAlgorithm
    let thumbprint: String

    init(_ algorithm: SignatureAlgorithm = .es256) throws {
        key = try PrivateKey.generate(algorithm)
        self.algorithm = algorithm
        thumbprint = JWKText.thumbprint(try key.components())
    }

    /// A token bound to this client's key.
    func token(_ world: World, _ plan: TokenPlan = TokenPlan(), issuer: Int = 0) throws -> [UInt8] {
        try world.token(plan.with { $0.more.append(("cnf", "{\"jkt\":\"\(thumbprint)\"}")) }, issuer: issuer)
    }

    struct Plan {
        var method: String?
        var uri: String?
        var issuedAt = World.now
        var nonce: String?
        var proofID: String?
        var token: [UInt8]?
        var key: PrivateKey?
    }

    /// The request with the token as DPoP and a proof for both, good unless the plan says otherwise.
    func sign(_ request: Request, _ token: [UInt8], _ change: (inout Plan) -> Void = { _ in }) throws -> Request {
        var plan = Plan()
        change(&plan)
        let target = text(request.target ?? []).prefix { $0 != "?" }
        let proven = plan.token ?? token
        let proof = try ProofMint.proof(
            method: plan.method ?? text(request.method ?? []),
            uri: plan.uri ?? "https://\(text(request.host ?? []))\(target)", issuedAt: plan.issuedAt,
            tokenDigest: sha256(proven.span), nonce: plan.nonce, proofID: plan.proofID, key: plan.key ?? key,
            algorithm: algorithm)
        return request.with {
            $0.authorization.append(bytes("DPoP ") + token)
            $0.dpop.append(proof)
        }
    }
}

func pay(_ target: String, _ method: String = "GET") -> Request { Request(method, target, host: "pay.example.com") }

/// As nginx escapes `$ssl_client_escaped_cert`: everything but unreserved characters.
func escaped(_ plain: [UInt8]) -> [UInt8] {
    let digits = bytes("0123456789ABCDEF")
    var result: [UInt8] = []
    for byte in plain {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: result.append(byte)
        default: result += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return result
}

func base64(_ plain: [UInt8]) -> String {
    let table = bytes("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var result: [UInt8] = []
    for start in stride(from: 0, to: plain.count, by: 3) {
        let group = plain[start..<min(start + 3, plain.count)]
        let padded = Array(group) + [0, 0]
        let bits = Int(padded[0]) << 16 | Int(padded[1]) << 8 | Int(padded[2])
        for sextet in 0..<4 {
            result.append(sextet <= group.count ? table[bits >> (18 - 6 * sextet) & 63] : 0x3D)
        }
    }
    return text(result)
}

/// PEM with lines of 64 characters.
func pem(_ der: [UInt8], lineEnd: String = "\n") -> String {
    let encoded = Array(base64(der))
    var lines = ["-----BEGIN CERTIFICATE-----"]
    for start in stride(from: 0, to: encoded.count, by: 64) {
        lines.append(String(encoded[start..<min(start + 64, encoded.count)]))
    }
    lines.append("-----END CERTIFICATE-----")
    return lines.map { $0 + lineEnd }.joined()
}
