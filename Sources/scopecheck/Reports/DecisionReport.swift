internal import Decision
internal import Octets
internal import PolicyTables
internal import Tokens

extension ByteWriter {
    /// The members of a decision's JSON object after `id`: verdict, status, reason, service, route, policy, issuer,
    /// subject, client, granted, required, challenge, and dpop_nonce where the answer gives one; client_name where the
    /// policy lists the client, excess and old_scopes where there are any.
    ///
    /// `required` is `{"all":[…],"any":[…]}`, or null where the route requires no scope or none was found.
    /// Identity is given whenever a token was verified or a certificate belongs to a client, also for a denial.
    mutating func append(decisionOf decider: Decider) {
        let details = decider.details
        append("\"verdict\":")
        append(jsonLiteral: decider.status == 200 ? "allow" : "deny")
        append(",\"status\":")
        append(decimal: UInt64(decider.status))
        append(",\"reason\":")
        append(jsonLiteral: decider.reason.name)
        append(",\"service\":")
        appendOptional(details.service)
        append(",\"route\":")
        appendOptional(details.route)
        append(",\"policy\":")
        append(jsonString: decider.policyLabel.span)
        if let token = decider.verifiedToken {
            append(",\"issuer\":")
            appendOptional(decider.issuer(of: token))
            append(",\"subject\":")
            append(jsonString: token.subject)
            append(",\"client\":")
            append(jsonString: token.client)
        } else {
            append(",\"issuer\":null,\"subject\":")
            appendOptional(details.identity)
            append(",\"client\":")
            appendOptional(details.client)
        }
        append(",\"granted\":")
        append(strings: details.granted)
        append(",\"required\":")
        if details.ground == .scopes {
            append("{\"all\":")
            append(strings: details.requiredAll)
            append(",\"any\":")
            append(strings: details.requiredAny)
            append("}")
        } else {
            append("null")
        }
        if let baseline = details.baseline {
            let name = baseline.name
            append(",\"client_name\":")
            append(jsonString: name.span)
        }
        if !details.excess.isEmpty {
            append(",\"excess\":")
            append(strings: details.excess)
        }
        if !details.oldScopes.isEmpty {
            append(",\"old_scopes\":")
            append(strings: details.oldScopes)
        }
        append(",\"challenge\":")
        appendOptional(decider.challenge)
        let nonce = decider.withAnswer { [UInt8](copying: $0.value(of: .proofNonce)) }
        if !nonce.isEmpty {
            append(",\"dpop_nonce\":")
            append(jsonString: nonce.span)
        }
        if let observed = details.observedReason {
            append(",\"would_be\":")
            append(jsonLiteral: observed.name)
        }
    }

    mutating func append(strings: [[UInt8]]) {
        append(0x5B)
        var isFirst = true
        for string in strings {
            if !isFirst { append(0x2C) }
            isFirst = false
            append(jsonString: string.span)
        }
        append(0x5D)
    }

    mutating func appendOptional(_ text: [UInt8]?) {
        if let text { append(jsonString: text.span) } else { append("null") }
    }
}
