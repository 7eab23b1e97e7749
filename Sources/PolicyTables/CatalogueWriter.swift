internal import Octets
internal import Signatures

/// Writes the catalogue of a policy.
struct CatalogueWriter {
    private let model: PolicyModel
    private var output: [UInt8] = []

    init(_ model: PolicyModel) { self.model = model }

    /// - Parameter claims: names of the bound claims in the order of their numbers.
    consuming func write(claims: [[UInt8]], hosts: Int) throws(PolicyTableError) -> [UInt8] {
        output = [UInt8](repeating: 0, count: CatalogueLayout.headerBytes)
        try writeIssuers()
        try writeScopes()
        try writeServices()
        var places: [UInt32] = []
        for claim in claims {
            places.append(try here())
            try append(text: String(decoding: claim, as: UTF8.self), "a claim")
        }
        try output.appendDirectory(
            places, count: CatalogueLayout.claimCount, at: CatalogueLayout.claimDirectory, in: "the catalogue")
        try writeDetails()
        let total = try here()
        output.store(CatalogueLayout.magic, at: 0)
        output.store(TableLayout.version, at: 4)
        output.store(total, at: CatalogueLayout.totalBytes)
        output.store(UInt32(clamping: hosts), at: CatalogueLayout.hostCount)
        let routes = UInt64(model.services.reduce(0) { $0 + $1.routes.count })
        output.store(UInt32(truncatingIfNeeded: routes), at: CatalogueLayout.routeCount)
        output.store(UInt32(truncatingIfNeeded: routes >> 32), at: CatalogueLayout.routeCount + 4)
        return output
    }

    private mutating func writeIssuers() throws(PolicyTableError) {
        var places: [UInt32] = []
        let issuersWithClients = Set(model.clients.map { Int($0.issuer) })
        for issuer in model.issuers {
            if let fault = issuer.fault { throw PolicyTableError.invalidModel("`\(issuer.issuer)` \(fault)") }
            var flags: UInt8 = 0
            if issuer.refusesUnknownClients { flags |= CatalogueLayout.issuerRefusesUnknownClients }
            if issuersWithClients.contains(places.count) { flags |= CatalogueLayout.issuerHasClients }
            places.append(try here())
            output.append(issuer.profile.rawValue)
            let keyPlace: String
            switch issuer.keySource {
            case .file(let path):
                output.append(0)
                keyPlace = path
            case .uri(let address):
                output.append(1)
                keyPlace = address
            case .discovery:
                output.append(2)
                keyPlace = ""
            case .none:
                output.append(3)
                keyPlace = ""
            }
            output.append(littleEndian16: issuer.leewaySeconds)
            output.append(littleEndian16: try tableNumber(issuer.algorithms.count, "the algorithms of an issuer"))
            output.append(littleEndian16: try tableNumber(issuer.audiences.count, "the audiences of an issuer"))
            try writeProofs(issuer)
            try writeIntrospection(issuer)
            output.append(flags)
            let asked = issuer.introspection
            let texts = [
                issuer.issuer, issuer.scopeClaim, issuer.clientClaim, keyPlace,
                issuer.certificateAuthorityFile ?? "", asked?.endpoint ?? "", asked?.clientID ?? "",
                asked?.secretFile ?? "", asked?.keyFile ?? "", asked?.certificateFile ?? "",
                asked?.certificateAuthorityFile ?? "",
            ]
            for text in texts + issuer.audiences + issuer.statusLists { try append(text: text, "a text of an issuer") }
            for algorithm in issuer.algorithms + issuer.proofs.algorithms { output.append(algorithm.rawValue) }
        }
        try output.appendDirectory(
            places, count: CatalogueLayout.issuerCount, at: CatalogueLayout.issuerDirectory, in: "the catalogue")
    }

    private mutating func writeProofs(_ issuer: IssuerModel) throws(PolicyTableError) {
        let proofs = issuer.proofs
        guard proofs.isWithinLimits else {
            throw PolicyTableError.invalidModel("the proofs of `\(issuer.issuer)` have ages beyond their limits")
        }
        guard let algorithms = UInt8(exactly: proofs.algorithms.count) else {
            throw PolicyTableError.tooLarge(
                what: "the proof algorithms of `\(issuer.issuer)`", limit: Int(UInt8.max))
        }
        output.append(littleEndian16: proofs.ageSecondsMax)
        output.append(littleEndian16: proofs.aheadSecondsMax)
        output.append(proofs.demandsNonce ? 1 : 0)
        output.append(algorithms)
    }

    private mutating func writeIntrospection(_ issuer: IssuerModel) throws(PolicyTableError) {
        output.append(littleEndian32: issuer.lifetimeSecondsMax)
        output.append(littleEndian16: try tableNumber(issuer.statusLists.count, "the status lists of an issuer"))
        guard let asked = issuer.introspection else {
            output += [UInt8](
                repeating: 0, count: CatalogueLayout.issuerFlags - CatalogueLayout.issuerIntrospection)
            return
        }
        output.append(asked.use.rawValue + 1)
        output.append(asked.authentication.rawValue)
        output.append(asked.demandsJWT ? 1 : 0)
        output.append(0)
        output.append(littleEndian16: asked.cacheSecondsMax)
        output.append(littleEndian16: asked.negativeSecondsMax)
        output.append(littleEndian16: asked.timeoutMilliseconds)
    }

    private mutating func writeDetails() throws(PolicyTableError) {
        guard model.details.count <= DetailModel.countMax else {
            throw PolicyTableError.tooLarge(
                what: "the list of demands on `authorization_details`", limit: DetailModel.countMax)
        }
        var places: [UInt32] = []
        for detail in model.details {
            guard !detail.type.isEmpty else {
                throw PolicyTableError.invalidModel("an authorization detail has no type")
            }
            places.append(try here())
            output.append(littleEndian16: try tableNumber(detail.actions.count, "the actions of a detail"))
            output.append(littleEndian16: try tableNumber(detail.locations.count, "the locations of a detail"))
            for text in [detail.type] + detail.actions + detail.locations {
                try append(text: text, "a text of an authorization detail")
            }
        }
        try output.appendDirectory(
            places, count: CatalogueLayout.detailCount, at: CatalogueLayout.detailDirectory, in: "the catalogue")
    }

    private mutating func writeScopes() throws(PolicyTableError) {
        guard model.scopes.count <= Int(UInt16.max) else {
            throw PolicyTableError.tooLarge(what: "the list of scopes", limit: Int(UInt16.max))
        }
        var places: [UInt32] = []
        for scope in model.scopes {
            places.append(try here())
            output.append(littleEndian64: UInt64(bitPattern: scope.until ?? Int64.max))
            output.append(scope.replacedBy.isEmpty ? 0 : CatalogueLayout.scopeIsOldName)
            for other in scope.replacedBy where !scope.closure.contains(other) {
                throw PolicyTableError.invalidModel("`\(scope.name)` does not imply what replaces it, scope \(other)")
            }
            try append(text: scope.name, "the name of a scope")
            try append(text: scope.description, "the description of `\(scope.name)`")
            output.append(littleEndian32: UInt32(clamping: scope.closure.count))
            for implied in scope.closure {
                guard Int(implied) < model.scopes.count else {
                    throw PolicyTableError.invalidModel("`\(scope.name)` implies the scope number \(implied)")
                }
                output.append(littleEndian16: implied)
            }
        }
        try output.appendDirectory(
            places, count: CatalogueLayout.scopeCount, at: CatalogueLayout.scopeDirectory, in: "the catalogue")
        output.store(try here(), at: CatalogueLayout.scopesByName)
        let names = model.scopes.map { Array($0.name.utf8) }
        let order = names.indices.sorted { names[$0].lexicographicallyPrecedes(names[$1]) }
        for (one, other) in zip(order, order.dropFirst()) where names[one] == names[other] {
            throw PolicyTableError.invalidModel("two scopes are named `\(model.scopes[one].name)`")
        }
        for id in order { output.append(littleEndian16: UInt16(id)) }
    }

    private mutating func writeServices() throws(PolicyTableError) {
        var places: [UInt32] = []
        for service in model.services {
            places.append(try here())
            let kind: TokenSourceKind
            let sourceName: String
            switch service.tokenSource {
            case .header: (kind, sourceName) = (.header, "")
            case .cookie(let name): (kind, sourceName) = (.cookie, name)
            case .webSocketProtocol(let marker): (kind, sourceName) = (.webSocketProtocol, marker)
            }
            output.append(kind.rawValue)
            var flags: UInt8 = 0
            if !service.forwardsToken { flags |= CatalogueLayout.serviceKeepsToken }
            if service.hasTransactionToken { flags |= CatalogueLayout.serviceTransactionToken }
            output.append(flags)
            output.append(littleEndian16: try tableNumber(service.issuers.count, "the issuers of a service"))
            output.append(littleEndian16: try tableNumber(service.ports.count, "the ports of a service"))
            output.append(littleEndian16: service.publicPort)
            output.append(littleEndian32: UInt32(clamping: service.routes.count))
            output.append(littleEndian64: UInt64(bitPattern: service.until ?? Int64.max))
            try append(text: service.name, "the name of a service")
            try append(text: service.audience ?? "", "the audience of `\(service.name)`")
            try append(text: sourceName, "the token source of `\(service.name)`")
            let metadata = try service.metadataPlace()?.url ?? ""
            try append(text: metadata, "the metadata URL of `\(service.name)`")
            for issuer in service.issuers {
                guard Int(issuer) < model.issuers.count else {
                    throw PolicyTableError.invalidModel("`\(service.name)` names the issuer number \(issuer)")
                }
                output.append(littleEndian16: issuer)
            }
            for port in service.ports { output.append(littleEndian16: port) }
        }
        try output.appendDirectory(
            places, count: CatalogueLayout.serviceCount, at: CatalogueLayout.serviceDirectory, in: "the catalogue")
    }

    // MARK: Parts

    private func here() throws(PolicyTableError) -> UInt32 { try tableOffset(output.count, in: "the catalogue") }

    private mutating func append(text: String, _ what: String) throws(PolicyTableError) {
        output.append(littleEndian16: try tableNumber(text.utf8.count, what))
        output.append(contentsOf: text.utf8)
    }
}
