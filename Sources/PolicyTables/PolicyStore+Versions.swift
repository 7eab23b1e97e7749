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
        _ model: PolicyModel, source: Span<UInt8>, now: Int64, origin: VersionOrigin = VersionOrigin()
    ) throws(PolicyStoreError) -> Digest {
        let version = PolicyStore.version(ofSource: source)
        try writing.withLock { _ throws(PolicyStoreError) in
            // One whose tables were damaged since is written again.
            if let known = try info(version), known.isCurrentLayout, (try? verify(version)) != nil { return }
            try write(version, model, source: source, createdAt: now, origin: origin)
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
            try write(
                version, model, source: source.span, createdAt: known?.createdAt ?? now,
                origin: known?.origin ?? VersionOrigin())
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

    func write(
        _ version: Digest, _ model: PolicyModel, source: Span<UInt8>, createdAt: Int64, origin: VersionOrigin
    ) throws(PolicyStoreError) {
        let compiler: PolicyCompiler
        do { compiler = try PolicyCompiler(model) } catch { throw .table(error) }
        try refuseTwin(of: version)
        // Without its record nothing of the version is seen while its tables change.
        try put(versionRecords, version.bytes, nil, "add-begin")
        try removeTables(TableKey.version(version), "add-clear")
        try durably("add-source") { transaction throws(PolicyStoreError) in
            do throws(StoreError) {
                try transaction.put(sources, version.bytes.span, source)
            } catch {
                throw .store(error)
            }
        }
        let seal: TableSeal
        do throws(PolicyStoreError) {
            seal = try writeTables(version, compiler)
        } catch {
            // Best effort: what stays is invisible, and the next add or prune removes it.
            try? removeTables(TableKey.version(version), "add-undo")
            throw error
        }
        let info = VersionInfo(
            version: version, createdAt: createdAt, compiler: compiler, sourceBytes: source.count, seal: seal,
            origin: origin)
        try durably("add-record") { transaction throws(PolicyStoreError) in
            // Another process, which took this version for one that nobody finishes, may have removed parts of it.
            let stored = try count(tables, prefix: TableKey.version(version), transaction)
            guard stored == seal.tableCount, try transaction.copy(versionRecords, version.bytes) == nil,
                transaction.presence(sources, version.bytes.span) == .present
            else { throw .corrupt(version, what: "parts of it were removed while it was written") }
            try transaction.set(versionRecords, version.bytes, info.encoded)
        }
    }

    /// Tables lie under the first half of a version: whoever made two sources that share it (2^64 hashes) could put the
    /// tables of one in the place of the other's.
    private func refuseTwin(of version: Digest) throws(PolicyStoreError) {
        var twin: Digest?
        try forEach(versionRecords, prefix: TableKey.version(version)) { key, _ in
            guard let other = Digest(key), other != version else { return .next }
            twin = other
            return .stop
        }
        if let twin {
            throw .corrupt(version, what: "it begins as version `\(twin)` does, which no honest policy would")
        }
    }

    private func writeTables(
        _ version: Digest, _ compiler: PolicyCompiler
    ) throws(PolicyStoreError) -> TableSeal {
        var seal = TableSeal()
        var batch: [(key: [UInt8], table: [UInt8])] = []
        var batchBytes = 0
        for index in partIndices(compiler) {
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

    /// In the order of the keys: clients, then index -1 is the catalogue, then hosts, metadata and the ports.
    func partIndices(_ compiler: PolicyCompiler) -> ClosedRange<Int> {
        -1 - compiler.clientCount...compiler.hosts.count + compiler.metadata.count
    }

    /// - Returns: nil for the ports of a policy that has none.
    func part(
        _ index: Int, _ version: Digest, _ compiler: PolicyCompiler
    ) throws(PolicyTableError) -> (key: [UInt8], table: [UInt8])? {
        if index < -1 {
            let number = index + 1 + compiler.clientCount
            let client = compiler.client(number)
            return (
                TableKey.client(version, issuer: client.issuer, identifier: client.identifier),
                try compiler.clientRecord(number)
            )
        }
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
        try durably("add-tables") { transaction throws(PolicyStoreError) in
            for (key, table) in batch { try transaction.set(tables, key, table) }
        }
    }

    func count(
        _ database: Database, prefix: [UInt8], _ transaction: borrowing WriteTransaction
    ) throws(PolicyStoreError) -> Int {
        var count = 0
        do throws(StoreError) {
            try transaction.forEach(database, prefix: prefix.span) { _, _ in
                count += 1
                return .next
            }
        } catch {
            throw .store(error)
        }
        return count
    }

    /// Removes every table whose key begins with `prefix`, in short writes.
    /// - Parameter sparesComplete: stops at a version that has its record, which another process may just have written.
    func removeTables(
        _ prefix: [UInt8], _ step: StaticString, sparesComplete: Bool = false
    ) throws(PolicyStoreError) {
        while true {
            var found: [[UInt8]] = []
            try forEach(tables, prefix: prefix) { key, _ in
                found.append([UInt8](copying: key))
                return found.count < PolicyStore.batchTablesMax ? .next : .stop
            }
            if found.isEmpty { return }
            let isSpared = try durably(step) { transaction throws(PolicyStoreError) in
                if sparesComplete, try count(versionRecords, prefix: prefix, transaction) > 0 { return true }
                for key in found { try transaction.set(tables, key, nil) }
                return false
            }
            if isSpared { return }
        }
    }
}
