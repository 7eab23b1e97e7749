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
            IssuerSettings(
                issuer: Array(issuer.issuer.utf8), audiences: issuer.audiences.map { Array($0.utf8) },
                algorithms: issuer.algorithms, profile: issuer.profile == .compat ? .compat : .rfc9068,
                scopeClaim: Array(issuer.scopeClaim.utf8), clientClaim: Array(issuer.clientClaim.utf8),
                leewaySeconds: Int64(issuer.leewaySeconds), boundClaims: claims)
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
        guard end + Int(algorithmCount) <= bytes.count else { return nil }
        var algorithms: [SignatureAlgorithm] = []
        for index in 0..<Int(algorithmCount) {
            guard let algorithm = SignatureAlgorithm(rawValue: bytes[end + index]) else { return nil }
            algorithms.append(algorithm)
        }
        let source: IssuerModel.KeySource
        switch bytes[offset + 1] {
        case 0: source = .file(texts[3])
        case 1: source = .uri(texts[3])
        case 2: source = .discovery
        default: return nil
        }
        return IssuerModel(
            issuer: texts[0], audiences: Array(texts[5...]), keySource: source, algorithms: algorithms,
            profile: profile, scopeClaim: texts[1], clientClaim: texts[2], leewaySeconds: leeway,
            certificateAuthorityFile: texts[4].isEmpty ? nil : texts[4])
    }
}
