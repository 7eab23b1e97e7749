internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Server
internal import Signatures
internal import Store

extension PolicyCommand {
    /// What the daemon runs as a child: judges a publication, on standard input, against a version of its store, and
    /// adds what the policy becomes with it to the store without making it active.
    struct LoadPublication: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "load-publication", abstract: "Judges what a service publishes.", shouldDisplay: false)

        @Option(help: "The store's folder.")
        var store: String

        @Option(help: "Address space of the store, bytes.")
        var mapBytes: Int

        @Option(help: "The version that decides.")
        var against: String

        @Option(help: "Where relative paths of its key files start.")
        var folder = ""

        @Option(help: "Unix seconds.")
        var at: Int64

        @Option(help: "When what is approved ends: Unix seconds, or never.")
        var approvedEnds: String?

        @Option(help: "Who sent it.")
        var author = ""

        @Option(help: "Why.")
        var note = ""

        @Flag(help: "Let other processes go first, since requests are answered meanwhile.")
        var giveWay = false

        func run() throws {
            ProcessResources.endWithParent()
            // A policy that expands without end ends here and not in the daemon.
            try? ProcessResources.limitAddressSpace(bytes: 64 << 30)
            // Where that is not allowed it computes all the same.
            if giveWay { try? ProcessResources.giveWay() }
            let text = try readInput("-", bytesMax: SignedPublication.bytesMax)
            do {
                printOut(try judge(text) + [0x0A])
            } catch let refusal as PublicationRefusal {
                printOut(PublicationReply.text(refusal) + [0x0A])
                throw Ending.no
            } catch let code as ExitCode {
                throw code
            } catch {
                throw fail("the publication could not be judged: \(error)")
            }
        }

        private func judge(_ text: [UInt8]) throws -> [UInt8] {
            guard let parent = Digest(hexadecimal: against) else { throw fail("`\(against)` is no version") }
            let publication = try SignedPublication.read(text)
            let policies = try PolicyStore(Store.Environment(path: store, mapBytes: mapBytes, maxReaders: 256))
            guard let source = try policies.source(parent), PolicyStore.version(ofSource: source.span) == parent,
                let active = PolicyBundle(decoding: source)
            else {
                throw PublicationRefusal(
                    .policyUnreadable, "the stored source of the policy in force is damaged or missing")
            }
            var term = PublicationReview.Term.fromNow
            if let approvedEnds { term = .approved(ends: approvedEnds == "never" ? nil : Int64(approvedEnds) ?? 0) }
            let at = at
            let review = PublicationReview(active: active, folder: folder.isEmpty ? nil : folder, now: at) {
                publicationWidenings($0, $1, at: at)
            }
            let judgement = try review.judge(publication, term)
            // A service can always be withdrawn, whatever it published as tests.
            var tested: String?
            if case .publish = publication.statement.action { tested = publication.statement.service }
            try runTests(judgement, active, publishedBy: tested)
            let origin = VersionOrigin(author: author, note: note, parent: parent, folder: folder)
            let bytes = judgement.bundle.encoded
            let version: Digest
            do throws(PolicyStoreError) {
                version = try policies.add(judgement.model, source: bytes.span, now: at, origin: origin)
            } catch {
                guard case .table(let problem) = error else { throw error }
                throw PublicationRefusal(
                    .policyErrors, "the policy cannot be compiled with the publication: \(problem)")
            }
            return PublicationReply.text(judgement, publication, version: version)
        }

        /// Before anything is in the store: the policy's own tests and those that are published now. What others have
        /// published holds nobody up, nor what fails already without the publication: a grant that a test relies on may
        /// have ended.
        private func runTests(
            _ judgement: PublicationReview.Judgement, _ active: PolicyBundle, publishedBy service: String?
        ) throws {
            guard !judgement.policy.tests.isEmpty else { return }
            let rehearsal = try PolicyTrial(model: judgement.model, source: judgement.bundle.encoded, now: at)
            let runner = try PolicyTestRunner(rehearsal, now: at)
            var failures: [PolicyTestResult] = []
            for test in judgement.policy.tests where !PolicyBundle.isPublished(test.file, byOthersThan: service) {
                let result = try runner.run(test)
                if !result.passed, !result.isOfEndedService { failures.append(result) }
            }
            guard !failures.isEmpty else { return }
            let before = try PolicyTestRunner(
                PolicyTrial(model: judgement.before, source: active.encoded, now: at), now: at)
            var text = ""
            for failure in failures where text.utf8.count < 16_384 {
                let isOwn = PolicyBundle.isPublished(failure.test.file)
                if !isOwn, try !before.run(failure.test).passed { continue }
                text += TestReport.text(failure, file: failure.test.file)
            }
            guard text.isEmpty else {
                throw PublicationRefusal(.testsFailed, "tests of the policy fail with the publication:\n\(text)")
            }
        }
    }
}
