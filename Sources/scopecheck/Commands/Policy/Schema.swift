internal import ArgumentParser
internal import Policy

extension PolicyCommand {
    struct Schema: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints a JSON Schema of the policy language, for editors.",
            discussion: """
                Draft-07, which YAML language servers understand completely. Write it to a file and name that in the \
                first line of a policy: `# yaml-language-server: $schema=scopecheck.schema.json`.
                """)

        func run() throws {
            printOut(policySchemaJSON())
        }
    }
}
