internal import ArgumentParser
internal import Server

let arguments = Array(CommandLine.arguments.dropFirst())
// Before the command line is read: what comes meanwhile is answered as what comes later.
if arguments.first == "serve" { Daemon.holdSignals() }
MistypedCommand.find(in: arguments, of: Scopecheck.self)?.exit()
RepeatedOption.find(in: arguments)?.exit()
Scopecheck.main()
