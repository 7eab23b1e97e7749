@testable internal import Decision
internal import Octets
@testable internal import PolicyTables
internal import Signatures

/// Who may hold what, compiled. The first byte chooses what the rest is.
///
/// * Bytes as the record of a client, as they are or with a header and a check that pass: a second reader of the layout
///   finds the same, or nothing.
/// * A good record with single bytes changed, which is unreadable.
/// * Scopes and clients of a model: refused for what a slow reading of the rules finds, or every record is found under a
///   key of its own, is no other client's, and says what the model says.
@Sendable func fuzzClients(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    switch input.byte() % 4 {
    case 0:
        let identifier = input.take(upTo: 0x0A)
        compareReading(input.rest(), issuer: 0, identifier: identifier)
    case 1:
        let record = sealed(input.rest())
        let layout = SlowClientRecord(record)
        compareReading(record, issuer: layout?.issuer ?? 0, identifier: layout?.identifier ?? [])
        compareReading(record, issuer: (layout?.issuer ?? 0) ^ 1, identifier: layout?.identifier ?? [])
        compareReading(record, issuer: layout?.issuer ?? 0, identifier: (layout?.identifier ?? []) + [0x61])
    case 2: change(&input)
    default: compile(&input)
    }
}

/// With a header that passes.
private func sealed(_ given: [UInt8]) -> [UInt8] {
    var record = given
    while record.count < ClientLayout.headerBytes { record.append(0) }
    func store(_ number: UInt64, _ count: Int, at offset: Int) {
        for place in 0..<count { record[offset + place] = UInt8(truncatingIfNeeded: number >> UInt64(8 * place)) }
    }
    store(UInt64(ClientLayout.magic), 4, at: 0)
    store(UInt64(TableLayout.version), 2, at: 4)
    store(UInt64(record.count), 4, at: ClientLayout.totalBytes)
    store(clientCheck(record.span), 8, at: ClientLayout.check)
    return record
}

private func compareReading(_ bytes: [UInt8], issuer: UInt16, identifier: [UInt8]) {
    let record = ClientRecord(bytes.span, issuer: issuer, identifier: identifier.span)
    let wanted = SlowClientRecord(bytes)
    let isWanted = wanted?.issuer == issuer && wanted?.identifier == identifier
    check(record.isReadable == isWanted, "a record is read that is none, or not read that is one")
    guard let wanted, isWanted else {
        check(
            record.scopeCount == 0 && record.grantCount == 0 && record.scope(0) == nil && record.grant(0) == nil
                && record.rule == .deny && record.observeUntil == .min, "an unreadable record approves something")
        return
    }
    check(wanted.says(record), "a record says something else than its bytes")
}

private func change(_ input: inout Input) {
    let identifier = FixedClients.identifier
    var record = FixedClients.record
    while !input.isAtEnd, !record.isEmpty {
        let place = Int(input.word())
        record[place % record.count] = input.byte()
    }
    let read = ClientRecord(record.span, issuer: FixedClients.issuer, identifier: identifier.span)
    check(read.isReadable == (record == FixedClients.record), "a changed record is read, or the same one is not")
}

/// A record by its layout, front to back.
private struct SlowClientRecord {
    private(set) var issuer: UInt16 = 0
    private(set) var identifier: [UInt8] = []
    private var name: [UInt8] = []
    private var rule: UInt8 = 0
    private var observeUntil: UInt64 = 0
    private var scopes: [UInt16] = []
    private var grants: [(until: UInt64, scopes: [UInt16], reason: [UInt8])] = []
    private var rest: ArraySlice<UInt8>

    init?(_ bytes: [UInt8]) {
        rest = bytes[...]
        guard bytes.count >= ClientLayout.headerBytes, number(4) == UInt64(ClientLayout.magic),
            number(2) == UInt64(TableLayout.version), number(1) == 0, let rule = number(1), rule <= 2,
            number(4) == UInt64(bytes.count), let issuer = number(2), let identifierBytes = number(2),
            let nameBytes = number(2), let grantCount = number(2), grantCount <= 64, let scopeCount = number(4),
            scopeCount <= 65_535, let observeUntil = number(8), number(8) == clientCheck(bytes.span),
            let scopes = list(scopeCount), let identifier = text(identifierBytes), let name = text(nameBytes)
        else { return nil }
        for _ in 0..<grantCount {
            guard let until = number(8), let count = number(4), count <= 65_535, let reasonBytes = number(2),
                let scopes = list(count), let reason = text(reasonBytes)
            else { return nil }
            grants.append((until, scopes, reason))
        }
        guard rest.isEmpty else { return nil }
        self.rule = UInt8(rule)
        self.issuer = UInt16(issuer)
        self.observeUntil = observeUntil
        (self.scopes, self.identifier, self.name) = (scopes, identifier, name)
    }

    private mutating func text(_ count: UInt64) -> [UInt8]? {
        guard rest.count >= Int(count) else { return nil }
        defer { rest = rest.dropFirst(Int(count)) }
        return Array(rest.prefix(Int(count)))
    }

    private mutating func number(_ count: Int) -> UInt64? {
        text(UInt64(count))?.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private mutating func list(_ count: UInt64) -> [UInt16]? {
        var result: [UInt16] = []
        for _ in 0..<count {
            guard let number = number(2) else { return nil }
            result.append(UInt16(number))
        }
        return result
    }

    func says(_ record: borrowing ClientRecord) -> Bool {
        var isSame =
            record.rule.rawValue == rule && record.observeUntil == Int64(bitPattern: observeUntil)
            && [UInt8](copying: record.name) == name && [UInt8](copying: record.identifier) == identifier
            && record.scopeCount == scopes.count && record.grantCount == grants.count
            && record.scope(-1) == nil && record.scope(scopes.count) == nil
            && record.grant(-1) == nil && record.grant(grants.count) == nil
        for (index, scope) in scopes.enumerated() where record.scope(index) != scope { isSame = false }
        for (index, wanted) in grants.enumerated() {
            guard let grant = record.grant(index) else { return false }
            isSame =
                isSame && grant.until == Int64(bitPattern: wanted.until) && grant.scopeCount == wanted.scopes.count
                && [UInt8](copying: record.reason(of: grant)) == wanted.reason
                && record.scope(of: grant, wanted.scopes.count) == nil && record.scope(of: grant, -1) == nil
            for (place, scope) in wanted.scopes.enumerated() where record.scope(of: grant, place) != scope {
                isSame = false
            }
        }
        return isSame
    }
}

/// A client with everything that a record can have.
private enum FixedClients {
    static let issuer: UInt16 = 1
    static let identifier = Array("0oa1b2c3".utf8)
    static let record: [UInt8] = {
        var model = FixedTables.model
        model.clients = [
            ClientModel(
                name: "billing", issuer: issuer, identifier: String(decoding: identifier, as: UTF8.self),
                scopes: [0, 2],
                grants: [
                    .init(scopes: [1], until: 1_800_000_000, reason: "INC-42"),
                    .init(scopes: [], until: .min, reason: ""),
                ], excess: .narrow, observeUntil: 1_790_000_000)
        ]
        return (try? PolicyCompiler(model).clientRecord(0)) ?? []
    }()
}

// MARK: Models

private func compile(_ input: inout Input) {
    var model = PolicyModel()
    model.issuers = FixedTables.model.issuers
    model.scopes = readScopes(&input)
    let count = Int(input.byte() % 6)
    for number in 0..<count { model.clients.append(readClient(number, &input, scopes: model.scopes.count)) }
    let compiler = try? PolicyCompiler(model)
    check((compiler != nil) == areGood(model), "clients are refused that are good, or taken that are not")
    guard let compiler, let catalogueBytes = try? compiler.catalogue(), let catalogue = Catalogue(catalogueBytes.span)
    else { return check(compiler == nil, "a catalogue that cannot be made or read") }
    compareTerms(model, catalogue)
    let now = Int64(input.byte())
    let version = sha256(Array("version".utf8).span)
    var last: [UInt8] = []
    for index in 0..<compiler.clientCount {
        let client = compiler.client(index)
        guard let record = try? compiler.clientRecord(index) else { return check(false, "a record cannot be written") }
        let key = TableKey.client(version, issuer: client.issuer, identifier: client.identifier)
        check(last.lexicographicallyPrecedes(key), "two clients share a key, or their keys are not in order")
        last = key
        for other in model.clients {
            let isSame = other.issuer == client.issuer && other.identifier.utf8.elementsEqual(client.identifier.utf8)
            let read = ClientRecord(record.span, issuer: other.issuer, identifier: Array(other.identifier.utf8).span)
            check(read.isReadable == isSame, "the record of one client is that of another")
        }
        let read = ClientRecord(record.span, issuer: client.issuer, identifier: Array(client.identifier.utf8).span)
        check(
            read.rule == client.excess && read.observeUntil == client.observeUntil ?? .min
                && equal(read.name, Array(client.name.utf8).span), "a client changes when it is compiled")
        compareApproved(client, read, catalogue, now: now)
        compareExpansion(client, model, catalogue, now: now)
    }
    check(compiler.clientCount == model.clients.count, "clients are lost")
}

/// Up to eight, `s0` and so on, with a closure that is one.
private func readScopes(_ input: inout Input) -> [ScopeModel] {
    let count = 1 + Int(input.byte() % 8)
    var implied: [Set<Int>] = []
    for index in 0..<count {
        let bits = input.byte()
        implied.append(Set((0..<count).filter { bits & 1 << UInt8($0) != 0 }).union([index]))
    }
    for _ in 0..<count {
        for index in 0..<count { implied[index] = implied[index].reduce(implied[index]) { $0.union(implied[$1]) } }
    }
    return (0..<count).map { index in
        let closure = implied[index].sorted().map { UInt16($0) }
        var scope = ScopeModel(name: "s\(index)", closure: closure)
        let until = input.byte()
        if until > 0 { scope.until = Int64(until) }
        let bits = input.byte()
        scope.replacedBy = closure.filter { $0 != index && bits & 1 << UInt8($0) != 0 }
        return scope
    }
}

private func readClient(_ number: Int, _ input: inout Input, scopes count: Int) -> ClientModel {
    let shape = input.byte()
    let identifier = shape & 0x20 == 0 ? input.take(upTo: 0) : [UInt8](repeating: 0x61, count: Int(input.word() % 300))
    // Sorted unless the input wants to be refused.
    func list(_ bits: UInt8) -> [UInt16] {
        var found = (0..<UInt16(8)).filter { bits & 1 << UInt8($0) != 0 && ($0 < count || shape & 0x80 != 0) }
        if shape & 0x40 != 0 { found.reverse() }
        return found
    }
    var client = ClientModel(
        name: "client\(number)", issuer: UInt16(shape % 4), identifier: String(decoding: identifier, as: UTF8.self),
        scopes: list(input.byte()), excess: ClientModel.ExcessRule(rawValue: input.byte() % 3) ?? .deny)
    let grants = input.byte()
    for _ in 0..<grants & 0x7F {
        client.grants.append(
            .init(scopes: list(input.byte()), until: Int64(input.byte()), reason: grants & 1 == 0 ? "" : "why"))
    }
    if grants & 0x80 != 0 { client.observeUntil = Int64(input.byte()) }
    return client
}

private func areGood(_ model: PolicyModel) -> Bool {
    var seen: Set<[UInt8]> = []
    for client in model.clients {
        let identifier = Array(client.identifier.utf8)
        guard client.issuer < 3, (1...255).contains(identifier.count), client.grants.count <= 64,
            seen.insert([UInt8(client.issuer)] + identifier).inserted
        else { return false }
        for scopes in [client.scopes] + client.grants.map(\.scopes) {
            guard scopes == Set(scopes).sorted(), scopes.allSatisfy({ $0 < model.scopes.count }) else { return false }
        }
    }
    return true
}

private func compareTerms(_ model: PolicyModel, _ catalogue: borrowing Catalogue) {
    for (index, scope) in model.scopes.enumerated() {
        let term = catalogue.scopeTerm(UInt16(index))
        check(
            term == ScopeTerm(until: scope.until ?? .max, isOldName: !scope.replacedBy.isEmpty),
            "a scope's end, or that it is an old name, changes when it is compiled")
    }
}

private func compareApproved(
    _ client: ClientModel, _ record: borrowing ClientRecord, _ catalogue: borrowing Catalogue, now: Int64
) {
    let approved = ScopeSet(approvedBy: record, catalogue: catalogue, now: now)
    let wanted = Set(client.scopes + client.grants.filter { $0.until > now }.flatMap(\.scopes))
    for scope in 0..<UInt16(catalogue.scopeCount) {
        check(approved.contains(scope) == wanted.contains(scope), "another scope is approved than the policy says")
    }
}

/// A token that has what is listed for the client, by the names.
private func compareExpansion(
    _ client: ClientModel, _ model: PolicyModel, _ catalogue: borrowing Catalogue, now: Int64
) {
    let names = client.scopes.map { model.scopes[Int($0)].name }
    let expansion = ScopeExpansion(Array(names.joined(separator: " ").utf8).span, catalogue, now: now)
    func counts(_ scope: UInt16) -> Bool { model.scopes[Int(scope)].until.map { $0 > now } ?? true }
    let held = client.scopes.filter(counts)
    let wanted = Set(held.flatMap { model.scopes[Int($0)].closure }).filter(counts).sorted()
    check(expansion.scopes == wanted, "a token amounts to something else than its scopes imply")
    check(
        expansion.oldNames == held.filter { !model.scopes[Int($0)].replacedBy.isEmpty },
        "other old names than the token carries")
    check(expansion.from <= now && now < expansion.until, "what a token amounts to does not hold now")
}
