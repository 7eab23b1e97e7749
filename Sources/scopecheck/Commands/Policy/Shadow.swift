internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Signatures
internal import Tokens

extension PolicyCommand {
    struct Shadow: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Decides a stored version beside the active one on live traffic and shows the differences.",
            discussion: """
                With a version it begins to compare; without one it shows what was found so far; --stop ends it. Nobody is \
                answered by the candidate. A stored version is one that was active, or that `policy apply --stage` has \
                stored. What the candidate would have to ask an issuer for is counted as unknown, unless both versions \
                describe their issuers alike; so are tokens that the active one did not find good, beyond 50 a second and \
                worker. Exit 0 when nothing is known that would be allowed and was denied, which says nothing of what is \
                unknown; 3 when something would; 2 when nothing is compared or the daemon cannot be asked.
                """)

        @Argument(help: "A number, or 8 or more digits of a version; left out, the differences are shown.")
        var version: String?

        @Flag(help: "End the comparison.")
        var stop = false

        @OptionGroup var daemon: DaemonPlace

        /// What other commands that take a version know, so that it is refused with its reason.
        @Option(help: .hidden)
        var store: String?

        @Flag(help: "Print the result as JSON.")
        var json = false

        func validate() throws {
            guard !stop || version == nil else { throw ValidationError("give a version or --stop") }
            guard store == nil else { throw ValidationError("only a running daemon compares; give --admin") }
        }

        func run() throws {
            if stop {
                let body = try ask("DELETE", "/policy/shadow")
                return printOut(json ? body + [0x0A] : Array("Nothing is compared any more.\n".utf8))
            }
            if let argument = version {
                let version = try PolicyOperand.find(argument, StorePlace(asking: daemon)).version.description
                var body = JSONObjectWriter()
                body.add("version", string: version)
                let answer = try ask("POST", "/policy/shadow", body: body.text())
                let text =
                    "Version \(version.prefix(16)) is decided beside the active one; "
                    + "`scopecheck policy shadow\(daemon.words)` shows what would change.\n"
                return printOut(json ? answer + [0x0A] : Array(text.utf8))
            }
            let report = try ask("GET", "/policy/shadow")
            printOut(json ? report + [0x0A] : try ask("GET", "/policy/shadow.txt"))
            guard let opens = try opens(report) else { throw Ending.failure }
            if opens > 0 { throw ExitCode(3) }
        }

        private func ask(_ method: String, _ path: String, body: [UInt8] = []) throws -> [UInt8] {
            try daemon.body(of: daemon.ask(method, path, body: body))
        }

        /// How many decisions would be allowed that were denied; nil where nothing is compared, which is no answer.
        private func opens(_ report: [UInt8]) throws -> Int64? {
            guard let read = JSONObject(report) else { throw fail("the daemon's answer cannot be read") }
            guard read.string("version") != nil else { return nil }
            guard let opens = read.number("opens") else {
                throw fail("the daemon's answer has no `opens`")
            }
            return opens
        }
    }
}
