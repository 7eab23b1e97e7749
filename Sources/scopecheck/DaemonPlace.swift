internal import ArgumentParser
internal import Kernel

/// The running daemon, which answers commands on its admin socket.
struct DaemonPlace: ParsableArguments, DaemonAddress {
    /// Where README.md puts it.
    static let usualAdmin = "/run/scopecheck/admin.sock"

    @Option(
        name: [.long, .customLong("address")],
        help: "Admin address of the running daemon: unix:PATH; unix:\(usualAdmin) unless given.")
    var admin: AddressArgument?

    var address: ListenAddress { admin?.address ?? .unix(path: DaemonPlace.usualAdmin) }

    var wanted: String { "the daemon's admin address" }

    var keptOut: String? { "the admin socket is for the daemon's user and root; run it as one of them (sudo)" }

    func hint(_ error: LocalHTTPError) -> String {
        admin == nil ? "; give --admin unix:PATH of the daemon" : ""
    }
    /// The same as it was given, to follow the words of a command that is printed; empty when it was not.
    var words: String { admin.map { " --admin \(shellWord("\($0.address)"))" } ?? "" }

    /// How long an answer is waited for, milliseconds.
    enum Patience: Int64 {
        case usual = 10_000
        /// Parts of a stored version.
        case reading = 60_000
        /// A policy of a million routes takes a while to compile.
        case change = 1_200_000
    }

    /// What was answered, by the daemon or in its stead.
    struct Answer {
        var status: Int
        var body: [UInt8]

        /// Nil for a body that is no JSON object.
        var object: JSONObject? { JSONObject(body) }

        /// What is wrong, in the daemon's words.
        var error: String { object?.string("error") ?? "it answered \(status)" }

        /// The same, for what was looked at and refused.
        var refusal: String {
            "scopecheck: refused\(object?.string("reason").map { " (\($0))" } ?? ""): \(error)\n"
        }
    }
}

/// Where a daemon is asked.
protocol DaemonAddress {
    var address: ListenAddress { get }
    /// What kind of address it has to be, with an article.
    var wanted: String { get }
    /// What to say to a user who is not let in, in place of the error's words; nil says those.
    var keptOut: String? { get }
    /// What to do when there is no answer, behind the error's own words; may be empty.
    func hint(_ error: LocalHTTPError) -> String
}

extension DaemonAddress {
    typealias Answer = DaemonPlace.Answer
    typealias Patience = DaemonPlace.Patience

    /// Asks once, and ends the command when there is no answer.
    /// - Parameter otherwise: what else can be done where nobody listens.
    func ask(
        _ method: String, _ target: String, headers: [(String, String)] = [], body: [UInt8] = [],
        contentType: String = "application/octet-stream", patience: Patience = .usual, otherwise: String = ""
    ) throws -> Answer {
        let response: LocalResponse
        do throws(LocalHTTPError) {
            response = try LocalHTTP.request(
                method, target, at: address, headers: headers, body: body,
                contentType: method == "POST" ? contentType : nil, deadlineMilliseconds: patience.rawValue)
        } catch {
            let doubt = method == "GET" ? "" : "nothing is known to be changed: "
            if error.isKeptOut, let keptOut { throw fail("\(doubt)`\(address)`: \(keptOut)") }
            var hint = hint(error)
            if !hint.isEmpty { hint += otherwise }
            if case .unix(let path) = address, !path.hasPrefix("/") {
                hint = "; that is a path from this folder, a whole one is written as `unix:\(DaemonPlace.usualAdmin)`"
            }
            throw fail("\(doubt)\(error)\(hint)")
        }
        let answer = Answer(status: response.status, body: response.body)
        // A listener for proxies denies without a body.
        guard answer.status == 200 || answer.object != nil else {
            throw fail("`\(address)` answered \(answer.status); give \(wanted)")
        }
        return answer
    }

    /// The body of a 200; whatever else is answered ends the command.
    func body(of answer: Answer) throws -> [UInt8] {
        guard answer.status == 200 else { throw fail("`\(address)`: \(answer.error)") }
        return answer.body
    }
}
