import Testing

@Suite struct ArgumentNameTests {
    static let names =
        FactTests.texts + FactTests.headers + FactTests.headers.map { $0 + "_count" } + [
            "port", "host_count", "certificate_used", "certificate_verify",
        ]

    /// A name with any one of its bits changed is another name, and so is one that is cut or goes on.
    @Test(arguments: names) func aNameCountsWhole(name: String) {
        let whole = Array(name.utf8)
        var others = [Array(whole.dropLast()), whole + [0x20], whole + [0], [0x20] + whole]
        for place in whole.indices {
            for bit in 0..<8 {
                var changed = whole
                changed[place] ^= UInt8(1 << bit)
                others.append(changed)
            }
        }
        for other in others {
            // Of a type that no fact has twice, so that one that is taken is a conflict.
            let argument = counted(other) + Value.ipv4([1, 2, 3, 4]).bytes
            let payload =
                counted("scopecheck-http") + [3] + arguments([("authorization_count", .int64(0))]) + argument + argument
            let says = converse(hello() + notify(payload)).questions.first?.says ?? [:]
            #expect(says == ["kind": "http"], "\(other)")
        }
        let payload =
            counted("scopecheck-http") + [2]
            + arguments([(name, .ipv4([1, 2, 3, 4])), (name, .ipv4([1, 2, 3, 4]))])
        #expect(converse(hello() + notify(payload)).questions.first?.says["conflict"] == "yes")
    }
}
