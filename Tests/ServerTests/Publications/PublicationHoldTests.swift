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
        #expect(throws: PolicyChangeRefusal.self) {
            try hold.during { throw PolicyChangeRefusal.moved(isPublication: false) }
        }
        #expect(!hold.isHeld)
        for _ in 0..<2 {
            #expect(throws: PolicyChangeRefusal.self) {
                try hold.during { throw PolicyChangeRefusal.moved(isPublication: true) }
            }
            #expect(hold.isHeld)
        }
        hold.during {}
        #expect(!hold.isHeld)
    }
}
