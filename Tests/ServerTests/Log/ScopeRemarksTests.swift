import Decision
import Octets
@testable import Server
import Synchronization
import Testing

/// Who carries more than is approved, counted: bounded, and written to the log at first sight and then hourly.
@Suite struct ScopeRemarksTests {
    /// Takes lines, or does not.
    private final class Pipe: Sendable {
        private let state = Mutex<(lines: [String], isFull: Bool)>(([], false))

        var lines: [String] { state.withLock { $0.lines } }

        func setFull(_ isFull: Bool) { state.withLock { $0.isFull = isFull } }

        func write(_ line: [UInt8]) -> Bool {
            state.withLock { state in
                if !state.isFull { state.lines.append(String(decoding: line, as: UTF8.self)) }
                return !state.isFull
            }
        }
    }

    private let pipe = Pipe()
    private let remarks: ScopeRemarks

    init() {
        remarks = ScopeRemarks { [pipe] in pipe.write($0) }
    }

    private static func said(
        _ client: String = "web-id", name: String = "web", excess: [String] = ["orders:admin"], old: [String] = []
    ) -> GrantRemarks {
        GrantRemarks(
            issuer: Array("https://id.example.com".utf8), client: Array(client.utf8), clientName: Array(name.utf8),
            excess: excess.map { Array($0.utf8) }, oldScopes: old.map { Array($0.utf8) })
    }

    private func note(_ said: GrantRemarks, count: UInt64 = 1, at time: Int64) {
        remarks.note(said, count: count, first: time, last: time)
    }

    private func writeDue(at time: Int64) -> Bool { remarks.writeDue(unixNanoseconds: time * 1_000_000_000) }

    @Test func firstSightAndThenHourly() {
        let said = Self.said(old: ["read"])
        note(said, at: 1_000)
        #expect(!writeDue(at: 1_000))
        #expect(
            pipe.lines == [
                #"{"time":"1970-01-01T00:16:40.000Z","level":"warning","event":"over_scoped","message":"#
                    + #""this client's tokens carry a scope not approved for it: approve it, or take it away at the "#
                    + #"issuer","issuer":"https://id.example.com","client":"web-id","#
                    + #""client_name":"web","scope":"orders:admin","count":1,"first":"1970-01-01T00:16:40.000Z"}"#
                    + "\n",
                #"{"time":"1970-01-01T00:16:40.000Z","level":"warning","event":"old_scope_used","message":"#
                    + #""this client's tokens carry an old name of a scope: give it the new one at the issuer before "#
                    + #"it ends","issuer":"https://id.example.com","client":"web-id","client_name":"web","#
                    + #""scope":"read","count":1,"first":"1970-01-01T00:16:40.000Z"}"# + "\n",
            ])
        for second in 1..<3_600 { note(said, at: 1_000 + Int64(second)) }
        #expect(!writeDue(at: 4_599) && pipe.lines.count == 2)
        note(said, count: 5, at: 4_600)
        note(said, at: 4_601)
        #expect(!writeDue(at: 4_601) && pipe.lines.count == 4)
        #expect(pipe.lines[2].contains(#""count":3606,"first":"1970-01-01T00:16:40.000Z""#))
        note(said, at: 8_200)
        #expect(!writeDue(at: 8_200) && pipe.lines.count == 4)
        note(said, at: 8_201)
        #expect(!writeDue(at: 8_201) && pipe.lines.count == 6)
    }

    @Test func aFullPipeLosesNothing() {
        pipe.setFull(true)
        for number in 0..<200 { note(Self.said("c\(number)"), at: 10) }
        #expect(writeDue(at: 10) && pipe.lines.isEmpty)
        pipe.setFull(false)
        // A bounded number at a time, in their order.
        #expect(writeDue(at: 20) && pipe.lines.count == 64)
        #expect(writeDue(at: 20) && writeDue(at: 20) && !writeDue(at: 20))
        #expect(pipe.lines.count == 200 && pipe.lines[199].contains(#""client":"c199""#))
        #expect(!writeDue(at: 20) && pipe.lines.count == 200)
    }

    @Test func bounded() {
        for number in 0..<5_000 { note(Self.said("c\(number)"), count: 2, at: Int64(number)) }
        #expect(remarks.entries.count == ScopeRemarks.entriesMax && remarks.others == 2 * (5_000 - 4_096))
        // Those that are kept go on counting.
        note(Self.said("c0"), at: 9_000)
        #expect(remarks.entries.first { $0.key.client == Array("c0".utf8) }?.count == 3)
        let json = String(decoding: remarks.json, as: UTF8.self)
        #expect(json.hasPrefix(#"{"others":1808,"entries":[{"event":"over_scoped","issuer":"https://id.example.com","#))
        #expect(json.contains(#""client":"c0","client_name":"web","scope":"orders:admin","count":3,"first":"#))
        #expect(json.split(separator: "event").count - 1 == ScopeRemarks.reportedMax)
        let list = Self.said(excess: (0..<40).map { "s\($0)" }, old: (0..<33).map { "o\($0)" })
        let before = remarks.others
        note(list, count: 3, at: 9_000)
        // What is not kept by name, and what found no place any more.
        #expect(remarks.others == before + 3 * 9 + 3 * 64)
    }

    @Test func emptyReport() {
        #expect(String(decoding: remarks.json, as: UTF8.self) == #"{"others":0,"entries":[]}"#)
        #expect(!writeDue(at: 1))
    }

    @Test func kindsClientsAndIssuersAreApart() {
        note(Self.said(excess: ["a"], old: ["a"]), at: 1)
        note(Self.said("other", excess: ["a"]), at: 2)
        note(
            GrantRemarks(
                issuer: Array("https://b.example".utf8), client: Array("web-id".utf8), clientName: [],
                excess: [Array("a".utf8)], oldScopes: []), at: 3)
        #expect(remarks.entries.map(\.count) == [1, 1, 1, 1])
        #expect(!writeDue(at: 3) && !pipe.lines[3].contains("client_name"))
        // A policy that calls the client something else does not begin anew.
        note(Self.said(name: "web 2", excess: ["a"]), at: 4)
        #expect(remarks.entries[0].clientName == Array("web 2".utf8) && remarks.entries[0].count == 2)
    }

    @Test func hostileValues() {
        let client = String(repeating: "\u{1}\"\\", count: 85)
        note(Self.said(client, name: String(repeating: "\u{2}", count: 60_000)), at: 1)
        note(Self.said(String(repeating: "é", count: 127), name: ""), at: 1)
        note(Self.said("x" + String(repeating: "é", count: 5_000), name: ""), at: 1)
        #expect(!writeDue(at: 1))
        #expect(pipe.lines.allSatisfy { $0.utf8.count <= 4_096 && $0.hasSuffix("}\n") })
        #expect(pipe.lines[1].contains(#""client":"\#(String(repeating: "é", count: 127))""#))
        #expect(pipe.lines[2].contains(#""client":"x\#(String(repeating: "é", count: 127))""#))
    }

    @Test func countedPerWorkerAndReportedTogether() {
        let counter = RemarkCounter(remarks)
        let said = (0..<500).map { Self.said("c\($0)") }
        for round in 0..<4 {
            for one in said { counter.note(one, now: Int64(100 + round)) }
        }
        #expect(counter.hasUnreported)
        var second: Int64 = 200
        while counter.hasUnreported {
            counter.report(unixNanoseconds: second * 1_000_000_000)
            second += 1
        }
        let entries = remarks.entries
        #expect(entries.count == 500 && entries.allSatisfy { $0.count == 4 && $0.first == 100 && $0.last == 103 })
        #expect(pipe.lines.count == 500 && remarks.others == 0)
        counter.report(unixNanoseconds: 0)
        #expect(pipe.lines.count == 500)
    }

    @Test func oneThreadPerWorker() async {
        let shared = remarks
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    let counter = RemarkCounter(shared)
                    let said = (0..<50).map { Self.said("c\($0)") }
                    for number in 0..<2_000 {
                        counter.note(said[(number * 7 + worker) % 50], now: 1_000)
                        if number % 97 == 0 { counter.report(unixNanoseconds: 1_000_000_000_000) }
                    }
                    counter.report(unixNanoseconds: 1_000_000_000_000)
                }
            }
        }
        #expect(remarks.entries.reduce(0) { $0 + $1.count } == 8_000 && remarks.entries.count == 50)
        while writeDue(at: 1_000) {}
        #expect(pipe.lines.count == 50)
    }
}
