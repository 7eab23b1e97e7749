internal import ArgumentParser
internal import Kernel
internal import PolicyTables
internal import Server
internal import Signatures

extension PolicyCommand {
    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes the files of a stored version back, byte for byte.",
            discussion: """
                A version of one file without a name becomes policy.yaml. With --to - one file goes to standard output as \
                it is, several in the form that they are stored in. Nothing is overwritten without --force. Exit 0 when \
                all is written, 2 when not.
                """)

        @Argument(help: "`active`, a number, label, or 8 or more digits of a version; see `policy log`.")
        var version: String

        @Option(help: "Folder to write to, or - for standard output.")
        var to = "."

        @Flag(help: "Overwrite files that are there.")
        var force = false

        @OptionGroup var place: StorePlace

        func run() throws {
            let stored = try PolicyOperand.find(version, place)
            let source = try place.source(of: stored.version)
            if to == "-" { return printOut(source) }
            guard let bundle = PolicyBundle(decoding: source) else {
                throw fail("the source of version `\(stored.version)` cannot be read by this build")
            }
            // What has no name is a version of one file as it was.
            let files = bundle.files.map { (Files.join(to, $0.name.isEmpty ? "policy.yaml" : $0.name), $0.bytes) }
            do throws(SystemError) {
                for (path, _) in files where !force {
                    guard (try? Files.stamp(path)) == nil else {
                        throw SystemError(
                            code: 17, call: "open", path: path,
                            detail:
                                "`\(path)` is there already and nothing was written; give --force, or another "
                                + "folder with --to")
                    }
                }
                for (path, bytes) in files {
                    try Files.makeFolder(Files.split(path).folder, mode: 0o755)
                    try Files.replace(path, bytes: bytes.span, mode: 0o644)
                }
            } catch {
                throw fail("\(error)")
            }
            let environment = bundle.environment.map { ", read for environment `\($0)`" } ?? ""
            printOut("\(files.count) files of version \(stored.version.description.prefix(16))\(environment): \(to)\n")
        }
    }
}
