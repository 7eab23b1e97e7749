internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables

extension PolicyCommand {
    struct Format: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "fmt",
            abstract: "Puts the text of policy files in order; meaning and comments stay.",
            discussion: """
                Two spaces for each level, one blank line between sections, spaces as in `{ a: b }` and `[a, b]`. Files \
                are replaced as a whole and only where something changes. `-` reads standard input and writes to \
                standard output.

                Exit 0 when all is in order or was put in order, 1 with --check or --diff when something would change, \
                or when a file is no YAML that the language takes, 2 when a file cannot be read or written.
                """)

        @Argument(help: "Policy files, or `-`.")
        var files: [String]

        @Flag(help: "Change nothing; name the files that would change.")
        var check = false

        @Flag(help: "Change nothing; show what would change.")
        var diff = false

        @Flag(help: "Print one JSON object for each file; it changes files unless --check or --diff is given.")
        var json = false

        func run() throws {
            var isOrdered = true
            for file in files where try !format(file) { isOrdered = false }
            if !isOrdered { throw Ending.no }
        }

        /// - Returns: whether nothing is left to do.
        private func format(_ file: String) throws -> Bool {
            let source = try readInput(file, bytesMax: PolicyBundle.bytesMax)
            let result: [UInt8]
            do throws(FormatRefusal) {
                result = try formatPolicy(source: source, file: file)
            } catch {
                report(file, source, refusal: error)
                return false
            }
            let isChanged = result != source
            let isWritten = !check && !diff
            if json {
                printOut(
                    "{\"file\":\(jsonQuoted(file)),\"changed\":\(isChanged),\"written\":\(isChanged && isWritten)}\n")
            } else if diff {
                printOut(formatDifference(before: source, after: result, file: file))
            } else if check, isChanged {
                printOut("\(file)\n")
            }
            guard isWritten else { return !isChanged }
            if file == "-" {
                if !json { printOut(result) }
                return true
            }
            guard isChanged else { return true }
            do throws(SystemError) {
                try replacePolicyFile(file, bytes: result)
            } catch {
                throw fail("\(error)")
            }
            return true
        }

        private func report(_ file: String, _ source: [UInt8], refusal: FormatRefusal) {
            if json {
                printOut("{\"file\":\(jsonQuoted(file)),\"refused\":\(jsonQuoted("\(refusal)"))}\n")
                return
            }
            guard case .notReadable(let diagnostics) = refusal else {
                _ = writeAll(2, Array("\(file): \(refusal)\n".utf8).span)
                return
            }
            _ = writeAll(2, Array(diagnosticsText(diagnostics, source: source).utf8).span)
        }
    }
}

/// A text as a JSON string, with its quotes.
func jsonQuoted(_ text: String) -> String {
    var writer = ByteWriter(capacity: 6 * text.utf8.count + 2)
    writer.append(jsonString: Array(text.utf8).span)
    return String(decoding: [UInt8](copying: writer.bytes), as: UTF8.self)
}
