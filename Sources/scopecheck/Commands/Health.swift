internal import ArgumentParser
internal import Kernel
internal import Tokens

struct Health: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Asks whether the daemon would answer.",
        discussion: """
            Works on every listener that decides, and on the admin socket: it sends a request without facts, which a daemon that has a policy denies, over \
            HTTP, then over FastCGI, then the HELLO of a health check over SPOP, each for a third of the time. Exit 0 when \
            it would answer, 1 when it answers that it cannot, not in time, or not at all.
            """)

    @Option(help: "Address of a listener: unix:PATH or HOST:PORT.")
    var address: AddressArgument

    @Option(help: "Milliseconds to wait for.")
    var timeout: Int64 = 2_000

    @Flag(help: "Print the result as JSON.")
    var json = false

    func run() throws {
        var status: Int?
        var problem =
            "it accepts connections and gave no answer within \(timeout) ms; is it a Scopecheck listener, and may this "
            + "user ask it (`peers`)?"
        do throws(SystemError) {
            switch try HealthProbe.probe(address.address, deadlineMilliseconds: max(1, timeout)) {
            case .answered(let found): status = found
            case .foreign(let code):
                problem =
                    "that address answers (HTTP \(code)), but not as a listener that decides; give the address of one for "
                    + "`http`, `fastcgi` or `spop`, or the admin socket"
            case .silent: break
            }
        } catch {
            problem =
                error.isNobodyThere
                ? "no daemon listens at `\(address.address)`; start `scopecheck serve`, or correct the address"
                : "\(error)"
        }
        let isHealthy = status == 403 || status == 200
        if json {
            var object = JSONObjectWriter()
            object.add("healthy", boolean: isHealthy)
            if let status {
                object.add("status", number: Int64(status))
            } else {
                object.add("problem", string: problem)
            }
            printOut(object.text() + [0x0A])
        } else if let status {
            printOut(isHealthy ? "healthy\n" : "it answers \(status): it has no policy, or is about to stop\n")
        }
        guard status != nil else {
            if !json { _ = writeAll(2, Array("scopecheck: \(problem)\n".utf8).span) }
            throw Ending.no
        }
        if !isHealthy { throw Ending.no }
    }
}
