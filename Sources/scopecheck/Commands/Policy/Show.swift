internal import ArgumentParser
internal import Policy
internal import PolicyTables

extension PolicyCommand {
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows which scopes each route and each port requires, everything worked out.",
            discussion: "Of files or a stored version. Exit 0, 1 when the policy has errors, 2 when it cannot be read.")

        @OptionGroup var policy: PolicyArguments

        @Flag(help: "Print the table as JSON.")
        var json = false

        @Flag(help: "Of a stored version: print what it was read from.")
        var source = false

        @OptionGroup var place: StorePlace

        func validate() throws {
            let stored = try policy.storedVersion()
            guard !source || stored != nil else {
                throw ValidationError("--source is only of a stored version; a file is its own source")
            }
        }

        func run() throws {
            if let stored = try policy.storedVersion() {
                return try VersionReport.show(stored, place, source: source, json: json)
            }
            let table = effectiveTable(try policy.load().checkedModel(json: json), now: nowSeconds())
            printOut(json ? table.json + "\n" : table.text)
        }
    }
}
