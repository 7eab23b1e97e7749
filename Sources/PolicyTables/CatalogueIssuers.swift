internal import Octets
internal import Signatures
public import Tokens

// Issuers are decoded once for each activation, into values that live as long as they are needed.

extension Catalogue {
    /// All issuers, in the order that tokens and services number them.
    /// - Returns: nil when the catalogue is corrupt.
    public func issuers() -> [IssuerModel]? {
        var result: [IssuerModel] = []
        for index in 0..<issuerCount {
            guard let offset = record(CatalogueLayout.issuerDirectory, index, of: issuerCount),
                let issuer = issuer(at: offset)
            else { return nil }
            result.append(issuer)
        }
        return result
    }

    /// What the token verifier needs of each issuer, in the same order. All keep the same bound claims.
    public func issuerSettings() -> [IssuerSettings]? {
        guard let issuers = issuers(), let details = details() else { return nil }
        let rules = details.map { detail in
            DetailRule(
                type: Array(detail.type.utf8), actions: detail.actions.map { Array($0.utf8) },
                locations: detail.locations.map { Array($0.utf8) })
        }
        var claims: [[UInt8]] = []
        for index in 0..<boundClaimCount {
            guard let name = boundClaim(index) else { return nil }
            claims.append([UInt8](copying: name))
        }
        return issuers.map { issuer in
            var settings = IssuerSettings(
                issuer: Array(issuer.issuer.utf8), audiences: issuer.audiences.map { Array($0.utf8) },
                algorithms: issuer.algorithms, profile: issuer.profile == .compat ? .compat : .rfc9068,
                scopeClaim: Array(issuer.scopeClaim.utf8), clientClaim: Array(issuer.clientClaim.utf8),
                leewaySeconds: Int64(issuer.leewaySeconds), boundClaims: claims)
            settings.proofRules = ProofRules(
                algorithms: issuer.proofs.algorithms, ageSecondsMax: Int64(issuer.proofs.ageSecondsMax),
                aheadSecondsMax: Int64(issuer.proofs.aheadSecondsMax))
            settings.demandsProofNonce = issuer.proofs.demandsNonce
            settings.lifetimeSecondsMax = Int64(issuer.lifetimeSecondsMax)
            if let introspection = issuer.introspection {
                settings.introspection = IntrospectionUse(introspection.use)
                settings.introspectionRules = IntrospectionRules(introspection)
            }
            settings.statusListPrefixes = issuer.statusLists.map { Array($0.utf8) }
            settings.details = rules
            return settings
        }
    }

    private func issuer(at offset: Int) -> IssuerModel? {
        guard offset >= CatalogueLayout.headerBytes, offset < bytes.count - CatalogueLayout.issuerTexts,
            let profile = IssuerModel.Profile(rawValue: bytes[offset]),
            let leeway = bytes.littleEndian16(at: offset + 2),
            let algorithmCount = bytes.littleEndian16(at: offset + 4),
            let audienceCount = bytes.littleEndian16(at: offset + 6),
            let lifetime = bytes.littleEndian32(at: offset + CatalogueLayout.issuerLifetime),
            let statusCount = bytes.littleEndian16(at: offset + CatalogueLayout.issuerStatusLists),
            let (texts, end) = texts(
                at: offset + CatalogueLayout.issuerTexts,
                CatalogueLayout.issuerTextCount + Int(audienceCount) + Int(statusCount))
        else { return nil }
        guard let algorithms = algorithms(at: end, Int(algorithmCount)),
            let proofs = proofs(at: offset, algorithms: end + Int(algorithmCount))
        else { return nil }
        let source: IssuerModel.KeySource
        switch bytes[offset + 1] {
        case 0: source = .file(texts[3])
        case 1: source = .uri(texts[3])
        case 2: source = .discovery
        case 3: source = .none
        default: return nil
        }
        let audiences = CatalogueLayout.issuerTextCount..<CatalogueLayout.issuerTextCount + Int(audienceCount)
        var result = IssuerModel(
            issuer: texts[0], audiences: Array(texts[audiences]), keySource: source, algorithms: algorithms,
            profile: profile, scopeClaim: texts[1], clientClaim: texts[2], leewaySeconds: leeway,
            certificateAuthorityFile: texts[4].isEmpty ? nil : texts[4])
        guard let clients = issuerClients(at: offset) else { return nil }
        result.refusesUnknownClients = clients.refusesUnknown
        result.proofs = proofs
        result.lifetimeSecondsMax = lifetime
        result.statusLists = Array(texts[audiences.upperBound...])
        switch bytes[offset + CatalogueLayout.issuerIntrospection] {
        case 0:
            // DENY: an issuer that lost the byte that says so would not be asked about its tokens any more.
            guard hasNoIntrospection(at: offset), texts[5..<CatalogueLayout.issuerTextCount].allSatisfy(\.isEmpty)
            else { return nil }
        case let use:
            guard let use = IntrospectionModel.Use(rawValue: use - 1),
                let introspection = introspection(at: offset, use, texts)
            else { return nil }
            result.introspection = introspection
        }
        return result.fault == nil ? result : nil
    }

    /// What the policy says of an issuer's clients.
    /// - Returns: nil when it cannot be read.
    public func issuerClients(_ index: Int) -> IssuerClients? {
        guard let offset = record(CatalogueLayout.issuerDirectory, index, of: issuerCount) else { return nil }
        return issuerClients(at: offset)
    }

    private func issuerClients(at offset: Int) -> IssuerClients? {
        guard offset >= CatalogueLayout.headerBytes, offset < bytes.count - CatalogueLayout.issuerTexts else {
            return nil
        }
        // DENY: a flag that this build does not know could be one that takes something away.
        let flags = bytes[offset + CatalogueLayout.issuerFlags]
        guard flags & ~(CatalogueLayout.issuerRefusesUnknownClients | CatalogueLayout.issuerHasClients) == 0 else {
            return nil
        }
        return IssuerClients(
            areListed: flags & CatalogueLayout.issuerHasClients != 0,
            refusesUnknown: flags & CatalogueLayout.issuerRefusesUnknownClients != 0)
    }

    private func hasNoIntrospection(at offset: Int) -> Bool {
        for index in offset + CatalogueLayout.issuerIntrospection..<offset + CatalogueLayout.issuerFlags
        where bytes[index] != 0 { return false }
        return true
    }

    private func introspection(
        at offset: Int, _ use: IntrospectionModel.Use, _ texts: [String]
    ) -> IntrospectionModel? {
        guard
            let authentication = IntrospectionModel.Authentication(
                rawValue: bytes[offset + CatalogueLayout.issuerAuthentication]),
            bytes[offset + CatalogueLayout.issuerReplies] <= 1, bytes[offset + CatalogueLayout.issuerReserved] == 0,
            let cache = bytes.littleEndian16(at: offset + CatalogueLayout.issuerCache),
            let negative = bytes.littleEndian16(at: offset + CatalogueLayout.issuerNegativeCache),
            let timeout = bytes.littleEndian16(at: offset + CatalogueLayout.issuerTimeout)
        else { return nil }
        func file(_ index: Int) -> String? { texts[index].isEmpty ? nil : texts[index] }
        var result = IntrospectionModel(endpoint: texts[5], clientID: texts[6], authentication: authentication)
        result.use = use
        result.demandsJWT = bytes[offset + CatalogueLayout.issuerReplies] == 1
        result.secretFile = file(7)
        result.keyFile = file(8)
        result.certificateFile = file(9)
        result.certificateAuthorityFile = file(10)
        result.cacheSecondsMax = cache
        result.negativeSecondsMax = negative
        result.timeoutMilliseconds = timeout
        return result
    }

    private func algorithms(at offset: Int, _ count: Int) -> [SignatureAlgorithm]? {
        guard offset + count <= bytes.count else { return nil }
        var result: [SignatureAlgorithm] = []
        for index in 0..<count {
            guard let algorithm = SignatureAlgorithm(rawValue: bytes[offset + index]) else { return nil }
            result.append(algorithm)
        }
        return result
    }

    /// - Parameters:
    ///   - offset: where the issuer stands.
    ///   - place: where the algorithms of its proofs do.
    private func proofs(at offset: Int, algorithms place: Int) -> ProofModel? {
        guard bytes[offset + CatalogueLayout.issuerProofNonce] <= 1,
            let age = bytes.littleEndian16(at: offset + CatalogueLayout.issuerProofAge),
            let ahead = bytes.littleEndian16(at: offset + CatalogueLayout.issuerProofAhead),
            let algorithms = algorithms(
                at: place, Int(bytes[offset + CatalogueLayout.issuerProofAlgorithms]))
        else { return nil }
        var result = ProofModel()
        result.algorithms = algorithms
        result.ageSecondsMax = age
        result.aheadSecondsMax = ahead
        result.demandsNonce = bytes[offset + CatalogueLayout.issuerProofNonce] != 0
        return result.isWithinLimits ? result : nil
    }
}

/// What a policy says of the clients of one issuer.
public struct IssuerClients: Sendable, Equatable {
    /// Whether it lists any.
    public let areListed: Bool
    /// Whether tokens of clients that it does not list are refused.
    public let refusesUnknown: Bool
}

extension IntrospectionUse {
    init(_ use: IntrospectionModel.Use) {
        switch use {
        case .opaque: self = .opaque
        case .all: self = .all
        }
    }
}

extension IntrospectionRules {
    init(_ model: IntrospectionModel) {
        self.init()
        clientID = Array(model.clientID.utf8)
        demandsJWT = model.demandsJWT
        cacheSecondsMax = Int64(model.cacheSecondsMax)
        negativeSecondsMax = Int64(model.negativeSecondsMax)
        timeoutMilliseconds = Int64(model.timeoutMilliseconds)
    }
}
