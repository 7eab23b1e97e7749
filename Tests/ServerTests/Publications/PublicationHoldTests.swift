import Testing

@testable import Server

/// People's changes come before publications.
@Suite struct PublicationHoldTests {
    struct Broken: Error {}

    @Test func heldWhileAChangeIsMade() throws {
        let hold = PublicationHold()
        #expect(!hold.isHeld)
        hold.during {
            #expect(hold.isHeld)
            hold.during { #expect(hold.isHeld) }
            #expect(hold.isHeld)
        }
        #expect(!hold.isHeld)
        #expect(throws: Broken.self) { try hold.during { throw Broken() } }
        #expect(!hold.isHeld)
        // Returns at once.
        hold.wait()
    }

    @Test func heldUntilAnOvertakenChangeIsMadeAnew() throws {
        let hold = PublicationHold()
        func overtaken(_ isPublication: Bool, mayBeMadeAnew: Bool) {
            #expect(throws: PolicyChangeRefusal.self) {
                try hold.during(mayBeMadeAnew: mayBeMadeAnew) {
                    throw PolicyChangeRefusal.moved(isPublication: isPublication)
                }
            }
        }
        overtaken(false, mayBeMadeAnew: true)
        #expect(!hold.isHeld)
        overtaken(true, mayBeMadeAnew: false)
        #expect(!hold.isHeld)
        overtaken(true, mayBeMadeAnew: true)
        #expect(hold.isHeld)
        // Neither the end of another change nor a refused one lets publications in before.
        hold.during {}
        #expect(throws: Broken.self) { try hold.during(mayBeMadeAnew: true) { throw Broken() } }
        #expect(hold.isHeld)
        hold.during(mayBeMadeAnew: true) {}
        #expect(!hold.isHeld)
    }
}
