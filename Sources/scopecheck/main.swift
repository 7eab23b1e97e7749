internal import ArgumentParser

let arguments = Array(CommandLine.arguments.dropFirst())
MistypedCommand.find(in: arguments, of: Scopecheck.self)?.exit()
RepeatedOption.find(in: arguments)?.exit()
Scopecheck.main()
