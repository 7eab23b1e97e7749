answerCommands(CommandLine.arguments)
