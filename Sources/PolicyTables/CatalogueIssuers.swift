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
        guard let issuers = issuers() else { return nil }
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
            return settings
        }
    }

    private func issuer(at offset: Int) -> IssuerModel? {
        guard offset >= CatalogueLayout.headerBytes, offset < bytes.count - CatalogueLayout.issuerTexts,
            let profile = IssuerModel.Profile(rawValue: bytes[offset]),
            let leeway = bytes.littleEndian16(at: offset + 2),
            let algorithmCount = bytes.littleEndian16(at: offset + 4),
            let audienceCount = bytes.littleEndian16(at: offset + 6)
        else { return nil }
        var end = offset + CatalogueLayout.issuerTexts
        var texts: [String] = []
        for _ in 0..<(5 + Int(audienceCount)) {
            guard let range = text(at: end) else { return nil }
            texts.append(String(lossy: bytes.bytes(at: range)))
            end += 2 + Int(range.count)
        }
        guard let algorithms = algorithms(at: end, Int(algorithmCount)),
            let proofs = proofs(at: offset, algorithms: end + Int(algorithmCount))
        else { return nil }
        let source: IssuerModel.KeySource
        switch bytes[offset + 1] {
        case 0: source = .file(texts[3])
        case 1: source = .uri(texts[3])
        case 2: source = .discovery
        default: return nil
        }
        var result = IssuerModel(
            issuer: texts[0], audiences: Array(texts[5...]), keySource: source, algorithms: algorithms,
            profile: profile, scopeClaim: texts[1], clientClaim: texts[2], leewaySeconds: leeway,
            certificateAuthorityFile: texts[4].isEmpty ? nil : texts[4])
        result.proofs = proofs
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
        guard let age = bytes.littleEndian16(at: offset + CatalogueLayout.issuerProofAge),
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
