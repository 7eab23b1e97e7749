internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy

extension PolicyCommand {
    struct Init: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes a first policy, with comments and tests.",
            discussion: """
                Asks for the issuer, hosts and audience on a terminal; elsewhere --issuer and --host must be given. A \
                file that exists is left as it is. Exit 0 when it was written, 2 otherwise.
                """)

        @Option(help: "The issuer, exactly as tokens carry it in `iss`.")
        var issuer: String?

        @Option(name: .customLong("host"), help: "A host of the service, as in `api.example.com`; may be repeated.")
        var hosts: [String] = []

        @Option(help: "What tokens carry in `aud`; https:// and the first host unless said.")
        var audience: String?

        @Option(help: "The file to write, or `-`.")
        var output = "policy.yaml"

        func run() throws {
            if output != "-" { try requireFolder(of: output) }
            var issuer = issuer
            var hosts = hosts
            var audience = audience
            if issuer == nil || hosts.isEmpty {
                guard isTerminal(0) else {
                    throw fail(
                        "there is no terminal to ask on; give --issuer https://id.example.com --host api.example.com")
                }
                let input = LineInput(descriptor: 0, lineBytesMax: 4_096)
                if issuer == nil { issuer = try ask("Who issues the tokens? (its URL, as in `iss`)", nil, input) }
                if hosts.isEmpty {
                    hosts = try ask("Which hosts does the proxy serve? (separated by spaces)", nil, input)
                        .split { $0 == " " || $0 == "," }.map { String($0) }
                }
                if audience == nil, let host = hosts.first {
                    audience = try ask("What do tokens carry in `aud`?", "https://\(host)", input)
                }
            }
            let text: String
            do throws(FirstPolicy.Refusal) {
                text = try FirstPolicy(issuer: issuer ?? "", hosts: hosts, audience: audience).text
            } catch {
                throw fail("\(error)")
            }
            guard output != "-" else { return printOut(text) }
            do throws(SystemError) {
                try Files.create(output, bytes: Array(text.utf8).span)
            } catch {
                throw fail("\(error)")
            }
            say(
                """
                \(output) is written. Next:
                  scopecheck policy test \(output)     runs its tests: every route allowed and denied
                  scopecheck policy check \(output)    after each change: what is wrong, where, and how to mend it
                and, to answer a proxy:
                  scopecheck serve --policy \(output) --store store --http 127.0.0.1:8080 --admin unix:admin.sock

                """)
        }

        private func say(_ text: String) { _ = writeAll(2, Array(text.utf8).span) }

        /// - Parameter otherwise: what an empty answer means; nil asks again.
        private func ask(_ question: String, _ otherwise: String?, _ input: LineInput) throws -> String {
            for _ in 0..<3 {
                say(question + (otherwise.map { " [\($0)]" } ?? "") + " ")
                guard let line = input.next() else { throw fail("the answers ended; nothing was written") }
                let answer = String(decoding: trimmingLineEnd(line), as: UTF8.self)
                    .split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
                if !answer.isEmpty { return answer }
                if let otherwise { return otherwise }
            }
            throw fail("no answer; nothing was written")
        }
    }
}
