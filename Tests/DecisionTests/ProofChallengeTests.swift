@testable import Decision
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

/// What a client is told of the schemes that a route takes (RFC 9449 §7.1), and what the log and explanations say.
@Suite struct ProofChallengeTests {
    private static let scope = #", scope="orders:read""#
    private static let token =
        #", error="invalid_token", error_description="The access token is not valid for this request""#
    private static let request =
        #", error="invalid_request", error_description="The request must carry exactly one well-formed access token""#
    /// Those of both issuers of the service, in the order of the first.
    private static let common = #"algs="ES256 Ed25519""#
    private static let first = #"algs="ES256 ES384 ES512 Ed25519 PS256 RS256""#

    @Test("the scheme that was used, or those that the route takes")
    func schemes() throws {
        let world = try World(proofModel())
        let decider = try world.decider()
        let client = try ProofClient()
        let bound = try client.token(world)
        let plain = try world.token()
        let expired = try world.token(TokenPlan().with { $0.expiresAt = 1 })
        let weak = try client.token(world, .scopes("read:metrics"))
        func with(_ header: String) -> (Request) -> Request {
            { request in request.with { $0.authorization = [bytes(header)] } }
        }
        let bearer = #"Bearer realm="pay""#
        let dpop = #"DPoP realm="pay", "#
        let scopeError = DeciderReasonTests.scopeError
        let rows: [(String, Reason, (Request) throws -> Request, String)] = [
            ("/free", .noToken, { $0 }, bearer + Self.scope + ", DPoP " + Self.common),
            ("/any", .noToken, { $0 }, bearer + Self.scope + ", DPoP " + Self.common),
            ("/mtls", .noToken, { $0 }, bearer + Self.scope),
            ("/dpop", .noToken, { $0 }, dpop + Self.common + Self.scope),
            ("/free", .unsupportedScheme, with("Basic YTpi"), bearer + Self.scope + ", DPoP " + Self.common),
            (
                "/free", .multipleCredentials, { $0.bearing(plain).bearing(plain) },
                bearer + Self.request + Self.scope + ", DPoP " + Self.common + Self.request
            ),
            ("/mtls", .multipleCredentials, { $0.bearing(plain).bearing(plain) }, bearer + Self.request + Self.scope),
            ("/free", .malformedAuthorization, with("Bearer"), bearer + Self.request + Self.scope),
            ("/free", .malformedAuthorization, with("DPoP"), dpop + Self.common + Self.request + Self.scope),
            ("/free", .tokenMalformed, with("DPoP x"), dpop + Self.common + Self.token + Self.scope),
            ("/free", .tokenMalformed, with("Bearer x"), bearer + Self.token + Self.scope),
            ("/dpop", .tokenMalformed, with("Bearer x"), dpop + Self.common + Self.token + Self.scope),
            ("/free", .expired, { $0.bearing(expired) }, bearer + Self.token + Self.scope),
            // The downgrade, and a token that is bound to nothing where a binding is asked for.
            ("/free", .proofRequired, { $0.bearing(bound) }, dpop + Self.first + Self.token + Self.scope),
            ("/any", .proofRequired, { $0.bearing(plain) }, dpop + Self.first + Self.token + Self.scope),
            ("/mtls", .proofRequired, { $0.bearing(plain) }, bearer + Self.token + Self.scope),
            ("/mtls", .proofRequired, { $0.bearing(bound) }, bearer + Self.token + Self.scope),
            ("/free", .tokenNotBound, { try client.sign($0, plain) }, dpop + Self.first + Self.token + Self.scope),
            ("/free", .insufficientScope, { try client.sign($0, weak) }, dpop + Self.first + scopeError + Self.scope),
        ]
        for (target, reason, change, challenge) in rows {
            let verdict = decider.verdict(try change(pay(target)))
            DeciderReasonTests.check(verdict, reason)
            #expect(verdict.challenge == challenge, "\(target) \(reason)")
        }
    }

    @Test("issuers that have no algorithm in common, and those that take no proofs at all")
    func noAlgorithms() throws {
        var model = proofModel()
        model.issuers[0].proofs.algorithms = [.rs256]
        let world = try World(model)
        let plain = try world.decider().verdict(pay("/free"))
        #expect(plain.challenge == #"Bearer realm="pay""# + Self.scope)
        let demanding = try world.decider().verdict(pay("/dpop"))
        #expect(demanding.challenge == #"DPoP realm="pay""# + Self.scope)
    }

    @Test("the log names binding and actor")
    func log() throws {
        let world = try World(proofModel())
        let decider = try world.decider()
        func line(_ request: Request) -> String {
            _ = decider.verdict(request)
            let (facts, all) = request.laidOut()
            var line = ByteWriter(capacity: 8_192)
            decider.appendLogMembers(to: &line, facts, all.span, valueBytesMax: 256)
            return String(lossy: line.bytes)
        }
        let acted = TokenPlan().with { $0.more = [("act", #"{"sub":"robot \"7\"","act":{"sub":"earlier"}}"#)] }
        let plain = line(pay("/free").bearing(try world.token(acted)))
        #expect(plain.hasSuffix(#","scopes":"orders:read","actor":"robot \"7\"""#))
        let client = try ProofClient()
        let good = try client.sign(pay("/free"), try client.token(world))
        #expect(line(good).hasSuffix(#","scopes":"orders:read","confirmation":"jkt""#))
        #expect(line(good).hasSuffix(#","confirmation":"jkt""#) && line(good).contains("proof_replayed"))
        // Nothing of a proof is left for the next request.
        _ = decider.verdict(good.with { $0.dpop = [] })
        #expect(decider.state.proofFault != nil)
        #expect(!line(pay("/free").bearing(try world.token())).contains("proof"))
    }

    @Test("details say what the route demands and what was wrong with the proof")
    func details() throws {
        let world = try World(proofModel())
        let decider = try world.decider()
        decider.collectsDetails = true
        let client = try ProofClient()
        let token = try client.token(world)
        _ = decider.verdict(try client.sign(pay("/nonce"), token))
        #expect(decider.details.proof == .dpop && decider.details.demandsNonce)
        #expect(decider.details.proofFault == "proof_nonce_missing" && decider.details.requiredContexts.isEmpty)
        _ = decider.verdict(try client.sign(pay("/both"), token))
        #expect(decider.details.proof == .any && !decider.details.demandsNonce && decider.details.proofFault == nil)
        #expect(decider.details.requiredContexts == [bytes("gold")])
        #expect(decider.details.authenticationAgeSecondsMax == 300)
        _ = decider.verdict(pay("/free"))
        #expect(decider.details.proof == .none && decider.details.authenticationAgeSecondsMax == nil)
    }
}
