internal import Decision
internal import Kernel
internal import Octets
internal import Signatures
internal import Synchronization
internal import Tokens

/// The gateway's own keys, for transaction tokens: made when there are none, rotated, published before they sign and
/// for as long as a token of theirs can be good.
///
/// They lie in `transaction-keys/keys.json` (folder 0700, file 0600, see `TransactionKeyFile`). A key signs only when
/// it is on disk, so that a restart at any moment finds every key that has ever signed a token still alive. A file that
/// cannot be read is left as it is: there is no signer then, which denies, until a person has removed or mended it.
final class TransactionKeys: Sendable {
    struct Settings: Sendable {
        /// `iss` of the tokens.
        var issuer: String
        /// Longest life of a token, seconds.
        var lifetimeSeconds: Int64
        var rotationSeconds: Int64 = 86_400
        var algorithm = SignatureAlgorithm.es256

        init(issuer: String, lifetimeSeconds: Int64) {
            self.issuer = issuer
            self.lifetimeSeconds = lifetimeSeconds
        }

        /// With a rotation slow enough that the keys that are still public stay few.
        fileprivate var bounded: Settings {
            var result = self
            let living = max(0, min(lifetimeSeconds, 1 << 40)) + TransactionKeys.cacheSeconds
            result.rotationSeconds = max(min(rotationSeconds, 1 << 40), living / 4, TransactionKeys.noticeSeconds)
            return result
        }
    }

    /// What backends may go on using a key set for, seconds.
    static let cacheSeconds: Int64 = 600
    /// A key is public at least this long before it signs; the first one cannot be.
    static let noticeSecondsMin: Int64 = 300
    /// In the ordinary course it is public for longer than any cache.
    static let noticeSeconds: Int64 = 900
    static let tickMilliseconds: Int32 = 5_000

    private struct State {
        var file: TransactionKeyFile?
        /// Of the signer that was published last.
        var signing: String?
        /// What the log was told last, so that it is told once.
        var lastProblem: String?
    }

    private let path: String
    private let settings: Settings
    private let clock: @Sendable () -> Int64
    private let log: EventLog
    private let save: @Sendable (_ path: String, _ text: [UInt8]) throws(SystemError) -> Void
    private let publish: @Sendable (TransactionSigner?) -> Void
    private let state = Mutex(State())
    /// A leaf: readers of the key set wait for no disk.
    private let published = Mutex(JWKText.set([]))
    private let ticking = Mutex<RecurringTask?>(nil)

    /// Reads the keys or makes the first one, and publishes the signer.
    /// - Parameters:
    ///   - folder: the store's.
    ///   - clock: Unix seconds.
    ///   - save: puts a file in place as a whole, durably.
    ///   - publish: called with every change of the signer, in order, nil for none; and once before this returns.
    init(
        folder: String, _ settings: Settings, clock: @escaping @Sendable () -> Int64, log: EventLog,
        save: @escaping @Sendable (_ path: String, _ text: [UInt8]) throws(SystemError) -> Void = TransactionKeys
            .replace,
        publish: @escaping @Sendable (TransactionSigner?) -> Void
    ) {
        path = "\(folder)/transaction-keys/keys.json"
        self.settings = settings.bounded
        self.clock = clock
        self.log = log
        self.save = save
        self.publish = publish
        state.withLock { state in
            advance(&state)
            if state.signing == nil { publish(nil) }
        }
    }

    @Sendable static func replace(_ path: String, _ text: [UInt8]) throws(SystemError) {
        try Files.makeFolder(Files.split(path).folder, mode: 0o700)
        try Files.replace(path, bytes: text.span, mode: 0o600)
    }

    /// The public keys as a JWK set (RFC 7517 §5): of the key that signs, of the next one once it is made, and of
    /// earlier ones whose tokens may still be good.
    var jwks: [UInt8] { published.withLock { $0 } }

    func start() throws(SystemError) {
        let task = try RecurringTask(name: "transactionkeys", everyMilliseconds: TransactionKeys.tickMilliseconds) {
            [weak self] in self?.tick()
        }
        try task.start()
        ticking.withLock { $0 = task }
    }

    func stop() {
        let task = ticking.withLock { task in
            let taken = task
            task = nil
            return taken
        }
        task?.stop()
    }

    /// Makes, rotates and removes keys as the time demands.
    func tick() { state.withLock { advance(&$0) } }

    private func advance(_ state: inout State) {
        let now = clock()
        do throws(Problem) {
            if state.file == nil { state.file = try read() }
            let wanted = try plan(state.file?.entries ?? [], now: now)
            if wanted.isChanged {
                let file = TransactionKeyFile(wanted.entries)
                try write(file)
                state.file = file
                for event in wanted.events { log.write(.info, event.name, event.message, [("kid", event.keyID)]) }
            }
            state.lastProblem = nil
        } catch {
            if state.lastProblem != error.message {
                log.write(.error, "transaction_keys_failed", error.message)
                state.lastProblem = error.message
            }
            // The keys that are on disk go on; a file that cannot be read gives none.
        }
        announce(&state, now: now)
    }

    /// What is public comes first, what signs with it second.
    private func announce(_ state: inout State, now: Int64) {
        let entries = state.file?.entries ?? []
        let keys = entries.compactMap { try? $0.key.publicText() }
        published.withLock { $0 = JWKText.set(keys) }
        let signing = entries.last { $0.signsFrom <= now }
        guard signing?.key.keyID != state.signing else { return }
        state.signing = signing?.key.keyID
        publish(
            signing.map {
                TransactionSigner(
                    key: $0.key.key, algorithm: $0.key.algorithm, keyID: $0.key.keyID, issuer: settings.issuer,
                    lifetimeSeconds: settings.lifetimeSeconds)
            })
    }

    // MARK: Planning

    private struct Event {
        var name: String
        var message: String
        var keyID: String
    }

    private struct Plan {
        var entries: [TransactionKeyFile.Entry]
        var events: [Event] = []
        var isChanged: Bool { !events.isEmpty }
    }

    private func plan(_ held: [TransactionKeyFile.Entry], now: Int64) throws(Problem) -> Plan {
        var plan = Plan(entries: held)
        dropImpossible(&plan, now: now)
        dropRetired(&plan, now: now)
        guard let current = plan.entries.last(where: { $0.signsFrom <= now }) else {
            // There is nothing to sign with, so it begins at once.
            let entry = TransactionKeyFile.Entry(signsFrom: now, key: try makeKey())
            plan.entries.insert(entry, at: 0)
            plan.events.append(
                Event(
                    name: "transaction_key_made", message: "a key for transaction tokens was made",
                    keyID: entry.key.keyID))
            return plan
        }
        guard plan.entries.last?.key.keyID == current.key.keyID else { return plan }
        let turn = current.signsFrom + settings.rotationSeconds
        let isOther = current.key.algorithm != settings.algorithm
        guard isOther || now >= turn - TransactionKeys.noticeSeconds else { return plan }
        let begin = max(isOther ? 0 : turn, now + TransactionKeys.noticeSecondsMin)
        let next = TransactionKeyFile.Entry(signsFrom: begin, key: try makeKey())
        plan.entries.append(next)
        plan.events.append(
            Event(
                name: "transaction_key_next",
                message: "the next key for transaction tokens is published; it signs from "
                    + Timestamp(unixSeconds: begin).text,
                keyID: next.key.keyID))
        return plan
    }

    /// A key of a time far ahead was made under a clock that ran wrong; it would stop the rotation until then.
    private func dropImpossible(_ plan: inout Plan, now: Int64) {
        let last = now + settings.rotationSeconds + 2 * TransactionKeys.noticeSeconds
        for entry in plan.entries where entry.signsFrom > last {
            plan.events.append(
                Event(
                    name: "transaction_key_removed",
                    message:
                        "a key for transaction tokens was to sign from a time too far ahead; the clock was set back",
                    keyID: entry.key.keyID))
        }
        plan.entries.removeAll { $0.signsFrom > last }
    }

    /// A key goes when the last token it can have signed has ended and every cache has fetched once more.
    private func dropRetired(_ plan: inout Plan, now: Int64) {
        var kept: [TransactionKeyFile.Entry] = []
        for (index, entry) in plan.entries.enumerated() {
            let successor = index + 1 < plan.entries.count ? plan.entries[index + 1].signsFrom : Int64.max
            let age = now.subtractingReportingOverflow(successor)
            if successor <= now,
                age.overflow || age.partialValue >= settings.lifetimeSeconds + TransactionKeys.cacheSeconds
            {
                plan.events.append(
                    Event(
                        name: "transaction_key_removed", message: "no token of this key can be good any more",
                        keyID: entry.key.keyID))
            } else {
                kept.append(entry)
            }
        }
        plan.entries = kept
    }

    private func makeKey() throws(Problem) -> PrivateJWK {
        do throws(KeyError) {
            let key = try PrivateKey.generate(settings.algorithm)
            return try PrivateJWK(key: key, algorithm: settings.algorithm)
        } catch {
            throw Problem("no key for transaction tokens could be made: \(error)")
        }
    }

    // MARK: The file

    /// For the log.
    private struct Problem: Error {
        let message: String
        init(_ message: String) { self.message = message }
    }

    /// - Returns: nil when there is none.
    private func read() throws(Problem) -> TransactionKeyFile? {
        let text: [UInt8]
        do throws(SystemError) {
            text = try Files.read(path, bytesMax: TransactionKeyFile.bytesMax).bytes
        } catch {
            if error.isMissing { return nil }
            throw Problem("the keys for transaction tokens cannot be read, so none are made: \(error)")
        }
        do throws(TransactionKeyFile.Damage) {
            return try TransactionKeyFile.read(text.span)
        } catch {
            throw Problem(
                "the keys for transaction tokens in `\(path)` are damaged: \(error); services that need such a token "
                    + "are answered 503. Restore the file, or remove it and a new key is made, which backends know "
                    + "within their cache time")
        }
    }

    private func write(_ file: TransactionKeyFile) throws(Problem) {
        let text: [UInt8]
        do throws(KeyError) {
            text = try file.text()
        } catch {
            throw Problem("a key for transaction tokens could not be written: \(error)")
        }
        do throws(SystemError) {
            try save(path, text)
        } catch {
            throw Problem("a key for transaction tokens could not be kept, so it is not used: \(error)")
        }
    }
}

extension SystemError {
    /// ENOENT: nothing has that name.
    fileprivate var isMissing: Bool { code == 2 }
}
