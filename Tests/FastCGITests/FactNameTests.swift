import Decision
import FastCGI
import Octets
import Testing

/// Which parameters become which facts.
@Suite struct FactNameTests {
    /// The facts of a request with these parameters, by name; absent ones are missing.
    private func facts(_ list: [([UInt8], [UInt8])], _ profile: FactProfile) throws -> [String: String] {
        let content = list.flatMap { pair($0.0, $0.1) }
        var connection = FastCGIConnection()
        var buffer = ReceiveBuffer(capacity: connection.limits.bufferBytes)
        var output = ByteWriter(capacity: 8_192)
        _ = buffer.append((begin(role: 2) + params(content)).span)
        guard case .request(let request) = connection.next(&buffer, output: &output) else {
            Issue.record("no request")
            return [:]
        }
        let facts = request.facts(in: buffer.bytes, profile: profile)
        var result: [String: String] = facts.conflict ? ["conflict": "yes"] : [:]
        let places: [(String, ByteRange)] = [
            ("method", facts.method), ("target", facts.target), ("path", facts.normalizedPath),
            ("host", facts.host), ("scheme", facts.scheme), ("port", facts.port),
            ("address", facts.clientAddress), ("id", facts.requestID),
            ("certificate", facts.clientCertificate), ("authorization", facts.authorization),
            ("dpop", facts.dpop), ("origin", facts.origin), ("acrm", facts.accessControlRequestMethod),
            ("cookie", facts.cookie), ("protocol", facts.webSocketProtocol),
        ]
        for (name, place) in places where place.isPresent {
            result[name] = String(lossy: buffer.bytes.bytes(at: place))
        }
        let counts: [(String, UInt16)] = [
            ("authorization#", facts.authorizationCount), ("dpop#", facts.dpopCount),
            ("origin#", facts.originCount), ("acrm#", facts.accessControlRequestMethodCount),
            ("cookie#", facts.cookieCount), ("protocol#", facts.webSocketProtocolCount),
        ]
        for (name, count) in counts where count > 1 { result[name] = String(count) }
        return result
    }

    private func facts(_ list: [(String, String)], _ profile: FactProfile) throws -> [String: String] {
        try facts(list.map { (Array($0.0.utf8), Array($0.1.utf8)) }, profile)
    }

    static let client: [(String, String, String)] = [
        ("HTTP_AUTHORIZATION", "authorization", "Bearer t"), ("HTTP_DPOP", "dpop", "p"),
        ("HTTP_ORIGIN", "origin", "https://o"), ("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "acrm", "PUT"),
        ("HTTP_COOKIE", "cookie", "a=b"), ("HTTP_SEC_WEBSOCKET_PROTOCOL", "protocol", "a, b"),
    ]
    static let scopecheck: [(String, String, String)] = [
        ("SC_METHOD", "method", "GET"), ("SC_TARGET", "target", "/x?y"), ("SC_PATH", "path", ""),
        ("SC_HOST", "host", "h"), ("SC_SCHEME", "scheme", "https"), ("SC_PORT", "port", "443"),
        ("SC_CLIENT_ADDRESS", "address", "::1"), ("SC_REQUEST_ID", "id", "r"),
        ("SC_CLIENT_CERTIFICATE", "certificate", ""),
    ]
    /// As Apache 2.4.71 sends them, in its order.
    static let apache: [(String, String)] = [
        ("HTTP_HOST", "Api.Example.COM:8443"), ("HTTP_AUTHORIZATION", "Bearer t"), ("SERVER_SIGNATURE", ""),
        ("SERVER_SOFTWARE", "Apache/2.4.71 (Debian)"), ("SERVER_NAME", "api.example.com"),
        ("SERVER_ADDR", "127.0.0.1"), ("SERVER_PORT", "19091"), ("REMOTE_ADDR", "127.0.0.9"),
        ("REQUEST_SCHEME", "http"), ("SERVER_ADMIN", "[no address given]"), ("REMOTE_PORT", "48358"),
        ("SERVER_PROTOCOL", "HTTP/1.1"), ("REQUEST_METHOD", "GET"), ("QUERY_STRING", "q=%41"),
        ("REQUEST_URI", "/x?q=%41"), ("FCGI_ROLE", "AUTHORIZER"), ("HTTP_CONNECTION", "close"),
    ]
    static let apacheFacts = [
        "method": "GET", "target": "/x?q=%41", "host": "api.example.com", "scheme": "http", "port": "19091",
        "address": "127.0.0.9", "authorization": "Bearer t",
    ]

    @Test func everyNameOfProfileScopecheck() throws {
        let all = Self.scopecheck + Self.client
        let expected = Dictionary(uniqueKeysWithValues: all.map { ($0.1, $0.2) })
        #expect(try facts(all.map { ($0.0, $0.2) }, .scopecheck) == expected)
        #expect(try facts(all.reversed().map { ($0.0, $0.2) }, .scopecheck) == expected)
    }

    @Test func profileCGIReadsWhatApacheSends() throws {
        #expect(try facts(Self.apache, .cgi) == Self.apacheFacts)
        #expect(try facts(Self.client.map { ($0.0, $0.2) }, .cgi).count == Self.client.count)
    }

    @Test func aProfileReadsNoNameOfTheOther() throws {
        #expect(try facts(Self.apache, .scopecheck) == ["authorization": "Bearer t"])
        #expect(try facts(Self.scopecheck.map { ($0.0, $0.2) }, .cgi) == [:])
        // Twice is no conflict either for names that are not read.
        let twice = Self.scopecheck + Self.scopecheck
        #expect(try facts(twice.map { ($0.0, $0.2) }, .cgi) == [:])
    }

    @Test(arguments: scopecheck)
    func aRepeatedFactIsAConflict(name: String, fact: String, value: String) throws {
        #expect(try facts([(name, value), (name, value)], .scopecheck) == [fact: value, "conflict": "yes"])
    }

    @Test(arguments: ["REQUEST_METHOD", "REQUEST_URI", "SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR"])
    func aRepeatedCGIFactIsAConflict(name: String) throws {
        #expect(try facts([(name, "a"), (name, "a")], .cgi)["conflict"] == "yes")
    }

    @Test(arguments: client)
    func aRepeatedClientHeaderIsCounted(name: String, fact: String, value: String) throws {
        let seen = try facts([(name, value), (name, "other"), (name, "")], .scopecheck)
        #expect(seen == [fact: value, fact + "#": "3"])
    }

    /// Names that a reader of C strings, or one that folds names, takes for ours.
    @Test(arguments: (scopecheck + client).map { $0.0 })
    func namesThatHideOursAreConflicts(name: String) throws {
        let ours = Array(name.utf8)
        let odd: [[UInt8]] = [
            ours + [0x3D], ours + Array("=evil".utf8), ours + [0], ours + [0, 0x41], ours + [0x20],
            ours + [0x2D, 0x41], Array(name.lowercased().utf8), ours.map { $0 == 0x5F ? 0x2D : $0 },
            ours.map { $0 == 0x5F ? 0x2E : $0 },
        ]
        for spelling in odd {
            #expect(try facts([(spelling, [0x78])], .scopecheck) == ["conflict": "yes"], "\(spelling)")
        }
    }

    @Test(arguments: (scopecheck + client).map { $0.0 })
    func namesThatOnlyBeginLikeOursAreIgnored(name: String) throws {
        let ours = Array(name.utf8)
        for spelling in [ours + [0x5F], ours + [0x32], ours + Array("_X".utf8), Array(ours.dropLast())] {
            // SC_CLIENT_… and the like stay unknown when cut.
            #expect(try facts([(spelling, [0x78])], .scopecheck) == [:], "\(spelling)")
        }
    }

    static let unknown = [
        "", "S", "H", "SC_", "SC_X", "SC_FORWARDS", "SC_CLIENT_X", "SC_CLIENT_", "HTTP", "HTTP_", "HTTP_A",
        "HTTP_AC", "HTTP_X=EQ", "HTTP_X\0Y", "X_SC_METHOD", "XSC_METHOD", "HTTP_SC_METHOD", "HTTPS",
        "HTTP_PROXY", "HTTP_SEC_FETCH_MODE", "HTTP_ORIGINAL_METHOD", "REQUEST_METHOD",
    ]

    @Test(arguments: unknown)
    func unknownNamesAreIgnored(name: String) throws {
        #expect(try facts([(name, "x"), (name, "y")], .scopecheck) == [:])
    }

    static let schemes: [([(String, String)], [String: String])] = [
        ([("REQUEST_SCHEME", "https")], ["scheme": "https"]),
        ([("HTTPS", "on")], ["scheme": "HTTPS"]),
        ([("HTTPS", "1")], ["scheme": "HTTPS"]),
        ([("HTTPS", "off")], [:]),
        ([("HTTPS", "")], [:]),
        ([("HTTPS", "on"), ("REQUEST_SCHEME", "https")], ["scheme": "https"]),
        ([("REQUEST_SCHEME", "https"), ("HTTPS", "on")], ["scheme": "https"]),
        ([("REQUEST_SCHEME", "http"), ("HTTPS", "off")], ["scheme": "http"]),
        ([("REQUEST_SCHEME", "http"), ("HTTPS", "on")], ["scheme": "http", "conflict": "yes"]),
        ([("HTTPS", "on"), ("REQUEST_SCHEME", "http")], ["scheme": "HTTPS", "conflict": "yes"]),
        ([("HTTPS", "on"), ("HTTPS", "on")], ["scheme": "HTTPS", "conflict": "yes"]),
        ([("REQUEST_SCHEME", "http"), ("REQUEST_SCHEME", "http")], ["scheme": "http", "conflict": "yes"]),
        (
            [("REQUEST_SCHEME", "https"), ("REQUEST_SCHEME", "https")],
            ["scheme": "https", "conflict": "yes"]
        ),
    ]

    @Test(arguments: schemes)
    func theSchemeComesFromTwoNames(list: [(String, String)], expected: [String: String]) throws {
        #expect(try facts(list, .cgi) == expected)
    }
}
