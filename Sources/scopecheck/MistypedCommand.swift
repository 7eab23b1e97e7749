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
            let names = commands.filter { $0.configuration.shouldDisplay }.map { $0._commandName }
            let guess = nearest(to: word.lowercased(), among: names).map { "did you mean `\(path) \($0)`?" }
            return MistypedCommand(
                message: "`\(shown(String(word.prefix(80))))` is no command of `\(path)`; "
                    + (guess ?? "there are \(names.joined(separator: ", "))"))
        }
        return nil
    }

    /// Ends the program as wrong usage does.
    func exit() -> Never {
        _ = writeAll(2, Array("Error: \(message)\n".utf8).span)
        Glibc.exit(64)
    }
}
