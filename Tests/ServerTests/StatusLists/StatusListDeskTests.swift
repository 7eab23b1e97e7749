import Kernel
import Octets
import PolicyTables
import Signatures
import Synchronization
import Testing

@testable import Decision
@testable import Server
@testable import Tokens

/// A desk that fetches from a little server on loopback, and what it has published.
private final class Lists: Sendable {
    let server: IssuerServer
    let clock = AnchoredClock()
    let hand = HandClock()
    let kept = KeptLog()
    let key: PrivateJWK
    let desk: StatusListDesk
    private let newest: Published
    private let generation = Atomic<UInt64>(0)

    private final class Published: Sendable {
        let table = Mutex<StatusListTable?>(nil)
    }

    init(_ server: IssuerServer, trusts: Bool = true) throws {
        self.server = server
        key = try PrivateJWK(key: PrivateKey.generate(.es256), algorithm: .es256, keyID: "k")
        let newest = Published()
        self.newest = newest
        desk = StatusListDesk(
            clock: clock, log: kept.log, defaultAuthorityFile: trusts ? server.authorityFile : nil,
            nanoseconds: { [hand] in hand.nanoseconds }, ticks: false
        ) { table in newest.table.withLock { $0 = table } }
    }

    deinit { desk.stop() }

    var table: StatusListTable { newest.table.withLock { $0 } ?? .empty }

    func model(isPlain: Bool = false) -> IssuerModel {
        let origin = isPlain ? server.plain : server.secure
        var model = IssuerModel(
            issuer: origin, audiences: ["x"], keySource: .uri("\(origin)/jwks"), algorithms: [.es256])
        model.statusLists = ["\(origin)/list/", "\(origin)/redirect", "\(origin)/huge", "\(origin)/answer"]
        return model
    }

    func use(_ models: [IssuerModel], key: PrivateJWK? = nil) throws {
        let text = JWKText.set([try (key ?? self.key).publicText()])
        let keys = try KeySet.parse(jwks: text.span, algorithms: [.es256])
        let issuers = models.map {
            IssuerKeys(
                settings: IssuerSettings(
                    issuer: Array($0.issuer.utf8), audiences: [Array("x".utf8)], algorithms: [.es256]), keys: keys)
        }
        desk.use(
            models: models,
            snapshot: IssuerSnapshot(
                issuers: issuers, generation: generation.add(1, ordering: .acquiringAndReleasing).newValue),
            folder: server.folder.path)
    }

    func question(_ uri: String, issuerIndex: Int = 0, generation: UInt64? = nil) -> StatusListQuestion {
        let bytes = Array(uri.utf8)
        return StatusListQuestion(
            issuerIndex: issuerIndex, generation: generation ?? self.generation.load(ordering: .acquiring),
            list: key(uri), uri: bytes)
    }

    /// Of a list whose issuer is the origin it lies at.
    func key(_ uri: String) -> Digest {
        let issuer = Array((uri.hasPrefix(server.plain) ? server.plain : server.secure).utf8)
        let bytes = Array(uri.utf8)
        return StatusReference.listKey(uri: bytes.span, issuer: issuer.span)
    }

    /// Two bits each: 0, 1, 2, 3, and 0 twelve times more.
    func publish(_ name: String, subject: String? = nil, lifetimeSeconds: Int64 = 3_600, ttl: Int64 = 60) throws {
        try server.folder.write(
            "list_\(name)", try token(subject ?? "\(server.secure)/list/\(name)", lifetimeSeconds, ttl))
    }

    func token(_ subject: String, _ lifetimeSeconds: Int64 = 3_600, _ ttl: Int64 = 60) throws -> [UInt8] {
        var list = JSONObjectWriter()
        list.add("bits", number: 2)
        // zlib with one stored block: E4 00 00 00.
        let data: [UInt8] = [0x78, 0x01, 1, 4, 0, 0xFB, 0xFF, 0xE4, 0, 0, 0, 0x03, 0x94, 0x00, 0xE5]
        list.add("lst", string: String(decoding: Base64URL.encode(data.span), as: UTF8.self))
        var claims = JSONObjectWriter()
        claims.add("sub", string: subject)
        claims.add("iat", number: clock.nowSeconds())
        claims.add("exp", number: clock.nowSeconds() + lifetimeSeconds)
        claims.add("ttl", number: ttl)
        claims.add("status_list", json: list.text())
        return try TokenMint.token(
            claims: claims.text().span, key: key.key, algorithm: .es256, keyID: "k", type: "statuslist+jwt")
    }

    /// - Returns: whether it was asked for; nil when that never ended.
    func fetch(_ uri: String) async -> Bool? {
        let done = Counter()
        guard desk.want(question(uri), { done.add() }) else { return false }
        return await eventually { done.value == 1 } ? true : nil
    }

    func list(_ uri: String) -> StatusList? {
        table.list(key(uri))
    }

    /// Lets wall time go on.
    func advance(seconds: Int64) {
        let reading = ClockReading.now()
        let behind = clock.nowSeconds() - reading.realtimeNanoseconds / 1_000_000_000
        _ = clock.observe(
            ClockReading(
                realtimeNanoseconds: reading.realtimeNanoseconds + (behind + seconds) * 1_000_000_000,
                boottimeNanoseconds: reading.boottimeNanoseconds))
        hand.advance(milliseconds: seconds * 1_000)
    }
}

@Suite struct StatusListDeskTests {
    let server: IssuerServer
    private let lists: Lists
    private let uri: String

    init() throws {
        server = try IssuerServer()
        lists = try Lists(server)
        uri = "\(server.secure)/list/1"
        try lists.publish("1")
        try lists.use([lists.model()])
    }

    @Test func fetchesAndPublishes() async throws {
        #expect(await lists.fetch(uri) == true)
        let list = try #require(lists.list(uri))
        #expect((0..<4).map { list.status(at: $0) } == [0, 1, 2, 3])
        #expect(list.status(at: 16) == nil)
        #expect(server.requests.first?.header("accept") == "application/statuslist+jwt")
        #expect(server.requests.first?.hasPrefix("GET /list/1 ") == true)
        let status = try #require(lists.desk.status.first)
        #expect(status.state == "usable")
        #expect(status.uri == uri)
        #expect(status.lastError == nil)
    }

    @Test(arguments: [
        ("wrong", "`sub`"), ("old", "expired"), ("garbage", ""), ("none", "answered 404"), ("forged", ""),
    ])
    func listsThatCannotBeUsed(_ name: String, _ part: String) async throws {
        try lists.publish("wrong", subject: uri)
        try lists.publish("old", lifetimeSeconds: -600)
        try server.folder.write("list_garbage", "garbage")
        let forged = try Lists(server)
        try forged.publish("forged")
        let place = "\(server.secure)/list/\(name)"
        #expect(await lists.fetch(place) == true)
        #expect(lists.table.lists.isEmpty)
        let error = try #require(lists.desk.status.first?.lastError)
        #expect(part.isEmpty || error.contains(part), "\(error)")
        #expect(lists.kept.count("status_list_not_fetched") == 1)

        // A cooldown by time alone.
        #expect(await lists.fetch(place) == false)
        lists.hand.advance(milliseconds: 9_999)
        #expect(await lists.fetch(place) == false)
        #expect(server.hits("/list/\(name)") == 1)
        lists.hand.advance(milliseconds: 1)
        #expect(await lists.fetch(place) == true)
        #expect(server.hits("/list/\(name)") == 2)
        #expect(lists.kept.count("status_list_not_fetched") == 1, "the same again is not told again")
    }

    @Test(arguments: [("/redirect", "answered 302"), ("/huge", "more than 4194304 bytes"), ("/answer", "another type")])
    func badReplies(_ path: String, _ part: String) async throws {
        if path == "/huge" { try server.answer("", type: "application/statuslist+jwt") }
        #expect(await lists.fetch(server.secure + path) == true)
        #expect(lists.desk.status.first?.lastError?.contains(part) == true)
        #expect(server.hits("/answer") == (path == "/answer" ? 1 : 0))
    }

    @Test func outsideThePolicysPlaces() async throws {
        for path in ["/other/1", "/list/../other", "/list/%2e%2e/other", "/list/1#a", "/answer/1"] {
            #expect(await lists.fetch(server.secure + path) == false)
            #expect(await lists.fetch(server.plain + path) == false)
        }
        #expect(server.requests.isEmpty)
        #expect(lists.desk.status.isEmpty)
    }

    @Test func certificatesAreChecked() async throws {
        let distrustful = try Lists(server, trusts: false)
        try distrustful.use([distrustful.model()])
        #expect(await distrustful.fetch(uri) == true)
        #expect(distrustful.table.lists.isEmpty)
        #expect(server.requests.isEmpty)
    }

    @Test func onlyQuestionsOfThePresentPolicy() {
        let foreign = StatusListQuestion(
            issuerIndex: 0, generation: 1, list: sha256([1].span), uri: Array(uri.utf8))
        for question in [
            foreign, lists.question(uri, issuerIndex: 1), lists.question(uri, issuerIndex: -1),
            lists.question(uri, generation: 9),
        ] {
            let isAsked = lists.desk.want(question) {}
            #expect(!isAsked)
        }
        #expect(server.requests.isEmpty)
    }

    @Test func oneFetchForAllWhoWait() async throws {
        var model = lists.model()
        model.statusLists = ["\(server.secure)/held"]
        try lists.use([model])
        let place = "\(server.secure)/held"
        try server.answer(
            String(decoding: try lists.token(place), as: UTF8.self), type: "application/statuslist+jwt")
        let done = Counter()
        for _ in 0..<50 {
            let isUnderWay = lists.desk.want(lists.question(place)) { done.add() }
            #expect(isUnderWay)
        }
        let isAsked = await eventually { [server] in server.hits("/held") == 1 }
        #expect(isAsked)
        try server.release()
        #expect(await eventually { done.value > 0 })
        #expect(lists.list(place) != nil, "it is there before those who wait are told")
        // Whoever decided before it came is woken at once.
        #expect(await lists.fetch(place) == true)
        #expect(server.hits("/held") == 1)
        #expect(done.value == 1)
    }

    @Test func refreshedWhileItIsWanted() async throws {
        #expect(await lists.fetch(uri) == true)
        lists.desk.tick()
        let first = try #require(lists.list(uri))
        lists.advance(seconds: 61)
        try lists.publish("1")
        lists.desk.tick()
        lists.desk.tick()
        let isNew = await eventually { [lists, uri] in lists.list(uri) !== first }
        #expect(isNew)
        #expect(server.hits("/list/1") == 2)
        #expect(lists.list(uri) != nil)
    }

    @Test func notRefreshedWhenNobodyWantsIt() async throws {
        try lists.publish("1", lifetimeSeconds: 80_000)
        #expect(await lists.fetch(uri) == true)
        lists.advance(seconds: 3_600)
        lists.desk.tick()
        try? await Task.sleep(nanoseconds: 200_000_000)
        #expect(server.hits("/list/1") == 1)
        #expect(lists.list(uri) != nil)
    }

    /// Decisions that have the list ask for nothing.
    @Test func refreshedWhileItIsUsed() async throws {
        try lists.publish("1", lifetimeSeconds: 80_000)
        #expect(await lists.fetch(uri) == true)
        for round in 1...3 {
            let present = try #require(lists.list(uri))
            present.noteUse()
            lists.advance(seconds: 1_800)
            lists.desk.tick()
            let isNew = await eventually { [lists, uri] in lists.list(uri) !== present }
            #expect(isNew, "\(round)")
        }
    }

    @Test func anOlderListIsNotTaken() async throws {
        let old = try lists.token("\(server.secure)/list/1", 80_000)
        lists.advance(seconds: 5)
        try lists.publish("1", lifetimeSeconds: 80_000)
        #expect(await lists.fetch(uri) == true)
        let present = try #require(lists.list(uri))
        try server.folder.write("list_1", old)
        lists.advance(seconds: 61)
        lists.desk.tick()
        let isRefused = await eventually { [lists] in lists.desk.status.first?.lastError?.contains("older") ?? false }
        #expect(isRefused)
        #expect(lists.list(uri) === present)
    }

    @Test func theLastGoodListIsKeptUntilItExpires() async throws {
        // Longer than the test may take on a busy machine.
        try lists.publish("1", lifetimeSeconds: 20_000)
        #expect(await lists.fetch(uri) == true)
        try server.folder.write("list_1", "garbage")
        lists.advance(seconds: 61)
        lists.desk.tick()
        let hasFailed = await eventually { [lists] in lists.desk.status.first?.lastError != nil }
        #expect(hasFailed)
        #expect(lists.list(uri) != nil)
        #expect(lists.desk.status.first?.state == "usable")
        lists.desk.tick()
        #expect(server.hits("/list/1") == 2, "not again within the cooldown")
        lists.advance(seconds: 19_940)
        #expect(lists.desk.status.first?.state == "unavailable")
        lists.desk.tick()
        #expect(lists.list(uri) == nil)
        try lists.publish("1")
        #expect(await lists.fetch(uri) == true)
        #expect(lists.list(uri) != nil)
    }

    @Test func newKeysBringANewList() async throws {
        #expect(await lists.fetch(uri) == true)
        try lists.use([lists.model()], key: try PrivateJWK(key: PrivateKey.generate(.es256), algorithm: .es256))
        lists.advance(seconds: 11)
        lists.desk.tick()
        let hasFailed = await eventually { [lists] in lists.desk.status.first?.lastError != nil }
        #expect(hasFailed)
        #expect(server.hits("/list/1") == 2)
    }

    @Test func aPolicyWithoutThePlaceLetsItsListsGo() async throws {
        #expect(await lists.fetch(uri) == true)
        var model = lists.model()
        model.statusLists = ["\(server.secure)/elsewhere/"]
        try lists.use([model])
        let isEmpty = await eventually { [lists] in lists.table.lists.isEmpty }
        #expect(isEmpty)
        #expect(await lists.fetch(uri) == false)
    }

    @Test func fetchesAtOnceAreBounded() async throws {
        var model = lists.model(isPlain: true)
        model.statusLists = ["\(server.plain)/held/"]
        try lists.use([model])
        let done = Counter()
        for number in 0..<20 {
            let question = lists.question("\(server.plain)/held/\(number)")
            let isTaken = lists.desk.want(question) { done.add() }
            #expect(isTaken)
        }
        // All of one issuer: its share, so that others find places.
        let isAsked = await eventually { [server] in server.requests.count == StatusListDesk.fetchesOfIssuerMax }
        #expect(isAsked)
        try server.release()
        #expect(await eventually { done.value == 20 })
        #expect(server.peak == StatusListDesk.fetchesOfIssuerMax)
    }

    /// More lists than there are places: those that are waited for are never pushed out.
    @Test func stoppingWakesEverybody() async throws {
        var model = lists.model(isPlain: true)
        model.statusLists = ["\(server.plain)/held/"]
        try lists.use([model])
        let done = Counter()
        let taken = (0..<300).count { number in
            lists.desk.want(lists.question("\(server.plain)/held/\(number)")) { done.add() }
        }
        #expect(taken == 256)
        lists.desk.stop()
        #expect(await eventually { done.value == 256 })
        let isTaken = lists.desk.want(lists.question(uri)) { done.add() }
        #expect(!isTaken)
        try lists.use([lists.model()])
        #expect(lists.desk.status.isEmpty)
    }

    // MARK: the shelf

    private func entry(_ name: String, wanted: Int64, isOwed: Bool = false) throws -> (Digest, StatusListEntry) {
        let uri = Array("\(server.secure)/list/\(name)".utf8)
        var entry = StatusListEntry(uri: uri, issuer: "i", wantedMilliseconds: wanted)
        entry.isOwed = isOwed
        let keys = try KeySet.parse(
            jwks: JWKText.set([try lists.key.publicText()]).span, algorithms: [.es256])
        let issuer = IssuerKeys(
            settings: IssuerSettings(issuer: Array("i".utf8), audiences: [], algorithms: [.es256]), keys: keys)
        let token = try lists.token(String(decoding: uri, as: UTF8.self))
        entry.list = try StatusList.read(token.span, uri: uri.span, issuer: issuer, now: lists.clock.nowSeconds())
        return (entry.list?.key ?? sha256(uri.span), entry)
    }

    @Test func theLeastWantedGoesFirst() throws {
        var shelf = StatusListShelf(listsMax: 3)
        let entries = [
            try entry("a", wanted: 1, isOwed: true), try entry("b", wanted: 3), try entry("c", wanted: 2),
        ]
        for (digest, entry) in entries { shelf[digest] = entry }
        let hasPlace = shelf.makePlace()
        #expect(hasPlace)
        #expect(shelf.entries.count == 2)
        #expect(shelf[entries[2].0] == nil)
        #expect(shelf[entries[0].0] != nil, "a fetch that is under way keeps its place")
    }

    @Test func bytesAreBounded() throws {
        var shelf = StatusListShelf(bytesMax: 8)
        let entries = [try entry("a", wanted: 1), try entry("b", wanted: 3), try entry("c", wanted: 2)]
        for (digest, entry) in entries { shelf[digest] = entry }
        #expect(shelf.byteCount == 12)
        shelf.makeRoom(beside: entries[0].0)
        #expect(shelf.byteCount == 8)
        #expect(shelf[entries[2].0]?.list == nil)
        #expect(shelf[entries[0].0]?.list != nil, "the one that has just come stays")
        #expect(shelf.lists.count == 2)
    }
}
