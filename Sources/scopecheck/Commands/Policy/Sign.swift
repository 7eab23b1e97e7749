internal import ArgumentParser
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Server
internal import Signatures
internal import Tokens

extension PolicyCommand {
    struct Sign: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Signs that a version may be applied, or rolled back to.",
            discussion: """
                What is signed is a text that names the action, the version and a serial (shown by `policy verify`). \
                Several people sign one after the other: with --output an existing file is extended when it is about the \
                same statement. The serial is the time of the first signature unless given; a daemon takes each serial \
                once, in ascending order. With --rollback-to the files name the version that may be left, as it was \
                accepted under --from-serial. Keys: `scopecheck keys generate --algorithm EdDSA`. --json names, as \
                `policy verify` does, what was written: file, action, version, serial, environment (of files and of \
                what the store was asked for), kid of the key, signatures in the file. Exit 0 when it is signed, 1 when \
                the policy has errors, 2 when it could not be done.
                """)

        @OptionGroup var policy: PolicyArguments

        @Option(help: "Private JWK of an Ed25519 key.")
        var key: String

        @Option(help: "Sign a rollback to this version, from the one that the files name.")
        var rollbackTo: String?

        @Option(help: "Of a rollback: the serial that the version to be left was accepted under.")
        var fromSerial: UInt64?

        @Option(help: "Serial of the statement; of a rollback --from-serial + 1 unless given.")
        var serial: UInt64?

        @Option(help: "File to write to, or to extend; - for standard output.")
        var output = "-"

        @OptionGroup var place: StorePlace

        @Flag(help: "With --output FILE: print what was written as JSON.")
        var json = false

        func validate() throws {
            guard !json || output != "-" else {
                throw ValidationError("the signatures go to standard output; with --json give --output FILE for them")
            }
            guard (rollbackTo == nil) == (fromSerial == nil) else {
                throw ValidationError("--rollback-to and --from-serial go together")
            }
            guard (serial ?? 1) > 0, (serial ?? 1) <= PolicyStatement.serialMax,
                (fromSerial ?? 0) < PolicyStatement.serialMax
            else { throw ValidationError("a serial is 1 to \(PolicyStatement.serialMax)") }
        }

        func run() throws {
            let jwk = try readPrivateKey(key)
            guard jwk.algorithm == .ed25519 else {
                throw fail(
                    "`\(key)` is a key for \(jwk.algorithm.name); policies are signed with Ed25519, as `scopecheck keys "
                        + "generate --algorithm EdDSA` makes it")
            }
            let named = try PolicyCommand.named(by: policy, place)
            let file = try existing()
            let statement: PolicyStatement
            if let rollbackTo, let fromSerial {
                statement = PolicyStatement(
                    version: try PolicyCommand.named(rollbackTo, place).version,
                    serial: serial ?? file?.statement.serial ?? fromSerial + 1,
                    leaving: PolicyStatement.Leaving(version: named.version, serial: fromSerial))
            } else {
                statement = PolicyStatement(
                    version: named.version, serial: serial ?? file?.statement.serial ?? UInt64(clamping: nowSeconds()))
            }
            if let file, file.statement != statement {
                throw fail(
                    "`\(output)` has signatures over another statement; give the same files, or write to another file")
            }
            var signed = file ?? SignatureFile(statement: statement)
            do throws(KeyError) {
                try signed.sign(with: jwk.key, keyID: jwk.keyID)
            } catch {
                throw fail("it could not be signed: \(error)")
            }
            try write(signed.text)
            guard !json else { return report(signed, by: jwk.keyID, environment: named.environment) }
            let text = String(decoding: statement.text, as: UTF8.self)
            _ = writeAll(2, Array("signed by \(shown(jwk.keyID)):\n\(text)".utf8).span)
        }

        private func report(_ file: SignatureFile, by keyID: String, environment: String?) {
            var object = JSONObjectWriter()
            object.add("file", string: output)
            object.add(file.statement)
            if let environment { object.add("environment", string: environment) }
            object.add("kid", string: keyID)
            object.add(signatures: file.entries.map { ($0.keyID, nil) })
            printOut(object.text() + [0x0A])
        }

        private func existing() throws -> SignatureFile? {
            guard output != "-", (try? Files.stamp(output)) != nil else { return nil }
            do throws(SigningRefusal) {
                return try SignatureFile(parsing: try outputBytes())
            } catch {
                throw fail("`\(output)`: \(error)")
            }
        }

        private func outputBytes() throws(SigningRefusal) -> [UInt8] {
            do throws(SystemError) {
                return try Files.read(output, bytesMax: SignatureFile.bytesMax).bytes
            } catch {
                throw .malformed("\(error)")
            }
        }

        private func write(_ text: [UInt8]) throws {
            guard output != "-" else { return printOut(text) }
            try requireFolder(of: output)
            do throws(SystemError) {
                try Files.replace(output, bytes: text.span, mode: 0o644)
            } catch {
                throw fail("\(error)")
            }
        }
    }

    /// A version, and the environment that it was read for as far as that is known.
    struct Named {
        var version: Digest
        var environment: String?
    }

    /// The version that files make, or one that is stored.
    static func named(by policy: PolicyArguments, _ place: StorePlace) throws -> Named {
        if let stored = try policy.storedVersion() { return try named(stored, place) }
        let loaded = try policy.load()
        // Nobody should sign what no daemon would take.
        _ = try loaded.checkedModel(json: false)
        try loaded.checkPublications()
        return Named(
            version: PolicyStore.version(ofSource: loaded.source.span), environment: loaded.bundle.environment)
    }

    /// A whole version needs no store to be asked.
    static func named(_ text: String, _ place: StorePlace) throws -> Named {
        if let version = Digest(hexadecimal: text) { return Named(version: version) }
        let stored = try PolicyOperand.find(text, place)
        return Named(version: stored.version, environment: stored.description.string("environment"))
    }
}
