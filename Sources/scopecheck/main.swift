internal import ArgumentParser

let arguments = Array(CommandLine.arguments.dropFirst())
MistypedCommand.find(in: arguments, of: Scopecheck.self)?.exit()
if let name = RepeatedOption.find(in: arguments) { exitForWrongUsage("\(name) is given twice; give it once") }
Scopecheck.main()
