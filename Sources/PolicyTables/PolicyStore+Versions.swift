internal import Octets
public import Signatures
internal import Store
internal import Synchronization

extension PolicyStore {
    /// Compiles and stores a version. It is not activated.
    ///
    /// Many short writes, so that others are not held up; the version's record comes last. A version that is
    /// complete already is left as it is.
    /// - Parameters:
    ///   - source: the exact bytes that `model` was read from.
    ///   - now: Unix seconds.
    /// - Throws: `table`, `store`; what was written then is removed or left invisible.
    public func add(
        _ model: PolicyModel, source: Span<UInt8>, now: Int64
    ) throws(PolicyStoreError) -> Digest {
        let version = PolicyStore.version(ofSource: source)
        try writing.withLock { _ throws(PolicyStoreError) in
            if let known = try info(version), known.isCurrentLayout { return }
            try write(version, model, source: source, createdAt: now)
        }
        return version
    }

    /// Compiles a version again from its stored source, when its tables have another layout or were not
    /// written to their end.
    /// - Parameter read: the checked model of a source; nil when it is refused.
    /// - Throws: `unknownVersion` without a stored source, `sourceRefused`, `corrupt`, `table`, `store`.
    public func remake(
        _ version: Digest, now: Int64, _ read: (Span<UInt8>) -> PolicyModel?
    ) throws(PolicyStoreError) {
        try writing.withLock { _ throws(PolicyStoreError) in
            let known = try info(version)
            if let known, known.isCurrentLayout { return }
            guard let source = try source(version) else { throw PolicyStoreError.unknownVersion(version) }
            guard PolicyStore.version(ofSource: source.span) == version else {
                throw PolicyStoreError.corrupt(version, what: "its source has changed")
            }
            guard let model = read(source.span) else { throw PolicyStoreError.sourceRefused(version) }
            try write(version, model, source: source.span, createdAt: known?.createdAt ?? now)
        }
    }

    /// Compares a version's tables with the hash taken when they were written.
    /// - Parameter withSource: the source too; at 1,000,000 routes that takes longer than the tables.
    /// - Throws: `unknownVersion`, `otherLayout`, `corrupt`, `store`.
    @discardableResult
    public func verify(_ version: Digest, withSource: Bool = false) throws(PolicyStoreError) -> VersionInfo {
        let info = try currentInfo(version)
        var seal = TableSeal()
        try forEach(tables, prefix: TableKey.version(version)) { key, value in
            seal.add(key: key, table: value)
            return .next
        }
        guard seal.tableCount == info.tableCount else {
            throw .corrupt(version, what: "\(seal.tableCount) of \(info.tableCount) tables are there")
        }
        guard seal.integrity == info.integrity, seal.tableBytes == info.tableBytes else {
            throw .corrupt(version, what: "its tables have changed since they were written")
        }
        if withSource {
            let found = try read(sources, version.bytes) { PolicyStore.version(ofSource: $0) }
            guard found == version else {
                throw .corrupt(version, what: "its source has changed or is missing")
            }
        }
        return info
    }

    // MARK: Writing

    private func write(
        _ version: Digest, _ model: PolicyModel, source: Span<UInt8>, createdAt: Int64
    ) throws(PolicyStoreError) {
        let compiler: PolicyCompiler
        do { compiler = try PolicyCompiler(model) } catch { throw .table(error) }
        // Without its record nothing of the version is seen while its tables change.
        try put(versionRecords, version.bytes, nil)
        try removeTables(TableKey.version(version))
        try stored { () throws(StoreError) in
            try environment.write { transaction throws(StoreError) in
                try transaction.put(sources, version.bytes.span, source)
            }
        }
        let seal: TableSeal
        do throws(PolicyStoreError) {
            seal = try writeTables(version, compiler)
        } catch {
            // Best effort: what stays is invisible, and the next add or prune removes it.
            try? removeTables(TableKey.version(version))
            throw error
        }
        let info = VersionInfo(
            version: version, createdAt: createdAt, compiler: compiler, sourceBytes: source.count, seal: seal)
        try put(versionRecords, version.bytes, info.encoded)
    }

    private func writeTables(
        _ version: Digest, _ compiler: PolicyCompiler
    ) throws(PolicyStoreError) -> TableSeal {
        var seal = TableSeal()
        var batch: [(key: [UInt8], table: [UInt8])] = []
        var batchBytes = 0
        // In the order of the keys: index -1 is the catalogue, then hosts, metadata and the ports.
        for index in -1...compiler.hosts.count + compiler.metadata.count {
            let part: (key: [UInt8], table: [UInt8])?
            do throws(PolicyTableError) {
                part = try self.part(index, version, compiler)
            } catch {
                throw PolicyStoreError.table(error)
            }
            guard let (key, table) = part else { continue }
            seal.add(key: key.span, table: table.span)
            batch.append((key, table))
            batchBytes += table.count
            if batch.count >= PolicyStore.batchTablesMax || batchBytes >= PolicyStore.batchBytesMax {
                try putAll(batch)
                batch.removeAll()
                batchBytes = 0
            }
        }
        try putAll(batch)
        return seal
    }

    /// - Returns: nil for the ports of a policy that has none.
    private func part(
        _ index: Int, _ version: Digest, _ compiler: PolicyCompiler
    ) throws(PolicyTableError) -> (key: [UInt8], table: [UInt8])? {
        if index < 0 { return (TableKey.catalogue(version), try compiler.catalogue()) }
        if index < compiler.hosts.count {
            return (TableKey.host(version, compiler.hosts[index]), try compiler.hostTable(index))
        }
        let later = index - compiler.hosts.count
        if later < compiler.metadata.count {
            let metadata = compiler.metadata[later]
            return (
                TableKey.metadata(version, host: metadata.place.host, path: metadata.place.path), metadata.document
            )
        }
        guard let ports = try compiler.portTable() else { return nil }
        return (TableKey.ports(version), ports)
    }

    private func putAll(_ batch: [(key: [UInt8], table: [UInt8])]) throws(PolicyStoreError) {
        guard !batch.isEmpty else { return }
        try stored { () throws(StoreError) in
            try environment.write { transaction throws(StoreError) in
                for (key, table) in batch { try transaction.put(tables, key.span, table.span) }
            }
        }
    }

    /// Sets or removes one value in a write of its own.
    func put(_ database: Database, _ key: [UInt8], _ value: [UInt8]?) throws(PolicyStoreError) {
        try stored { () throws(StoreError) in
            try environment.write { transaction throws(StoreError) in
                if let value {
                    try transaction.put(database, key.span, value.span)
                } else {
                    try transaction.delete(database, key.span)
                }
            }
        }
    }

    /// Removes every table whose key begins with `prefix`, in short writes.
    func removeTables(_ prefix: [UInt8]) throws(PolicyStoreError) {
        while true {
            var found: [[UInt8]] = []
            try forEach(tables, prefix: prefix) { key, _ in
                found.append([UInt8](copying: key))
                return found.count < PolicyStore.batchTablesMax ? .next : .stop
            }
            if found.isEmpty { return }
            try stored { () throws(StoreError) in
                try environment.write { transaction throws(StoreError) in
                    for key in found { try transaction.delete(tables, key.span) }
                }
            }
        }
    }
}
