internal import Decision
internal import Kernel
internal import Octets
internal import Synchronization
internal import Tokens

/// Which clients carry more than is approved for them, and which still use old names of scopes: counted for all workers
/// together, for `scopecheck status`, and written to the log at first sight and then at most hourly.
///
/// A request without such remarks never comes here. At most `entriesMax` different remarks are kept; what comes then is
/// counted as others.
final class ScopeRemarks: Sendable {
    enum Kind: UInt8, Sendable {
        case overScoped = 0
        case oldScope = 1

        /// The event in the log.
        var name: StaticString {
            switch self {
            case .overScoped: "over_scoped"
            case .oldScope: "old_scope_used"
            }
        }

        var message: StaticString {
            switch self {
            case .overScoped:
                "this client's tokens carry a scope not approved for it: approve it, or take it away at the issuer"
            case .oldScope:
                "this client's tokens carry an old name of a scope: give it the new one at the issuer before it ends"
            }
        }
    }

    struct Key: Hashable, Sendable {
        var issuer: [UInt8]
        var client: [UInt8]
        var kind: Kind
        var scope: [UInt8]
    }

    struct Entry: Sendable {
        var key: Key
        /// As the policy calls the client; empty where it does not list it.
        var clientName: [UInt8]
        var count: UInt64 = 0
        /// Unix seconds.
        var first: Int64
        var last: Int64
        /// When it was written to the log; nil before.
        var loggedAt: Int64?
    }

    static let entriesMax = 4_096
    /// Newest entries in the report.
    static let reportedMax = 512
    private static let silenceSeconds: Int64 = 3_600
    /// Lines that one report of a worker writes at the most, those put off before among them.
    private static let linesMax = 64

    private struct State {
        var places: [Key: Int] = [:]
        var entries: [Entry] = []
        var others: UInt64 = 0
        /// Entries whose line is to be written, oldest first.
        var due: [Int] = []
    }

    private let state = Mutex(State())
    private let write: @Sendable ([UInt8]) -> Bool

    /// - Parameter write: takes one line, its end included, without waiting; false when it cannot now.
    init(write: @escaping @Sendable ([UInt8]) -> Bool) {
        self.write = write
    }

    convenience init(pipe: LinePipe) {
        self.init { pipe.write($0.span) }
    }

    /// Counts what some decisions said.
    /// - Parameters:
    ///   - first: of them, Unix seconds.
    ///   - last: of them, Unix seconds.
    func note(_ remarks: GrantRemarks, count: UInt64, first: Int64, last: Int64) {
        state.withLock { state in
            for scope in remarks.excess {
                ScopeRemarks.note(.overScoped, scope, remarks, count, first, last, &state)
            }
            for scope in remarks.oldScopes {
                ScopeRemarks.note(.oldScope, scope, remarks, count, first, last, &state)
            }
            let leftOut =
                remarks.excessCount - remarks.excess.count + remarks.oldScopeCount - remarks.oldScopes.count
            state.others &+= count &* UInt64(clamping: leftOut)
        }
    }

    private static func note(
        _ kind: Kind, _ scope: [UInt8], _ remarks: GrantRemarks, _ count: UInt64, _ first: Int64, _ last: Int64,
        _ state: inout State
    ) {
        let key = Key(issuer: remarks.issuer, client: remarks.client, kind: kind, scope: scope)
        let place: Int
        if let known = state.places[key] {
            place = known
        } else {
            guard state.entries.count < entriesMax else {
                state.others &+= count
                return
            }
            place = state.entries.count
            state.places[key] = place
            state.entries.append(Entry(key: key, clientName: remarks.clientName, first: first, last: last))
            state.due.append(place)
        }
        state.entries[place].count &+= count
        state.entries[place].first = min(state.entries[place].first, first)
        state.entries[place].last = max(state.entries[place].last, last)
        state.entries[place].clientName = remarks.clientName
        guard let logged = state.entries[place].loggedAt, last - logged >= silenceSeconds else { return }
        // Until it is written.
        state.entries[place].loggedAt = nil
        state.due.append(place)
    }

    /// Writes lines that are due, as far as they are taken now.
    /// - Returns: whether some stay due.
    func writeDue(unixNanoseconds: Int64) -> Bool {
        state.withLock { state in
            var written = 0
            while written < ScopeRemarks.linesMax, written < state.due.count {
                let place = state.due[written]
                guard write(state.entries[place].line(unixNanoseconds: unixNanoseconds)) else { break }
                state.entries[place].loggedAt = unixNanoseconds / 1_000_000_000
                written += 1
            }
            state.due.removeFirst(written)
            return !state.due.isEmpty
        }
    }

    /// `{"others":0,"entries":[{"event":"over_scoped","issuer":"…","client":"…","client_name":"…","scope":"…",
    /// "count":3,"first":"…","last":"…"},…]}`: the newest first, at most `reportedMax`. `others` is how often something
    /// was seen that is not kept by itself.
    var json: [UInt8] {
        let (entries, others) = state.withLock { ($0.entries, $0.others) }
        let newest = entries.sorted { $0.last > $1.last }.prefix(ScopeRemarks.reportedMax)
        var object = JSONObjectWriter()
        object.add("others", number: Int64(clamping: others))
        var list: [UInt8] = [0x5B]
        for (number, entry) in newest.enumerated() {
            if number > 0 { list.append(0x2C) }
            list += entry.json
        }
        object.add("entries", json: list + [0x5D])
        return object.text()
    }

    /// What is kept, in no promised order.
    var entries: [Entry] { state.withLock { $0.entries } }
    var others: UInt64 { state.withLock { $0.others } }
}

extension ScopeRemarks.Entry {
    fileprivate var json: [UInt8] {
        var object = JSONObjectWriter()
        object.add("event", string: "\(key.kind.name)")
        object.add("issuer", string: String(decoding: key.issuer, as: UTF8.self))
        object.add("client", string: String(decoding: key.client, as: UTF8.self))
        if !clientName.isEmpty { object.add("client_name", string: String(decoding: clientName, as: UTF8.self)) }
        object.add("scope", string: String(decoding: key.scope, as: UTF8.self))
        object.add("count", number: Int64(clamping: count))
        object.add("first", string: Timestamp(unixSeconds: first).text)
        object.add("last", string: Timestamp(unixSeconds: last).text)
        return object.text()
    }
}

extension ScopeRemarks.Entry {
    /// A pipe takes this much in one piece or not at all (PIPE_BUF).
    private static let lineBytesMax = 4_096
    /// Bytes of a value that are logged; the short ones when escapes make the line too long all the same.
    private static let valueBytesMax = 256
    private static let shortValueBytesMax = 32

    /// The line of the log, its end included.
    func line(unixNanoseconds: Int64) -> [UInt8] {
        var line = ByteWriter(capacity: ScopeRemarks.Entry.lineBytesMax)
        append(to: &line, unixNanoseconds, ScopeRemarks.Entry.valueBytesMax)
        if line.overflowed { append(to: &line, unixNanoseconds, ScopeRemarks.Entry.shortValueBytesMax) }
        return [UInt8](copying: line.bytes)
    }

    private func append(to line: inout ByteWriter, _ unixNanoseconds: Int64, _ bytesMax: Int) {
        line.removeAll()
        line.append("{\"time\":\"")
        line.append(Timestamp(unixNanoseconds: unixNanoseconds))
        line.append("\",\"level\":\"warning\",\"event\":")
        line.append(jsonLiteral: key.kind.name)
        line.append(",\"message\":")
        line.append(jsonLiteral: key.kind.message)
        append(",\"issuer\":", key.issuer, to: &line, bytesMax)
        append(",\"client\":", key.client, to: &line, bytesMax)
        if !clientName.isEmpty { append(",\"client_name\":", clientName, to: &line, bytesMax) }
        append(",\"scope\":", key.scope, to: &line, bytesMax)
        line.append(",\"count\":")
        line.append(decimal: count)
        line.append(",\"first\":\"")
        line.append(Timestamp(unixSeconds: first))
        line.append("\"}\n")
    }

    private func append(_ member: StaticString, _ value: [UInt8], to line: inout ByteWriter, _ bytesMax: Int) {
        var end = min(value.count, bytesMax)
        // Not within a character.
        while end > 0, end < value.count, value[end] & 0xC0 == 0x80 { end -= 1 }
        let shown = Array(value.prefix(end))
        line.append(member)
        line.append(jsonString: shown.span)
    }
}

/// Counts the remarks of one worker between two ticks, so that a request that has some takes no lock: what is said of
/// one client and list of scopes is one object for as long as it stays the same.
final class RemarkCounter {
    private struct Place {
        var remarks: GrantRemarks
        var count: UInt64
        var first: Int64
        var last: Int64
    }

    private let shared: ScopeRemarks
    private var places = [Place?](repeating: nil, count: RemarkCounter.placesCount)
    /// A power of two.
    private static let placesCount = 64
    /// Whether there is something to report.
    private(set) var hasUnreported = false

    init(_ shared: ScopeRemarks) {
        self.shared = shared
    }

    /// - Parameter now: Unix seconds.
    func note(_ remarks: GrantRemarks, now: Int64) {
        let mixed = UInt64(UInt(bitPattern: ObjectIdentifier(remarks))) &* 0xD6E8_FEB8_6659_FD93
        let place = Int(truncatingIfNeeded: mixed >> 58) & (RemarkCounter.placesCount - 1)
        hasUnreported = true
        guard let known = places[place] else {
            places[place] = Place(remarks: remarks, count: 1, first: now, last: now)
            return
        }
        guard known.remarks === remarks else {
            shared.note(known.remarks, count: known.count, first: known.first, last: known.last)
            places[place] = Place(remarks: remarks, count: 1, first: now, last: now)
            return
        }
        places[place]?.count &+= 1
        places[place]?.last = now
    }

    /// Gives what was counted to all, and has lines written that are due.
    func report(unixNanoseconds: Int64) {
        guard hasUnreported else { return }
        for place in places.indices {
            guard let known = places[place] else { continue }
            shared.note(known.remarks, count: known.count, first: known.first, last: known.last)
            places[place] = nil
        }
        hasUnreported = shared.writeDue(unixNanoseconds: unixNanoseconds)
    }
}
