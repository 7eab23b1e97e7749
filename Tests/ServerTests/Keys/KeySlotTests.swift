import PolicyTables
import Signatures
import Testing
import Tokens

@testable import Server

@Suite struct KeySlotTests {
    private func slot(_ source: IssuerModel.KeySource = .uri("https://i/k")) -> KeySlot {
        KeySlot(
            model: IssuerModel(issuer: "https://i", audiences: ["x"], keySource: source, algorithms: [.es256]),
            settings: IssuerSettings(
                issuer: Array("https://i".utf8), audiences: [Array("x".utf8)], algorithms: [.es256]),
            folder: "/etc")
    }

    @Test func whatHoldsWithoutAnyKeys() throws {
        var slot = slot()
        #expect(Keyring.rest(slot) == "no keys yet: tokens of this issuer are answered 503")
        slot.take(try keySet("a"), fetchedAt: 100, staleSecondsMax: 1_000, now: 100)
        #expect(Keyring.rest(slot) == "the last good set is used")
    }

    @Test func cooldownCountsTimeAlone() {
        var slot = slot()
        #expect(slot.mayFetch(after: 30, now: 0))
        slot.begin(now: 100)
        #expect(slot.isFetching)
        slot.lastError = "refused"
        slot.end(now: 101, refreshSeconds: 600)
        #expect(!slot.isFetching)
        // Neither a failure nor the lack of any keys shortens it.
        for now: Int64 in [100, 101, 129] { #expect(!slot.mayFetch(after: 30, now: now)) }
        #expect(slot.mayFetch(after: 30, now: 130))
    }

    @Test func backoffDoublesToAMinute() {
        var slot = slot()
        var waits: [Int64] = []
        for _ in 0..<9 {
            slot.begin(now: 1_000)
            slot.lastError = "500"
            slot.end(now: 1_000, refreshSeconds: 600)
            waits.append(slot.nextFetch - 1_000)
        }
        #expect(waits == [1, 2, 4, 8, 16, 32, 60, 60, 60])
        slot.lastError = nil
        slot.end(now: 1_000, refreshSeconds: 600)
        slot.lastError = "500"
        slot.end(now: 1_000, refreshSeconds: 600)
        #expect(slot.nextFetch == 1_001)
    }

    @Test func refreshIsSpread() {
        var slot = slot()
        var seen: Set<Int64> = []
        for _ in 0..<200 {
            slot.end(now: 0, refreshSeconds: 600)
            #expect((540...660).contains(slot.nextFetch))
            seen.insert(slot.nextFetch)
        }
        #expect(seen.count > 10)
    }

    @Test(arguments: ["", "garbage", "{}", #"{"keys":[]}"#, #"{"keys":[{"kty":"oct","k":"AAAA"}]}"#])
    func aBadDocumentKeepsTheKeys(_ document: String) throws {
        var slot = slot()
        slot.take(try keySet("a"), fetchedAt: 100, staleSecondsMax: 1_000, now: 100)
        let good = try #require(slot.keys)
        slot.take(Array(document.utf8), fetchedAt: 200, staleSecondsMax: 1_000, now: 200)
        #expect(slot.keys === good)
        #expect(slot.confirmedAt == 100, "an answer without keys confirms nothing")
        #expect(slot.lastError?.contains("last good one") == true)
        slot.take([], fetchedAt: 200, staleSecondsMax: 1_000, now: 200)
        #expect(slot.keys === good)
    }

    @Test func theSameDocumentChangesNothingButItsAge() throws {
        let document = try keySet("a")
        var slot = slot()
        slot.take(document, fetchedAt: 100, staleSecondsMax: 1_000, now: 100)
        let before = slot.issuerKeys
        slot.take(document, fetchedAt: 700, staleSecondsMax: 1_000, now: 700)
        #expect(slot.issuerKeys === before, "tokens that were verified stay verified")
        #expect(slot.confirmedAt == 700)
        slot.take(try keySet("a"), fetchedAt: 800, staleSecondsMax: 1_000, now: 800)
        #expect(slot.keys !== before.keys)
    }

    @Test func staleAndFreshAgain() throws {
        var hasAged = false
        let document = try keySet("a")
        var slot = slot()
        #expect(slot.issuerKeys.status == .unavailable)
        slot.take(document, fetchedAt: 100, staleSecondsMax: 1_000, now: 100)
        hasAged = slot.age(now: 1_100, staleSecondsMax: 1_000)
        #expect(!hasAged)
        #expect(slot.issuerKeys.status == .usable)
        hasAged = slot.age(now: 1_101, staleSecondsMax: 1_000)
        #expect(hasAged)
        #expect(slot.issuerKeys.status == .stale)
        hasAged = slot.age(now: 1_102, staleSecondsMax: 1_000)
        #expect(!hasAged)
        slot.take(document, fetchedAt: 1_200, staleSecondsMax: 1_000, now: 1_200)
        #expect(slot.issuerKeys.status == .usable)
    }

    @Test func filesDoNotGrowStale() throws {
        var slot = slot(.file("jwks.json"))
        slot.take(try keySet("a"), fetchedAt: 100, staleSecondsMax: 1_000, now: 100)
        let hasAged = slot.age(now: 1_000_000, staleSecondsMax: 1_000)
        #expect(!hasAged)
        #expect(slot.issuerKeys.status == .usable)
    }
}
