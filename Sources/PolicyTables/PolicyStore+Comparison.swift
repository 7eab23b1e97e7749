internal import Octets
public import Signatures
internal import Store
internal import Synchronization

extension PolicyStore {
    /// Makes sure that a version's tables are what its source says, byte for byte, and not what somebody who could write
    /// to the files made of them: the seal over the tables finds damage, not intent.
    ///
    /// Tables that differ are made anew from the source.
    /// - Parameter read: the checked model of a source; nil when it is refused.
    /// - Returns: whether they were what they should be.
    /// - Throws: `unknownVersion` without a stored source, `corrupt` when the source is not the version's,
    ///   `sourceRefused`, `table`, `store`.
    public func reconcile(
        _ version: Digest, now: Int64, _ read: (Span<UInt8>) -> PolicyModel?
    ) throws(PolicyStoreError) -> Bool {
        try writing.withLock { _ throws(PolicyStoreError) in
            guard let source = try source(version) else { throw PolicyStoreError.unknownVersion(version) }
            guard PolicyStore.version(ofSource: source.span) == version else {
                throw PolicyStoreError.corrupt(version, what: "its source has changed")
            }
            guard let model = read(source.span) else { throw PolicyStoreError.sourceRefused(version) }
            // A record that cannot be read is one of the things that are made anew.
            let known = try? info(version)
            if let known, known.isCurrentLayout, (try? verify(version)) != nil, try hasTables(version, of: model) {
                return true
            }
            try write(
                version, model, source: source.span, createdAt: known?.createdAt ?? now,
                origin: known?.origin ?? VersionOrigin())
            return false
        }
    }

    private func hasTables(_ version: Digest, of model: PolicyModel) throws(PolicyStoreError) -> Bool {
        let compiler: PolicyCompiler
        do { compiler = try PolicyCompiler(model) } catch { throw .table(error) }
        var stored = 0
        try forEach(tables, prefix: TableKey.version(version)) { _, _ in
            stored += 1
            return .next
        }
        var made = 0
        for index in partIndices(compiler) {
            let part: (key: [UInt8], table: [UInt8])?
            do throws(PolicyTableError) {
                part = try self.part(index, version, compiler)
            } catch {
                throw .table(error)
            }
            guard let (key, table) = part else { continue }
            made += 1
            let isSame = try read(tables, key) { stored in
                stored.count == table.count && (0..<table.count).allSatisfy { stored[$0] == table[$0] }
            }
            guard isSame ?? false else { return false }
        }
        return made == stored
    }
}
