internal import ArgumentParser
internal import Kernel
internal import OpenAPI
internal import Policy
internal import PolicyTables
internal import Server

extension PolicyCommand {
    struct Drift: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Holds what a service publishes of itself against the policy.",
            discussion: """
                Operations that the policy denies, routes that are published no more, and where one side asks for more \
                than the other. Documents come from a file, or from an https URL without redirects, at most 8 MiB.
                Single operations that no scopes of a token can be held against are listed as not_comparable and do not \
                count.
                Exit 0: no drift. 1: drift, or the policy has errors. 2: the document could not be read or compared.
                """)

        @Option(help: "The service of the policy.")
        var service: String

        @Option(name: .customLong("openapi"), help: "Its OpenAPI document, 3.0 or 3.1: a file, - or an https URL.")
        var openAPI: String?

        @Option(help: "Its protected resource metadata (RFC 9728): a file, - or an https URL.")
        var metadata: String?

        @Option(help: "Its manifest, a policy file of this one service: a file, - or an https URL.")
        var manifest: String?

        @Option(
            name: .customLong("security"),
            help: "A security scheme of the OpenAPI document that is this policy's tokens; may be repeated.")
        var schemes: [String] = []

        @OptionGroup var variables: ServerVariableOptions

        @Option(name: .customLong("ca-file"), help: "Certificate authorities for the URL, a PEM file.")
        var authorityFile: String?

        @Option(help: "For a policy with environments: the one to read it for.")
        var environment: String?

        @Option(help: "Unix seconds or RFC 3339: the time to compare for.")
        var at: TimeArgument?

        @Flag(help: "Print the report as JSON.")
        var json = false

        @Flag(help: ArgumentHelp("Read the policy as it is stored from standard input.", visibility: .private))
        var policyOnInput = false

        @Argument(help: "The policy: files and folders.")
        var files: [String] = []

        func validate() throws {
            guard [openAPI, metadata, manifest].count(where: { $0 != nil }) == 1 else {
                throw ValidationError("Say one of --openapi, --metadata and --manifest.")
            }
            guard openAPI != nil || variables.serverVariables.isEmpty else {
                throw ValidationError("--server-variable is about an OpenAPI document: say --openapi.")
            }
            guard policyOnInput == files.isEmpty else {
                throw ValidationError("Name the files and folders of the policy.")
            }
        }

        func run() throws {
            // The daemon's job asks so.
            if policyOnInput { ProcessResources.endWithParent() }
            let now = at?.unixSeconds ?? nowSeconds()
            let model = try policyOnInput ? storedModel(now) : namedModel()
            try requireService(in: model)
            let place = openAPI ?? metadata ?? manifest ?? "-"
            let bytes = try read(place)
            let report: DriftReport
            do throws(DocumentError) {
                if openAPI != nil {
                    report = try DriftReport(
                        openAPI: APIDocument(bytes), model: model, service: service, schemes: schemes,
                        serverVariables: variables.valuesByName, now: now)
                } else if metadata != nil {
                    report = try DriftReport(metadata: bytes, model: model, service: service, now: now)
                } else {
                    report = try DriftReport(manifest: bytes, file: place, model: model, service: service, now: now)
                }
            } catch {
                throw fail("`\(place)`: \(error)")
            }
            if json { printOut(report.json + [0x0A]) } else { printOut(report.text) }
            if report.hasDrift { throw Ending.no }
        }

        private func requireService(in model: PolicyModel) throws {
            let names = model.services.map(\.name)
            guard !names.contains(service) else { return }
            let mend =
                nearest(to: service, among: names).map { "did you mean `\($0)`?" }
                ?? (names.isEmpty ? "it has none with HTTP" : "it has \(names.prefix(20).joined(separator: ", "))")
            throw fail("the policy has no service `\(shown(service))`; \(mend)")
        }

        private func namedModel() throws -> PolicyModel {
            try LoadedPolicy(paths: files, environment: environment).checkedModel(json: json)
        }

        /// The daemon's job gives the version in force; what is fetched must not take the machine with it.
        private func storedModel(_ now: Int64) throws -> PolicyModel {
            try? ProcessResources.limitAddressSpace(bytes: 64 << 30)
            try? ProcessResources.giveWay()
            guard let bundle = PolicyBundle(decoding: try readInput("-", bytesMax: PolicyBundle.bytesMax)),
                let model = loadPolicy(bundle: bundle, now: now).model
            else { throw fail("standard input holds no policy without errors") }
            return model
        }

        private func read(_ place: String) throws -> [UInt8] {
            guard place.contains("://") else { return try readInput(place, bytesMax: publishedDocumentBytesMax) }
            let fetch = PublishedFetch(authorityFile: authorityFile)
            defer { fetch.stop() }
            do throws(PublishedFetchError) {
                return try fetch.documentNow(place)
            } catch {
                throw fail("\(error)")
            }
        }
    }
}
