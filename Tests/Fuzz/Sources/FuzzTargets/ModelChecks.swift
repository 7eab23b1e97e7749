@testable internal import Policy
internal import PolicyTables
internal import Signatures

/// What a checked model says of publishers, of scopes that change, and of clients: what everything after the reader
/// takes for granted.
func checkMembers(_ model: PolicyModel) {
    for publisher in model.publishers { check(publisher) }
    check(hasNoDouble(model.publishers.map(\.name)), "two publishers of one service")
    for (index, scope) in model.scopes.enumerated() { check(scope, index, model) }
    for client in model.clients {
        check(client.issuer < model.issuers.count, "a client of no issuer")
        check((1...ClientModel.identifierBytesMax).contains(client.identifier.utf8.count), "no identifier of a client")
        for scopes in [client.scopes] + client.grants.map(\.scopes) {
            check(isOrdered(scopes, below: model.scopes.count), "a client's scopes are not in order")
            for scope in scopes {
                check(
                    model.scopes[Int(scope)].closure.allSatisfy(scopes.contains),
                    "a client is not approved for what its scopes imply")
            }
        }
    }
}

private func check(_ publisher: PublisherModel) {
    check(PublicationStatement.isService(publisher.name), "a publisher that no statement can name")
    check((1...PublisherModel.keysMax).contains(publisher.keys.count), "a publisher without keys, or with too many")
    check(hasNoDouble(publisher.keys.map(\.keyID)), "two keys of one name")
    for key in publisher.keys {
        check((1...128).contains(key.keyID.utf8.count), "a key that no publication can name")
        check((try? key.publicKey()).map { $0.fits(key.algorithm) } ?? false, "a key that verifies nothing")
        check(key.x.count == 32 && key.y.count == (key.algorithm == .ed25519 ? 0 : 32), "a key of another length")
    }
    check(!publisher.hosts.isEmpty && !publisher.scopes.isEmpty, "a publisher without hosts or scopes")
    check(publisher.ttlSecondsMax.map { $0 > 0 } ?? true, "a publication that never holds")
    for pattern in publisher.scopes {
        let isPrefix = pattern.utf8.last == 0x2A
        check(isPrefix || publisher.covers(scope: pattern), "a publisher may not name its own scope")
        check(!isPrefix || publisher.covers(scope: pattern.dropLast() + "x"), "a prefix covers nothing")
    }
    check(publisher.basePath.allSatisfy { if case .literal = $0 { true } else { false } }, "a base path that varies")
}

private func check(_ scope: ScopeModel, _ index: Int, _ model: PolicyModel) {
    check(isOrdered(scope.closure, below: model.scopes.count), "what a scope implies is not in order")
    check(scope.closure.contains(UInt16(index)), "a scope that does not imply itself")
    for implied in scope.closure {
        check(
            model.scopes[Int(implied)].closure.allSatisfy(scope.closure.contains), "implications that are not followed")
    }
    check(isOrdered(scope.replacedBy, below: model.scopes.count), "what replaces a scope is not in order")
    for other in scope.replacedBy {
        check(scope.closure.contains(other) && Int(other) != index, "an old name does not grant what replaces it")
    }
}

private func isOrdered(_ list: [UInt16], below limit: Int) -> Bool {
    zip(list, list.dropFirst()).allSatisfy { $0 < $1 } && list.allSatisfy { $0 < limit }
}

private func hasNoDouble(_ names: [String]) -> Bool { Set(names.map { Array($0.utf8) }).count == names.count }
