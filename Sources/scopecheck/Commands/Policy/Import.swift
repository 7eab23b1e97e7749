internal import ArgumentParser
internal import Kernel
internal import OpenAPI
internal import Tokens

extension PolicyCommand {
    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes a policy file from what a service publishes of itself.",
            subcommands: [ImportOpenAPI.self])
    }

    struct ImportOpenAPI: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "openapi",
            abstract: "Writes a policy file from an OpenAPI document, 3.0 or 3.1, JSON or YAML.",
            discussion: """
                Alternatives of a security requirement are OR, schemes within one are AND, scopes within one scheme \
                are AND. What the policy language cannot say is left out, and so denied, or made stricter; never wider.
                Exit 0: the policy says what the document says. 3: it was written, with reservations that stand on \
                standard error and in the file's comments. 1: the document cannot be used. 2: it could not be read, or \
                the policy not be written.
                """)

        @Argument(help: "The document, or - for standard input.")
        var file: String

        @Option(help: "Name of the service; otherwise from the document's title.")
        var service: String?

        @Option(name: .customLong("host"), help: "A host in place of those in the document; may be repeated.")
        var hosts: [String] = []

        @OptionGroup var variables: ServerVariableOptions

        @Option(help: "The issuer of its tokens; otherwise another file of the policy names it.")
        var issuer: String?

        @Option(
            name: .customLong("security"),
            help: """
                A security scheme whose tokens are the issuer's; may be repeated. Otherwise all that are access \
                tokens, as long as these are of one authority.
                """
        )
        var schemes: [String] = []

        @Option(help: "The scope to require where the document asks for a token and names no scope.")
        var defaultScope: String?

        @Flag(
            help:
                "Leave out operations of which the document says nothing; otherwise they are public, as OpenAPI has it."
        )
        var denyUnstated = false

        @Option(help: "Write the policy to this new file; otherwise to standard output.")
        var output: String?

        @Flag(help: "With --output: print what to know of the import as JSON.")
        var json = false

        func validate() throws {
            if file.contains("://") {
                throw ValidationError("the document is a file; fetch it first, as with `curl -fsS -o api.json \(file)`")
            }
            if let issuer, !issuer.hasPrefix("https://") {
                throw ValidationError("--issuer is the URL in the tokens' `iss`, as in https://id.example.com")
            }
            if json, output == nil { throw ValidationError("--json needs --output, since the policy itself is YAML.") }
        }

        func run() throws {
            var options = ImportOptions()
            options.service = service
            options.hosts = hosts
            options.serverVariables = variables.valuesByName
            options.issuer = issuer
            options.schemes = schemes
            options.defaultScope = defaultScope
            options.deniesUnstated = denyUnstated
            let bytes = try readInput(file, bytesMax: publishedDocumentBytesMax)
            let imported: ServiceImport
            do throws(DocumentError) {
                imported = try ServiceImport(APIDocument(bytes), options)
            } catch {
                _ = writeAll(2, Array("\(file): \(error)\n".utf8).span)
                throw Ending.no
            }
            try write(imported)
            for remark in imported.remarks {
                let word = remark.isReservation ? "reservation" : "note"
                _ = writeAll(2, Array("\(file): \(word): \(remark.sentence)\n".utf8).span)
            }
            if json { printOut(report(imported)) }
            if imported.hasReservations { throw ExitCode(3) }
        }

        private func write(_ imported: ServiceImport) throws {
            guard let output else { return printOut(imported.source) }
            guard (try? Files.stamp(output)) == nil else {
                throw fail("`\(output)` is there already; name a new file, or remove it")
            }
            try requireFolder(of: output)
            do throws(SystemError) {
                try Files.replace(output, bytes: Array(imported.source.utf8).span, mode: 0o644)
            } catch {
                throw fail("\(error)")
            }
            guard !json else { return }
            for service in imported.services {
                printOut("\(output): service \(service.name), \(service.routeCount) routes\n")
            }
        }

        private func report(_ imported: ServiceImport) -> [UInt8] {
            func list(_ objects: [[UInt8]]) -> [UInt8] { [0x5B] + Array(objects.joined(separator: [0x2C])) + [0x5D] }
            var writer = JSONObjectWriter()
            writer.add(
                "services",
                json: list(
                    imported.services.map { service in
                        var writer = JSONObjectWriter()
                        writer.add("name", string: service.name)
                        writer.add("routes", number: Int64(service.routeCount))
                        return writer.text()
                    }))
            writer.add(
                "remarks",
                json: list(
                    imported.remarks.map { remark in
                        var writer = JSONObjectWriter()
                        writer.add("kind", string: remark.kind.rawValue)
                        writer.add("reason", string: remark.reason)
                        writer.add("count", number: Int64(remark.count))
                        writer.add("operations", strings: remark.operations)
                        return writer.text()
                    }))
            return writer.text() + [0x0A]
        }
    }
}
