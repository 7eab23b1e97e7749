internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Server
internal import Signatures

extension PolicyCommand {
    struct Apply: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a version of a policy and has it decide at once.",
            discussion: """
                The files are checked and their tests run here first, then by the daemon. When the command has ended with \
                0, the next request is decided by that version, and its number says so in X-Scope-Policy. A daemon that \
                requires signatures needs --signatures. With --store it is done in the files, while no daemon runs on \
                them. What was read for another --environment than the version in force is not taken by a daemon whose \
                configuration has no `environment`. Exit 0 when it decides (also when it did already), 1 when the policy \
                or a signature is refused, 2 when it could not be done; the policy in force goes on serving then.
                """)

        @OptionGroup var policy: PolicyArguments

        @OptionGroup var reason: ChangeReason

        @OptionGroup var place: StorePlace

        @Option(help: "File of `policy sign` for this version.")
        var signatures: String?

        @Option(help: "File of `policy sign --rollback-to`, kept for a rollback from this version; may be repeated.")
        var rollbackSignatures: [String] = []

        @Flag(help: "Store, compile and test the version without having it decide.")
        var stage = false

        @Flag(help: "Print the result as JSON.")
        var json = false

        func validate() throws {
            guard rollbackSignatures.isEmpty || signatures != nil else {
                throw ValidationError("--rollback-signatures go with --signatures")
            }
            guard rollbackSignatures.count <= PreparedRollback.countMax else {
                throw ValidationError("at most \(PreparedRollback.countMax) rollbacks can be signed beforehand")
            }
        }

        func run() throws {
            let given = try policy.load()
            try given.checkPublications()
            var attemptsLeft = 4
            while true {
                attemptsLeft -= 1
                let isLast = attemptsLeft == 0
                guard let answer = try apply(given, isFirst: attemptsLeft == 3, isLast: isLast) else { continue }
                return printOut(json ? answer + [0x0A] : Array(PolicyCommand.outcome(answer, of: place).utf8))
            }
        }

        /// - Returns: nil when a service published meanwhile and the change is to be made anew, on that.
        private func apply(_ given: LoadedPolicy, isFirst: Bool, isLast: Bool) throws -> [UInt8]? {
            let (loaded, active) = try place.keepingPublications(given, isSigned: signatures != nil)
            let model = try loaded.checkedModel(json: json)
            if isFirst, place.store != nil || signatures == nil { loaded.warnOfMissingKeys() }
            try requireTests(loaded, model)
            var request = PolicyChangeRequest(author: reason.author ?? userName(), note: reason.message)
            request.isStaged = stage
            do throws(SystemError) {
                request.folder = try Files.absolute(loaded.folder)
            } catch {
                throw fail("\(error)")
            }
            request.signatures = try signatures.map { try readInput($0, bytesMax: SignatureFile.bytesMax) }
            request.rollbackSignatures = try rollbackSignatures.map {
                try readInput($0, bytesMax: SignatureFile.bytesMax)
            }
            request.expecting = active
            let source = loaded.source
            return try place.change(
                "/policy/versions", body: request.text + [0x0A] + source, mayBeMadeAnew: !isLast,
                offline: { try StoredPolicies.apply(model, source: source, request, store: $0, now: nowSeconds()) })
        }

        private func requireTests(_ loaded: LoadedPolicy, _ model: PolicyModel) throws {
            let failures: [String]
            do {
                failures = try failedTests(of: loaded, model, now: nowSeconds())
            } catch {
                throw fail("the policy's tests could not be run: \(error)")
            }
            guard failures.isEmpty else {
                for failure in failures { printOut(failure) }
                throw Ending.no
            }
        }
    }

    /// What a change has done, for people.
    static func outcome(_ answer: [UInt8], of place: StorePlace) -> String {
        guard let read = JSONObject(answer) else { return "done\n" }
        let areIgnored = read.string("signatures") == "ignored"
        if read.isTrue("staged") {
            let version = read.string("version") ?? ""
            let unread = areIgnored ? "the signatures were not looked at: give them when it is to decide\n" : ""
            guard !read.isTrue("active") else { return "nothing to stage: \(version) decides already\n\(unread)" }
            let short = version.prefix(16)
            return "stored, and not in force: \(version)\n"
                // Only a daemon compares.
                + (place.store == nil
                    ? "compare it with what decides: scopecheck policy shadow \(short)\(place.words)\n" : "")
                + "have it decide: scopecheck policy rollback \(short)\(place.words) -m WHY\n\(unread)"
        }
        let label = read.string("label") ?? ""
        let unread = areIgnored ? "the signatures were not looked at: the daemon requires none\n" : ""
        if read.isTrue("unchanged") { return "nothing to change: \(label) decides already\n\(unread)" }
        let environment = read.string("environment")
        let left = read.string("previous_environment")
        let was = left == environment ? "" : left.map { " for \(shown($0))" } ?? " for no environment"
        let before = read.string("previous").map { ", in place of \($0.prefix(16))\(was)" } ?? ""
        return "policy \(label) decides\(environment.map { " for \(shown($0))" } ?? "")\(before)\n\(unread)"
    }
}

/// Who changes which version decides, and why.
struct ChangeReason: ParsableArguments {
    @Option(
        name: [.customShort("m"), .customLong("message"), .customLong("note")],
        help: "Why; at most \(ActivationCause.noteBytesMax) bytes.")
    var message: String

    @Option(help: "Who; the user's name unless given. The daemon adds the user of the connection.")
    var author: String?

    func validate() throws {
        guard !message.isEmpty, message.utf8.count <= ActivationCause.noteBytesMax else {
            throw ValidationError("-m says why, in 1 to \(ActivationCause.noteBytesMax) bytes")
        }
        guard (author ?? "").utf8.count <= 200 else { throw ValidationError("--author has at most 200 bytes") }
    }
}

/// The name of the user who runs the command.
func userName() -> String { Accounts.ownUserName ?? "uid \(Accounts.ownUserID)" }
