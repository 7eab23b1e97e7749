internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables

extension PolicyCommand {
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks a policy.",
            discussion: """
                A policy with `environments` is checked for each of them unless one is named. \
                Exit 0 without errors (warnings may stand), 1 with errors, 2 when a file cannot be read.
                """)

        @OptionGroup var policy: PolicyArguments

        @Flag(help: "Print diagnostics as JSON.")
        var json = false

        func run() throws {
            let bar = ProgressBar()
            defer { bar.finish() }
            let input = try PolicyInput(paths: policy.files, environment: policy.environment, bar: bar)
            let policies = input.load(everyEnvironment: policy.environment == nil, now: nowSeconds(), bar: bar)
            let tableErrors = policies.compactMap { tableError($0, label: input.label) }
            bar.finish()
            let report = DiagnosticReport(policies)
            printOut(json ? diagnosticsJSON(report) + "\n" : diagnosticsText(report))
            _ = writeAll(2, Array(tableErrors.joined().utf8).span)
            if let model = policies.first?.model {
                PolicyInput.warnOfMissingKeys(model, folder: input.folder, label: input.label)
            }
            guard tableErrors.isEmpty, policies.allSatisfy({ !$0.hasErrors }) else { throw Ending.no }
            try checkPublications(input)
            if !json { for policy in policies { printOut(summary(policy, input)) } }
        }

        /// What stands where the daemon keeps what services publish is told before anybody applies it.
        private func checkPublications(_ input: PolicyInput) throws {
            guard input.bundle.usesPublishedFolder else { return }
            let bundle = input.bundle
            let now = nowSeconds()
            let policies =
                policy.environment == nil
                ? loadEveryEnvironment(bundle: bundle, now: now) : [loadPolicy(bundle: bundle, now: now)]
            let refusals = policies.flatMap { bundle.publicationRefusals($0, now: now) }
            guard !refusals.isEmpty else { return }
            let text = refusals.map { "\(input.label): error: \($0.message)\n" }.joined()
            _ = writeAll(2, Array(text.utf8).span)
            throw Ending.no
        }

        /// What only the compiled form has a limit on.
        private func tableError(_ policy: PolicySource, label: String) -> String? {
            guard let model = policy.model else { return nil }
            do throws(PolicyTableError) {
                try PolicyCompiler(model).check()
                return nil
            } catch {
                return "\(label)\(suffix(policy)): error: \(error)\n"
            }
        }

        private func summary(_ policy: PolicySource, _ input: PolicyInput) -> String {
            guard let model = policy.model else { return "" }
            let files = input.bundle.files.count
            let routes = model.services.reduce(0) { $0 + $1.routes.count }
            let services = model.services.count + model.portServices.count
            let clients = model.clients.count + model.certificateClients.count
            return "\(input.label)\(suffix(policy)): " + (files > 1 ? "\(files) files, " : "")
                + "\(counted(model.issuers.count, "issuer")), \(counted(model.scopes.count, "scope")), "
                + "\(counted(services, "service")), \(counted(routes, "route")), "
                + (clients > 0 ? "\(counted(clients, "client")), " : "") + "\(counted(policy.tests.count, "test"))\n"
        }

        private func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

        private func suffix(_ policy: PolicySource) -> String { policy.environment.map { " (\($0))" } ?? "" }
    }
}
