measure(CommandLine.arguments)
