internal import ArgumentParser

MistypedCommand.find(in: Array(CommandLine.arguments.dropFirst()), of: Scopecheck.self)?.exit()
Scopecheck.main()
