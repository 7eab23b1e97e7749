internal import Kernel
internal import Octets
internal import PolicyTables
internal import Synchronization
internal import Tokens

/// What `scopecheck status` says of one issuer's keys.
struct IssuerKeyStatus: Sendable {
    var issuer: String
    var keyCount: Int
    /// usable, unavailable or stale.
    var state: String
    var ageSeconds: Int64?
    var lastError: String?
}

/// The keys of the issuers of the policy in force.
final class Keyring: Sendable {
    private let store: PolicyStore
    private let settings: KeySettings
    private let log: EventLog
    private let clock: AnchoredClock

    init(store: PolicyStore, settings: KeySettings, log: EventLog, clock: AnchoredClock) {
        self.store = store
        self.settings = settings
        self.log = log
        self.clock = clock
    }
    func start(_ publish: @escaping @Sendable (IssuerSnapshot) -> Void) {}
    func stop() {}
    func use(_ models: [IssuerModel], settings: [IssuerSettings], folder: String) -> IssuerSnapshot {
        var keys: [IssuerKeys] = []
        for (m, s) in zip(models, settings) {
            var set: KeySet?
            if case .file(let f) = m.keySource, let b = try? Files.read(Files.resolve(f, against: folder), bytesMax: 1 << 20).bytes {
                set = try? KeySet.parse(jwks: b.span, algorithms: m.algorithms, fetchedAt: clock.nowSeconds())
            }
            keys.append(IssuerKeys(settings: s, keys: set))
        }
        return IssuerSnapshot(issuers: keys, generation: UInt64(SystemClock.monotonicNanoseconds()))
    }
    func wantKeys(issuerIndex: Int, _ done: @escaping @Sendable () -> Void) -> Bool { false }
    var status: [IssuerKeyStatus] { [] }
}
