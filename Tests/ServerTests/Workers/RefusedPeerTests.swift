import Testing

@testable import Server

/// What the control thread learns of a connection that was refused.
@Suite struct RefusedPeerTests {
    @Test(arguments: [(0, UInt32(0)), (3, 102), (1, UInt32.max - 1), (255, nil)] as [(Int, UInt32?)])
    func packed(_ listener: Int, _ userID: UInt32?) {
        let peer = RefusedPeer(listener: listener, userID: userID)
        #expect(RefusedPeer(packed: peer.packed) == peer)
    }

    @Test func theLastOneIsKept() throws {
        let control = try WorkerControl()
        control.noteRefused(RefusedPeer(listener: 1, userID: 102))
        control.noteRefused(RefusedPeer(listener: 2, userID: nil))
        #expect(control.figures.peersRefused == 2)
        #expect(control.lastRefusedPeer == RefusedPeer(listener: 2, userID: nil))
    }
}
