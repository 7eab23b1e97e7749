public import Octets
internal import Signatures
internal import Tokens

extension Decider {
    /// Whether the last decision belongs in the log: a denial, or one that observe mode let pass.
    public var isNoteworthy: Bool { state.answer.status != 200 || state.observedReason != nil }

    /// The last decision as members of a JSON object, each with a comma before it:
    /// `,"verdict":"deny","reason":"insufficient_scope",…`. Values from outside are cut at `valueBytesMax` bytes.
    public func appendLogMembers(
        to line: inout ByteWriter, _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, valueBytesMax: Int
    ) {
        append(decision: state.answer, to: &line, valueBytesMax)
        append(",\"request_id\":", bytes.bytes(at: facts.requestID), to: &line, valueBytesMax)
        appendAddress(bytes.bytes(at: facts.clientAddress), facts.clientAddressForm, to: &line, valueBytesMax)
        append(",\"method\":", bytes.bytes(at: facts.method), to: &line, valueBytesMax)
        append(",\"host\":", bytes.bytes(at: facts.host), to: &line, valueBytesMax)
        append(",\"port\":", bytes.bytes(at: facts.port), to: &line, valueBytesMax)
        // Given both ways it is a conflict, and a member may stand once.
        if facts.port.isEmpty { appendPort(facts.portNumber, to: &line) }
        append(",\"target\":", withoutQuery(bytes.bytes(at: facts.target)), to: &line, valueBytesMax)
        guard let token = state.token else { return }
        append(",\"subject\":", token.subject, to: &line, valueBytesMax)
        append(",\"client\":", token.client, to: &line, valueBytesMax)
        append(",\"scopes\":", token.scopeText, to: &line, valueBytesMax)
        append(",\"actor\":", token.actorSubject, to: &line, valueBytesMax)
        if let remarks { append(remarks: remarks, to: &line, valueBytesMax) }
        appendTokenState(token, to: &line, valueBytesMax)
        switch token.confirmation {
        case .none: break
        case .jwkThumbprint: line.append(",\"confirmation\":\"jkt\"")
        case .certificateThumbprint: line.append(",\"confirmation\":\"x5t#S256\"")
        }
        guard let fault = state.proofFault else { return }
        line.append(",\"proof\":")
        line.append(jsonLiteral: fault)
    }

    private func append(remarks: GrantRemarks, to line: inout ByteWriter, _ valueBytesMax: Int) {
        let clientName = remarks.clientName
        append(",\"client_name\":", clientName.span, to: &line, valueBytesMax)
        let excess = append(remarks.excess, ",\"excess\":", to: &line, valueBytesMax)
        if excess < remarks.excessCount {
            line.append(",\"excess_left_out\":")
            line.append(decimal: UInt64(remarks.excessCount - excess))
        }
        let oldScopes = append(remarks.oldScopes, ",\"old_scopes\":", to: &line, valueBytesMax)
        if oldScopes < remarks.oldScopeCount {
            line.append(",\"old_scopes_left_out\":")
            line.append(decimal: UInt64(remarks.oldScopeCount - oldScopes))
        }
    }

    /// The first names that take up to twice `valueBytesMax` bytes: no list keeps a line out of the log.
    /// - Returns: how many.
    private func append(
        _ names: [[UInt8]], _ member: StaticString, to line: inout ByteWriter, _ valueBytesMax: Int
    ) -> Int {
        guard !names.isEmpty else { return 0 }
        line.append(member)
        var written = 0
        var bytesCount = 0
        for name in names {
            bytesCount += name.count
            guard bytesCount <= 2 * valueBytesMax || written == 0 else { break }
            line.append(written == 0 ? "[" : ",")
            let shown = Array(name.prefix(cut(name.span, valueBytesMax)))
            line.append(jsonString: shown.span)
            written += 1
        }
        line.append("]")
        return written
    }

    /// What is needed to find out why a token was refused that is good in itself.
    private func appendTokenState(_ token: VerifiedToken, to line: inout ByteWriter, _ valueBytesMax: Int) {
        if token.freshUntil != .max { line.append(",\"introspected\":true") }
        if let kind = state.revokedBy {
            line.append(",\"revoked_by\":")
            line.append(jsonLiteral: kind.name)
            append(",\"token_id\":", token.tokenID, to: &line, valueBytesMax)
        }
        guard let status = token.status, state.answer.status != 200 else { return }
        append(",\"status_list\":", token.statusListURI, to: &line, valueBytesMax)
        line.append(",\"status_index\":")
        line.append(decimal: status.index)
    }

    /// The same for a connection without HTTP. `subject` and `client` are the policy's; what the certificate itself
    /// says stands in members that begin with `certificate_`, the first of several names for all of them.
    public func appendLogMembers(
        to line: inout ByteWriter, _ facts: borrowing ConnectionFacts, _ bytes: Span<UInt8>, valueBytesMax: Int
    ) {
        append(decision: state.answer, to: &line, valueBytesMax)
        append(",\"request_id\":", bytes.bytes(at: facts.requestID), to: &line, valueBytesMax)
        appendAddress(bytes.bytes(at: facts.clientAddress), facts.clientAddressForm, to: &line, valueBytesMax)
        appendPort(facts.port, to: &line)
        guard let presented = state.presented else { return }
        append(",\"subject\":", presented.identity.span, to: &line, valueBytesMax)
        append(",\"client\":", presented.clientName.span, to: &line, valueBytesMax)
        let certificate = presented.certificate
        append(",\"certificate_subject\":", certificate.subject.span, to: &line, valueBytesMax)
        if let uri = certificate.uris.first { append(",\"certificate_uri\":", uri.span, to: &line, valueBytesMax) }
        if let name = certificate.dnsNames.first {
            append(",\"certificate_dns\":", name.span, to: &line, valueBytesMax)
        }
    }

    private func append(
        decision answer: borrowing Answer, to line: inout ByteWriter, _ valueBytesMax: Int
    ) {
        line.append(",\"verdict\":")
        line.append(jsonLiteral: answer.isAllow ? "allow" : "deny")
        line.append(",\"reason\":")
        line.append(jsonLiteral: answer.reason.name)
        if let observed = state.observedReason {
            line.append(",\"would_be\":")
            line.append(jsonLiteral: observed.name)
        }
        line.append(",\"status\":")
        line.append(decimal: UInt64(answer.status))
        append(",\"route\":", answer.value(of: .route), to: &line, valueBytesMax)
        append(",\"policy\":", answer.value(of: .policy), to: &line, valueBytesMax)
        append(",\"audit_id\":", answer.value(of: .auditID), to: &line, valueBytesMax)
    }

    private func appendAddress(
        _ address: Span<UInt8>, _ form: AddressForm, to line: inout ByteWriter, _ valueBytesMax: Int
    ) {
        guard form != .text else {
            append(",\"client_address\":", address, to: &line, valueBytesMax)
            return
        }
        guard address.count == (form == .ipv4 ? 4 : 16) else { return }
        line.append(",\"client_address\":\"")
        line.append(address: address)
        line.append(0x22)
    }

    private func appendPort(_ port: Int64, to line: inout ByteWriter) {
        guard port >= 0 else { return }
        line.append(",\"port\":\"")
        line.append(decimal: UInt64(port))
        line.append(0x22)
    }

    /// Nothing is written for an empty value.
    private func append(
        _ name: StaticString, _ value: Span<UInt8>, to line: inout ByteWriter, _ valueBytesMax: Int
    ) {
        guard value.count > 0 else { return }
        line.append(name)
        line.append(jsonString: value.extracting(0..<cut(value, valueBytesMax)))
    }

    /// Where a value is cut: before the character that does not fit whole, so that the rest stays UTF-8.
    private func cut(_ value: Span<UInt8>, _ bytesMax: Int) -> Int {
        guard value.count > bytesMax else { return value.count }
        var end = max(0, bytesMax)
        while end > 0, bytesMax - end < 4, value[end] & 0xC0 == 0x80 { end -= 1 }
        return end
    }

    /// Queries hold secrets often enough, and decide nothing here.
    @_lifetime(copy target)
    private func withoutQuery(_ target: Span<UInt8>) -> Span<UInt8> {
        var end = 0
        while end < target.count, target[end] != 0x3F { end += 1 }
        return target.extracting(0..<end)
    }
}
