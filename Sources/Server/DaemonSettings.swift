public import Decision
internal import FastCGI
internal import HTTP1
public import Kernel

/// What the daemon is told, from a file or from flags: everything resolved, checked and in its unit.
public struct DaemonSettings: Sendable {
    /// nil goes on with what the store has.
    public var policy: PolicyPlaces?
    /// The only environment whose versions decide here; nil takes any.
    public var environment: String?
    /// How many trusted people must have signed a policy; 0 takes unsigned ones.
    public var requiredSignatures = 0
    /// A JWK set of Ed25519 keys: who may sign.
    public var trustedKeysFile: String?
    public var store: String
    public var storeMapBytes = 16 << 30
    public var workers = SystemThread.processorCount()
    public var listeners: [ListenerSettings] = []
    public var admin: ListenerSettings?
    /// Where metadata of protected resources and the keys of transaction tokens are published.
    public var documents: ListenerSettings?
    /// Where services publish, apart from the admin listener.
    public var publications: ListenerSettings?
    /// nil where no transaction tokens are made.
    public var transactions: TransactionSettings?
    /// What services publish is held against the policy; nil does not look.
    public var drift: DriftSettings?
    public var keys = KeySettings()
    public var tokenCacheEntries = 100_000
    public var denialLinesPerSecond = 100
    /// DPoP proofs that are remembered until they could not be used again; no more are taken beyond.
    public var proofsMax = 262_144
    /// Replies of issuers about tokens that are remembered; more are asked for again.
    public var introspectionsMax = 65_536
    /// Whether TCP listeners may be on other than loopback addresses.
    public var allowsRemote = false

    /// Over all workers.
    public var connectionsMax = 1_024
    public var requestHeadBytesMax = 32_768
    public var paramsBytesMax = 65_536
    public var receiveMilliseconds: Int64 = 5_000
    public var sendMilliseconds: Int64 = 5_000
    public var idleMilliseconds: Int64 = 75_000
    public var parkMilliseconds: Int64 = 250
    public var drainMilliseconds: Int64 = 5_000
    /// How long health checks fail before anything is closed; nil is 3 s where HAProxy is served, else 0.
    public var drainDelayMilliseconds: Int64?

    public init(store: String) {
        self.store = store
    }

    var drainDelay: Int64 {
        drainDelayMilliseconds ?? (listeners.contains { $0.kind == .spop } ? 3_000 : 0)
    }

    var connectionLimits: ConnectionLimits {
        var fastCGI = FastCGILimits()
        fastCGI.paramsBytesMax = paramsBytesMax
        fastCGI.connectionsMax = UInt32(clamping: connectionsMax)
        var http = HTTPLimits()
        http.headBytesMax = requestHeadBytesMax
        return ConnectionLimits(
            connectionsMax: max(1, connectionsMax / max(1, workers)), receiveMilliseconds: receiveMilliseconds,
            sendMilliseconds: sendMilliseconds, idleMilliseconds: idleMilliseconds,
            parkMilliseconds: parkMilliseconds, fastCGI: fastCGI, http: http)
    }
}

/// One listening socket.
public struct ListenerSettings: Sendable {
    public enum Kind: Sendable {
        case fastCGI
        /// FastCGI through the reference library.
        case libFCGI
        case http
        case spop
        case admin
        case documents
        case publications

        var wire: Wire {
            switch self {
            case .fastCGI, .libFCGI: .fastCGI
            case .http, .admin, .documents, .publications: .http
            case .spop: .spop
            }
        }
    }

    public var kind: Kind
    public var address: ListenAddress
    public var permissions: SocketFilePermissions
    public var profile: FactProfile
    /// Users whose processes may connect to a unix socket. Unless said: root, our own, the socket's owner, and the
    /// user that has the name of the socket's group (`www-data`).
    public var peerUserIDs: [UInt32]
    /// Somebody has said who.
    public var namesPeers = false

    public init(
        kind: Kind, address: ListenAddress, permissions: SocketFilePermissions = SocketFilePermissions(),
        profile: FactProfile = .scopecheck, peerUserIDs: [UInt32] = [0, Accounts.ownUserID]
    ) {
        self.kind = kind
        self.address = address
        self.permissions = permissions
        self.profile = profile
        self.peerUserIDs = peerUserIDs
    }

    /// Under this name a service manager may pass the socket (`FileDescriptorName=`).
    var name: String {
        switch kind {
        case .fastCGI, .libFCGI: "fastcgi"
        case .http: "http"
        case .spop: "spop"
        case .admin: "admin"
        case .documents: "documents"
        case .publications: "publications"
        }
    }

    var isUnix: Bool {
        if case .unix = address { return true }
        return false
    }
}

/// How transaction tokens are signed.
public struct TransactionSettings: Sendable, Equatable {
    /// `iss`: how backends know this gateway.
    public var issuer: String
    /// Longest life of a token, seconds, 5 to 300.
    public var lifetimeSeconds: Int64 = 60
    /// How long one key signs, seconds, at least 3,600.
    public var rotationSeconds: Int64 = 86_400

    public init(issuer: String) { self.issuer = issuer }
}

/// How issuers' keys are fetched and how long they are believed. Seconds.
public struct KeySettings: Sendable {
    public var refreshSeconds: Int64 = 600
    public var cooldownSeconds: Int64 = 30
    public var staleSecondsMax: Int64 = 86_400
    public var timeoutSeconds: Int64 = 5
    /// Certificate authorities for issuers that name none of their own; nil means the system's.
    public var certificateAuthorityFile: String?

    public init() {}
}
