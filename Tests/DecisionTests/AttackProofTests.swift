@testable import Decision
import Kernel
import Octets
import PolicyTables
import Signatures
import Synchronization
import Testing
import Tokens

/// B38 to B44, and what B25 means for them: proofs of possession before the memory of proofs.
@Suite struct AttackProofTests {
    private let world: World
    private let client: ProofClient
    private let token: [UInt8]

    init() throws {
        world = try World(proofModel())
        client = try ProofClient()
        token = try client.token(world)
    }

    /// The name in the log of what was wrong with the proof; the client is not told.
    private func fault(_ decider: Decider, _ request: Request) -> String {
        let (facts, all) = request.laidOut()
        var line = ByteWriter(capacity: 8_192)
        decider.appendLogMembers(to: &line, facts, all.span, valueBytesMax: 256)
        let parts = String(lossy: line.bytes).components(between: "\"proof\":\"", and: "\"")
        return parts.first ?? ""
    }

    @Test("B25: the other s of a used proof is that proof again")
    func malleatedProof() throws {
        let decider = try world.decider()
        let request = try client.sign(pay("/free"), token)
        DeciderReasonTests.check(decider.verdict(request), .granted)
        let parts = text(request.dpop[0]).split(separator: ".").map(String.init)
        let signature = decoded(parts[2])
        let other = Array(signature[..<32]) + subtracted(Array(signature[32...]))
        #expect(other != signature)
        let again = request.with { $0.dpop = [bytes("\(parts[0]).\(parts[1]).") + Base64URL.encode(other.span)] }
        DeciderReasonTests.check(decider.verdict(again), .proofReplayed)
        // That it is a signature at all: a memory that has not seen the first takes it.
        DeciderReasonTests.check(try world.decider().verdict(again), .granted)
    }

    @Test("B38: a proof is good once, however the request is spelled")
    func replays() throws {
        let decider = try world.decider()
        let proof = try client.sign(pay("/free/a"), token) { $0.proofID = "one" }
        DeciderReasonTests.check(decider.verdict(proof), .granted)
        DeciderReasonTests.check(decider.verdict(proof), .proofReplayed)
        let spellings = [
            proof.with { $0.target = bytes("/free/%61") }, proof.with { $0.target = bytes("/free/a?x=1") },
            proof.with { $0.host = bytes("PAY.example.com.") }, proof.with { $0.scheme = bytes("HTTPS") },
            proof.with { $0.authorization = [bytes("dpop ") + token] },
        ]
        for request in spellings { DeciderReasonTests.check(decider.verdict(request), .proofReplayed) }
        // A new proof with the identifier, whatever URI, date and method it is for.
        for (target, method, issuedAt) in [("/free", "GET", World.now), ("/free", "POST", World.now - 5)] {
            let request = try client.sign(pay(target, method), token) {
                $0.proofID = "one"
                $0.issuedAt = issuedAt
            }
            DeciderReasonTests.check(decider.verdict(request), .proofReplayed)
        }
        let fresh = try client.sign(pay("/free/a"), token) { $0.proofID = "One" }
        DeciderReasonTests.check(decider.verdict(fresh), .granted)
    }

    @Test("B39: nobody burns another key's identifiers")
    func foreignIdentifiers() throws {
        let decider = try world.decider()
        let attacker = try ProofClient()
        let own = try attacker.token(world, TokenPlan().with { $0.subject = "eve" })
        // With the attacker's own token, and with the victim's, which is refused.
        let burnt = try attacker.sign(pay("/free"), own) { $0.proofID = "victim" }
        DeciderReasonTests.check(decider.verdict(burnt), .granted)
        let stolen = try attacker.sign(pay("/free"), token) { $0.proofID = "victim" }
        DeciderReasonTests.check(decider.verdict(stolen), .invalidProof)
        #expect(fault(decider, stolen) == "proof_key_not_bound")
        let victim = try client.sign(pay("/free"), token) { $0.proofID = "victim" }
        DeciderReasonTests.check(decider.verdict(victim), .granted)
        DeciderReasonTests.check(decider.verdict(victim), .proofReplayed)
        DeciderReasonTests.check(decider.verdict(burnt), .proofReplayed)
    }

    @Test("B40: only what was checked whole is remembered, and for as long as it would be taken")
    func order() throws {
        let decider = try world.decider()
        let faults: [(String, @Sendable (inout ProofClient.Plan) -> Void)] = [
            ("proof_ath_mismatch", { $0.token = bytes("another") }), ("proof_htm_mismatch", { $0.method = "POST" }),
            ("proof_htu_mismatch", { $0.uri = "https://pay.example.com/any" }),
            ("proof_iat_too_old", { $0.issuedAt = World.now - 61 }),
            ("proof_iat_too_far_ahead", { $0.issuedAt = World.now + 11 }),
        ]
        for (name, change) in faults {
            let request = try client.sign(pay("/free"), token) {
                change(&$0)
                $0.proofID = name
            }
            DeciderReasonTests.check(decider.verdict(request), .invalidProof)
            #expect(fault(decider, request) == name)
        }
        let stranger = try PrivateKey.generate(.es256)
        let forged = try client.sign(pay("/free"), token) {
            $0.key = stranger
            $0.proofID = "key"
        }
        DeciderReasonTests.check(decider.verdict(forged), .invalidProof)
        #expect(fault(decider, forged) == "proof_key_not_bound" && decider.state.proofs.count == 0)
        for name in faults.map(\.0) + ["key"] {
            let good = try client.sign(pay("/free"), token) { $0.proofID = name }
            DeciderReasonTests.check(decider.verdict(good), .granted)
        }
        // From the future: first and last second in which it is taken, and not one in which it is forgotten.
        let early = try client.sign(pay("/free"), token) { $0.issuedAt = World.now + 10 }
        DeciderReasonTests.check(decider.verdict(early), .granted)
        for second in [0, 10, 60, 69, 70] as [Int64] {
            #expect(decider.verdict(early, now: World.now + second).reason == .proofReplayed, "\(second)")
        }
        #expect(decider.verdict(early, now: World.now + 71).reason == .invalidProof)
        #expect(fault(decider, early) == "proof_iat_too_old")
    }

    @Test("B41: of many copies at the same time one is allowed", arguments: [2, 8])
    func race(_ copies: Int) throws {
        // In series first, with the same shape, so that the race is not about anything else.
        let rounds = 40
        let requests = try (0..<rounds).map { _ in try client.sign(pay("/free"), token) }
        let race = ReplayRace(
            board: world.board, store: world.folder.store, requests: requests.map { $0.laidOut() },
            proofs: ProofRecords(entriesMax: 1_024, startedAt: .min), copies: copies)
        let threads = try (0..<copies).map { number in
            try SystemThread.start(name: "replay \(number)", context: race) { $0.run() }
        }
        for thread in threads { thread.join() }
        #expect(race.allowed.load(ordering: .relaxed) == rounds)
        #expect(race.replayed.load(ordering: .relaxed) == rounds * (copies - 1))
        #expect(race.others.load(ordering: .relaxed) == 0)
    }

    @Test("B42: identifiers of any length cost the same, and a full memory is no ground to allow")
    func exhaustion() throws {
        let proofs = ProofRecords(entriesMax: 2, startedAt: .min)
        let decider = try world.decider(proofs: proofs)
        let long = try client.sign(pay("/free"), token) { $0.proofID = String(repeating: "j", count: 129) }
        DeciderReasonTests.check(decider.verdict(long), .invalidProof)
        #expect(fault(decider, long) == "proof_jti_too_long" && proofs.count == 0)
        for letter in ["a", "b"] {
            let request = try client.sign(pay("/free"), token) { $0.proofID = String(repeating: letter, count: 128) }
            DeciderReasonTests.check(decider.verdict(request), .granted)
        }
        let one = try client.sign(pay("/free"), token)
        DeciderReasonTests.check(decider.verdict(one), .replayCacheFull)
        #expect(proofs.count == 2)
        // Forged proofs take no place from anyone.
        let later = try client.sign(pay("/free"), token) { $0.issuedAt = World.now + 61 }
        #expect(decider.verdict(later, now: World.now + 61).reason == .granted)
    }

    @Test("B43: a bound token as a bearer token, without a proof, or with another's")
    func downgrades() throws {
        let decider = try world.decider()
        let plain = try world.token()
        let signed = try client.sign(pay("/free/A"), token)
        let rows: [(Reason, String, Request)] = [
            (.proofRequired, "", pay("/free").bearing(token)),
            (.proofRequired, "", pay("/free").bearing(token).with { $0.dpop = signed.dpop }),
            (.proofRequired, "", pay("/dpop").bearing(plain)),
            (.invalidProof, "proof_missing", signed.with { $0.dpop = [] }),
            (.invalidProof, "proof_ath_mismatch", try client.sign(pay("/free"), token) { $0.token = plain }),
            (
                .invalidProof, "proof_htu_mismatch",
                try client.sign(pay("/free/a"), token) { $0.uri = "https://pay.example.com/free/A" }
            ),
            (.multipleCredentials, "", signed.with { $0.dpop += $0.dpop }),
            (.tokenNotBound, "", try client.sign(pay("/free"), plain)),
        ]
        for (reason, name, request) in rows {
            DeciderReasonTests.check(decider.verdict(request), reason)
            #expect(fault(decider, request) == name)
        }
        DeciderReasonTests.check(decider.verdict(try client.sign(pay("/free/a"), token)), .granted)
        DeciderReasonTests.check(decider.verdict(pay("/free").bearing(plain)), .granted)
    }

    @Test("B44: proofs that name no public key, or no signature, are one refusal to the client")
    func hostileKeys() throws {
        let decider = try world.decider()
        let good = try client.sign(pay("/free"), token)
        let parts = text(good.dpop[0]).split(separator: ".").map(String.init)
        let head = text(decoded(parts[0]))
        let rows: [(String, String)] = [
            ("proof_key_private", head.replacingFirst("\"kty\"", "\"d\":\"AQAB\",\"kty\"")),
            ("proof_key_symmetric", #"{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"oct","k":"AQAB"}}"#),
            ("proof_key_missing", #"{"typ":"dpop+jwt","alg":"ES256","kid":"a"}"#),
            ("proof_algorithm_not_allowed", head.replacingFirst("\"ES256\"", "\"none\"")),
            ("proof_algorithm_not_allowed", head.replacingFirst("\"ES256\"", "\"HS256\"")),
            ("proof_critical_header", head.replacingFirst("{", "{\"crit\":[\"exp\"],")),
            ("proof_header_malformed", head.replacingFirst("{", "{\"typ\":\"dpop+jwt\",")),
            ("proof_type_mismatch", head.replacingFirst("dpop+jwt", "at+jwt")),
            // Known and unknown members more: only the signature is wrong, since it was over another header.
            ("proof_signature_invalid", head.replacingFirst("\"kty\"", "\"ext\":true,\"odd\":{},\"kty\"")),
        ]
        var challenges: Set<String> = []
        for (name, header) in rows {
            #expect(header != head)
            let request = good.with {
                $0.dpop = [Base64URL.encode(bytes(header).span) + bytes(".\(parts[1]).\(parts[2])")]
            }
            let verdict = decider.verdict(request)
            DeciderReasonTests.check(verdict, .invalidProof)
            #expect(fault(decider, request) == name)
            challenges.insert(verdict.challenge)
        }
        #expect(challenges.count == 1)
        DeciderReasonTests.check(decider.verdict(good), .granted)
    }

    private func decoded(_ text: String) -> [UInt8] {
        let input = bytes(text)
        return Base64URL.decode(input.span) ?? []
    }

    /// The order of P-256 (SP 800-186 §3.2.1.3) minus a number.
    private func subtracted(_ number: [UInt8]) -> [UInt8] {
        let order: [UInt8] = [
            0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6,
            0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
        ]
        var (result, borrow) = (order, 0)
        for index in (0..<32).reversed() {
            let difference = Int(order[index]) - Int(number[index]) - borrow
            borrow = difference < 0 ? 1 : 0
            result[index] = UInt8(truncatingIfNeeded: difference)
        }
        return result
    }
}

/// Workers of one daemon that get copies of the same requests, from the same moment on.
private final class ReplayRace: Sendable {
    let board: SnapshotBoard
    let store: PolicyStore
    let requests: [(facts: RequestFacts, bytes: [UInt8])]
    let proofs: ProofRecords
    let allowed = Atomic<Int>(0)
    let replayed = Atomic<Int>(0)
    let others = Atomic<Int>(0)
    private let waiting: Atomic<Int>

    init(
        board: SnapshotBoard, store: PolicyStore, requests: [(facts: RequestFacts, bytes: [UInt8])],
        proofs: ProofRecords, copies: Int
    ) {
        self.board = board
        self.store = store
        self.requests = requests
        self.proofs = proofs
        waiting = Atomic(copies)
    }

    func run() {
        guard let reader = try? store.makeReader() else {
            waiting.subtract(1, ordering: .sequentiallyConsistent)
            return
        }
        let decider = Decider(
            board: board, reader: reader, tokenCacheEntriesMax: 64, auditPrefix: bytes("0123456789abcdef"),
            proofs: proofs)
        waiting.subtract(1, ordering: .sequentiallyConsistent)
        while waiting.load(ordering: .sequentiallyConsistent) > 0 {}
        for (facts, all) in requests {
            _ = decider.decide(facts, all.span, now: World.now, limits: DecisionLimits())
            switch decider.reason {
            case .granted: allowed.add(1, ordering: .relaxed)
            case .proofReplayed: replayed.add(1, ordering: .relaxed)
            default: others.add(1, ordering: .relaxed)
            }
        }
    }
}

extension String {
    /// What stands between each `start` and the next `end`.
    fileprivate func components(between start: String, and end: String) -> [String] {
        var (rest, found) = (self[...], [String]())
        while let opening = rest.firstRange(of: start) {
            rest = rest[opening.upperBound...]
            guard let closing = rest.firstRange(of: end) else { break }
            found.append(String(rest[..<closing.lowerBound]))
            rest = rest[closing.upperBound...]
        }
        return found
    }

    fileprivate func replacingFirst(_ old: String, _ new: String) -> String {
        guard let range = firstRange(of: old) else { return self }
        return String(self[..<range.lowerBound]) + new + self[range.upperBound...]
    }
}
