internal import ArgumentParser
internal import Server

let arguments = Array(CommandLine.arguments.dropFirst())
// Before the command line is read: what comes meanwhile is answered as what comes later.
if arguments.first == "serve" { Daemon.holdSignals() }
MistypedCommand.find(in: arguments, of: Scopecheck.self)?.exit()
RepeatedOption.find(in: arguments)?.exit()
do {
    var command = try Scopecheck.parseAsRoot(arguments)
    try command.run()
} catch {
    if UnknownOption.mayHide(behind: error), let text = UnknownOption.find(in: arguments, of: Scopecheck.self) {
        exitForWrongUsage(text)
    }
    Scopecheck.exit(withError: error)
}
