internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Server
internal import Signatures
internal import Tokens

extension PolicyCommand {
    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks the signatures of a policy as the daemon does, and shows what was signed, and by whom.",
            discussion: """
                With files it checks too that exactly these were signed. Whether the serial is new only the daemon knows. \
                Exit 0 when enough trusted keys have signed, 1 when not, 2 when something cannot be read.
                """)

        @Argument(help: "File of `policy sign`.")
        var signatures: String

        @Argument(help: "Policy files and folders, or a stored version.")
        var files: [String] = []

        @Option(help: "Environment that the files are read for.")
        var environment: String?

        @Option(help: "JWK set of the Ed25519 keys whose signatures count.")
        var trustedKeys: String

        @Option(help: "How many of them must have signed.")
        var require = 1

        @OptionGroup var place: StorePlace

        @Flag(help: "Print the result as JSON.")
        var json = false

        func validate() throws {
            guard environment == nil || !files.isEmpty else {
                throw ValidationError("--environment goes with policy files; name them, or leave it out")
            }
        }

        func run() throws {
            let document = try readInput(trustedKeys, bytesMax: TrustedSigners.fileBytesMax)
            let bytes = try readInput(signatures, bytesMax: SignatureFile.bytesMax)
            let signers: TrustedSigners
            do throws(TrustedSignersError) {
                signers = try TrustedSigners(jwks: document, required: require)
            } catch {
                throw fail("`\(trustedKeys)`: \(error)")
            }
            let version = files.isEmpty ? nil : try versionOfFiles()
            var file: SignatureFile?
            var refusal: SigningRefusal?
            do throws(SigningRefusal) {
                let read = try SignatureFile(parsing: bytes)
                file = read
                try signers.check(read)
                // Of a rollback the files are those that it leads away from.
                let named = read.statement.leaving?.version ?? read.statement.version
                if let version, version != named { throw .wrongVersion(signed: named, found: version) }
            } catch {
                refusal = error
            }
            report(file, signers, refusal)
            if refusal != nil { throw Ending.no }
        }

        private func versionOfFiles() throws -> Digest {
            if let stored = try PolicyOperand.storedVersion(among: files, environment: environment) {
                return try PolicyCommand.named(stored, place).version
            }
            let loaded = try LoadedPolicy(paths: files, environment: environment)
            return PolicyStore.version(ofSource: loaded.source.span)
        }

        private func report(_ file: SignatureFile?, _ signers: TrustedSigners, _ refusal: SigningRefusal?) {
            let signatures = file.map { Array(zip($0.entries.map(\.keyID), signers.verdicts(on: $0))) } ?? []
            guard json else {
                if let file {
                    printOut(file.statement.text)
                    if let time = file.statement.serialAsTime { printOut("serial as a time \(time)\n") }
                    for (keyID, verdict) in signatures {
                        printOut("signature of \(shown(keyID)), Ed25519: \(Verify.words(for: verdict))\n")
                    }
                }
                printOut(refusal.map { "refused: \($0)\n" } ?? "signed by \(require) or more of the trusted keys\n")
                return
            }
            var object = JSONObjectWriter()
            object.add("accepted", boolean: refusal == nil)
            if let refusal {
                object.add("reason", string: refusal.name)
                object.add("error", string: "\(refusal)")
            }
            if let statement = file?.statement {
                object.add(statement)
                object.add(signatures: signatures.map { ($0, $1.rawValue) })
            }
            printOut(object.text() + [0x0A])
        }

        private static func words(for verdict: TrustedSigners.Verdict) -> String {
            switch verdict {
            case .good: "good"
            case .wrong: "wrong: not made by the trusted key of that name over this statement"
            case .untrusted: "does not count: none of the trusted keys has that name"
            }
        }
    }
}
