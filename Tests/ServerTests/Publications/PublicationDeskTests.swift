import Kernel
import Policy
@testable import PolicyTables
@testable import Server
import Signatures
import Store
import Synchronization
import Testing

/// The desk for publications on a real store, with a judge and a policy desk that do as they are told.
@Suite struct PublicationDeskTests {
    @Test func aWithdrawalSaysSoAndNamesWhatItDropped() throws {
        let world = try PublicationWorld()
        let waiting = try world.proposed(1)
        world.verdict.withLock { $0 = .tightens }
        let outcome = try world.desk.publish(try world.withdrawal(2), note: "", sender: "")
        let text = String(decoding: outcome.answer.body, as: UTF8.self)
        #expect(text.contains("\"state\":\"withdrawn\""), "\(text)")
        #expect(text.contains("\"dropped_proposal\":\"\(waiting.identifier)\""), "\(text)")
        #expect(try world.store.proposals().isEmpty)
    }

    // MARK: At once

    @Test func whatOnlyTightensDecides() throws {
        let world = try PublicationWorld()
        let outcome = try world.desk.publish(try world.publication(1), note: "deploy", sender: "uid 7")
        guard case .active(let verdict, let change) = outcome else { return #expect(Bool(false), "\(outcome)") }
        #expect(verdict.serial == 1 && change.number == 2)
        #expect(world.activations.withLock { $0 } == ["service orders, key ci, sent by uid 7: deploy"])
        #expect(try world.store.publicationSerial(of: "orders") == 1)
        #expect(outcome.answer.status == 200)
    }

    @Test func replays() throws {
        let world = try PublicationWorld()
        _ = try world.desk.publish(try world.publication(5), note: "", sender: "")
        for serial: UInt64 in [5, 4, 1] {
            #expect(world.reason(try world.publication(serial)) == .replayed, "\(serial)")
        }
        _ = try world.desk.publish(try world.publication(6), note: "", sender: "")
        #expect(world.judged.withLock { $0 } == 2, "a replay is refused before anything is compiled")
    }

    @Test func serialsAheadOfTheClock() throws {
        let world = try PublicationWorld()
        let most = UInt64(PublicationWorld.now + 86_400) * 1_000
        #expect(world.reason(try world.publication(most + 1)) == .serialAhead)
        #expect(world.reason(try world.publication(.max)) == .serialAhead)
        #expect(world.reason(try world.publication(most)) == nil)
    }

    /// What is refused, or cannot be judged, uses no serial; what is accepted uses it before it decides.
    @Test func serialsAreRecordedForWhatIsAcceptedOnly() throws {
        let world = try PublicationWorld()
        world.verdict.withLock { $0 = .refused(PublicationRefusal(.badSignature, "no")) }
        #expect(world.reason(try world.publication(9)) == .badSignature)
        #expect(try world.store.publicationSerial(of: "orders") == nil)
        world.verdict.withLock { $0 = .tightens }
        world.failsToActivate.withLock { $0 = true }
        #expect(throws: PublicationWorld.Broken.self) {
            try world.desk.publish(world.publication(9), note: "", sender: "")
        }
        #expect(try world.store.publicationSerial(of: "orders") == 9)
        world.failsToActivate.withLock { $0 = false }
        #expect(world.reason(try world.publication(9)) == .replayed)
    }

    @Test func anotherVersionInBetween() throws {
        let world = try PublicationWorld()
        world.moves.withLock { $0 = 2 }
        guard case .active = try world.desk.publish(try world.publication(1), note: "", sender: "") else {
            return #expect(Bool(false))
        }
        #expect(world.judged.withLock { $0 } == 3)
        world.moves.withLock { $0 = 100 }
        #expect(world.reason(try world.publication(2)) == .moved, "it does not go on for ever")
    }

    /// Between the judgement and the pointer another policy came, on which the same publication would widen.
    @Test func anotherVersionOnWhichItWidens() throws {
        let world = try PublicationWorld()
        world.moves.withLock { $0 = 1 }
        world.verdict.withLock { $0 = .widensFrom(2) }
        #expect(world.reason(try world.publication(1)) == .widens)
        #expect(world.activations.withLock { $0 }.isEmpty)
    }

    @Test func withoutAPolicyAndWithSignatures() throws {
        let world = try PublicationWorld(isActive: false)
        #expect(world.reason(try world.publication(1)) == .noPolicy)
        let signed = try PublicationWorld(requiresSignatures: true)
        #expect(signed.reason(try signed.publication(1)) == .signaturesRequired)
        #expect(signed.judged.withLock { $0 } == 0)
    }

    // MARK: Proposals

    @Test func whatWidensWaits() throws {
        let world = try PublicationWorld()
        let proposal = try world.proposed(1)
        #expect(proposal.findings == ["more"] && proposal.service == "orders" && proposal.serial == 1)
        #expect(world.activations.withLock { $0 }.isEmpty)
        #expect(try world.desk.proposals() == [proposal])
        #expect(world.reason(try world.publication(1)) == .replayed)
        let newer = try world.proposed(2)
        #expect(try world.desk.proposals() == [newer])
        guard case .active = try world.desk.approve(newer.identifier, note: "fine", approver: "al") else {
            return #expect(Bool(false))
        }
        #expect(world.activations.withLock { $0 } == ["approved by al; service orders, key ci: fine"])
        #expect(try world.desk.proposals().isEmpty)
    }

    @Test func onlyWhatWasLookedAtIsApproved() throws {
        let world = try PublicationWorld()
        let proposal = try world.proposed(1)
        world.salt.withLock { $0 = 1 }
        guard case .rebuilt(let rebuilt) = try world.desk.approve(proposal.identifier, note: "", approver: "al") else {
            return #expect(Bool(false))
        }
        #expect(rebuilt.version != proposal.version && world.activations.withLock { $0 }.isEmpty)
        #expect(try world.desk.proposals() == [rebuilt])
        #expect(
            world.refusal { try world.desk.approve(proposal.identifier, note: "", approver: "al") } == .notPublished)
        guard case .active(let verdict, _) = try world.desk.approve(rebuilt.identifier, note: "", approver: "al") else {
            return #expect(Bool(false))
        }
        #expect(verdict.version == rebuilt.version)
    }

    @Test func anotherVersionWhileItIsApproved() throws {
        let world = try PublicationWorld()
        let proposal = try world.proposed(1)
        world.moves.withLock { $0 = 1 }
        guard case .rebuilt = try world.desk.approve(proposal.identifier, note: "", approver: "al") else {
            return #expect(Bool(false))
        }
        #expect(world.activations.withLock { $0 }.isEmpty)
    }

    @Test func whatIsNoLongerAllowedIsNotApproved() throws {
        let world = try PublicationWorld()
        let proposal = try world.proposed(1)
        world.verdict.withLock { $0 = .refused(PublicationRefusal(.unknownKey, "gone")) }
        #expect(world.refusal { try world.desk.approve(proposal.identifier, note: "", approver: "al") } == .unknownKey)
        #expect(try world.desk.proposals() == [proposal])
    }

    @Test func identifiers() throws {
        let world = try PublicationWorld()
        let proposal = try world.proposed(1)
        // Whoever publishes could make two that begin alike.
        for text in ["", "0000000000000000", String(proposal.identifier.prefix(63)), proposal.identifier + "x"] {
            #expect(world.refusal { try world.desk.approve(text, note: "", approver: "") } == .notPublished, "\(text)")
        }
        guard case .rejected = try world.desk.reject(proposal.identifier, note: "", approver: "")
        else {
            return #expect(Bool(false))
        }
        #expect(try world.desk.proposals().isEmpty)
    }

    @Test func aNewerOneThatTightensOvertakes() throws {
        let world = try PublicationWorld()
        _ = try world.proposed(1)
        world.verdict.withLock { $0 = .tightens }
        _ = try world.desk.publish(try world.publication(2), note: "", sender: "")
        #expect(try world.desk.proposals().isEmpty)
    }

    // MARK: The store

    @Test func asManyAsThereIsRoomFor() throws {
        let world = try PublicationWorld()
        for number in 0..<PublicationProposal.countMax {
            #expect(try world.store.propose(try world.record("service\(number)", 1)) == .kept)
        }
        #expect(try world.store.propose(try world.record("one-more", 1)) == .full)
        #expect(try world.store.publicationSerial(of: "one-more") == nil)
        #expect(
            try world.store.propose(try world.record("service7", 2)) == .kept, "a newer one takes the older one's place"
        )
        #expect(try world.store.proposals().count == PublicationProposal.countMax)
        let removed = try world.store.removeProposal(of: "service7", serial: 1)
        #expect(!removed, "a newer one stays")
        #expect(try world.store.removeProposal(of: "service7", serial: 2))
    }

    @Test func recordsAreReadAsTheyWereWritten() throws {
        let world = try PublicationWorld()
        var proposal = try world.record("orders", 9)
        proposal.ends = 5
        proposal.note = "why"
        proposal.findings = ["a", "", "ü"]
        let plain = proposal.encoded
        #expect(PublicationProposal(plain.span)?.findingsOmitted == 0, "as older builds wrote it")
        proposal.findingsOmitted = 7
        let encoded = proposal.encoded
        #expect(PublicationProposal(encoded.span) == proposal)
        for count in 0..<encoded.count where PublicationProposal(encoded.span.extracting(0..<count)) == proposal {
            Issue.record("cut to \(count) it is the same")
        }
        #expect(encoded.starts(with: plain) && encoded.count == plain.count + 12)
        for wrong in [encoded + [0], Array(encoded.dropLast())] { #expect(PublicationProposal(wrong.span) == nil) }
    }

    @Test func damagedRecordsAreNoneAndLetNothingIn() throws {
        let world = try PublicationWorld()
        _ = try world.desk.publish(try world.publication(5), note: "", sender: "")
        try world.set("qsorders", [1, 2, 3])
        #expect(throws: PolicyStoreError.self) { try world.desk.publish(world.publication(6), note: "", sender: "") }
        try world.set("qporders", [1, 2, 3])
        #expect(throws: PolicyStoreError.self) { try world.desk.proposals() }
    }
}
