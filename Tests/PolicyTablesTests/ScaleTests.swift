import Octets
import PolicyTables
import Testing

@Suite struct ScaleTests {
    /// One level with 100,000 literals, and a parameter and a rest beside them.
    @Test func oneHostWithManyRoutes() throws {
        var routes = (0..<100_000).map { route("GET /items/item-\($0)") }
        routes.append(route("GET /items/{item}/lines"))
        routes.append(route("GET /items/**"))
        let bytes = try table(routes)
        var index = 0
        while index < 100_000 {
            #expect(answer(bytes, "GET /items/item-\(index)") == "GET /items/item-\(index)")
            index += 37
        }
        #expect(answer(bytes, "GET /items/item-99999") == "GET /items/item-99999")
        #expect(answer(bytes, "GET /items/item-100000") == "GET /items/**")
        #expect(answer(bytes, "GET /items/item-5/lines") == "GET /items/{item}/lines")
        #expect(answer(bytes, "POST /items/item-5") == "methodNotAllowed")
        #expect(answer(bytes, "GET /items") == "unknownRoute")
    }

    /// Literal counts around the change from a plain list to buckets, and around powers of two.
    @Test(arguments: [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 1_000])
    func literalCounts(_ count: Int) throws {
        let bytes = try table((0..<count).map { route("GET /n\($0)") })
        for index in 0..<count { #expect(answer(bytes, "GET /n\(index)") == "GET /n\(index)") }
        #expect(answer(bytes, "GET /n\(count)") == "unknownRoute")
        #expect(answer(bytes, "GET /") == "unknownRoute")
    }

    /// Segments with one hash between them, in plain lists and in buckets.
    @Test(arguments: [0, 100])
    func segmentsWithOneHash(_ others: Int) throws {
        let filling = (0..<others).map { route("GET /n\($0)") }
        let pairs = [
            ("item-21180", "item-54139"), ("item-61202", "item-106868"), ("item-13028", "item-181861"),
        ]
        for (one, other) in pairs {
            let both = try table(filling + [route("GET /\(one)"), route("GET /\(other)")])
            #expect(answer(both, "GET /\(one)") == "GET /\(one)")
            #expect(answer(both, "GET /\(other)") == "GET /\(other)")
            let alone = try table(filling + [route("GET /\(one)"), route("GET /**")])
            #expect(answer(alone, "GET /\(one)") == "GET /\(one)")
            #expect(answer(alone, "GET /\(other)") == "GET /**")
        }
    }

    @Test func deepPaths() throws {
        let deepest = "/" + (0..<64).map { "s\($0)" }.joined(separator: "/")
        let bytes = try table([route("GET \(deepest)"), route("GET /t/**"), route("PUT /s0/{x}/**")])
        #expect(answer(bytes, "GET \(deepest)") == "GET \(deepest)")
        #expect(answer(bytes, "PUT \(deepest)") == "methodNotAllowed")
        #expect(answer(bytes, "PUT \(deepest)/more") == "PUT /s0/{x}/**")
        #expect(answer(bytes, "PUT \(deepest)x") == "PUT /s0/{x}/**")
        let long = String(repeating: "/y", count: 4_000)
        #expect(answer(bytes, "GET /t\(long)") == "GET /t/**")
        #expect(answer(bytes, "GET \(long)") == "unknownRoute")
        // Longer than any canonical path.
        #expect(answer(bytes, "GET /t/\(String(repeating: "y", count: 24_573))") == "GET /t/**")
        #expect(answer(bytes, "GET /t/\(String(repeating: "y", count: 24_574))") == "unknownRoute")
    }

    @Test func manyPorts() throws {
        let services = (1...300).map { number in
            service("p\(number)", ports: [UInt16(number * 7)], [route("GET /only")])
        }
        let bytes = try table(services + [service("open", [route("GET /all")])])
        for number in 1...300 {
            #expect(answer(bytes, "GET /only", port: UInt16(number * 7)) == "GET /only")
            #expect(answer(bytes, "GET /only", port: UInt16(number * 7 + 1)) == "unknownRoute")
            #expect(answer(bytes, "GET /all", port: UInt16(number * 7 - 1)) == "GET /all")
        }
        #expect(answer(bytes, "GET /all", port: 7) == "GET /all")
    }

    /// Routes of one path and method on different ports.
    @Test func manyRulesOfOneMethod() throws {
        let bytes = try table((1...500).map { route("GET /same", ports: [UInt16($0)]) })
        let host = HostTable(bytes.span)
        let method = Array("GET".utf8)
        let path = Array("/same".utf8)
        for port in 1...500 {
            guard
                case .matched(let rule) = host.match(method: method.span, path: path.span, port: UInt16(port))
            else {
                Issue.record("port \(port)")
                return
            }
            #expect(rule.routeIndex == port - 1)
        }
        #expect(answer(bytes, "GET /same", port: 501) == "portNotAllowed")
    }
}
