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

    /// - Parameter index: has read `payload`.
    mutating func collect(
        _ claims: TokenClaims, keyID: JSONValue?, header: borrowing DecodedPart,
        payload: borrowing DecodedPart, _ index: borrowing JSONIndex, _ boundClaims: [[UInt8]]
    ) throws(TokenRefusal) {
        writer.removeAll()
        let text = payload.bytes
        if let subject = claims.subject { writer.append(string: subject, in: text) }
        layout.subjectEnd = end
        if let client = claims.client { writer.append(string: client, in: text) }
        layout.clientEnd = end
        if let scope = claims.scope { try appendScopes(scope, text, index) }
        layout.scopesEnd = end
        if let keyID { writer.append(string: keyID, in: header.bytes) }
        layout.keyIDEnd = end
        if let audience = claims.audience { appendAudience(audience, text, index) }
        layout.audiencesEnd = end
        if !boundClaims.isEmpty, let root = index.root {
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
}
