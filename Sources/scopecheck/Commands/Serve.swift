internal import ArgumentParser
internal import Decision
internal import Kernel
internal import Server

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the daemon.",
        discussion: """
            SIGTERM drains and exits 0; with a SPOP listener health checks fail for 3 s before that, so that HAProxy \
            turns to other agents first. SIGINT, or a second signal, does not wait. SIGHUP, or a policy file renamed into place, loads the policy again; a policy \
            that is refused leaves the old one serving. With --require-signatures SIGHUP reads the trusted keys again. A \
            signal that comes before it serves ends it with 0 too. Exit 2 when it cannot start.
            """)

    @Option(help: "Configuration file; flags given as well win over it.")
    var config: String?

    @Option(help: "The policy: a file, or a folder of `*.yaml` and `*.yml`; given several times, they are one policy.")
    var policy: [String] = []

    @Option(help: "The environment that the policy is read for, when it has several; versions of others are refused.")
    var environment: String?

    @Option(help: "How many trusted keys must have signed a policy, 1 to 64.")
    var requireSignatures: Int?

    @Option(help: "JWK set of the Ed25519 keys whose signatures count.")
    var trustedKeys: String?

    @Option(help: "Folder of the store.")
    var store: String?

    @Option(help: "FastCGI listener: unix:PATH or HOST:PORT.")
    var fastcgi: [AddressArgument] = []

    @Option(help: "HTTP listener: unix:PATH or HOST:PORT.")
    var http: [AddressArgument] = []

    @Option(help: "SPOP listener, for HAProxy's SPOE: unix:PATH or HOST:PORT.")
    var spop: [AddressArgument] = []

    @Option(help: "Admin listener: unix:PATH.")
    var admin: AddressArgument?

    @Option(help: "Worker threads; as many as processors unless given.")
    var workers: Int?

    @Option(help: "FastCGI engine: native or libfcgi.")
    var fastcgiEngine: String?

    @Option(help: "Facts that FastCGI callers state: scopecheck or cgi.")
    var fastcgiProfile: String?

    func validate() throws {
        guard !policy.contains("-") else {
            throw ValidationError("the policy is read again later, which standard input cannot be; name a file")
        }
        if let list = policy.first(where: { $0.contains(",") && (try? Files.stamp($0)) == nil }) {
            throw ValidationError("there is no `\(list)`; give --policy once for each file")
        }
        if let workers, !(1...64).contains(workers) { throw ValidationError("--workers is 1 to 64") }
        if let requireSignatures, !(1...64).contains(requireSignatures) {
            throw ValidationError("--require-signatures is 1 to 64; leave it out to take unsigned policies")
        }
        if let fastcgiEngine, fastcgiEngine != "native", fastcgiEngine != "libfcgi" {
            throw ValidationError("--fastcgi-engine is native or libfcgi")
        }
        if let fastcgiProfile, fastcgiProfile != "scopecheck", fastcgiProfile != "cgi" {
            throw ValidationError("--fastcgi-profile is scopecheck or cgi")
        }
    }

    func run() throws {
        let settings = try settings()
        do {
            let daemon = try Daemon(settings)
            let code = try daemon.run()
            guard code == 0 else { throw ExitCode(code) }
        } catch let code as ExitCode {
            throw code
        } catch is EndedBeforeServing {
            return
        } catch {
            throw fail("the daemon cannot start: \(error)")
        }
    }

    private func settings() throws -> DaemonSettings {
        var settings = try config.map { try fileSettings($0) } ?? DaemonSettings(store: "")
        if let store { settings.store = store }
        guard !settings.store.isEmpty else {
            throw fail("no store: give --store FOLDER or `store:` in the configuration file")
        }
        if !policy.isEmpty { settings.policy = PolicyPlaces(paths: policy) }
        if let environment { settings.environment = environment }
        if let requireSignatures { settings.requiredSignatures = requireSignatures }
        if let trustedKeys { settings.trustedKeysFile = trustedKeys }
        if let workers { settings.workers = workers }
        let kind: ListenerSettings.Kind = fastcgiEngine == "libfcgi" ? .libFCGI : .fastCGI
        let profile: FactProfile = fastcgiProfile == "cgi" ? .cgi : .scopecheck
        if !fastcgi.isEmpty || !http.isEmpty || !spop.isEmpty { settings.listeners = [] }
        for address in fastcgi {
            settings.listeners.append(ListenerSettings(kind: kind, address: address.address, profile: profile))
        }
        for address in http { settings.listeners.append(ListenerSettings(kind: .http, address: address.address)) }
        for address in spop { settings.listeners.append(ListenerSettings(kind: .spop, address: address.address)) }
        if let admin {
            let permissions = SocketFilePermissions(mode: 0o600)
            settings.admin = ListenerSettings(kind: .admin, address: admin.address, permissions: permissions)
        }
        for listener in settings.listeners where !listener.address.isLocal && !settings.allowsRemote {
            throw fail(
                "`\(listener.address)` is not a loopback address; `allow_remote: true` in a configuration file permits it"
            )
        }
        if let admin = settings.admin, case .tcp = admin.address {
            throw fail("the admin listener must be a unix socket; give --admin unix:PATH")
        }
        guard !settings.listeners.isEmpty else {
            throw fail("nothing to listen on: give --http, --fastcgi or --spop ADDRESS")
        }
        return settings
    }

    private func fileSettings(_ path: String) throws -> DaemonSettings {
        let read: Result<DaemonSettings, ConfigurationProblems>
        do throws(SystemError) {
            read = try ConfigurationFile.read(path)
        } catch {
            throw fail("the configuration cannot be read: \(error)")
        }
        switch read {
        case .success(let settings): return settings
        case .failure(let problems):
            _ = writeAll(2, Array("\(problems)\n".utf8).span)
            throw Ending.failure
        }
    }
}
