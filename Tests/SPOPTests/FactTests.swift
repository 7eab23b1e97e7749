import Octets
import SPOP
import Testing

/// The arguments of `scopecheck-http` and `scopecheck-tcp`.
@Suite struct FactTests {
    private func ask(_ name: String, _ list: [Argument]) -> [String: String] {
        converse(hello() + notify(message(name, list))).questions.first?.says ?? [:]
    }
    private func http(_ list: [Argument]) -> [String: String] {
        ask("scopecheck-http", [("authorization_count", .int64(0))] + list)
    }
    private func tcp(_ list: [Argument]) -> [String: String] {
        ask(
            "scopecheck-tcp",
            [("port", .int64(1)), ("certificate_used", .bool(false)), ("certificate_verify", .int64(0))] + list)
    }
    private let emptyTCP = ["kind": "tcp", "port": "1", "certificate_verify": "0"]

    static let texts = ["method", "target", "path", "host", "scheme", "request_id", "client_address", "certificate"]
    static let headers = [
        "authorization", "dpop", "origin", "access_control_request_method", "cookie", "websocket_protocol",
    ]
    static let notText: [Value] = [
        .bool(true), .bool(false), .int32(1), .uint32(1), .int64(-1), .uint64(0), .ipv4([1, 2, 3, 4]),
        .ipv6([UInt8](repeating: 1, count: 16)),
    ]
    static let notNumber: [Value] = [
        .int32(-1), .int64(-1), .int64(.min), .string("1"), .string(""), .binary([1]), .ipv4([0, 0, 0, 1]),
        .ipv6([UInt8](repeating: 0, count: 16)),
    ]

    @Test(arguments: texts) func text(name: String) {
        for value in [Value.string("v"), .binary([0x76])] {
            #expect(http([(name, value)]) == ["kind": "http", name: "v"])
        }
        #expect(http([(name, .string(""))]) == ["kind": "http", name: ""])
        #expect(http([(name, .null)]) == ["kind": "http"])
        for value in Self.notText {
            if name == "client_address", value.bytes[0] > 5 { continue }
            #expect(http([(name, value)])["conflict"] == "yes", "\(value)")
        }
    }

    /// Two values are a conflict, equal ones too; NULL is no value, in whatever order.
    @Test(arguments: texts) func textTwice(name: String) {
        for value in ["v", "w", ""] {
            #expect(http([(name, .string("v")), (name, .string(value))])["conflict"] == "yes")
            #expect(http([(name, .string("")), (name, .string(value))])["conflict"] == "yes")
        }
        #expect(http([(name, .null), (name, .string("v"))]) == ["kind": "http", name: "v"])
        #expect(http([(name, .string("v")), (name, .null)]) == ["kind": "http", name: "v"])
        #expect(http([(name, .null), (name, .null)]) == ["kind": "http"])
    }

    @Test(arguments: headers) func counted(name: String) {
        func header(_ value: Value?, _ count: Value?) -> [String: String] {
            var list: [Argument] = name == "authorization" ? [] : [("authorization_count", .int64(0))]
            if let value { list.append((name, value)) }
            if let count { list.append((name + "_count", count)) }
            let forth = ask("scopecheck-http", list)
            #expect(ask("scopecheck-http", list.reversed()) == forth)
            return forth
        }
        #expect(header(.string("v"), .int64(1)) == ["kind": "http", name: "v", name + "_count": "1"])
        #expect(header(.string(""), .int64(1)) == ["kind": "http", name: "", name + "_count": "1"])
        #expect(header(.string("v"), .uint32(2)) == ["kind": "http", name: "v", name + "_count": "2"])
        // More than a count holds is still more than one.
        for count in [Value.int64(65_536), .int64(65_537), .uint64(.max)] {
            #expect(header(.string("v"), count)[name + "_count"] == "65535")
        }
        #expect(header(.null, .int64(0)) == ["kind": "http"])
        #expect(header(nil, .int64(0)) == ["kind": "http"])
        // One without the other hides something.
        let torn: [(Value?, Value?)] = [
            (.string("v"), .int64(0)), (.string(""), .int64(0)), (.string("v"), nil), (.string("v"), .null),
            (.null, .int64(1)), (nil, .int64(1)), (nil, .int64(65_536)),
        ]
        for (value, count) in torn {
            let says = header(value, count)
            #expect(says["kind"] == "http" && says["conflict"] == "yes", "\(String(describing: (value, count)))")
        }
        for value in Self.notText { #expect(header(value, .int64(1))["conflict"] == "yes", "\(value)") }
        for count in Self.notNumber + [.bool(true), .bool(false)] {
            #expect(header(.string("v"), count)["conflict"] == "yes", "\(count)")
        }
        #expect(header(.null, .null)["kind"] == (name == "authorization" ? "refused missing_fact" : "http"))
        #expect(header(nil, nil)["kind"] == (name == "authorization" ? "refused missing_fact" : "http"))
    }

    @Test(arguments: headers) func countedTwice(name: String) {
        let list: [Argument] = [(name, .string("v")), (name + "_count", .int64(1))]
        let others = name == "authorization" ? [] : [Argument("authorization_count", .int64(0))]
        for second in list { #expect(ask("scopecheck-http", others + list + [second])["conflict"] == "yes") }
        let whole = ask("scopecheck-http", others + list)
        #expect(whole["conflict"] == nil)
        for null in [Argument(name, .null), Argument(name + "_count", .null)] {
            #expect(ask("scopecheck-http", others + list + [null]) == whole)
            #expect(ask("scopecheck-http", [null] + others + list) == whole)
        }
        #expect(
            ask("scopecheck-http", others + [(name + "_count", .int64(0)), (name + "_count", .int64(0))])["conflict"]
                == "yes")
    }

    @Test func hostCount() {
        #expect(http([("host", .string("a")), ("host_count", .int64(1))]) == ["kind": "http", "host": "a"])
        #expect(http([("host", .string("a")), ("host_count", .null)]) == ["kind": "http", "host": "a"])
        for count in Self.notNumber + [.int64(0), .int64(2), .uint64(.max), .bool(true), .bool(false)] {
            #expect(http([("host", .string("a")), ("host_count", count)])["conflict"] == "yes", "\(count)")
        }
        #expect(http([("host_count", .int64(1)), ("host_count", .int64(1))])["conflict"] == "yes")
    }

    @Test func port() {
        #expect(http([("port", .int64(443))]) == ["kind": "http", "port": "443"])
        #expect(http([("port", .uint32(0))]) == ["kind": "http", "port": "0"])
        #expect(http([("port", .int64(70_000))]) == ["kind": "http", "port": "70000"])
        #expect(http([("port", .string("443"))]) == ["kind": "http", "port text": "443"])
        #expect(http([("port", .null)]) == ["kind": "http"])
        let wrong: [Value] = [.bool(true), .bool(false), .int64(-1), .int32(-443), .ipv4([0, 0, 1, 0])]
        for value in wrong { #expect(http([("port", value)])["conflict"] == "yes", "\(value)") }
        for value in wrong + [.string("443"), .string("")] {
            #expect(tcp([]).merging(ask("scopecheck-tcp", [("port", value)])) { $1 }["conflict"] == "yes", "\(value)")
        }
        let both: [Value] = [.int64(443), .string("443"), .int64(0), .string("")]
        for first in both {
            for second in both {
                #expect(http([("port", first), ("port", second)])["conflict"] == "yes", "\(first) \(second)")
            }
            #expect(http([("port", first), ("port", .null)]) == http([("port", first)]))
            #expect(http([("port", .null), ("port", first)]) == http([("port", first)]))
        }
    }

    @Test func addresses() {
        let long = [UInt8](repeating: 0x61, count: 16)
        #expect(
            http([("client_address", .ipv4([0x61, 0x62, 0x63, 0x64]))]) == [
                "kind": "http", "client_address": "abcd", "form": "ipv4",
            ])
        #expect(http([("client_address", .ipv6(long))])["form"] == "ipv6")
        #expect(tcp([("client_address", .ipv6(long))])["client_address"] == String(repeating: "a", count: 16))
        #expect(tcp([("client_address", .string("::1"))])["client_address"] == "::1")
        #expect(tcp([("client_address", .null)]) == emptyTCP)
        for value in [Value.int64(1), .bool(true), .bool(false), .uint32(0)] {
            #expect(http([("client_address", value)])["conflict"] == "yes")
            #expect(tcp([("client_address", value)])["conflict"] == "yes")
        }
        let each: [Value] = [.ipv4([1, 2, 3, 4]), .ipv6(long), .string("::1"), .string("")]
        for first in each {
            for second in each {
                #expect(http([("client_address", first), ("client_address", second)])["conflict"] == "yes")
            }
            #expect(http([("client_address", first), ("client_address", .null)]) == http([("client_address", first)]))
        }
    }

    @Test func certificates() {
        let list: [Argument] = [
            ("certificate", .binary([0x30, 0x31])), ("certificate_used", .bool(true)),
            ("certificate_verify", .int64(0)),
        ]
        let said = ["certificate": "01", "certificate_used": "yes", "certificate_verify": "0"]
        #expect(http(list) == said.merging(["kind": "http"]) { $1 })
        #expect(
            ask("scopecheck-tcp", list + [("port", .int64(9_443))])
                == said.merging(["kind": "tcp", "port": "9443"]) { $1 })
        #expect(http([("certificate_used", .int64(1))])["certificate_used"] == "yes")
        #expect(http([("certificate_used", .int64(0))]) == ["kind": "http"])
        #expect(http([("certificate_verify", .int64(20))])["certificate_verify"] == "20")
        #expect(
            http([("certificate_verify", .null), ("certificate_used", .null), ("certificate", .null)]) == [
                "kind": "http"
            ])
        let wrongNumbers = Self.notNumber
        for value in wrongNumbers + [.int64(2), .uint64(.max)] {
            #expect(http([("certificate_used", value)])["conflict"] == "yes", "\(value)")
            #expect(ask("scopecheck-tcp", [("certificate_used", value)])["conflict"] == "yes", "\(value)")
        }
        for value in wrongNumbers + [.bool(true), .bool(false)] {
            #expect(http([("certificate_verify", value)])["conflict"] == "yes", "\(value)")
        }
        for one in list {
            #expect(http(list + [one])["conflict"] == "yes", "\(one.name)")
            #expect(tcp(list + [one])["conflict"] == "yes", "\(one.name)")
        }
        #expect(http([("certificate_used", .bool(false)), ("certificate_used", .bool(true))])["conflict"] == "yes")
    }

    @Test func connections() {
        #expect(tcp([]) == emptyTCP)
        #expect(tcp([("request_id", .string("6f"))]) == emptyTCP.merging(["request_id": "6f"]) { $1 })
        #expect(tcp([("request_id", .int64(6))])["conflict"] == "yes")
        #expect(tcp([("request_id", .string("")), ("request_id", .string(""))])["conflict"] == "yes")
        // Arguments of requests are none here.
        #expect(
            tcp([("method", .string("GET")), ("method", .string("GET")), ("authorization", .string("x"))]) == emptyTCP)
        let all: [Argument] = [
            ("port", .int64(1)), ("certificate_used", .bool(false)), ("certificate_verify", .int64(0)),
        ]
        for missing in all {
            let rest = all.filter { $0.name != missing.name }
            #expect(ask("scopecheck-tcp", rest) == ["kind": "refused missing_fact"])
            #expect(ask("scopecheck-tcp", rest + [(missing.name, .null)]) == ["kind": "refused missing_fact"])
            #expect(ask("scopecheck-tcp", all + [missing])["conflict"] == "yes")
        }
    }

    /// A denial either way; but the log should name what is wrong, not what is missing beside it.
    @Test func aConflictIsSaidBeforeWhatIsMissing() {
        #expect(ask("scopecheck-http", [("method", .string("GET")), ("method", .string("PUT"))])["conflict"] == "yes")
        #expect(ask("scopecheck-tcp", [("certificate_used", .int64(2))])["conflict"] == "yes")
    }

    @Test func unknownNamesAreIgnored() {
        let names = [
            "", "x", "Method", "METHOD", "method ", "metho", "methods", "methox", "hosT", "porT", "patH", "dpoP",
            "Target",
            "schemE", "origiN", "cookiE", "request-id", "host-count", "dpop-count", "originscount", "cookie-count",
            "authorizatioN", "client-address", "websocket-protocol", "certificate_verifY", "authorization-count",
            "websocket_protocol-count", "access_control_request-method", "access_control_request_method-count",
            "certificate_useD", "certificatE", "sc_method",
        ]
        for name in names {
            for value in [Value.string("v"), .int64(-1), .bool(true), .ipv4([1, 2, 3, 4]), .null] {
                #expect(http([(name, value), (name, value)]) == ["kind": "http"], "`\(name)`")
                #expect(tcp([(name, value), (name, value)]) == emptyTCP, "`\(name)`")
            }
        }
    }
}
