internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyComparison
internal import PolicyTables

extension PolicyCommand {
    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows what two policies have otherwise, and who reaches more or less for it.",
            discussion: """
                Issuers, scopes, services, routes and clients by their names, as they are once everything is worked out; \
                then, for each client with a baseline and for each scope, the routes that only one side opens. \
                `policy plan` tells whether anything became wider.
                Exit 0 when both are the same, 1 when they differ, 2 when one cannot be read, has errors \
                or is a stored version of another environment.
                """)

        @OptionGroup var policies: PolicyPair

        @Flag(help: "Print the differences as JSON.")
        var json = false

        func run() throws {
            let (old, new) = try policies.load()
            let difference = difference(from: try checked(old), to: try checked(new), at: policies.time)
            let report = DiffReport(
                difference: difference, oldPlace: { old.place(of: $0) }, newPlace: { new.place(of: $0) })
            if json { printOut(report.json) } else { printOut(report.text) }
            if !difference.isEmpty { throw Ending.no }
        }

        /// As diff(1): what is no comparison ends with 2.
        private func checked(_ loaded: LoadedPolicy) throws -> PolicyModel {
            if let model = loaded.policy.model { return model }
            let text = json ? diagnosticsJSON(loaded.policy) + "\n" : diagnosticsText(loaded.policy)
            _ = writeAll(2, Array(text.utf8).span)
            throw Ending.failure
        }
    }
}
