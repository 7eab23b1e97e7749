internal import Octets
internal import Signatures
internal import Store

extension PolicyStore {
    /// One durable write, with the places before, in and after it where a test may kill the process.
    func durably<R>(
        _ step: StaticString, _ body: (inout WriteTransaction) throws(PolicyStoreError) -> R
    ) throws(PolicyStoreError) -> R {
        Failpoint.pass(step, "before")
        let result = try environment.write { transaction throws(PolicyStoreError) in
            let result = try body(&transaction)
            Failpoint.pass(step, "inside")
            return result
        }
        Failpoint.pass(step, "after")
        return result
    }

    /// Sets or removes one value in a write of its own.
    func put(
        _ database: Database, _ key: [UInt8], _ value: [UInt8]?, _ step: StaticString
    ) throws(PolicyStoreError) {
        try durably(step) { transaction throws(PolicyStoreError) in
            try transaction.set(database, key, value)
        }
    }
}

extension WriteTransaction {
    /// Sets a value, or removes it where there is none.
    mutating func set(
        _ database: Database, _ key: [UInt8], _ value: [UInt8]?
    ) throws(PolicyStoreError) {
        do throws(StoreError) {
            if let value {
                try put(database, key.span, value.span)
            } else {
                try delete(database, key.span)
            }
        } catch {
            throw .store(error)
        }
    }

    /// A copy of a value; nil when there is none.
    /// - Throws: when it cannot be told whether there is one.
    borrowing func copy(_ database: Database, _ key: [UInt8]) throws(PolicyStoreError) -> [UInt8]? {
        if let value = get(database, key.span) { return [UInt8](copying: value) }
        guard presence(database, key.span) == .absent else {
            throw .store(StoreError(code: StoreError.corrupted, operation: "mdb_get", path: "state"))
        }
        return nil
    }
}
