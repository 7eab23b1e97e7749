internal import Decision
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Synchronization
internal import Tokens

/// Explains decisions on what the daemon serves, with a decider of its own: the workers' caches and counters do not
/// see the questions.
final class ExplanationDesk: Sendable {
    private let board: SnapshotBoard
    private let store: PolicyStore
    private let clock: AnchoredClock
    private let introspections: IntrospectionRecords

    init(board: SnapshotBoard, store: PolicyStore, clock: AnchoredClock, introspections: IntrospectionRecords) {
        self.board = board
        self.store = store
        self.clock = clock
        self.introspections = introspections
    }

    /// `{"status":200,"text":"…","explanation":{…}}`
    func explain(_ facts: RequestFacts, _ bytes: [UInt8], _ at: Int64?) -> [UInt8] {
        var object = JSONObjectWriter()
        do throws(PolicyStoreError) {
            let decider = Decider(
                board: board, reader: try store.makeReader(), tokenCacheEntriesMax: 8,
                auditPrefix: Array("explanation-only".utf8), introspections: introspections)
            let explanation = Explanation(
                decider, facts, bytes, now: at ?? clock.nowSeconds(), isDaemon: true)
            object.add("status", number: Int64(explanation.status))
            object.add("text", string: explanation.text)
            object.add("explanation", json: explanation.json)
        } catch {
            object.add("error", string: "\(error)")
        }
        return object.text()
    }
}
