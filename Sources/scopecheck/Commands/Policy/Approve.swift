internal import ArgumentParser
internal import PolicyTables
internal import Signatures

extension PolicyCommand {
    struct Approve: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes what a service published the policy.",
            discussion: """
                Exactly the version that the ID names is approved. When another policy was applied since it was proposed, \
                it would become another version, which is then listed under its own ID, to be looked at and approved. \
                Exit 0 when it decides, 1 when it does not, 2 when it could not be done.
                """)

        @OptionGroup var decision: ProposalDecision

        func run() throws {
            let answer = try decision.send("/policy/proposals/approve")
            let (daemon, json) = (decision.daemon, decision.json)
            if json { printOut(answer.body + [0x0A]) }
            if answer.status == 409, let row = answer.proposal {
                if !json {
                    printOut("another policy decides by now, so it is another version, that nobody has approved:\n")
                    printOut(row.text(isWhole: true, words: daemon.words))
                }
                throw Ending.no
            }
            guard answer.status == 200 else { throw daemon.refused(answer, isJSON: json) }
            if !json {
                let object = answer.object
                printOut(
                    "\(object?.string("service") ?? ""): decides now, as policy \(object?.string("label") ?? "")\n")
                if let ends = object?.string("ends") { printOut("ends: \(ends)\n") }
            }
        }
    }

    struct Reject: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Turns down what a service published.",
            discussion:
                "Exit 0 when it does not wait any more, 1 when nothing waits under that ID, 2 when it could not be done."
        )

        @OptionGroup var decision: ProposalDecision

        func run() throws {
            let answer = try decision.send("/policy/proposals/reject")
            let (daemon, json) = (decision.daemon, decision.json)
            if json { printOut(answer.body + [0x0A]) }
            guard answer.status == 200 else { throw daemon.refused(answer, isJSON: json) }
            if !json { printOut("rejected: \(answer.proposal?.service ?? "") \(answer.proposal?.id ?? "")\n") }
        }
    }
}

/// What a person says of a proposal.
struct ProposalDecision: ParsableArguments {
    @Argument(help: "ID, all 64 digits, as `policy proposals` shows it.")
    var id: String

    @Option(name: [.customShort("m"), .customLong("message"), .customLong("note")], help: "Why.")
    var message: String

    @OptionGroup var daemon: DaemonPlace

    @Flag(help: "Print the daemon's answer as JSON.")
    var json = false

    func validate() throws {
        guard Digest(hexadecimal: id) != nil else {
            throw ValidationError(
                "an ID is a whole version, 64 hexadecimal digits; `scopecheck policy proposals\(daemon.words)` "
                    + "shows them")
        }
        guard !message.isEmpty, message.utf8.count <= ActivationCause.noteBytesMax else {
            throw ValidationError("say why with -m, in at most \(ActivationCause.noteBytesMax) bytes")
        }
    }

    func send(_ path: String) throws -> DaemonPlace.Answer {
        try daemon.send(path, [("id", id), ("note", message)])
    }
}
