import Decision
import Kernel
import Testing

@testable import Server

@Suite struct ConfigurationFileTests {
    private func read(_ text: String) -> Result<DaemonSettings, ConfigurationProblems> {
        ConfigurationFile.read(Array(text.utf8), file: "/etc/scopecheck/scopecheck.yaml")
    }

    @Test func whatServicesPublish() throws {
        let settings = try read(
            """
            store: store
            http: { address: "unix:/run/h.sock" }
            drift:
              every: 5m
              services:
                orders: { openapi: "https://orders.example.com/openapi.json", security: [oauth], ca_file: ca.pem }
                users: { metadata: users.json }
                bills: { openapi: bills.json, server_variables: { region: [eu, us], version: "1" } }
            """
        ).get()
        let drift = try #require(settings.drift)
        #expect(drift.everySeconds == 300)
        #expect(drift.sources.map(\.service) == ["orders", "users", "bills"])
        #expect(drift.sources.map(\.kind) == [.openAPI, .metadata, .openAPI])
        #expect(
            drift.sources.map(\.place) == [
                "https://orders.example.com/openapi.json", "/etc/scopecheck/users.json", "/etc/scopecheck/bills.json",
            ])
        #expect(drift.sources.map(\.schemes) == [["oauth"], [], []])
        #expect(drift.sources.map(\.serverVariables) == [[:], [:], ["region": ["eu", "us"], "version": ["1"]]])
        #expect(drift.sources.map(\.authorityFile) == ["/etc/scopecheck/ca.pem", nil, nil])
    }

    @Test(arguments: [
        ("stroe: /t", "2:1: error: `stroe` is not known in the configuration; did you mean `store`?"),
        ("limits: { park_timeuot: 5s }", "`park_timeuot` is not known in limits; did you mean `park_timeout`?"),
        ("http: { Address: 'unix:/a' }", "`Address` is not known in a listener; write `address`"),
        ("keys: { refres: 5m }", "did you mean `refresh`?"),
        ("drift: { services: { a: { openpai: x } } }", "did you mean `openapi`?"),
        ("limits: { surprise: 1 }", "; there are connections, request_head_bytes, "),
        // Too long for a guess, and no reason to look for one at length.
        ("keys: { \(String(repeating: "refresh", count: 100)): 1 }", "; there are refresh, cooldown, "),
    ])
    func mistypedKeys(_ text: String, _ message: String) throws {
        let result = read("store: /s\n\(text)\n")
        let problems = try #require(throws: ConfigurationProblems.self) { try result.get() }
        #expect("\(problems)".contains(message), "\(problems)")
    }

    @Test(arguments: [
        ("drift: {}", "without `services`"), ("drift: { services: [a] }", "without `services`"),
        ("drift: { every: 59s, services: {} }", "is not from 60"),
        ("drift: { services: { a: {} } }", "needs one place"),
        ("drift: { services: { a: { openapi: x, metadata: y } } }", "needs one place"),
        ("drift: { services: { a: { openapi: \"http://a.example\" } } }", "no https URL"),
        ("drift: { services: { a: { openapi: x, what: y } } }", "`what` is not known"),
        ("drift: { services: { a: { openapi: x, server_variables: [y] } } }", "must be a mapping"),
        ("drift: { services: { a: { openapi: x, server_variables: { y: [] } } } }", "names no value"),
        ("drift: { services: { a: { openapi: x, server_variables: { y: { z: 1 } } } } }", "text is expected"),
        ("drift: { services: { a: { openapi: x, server_variables: { y=z: a } } } }", "no server variable"),
        ("drift: { services: { a: { manifest: x, server_variables: { y: z } } } }", "only an OpenAPI document"),
        ("drift: { often: 1h, services: {} }", "`often` is not known"),
    ])
    func driftThatIsRefused(_ text: String, _ message: String) {
        guard case .failure(let problems) = read("store: s\nhttp: { address: \"unix:/h\" }\n\(text)\n") else {
            Issue.record("`\(text)` is taken")
            return
        }
        #expect("\(problems)".contains(message), "\(problems)")
    }

    @Test func everything() throws {
        let settings = try read(
            """
            policy: policy.yaml
            store: ../store
            store_map_bytes: 2GiB
            workers: 3
            fastcgi:
              - { address: "unix:/run/a.sock", mode: "0660", group: root, engine: libfcgi }
              - { address: "127.0.0.1:9000", profile: cgi }
            http: { address: "unix:http.sock", owner: root, peers: [root, "1234"], profile: cgi }
            admin: { address: "unix:/run/admin.sock" }
            limits:
              connections: 99
              request_head_bytes: 2048
              params_bytes: 4096
              receive_timeout: 250ms
              send_timeout: 2s
              idle_timeout: 1m
              drain_timeout: 1h
              park_timeout: 100ms
            token_cache: { entries: 5000 }
            keys: { refresh: 5m, cooldown: 10s, max_stale: 12h, timeout: 3s, ca_file: ca.pem }
            denial_log: { lines_per_second: 7 }
            """
        ).get()
        #expect(settings.policy == PolicyPlaces(paths: ["/etc/scopecheck/policy.yaml"]))
        #expect(settings.store == "/etc/scopecheck/../store")
        #expect(settings.storeMapBytes == 2 << 30)
        #expect(settings.workers == 3)
        #expect(settings.listeners.map(\.kind) == [.libFCGI, .fastCGI, .http])
        #expect(settings.listeners.map(\.profile) == [.scopecheck, .cgi, .cgi])
        #expect(
            settings.listeners.map(\.address.description)
                == ["unix:/run/a.sock", "127.0.0.1:9000", "unix:/etc/scopecheck/http.sock"])
        #expect(settings.listeners[0].permissions == SocketFilePermissions(mode: 0o660, groupID: 0))
        #expect(settings.listeners[2].peerUserIDs == [0, 1234])
        #expect(settings.admin?.permissions.mode == 0o600)
        #expect(settings.connectionsMax == 99)
        #expect(settings.requestHeadBytesMax == 2048)
        #expect(settings.paramsBytesMax == 4096)
        #expect(settings.receiveMilliseconds == 250)
        #expect(settings.sendMilliseconds == 2_000)
        #expect(settings.idleMilliseconds == 60_000)
        #expect(settings.drainMilliseconds == 3_600_000)
        #expect(settings.parkMilliseconds == 100)
        #expect(settings.tokenCacheEntries == 5_000)
        #expect(settings.keys.refreshSeconds == 300)
        #expect(settings.keys.cooldownSeconds == 10)
        #expect(settings.keys.staleSecondsMax == 43_200)
        #expect(settings.keys.timeoutSeconds == 3)
        #expect(settings.keys.certificateAuthorityFile == "/etc/scopecheck/ca.pem")
        #expect(settings.denialLinesPerSecond == 7)
    }

    @Test func whereServicesPublish() throws {
        func publications(_ keys: String) throws -> ListenerSettings? {
            try read("store: /s\npublications: { address: 'unix:p.sock'\(keys) }\n").get().publications
        }
        let usual = try #require(try publications(""))
        #expect(usual.address == .unix(path: "/etc/scopecheck/p.sock"))
        #expect(usual.permissions == SocketFilePermissions(mode: 0o660))
        #expect(usual.name == "publications" && usual.kind == .publications && !usual.namesPeers)
        let grouped = try #require(try publications(", mode: '0620', owner: root, group: root"))
        #expect(grouped.permissions == SocketFilePermissions(mode: 0o620, ownerID: 0, groupID: 0))
        #expect(!grouped.namesPeers, "whoever the file lets in")
        let named = try #require(try publications(", peers: ['1234']"))
        #expect(named.namesPeers && named.peerUserIDs == [1234])
        let remote = "store: /s\nallow_remote: true\npublications: { address: '0.0.0.0:9001' }\n"
        #expect(try read(remote).get().publications?.address.description == "0.0.0.0:9001")
        #expect(try read("store: /s\npublications: { address: '127.0.0.1:1' }\n").get().publications != nil)
        #expect(try read("store: /s\n").get().publications == nil)
    }

    @Test func whatIsNotSaid() throws {
        let settings = try read("store: /s\nhttp: { address: 127.0.0.1:1 }\n").get()
        #expect(settings.policy == nil)
        #expect(settings.admin == nil)
        #expect(settings.storeMapBytes == 16 << 30)
        #expect(settings.connectionsMax == 1_024)
        #expect(settings.idleMilliseconds == 75_000)
        #expect(settings.parkMilliseconds == 250)
        #expect(settings.keys.staleSecondsMax == 86_400)
        #expect(settings.keys.cooldownSeconds == 30)
        let unix = try read("store: /s\nfastcgi: { address: 'unix:/a' }\n").get().listeners[0]
        #expect(unix.permissions.mode == 0o660)
        #expect(unix.peerUserIDs.contains(0))
        #expect(unix.peerUserIDs.contains(Accounts.ownUserID))
    }

    /// The text, where the problem is, and a part of what is said.
    @Test(arguments: [
        ("", "1:1", "empty"),
        ("[a]", "1:1", "must be a mapping"),
        ("policy: p\n", "1:1", "`store` is missing"),
        ("store: /s\nstroe: /t\n", "2:1", "`stroe` is not known"),
        ("store: /s\nadmin: { address: 'unix:a', peers: [root] }\n", "2:36", "no effect here: root and"),
        ("store: /s\nadmin: { address: 'unix:a', group: root }\n", "2:36", "no effect here: root and"),
        ("store: /s\ndocuments: { address: 'unix:d', peers: [root] }\n", "2:40", "no effect here: whoever"),
        ("store: /s\nstore: /t\n", "1:1", "twice"),
        ("store: [a]\n", "1:8", "text is expected"),
        ("store: /s\nworkers: 0\n", "2:10", "from 1 to 64"),
        ("store: /s\nworkers: 65\n", "2:10", "from 1 to 64"),
        ("store: /s\nworkers: two\n", "2:10", "from 1 to 64"),
        ("store: /s\nworkers: 99999999999999999999\n", "2:10", "from 1 to 64"),
        ("store: /s\nstore_map_bytes: 16GB\n", "2:18", "no size"),
        ("store: /s\nstore_map_bytes: 9223372036854775807GiB\n", "2:18", "no size"),
        ("store: /s\nstore_map_bytes: 1\n", "2:18", "no size"),
        ("store: /s\nlimits: { park_timeout: 5 }\n", "2:25", "no duration"),
        ("store: /s\nlimits: { park_timeout: 0s }\n", "2:25", "no duration"),
        ("store: /s\nlimits: { park_timeout: -5s }\n", "2:25", "no duration"),
        ("store: /s\nlimits: { park_timeout: 5d }\n", "2:25", "no duration"),
        ("store: /s\nlimits: { park_timeout: 99999999999999999h }\n", "2:25", "no duration"),
        ("store: /s\nlimits: { park: 5s }\n", "2:11", "not known in limits"),
        ("store: /s\nlimits: 5\n", "2:9", "must be a mapping"),
        ("store: /s\nkeys: { timeout: 1500ms }\n", "2:18", "whole number of seconds"),
        ("store: /s\nallow_remote: yes\n", "2:15", "not one of the choices"),
        ("store: /s\nhttp: {}\n", "2:7", "no `address`"),
        ("store: /s\nhttp: { address: example.com:80 }\n", "2:18", "not resolved"),
        ("store: /s\nhttp: { address: 0.0.0.0:80 }\n", "2:18", "not a loopback"),
        ("store: /s\nhttp: { address: '[::]:80' }\n", "2:18", "not a loopback"),
        ("store: /s\nhttp: { address: 'unix:/a', engine: native }\n", "2:29", "`engine` is not known"),
        ("store: /s\nfastcgi: { address: 'unix:/a', engine: fast }\n", "2:40", "native or libfcgi"),
        ("store: /s\nfastcgi: { address: 'unix:/a', profile: x }\n", "2:41", "scopecheck or cgi"),
        ("store: /s\nfastcgi: { address: 'unix:/a', mode: 0888 }\n", "2:38", "no file mode"),
        ("store: /s\nfastcgi: { address: 'unix:/a', mode: -0 }\n", "2:38", "no file mode"),
        ("store: /s\nfastcgi: { address: 'unix:/a', mode: 1777 }\n", "2:38", "no file mode"),
        ("store: /s\nfastcgi: { address: 'unix:/a', owner: no-such-user }\n", "2:39", "no user"),
        ("store: /s\nfastcgi: { address: 'unix:/a', group: no-such-group }\n", "2:39", "no group"),
        ("store: /s\nfastcgi: { address: 'unix:/a', peers: [no-such-user] }\n", "2:40", "no user"),
        ("store: /s\nfastcgi: { address: 'unix:/a', peers: [] }\n", "2:39", "lists nobody"),
        ("store: /s\nfastcgi: { address: '127.0.0.1:1', mode: '0660' }\n", "2:42", "no effect on a TCP"),
        ("store: /s\nadmin: { address: 127.0.0.1:1 }\n", "2:19", "must be a unix socket"),
        ("store: /s\nadmin: { address: 'unix:/a', mode: '0666' }\n", "2:36", "lets everyone"),
        ("store: /s\nhttp: [{ address: 'unix:/a' }, { address: 'unix:/a' }]\n", "2:32", "another listener"),
        ("store: /s\nadmin: { address: 'unix:/a' }\nhttp: { address: 'unix:/a' }\n", "3:7", "another listener"),
        ("store: /s\npublication: { address: 'unix:/a' }\n", "2:1", "`publication` is not known"),
        ("store: /s\npublications: 'unix:/a'\n", "2:15", "must be a mapping"),
        ("store: /s\npublications: [{ address: 'unix:/a' }]\n", "2:15", "must be a mapping"),
        ("store: /s\npublications: {}\n", "2:15", "no `address`"),
        ("store: /s\npublications: { adress: 'unix:/a' }\n", "2:17", "`adress` is not known"),
        ("store: /s\npublications: { address: 'unix:/a', profile: cgi }\n", "2:37", "`profile` is not known"),
        ("store: /s\npublications: { address: 0.0.0.0:80 }\n", "2:26", "not a loopback"),
        ("store: /s\npublications: { address: '127.0.0.1:1', group: root }\n", "2:48", "no effect on a TCP"),
        ("store: /s\npublications: { address: 'unix:/a', peers: [] }\n", "2:44", "lists nobody"),
        ("store: /s\npublications: { address: 'unix:/a', group: no-such-group }\n", "2:44", "no group"),
        (
            "store: /s\nadmin: { address: 'unix:/a' }\npublications: { address: 'unix:/a' }\n", "3:15",
            "another listener"
        ),
        (
            "store: /s\npublications: { address: 'unix:/a' }\nhttp: { address: 'unix:/a' }\n", "3:7",
            "another listener"
        ),
        ("store: /s\npolicy_signatures: { require: 2 }\n", "2:20", "without `trusted_keys`"),
        ("store: /s\npolicy_signatures: { trusted_keys: k }\n", "2:20", "without `require`"),
        ("store: /s\npolicy_signatures: { require: 0, trusted_keys: k }\n", "2:31", "from 1 to 64"),
        ("store: /s\npolicy_signatures: { require: two, trusted_keys: k }\n", "2:31", "from 1 to 64"),
        ("store: /s\npolicy_signatures: 2\n", "2:20", "must be a mapping"),
        (
            "store: /s\npolicy: p\npolicy_signatures: { require: 1, trusted_keys: k }\n", "3:20",
            "no policy file is read"
        ),
        ("store: /s\n\thttp: x\n", "2:1", "no YAML"),
        ("store: 'x\n", "", "no YAML"),
        ("store: /s\n1: 2\n? [a]\n: b\n", "2:1", "`1` is not known"),
    ])
    func problems(_ text: String, _ place: String, _ part: String) {
        guard case .failure(let found) = read(text) else {
            Issue.record("accepted")
            return
        }
        let all = found.description
        #expect(all.contains(part), "\(all)")
        let isThere = found.problems.contains {
            "\($0)".hasPrefix("/etc/scopecheck/scopecheck.yaml:\(place)") && "\($0)".contains(part)
        }
        #expect(isThere, "\(all)")
        #expect(found.problems.allSatisfy { !$0.mend.isEmpty })
    }

    @Test func signaturesOfPolicies() throws {
        let text =
            "store: /s\npolicy_signatures: { require: 2, trusted_keys: keys/jwks.json }\nhttp: { address: 'unix:/a' }\n"
        guard case .success(let settings) = read(text) else {
            Issue.record("refused")
            return
        }
        #expect(settings.requiredSignatures == 2)
        #expect(settings.trustedKeysFile == "/etc/scopecheck/keys/jwks.json" && settings.policy == nil)
    }

    @Test func allProblemsAtOnceInOrder() {
        guard case .failure(let found) = read("workers: 0\nx: 1\nlimits: { y: 1, connections: a }\n") else {
            Issue.record("accepted")
            return
        }
        #expect(found.problems.map(\.line) == [1, 1, 2, 3, 3])
    }

    @Test func remoteAddressesAreAChoice() throws {
        let text = "store: /s\nhttp: { address: 0.0.0.0:80 }\nallow_remote: true\n"
        #expect(try read(text).get().listeners[0].address == .tcp(host: "0.0.0.0", port: 80))
        let ports = "store: /s\nhttp: [{ address: '127.0.0.1:0' }, { address: '127.0.0.1:0' }]\n"
        #expect(try read(ports).get().listeners.count == 2)
    }

    @Test func aLongSocketPathIsToldBeforeItIsBound() {
        let name = String(repeating: "x", count: 100)
        guard case .failure(let found) = read("store: /s\nhttp: { address: 'unix:\(name)' }\n") else {
            Issue.record("accepted")
            return
        }
        #expect(found.description.contains("use a shorter path"))
    }

    @Test func notUTF8AndManyProblems() {
        let bytes: [UInt8] = Array("store: ".utf8) + [0xFF, 0x0A]
        guard case .failure = ConfigurationFile.read(bytes, file: "f") else {
            Issue.record("accepted")
            return
        }
        let many = "store: /s\n" + (0..<5_000).map { "k\($0): 1\n" }.joined()
        guard case .failure(let found) = read(many) else {
            Issue.record("accepted")
            return
        }
        #expect(found.problems.count == 100)
    }

    @Test func missingFile() {
        #expect(throws: SystemError.self) { try ConfigurationFile.read("/no/such/file.yaml") }
    }
}
