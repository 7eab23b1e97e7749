internal import PolicyTables

/// A way in which one route's demands let more through than another's, wherever the two meet.
struct Widening {
    var kind: WideningKind
    var basis = Finding.Basis.example
    var change: String
    /// The old policy's reason; empty where it has no route, so that the place of the request tells it.
    var was = ""
    var becomes = "granted"
    /// Unix seconds; `until` is Int64.max for ever.
    var from: Int64
    var until: Int64
    /// nil where no token is needed.
    var token: Token?
    /// Whether the new policy's bindings have to hold.
    var needsBindings = false
    /// Whether it is one only where the old policy's bindings can fail.
    var breaksBindings = false
    /// Whether the old policy decides it after its own bindings, so that an example keeps them if it can.
    var isAfterBindings = false

    struct Token {
        var issuer: Int32
        /// Number of the client's identifier; nil is one that neither policy lists.
        var client: Int32?
        /// Numbers of names.
        var scopes: [Int] = []
        var note: String?
    }
}

/// Clients of one issuer that both policies treat alike, times included.
struct ClientGroup {
    /// Number of the identifier of the first of them; nil stands for all that neither policy lists.
    var identifier: Int32?
    /// Indices into the models' clients.
    var old: Int?
    var new: Int?
    /// Whether the two policies approve the same for them.
    var count = 1
}

extension Comparison {
    func clients(of issuer: Int32) -> [ClientGroup] {
        if let known = clientGroups[issuer] { return known }
        let oldClients = old.clients[issuer] ?? [:]
        let newClients = new.clients[issuer] ?? [:]
        var groups = [ClientGroup(identifier: nil, old: nil, new: nil)]
        var places: [Int64: Int] = [:]
        for identifier in Set(oldClients.keys).union(newClients.keys).sorted() {
            let oldClient = oldClients[identifier]
            let newClient = newClients[identifier]
            let oldMeaning = oldClient.map { clientMeaning(old.model.clients[$0], old) } ?? -1
            let newMeaning = newClient.map { clientMeaning(new.model.clients[$0], new) } ?? -1
            let key = Int64(oldMeaning) << 32 | Int64(newMeaning) & 0xFFFF_FFFF
            if let place = places[key] {
                groups[place].count += 1
            } else {
                places[key] = groups.count
                groups.append(ClientGroup(identifier: identifier, old: oldClient, new: newClient))
            }
        }
        clientGroups[issuer] = groups
        return groups
    }

    /// All ways in which the demands `new` let more through than `old`, each with a token that shows it.
    /// - Parameter old: nil where the old policy has no route.
    func widenings(old: Int32?, new: Int32) -> [Widening] {
        if old == new { return [] }
        let key = Int64(old ?? -1) << 32 | Int64(new)
        if let known = knownWidenings[key] { return known }
        var search = WideningSearch(self, old: old.map { requirements[Int($0)] }, new: requirements[Int(new)])
        let found = search.run()
        knownWidenings[key] = found
        return found
    }
}
