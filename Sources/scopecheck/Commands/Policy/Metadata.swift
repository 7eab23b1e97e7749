internal import ArgumentParser
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Tokens

extension PolicyCommand {
    struct Metadata: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows what services publish of themselves to clients.",
            discussion: """
                The metadata of protected resources (RFC 9728): the URL of each document and, below it, the document. \
                Exit 0, and 1 when there is none or the policy has errors.
                """)

        @OptionGroup var policy: PolicyArguments

        @Option(help: "Only that of this service.")
        var service: String?

        @Flag(help: "Print URLs and documents as one JSON object.")
        var json = false

        func run() throws {
            let loaded = try policy.load()
            let model = try loaded.checkedModel(json: json)
            let names = model.services.map(\.name) + model.portServices.map(\.name)
            if let service, !names.contains(service) {
                throw fail("`\(loaded.label)` has no service `\(service)`; it has \(names.joined(separator: ", "))")
            }
            let all: [ResourceMetadata]
            do throws(PolicyTableError) {
                all = try PolicyCompiler(model).metadata
            } catch {
                throw fail("`\(loaded.label)`: the policy could not be compiled: \(error)")
            }
            let found = all.filter { service == nil || $0.service == service }
            printOut(json ? MetadataReport.json(found) : MetadataReport.text(found))
            if found.isEmpty {
                let nobody = service.map { "the service `\($0)` does not publish" } ?? "no service publishes"
                _ = writeAll(
                    2,
                    Array("\(loaded.label): \(nobody) metadata; give it a `resource` if clients shall find it\n".utf8)
                        .span)
                throw Ending.no
            }
        }
    }
}

/// Metadata of protected resources, for people and programs.
private enum MetadataReport {
    static func text(_ found: [ResourceMetadata]) -> [UInt8] {
        Array(found.map { Array("\($0.place.url)\n".utf8) + $0.document + [0x0A] }.joined())
    }

    /// `{"metadata":[{"service":…,"url":…,"document":{…}}]}`.
    static func json(_ found: [ResourceMetadata]) -> [UInt8] {
        let objects = found.map { one in
            var writer = JSONObjectWriter()
            writer.add("service", string: one.service)
            writer.add("url", string: one.place.url)
            writer.add("document", json: one.document)
            return writer.text()
        }
        var writer = JSONObjectWriter()
        writer.add("metadata", json: [0x5B] + Array(objects.joined(separator: [0x2C])) + [0x5D])
        return writer.text() + [0x0A]
    }
}
