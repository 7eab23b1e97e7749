import Foundation
import Store
import Synchronization
import Testing

@Suite("transactions")
struct TransactionTests {
    let folder: TemporaryFolder
    let environment: Environment
    let database: Database

    init() throws {
        folder = try TemporaryFolder()
        environment = try makeEnvironment(folder.child("policy"))
        database = try environment.database("hosts")
    }

    @Test("put, get, replace, delete", arguments: [0, 1, 511, 2_000, 4_096, 100_000])
    func roundTrip(_ length: Int) throws {
        let value = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try environment.put(database, bytes("a"), bytes("old"))
        try environment.put(database, bytes("a"), value)
        #expect(try environment.value(database, bytes("a")) == value)
        let (first, second) = try environment.write { transaction throws(StoreError) -> (Bool, Bool) in
            (
                try transaction.delete(database, bytes("a").span),
                try transaction.delete(database, bytes("a").span)
            )
        }
        #expect(first)
        #expect(!second)
        #expect(try environment.value(database, bytes("a")) == nil)
    }

    @Test("keys of every length: what LMDB cannot hold is not found, and not written")
    func keyLengths() throws {
        for (length, fits) in [
            (0, false), (1, true), (510, true), (511, true), (512, false), (70_000, false),
        ] {
            let key = [UInt8](repeating: 0x6B, count: length)
            let error = storeError { try environment.put(database, key, bytes("v")) }
            #expect((error == nil) == fits, "\(length)")
            if !fits { #expect(error?.code == StoreError.badSize, "\(length)") }
            #expect(try environment.value(database, key) == (fits ? bytes("v") : nil), "\(length)")
            var reader = try environment.makeReader()
            try reader.renew()
            #expect(reader.presence(database, key.span) == (fits ? .present : .absent), "\(length)")
            let deleted = try environment.write { transaction throws(StoreError) in
                try transaction.delete(database, key.span)
            }
            #expect(deleted == fits, "\(length)")
        }
    }

    @Test("from the greatest key down, with an end and a prefix")
    func descending() throws {
        let environment = environment
        for key in ["a", "b1", "b2", "b\u{7F}", "c"] { try environment.put(database, bytes(key), bytes("v" + key)) }
        func keys(before end: String, prefix: String = "", max: Int = .max) throws -> [String] {
            var found: [String] = []
            let transaction = try environment.beginRead()
            try transaction.forEachDescending(database, before: bytes(end).span, prefix: bytes(prefix).span) {
                key, value throws(StoreError) in
                found.append(String(decoding: copied(key) ?? [], as: UTF8.self))
                guard copied(value) == bytes("v") + (copied(key) ?? []) else { return .stop }
                return found.count < max ? .next : .stop
            }
            return found
        }
        #expect(try keys(before: "z") == ["c", "b\u{7F}", "b2", "b1", "a"])
        #expect(try keys(before: "c") == ["b\u{7F}", "b2", "b1", "a"])
        #expect(try keys(before: "c", prefix: "b") == ["b\u{7F}", "b2", "b1"])
        #expect(try keys(before: "b2", prefix: "b") == ["b1"] && keys(before: "b15", prefix: "b") == ["b1"])
        #expect(try keys(before: "c", prefix: "b", max: 1) == ["b\u{7F}"])
        #expect(try keys(before: "b1", prefix: "b") == [] && keys(before: "a") == [])
        #expect(try keys(before: "z", prefix: "b") == [])
        #expect(throws: StoreError.self) { try keys(before: "") }
        #expect(throws: StoreError.self) { try keys(before: String(repeating: "x", count: 512)) }
        let empty = try environment.database("empty")
        let transaction = try environment.beginRead()
        try transaction.forEachDescending(empty, before: bytes("z").span) { _, _ throws(StoreError) in
            Issue.record("there is nothing")
            return .stop
        }
    }

    @Test("a throw undoes the whole write, an error that the body swallows too")
    func undone() throws {
        struct Refusal: Error {}
        enum Failure: StoreFailure, Equatable {
            case store(StoreError)
            case mine
            init(_ error: StoreError) { self = .store(error) }
        }
        try environment.put(database, bytes("a"), bytes("1"))
        #expect(throws: Failure.mine) {
            try environment.write { transaction throws(Failure) in
                do throws(StoreError) {
                    try transaction.put(database, bytes("a").span, bytes("2").span)
                    #expect(copied(transaction.get(database, bytes("a").span)) == bytes("2"))
                    try transaction.removeAll(database)
                    #expect(copied(transaction.get(database, bytes("a").span)) == nil)
                } catch {
                    throw Failure(error)
                }
                throw Failure.mine
            }
        }
        #expect(try environment.value(database, bytes("a")) == bytes("1"))
        // The lock was let go.
        try environment.put(database, bytes("a"), bytes("3"))
        #expect(try environment.value(database, bytes("a")) == bytes("3"))
    }

    @Test("two readers see the state before and after a write")
    func snapshots() throws {
        try environment.put(database, bytes("a"), bytes("old"))
        var before = try environment.makeReader()
        var after = try environment.makeReader()
        try before.renew()
        let old = try environment.beginRead()
        try environment.write { transaction throws(StoreError) in
            try transaction.put(database, bytes("a").span, bytes("new").span)
            try after.renew()
            #expect(copied(after.get(database, bytes("a").span)) == bytes("old"), "not committed yet")
        }
        try after.renew()
        #expect(copied(before.get(database, bytes("a").span)) == bytes("old"))
        #expect(copied(old.get(database, bytes("a").span)) == bytes("old"))
        #expect(copied(after.get(database, bytes("a").span)) == bytes("new"))
        #expect(after.snapshotNumber() == before.snapshotNumber() + 1)
        try before.renew()
        #expect(copied(before.get(database, bytes("a").span)) == bytes("new"))
    }

    @Test("a reader without a snapshot reads nothing and says so")
    func notRenewed() throws {
        try environment.put(database, bytes("a"), bytes("1"))
        var reader = try environment.makeReader()
        func expectNothing(_ reader: borrowing Reader) {
            let isRenewed = reader.isRenewed
            #expect(!isRenewed)
            #expect(copied(reader.get(database, bytes("a").span)) == nil)
            #expect(reader.presence(database, bytes("a").span) == .unreadable)
            let isNil = reader.withValue(database, bytes("a").span) { $0 == nil }
            #expect(isNil)
            #expect(reader.snapshotNumber() == 0)
        }
        expectNothing(reader)
        reader.reset()
        expectNothing(reader)
        try reader.renew()
        try reader.renew()
        #expect(reader.presence(database, bytes("a").span) == .present)
        #expect(reader.presence(database, bytes("b").span) == .absent)
        #expect(reader.withValue(database, bytes("a").span) { copied($0) } == bytes("1"))
        reader.reset()
        expectNothing(reader)
        reader.reset()
        expectNothing(reader)
    }

    @Test("a reader lives in a class and goes to another thread")
    func readerInClass() async throws {
        final class Worker {
            var reader: Reader
            let database: Database
            init(_ environment: Environment, _ database: Database) throws {
                reader = try environment.makeReader()
                self.database = database
            }
            func look(_ key: [UInt8]) throws -> [UInt8]? {
                try reader.renew()
                defer { reader.reset() }
                return reader.withValue(database, key.span) { copied($0) }
            }
            func direct(_ key: [UInt8]) throws -> Int {
                try reader.renew()
                defer { reader.reset() }
                return reader.get(database, key.span)?.count ?? -1
            }
        }
        try environment.put(database, bytes("a"), bytes("12"))
        let worker = try Worker(environment, database)
        #expect(try worker.look(bytes("a")) == bytes("12"))
        #expect(try worker.direct(bytes("a")) == 2)
        var reader = try environment.makeReader()
        try reader.renew()
        let found = await Task.detached { [database, reader] in
            copied(reader.get(database, bytes("a").span))
        }.value
        #expect(found == bytes("12"))
    }

    @Test("a write inside a write is refused and not waited for")
    func nestedWrite() throws {
        try environment.write { transaction throws(StoreError) in
            try transaction.put(database, bytes("a").span, bytes("1").span)
            let nested = storeError {
                try environment.put(database, bytes("b"), bytes("2"))
            }
            #expect(nested?.code == StoreError.nestedWrite)
            let opening = storeError { _ = try environment.database("new") }
            #expect(opening?.code == StoreError.nestedWrite)
            // A name that is open already is no write.
            #expect(try environment.database("hosts") == database)
        }
        #expect(try environment.value(database, bytes("a")) == bytes("1"))
        _ = try environment.database("new")
    }

    @Test("writers of several threads come one after the other and none is lost")
    func manyWriters() throws {
        let counter = bytes("counter")
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 40) { _ in
            do {
                try environment.write { transaction throws(StoreError) in
                    let value = copied(transaction.get(database, counter.span)) ?? [0]
                    try transaction.put(database, counter.span, [value[0] + 1].span)
                }
            } catch {
                failures.withLock { $0.append("\(error)") }
            }
        }
        #expect(failures.withLock { $0 } == [])
        #expect(try environment.value(database, counter) == [40])
    }

    @Test("databases opened by many threads at once, while others write")
    func manyOpeners() throws {
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 60) { index in
            do {
                let opened = try environment.database("database \(index % 5)")
                try environment.write { transaction throws(StoreError) in
                    _ = try environment.database("hosts")
                    try transaction.put(opened, bytes("key \(index)").span, bytes("v").span)
                }
            } catch {
                failures.withLock { $0.append("\(error)") }
            }
        }
        #expect(failures.withLock { $0 } == [])
        let report = try environment.check()
        #expect(report.databases.filter { $0.name != "hosts" }.map(\.entries) == [12, 12, 12, 12, 12])
    }

    @Test("prefixes: byte order, edges, an early stop, iterations inside one another")
    func iteration() throws {
        let keys: [[UInt8]] = [
            bytes("a"), bytes("a/1"), bytes("a/2"), bytes("a0"), bytes("b"), bytes("b/1"), [0xFF],
            [0xFF, 0xFF],
            [0x00], [0x00, 0x01],
        ]
        try environment.write { transaction throws(StoreError) in
            for key in keys { try transaction.put(database, key.span, key.span) }
        }
        let sorted = keys.sorted { $0.lexicographicallyPrecedes($1) }
        let transaction = try environment.beginRead()
        let prefixes: [[UInt8]] = [
            [], bytes("a"), bytes("a/"), bytes("a/1"), bytes("a/3"), bytes("c"), [0xFF], [0xFF, 0xFF, 0xFF],
            [0x00], [UInt8](repeating: 0x61, count: 512),
        ]
        for prefix in prefixes {
            var seen: [[UInt8]] = []
            try transaction.forEach(database, prefix: prefix.span) { key, value throws(StoreError) in
                #expect(copied(key) == copied(value))
                seen.append(copied(key) ?? [])
                return .next
            }
            #expect(seen == sorted.filter { $0.starts(with: prefix) }, "\(prefix)")
        }
        var count = 0
        try transaction.forEach(database) { _, _ throws(StoreError) in
            count += 1
            return count == 3 ? .stop : .next
        }
        #expect(count == 3)
        var pairs = 0
        try transaction.forEach(database, prefix: bytes("a").span) { outer, _ throws(StoreError) in
            let before = copied(outer)
            try transaction.forEach(database, prefix: bytes("b").span) { inner, _ throws(StoreError) in
                pairs += inner.count > 0 ? 1 : 0
                return .next
            }
            #expect(copied(outer) == before)
            return .next
        }
        #expect(pairs == 4 * 2)
    }

    @Test("an error of the body ends an iteration, in each kind of transaction")
    func iterationThrows() throws {
        try environment.put(database, bytes("a"), bytes("1"))
        let stop = StoreError(code: 77, operation: "test", path: "")
        func visit(_ key: Span<UInt8>, _ value: Span<UInt8>) throws(StoreError) -> Iteration { throw stop }
        let read = try environment.beginRead()
        #expect(throws: stop) { try read.forEach(database, visit) }
        var reader = try environment.makeReader()
        #expect(throws: StoreError.self) { try reader.forEach(database, visit) }
        try reader.renew()
        #expect(throws: stop) { try reader.forEach(database, visit) }
        #expect(throws: stop) {
            try environment.write { transaction throws(StoreError) in try transaction.forEach(database, visit)
            }
        }
    }
}
