internal import ArgumentParser
internal import Kernel
internal import PolicyTables
internal import Server

extension PolicyCommand {
    struct Rollback: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Has an earlier version decide again, at once.",
            discussion: """
                Nothing is compiled: one pointer is moved, under a new number. Without VERSION it is the one that decided \
                before the present one. Where signatures are required it needs a signed rollback: one that was given to \
                `policy apply --rollback-signatures`, or --signatures now. A policy file that the daemon was started with \
                is held back until it changes. Exit 0 when it decides, 1 when a signature is refused, 2 when it could not \
                be done.
                """)

        @Argument(help: "A number, a label, or 8 or more digits of a version; see `policy log`.")
        var version: String?

        @OptionGroup var reason: ChangeReason

        @OptionGroup var place: StorePlace

        @Option(help: "File of `policy sign --rollback-to` for this rollback.")
        var signatures: String?

        @Flag(help: "Print the result as JSON.")
        var json = false

        func run() throws {
            var request = PolicyChangeRequest(author: reason.author ?? userName(), note: reason.message)
            request.version = version
            request.signatures = try signatures.map { try readInput($0, bytesMax: SignatureFile.bytesMax) }
            let asked = request
            let answer = try place.change(
                "/policy/rollback", body: request.text,
                offline: { try StoredPolicies.rollback(asked, store: $0, now: nowSeconds()) })
            printOut(json ? answer + [0x0A] : Array(PolicyCommand.outcome(answer, of: place).utf8))
        }
    }
}
