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
        /// Numbers of the identifiers of clients that are treated alike, ascending; empty stands for all that neither
        /// policy lists.
        var clients: [Int32]
        /// Numbers of names.
        var scopes: [Int] = []
        var note: String?
        /// Where the change itself wants another token than the routes do.
        var trait: Trait?
    }

    /// What the token of an example is like because of what has changed.
    enum Trait {
        case audiences([String])
        case binding(BindingKind)
        /// `acr`; nil is a token without.
        case context(String?)
        /// Seconds since the user authenticated.
        case age(Int64)
        /// No more authorization details than the new route demands.
        case fewDetails
    }
}

/// Clients of one issuer that both policies treat alike, times included.
struct ClientGroup {
    /// Numbers of their identifiers, ascending; empty stands for all that neither policy lists.
    var identifiers: [Int32]
    /// Indices into the models' clients.
    var old: Int?
    var new: Int?
}

extension Comparison {
    func clients(of issuer: Int32) -> [ClientGroup] {
        if let known = clientGroups[issuer] { return known }
        let oldClients = old.clients[issuer] ?? [:]
        let newClients = new.clients[issuer] ?? [:]
        var groups = [ClientGroup(identifiers: [], old: nil, new: nil)]
        var places: [Int64: Int] = [:]
        for identifier in listedClients(of: issuer) {
            let oldClient = oldClients[identifier]
            let newClient = newClients[identifier]
            let oldMeaning = oldClient.map { clientMeaning(old.model.clients[$0], old) } ?? -1
            let newMeaning = newClient.map { clientMeaning(new.model.clients[$0], new) } ?? -1
            let key = Int64(oldMeaning) << 32 | Int64(newMeaning) & 0xFFFF_FFFF
            if let place = places[key] {
                groups[place].identifiers.append(identifier)
            } else {
                places[key] = groups.count
                groups.append(ClientGroup(identifiers: [identifier], old: oldClient, new: newClient))
            }
        }
        clientGroups[issuer] = groups
        return groups
    }

    /// Numbers of the identifiers that either policy lists, ascending.
    func listedClients(of issuer: Int32) -> [Int32] {
        if let known = listedClients[issuer] { return known }
        let listed = Set((old.clients[issuer] ?? [:]).keys).union((new.clients[issuer] ?? [:]).keys).sorted()
        listedClients[issuer] = listed
        return listed
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
