internal import ArgumentParser
internal import Tokens

/// Which values of the variables in the URLs of a document's servers are meant.
struct ServerVariableOptions: ParsableArguments {
    @Option(
        name: .customLong("server-variable"),
        help: ArgumentHelp(
            """
            What a variable in the URLs of the OpenAPI document's servers is; may be repeated, for several values too. \
            Otherwise all values that the document lists, or the default where it lists none.
            """,
            valueName: "name=value"))
    var serverVariables: [String] = []

    var valuesByName: [String: [String]] {
        serverVariables.reduce(into: [:]) { values, text in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            values[String(parts[0]), default: []].append(String(parts[1]))
        }
    }

    func validate() throws {
        for text in serverVariables where !text.dropFirst().contains("=") {
            throw ValidationError("--server-variable takes NAME=VALUE, not \(jsonQuoted(text)).")
        }
    }
}
