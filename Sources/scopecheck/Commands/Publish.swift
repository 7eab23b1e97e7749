internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Signatures
internal import Tokens

struct Publish: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publishes the routes and scopes of one service, signed with its own key.",
        discussion: """
            FILE is a policy file with the service below `services` and, if it has any, its own `scopes` and `tests`; \
            nothing else may stand in it. How far it may go is said below `publishers` in the policy in force. What only \
            tightens decides at once; what would allow something that is denied waits until a person approves it \
            (scopecheck policy proposals). With --ttl the publication ends by itself, and then every request to the \
            service is denied, until it is published again. It goes to the daemon's `publications` listener, which takes \
            nothing else, or to its admin socket. Exit 0 when it decides, 1 when it is refused, 2 when it could \
            not be done, 3 when it waits for approval.
            """)

    /// It waits for approval.
    private static let proposed = ExitCode(3)

    @Argument(help: "The service's policy file; - for standard input. Not with --withdraw.")
    var file: String?

    @Option(help: "Name of the service, as under `publishers`.")
    var service: String

    @Option(help: "Private JWK, Ed25519 or P-256, whose public half the policy lists below `publishers`.")
    var key: String

    @Option(help: "How long the publication holds, as in 12h; without an end unless given.")
    var ttl: String?

    @Flag(help: "Ends now what the service has published.")
    var withdraw = false

    @Option(help: "Greater than that of every publication before; Unix milliseconds unless given.")
    var serial: UInt64?

    @Option(help: "Environment that the policy in force is read for.")
    var environment: String?

    @Option(name: [.customShort("m"), .customLong("message"), .customLong("note")], help: "Why, for the log.")
    var message: String?

    @OptionGroup var daemon: PublicationPlace

    @Flag(help: "Print the daemon's answer as JSON.")
    var json = false

    func validate() throws {
        guard withdraw == (file == nil) else {
            throw ValidationError("give the service's FILE, or --withdraw to end what it has published")
        }
        guard !withdraw || ttl == nil else { throw ValidationError("--withdraw ends it now; leave --ttl out") }
        if let ttl, publicationSeconds(ttl) == nil {
            throw ValidationError("--ttl is a whole number with s, m, h or d, as in 12h, up to 366d")
        }
        guard file != "-" || key != "-" else { throw ValidationError("standard input is one of FILE and --key") }
        guard serial != 0 else { throw ValidationError("--serial is 1 or more") }
    }

    func run() throws {
        let answer = try daemon.send("/policy/publications", [("note", message ?? "")], after: try publication().text)
        if json { printOut(answer.body + [0x0A]) }
        switch answer.status {
        case 200:
            if !json { printOut(text(answer)) }
        case 202:
            if !json {
                printOut(
                    answer.proposal.map { "waits for approval: \($0.text(isWhole: true, words: daemon.words))" } ?? "")
                printOut(warnings(answer))
            }
            throw Publish.proposed
        default: throw daemon.refused(answer, isJSON: json, naming: withOwnName)
        }
    }

    /// A message of the daemon, which knows the published file by its place in the policy.
    private func withOwnName(_ message: String) -> String {
        guard let file else { return message }
        let name = file == "-" ? "standard input" : file
        return message.replacing(PolicyBundle.publishedFile(of: service) + ":", with: "\(name):")
    }

    private func warnings(_ answer: DaemonPlace.Answer) -> String {
        (answer.object?.strings("warnings") ?? []).map { "\(shown(withOwnName($0)))\n" }.joined()
    }

    private func publication() throws -> SignedPublication {
        let jwk = try privateKey()
        var bytes: [UInt8] = []
        var action = PublicationStatement.Action.withdraw
        if let file {
            bytes = try readInput(file, bytesMax: SignedPublication.fileBytesMax)
            action = .publish(file: sha256(bytes.span), ttlSeconds: ttl.flatMap { publicationSeconds($0) } ?? 0)
        }
        let milliseconds = UInt64(max(1, SystemClock.realtimeNanoseconds() / 1_000_000))
        let statement = PublicationStatement(
            action: action, service: service, environment: environment, serial: serial ?? milliseconds)
        guard PublicationStatement(statement.text) == statement else {
            throw fail("`\(service)` is no name of a service, or `\(environment ?? "")` none of an environment")
        }
        do throws(KeyError) {
            return try SignedPublication.sign(
                statement, file: bytes, key: jwk.key, algorithm: jwk.algorithm, keyID: jwk.keyID)
        } catch {
            throw fail("the publication could not be signed: \(error)")
        }
    }

    private func privateKey() throws -> PrivateJWK {
        let text = try readInput(key, bytesMax: 65_536)
        let jwk: PrivateJWK
        do throws(PrivateJWKError) {
            jwk = try PrivateJWK(parsing: text.span)
        } catch {
            throw fail("`\(key)`: \(error)")
        }
        guard jwk.algorithm == .ed25519 || jwk.algorithm == .es256 else {
            throw fail("`\(key)` is a key for \(jwk.algorithm.name); publications are signed with Ed25519 or ES256")
        }
        return jwk
    }

    private func text(_ answer: DaemonPlace.Answer) -> String {
        let object = answer.object
        let what =
            switch object?.string("state") {
            case "unchanged": "nothing has changed, it decides already"
            case "withdrawn": "withdrawn"
            default: "decides now"
            }
        var text = "\(service): \(what), as policy \(object?.string("label") ?? "")\n"
        if withdraw {
            text += "every request to it is denied until it is published again\n"
        } else if let ends = object?.string("ends") {
            text += "ends: \(ends); from then on every request to it is denied, publish it again before\n"
        }
        if let dropped = object?.string("dropped_proposal") {
            text += "the proposal \(dropped), which waited for approval, was dropped\n"
        }
        return text + warnings(answer)
    }
}
