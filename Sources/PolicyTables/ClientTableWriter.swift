internal import Octets
internal import Signatures

/// Writes the records of a policy's clients that are known by their identifier.
struct ClientTableWriter {
    private let model: PolicyModel
    /// Into the model's clients, in the order of their keys in the store.
    private let order: [Int]

    /// - Throws: `invalidModel` for clients that could not be told apart or found, `tooLarge`.
    init(_ model: PolicyModel) throws(PolicyTableError) {
        self.model = model
        var keys: [(key: [UInt8], index: Int)] = []
        for (index, client) in model.clients.enumerated() {
            keys.append((TableKey.clientSuffix(issuer: client.issuer, identifier: client.identifier), index))
        }
        keys.sort { $0.key.lexicographicallyPrecedes($1.key) }
        for (one, other) in zip(keys, keys.dropFirst()) where one.key == other.key {
            throw .invalidModel(
                "`\(model.clients[one.index].name)` and `\(model.clients[other.index].name)` are the same client of "
                    + "the same issuer")
        }
        order = keys.map(\.index)
        for client in model.clients { try ClientTableWriter.check(client, of: model) }
    }

    var count: Int { order.count }

    /// - Parameter index: in the order of the keys.
    func client(_ index: Int) -> ClientModel { model.clients[order[index]] }

    private static func check(_ client: ClientModel, of model: PolicyModel) throws(PolicyTableError) {
        guard Int(client.issuer) < model.issuers.count else {
            throw .invalidModel("the client `\(client.name)` names the issuer number \(client.issuer)")
        }
        let identifierBytes = client.identifier.utf8.count
        guard identifierBytes >= 1, identifierBytes <= ClientModel.identifierBytesMax else {
            throw .invalidModel("the identifier of the client `\(client.name)` has \(identifierBytes) bytes")
        }
        guard client.grants.count <= ClientLayout.grantsMax else {
            throw .tooLarge(what: "the grants of `\(client.name)`", limit: ClientLayout.grantsMax)
        }
        for scopes in [client.scopes] + client.grants.map(\.scopes) {
            for scope in scopes where Int(scope) >= model.scopes.count {
                throw .invalidModel("the client `\(client.name)` has the scope number \(scope)")
            }
            for (one, other) in zip(scopes, scopes.dropFirst()) where one >= other {
                throw .invalidModel("the scopes of the client `\(client.name)` are not in order")
            }
        }
    }

    /// The record of a client.
    /// - Parameter index: in the order of the keys.
    func write(_ index: Int) throws(PolicyTableError) -> [UInt8] {
        let client = client(index)
        var output: [UInt8] = []
        output.append(littleEndian32: ClientLayout.magic)
        output.append(littleEndian16: TableLayout.version)
        output.append(0)
        output.append(client.excess.rawValue)
        output.append(littleEndian32: 0)
        output.append(littleEndian16: client.issuer)
        output.append(littleEndian16: try tableNumber(client.identifier.utf8.count, "the identifier of a client"))
        output.append(littleEndian16: try tableNumber(client.name.utf8.count, "the name of a client"))
        output.append(littleEndian16: try tableNumber(client.grants.count, "the grants of a client"))
        output.append(littleEndian32: UInt32(clamping: client.scopes.count))
        output.append(littleEndian64: UInt64(bitPattern: client.observeUntil ?? Int64.min))
        output.append(littleEndian64: 0)
        for scope in client.scopes { output.append(littleEndian16: scope) }
        output.append(contentsOf: client.identifier.utf8)
        output.append(contentsOf: client.name.utf8)
        for grant in client.grants {
            output.append(littleEndian64: UInt64(bitPattern: grant.until))
            output.append(littleEndian32: UInt32(clamping: grant.scopes.count))
            output.append(
                littleEndian16: try tableNumber(grant.reason.utf8.count, "the reason of a grant of `\(client.name)`"))
            for scope in grant.scopes { output.append(littleEndian16: scope) }
            output.append(contentsOf: grant.reason.utf8)
        }
        output.store(try tableOffset(output.count, in: "the client `\(client.name)`"), at: ClientLayout.totalBytes)
        let check = clientCheck(output.span)
        output.store(check, at: ClientLayout.check)
        return output
    }
}

extension TableKey {
    static let clientMark: UInt8 = 0x62

    static func client(_ version: Digest, issuer: UInt16, identifier: String) -> [UInt8] {
        self.version(version) + clientSuffix(issuer: issuer, identifier: identifier)
    }

    /// What follows the version in a client's key; the identifier stands last, so that no two pairs meet.
    static func clientSuffix(issuer: UInt16, identifier: String) -> [UInt8] {
        [clientMark, UInt8(issuer >> 8), UInt8(truncatingIfNeeded: issuer)] + Array(identifier.utf8)
    }
}
