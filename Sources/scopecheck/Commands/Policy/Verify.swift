internal import ArgumentParser
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Server
internal import Signatures
internal import Tokens

extension PolicyCommand {
    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks the signatures of a policy as the daemon does, and shows what was signed.",
            discussion: """
                With files it checks too that exactly these were signed. Whether the serial is new only the daemon knows. \
                Exit 0 when enough trusted keys have signed, 1 when not, 2 when something cannot be read.
                """)

        @Argument(help: "File of `policy sign`.")
        var signatures: String

        @Argument(help: "Policy files and folders, or a stored version.")
        var files: [String] = []

        @Option(help: "Environment that the policy is read for.")
        var environment: String?

        @Option(help: "JWK set of the Ed25519 keys whose signatures count.")
        var trustedKeys: String

        @Option(help: "How many of them must have signed.")
        var require = 1

        @OptionGroup var place: PolicyPlace

        @Flag(help: "Print the result as JSON.")
        var json = false

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
            var statement: PolicyStatement?
            var refusal: SigningRefusal?
            do throws(SigningRefusal) {
                let file = try SignatureFile(parsing: bytes)
                statement = file.statement
                try signers.check(file)
                // Of a rollback the files are those that it leads away from.
                let named = file.statement.leaving?.version ?? file.statement.version
                if let version, version != named { throw .wrongVersion(signed: named, found: version) }
            } catch {
                refusal = error
            }
            report(statement, refusal)
            if refusal != nil { throw Ending.no }
        }

        private func versionOfFiles() throws -> Digest {
            if files.count == 1, !PolicyOperand.isPath(files[0]) {
                return try PolicyCommand.version(named: files[0], place)
            }
            let loaded = try LoadedPolicy(paths: files, environment: environment)
            return PolicyStore.version(ofSource: loaded.source.span)
        }

        private func report(_ statement: PolicyStatement?, _ refusal: SigningRefusal?) {
            guard json else {
                if let statement { printOut(statement.text) }
                printOut(refusal.map { "refused: \($0)\n" } ?? "signed by \(require) or more of the trusted keys\n")
                return
            }
            var object = JSONObjectWriter()
            object.add("accepted", boolean: refusal == nil)
            if let refusal {
                object.add("reason", string: refusal.name)
                object.add("error", string: "\(refusal)")
            }
            if let statement {
                object.add("action", string: statement.leaving == nil ? "apply" : "rollback")
                object.add("version", string: statement.version.description)
                object.add("serial", number: Int64(clamping: statement.serial))
                if let leaving = statement.leaving {
                    object.add("from", string: leaving.version.description)
                    object.add("from_serial", number: Int64(clamping: leaving.serial))
                }
            }
            printOut(object.text() + [0x0A])
        }
    }
}
