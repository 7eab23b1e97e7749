replay(CommandLine.arguments)
