internal import ArgumentParser
internal import Octets

extension PolicyCommand {
    struct Proposals: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists what services have published and what waits for a person, since it would allow more.",
            discussion: "Exit 0 also when nothing waits, 2 when it cannot be read.")

        @OptionGroup var daemon: DaemonPlace

        @Flag(help: "Print one JSON object a line.")
        var json = false

        func run() throws {
            let answer = try daemon.ask("GET", "/policy/proposals")
            guard answer.status == 200 else { throw daemon.refused(answer, isJSON: false) }
            let rows = (answer.object?.list("proposals") ?? []).compactMap { ProposalRow($0) }
            for row in rows { printOut(json ? row.json + [0x0A] : Array(row.text(isWhole: false).utf8)) }
            if !json, rows.isEmpty { printOut("nothing waits for approval\n") }
        }
    }
}
