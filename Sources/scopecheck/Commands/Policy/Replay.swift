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
                one. What no record holds is counted as unknown, never as the same: among it whether a token verifies by \
                other settings of its issuer than those it was recorded under, and what lies in other places that tokens \
                are taken from. Exit 2 when something cannot be read, 1 when the policy has errors; otherwise 3 when \
                something is allowed that was denied, and with --strict when something is unknown, even beside lines that \
                are no records; 1 when a line is no record; 0. Without --strict, 0 says nothing of what is unknown.
                """)

        @OptionGroup var policy: PolicyArguments

        @Option(help: "File with recorded decisions; - for standard input.")
        var audit: String

        @Flag(help: "Print the result as JSON.")
        var json = false

        @Flag(help: "Exit 3 too when something could not be compared.")
        var strict = false

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
            var causes: [String: Int] = [:]
            var badLines: [String] = []
            var badCount = 0
            do {
                let trial = try PolicyTrial(model: model, source: loaded.source, now: now)
                let settings = VerificationSettings(
                    model, keyFiles: keyFileBytes(of: model, folder: loaded.folder))
                loaded.warnOfMissingKeys()
                let replay = try PolicyReplay(trial, settings: settings, now: now)
                let records = try recordFile()
                let input = LineInput(descriptor: records.raw, lineBytesMax: RecordedDecision.lineBytesMax)
                var reader = RecordedDecisionReader()
                var number = 0
                while let text = input.next() {
                    number += 1
                    if text.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) { continue }
                    do throws(RecordedDecision.Refusal) {
                        let recorded = try reader.read(text)
                        if let why = try compare(recorded, replay, &differences) {
                            causes[why, default: 0] += 1
                        }
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
            let unknown = causes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            printOut(json ? report(differences, unknown, badCount) : text(differences, unknown, badCount))
            if differences.count(.opens) > 0 || (strict && differences.unknownCount > 0) { throw ExitCode(3) }
            if badCount > 0 { throw Ending.no }
        }

        /// - Parameter unknown: why results are unknown, each with its count.
        private func report(
            _ differences: DecisionDifferences, _ unknown: [(key: String, value: Int)], _ badCount: Int
        ) -> [UInt8] {
            var writer = JSONObjectWriter()
            differences.add(to: &writer, rowsMax: limit)
            writer.add("refused_lines", number: Int64(badCount))
            let causes = unknown.prefix(limit).map { cause in
                var object = JSONObjectWriter()
                object.add("count", number: Int64(cause.value))
                object.add("why", string: cause.key)
                return object.text()
            }
            writer.add("unknown_reasons", json: [0x5B] + Array(causes.joined(separator: [0x2C])) + [0x5D])
            return writer.text() + [0x0A]
        }

        private func text(
            _ differences: DecisionDifferences, _ unknown: [(key: String, value: Int)], _ badCount: Int
        ) -> [UInt8] {
            var text = unknown.prefix(limit).map { "unknown \($0.value) × \($0.key)\n" }.joined()
            text += differences.text(rowsMax: limit, timestamp: timestamp)
            text += badCount > 0 ? "; \(badCount) lines are no records\n" : "\n"
            if differences.unknownCount > 0 {
                text +=
                    "\(differences.unknownCount) could not be compared, and may open something; --strict exits with 3\n"
            }
            return Array(text.utf8)
        }

        private func recordFile() throws -> FileDescriptor {
            do throws(SystemError) {
                return try Files.openForReading(audit == "-" ? "/dev/stdin" : audit)
            } catch {
                throw fail("the records cannot be read: \(error)")
            }
        }

        /// - Returns: why it is unknown what the policy would decide; nil when it is not.
        private func compare(
            _ recorded: RecordedDecision, _ replay: PolicyReplay, _ differences: inout DecisionDifferences
        ) throws(RecordedDecision.Refusal) -> String? {
            let result: PolicyReplay.Result
            do {
                result = try replay.decide(recorded)
            } catch {
                throw RecordedDecision.Refusal(description: "it could not be decided again: \(error)")
            }
            let reason: Reason
            let route: String
            switch result {
            case .unknown(let why):
                differences.addUnknown()
                return why
            case .decided(let decided, let at): (reason, route) = (decided, at)
            }
            guard reason != recorded.reason || route != recorded.route else {
                differences.addSame()
                return nil
            }
            let kind = DecisionDifferences.Kind(
                client: recorded.token?.client ?? "", routeBefore: recorded.route, routeAfter: route,
                before: "\(recorded.reason.name)", after: "\(reason.name)")
            differences.addDifferent(
                kind, allowedBefore: recorded.isAllowed, allowedAfter: reason.status == 200, at: recorded.at
            ) { recorded.example }
            return nil
        }
    }
}
