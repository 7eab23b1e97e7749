internal import ArgumentParser

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what the running daemon serves.",
        discussion: "Exit 0 when it answers, 2 when nobody does.")

    @OptionGroup var daemon: DaemonPlace

    @Flag(help: "Print the state as JSON.")
    var json = false

    func run() throws {
        let answer = try daemon.ask("GET", json ? "/status" : "/status.txt")
        printOut(try daemon.body(of: answer))
        if json { printOut("\n") }
    }
}
