internal import ArgumentParser
internal import Decision
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyComparison
internal import PolicyTables
internal import Tokens

extension PolicyCommand {
    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Decides recorded decisions again under another policy and shows what would change.",
            discussion: """
                The records are JSON lines of `scopecheck decide --record`. Each is decided on the compiled tables of the \
                policy, at the time it was recorded at, with a token that is made again of what was kept of the recorded \
                one. What no record holds is counted as unknown, never as the same. Exit 2 when something cannot be \
                read, 1 when the policy has errors; otherwise 3 when something is allowed that was denied, \
                even beside lines that are no records, 1 when a line is no record, 0.
                """)

        @OptionGroup var policy: PolicyArguments

        @Option(help: "File with recorded decisions; - for standard input.")
        var audit: String

        @Flag(help: "Print the result as JSON.")
        var json = false

        @Option(help: "Kinds of differences to show.")
        var limit = 50

        func validate() throws {
            guard (1...DecisionDifferences.kindsMax).contains(limit) else {
                throw ValidationError("--limit is 1 to \(DecisionDifferences.kindsMax)")
            }
        }

        func run() throws {
            let loaded = try policy.load()
            let model = try loaded.checkedModel(json: json)
            let now = nowSeconds()
            var differences = DecisionDifferences()
            var badLines: [String] = []
            var badCount = 0
            do {
                let trial = try PolicyTrial(model: model, source: loaded.source, now: now)
                let replay = try PolicyReplay(trial, now: now)
                let records = try recordFile()
                let input = LineInput(descriptor: records.raw, lineBytesMax: RecordedDecision.lineBytesMax)
                var reader = RecordedDecisionReader()
                var number = 0
                while let text = input.next() {
                    number += 1
                    if text.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) { continue }
                    do throws(RecordedDecision.Refusal) {
                        let recorded = try reader.read(text)
                        try compare(recorded, replay, &differences)
                    } catch {
                        badCount += 1
                        if badLines.count < 20 { badLines.append("`\(audit)` line \(number): \(error)") }
                    }
                }
                withExtendedLifetime(trial) {}
                _ = records
            } catch let code as ExitCode {
                throw code
            } catch {
                throw fail("`\(loaded.label)`: \(error)")
            }
            for line in badLines { _ = writeAll(2, Array("\(line)\n".utf8).span) }
            if json {
                var writer = JSONObjectWriter()
                differences.add(to: &writer, rowsMax: limit)
                writer.add("refused_lines", number: Int64(badCount))
                printOut(writer.text() + [0x0A])
            } else {
                let refused = badCount > 0 ? "; \(badCount) lines are no records" : ""
                printOut(differences.text(rowsMax: limit, timestamp: timestamp) + refused + "\n")
            }
            if differences.count(.opens) > 0 { throw ExitCode(3) }
            if badCount > 0 { throw Ending.no }
        }

        private func recordFile() throws -> FileDescriptor {
            do throws(SystemError) {
                return try Files.openForReading(audit == "-" ? "/dev/stdin" : audit)
            } catch {
                throw fail("the records cannot be read: \(error)")
            }
        }

        private func compare(
            _ recorded: RecordedDecision, _ replay: PolicyReplay, _ differences: inout DecisionDifferences
        ) throws(RecordedDecision.Refusal) {
            let result: PolicyReplay.Result
            do {
                result = try replay.decide(recorded)
            } catch {
                throw RecordedDecision.Refusal(description: "it could not be decided again: \(error)")
            }
            guard case .decided(let reason, let route) = result else { return differences.addUnknown() }
            guard reason != recorded.reason || route != recorded.route else { return differences.addSame() }
            let kind = DecisionDifferences.Kind(
                client: recorded.token?.client ?? "", routeBefore: recorded.route, routeAfter: route,
                before: "\(recorded.reason.name)", after: "\(reason.name)")
            differences.addDifferent(
                kind, allowedBefore: recorded.isAllowed, allowedAfter: reason.status == 200, at: recorded.at
            ) { recorded.example }
        }
    }
}
