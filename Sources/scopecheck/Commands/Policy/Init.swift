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
                file that exists is left as it is; --output gives another name. Exit 0 when it was written, 2 otherwise.
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
            try requirePlace()
            // What was given is looked at before anything is asked.
            do throws(FirstPolicy.Refusal) {
                if let issuer { try FirstPolicy.check(issuer: issuer) }
                if !hosts.isEmpty { try FirstPolicy.check(hosts: hosts) }
                if let audience { try FirstPolicy.check(audience: audience) }
            } catch {
                throw fail("\(error)")
            }
            var issuer = issuer
            var hosts = hosts
            var audience = audience
            if issuer == nil || hosts.isEmpty {
                guard isTerminal(0) else {
                    throw fail(
                        "there is no terminal to ask on; give --issuer https://id.example.com --host api.example.com")
                }
                let input = LineInput(descriptor: 0, lineBytesMax: 4_096)
                if issuer == nil {
                    issuer = try ask("Who issues the tokens? (its URL, as in `iss`)", nil, input) {
                        text throws(FirstPolicy.Refusal) in
                        try FirstPolicy.check(issuer: text)
                        return text
                    }
                }
                if hosts.isEmpty {
                    hosts = try ask("Which hosts does the proxy serve? (separated by spaces)", nil, input) {
                        text throws(FirstPolicy.Refusal) in
                        let hosts = text.split { $0 == " " || $0 == "," }.map { String($0) }
                        try FirstPolicy.check(hosts: hosts)
                        return hosts
                    }
                }
                if audience == nil, let host = hosts.first {
                    audience = try ask("What do tokens carry in `aud`?", FirstPolicy.audience(ofHost: host), input) {
                        text throws(FirstPolicy.Refusal) in
                        try FirstPolicy.check(audience: text)
                        return text
                    }
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

        /// Nobody should answer questions for a file that cannot be written.
        private func requirePlace() throws {
            guard output != "-" else { return }
            try requireFolder(of: output)
            guard (try? Files.stamp(output)) == nil else {
                throw fail(
                    "`\(output)` exists already and is left as it is; choose another name with `--output FILE`")
            }
        }

        /// - Parameters:
        ///   - otherwise: what an empty answer means; nil asks again.
        ///   - read: what an answer means; one that is refused is asked for again.
        private func ask<R>(
            _ question: String, _ otherwise: String?, _ input: LineInput,
            _ read: (String) throws(FirstPolicy.Refusal) -> R
        ) throws -> R {
            var problem = "no answer"
            for _ in 0..<Init.asksMax {
                say(question + (otherwise.map { " [\($0)]" } ?? "") + " ")
                guard let line = input.next() else { throw fail("the answers ended; nothing was written") }
                let answer = String(decoding: trimmingLineEnd(line), as: UTF8.self)
                    .split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
                guard let given = answer.isEmpty ? otherwise : answer else { continue }
                do throws(FirstPolicy.Refusal) {
                    return try read(given)
                } catch {
                    problem = "\(error)"
                    say("  \(problem)\n")
                }
            }
            throw fail("\(problem); nothing was written")
        }

        private static let asksMax = 5
    }
}
