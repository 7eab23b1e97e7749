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
            guard let found = answer.object?.list("proposals") else {
                throw fail("`\(daemon.address)`: the daemon's answer cannot be read")
            }
            let rows = found.compactMap { ProposalRow($0) }
            guard rows.count == found.count else {
                throw fail("`\(daemon.address)`: a proposal of the answer cannot be read; use the daemon's own version")
            }
            for row in rows {
                printOut(json ? row.json + [0x0A] : Array(row.text(isWhole: false, words: daemon.words).utf8))
            }
            if !json, rows.isEmpty { printOut("nothing waits for approval\n") }
        }
    }
}
