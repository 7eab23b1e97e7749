import Octets
import PolicyTables
import Testing

@Suite struct LayoutTests {
    /// The example in the description of the layout, byte by byte.
    @Test func exampleOfTheDescription() throws {
        var expected: [UInt8] = Array("SCHT".utf8)
        expected.append(littleEndian16: 4)
        expected.append(littleEndian16: 0)
        for word: UInt32 in [163, 0, 32, 131, 2, 1] { expected.append(littleEndian32: word) }
        // The rule of service 0, route 0.
        for word: UInt32 in [0, 0] { expected.append(littleEndian32: word) }
        expected.append(littleEndian64: 0x8000_0000_0000_0000)
        expected += [0, 3]
        for half: UInt16 in [6, 1, 0, 0, 0] { expected.append(littleEndian16: half) }
        expected += [2, 0, 1, 0]
        expected.append(littleEndian32: 300)
        for half: UInt16 in [1, 3, 1] { expected.append(littleEndian16: half) }
        expected += Array("GETGET /a".utf8)
        expected.append(littleEndian16: 3)
        expected += Array("mfa".utf8)
        // The terminal.
        expected.append(littleEndian32: 1)
        expected += Array("GET\0\0\0\0\0".utf8)
        for word: UInt32 in [32, 1] { expected.append(littleEndian32: word) }
        // The node of `a`, its text, and the root with it.
        for word: UInt32 in [0, 0, 0, 88, 0] { expected.append(littleEndian32: word) }
        expected.append(littleEndian16: 1)
        expected += Array("a".utf8)
        for word: UInt32 in [1, 0, 0, 0, 0, 0x5E02_C8CA, 108, 128] { expected.append(littleEndian32: word) }
        var example = route("GET /a", .scopes(all: [3], any: []))
        example.proof = .dpop
        example.authenticationContexts = ["mfa"]
        example.authenticationAgeSecondsMax = 300
        example.details = [1]
        #expect(try table([example]) == expected)
    }

    /// Tables are read at any address.
    @Test func everyAlignment() throws {
        let bytes = try table(MatchTests.routes)
        for shift in 0..<9 {
            let moved = [UInt8](repeating: 0xFF, count: shift) + bytes
            let host = HostTable(moved.span.extracting(shift...))
            let path = Array("/users/me/orders".utf8)
            let method = Array("GET".utf8)
            guard case .matched(let rule) = host.match(method: method.span, path: path.span, port: 1) else {
                Issue.record("shift \(shift)")
                return
            }
            #expect(rule.routeIndex == 9)
        }
    }
}
