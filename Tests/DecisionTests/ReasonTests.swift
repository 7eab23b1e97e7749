@testable import Decision
import Testing
import Tokens

@Suite struct ReasonTests {
    /// Numbers, names and statuses that logs, metrics, policies' tests and proxies rely on. Never change a row.
    static let table: [(UInt16, String, UInt16)] = [
        (1, "granted", 200), (2, "public", 200), (3, "preflight", 200), (4, "observed", 200),
        (10, "no_policy", 503), (11, "keys_unavailable", 503), (12, "keys_stale", 503),
        (13, "policy_unreadable", 503), (14, "overloaded", 503), (15, "replay_cache_full", 503),
        (16, "introspection_unavailable", 503), (17, "status_unavailable", 503), (18, "signing_unavailable", 503),
        (20, "missing_fact", 403), (21, "conflicting_facts", 403), (22, "ambiguous_target", 403),
        (23, "path_mismatch", 403), (24, "unknown_host", 403), (25, "unknown_route", 403),
        (26, "method_not_allowed", 403), (27, "port_not_allowed", 403),
        (28, "request_too_large", 403), (29, "publication_ended", 403),
        (30, "multiple_credentials", 401), (31, "malformed_authorization", 401), (32, "no_token", 401),
        (33, "unsupported_scheme", 401), (34, "token_not_bound", 401), (35, "certificate_required", 401),
        (36, "certificate_mismatch", 401), (37, "insufficient_user_authentication", 401),
        (40, "token_too_large", 401), (41, "token_malformed", 401), (42, "token_encrypted", 401),
        (43, "header_malformed", 401), (44, "token_type_mismatch", 401), (45, "algorithm_not_allowed", 401),
        (46, "critical_header", 401), (47, "claims_malformed", 401), (48, "unknown_issuer", 401),
        (49, "issuer_not_allowed", 401), (50, "unknown_key", 401), (51, "signature_invalid", 401),
        (52, "missing_claim", 401), (53, "expired", 401), (54, "not_yet_valid", 401),
        (55, "audience_mismatch", 401), (56, "proof_required", 401),
        (57, "invalid_dpop_proof", 401), (58, "use_dpop_nonce", 401), (59, "proof_replayed", 401),
        (60, "insufficient_scope", 403), (61, "binding_mismatch", 403),
        (62, "insufficient_authorization_details", 403),
        (63, "over_scoped", 403), (64, "unknown_client", 403),
        (70, "no_certificate", 403), (71, "certificate_not_verified", 403), (72, "certificate_malformed", 403),
        (73, "certificate_expired", 403), (74, "certificate_not_yet_valid", 403), (75, "unknown_certificate", 403),
        (76, "ambiguous_certificate", 403),
        (80, "revoked", 401), (81, "token_inactive", 401), (82, "status_invalid", 401), (83, "status_suspended", 401),
        (84, "lifetime_too_long", 401),
    ]

    @Test("numbers, names and statuses are what they always were")
    func stable() {
        let found = Reason.allCases.map { ($0.rawValue, "\($0.name)", $0.status) }
        #expect(found.count == ReasonTests.table.count)
        for (row, expected) in zip(found, ReasonTests.table) { #expect(row == expected) }
        #expect(Set(found.map(\.1)).count == found.count)
    }

    @Test("only the grounds to allow have status 200")
    func allows() {
        let allowing = Reason.allCases.filter { $0.status == 200 }
        #expect(allowing == [.granted, .public, .preflight, .observed])
        #expect([AllowGround.granted, .public, .preflight, .observed].map(\.reason) == allowing)
        #expect(AllowGround.certificate.reason == .granted)
    }

    @Test("each refusal of a token is the reason of the same name")
    func refusals() {
        for refusal in TokenRefusal.allCases {
            #expect("\(Reason(refusal).name)" == "\(refusal.name)")
            #expect(Reason(refusal).status == 401)
        }
    }

    @Test("doubtful facts are those before the route")
    func doubtful() {
        let doubtful = Reason.allCases.filter(\.areFactsDoubtful)
        #expect(doubtful == [.missingFact, .conflictingFacts, .ambiguousTarget, .pathMismatch])
    }
}
