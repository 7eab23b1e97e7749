internal import ArgumentParser
internal import Kernel

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what the running daemon serves.",
        discussion: "Exit 0 when it answers, 2 when nobody does.")

    @Option(help: "Admin address of the daemon: unix:PATH.")
    var address: AddressArgument

    @Flag(help: "Print the state as JSON.")
    var json = false

    func run() throws {
        let response: LocalResponse
        do throws(LocalHTTPError) {
            response = try LocalHTTP.request(
                "GET", json ? "/status" : "/status.txt", at: address.address, responseBytesMax: 1 << 20)
        } catch {
            throw fail("\(error)")
        }
        guard response.status == 200 else {
            throw fail("`\(address.address)` answered \(response.status); give the daemon's admin address")
        }
        printOut(response.body)
        if json { printOut("\n") }
    }
}
