internal import Octets
internal import Signatures
internal import Store

/// A JWK set as it was fetched, so that a restart needs no network.
public struct StoredKeys: Sendable, Equatable {
    public var issuer: String
    /// Where it was fetched from; keys of another place are not this issuer's any more.
    public var place: String
    /// Unix seconds.
    public var fetchedAt: Int64
    /// The document, byte for byte.
    public var document: [UInt8]

    public init(issuer: String, place: String, fetchedAt: Int64, document: [UInt8]) {
        self.issuer = issuer
        self.place = place
        self.fetchedAt = fetchedAt
        self.document = document
    }

    /// `fetched i64 · issuer bytes u32 · place bytes u32 · issuer · place · document`.
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian64: UInt64(bitPattern: fetchedAt))
        bytes.append(littleEndian32: UInt32(clamping: issuer.utf8.count))
        bytes.append(littleEndian32: UInt32(clamping: place.utf8.count))
        return bytes + Array(issuer.utf8) + Array(place.utf8) + document
    }

    init?(_ bytes: Span<UInt8>) {
        guard let fetched = bytes.littleEndian64(at: 0), let issuerBytes = bytes.littleEndian32(at: 8),
            let placeBytes = bytes.littleEndian32(at: 12)
        else { return nil }
        let placeStart = 16 + Int(issuerBytes)
        let documentStart = placeStart + Int(placeBytes)
        guard documentStart <= bytes.count else { return nil }
        issuer = String(lossy: bytes.extracting(16..<placeStart))
        place = String(lossy: bytes.extracting(placeStart..<documentStart))
        fetchedAt = Int64(bitPattern: fetched)
        document = [UInt8](copying: bytes.extracting(documentStart...))
    }
}

extension PolicyStore {
    /// Keeps an issuer's keys, durably, in place of older ones.
    public func save(_ keys: StoredKeys) throws(PolicyStoreError) {
        try put(self.keys, keyOfIssuer(keys.issuer), keys.encoded, "keys")
    }

    /// The keys kept for exactly this issuer; nil when there are none or they cannot be read.
    public func keys(ofIssuer issuer: String) throws(PolicyStoreError) -> StoredKeys? {
        guard case .some(.some(let found)) = try read(keys, keyOfIssuer(issuer), { StoredKeys($0) }),
            found.issuer.utf8.elementsEqual(issuer.utf8)
        else { return nil }
        return found
    }

    /// All keys kept, of issuers that no policy names any more too.
    public func allKeys() throws(PolicyStoreError) -> [StoredKeys] {
        var result: [StoredKeys] = []
        try forEach(keys) { _, value in
            if let one = StoredKeys(value) { result.append(one) }
            return .next
        }
        return result
    }

    public func removeKeys(ofIssuer issuer: String) throws(PolicyStoreError) {
        try put(keys, keyOfIssuer(issuer), nil, "keys")
    }

    /// An issuer identifier may be longer than a key of LMDB.
    private func keyOfIssuer(_ issuer: String) -> [UInt8] { sha256(Array(issuer.utf8).span).bytes }
}
