import Policy
import PolicyTables
import Signatures
import Testing

/// What services have published stays when the policy's own files are applied anew.
@Suite struct PublisherKeptTests {
    private static func published(_ policy: String, _ file: String = PublisherReviewTests.file()) throws -> PolicyBundle
    {
        try PublisherReviewTests.Attempt(policy).judge(file).bundle
    }

    private func kept(_ active: PolicyBundle, _ policy: String, environment: String? = nil) throws -> KeptPublications?
    {
        let file = PolicyBundle.File(name: "new.yaml", bytes: Array(policy.utf8))
        let bundle = try #require(PolicyBundle(files: [file], environment: environment))
        return try KeptPublications(of: active, in: bundle, folder: nil, now: PublisherReviewTests.now)
    }

    @Test func stays() throws {
        let policy = try PublisherReviewTests.policy()
        let active = try PublisherKeptTests.published(policy)
        let found = try #require(try kept(active, policy + "\n# changed\n"))
        #expect(found.services == ["orders"] && found.refusals.isEmpty && found.policy.model != nil)
        #expect(found.bundle.files.map(\.name) == ["new.yaml", "published/orders/routes.yaml"])
    }

    @Test func goesWithItsPublisher() throws {
        let policy = try PublisherReviewTests.policy()
        let active = try PublisherKeptTests.published(policy)
        let without = String(policy[..<(try #require(policy.firstRange(of: "publishers:"))).lowerBound])
        #expect(try kept(active, without) == nil)
        // Also when the service stands in the policy's own files now.
        let own =
            "  orders: { hosts: [o.example], issuers: [https://id.example.com], routes: [{ match: GET /, scopes: orders:read }] }"
        let taken = try PublisherReviewTests.policy(services: own)
        let taken2 = String(taken[..<(try #require(taken.firstRange(of: "publishers:"))).lowerBound])
        #expect(try kept(active, taken2) == nil)
        // With a publisher still there, nobody can say which of both is meant.
        let both = try #require(try kept(active, taken))
        #expect(both.policy.model == nil)
    }

    @Test func staysWithinItsLimits() throws {
        let policy = try PublisherReviewTests.policy()
        let active = try PublisherKeptTests.published(policy)
        for (old, new) in [
            ("[orders.example.com, shared.example.com]\n    scopes", "[shared.example.com]\n    scopes"),
            ("[\"orders:*\"]", "[\"pay:*\"]"),
        ] {
            let found = try #require(try kept(active, policy.replacing(old, new)))
            #expect(found.refusals.count == 1, "\(new)")
        }
    }

    /// A limit of time that is set later holds for what goes on without an end, or with a later one.
    @Test func staysWithinItsTime() throws {
        let policy = try PublisherReviewTests.policy()
        let limited = try PublisherReviewTests.policy("    max_ttl: 1h")
        let endless = try #require(try kept(try PublisherKeptTests.published(policy), limited))
        #expect(endless.refusals.map(\.reason) == [.timeLimit], "\(endless.refusals)")
        for (ttl, refusals) in [(3_600, [PublicationRefusal.Reason]()), (3_601, [.timeLimit])] {
            var attempt = try PublisherReviewTests.Attempt(policy)
            attempt.ttl = ttl
            let active = try attempt.judge(PublisherReviewTests.file()).bundle
            #expect(try #require(try kept(active, limited)).refusals.map(\.reason) == refusals, "\(ttl)")
        }
    }

    @Test func doesNotGoForWantOfRoom() throws {
        let policy = try PublisherReviewTests.policy()
        let active = try PublisherKeptTests.published(policy)
        let more = (1..<PolicyBundle.filesMax).map {
            PolicyBundle.File(name: "more/\($0).yaml", bytes: Array("scopecheck: 1\n".utf8))
        }
        let own = PolicyBundle.File(name: "new.yaml", bytes: Array(policy.utf8))
        let full = try #require(PolicyBundle(files: [own] + more, environment: nil))
        #expect(throws: PublicationRefusal.self) {
            try KeptPublications(of: active, in: full, folder: nil, now: PublisherReviewTests.now)
        }
    }

    @Test func nothingToKeep() throws {
        let policy = try PublisherReviewTests.policy()
        let active = try PublisherKeptTests.published(policy)
        let plain = PolicyBundle(source: Array(policy.utf8))
        #expect(try KeptPublications(of: plain, in: plain, folder: nil, now: 0) == nil)
        #expect(try KeptPublications(of: active, in: active, folder: nil, now: 0) == nil, "it brings them itself")
        #expect(try kept(active, policy, environment: "prod") == nil, "of another environment")
    }

    /// Tests of files of one's own are never passed over.
    @Test func isToldByItsWholeName() {
        #expect(PolicyBundle.isPublished("published/orders/routes.yaml"))
        #expect(PolicyBundle.isPublished("published/orders/routes.yaml", byOthersThan: "pay"))
        #expect(!PolicyBundle.isPublished("published/orders/routes.yaml", byOthersThan: "orders"))
        for own in [
            "published/orders.yaml", "published/orders/tests.yaml", "published/a/b/routes.yaml", "routes.yaml",
            "policy/published/orders/routes.yaml", "./published/orders/routes.yaml", "published//routes.yaml/x",
        ] {
            #expect(!PolicyBundle.isPublished(own), "\(own)")
        }
    }

    @Test func isKnownBesideItsFile() throws {
        let policy = try PublisherReviewTests.policy()
        let active = try PublisherKeptTests.published(policy)
        func bundle(_ text: String, name: String = "", environment: String? = nil) throws -> PolicyBundle {
            try #require(
                PolicyBundle(
                    files: [PolicyBundle.File(name: name, bytes: Array(text.utf8))], environment: environment))
        }
        let same = try bundle(policy)
        let renamed = try bundle(policy, name: "renamed.yaml")
        let changed = try bundle(policy + "\n")
        let elsewhere = try bundle(policy, name: "policy.yaml", environment: "prod")
        let more = try bundle("scopecheck: 1\n", name: "more.yaml")
        let two = try #require(PolicyBundle(files: renamed.files + more.files, environment: nil))
        #expect(active.hasPublications && active.isPublished(beside: same))
        #expect(active.isPublished(beside: renamed), "one file has no name of its own")
        for other in [changed, elsewhere, two] { #expect(!active.isPublished(beside: other)) }
        #expect(!PolicyBundle(source: Array(policy.utf8)).hasPublications)
    }

    private static func bundle(_ files: [(String, String)]) throws -> PolicyBundle {
        try #require(PolicyBundle(files: files.map { PolicyBundle.File(name: $0, bytes: Array($1.utf8)) }))
    }

    /// A file of the policy's own in a folder of that name is none that a service has published.
    @Test func othersFilesAreNoPublications() throws {
        let policy = try PublisherReviewTests.policy()
        let plain = PolicyBundle(source: Array(policy.utf8))
        let none = "scopecheck: 1\n"
        for name in ["debug.yaml", "orders/extra.yaml", "orders/routes.yml", "o r/routes.yaml", "a/b/routes.yaml"] {
            let name = "published/" + name.replacing(" ", with: "\u{E9}")
            let found = try PublisherKeptTests.bundle([("policy.yaml", policy), (name, none)])
            #expect(!found.hasPublications && !found.isPublished(beside: plain) && found.usesPublishedFolder, "\(name)")
            let read = loadPolicy(bundle: found, now: PublisherReviewTests.now)
            let refusals = found.publicationRefusals(read, now: PublisherReviewTests.now)
            #expect(refusals.count == 1 && refusals[0].message.contains("folder with another name"), "\(name)")
            // Without it, it is gone; with it, nothing else goes.
            #expect(try KeptPublications(of: found, in: plain, folder: nil, now: PublisherReviewTests.now) == nil)
            let active = try PublisherKeptTests.published(policy)
            let kept = try #require(
                try KeptPublications(of: active, in: found, folder: nil, now: PublisherReviewTests.now))
            #expect(kept.services == ["orders"] && kept.bundle.files.count == 3, "\(name)")
        }
    }

    /// A policy as it was exported is taken as it is, and nothing that is only alike.
    @Test func anExportedPolicyIsTaken() throws {
        let policy = try PublisherReviewTests.policy()
        var attempt = try PublisherReviewTests.Attempt(policy)
        attempt.ttl = 60
        let exported = try attempt.judge(PublisherReviewTests.file()).bundle
        #expect(exported.files.count == 3)
        func refusals(_ change: (inout [PolicyBundle.File]) -> Void) throws -> [String] {
            var files = exported.files
            change(&files)
            let bundle = try #require(PolicyBundle(files: files))
            let read = loadPolicy(bundle: bundle, now: PublisherReviewTests.now)
            #expect(read.model != nil, "\(read.diagnostics)")
            return bundle.publicationRefusals(read, now: PublisherReviewTests.now).map(\.message)
        }
        func text(_ old: String, _ new: String, _ file: inout PolicyBundle.File) {
            file.bytes = Array(String(decoding: file.bytes, as: UTF8.self).replacing(old, with: new).utf8)
        }
        #expect(try refusals { _ in } == [])
        let end = try #require(exported.files.firstIndex { $0.name == "published/orders/end.yaml" })
        #expect(
            try refusals { $0[end].bytes += Array("# mine\n".utf8) }.first?.contains("as the daemon writes") == true)
        #expect(
            try refusals { $0[end].bytes += Array("scopes: { late: {} }\n".utf8) }.first?.contains("as the daemon")
                == true)
        let withoutPublisher = try refusals { text("publishers:\n  orders:", "publishers:\n  other:", &$0[0]) }
        #expect(withoutPublisher.count == 2 && withoutPublisher[0].contains("no publisher of that name"))
        let beyond = try refusals { text("[\"orders:*\"]", "[\"other:*\"]", &$0[0]) }
        #expect(beyond.count == 1 && beyond[0].contains("beyond its publisher's limits"))
        // What it does not bring stays.
        let given = try PublisherKeptTests.bundle([("policy.yaml", policy)])
        let kept = try #require(
            try KeptPublications(of: exported, in: given, folder: nil, now: PublisherReviewTests.now))
        #expect(kept.bundle == exported)
        #expect(try KeptPublications(of: exported, in: exported, folder: nil, now: PublisherReviewTests.now) == nil)
    }
}
