internal import ArgumentParser
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Server

extension PolicyCommand {
    struct Log: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists what decided when, the newest first, and who had it so and why.",
            discussion: "Exit 0 also when there is nothing, 2 when it cannot be read.")

        @Option(name: [.customShort("n"), .long], help: "How many activations.")
        var count = 20

        @OptionGroup var place: StorePlace

        @Flag(help: "Print one JSON object a line.")
        var json = false

        func validate() throws {
            guard count > 0 else { throw ValidationError("-n is at least 1") }
        }

        func run() throws {
            var left = count
            var before = ""
            var isEmpty = true
            while left > 0 {
                guard let answer = try place.find("/policy/log?limit=\(min(left, 200))\(before)"),
                    let read = JSONObject(answer)
                else { throw fail("\(place.name): the log cannot be read; is that the daemon's admin address?") }
                for activation in read.list("activations") {
                    isEmpty = false
                    left -= 1
                    printOut(json ? activation.bytes + [0x0A] : Array((VersionReport.line(activation) + "\n").utf8))
                }
                guard let next = read.number("next") else { break }
                before = "&before=\(next)"
            }
            if isEmpty, !json { printOut("no version has decided yet\n") }
        }
    }
}
