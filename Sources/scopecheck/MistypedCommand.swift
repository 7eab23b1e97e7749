internal import ArgumentParser
internal import Glibc
internal import Kernel
internal import Policy

/// A word in the place of a command's name that is none: `scopecheck policy chek`.
struct MistypedCommand {
    private let message: String

    /// - Returns: nil where each word that has to be a command's name is one.
    static func find(in arguments: [String], of root: any ParsableCommand.Type) -> MistypedCommand? {
        var path = root._commandName
        var command = root
        for word in arguments.first == "help" ? arguments.dropFirst() : arguments[...] {
            let commands = command.configuration.subcommands
            guard !commands.isEmpty, !word.hasPrefix("-") else { return nil }
            if let next = commands.first(where: { $0._commandName == word }) {
                command = next
                path += " " + word
                continue
            }
            if word == "help" { return nil }
            let names = shownNames(commands)
            let below = commands.filter { shownNames($0.configuration.subcommands).contains(word) }
                .map { "`\(path) \($0._commandName) \(word)`" }
            let guess =
                below.isEmpty
                ? nearest(to: word.lowercased(), among: names).map { "did you mean `\(path) \($0)`?" }
                : "did you mean \(below.joined(separator: " or "))?"
            return MistypedCommand(
                message: "`\(shown(String(word.prefix(80))))` is no command of `\(path)`; "
                    + (guess ?? "there are \(names.joined(separator: ", "))"))
        }
        return nil
    }

    private static func shownNames(_ commands: [any ParsableCommand.Type]) -> [String] {
        commands.filter { $0.configuration.shouldDisplay }.map { $0._commandName }
    }

    func exit() -> Never { exitForWrongUsage(message) }
}

/// An option that counts once and stands there twice: the last one would win, and nobody be told.
struct RepeatedOption {
    private let name: String

    /// - Returns: the first such option.
    static func find(in arguments: [String]) -> RepeatedOption? {
        let names = arguments.first == "serve" ? ["--environment"] : ["--policy", "--environment"]
        let words = arguments.prefix { $0 != "--" }
        return names.first { name in words.count { $0 == name || $0.hasPrefix("\(name)=") } > 1 }
            .map { RepeatedOption(name: $0) }
    }

    func exit() -> Never {
        let mend = name == "--policy" ? ", with the folder that holds all files of the policy" : ""
        exitForWrongUsage("\(name) is given twice; give it once\(mend)")
    }
}

/// Ends the program as the parser of its arguments does.
func exitForWrongUsage(_ message: String) -> Never {
    _ = writeAll(2, Array("Error: \(message)\n".utf8).span)
    Glibc.exit(64)
}
