internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Tokens

struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Checks, tests and shows policies.",
        subcommands: [Check.self, Test.self, Show.self, Metadata.self, Load.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks a policy file.",
            discussion: "Exit 0 without errors (warnings may stand), 1 with errors, 2 when the file cannot be read.")

        @Argument(help: "The policy file.")
        var file: String

        @Flag(help: "Print diagnostics as JSON.")
        var json = false

        func run() throws {
            let loaded = try LoadedPolicy(file: file)
            var tableError: String?
            if let model = loaded.policy.model {
                do throws(PolicyTableError) {
                    try PolicyCompiler(model).check()
                } catch {
                    tableError = "\(error)"
                }
            }
            if json {
                printOut(diagnosticsJSON(loaded.policy) + "\n")
            } else {
                printOut(diagnosticsText(loaded.policy, source: loaded.source))
            }
            if let tableError { _ = writeAll(2, Array("\(file): error: \(tableError)\n".utf8).span) }
            guard let model = loaded.policy.model, tableError == nil else { throw Ending.no }
            if !json {
                let routes = model.services.reduce(0) { $0 + $1.routes.count }
                let services = model.services.count + model.portServices.count
                let clients = model.certificateClients.count
                printOut(
                    "\(file): \(model.issuers.count) issuers, \(model.scopes.count) scopes, "
                        + "\(services) services, \(routes) routes, "
                        + (clients > 0 ? "\(clients) clients, " : "") + "\(loaded.policy.tests.count) tests\n")
            }
        }
    }

    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs the tests that a policy file holds.",
            discussion: "Exit 0 when all pass, 1 when one fails or the policy has errors.")

        @Argument(help: "The policy file.")
        var file: String

        @Flag(help: "Print results as JSON.")
        var json = false

        @Option(help: "Time of tests that name none: Unix seconds or RFC 3339.")
        var at: TimeArgument?

        func run() throws {
            let loaded = try LoadedPolicy(file: file)
            let now = at?.unixSeconds ?? nowSeconds()
            let model = try loaded.checkedModel(json: json)
            var passed = 0
            var rows: [[UInt8]] = []
            do {
                let trial = try PolicyTrial(model: model, source: loaded.source, now: now)
                let runner = try PolicyTestRunner(trial, now: now)
                for test in loaded.policy.tests {
                    let result = try runner.run(test)
                    if result.passed { passed += 1 }
                    if json {
                        rows.append(TestReport.json(result))
                    } else if !result.passed {
                        printOut(TestReport.text(result, file: file))
                    }
                }
            } catch {
                throw fail("`\(file)`: the tests could not be run: \(error)")
            }
            let failed = loaded.policy.tests.count - passed
            if json {
                let results = rows.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ",")
                printOut("{\"passed\":\(passed),\"failed\":\(failed),\"results\":[\(results)]}\n")
            } else {
                printOut("\(passed) passed, \(failed) failed\n")
            }
            if failed > 0 { throw Ending.no }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows which scopes each route and each port requires, everything worked out.")

        @Argument(help: "The policy file.")
        var file: String

        @Flag(help: "Print the table as JSON.")
        var json = false

        func run() throws {
            let loaded = try LoadedPolicy(file: file)
            let table = effectiveTable(try loaded.checkedModel(json: json))
            printOut(json ? table.json + "\n" : table.text)
        }
    }

    struct Metadata: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows what services publish of themselves to clients.",
            discussion: """
                The metadata of protected resources (RFC 9728): the URL of each document and, below it, the document. \
                Exit 0, and 1 when there is none or the policy has errors.
                """)

        @Argument(help: "The policy file.")
        var file: String

        @Option(help: "Only that of this service.")
        var service: String?

        @Flag(help: "Print URLs and documents as one JSON object.")
        var json = false

        func run() throws {
            let loaded = try LoadedPolicy(file: file)
            let model = try loaded.checkedModel(json: json)
            let names = model.services.map(\.name) + model.portServices.map(\.name)
            if let service, !names.contains(service) {
                throw fail("`\(file)` has no service `\(service)`; it has \(names.joined(separator: ", "))")
            }
            let all: [ResourceMetadata]
            do throws(PolicyTableError) {
                all = try PolicyCompiler(model).metadata
            } catch {
                throw fail("`\(file)`: the policy could not be compiled: \(error)")
            }
            let found = all.filter { service == nil || $0.service == service }
            printOut(json ? MetadataReport.json(found) : MetadataReport.text(found))
            if found.isEmpty {
                let nobody = service.map { "the service `\($0)` does not publish" } ?? "no service publishes"
                _ = writeAll(
                    2, Array("\(file): \(nobody) metadata; give it a `resource` if clients shall find it\n".utf8).span)
                throw Ending.no
            }
        }
    }

    /// What the daemon runs as a child: compiles a policy into its store and makes nothing active.
    struct Load: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compiles a policy into a store without activating it.", shouldDisplay: false)

        @Argument(help: "The policy file.")
        var file: String

        @Option(help: "The store's folder.")
        var store: String

        @Flag(help: "Let other processes go first, since requests are answered meanwhile.")
        var giveWay = false

        func run() throws {
            // A policy that expands without end ends here and not in the daemon.
            try? ProcessResources.limitAddressSpace(bytes: 64 << 30)
            // Where that is not allowed it computes all the same.
            if giveWay { try? ProcessResources.giveWay() }
            let loaded = try LoadedPolicy(file: file)
            let now = nowSeconds()
            guard let model = loaded.policy.model else {
                printOut(diagnosticsText(loaded.policy, source: loaded.source))
                throw Ending.no
            }
            do {
                // Before anything is in the store: a version that is there has passed its tests.
                if !loaded.policy.tests.isEmpty {
                    let rehearsal = try PolicyTrial(model: model, source: loaded.source, now: now)
                    let runner = try PolicyTestRunner(rehearsal, now: now)
                    var failures = 0
                    for test in loaded.policy.tests {
                        let result = try runner.run(test)
                        if result.passed { continue }
                        failures += 1
                        printOut(TestReport.text(result, file: file))
                    }
                    if failures > 0 { throw Ending.no }
                }
                let trial = try PolicyTrial(
                    model: model, source: loaded.source, now: now, storeFolder: store)
                printOut("\(trial.version)\n")
            } catch let code as ExitCode {
                throw code
            } catch {
                throw fail("`\(file)`: the policy could not be compiled: \(error)")
            }
        }
    }
}

/// Metadata of protected resources, for people and programs.
private enum MetadataReport {
    static func text(_ found: [ResourceMetadata]) -> [UInt8] {
        Array(found.map { Array("\($0.place.url)\n".utf8) + $0.document + [0x0A] }.joined())
    }

    /// `{"metadata":[{"service":…,"url":…,"document":{…}}]}`.
    static func json(_ found: [ResourceMetadata]) -> [UInt8] {
        let objects = found.map { one in
            var writer = JSONObjectWriter()
            writer.add("service", string: one.service)
            writer.add("url", string: one.place.url)
            writer.add("document", json: one.document)
            return writer.text()
        }
        var writer = JSONObjectWriter()
        writer.add("metadata", json: [0x5B] + Array(objects.joined(separator: [0x2C])) + [0x5D])
        return writer.text() + [0x0A]
    }
}

/// A policy file that was read and checked.
struct LoadedPolicy {
    /// Room for a million routes.
    static let sourceBytesMax = 512 << 20

    let file: String
    let source: [UInt8]
    let policy: PolicySource

    init(file: String) throws {
        self.file = file
        source = try readInput(file, bytesMax: LoadedPolicy.sourceBytesMax)
        policy = loadPolicy(source: source, file: file, now: nowSeconds())
    }

    /// The model, or the diagnostics and exit code 1.
    func checkedModel(json: Bool) throws -> PolicyModel {
        if let model = policy.model { return model }
        printOut(json ? diagnosticsJSON(policy) + "\n" : diagnosticsText(policy, source: source))
        throw Ending.no
    }
}

func nowSeconds() -> Int64 { SystemClock.realtimeNanoseconds() / 1_000_000_000 }
