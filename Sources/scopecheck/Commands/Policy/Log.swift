internal import ArgumentParser
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Server

extension PolicyCommand {
    struct Log: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists what decided when, the newest first, and who had it so and why.",
            discussion: """
                Versions that `policy apply --stage` has stored, and that never decided, come last. The newest \
                \(ActivationLogLimits.entriesKept) activations are kept, of older ones what a rollback needs; standard error \
                says how many are missing in what is listed. Exit 0 also when there is nothing, 2 when it cannot be read.
                """)

        @Option(name: [.customShort("n"), .long], help: "How many activations.")
        var count = 20

        @OptionGroup var place: StorePlace

        @Flag(help: "Print one JSON object a line.")
        var json = false

        func validate() throws {
            guard count > 0 else { throw ValidationError("-n is at least 1") }
        }

        func run() throws {
            var left = count
            var before = ""
            var isEmpty = true
            var dropped: Int64 = 0
            var staged: [JSONObject] = []
            while left > 0 {
                guard let answer = try place.find("/policy/log?limit=\(min(left, 200))\(before)"),
                    let read = JSONObject(answer)
                else { throw fail("\(place.name): the log cannot be read; is that the daemon's admin address?") }
                staged += read.list("staged")
                dropped += max(0, min(read.number("dropped") ?? 0, .max - dropped))
                for activation in read.list("activations") {
                    isEmpty = false
                    left -= 1
                    printOut(json ? activation.bytes + [0x0A] : Array((VersionReport.line(activation) + "\n").utf8))
                }
                guard let next = read.number("next") else { break }
                before = "&before=\(next)"
            }
            if isEmpty, !json { printOut("no version has decided yet\n") }
            for version in staged { printOut(json ? version.bytes + [0x0A] : Array(Log.line(ofStaged: version).utf8)) }
            if dropped > 0 {
                let text =
                    "scopecheck: \(dropped) activations are not in the log any more; it keeps the newest "
                    + "\(ActivationLogLimits.entriesKept), and of older ones what a rollback needs\n"
                _ = writeAll(2, Array(text.utf8).span)
            }
        }

        /// `staged  2c26b46b68ffc68f  2026-11-21T04:05:06Z  alice (uid 1000)  why`
        private static func line(ofStaged version: JSONObject) -> String {
            var parts = [
                "staged", String((version.string("version") ?? "").prefix(16)), version.string("stored_at") ?? "",
            ]
            if let environment = version.string("environment") { parts.append("for \(shown(environment))") }
            for name in ["author", "note"] {
                if let value = version.string(name), !value.isEmpty { parts.append(shown(value)) }
            }
            return parts.joined(separator: "  ") + "\n"
        }
    }
}
