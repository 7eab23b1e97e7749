internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

/// What became of the transaction token of an allow.
enum TransactionResult {
    case written
    case refused(Reason)
    /// It has to be signed, and nothing may be now.
    case owed
}

extension DecisionState {
    /// Writes the transaction token of an allow: one that was made before, or a new one. One that was made before says
    /// the same scopes: it ends before anything does that they are made of.
    mutating func writeTransactionToken(
        _ token: VerifiedToken, _ grant: Grant, table: borrowing HostTable, rule: RouteRule,
        service: borrowing ServiceRecord, catalogue: borrowing Catalogue, snapshot: DecisionSnapshot, now: Int64,
        mayVerify: Bool
    ) -> TransactionResult {
        guard let signer = snapshot.transactions else { return .refused(.signingUnavailable) }
        transactions.follow(signer, version: snapshot.version)
        if let known = transactions.text(
            for: token, serviceIndex: rule.serviceIndex, routeIndex: rule.routeIndex, now: now)
        {
            answer.write(.transactionToken, known.span)
            return .written
        }
        guard mayVerify else { return .owed }
        var scopes = ByteWriter(capacity: Answer.textBytesMax)
        DecisionState.appendRequired(table, rule, catalogue, heldBy: grant, to: &scopes)
        guard !scopes.overflowed else { return .refused(.overloaded) }
        let settings = snapshot.issuers.issuers[token.issuerIndex].settings
        let issuer = settings.issuer
        // Within the leeway the client's token is good, and so is what it is exchanged for.
        var end = token.expiresAt &+ settings.leewaySeconds
        // Not beyond what it says of the scopes and of the service: whoever takes it does not ask here again.
        end = min(end, grant.validUntil, service.until)
        let claims = TransactionClaims(
            tokenIssuer: String(decoding: issuer, as: UTF8.self),
            audience: String(lossy: service.audience.count > 0 ? service.audience : service.name),
            subject: String(lossy: token.subject),
            client: String(lossy: token.client), scopes: String(lossy: scopes.bytes),
            actor: token.hasActor
                ? (String(lossy: token.actorSubject), String(lossy: token.actorClient)) : nil,
            issuedAt: now, expiresAt: min(end, now &+ signer.lifetimeSeconds))
        let text = claims.text(issuer: signer.issuer, transactionID: randomBytes(16))
        // Base64url makes four of three: what cannot fit is not signed first.
        guard text.count / 3 * 4 <= Answer.textBytesMax else { return .refused(.overloaded) }
        let made: [UInt8]
        do throws(MintError) {
            made = try TokenMint.token(
                claims: text.span, key: signer.key, algorithm: signer.algorithm, keyID: signer.keyID,
                type: "txntoken+jwt")
        } catch {
            return .refused(.signingUnavailable)
        }
        counts.signatures &+= 1
        // As long as a quarter of its life is left to the backend.
        let life = claims.expiresAt - now
        transactions.insert(
            made, for: token, serviceIndex: rule.serviceIndex, routeIndex: rule.routeIndex, issuedAt: now,
            through: claims.expiresAt - max(1, (life + 3) / 4))
        answer.write(.transactionToken, made.span)
        return .written
    }
}
