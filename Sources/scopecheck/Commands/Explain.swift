internal import ArgumentParser
internal import Decision
internal import Kernel
internal import Octets
internal import Policy
internal import Server
internal import Tokens

struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Decides one request or connection and shows how the verdict came about.",
        discussion: """
            A request: --method, --target and --host; with --policy on a policy file, otherwise on what the running \
            daemon serves (--admin). No issuer is asked for a policy file: keys are those of `jwks_file`, and for an \
            issuer whose keys come over the network the check `key` is not made here. A token that is bound to its \
            client: beside --token-file, --proof-file with the DPoP proof or --certificate. A connection to a port \
            without HTTP: --connect, with --policy only; the chain of its certificate is taken as good. Exit 0 for \
            allow, 1 for deny, 2 when it cannot be answered.
            """)

    @Option(help: "The policy: a file, or a folder of `*.yaml` and `*.yml`.")
    var policy: String?

    @Option(help: "With --policy: the environment that it is read for, when it has several.")
    var environment: String?

    @OptionGroup var daemon: DaemonPlace

    /// Taken to say how it is written.
    @Argument(help: .hidden)
    var words: [String] = []

    @Option(help: "Request method.")
    var method: String?

    @Option(help: "Raw request target, e.g. /v1/orders/7?x=1.")
    var target: String?

    @Option(help: "Host.")
    var host: String?

    @Option(help: "Scheme; https unless given.")
    var scheme: String?

    @Option(help: "Port of the listener; that of the scheme unless given.")
    var port: UInt16?

    @Option(help: "File with the access token; - for standard input.")
    var tokenFile: String?

    @Option(help: "File with the DPoP proof; the token is then sent as DPoP. - for standard input.")
    var proofFile: String?

    @Option(help: "Origin header, for a preflight.")
    var origin: String?

    @Option(help: "Access-Control-Request-Method header, for a preflight.")
    var requestMethod: String?

    @Option(help: "Instead of a request: the port that a connection without HTTP came in on.")
    var connect: UInt16?

    @Option(help: "File with the client's certificate, PEM or DER; - for standard input.")
    var certificate: String?

    @Option(help: "Time of the decision: Unix seconds or RFC 3339.")
    var at: TimeArgument?

    @Flag(help: "Print the explanation as JSON.")
    var json = false

    /// `explain GET https://…`, with what it should have been.
    private func refuseWords() throws {
        guard let first = words.first else { return }
        guard words.count == 2 || first.contains("://") || first.utf8.allSatisfy({ $0 >= 0x41 && $0 <= 0x5A }) else {
            return try OnePolicyOnly.refuse(first)
        }
        var request = (method: "GET", host: "api.example.com", target: "/orders/7")
        if words.count == 2, let colon = words[1].firstIndex(of: ":"), words[1][colon...].hasPrefix("://") {
            let rest = words[1][words[1].index(colon, offsetBy: 3)...]
            let host = rest.prefix { $0 != "/" && $0 != "?" && $0 != ":" }
            let target = rest.drop { $0 != "/" }
            request = (first, String(host), target.isEmpty ? "/" : String(target))
        }
        let example =
            "--method \(request.method) --host \(request.host) --target '\(request.target)' --token-file FILE"
        throw ValidationError(
            "`\(shown(String(first.prefix(80))))` has no option before it; write\n"
                + "  scopecheck explain --policy FILE \(shown(String(example.prefix(400))))")
    }

    func validate() throws {
        try refuseWords()
        guard policy == nil || daemon.admin == nil else {
            throw ValidationError("--policy decides on a file, --admin asks the running daemon; give one of them")
        }
        guard policy != nil || environment == nil else {
            throw ValidationError("--environment goes with --policy; the daemon's policy is read for its own")
        }
        let isRequestGiven =
            [method, target, host, scheme, tokenFile, proofFile, origin, requestMethod].contains { $0 != nil }
            || port != nil
        guard [tokenFile, proofFile, certificate].count(where: { $0 == "-" }) <= 1 else {
            throw ValidationError("only one of --token-file, --proof-file and --certificate can be standard input")
        }
        guard connect != nil else {
            guard method != nil, target != nil, host != nil else {
                throw ValidationError("give --method, --target and --host of a request, or --connect PORT")
            }
            guard proofFile == nil || tokenFile != nil else {
                throw ValidationError("--proof-file goes with --token-file: a proof is for one token")
            }
            return
        }
        guard !isRequestGiven else {
            throw ValidationError("--connect is a connection without HTTP: beside it stand --certificate and --at")
        }
        guard policy != nil else { throw ValidationError("--connect needs --policy FILE") }
    }

    func run() throws {
        if let connect, let policy { return try explain(connection: connect, policy) }
        let facts = facts + (try credentials())
        if let policy { try explain(policy, facts) } else { try askDaemon(facts) }
    }

    /// What the client shows, and the certificate as a proxy says it.
    private func credentials() throws -> [(name: String, value: String)] {
        var result: [(name: String, value: String)] = []
        if let tokenFile {
            result.append(("Authorization", "\(proofFile == nil ? "Bearer" : "DPoP") \(try line(tokenFile))"))
        }
        if let proofFile { result.append(("DPoP", try line(proofFile))) }
        if certificate != nil { result.append(("SC-Client-Certificate", escapedPEM(try certificateInput()))) }
        return result
    }

    private func line(_ file: String) throws -> String {
        String(decoding: trimmingLineEnd(try readInput(file, bytesMax: 1 << 20)), as: UTF8.self)
    }

    /// The DER of the file that `--certificate` names; empty without one.
    private func certificateInput() throws -> [UInt8] {
        guard let certificate else { return [] }
        guard let der = certificateDER(try readInput(certificate, bytesMax: 1 << 20)) else {
            throw fail("`\(certificate)` holds no certificate; give PEM with `BEGIN CERTIFICATE`, or DER")
        }
        return der
    }

    private var facts: [(name: String, value: String)] {
        let scheme = scheme ?? "https"
        var facts = [
            ("SC-Method", method ?? ""), ("SC-Target", target ?? ""), ("SC-Host", host ?? ""), ("SC-Scheme", scheme),
            ("SC-Port", "\(port ?? (scheme == "http" ? 80 : 443))"),
        ]
        if let origin { facts.append(("Origin", origin)) }
        if let requestMethod { facts.append(("Access-Control-Request-Method", requestMethod)) }
        return facts
    }

    private func explain(_ file: String, _ facts: [(name: String, value: String)]) throws {
        let loaded = try LoadedPolicy(paths: [file], environment: environment)
        let model = try loaded.checkedModel(json: json)
        let now = at?.unixSeconds ?? nowSeconds()
        let explanation: Explanation
        do {
            let trial = try PolicyTrial(model: model, source: loaded.source, now: now)
            try trial.setKeys(try fileKeys(of: model, folder: loaded.folder, now: now), asksIssuers: false)
            var bytes: [UInt8] = []
            var places = RequestFacts()
            for (name, value) in facts {
                let nameRange = ByteRange(start: bytes.count, count: name.utf8.count)
                bytes.append(contentsOf: name.utf8)
                let valueRange = ByteRange(start: bytes.count, count: value.utf8.count)
                bytes.append(contentsOf: value.utf8)
                places.take(header: nameRange, value: valueRange, in: bytes.span, profile: .scopecheck)
            }
            explanation = Explanation(try trial.makeDecider(), places, bytes, now: now, isDaemon: false)
            printOut(json ? explanation.json + [0x0A] : Array(explanation.text.utf8))
            withExtendedLifetime(trial) {}
        } catch let code as ExitCode {
            throw code
        } catch {
            throw fail("`\(file)`: \(error)")
        }
        if explanation.isUnanswerable { throw Ending.failure }
        if !explanation.isAllow { throw Ending.no }
    }

    private func explain(connection port: UInt16, _ file: String) throws {
        let der = try certificateInput()
        let loaded = try LoadedPolicy(paths: [file], environment: environment)
        let model = try loaded.checkedModel(json: json)
        let now = at?.unixSeconds ?? nowSeconds()
        let report: ConnectionReport
        do {
            let trial = try PolicyTrial(model: model, source: loaded.source, now: now)
            try trial.setKeys([])
            let decider = try trial.makeDecider()
            decider.decide(ConnectionFacts(port: port, certificateBytes: der.count), der.span, now: now)
            report = ConnectionReport(decider, port: port, der: der)
            printOut(json ? report.json + [0x0A] : Array(report.text.utf8))
            withExtendedLifetime(trial) {}
        } catch {
            throw fail("`\(file)`: \(error)")
        }
        if report.isUnanswerable { throw Ending.failure }
        if !report.isAllow { throw Ending.no }
    }

    private func askDaemon(_ headers: [(name: String, value: String)]) throws {
        let path = "/explain" + (at.map { "?at=\($0.unixSeconds)" } ?? "")
        let answer = try daemon.ask("GET", path, headers: headers, otherwise: ", or --policy FILE")
        // A token's claims are nested as deeply as its issuer likes.
        guard let read = JSONObject(answer.body, depthMax: 40), let text = read.string("text"),
            let details = read.raw("explanation"), let status = read.number("status")
        else {
            throw fail("`\(daemon.address)` gave no explanation; give the daemon's admin address")
        }
        printOut(json ? details + [0x0A] : Array(text.utf8))
        switch status {
        case 200: return
        case 503: throw Ending.failure
        default: throw Ending.no
        }
    }
}
