import Decision
import Glibc
import Octets
import PolicyTables
import Store
import Synchronization

/// SplitMix64: the same numbers from the same seed, on every machine.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }

    mutating func pick<Element>(_ values: [Element]) -> Element {
        values[Int.random(in: 0..<values.count, using: &self)]
    }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// One request as a proxy describes it. `nil` is a fact that was not sent.
struct Request {
    var method: [UInt8]? = bytes("GET")
    var target: [UInt8]? = bytes("/v1/orders")
    var normalizedPath: [UInt8]?
    var host: [UInt8]? = bytes("api.example.com")
    var scheme: [UInt8]? = bytes("https")
    var port: [UInt8]? = bytes("443")
    var clientAddress: [UInt8]?
    var requestID: [UInt8]?
    var authorization: [[UInt8]] = []
    var dpop: [[UInt8]] = []
    /// URL-encoded PEM, as nginx sends it.
    var clientCertificate: [UInt8]?
    /// DER, as HAProxy sends it.
    var certificate: [UInt8]?
    var certificateIsUsed = true
    var origin: [[UInt8]] = []
    var requestedMethod: [[UInt8]] = []
    var cookie: [[UInt8]] = []
    var subprotocol: [[UInt8]] = []
    var conflict = false

    init(_ method: String = "GET", _ target: String = "/v1/orders", host: String = "api.example.com") {
        self.method = bytes(method)
        self.target = bytes(target)
        self.host = bytes(host)
    }

    func with(_ change: (inout Request) -> Void) -> Request {
        var copy = self
        change(&copy)
        return copy
    }

    func bearing(_ token: [UInt8]) -> Request {
        with { $0.authorization.append(bytes("Bearer ") + token) }
    }

    /// The facts and the bytes that they point into.
    func laidOut() -> (facts: RequestFacts, bytes: [UInt8]) {
        // Bytes around the values, so that a place that is off by one is seen.
        var all: [UInt8] = bytes("\u{1}")
        var facts = RequestFacts()
        func place(_ value: [UInt8]?) -> ByteRange {
            guard let value else { return .absent }
            let start = all.count
            all += value + [0x01]
            return ByteRange(start: start, count: value.count)
        }
        func places(_ values: [[UInt8]]) -> (ByteRange, UInt16) {
            (place(values.first), UInt16(values.count))
        }
        facts.method = place(method)
        facts.target = place(target)
        facts.normalizedPath = place(normalizedPath)
        facts.host = place(host)
        facts.scheme = place(scheme)
        facts.port = place(port)
        facts.clientAddress = place(clientAddress)
        facts.requestID = place(requestID)
        (facts.authorization, facts.authorizationCount) = places(authorization)
        (facts.dpop, facts.dpopCount) = places(dpop)
        facts.clientCertificate = place(clientCertificate)
        facts.certificate.der = place(certificate)
        facts.certificate.isUsed = certificateIsUsed && certificate != nil
        (facts.origin, facts.originCount) = places(origin)
        (facts.accessControlRequestMethod, facts.accessControlRequestMethodCount) = places(requestedMethod)
        (facts.cookie, facts.cookieCount) = places(cookie)
        (facts.webSocketProtocol, facts.webSocketProtocolCount) = places(subprotocol)
        facts.conflict = conflict
        return (facts, all)
    }
}

/// A store in a folder of its own.
final class TemporaryStore {
    let environment: Environment
    let store: PolicyStore

    init() throws {
        environment = try Environment(
            path: try TemporaryFolders.make() + "/store", mapBytes: 64 << 20, maxReaders: 16)
        store = try PolicyStore(environment)
    }

    /// Replaces every table whose key says so, or takes it away.
    func damage(_ isChosen: ([UInt8]) -> Bool, _ change: ([UInt8]) -> [UInt8]?) throws {
        let handle = try environment.database("tables")
        var found: [([UInt8], [UInt8])] = []
        do {
            let environment = environment
            let transaction = try environment.beginRead()
            try transaction.forEach(handle) { key, value in
                let key = [UInt8](copying: key)
                if isChosen(key) { found.append((key, [UInt8](copying: value))) }
                return .next
            }
        }
        try environment.write { transaction throws(StoreError) in
            for (key, value) in found {
                if let changed = change(value) {
                    try transaction.put(handle, key.span, changed.span)
                } else {
                    try transaction.delete(handle, key.span)
                }
            }
        }
    }
}

/// Folders that are removed when the process ends and not before: a folder that is made anew could have the inode
/// of one whose environment is still open, and the store refuses that.
enum TemporaryFolders {
    private static let paths = Mutex<[String]>([])

    static func make() throws -> String {
        var name = Array("/tmp/scopecheck-decision-XXXXXX".utf8CString)
        // SAFETY: mkdtemp changes the last six characters of the name in place.
        let made = unsafe name.withUnsafeMutableBufferPointer { buffer -> String? in
            guard let start = buffer.baseAddress, unsafe mkdtemp(start) != nil else { return nil }
            return unsafe String(cString: start)
        }
        guard let made else { throw StoreError(code: EACCES, operation: "mkdtemp", path: "/tmp") }
        let isFirst = paths.withLock { paths in
            paths.append(made)
            return paths.count == 1
        }
        if isFirst { atexit { TemporaryFolders.removeAll() } }
        return made
    }

    private static func removeAll() {
        for path in paths.withLock({ $0 }) {
            // SAFETY: the paths are read during the calls only.
            for name in ["/store/data.mdb", "/store/lock.mdb"] { unsafe unlink(path + name) }
            unsafe rmdir(path + "/store")
            unsafe rmdir(path)
        }
    }
}
