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

/// The keys of the issuers of the policy in force, fetched and refreshed in the background.
///
/// The last good set of an issuer is kept, through failures and restarts, until it is older than
/// `staleSecondsMax`; then it denies. At most one fetch for an issuer is under way, and a token with an unknown key
/// causes at most one in `cooldownSeconds`, counted by time alone.
final class Keyring: Sendable {
    private struct State {
        var slots: [KeySlot] = []
        var generation: UInt64 = 0
        var isStopped = false
    }

    private let store: PolicyStore
    private let settings: KeySettings
    private let log: EventLog
    private let clock: AnchoredClock
    private let download: KeyDownload
    private let state = Mutex(State())
    private let publish = Mutex<(@Sendable (IssuerSnapshot) -> Void)?>(nil)
    private let ticker = Mutex<Task<Void, Never>?>(nil)

    init(store: PolicyStore, settings: KeySettings, log: EventLog, clock: AnchoredClock) {
        self.store = store
        self.settings = settings
        self.log = log
        self.clock = clock
        download = KeyDownload(
            timeoutSeconds: settings.timeoutSeconds, defaultAuthorityFile: settings.certificateAuthorityFile)
    }

    /// - Parameter publish: called with every new snapshot, on any thread.
    func start(_ publish: @escaping @Sendable (IssuerSnapshot) -> Void) {
        self.publish.withLock { $0 = publish }
        ticker.withLock { ticker in
            ticker = Task.detached { [weak self] in
                while !Task.isCancelled {
                    try? await Task.sleep(nanoseconds: tickNanoseconds)
                    guard let self else { return }
                    self.tick()
                }
            }
        }
    }

    func stop() {
        ticker.withLock { $0?.cancel() }
        state.withLock { $0.isStopped = true }
        download.stop()
    }

    // MARK: issuers

    /// Takes the issuers of a policy. Those whose source of keys is as before keep what was fetched; files are read
    /// at once; the others begin with what the store has kept, and are fetched.
    /// - Returns: the keys as they are now.
    func use(_ models: [IssuerModel], settings issuerSettings: [IssuerSettings], folder: String) -> IssuerSnapshot {
        let now = clock.nowSeconds()
        let snapshot = state.withLock { state in
            var slots: [KeySlot] = []
            for (model, issuer) in zip(models, issuerSettings) {
                if var known = state.slots.first(where: { $0.model == model && $0.folder == folder }) {
                    known.change(to: issuer, staleSecondsMax: settings.staleSecondsMax, now: now)
                    slots.append(known)
                } else {
                    slots.append(newSlot(model, issuer, folder, now))
                }
            }
            // With the same issuers and keys as before, tokens that were verified stay verified.
            let isSame =
                state.generation > 0 && slots.count == state.slots.count
                && zip(slots, state.slots).allSatisfy { $0.issuerKeys === $1.issuerKeys }
            state.slots = slots
            guard !isSame else {
                return IssuerSnapshot(issuers: slots.map(\.issuerKeys), generation: state.generation)
            }
            return nextSnapshot(&state)
        }
        // Elsewhere: the caller may hold a lock that publishing takes.
        Task.detached { [self] in tick() }
        return snapshot
    }

    private func newSlot(_ model: IssuerModel, _ issuer: IssuerSettings, _ folder: String, _ now: Int64) -> KeySlot {
        var slot = KeySlot(model: model, settings: issuer, folder: folder)
        if case .file = model.keySource {
            readFile(&slot, now)
        } else if let kept = (try? store.keys(ofIssuer: model.issuer)) ?? nil, kept.place == slot.place {
            slot.take(
                kept.document, fetchedAt: min(kept.fetchedAt, now), staleSecondsMax: settings.staleSecondsMax, now: now)
        }
        return slot
    }

    private func readFile(_ slot: inout KeySlot, _ now: Int64) {
        guard case .file(let name) = slot.model.keySource else { return }
        let path = Files.resolve(name, against: slot.folder)
        do throws(SystemError) {
            let contents = try Files.read(path, bytesMax: TokenLimits.keySetBytesMax)
            slot.fileStamp = contents.stamp
            slot.take(contents.bytes, fetchedAt: now, staleSecondsMax: settings.staleSecondsMax, now: now)
        } catch {
            slot.lastError = "\(error)"
        }
    }

    // MARK: fetching

    /// A request waits for keys that the present set does not have.
    /// - Parameter done: called when the fetch has ended, well or not; of several callers that wait for one fetch,
    ///   only the first one's is, so it must wake all.
    /// - Returns: whether there is a fetch to wait for.
    func wantKeys(issuerIndex: Int, _ done: @escaping @Sendable () -> Void) -> Bool {
        let now = monotonicSeconds()
        let starts: KeySlot?? = state.withLock { state in
            guard !state.isStopped, issuerIndex < state.slots.count, state.slots[issuerIndex].isRemote else {
                return nil
            }
            if !state.slots[issuerIndex].isFetching {
                guard state.slots[issuerIndex].mayFetch(after: settings.cooldownSeconds, now: now) else { return nil }
                state.slots[issuerIndex].begin(now: now)
                state.slots[issuerIndex].waiters = [done]
                return .some(state.slots[issuerIndex])
            }
            // One call wakes everybody: a flood of requests adds nothing.
            if state.slots[issuerIndex].waiters.isEmpty { state.slots[issuerIndex].waiters = [done] }
            return .some(nil)
        }
        guard let starts else { return false }
        if let slot = starts { fetch(slot) }
        return true
    }

    /// Starts what is due, reads files that have changed, and notices sets that have grown too old.
    private func tick() {
        let now = monotonicSeconds()
        let wall = clock.nowSeconds()
        var due: [KeySlot] = []
        var reread: [(before: KeySlot, after: KeySlot)] = []
        let snapshot: IssuerSnapshot? = state.withLock { state in
            guard !state.isStopped else { return nil }
            var places = fetchesAtOnceMax - state.slots.count(where: \.isFetching)
            var hasChanged = false
            for index in state.slots.indices {
                let before = state.slots[index]
                if !before.isRemote {
                    rereadFile(&state.slots[index], wall)
                    if state.slots[index].lastError != before.lastError || state.slots[index].keys !== before.keys {
                        reread.append((before, state.slots[index]))
                    }
                } else if places > 0, !before.isFetching, before.nextFetch <= now {
                    places -= 1
                    state.slots[index].begin(now: now)
                    due.append(state.slots[index])
                }
                _ = state.slots[index].age(now: wall, staleSecondsMax: settings.staleSecondsMax)
                if state.slots[index].issuerKeys !== before.issuerKeys { hasChanged = true }
            }
            return hasChanged ? nextSnapshot(&state) : nil
        }
        for slot in due { fetch(slot) }
        for (before, after) in reread { logFile(before, after) }
        if let snapshot { tell(snapshot) }
    }

    /// Reads the file again when it is another one than last time. One that is gone leaves the keys as they are.
    private func rereadFile(_ slot: inout KeySlot, _ now: Int64) {
        guard case .file(let name) = slot.model.keySource else { return }
        do throws(SystemError) {
            let stamp = try Files.stamp(Files.resolve(name, against: slot.folder))
            if stamp != slot.fileStamp || slot.isFileMissing { readFile(&slot, now) }
            slot.isFileMissing = false
        } catch {
            slot.isFileMissing = true
            slot.lastError = "\(error)"
        }
    }

    private func logFile(_ before: KeySlot, _ after: KeySlot) {
        if let error = after.lastError, error != before.lastError {
            log.write(
                .warning, "keys_not_read", "the key file of an issuer cannot be used; \(Keyring.rest(after))",
                [("issuer", after.model.issuer), ("why", error)])
        } else if after.keys !== before.keys {
            log.write(.info, "keys_changed", "new keys of an issuer are in use", [("issuer", after.model.issuer)])
        }
    }

    /// What holds for an issuer while its keys cannot be had.
    static func rest(_ slot: KeySlot) -> String {
        switch slot.issuerKeys.status {
        case .usable: "the last good set is used"
        case .stale: "the last good set is too old by now: tokens of this issuer are answered 503"
        case .unavailable: "no keys yet: tokens of this issuer are answered 503"
        }
    }

    private func fetch(_ slot: KeySlot) {
        Task.detached { [self] in
            do throws(KeyDownloadError) {
                let found = try await download.document(
                    for: slot.model, certificateAuthorityFile: slot.certificateAuthorityFile)
                finish(slot, found.bytes, nil)
            } catch {
                finish(slot, nil, "\(error)")
            }
        }
    }

    /// The new keys decide before the fetch counts as ended: a request that comes in between still waits for it, and
    /// is not refused for a cooldown.
    private func finish(_ fetched: KeySlot, _ document: [UInt8]?, _ problem: String?) {
        let wall = clock.nowSeconds()
        var hadError: String?
        let (snapshot, slot) = state.withLock { state -> (IssuerSnapshot?, KeySlot?) in
            guard let index = state.slots.firstIndex(where: { $0.isSameSource(as: fetched) }) else { return (nil, nil) }
            hadError = state.slots[index].lastError
            let before = state.slots[index].issuerKeys
            if let document {
                state.slots[index].take(
                    document, fetchedAt: wall, staleSecondsMax: settings.staleSecondsMax, now: wall)
            } else {
                state.slots[index].lastError = problem
            }
            // Also when the same keys are no longer stale.
            let isNew = state.slots[index].issuerKeys !== before
            return (isNew ? nextSnapshot(&state) : nil, state.slots[index])
        }
        if let snapshot { tell(snapshot) }
        for waiter in end(fetched) { waiter() }
        guard let slot else { return }
        if let error = slot.lastError, error != hadError {
            log.write(
                .warning, "keys_not_fetched", "the keys of an issuer could not be fetched; \(Keyring.rest(slot))",
                [("issuer", fetched.model.issuer), ("why", error)])
        }
        if snapshot != nil {
            log.write(.info, "keys_changed", "new keys of an issuer are in use", [("issuer", fetched.model.issuer)])
        }
        if let document, slot.lastError == nil { keep(fetched, document, wall) }
    }

    /// - Returns: who waits for it.
    private func end(_ fetched: KeySlot) -> [@Sendable () -> Void] {
        let now = monotonicSeconds()
        return state.withLock { state in
            guard let index = state.slots.firstIndex(where: { $0.isSameSource(as: fetched) }) else { return [] }
            state.slots[index].end(now: now, refreshSeconds: settings.refreshSeconds)
            defer { state.slots[index].waiters = [] }
            return state.slots[index].waiters
        }
    }

    private func keep(_ slot: KeySlot, _ document: [UInt8], _ fetchedAt: Int64) {
        do throws(PolicyStoreError) {
            try store.save(
                StoredKeys(issuer: slot.model.issuer, place: slot.place, fetchedAt: fetchedAt, document: document))
        } catch {
            log.write(.warning, "keys_not_kept", "fetched keys could not be written to the store: \(error)")
        }
    }

    // MARK: snapshots

    private func nextSnapshot(_ state: inout State) -> IssuerSnapshot {
        state.generation += 1
        return IssuerSnapshot(issuers: state.slots.map(\.issuerKeys), generation: state.generation)
    }

    private func tell(_ snapshot: IssuerSnapshot) {
        publish.withLock { $0 }?(snapshot)
    }

    var status: [IssuerKeyStatus] {
        let now = clock.nowSeconds()
        return state.withLock { state in
            state.slots.map { slot in
                let name =
                    switch slot.issuerKeys.status {
                    case .usable: "usable"
                    case .unavailable: "unavailable"
                    case .stale: "stale"
                    }
                return IssuerKeyStatus(
                    issuer: slot.model.issuer, keyCount: slot.keys?.keys.count ?? 0, state: name,
                    ageSeconds: slot.keys.map { _ in max(0, now - slot.confirmedAt) }, lastError: slot.lastError)
            }
        }
    }

    private func monotonicSeconds() -> Int64 { SystemClock.boottimeNanoseconds() / 1_000_000_000 }
}

private let tickNanoseconds: UInt64 = 1_000_000_000
/// Of the fetches that are due by themselves; those that requests ask for are limited by their cooldown.
private let fetchesAtOnceMax = 32
