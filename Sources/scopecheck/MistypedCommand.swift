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
            guard !commands.isEmpty else { return nil }
            guard !word.hasPrefix("-") else {
                guard command.configuration.defaultSubcommand == nil else { return nil }
                return find(option: word, of: path, before: commands, in: arguments)
            }
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

    /// An option in front of the command that it belongs to.
    private static func find(
        option: String, of path: String, before commands: [any ParsableCommand.Type], in arguments: [String]
    ) -> MistypedCommand? {
        let own = ["-h", "--help", "-help", "--version", "--help-hidden", "--generate-completion-script", "--"]
        let isOwn = own.contains { option == $0 || option.hasPrefix("\($0)=") } || option.hasPrefix("--experimental-")
        guard !isOwn, let command = arguments.first(where: shownNames(commands).contains) else { return nil }
        let name = shown(String(option.prefix(80)))
        return MistypedCommand(
            message: "`\(name)` stands before the command; options come behind the command, as in "
                + "`\(path) \(command) … \(name)`")
    }

    private static func shownNames(_ commands: [any ParsableCommand.Type]) -> [String] {
        commands.filter { $0.configuration.shouldDisplay }.map { $0._commandName }
    }

    func exit() -> Never { exitForWrongUsage(message) }
}

/// An option that its command does not know. The parser asks for what is missing first, so that a slip in a required
/// option is called missing where it stands.
enum UnknownOption {
    /// - Returns: nil where every option is one, as far as the command's help tells.
    static func find(in arguments: [String], of root: any ParsableCommand.Type) -> String? {
        var command = root
        for word in arguments {
            guard let next = command.configuration.subcommands.first(where: { $0._commandName == word }) else { break }
            command = next
        }
        let help = Scopecheck.helpMessage(for: command, includeHidden: true, columns: 10_000)
        let names = Set(help.split { !$0.isLetter && !$0.isNumber && $0 != "-" }.filter { $0.hasPrefix("--") })
        for word in arguments.prefix(while: { $0 != "--" }) where word.hasPrefix("--") {
            let name = word.prefix { $0 != "=" }
            guard !names.contains(name) else { continue }
            let guess = nearest(to: String(name), among: names.map(String.init).sorted())
            return "unknown option `\(shown(String(name.prefix(80))))`"
                + (guess.map { "; did you mean `\($0)`?" } ?? "")
        }
        return nil
    }

    /// Whether the parser only says that something is missing.
    static func mayHide(behind error: any Error) -> Bool { Scopecheck.message(for: error).hasPrefix("Missing") }
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
