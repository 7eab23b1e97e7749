internal import Octets
internal import Signatures

/// Collects the strings of a token that is about to be verified, in the order that `VerifiedToken` keeps
/// them in. One buffer, used again for each token.
struct TokenStrings: ~Copyable {
    /// Twice the longest token: claims that several names bind are written more than once.
    private var writer = ByteWriter(capacity: 2 * TokenLimits.tokenBytesMax)
    private(set) var layout = VerifiedToken.Layout()

    var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get { writer.bytes }
    }

    /// - Parameters:
    ///   - keyID: of the header, which `headerText` is.
    ///   - index: has read `text`.
    mutating func collect(
        _ claims: TokenClaims, _ places: ClaimPlaces, keyID: JSONValue?, in headerText: Span<UInt8>,
        _ text: Span<UInt8>, _ index: borrowing JSONIndex, _ issuer: IssuerKeys
    ) throws(TokenRefusal) {
        writer.removeAll()
        if let subject = claims.subject { writer.append(string: subject, in: text) }
        layout.subjectEnd = end
        if let client = claims.client { writer.append(string: client, in: text) }
        layout.clientEnd = end
        if let scope = claims.scope { try appendScopes(scope, text, index) }
        layout.scopesEnd = end
        if let keyID { writer.append(string: keyID, in: headerText) }
        layout.keyIDEnd = end
        if let audience = claims.audience { appendAudience(audience, text, index) }
        layout.audiencesEnd = end
        let boundClaims = issuer.settings.boundClaims
        if !boundClaims.isEmpty {
            let root = index.value(places.object)
            for position in boundClaims.indices {
                let name = boundClaims[position]
                let value = index.member(name.span, of: root, in: text)
                appendWithLength(value?.kind == .string ? value : nil, text)
            }
        }
        layout.boundClaimsEnd = end
        if let context = claims.authenticationContext { writer.append(string: context, in: text) }
        layout.authenticationContextEnd = end
        layout.hasActor = claims.hasActor
        if let subject = claims.actorSubject { writer.append(string: subject, in: text) }
        layout.actorSubjectEnd = end
        if let client = claims.actorClient { writer.append(string: client, in: text) }
        layout.actorClientEnd = end
        if let tokenID = claims.tokenID { writer.append(string: tokenID, in: text) }
        layout.tokenIDEnd = end
        layout.statusURIEnd = end
        if let status = claims.status { try appendStatus(status, text, issuer) }
        if let details = claims.details { appendDetails(details, text, index, issuer) }
        layout.detailsEnd = end
        appendConfirmation(claims.confirmation)
        // Only more bound claims than any policy names can fill the buffer.
        guard !writer.overflowed else { throw .claimsMalformed }
    }

    private var end: UInt16 { UInt16(truncatingIfNeeded: writer.count) }

    /// Scopes that are not of the form of RFC 6749 §3.3 grant nothing, all of them: no one can say what the
    /// issuer meant.
    private mutating func appendScopes(
        _ scope: JSONValue, _ text: Span<UInt8>, _ index: borrowing JSONIndex
    ) throws(TokenRefusal) {
        let start = writer.count
        guard scope.kind == .array else {
            writer.append(string: scope, in: text)
            let count = ScopeSyntax.count(writer.bytes.extracting(start..<writer.count))
            if count == nil { writer.truncate(to: start) }
            if let count, count > TokenLimits.scopesMax { throw .claimsMalformed }
            return
        }
        var count = 0
        var item = index.child(after: nil, of: scope)
        while let current = item {
            count += 1
            guard count <= TokenLimits.scopesMax else { throw .claimsMalformed }
            if count > 1 { writer.append(0x20) }
            let tokenStart = writer.count
            writer.append(string: current, in: text)
            guard ScopeSyntax.isToken(writer.bytes.extracting(tokenStart..<writer.count)) else {
                writer.truncate(to: start)
                return
            }
            item = index.child(after: current, of: scope)
        }
    }

    private mutating func appendAudience(
        _ audience: JSONValue, _ text: Span<UInt8>, _ index: borrowing JSONIndex
    ) {
        guard audience.kind == .array else {
            appendWithLength(audience, text)
            return
        }
        var item = index.child(after: nil, of: audience)
        while let current = item {
            appendWithLength(current, text)
            item = index.child(after: current, of: audience)
        }
    }

    /// The URI, the list's key, and the index in four bytes.
    private mutating func appendStatus(
        _ status: StatusClaim, _ text: Span<UInt8>, _ issuer: IssuerKeys
    ) throws(TokenRefusal) {
        let start = writer.count
        writer.append(string: status.uri, in: text)
        let prefixes = issuer.settings.statusListPrefixes
        guard StatusClaim.isWithin(prefixes, writer.bytes.extracting(start..<writer.count)) else {
            throw .claimsMalformed
        }
        let name = issuer.settings.issuer
        let digest = StatusReference.listKey(uri: writer.bytes.extracting(start..<writer.count), issuer: name.span)
        layout.statusURIEnd = end
        append(digest)
        writer.append(bigEndian32: status.index)
    }

    /// One bit for each demand, the first one lowest in the first byte; nothing when none is met.
    private mutating func appendDetails(
        _ details: JSONValue, _ text: Span<UInt8>, _ index: borrowing JSONIndex, _ issuer: IssuerKeys
    ) {
        guard index.areDetails(details, in: text) else { return }
        let start = writer.count
        let rules = issuer.settings.details
        var isAnyMet = false
        var byte: UInt8 = 0
        for position in rules.indices {
            if index.satisfies(rules[position], details, in: text) {
                byte |= 1 << UInt8(position & 7)
                isAnyMet = true
            }
            if position & 7 == 7 || position == rules.count - 1 {
                writer.append(byte)
                byte = 0
            }
        }
        if !isAnyMet { writer.truncate(to: start) }
    }

    private mutating func appendConfirmation(_ claim: ConfirmationClaim) {
        layout.confirmation = .none
        switch claim {
        case .known(.jwkThumbprint(let thumbprint)):
            layout.confirmation = .jwkThumbprint
            append(thumbprint)
        case .known(.certificateThumbprint(let thumbprint)):
            layout.confirmation = .certificateThumbprint
            append(thumbprint)
        case .known(.none), .absent, .unknown: break
        }
    }

    private mutating func append(_ digest: Digest) {
        for index in 0..<Digest.count { writer.append(digest[index]) }
    }

    private mutating func appendWithLength(_ value: JSONValue?, _ text: Span<UInt8>) {
        let start = writer.count
        writer.append(bigEndian16: VerifiedToken.absentLength)
        guard let value else { return }
        writer.append(string: value, in: text)
        guard !writer.overflowed else { return }
        writer.overwrite(
            at: start, bigEndian16: UInt16(truncatingIfNeeded: writer.count - start - 2))
    }

    /// What is left of a token that was verified here when its issuer's reply names fewer scopes, audiences or
    /// details. All else is the token's.
    /// - Parameter index: has read the reply, which `text` is.
    mutating func narrow(
        _ local: VerifiedToken, by claims: TokenClaims, _ text: Span<UInt8>, _ index: borrowing JSONIndex,
        _ issuer: IssuerKeys
    ) throws(TokenRefusal) {
        writer.removeAll()
        var takenScopes: [UInt8]?
        if let scope = claims.scope {
            try appendScopes(scope, text, index)
            takenScopes = [UInt8](copying: writer.bytes)
            writer.removeAll()
        }
        let old = local.layout
        let kept = local.strings
        layout = old
        writer.append(local.subject)
        writer.append(local.client)
        if let takenScopes {
            appendScopes(of: local.scopeText, among: takenScopes.span)
        } else {
            writer.append(local.scopeText)
        }
        layout.scopesEnd = end
        writer.append(local.keyID)
        layout.keyIDEnd = end
        if let audience = claims.audience {
            var at = Int(old.keyIDEnd)
            while at < Int(old.audiencesEnd) {
                let stop = at + 2 + Int(kept.bigEndian16(at: at))
                let name = [UInt8](copying: kept.extracting(at + 2..<stop))
                if index.hasAudience(audience, among: [name], in: text) {
                    writer.append(kept.extracting(at..<stop))
                }
                at = stop
            }
        } else {
            writer.append(kept.extracting(Int(old.keyIDEnd)..<Int(old.audiencesEnd)))
        }
        layout.audiencesEnd = end
        let detailsStart = local.detailsStart
        writer.append(kept.extracting(Int(old.audiencesEnd)..<detailsStart))
        appendDetails(of: kept.extracting(detailsStart..<Int(old.detailsEnd)), by: claims, text, index, issuer)
        appendConfirmation(
            local.confirmation == .none ? .absent : .known(local.confirmation))
        layout.moveTail(by: Int(layout.audiencesEnd) - Int(old.audiencesEnd))
        guard !writer.overflowed else { throw .claimsMalformed }
    }

    /// For a token that an issuer was asked about, after everything else.
    /// - Parameter freshUntil: Unix seconds, not negative.
    mutating func append(freshUntil: Int64) throws(TokenRefusal) {
        let seconds = UInt64(clamping: freshUntil)
        writer.append(bigEndian32: UInt32(truncatingIfNeeded: seconds >> 32))
        writer.append(bigEndian32: UInt32(truncatingIfNeeded: seconds))
        guard !writer.overflowed else { throw .claimsMalformed }
    }

    /// Appends the scopes that are in both texts.
    private mutating func appendScopes(of held: Span<UInt8>, among taken: Span<UInt8>) {
        let start = writer.count
        var at = 0
        while at < held.count {
            let stop = held.firstIndex(of: 0x20, from: at) ?? held.count
            let scope = held.extracting(at..<stop)
            if hasScope(scope, in: taken) {
                if writer.count > start { writer.append(0x20) }
                writer.append(scope)
            }
            at = stop + 1
        }
    }

    private func hasScope(_ scope: Span<UInt8>, in scopes: Span<UInt8>) -> Bool {
        var at = 0
        while at < scopes.count {
            let stop = scopes.firstIndex(of: 0x20, from: at) ?? scopes.count
            if equal(scopes.extracting(at..<stop), scope) { return true }
            at = stop + 1
        }
        return false
    }

    /// The bits of `held`, without those that the reply's `authorization_details`, if it has any, do not meet.
    private mutating func appendDetails(
        of held: Span<UInt8>, by claims: TokenClaims, _ text: Span<UInt8>, _ index: borrowing JSONIndex,
        _ issuer: IssuerKeys
    ) {
        guard let details = claims.details else {
            writer.append(held)
            return
        }
        let areDetails = index.areDetails(details, in: text)
        let rules = issuer.settings.details
        for place in held.indices {
            var byte: UInt8 = 0
            for bit in 0..<8 where held[place] & 1 << UInt8(bit) != 0 {
                let position = place * 8 + bit
                guard areDetails, position < rules.count else { continue }
                if index.satisfies(rules[position], details, in: text) { byte |= 1 << UInt8(bit) }
            }
            writer.append(byte)
        }
    }
}
