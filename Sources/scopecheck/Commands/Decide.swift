internal import ArgumentParser
internal import Decision
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables

struct Decide: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Decides requests and connections given as JSON lines, one answer a line.",
        discussion: """
            In: id, method, target, host, scheme, port, authorization[], dpop[], normalized_path, client_address, \
            origin, access_control_request_method, cookie[], sec_websocket_protocol[], client_certificate, at. \
            Or, for a connection to a port without HTTP: id, connect (the port), certificate (PEM text), at; the chain \
            of the certificate is taken as good. \
            Out: id, verdict, status, reason, service, route, policy, issuer, subject, client, granted[], required, \
            challenge, dpop_nonce where the client is given one, and with the reason missing_fact `missing`, the \
            names of these facts. A line that is no such object is answered with an `error` and makes the exit code 1; \
            members that are no facts are named on standard error. \
            With --record each answer also has what `policy replay` needs to decide it again: at, request (or connect), \
            settings, token_from, credentials and token. Neither the token itself nor the query is in them. \
            Keys come from the policy's jwks_file; an issuer that is reached over the network has none here, and its \
            tokens are answered keys_unavailable: ask the daemon, with `explain --admin`.
            """)

    @Option(help: "The policy: a file, or a folder of `*.yaml` and `*.yml`.")
    var policy: String

    @Option(help: "The environment that the policy is read for, when it has several.")
    var environment: String?

    @Option(help: "Time of the decisions: Unix seconds or RFC 3339.")
    var at: TimeArgument?

    @OptionGroup var one: OnePolicyOnly

    @Flag(help: "Write what `policy replay` needs beside each decision.")
    var record = false

    func run() throws {
        let loaded = try LoadedPolicy(paths: [policy], environment: environment)
        let model = try loaded.checkedModel(json: false, isDataOnly: true)
        let now = at?.unixSeconds ?? nowSeconds()
        let decider: Decider
        do {
            let trial = try PolicyTrial(model: model, source: loaded.source, now: now)
            try trial.setKeys(try fileKeys(of: model, folder: loaded.folder, now: now), asksIssuers: false)
            decider = try trial.makeDecider()
            try answer(decider, now, record ? try recordedPolicy(model, loaded) : nil)
            // The trial's store must outlive its decider's last use.
            withExtendedLifetime(trial) {}
        } catch let code as ExitCode {
            throw code
        } catch {
            throw fail("`\(policy)`: \(error)")
        }
    }

    private func recordedPolicy(_ model: PolicyModel, _ loaded: LoadedPolicy) throws -> RecordedPolicy {
        RecordedPolicy(
            settings: VerificationSettings(model, keyFiles: keyFileBytes(of: model, folder: loaded.folder)),
            boundClaims: try PolicyCompiler(model).boundClaims)
    }

    /// - Parameter recorded: nil records nothing.
    private func answer(_ decider: Decider, _ fixedNow: Int64, _ recorded: RecordedPolicy?) throws {
        let input = LineInput(descriptor: 0, lineBytesMax: 256 << 10)
        var line = FactLine()
        var output = ByteWriter(capacity: 256 << 10)
        var isClean = true
        var notes = InputNotes()
        var number = 0
        while let text = input.next() {
            number += 1
            let mark = output.count
            output.append("{\"id\":")
            do throws(FactLine.Refusal) {
                try line.read(text)
                notes.take(line.unknownNames, line: number)
                let now = line.time ?? fixedNow
                if let connection = line.connection {
                    decider.decide(connection, line.bytes.span, now: now)
                } else {
                    _ = decider.decide(line.facts, line.bytes.span, now: now, limits: DecisionLimits())
                }
                output.append(line.identifier.span)
                output.append(",")
                output.append(decisionOf: decider)
                if decider.reason == .missingFact, line.connection == nil {
                    output.append(",\"missing\":")
                    output.append(strings: line.missingNames.map { Array($0.utf8) })
                }
                if decider.reason == .keysUnavailable { notes.takeMissingKeys() }
                if let recorded {
                    if let connection = line.connection {
                        output.append(recordOf: connection, at: now)
                    } else {
                        output.append(recordOf: decider, line.facts, line.bytes.span, recorded, at: now)
                    }
                }
            } catch {
                isClean = false
                output.append(line.identifier.span)
                output.append(",\"error\":")
                output.append(jsonString: Array(error.message.utf8).span)
            }
            output.append("}\n")
            if output.overflowed {
                output.rewind(to: mark)
                output.append("{\"id\":null,\"error\":\"the answer is too long\"}\n")
                isClean = false
            }
            if output.capacity - output.count < 128 << 10 {
                guard writeAll(1, output.bytes) else { throw Ending.failure }
                output.removeAll()
            }
        }
        guard writeAll(1, output.bytes) else { throw Ending.failure }
        if !isClean { throw Ending.no }
    }
}
