import Octets
import Signatures
import Testing

@testable import Tokens

/// Status list tokens (draft-ietf-oauth-status-list §5 and §8.3).
@Suite struct StatusListTests {
    static let uri = "https://status.example.com/lists/7"

    /// A status list token in whose claims members can be changed.
    static func listToken(
        _ changes: KeyValuePairs<String, String?> = [:], header head: KeyValuePairs<String, String?> = [:],
        signedBy key: PrivateJWK = TestKeys.es256
    ) throws -> [UInt8] {
        var members: [(String, String)] = [
            ("sub", "\"\(uri)\""), ("iat", "1699999990"), ("exp", "1700003600"), ("ttl", "600"),
            ("status_list", "{\"bits\":1,\"lst\":\"eNrbuRgAAhcBXQ\"}"),
        ]
        for (name, value) in changes {
            members.removeAll { $0.0 == name }
            if let value { members.append((name, value)) }
        }
        let text = "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
        var parts: [(String, String)] = [
            ("alg", "\"\(key.algorithm.name)\""), ("typ", "\"statuslist+jwt\""), ("kid", "\"\(key.keyID)\""),
        ]
        for (name, value) in head {
            parts.removeAll { $0.0 == name }
            if let value { parts.append((name, value)) }
        }
        let headerText = "{" + parts.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
        return try token(bytes(text), header: bytes(headerText), signedBy: key)
    }

    static func read(
        _ token: [UInt8], uri: String = uri, _ issuer: IssuerKeys = snapshot().issuers[0], now: Int64 = now,
        listBytesMax: Int = 16 << 20
    ) throws(StatusListError) -> StatusList {
        let uri = bytes(uri)
        return try StatusList.read(token.span, uri: uri.span, issuer: issuer, now: now, listBytesMax: listBytesMax)
    }

    static func isRead(_ changes: KeyValuePairs<String, String?>, now: Int64 = now) throws -> Bool {
        let made = try listToken(changes)
        return (try? read(made, now: now)) != nil
    }

    static func isRead(header: KeyValuePairs<String, String?>, signedBy key: PrivateJWK = TestKeys.es256) throws -> Bool
    {
        let made = try listToken(header: header, signedBy: key)
        return (try? read(made)) != nil
    }

    static func list(_ bits: String, _ data: String) throws -> StatusList {
        try read(listToken(["status_list": "{\"bits\":\(bits),\"lst\":\"\(data)\"}"]))
    }

    static func statuses(_ list: StatusList, _ count: UInt64) -> [UInt8?] { (0..<count).map { list.status(at: $0) } }

    /// The draft's own lists, §4.1 and §4.2: `b9 a3` at one bit, `c9 44 f9` at two.
    @Test func publishedLists() throws {
        let one = try Self.list("1", "eNrbuRgAAhcBXQ")
        #expect(Self.statuses(one, 17) == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1, nil])
        let two = try Self.list("2", "eNo76fITAAPfAgc")
        #expect(Self.statuses(two, 13) == [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3, nil])
        // The same bytes at four and at eight bits: low half first.
        #expect(Self.statuses(try Self.list("4", "eNo76fITAAPfAgc"), 7) == [9, 12, 4, 4, 9, 15, nil])
        #expect(Self.statuses(try Self.list("8", "eNo76fITAAPfAgc"), 4) == [0xC9, 0x44, 0xF9, nil])
        #expect(one.byteCount == 2 && two.byteCount == 3)
        for index in [1 << 31, 1 << 61, UInt64.max - 7, .max] as [UInt64] {
            #expect(one.status(at: index) == nil && two.status(at: index) == nil)
        }
    }

    /// The draft's test vectors (appendix on test vectors), 2^20 statuses each.
    @Test func publishedVectors() throws {
        let marked: [UInt64: (one: UInt8, two: UInt8)] = [
            0: (1, 1), 1_993: (1, 2), 25_460: (1, 1), 159_495: (1, 3), 495_669: (1, 1), 554_353: (1, 1),
            645_645: (1, 2), 723_232: (1, 1), 854_545: (1, 1), 934_534: (1, 2), 1_000_345: (1, 3),
        ]
        let one = try Self.list("1", Self.vectorOfOneBit)
        let two = try Self.list("2", Self.vectorOfTwoBits)
        #expect(one.byteCount == 1 << 17 && two.byteCount == 1 << 18)
        for index in 0..<UInt64(1 << 20) {
            let expected = marked[index] ?? (0, 0)
            guard one.status(at: index) == expected.one, two.status(at: index) == expected.two else {
                Issue.record("status \(index)")
                return
            }
        }
        #expect(one.status(at: 1 << 20) == nil && two.status(at: 1 << 20) == nil)
    }

    @Test func digestsAndTimes() throws {
        func times(_ changes: KeyValuePairs<String, String?>) throws -> [Int64] {
            let list = try Self.read(Self.listToken(changes))
            let (place, issuer) = (bytes(Self.uri), snapshot().issuers[0].settings.issuer)
            #expect(list.key == StatusReference.listKey(uri: place.span, issuer: issuer.span))
            return [list.refreshAt - now, list.expiresAt - now]
        }
        #expect(try times([:]) == [600, 3_600])
        #expect(try times(["ttl": nil]) == [300, 3_600])
        #expect(try times(["ttl": "1"]) == [1, 3_600])
        #expect(try times(["ttl": "7200"]) == [3_600, 3_600])
        #expect(try times(["ttl": "60.5"]) == [60, 3_600])
        // Without `exp`: twice as long as until the next fetch, ten minutes at the least.
        #expect(try times(["exp": nil]) == [600, 1_200])
        #expect(try times(["exp": nil, "ttl": nil]) == [300, 600])
        #expect(try times(["exp": nil, "ttl": "1"]) == [1, 600])
        // Never longer than a day.
        #expect(try times(["exp": nil, "ttl": "9007199254740992"]) == [86_400, 86_400])
        #expect(try times(["exp": "2291720170", "ttl": "43200"]) == [43_200, 86_400])
        #expect(try times(["exp": "9007199254740992", "ttl": "100000"]) == [86_400, 86_400])
        #expect(try times(["exp": "\(now + 1)"]) == [1, 1])
    }

    @Test func claimsThatAreChecked() throws {
        for change in [
            ["sub": nil], ["sub": "5"], ["sub": "\"\(Self.uri)/\""], ["sub": "\"\(Self.uri.dropLast())\""],
            ["sub": "[\"\(Self.uri)\"]"], ["iss": "\"\(otherIssuerName)\""], ["iss": "5"], ["iss": "null"],
            ["iat": nil], ["iat": "\"1\""], ["iat": "0"], ["iat": "\(now + 301)"], ["nbf": "\(now + 1)"],
            ["nbf": "true"],
            ["exp": "\(now)"], ["exp": "1"], ["exp": "\"1800000000\""], ["exp": "1e99"],
            ["ttl": "0"], ["ttl": "-1"], ["ttl": "\"600\""], ["ttl": "null"], ["ttl": "0.5"], ["ttl": "1e99"],
            ["status_list": nil], ["status_list": "[]"], ["status_list": "null"], ["status_list": "{}"],
            ["x": "1,\"x\":2"],
        ] as [KeyValuePairs<String, String?>] {
            #expect(try !Self.isRead(change), "\(change)")
        }
        for change in [
            [:], ["iss": "\"\(issuerName)\""], ["iat": "\(now + 300)"], ["iat": "1"], ["nbf": "\(now)"],
            ["sub": "\"https:\\/\\/status.example.com/lists/7\""], ["more": "{}"],
        ] as [KeyValuePairs<String, String?>] {
            #expect(try Self.isRead(change), "\(change)")
        }
    }

    @Test(arguments: [
        ("0", "eNrbuRgAAhcBXQ"), ("3", "eNrbuRgAAhcBXQ"), ("16", "eNrbuRgAAhcBXQ"), ("-1", "eNrbuRgAAhcBXQ"),
        ("1.0", "eNrbuRgAAhcBXQ"), ("1e0", "eNrbuRgAAhcBXQ"), ("\"1\"", "eNrbuRgAAhcBXQ"), ("null", "eNrbuRgAAhcBXQ"),
        ("true", "eNrbuRgAAhcBXQ"), ("[1]", "eNrbuRgAAhcBXQ"),
        // Padding, another alphabet, white space, other trailing bits, an escape.
        ("1", "eNrbuRgAAhcBXQ=="), ("1", "eNrbuRgAAhcBXQ="), ("1", "eNrb+RgAAhcBXQ"), ("1", "eNrbuRgAAhcBXQ\\n"),
        ("1", "eNrbuRgAAhcBXR"), ("1", "eNrbuRgAAhcBX\\u0051"),
        // Not inflated: nothing, a short one, a wrong checksum, bytes behind it, raw DEFLATE, gzip.
        ("1", ""), ("1", "eNrbuRgAAhcB"), ("1", "eNrbuRgAAhcBXA"), ("1", "eNrbuRgAAhcBXQA"), ("1", "27kYAA"),
        ("1", "H4sIAMo_jGQC_9u5GABc9QE7AgAAAA"),
    ])
    func listsThatCannotBeRead(_ bits: String, _ data: String) throws {
        let value = "{\"bits\":\(bits),\"lst\":\"\(data)\"}"
        #expect(try !Self.isRead(["status_list": value]))
        for value in [
            "{\"bits\":1}", "{\"lst\":\"eNrbuRgAAhcBXQ\"}", "{\"bits\":1,\"lst\":5}", "{\"bits\":1,\"lst\":[]}",
        ] {
            #expect(try !Self.isRead(["status_list": value]))
        }
    }

    @Test func headers() throws {
        for name in ["statuslist+jwt", "StatusList+JWT", "application/statuslist+jwt"] {
            #expect(try Self.isRead(header: ["typ": "\"\(name)\""]))
        }
        for change in [
            ["typ": nil], ["typ": "\"JWT\""], ["typ": "\"at+jwt\""], ["typ": "\"token-introspection+jwt\""],
            ["typ": "\"statuslist+cwt\""], ["typ": "5"], ["alg": "\"none\""], ["alg": "\"HS256\""],
            ["alg": "\"RS256\""], ["crit": "[\"x\"]"], ["cty": "\"JWT\""], ["kid": "\"e2\""],
        ] as [KeyValuePairs<String, String?>] {
            #expect(try !Self.isRead(header: change), "\(change)")
        }
        #expect(try Self.isRead(header: [:], signedBy: TestKeys.rs256))
        #expect(try !Self.isRead(header: [:], signedBy: TestKeys.foreignES256))
        #expect(try !Self.isRead(header: [:], signedBy: TestKeys.es384))
    }

    @Test func issuersAndURIs() throws {
        let made = try Self.listToken()
        #expect(throws: StatusListError.self) { try Self.read(made, uri: Self.uri + "/") }
        #expect(throws: StatusListError.self) { try Self.read(made, uri: "") }
        // The other issuer has a key of the same name.
        #expect(throws: StatusListError.self) { try Self.read(made, snapshot().issuers[1]) }
        let theirs = try Self.listToken(signedBy: TestKeys.foreignES256)
        #expect(try Self.read(theirs, snapshot().issuers[1]).status(at: 0) == 1)
        for status in [IssuerKeys.Status.stale, .unavailable] {
            let issuer = IssuerKeys(settings: settings(), keys: usualKeys, status: status)
            #expect(throws: StatusListError.self) { try Self.read(made, issuer) }
        }
        #expect(throws: StatusListError.self) { try Self.read(made, IssuerKeys(settings: settings(), keys: nil)) }
        let onlyRSA = IssuerKeys(settings: settings(algorithms: [.rs256]), keys: usualKeys)
        #expect(throws: StatusListError.self) { try Self.read(made, onlyRSA) }
    }

    @Test func bounds() throws {
        let made = try Self.listToken()
        #expect(try Self.read(made, listBytesMax: 2).byteCount == 2)
        #expect(throws: StatusListError.self) { try Self.read(made, listBytesMax: 1) }
        for count in made.indices {
            #expect((try? Self.read(Array(made.prefix(count)))) == nil)
        }
        #expect((try? Self.read(made + bytes("\n"))) == nil)
        // A megabyte of zeros in a kilobyte.
        let vector = try #require(inflateVectors.first { $0.name == "1 MiB of zeros" })
        let list = "{\"bits\":1,\"lst\":\"\(vector.text)\"}"
        let large = try Self.listToken(["status_list": list])
        #expect(try Self.read(large, listBytesMax: 1 << 20).status(at: 8 << 20 - 1) == 0)
        #expect(throws: StatusListError.self) { try Self.read(large, listBytesMax: 1 << 20 - 1) }
        // Longer than any access token, up to the limit of its own.
        let long = try Self.listToken(["more": "\"\(String(repeating: "x", count: 100_000))\""])
        #expect(try Self.read(long).byteCount == 2)
        let tooLong = [UInt8](repeating: 0x61, count: StatusList.tokenBytesMax + 1)
        #expect(throws: StatusListError("the status list is not taken: token_too_large")) { try Self.read(tooLong) }
        // It is no access token, under any profile.
        #expect(outcome(made) == "token_type_mismatch" && outcome(made, compat) == "token_type_mismatch")
    }

    private static let vectorOfOneBit = """
        eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAA\
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAA\
        AJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb
        """

    private static let vectorOfTwoBits = """
        eNrt2zENACEQAEEuoaBABP5VIO01fCjIHTMStt9ovGVIAAAAAABAbiEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEB5\
        WwIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
        AAAAAAAAAID0ugQAAAAAAAAAAAAAAAAAQG12SgAAAAAAAAAAAAAAAAAAAAAAAAAAAOCSIQEAAAAAAAAAAAAAAAAAAAAAAAD8ExIA\
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwJEuAQAAAAAAAAAAAAAAAAAAAAAAAMB9SwIAAAAAAAAAAAAAAAAAAACoYUoA\
        AAAAAAAAAAAAAEBqH81gAQw
        """
}
