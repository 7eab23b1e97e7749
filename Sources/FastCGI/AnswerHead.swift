public import Decision
public import Octets

/// The CGI header block of an answer.
///
/// To a Responder caller (nginx `auth_request`): `Status`, every `X-Scope-…` field and `Txn-Token`, empty ones too, so
/// that a proxy can overwrite what a client sent, and the challenge, under `WWW-Authenticate` on 401 and under
/// `X-Scope-Challenge` on 403 (nginx drops `WWW-Authenticate` there):
///
///     Status: 403 Forbidden
///     X-Scope-Decision: deny
///     X-Scope-Reason: insufficient_scope
///     …
///     X-Scope-Challenge: Bearer error="insufficient_scope", scope="orders:read"
///     Content-Length: 0
///
/// To an Authorizer caller a 200 has `Variable-SCOPE_…` fields and nothing else: Apache sends any other
/// header of a 200 to the client. Any other status is sent to the client whole, so there it carries only
/// what a client may know: the challenge under its own name on every status, and the audit id by which an
/// operator finds the reason. `X-Scope-Reason` and the names of route and policy stay out: they would tell
/// an attacker which check failed. What is wrong with the request itself (`invalid_request`) is 400 there,
/// since nobody needs to translate it.
///
/// Apache puts its own error page in place of an empty body, lighttpd sends `Content-Length: 0`.
public enum AnswerHead {
    /// Less than a page, with the record header: nginx reads the whole head into one page by default. The values have
    /// at most `Decider.textBytesMax` together; names and line ends take up to 360 bytes beside them.
    public static let bytesMax = 4_000

    /// - Returns: false when a value is not printable ASCII; what was written is then not to be sent.
    public static func append(
        _ answer: borrowing Answer, role: FastCGIRole, into output: inout ByteWriter
    ) -> Bool {
        switch role {
        case .responder: return appendForResponder(answer, &output)
        case .authorizer:
            return answer.isAllow ? appendVariables(answer, &output) : appendForClient(answer, &output)
        }
    }

    private static func appendForResponder(_ answer: borrowing Answer, _ output: inout ByteWriter) -> Bool {
        let status = answer.status
        output.append(statusLine(status))
        var isPrintable = true
        // By number, up to the challenge: `allCases` would allocate.
        var number: UInt8 = 0
        while let field = AnswerField(rawValue: number), field != .challenge {
            output.append(field.headerName)
            output.append(": ")
            isPrintable = appendValue(answer.value(of: field), &output) && isPrintable
            number += 1
        }
        isPrintable = appendForBackend(answer, &output) && isPrintable
        if answer.hasChallenge, status == 401 || status == 403 {
            output.append(status == 401 ? "WWW-Authenticate: " : "X-Scope-Challenge: ")
            isPrintable = appendValue(answer.value(of: .challenge), &output) && isPrintable
        }
        isPrintable = appendProofNonce(answer, &output) && isPrintable
        if status == 503 { output.append("Retry-After: 1\r\n") }
        output.append("Content-Length: 0\r\n\r\n")
        return isPrintable
    }

    private static func appendVariables(_ answer: borrowing Answer, _ output: inout ByteWriter) -> Bool {
        output.append(statusLine(200))
        var isPrintable = true
        var number: UInt8 = 0
        while let field = AnswerField(rawValue: number), field != .challenge {
            output.append(variablePrefix(field))
            isPrintable = appendValue(answer.value(of: field), &output) && isPrintable
            number += 1
        }
        output.append(variablePrefix(.transactionToken))
        isPrintable = appendValue(answer.value(of: .transactionToken), &output) && isPrintable
        output.append(variablePrefix(.forwardToken))
        isPrintable = appendValue(answer.value(of: .forwardToken), &output) && isPrintable
        if answer.hasProofNonce {
            output.append(variablePrefix(.proofNonce))
            isPrintable = appendValue(answer.value(of: .proofNonce), &output) && isPrintable
        }
        output.append("\r\n")
        return isPrintable
    }

    private static func appendForClient(_ answer: borrowing Answer, _ output: inout ByteWriter) -> Bool {
        output.append(statusLine(answer.reason.isInvalidRequest ? 400 : answer.status))
        var isPrintable = true
        if answer.hasChallenge {
            output.append("WWW-Authenticate: ")
            isPrintable = appendValue(answer.value(of: .challenge), &output)
        }
        output.append(AnswerField.auditID.headerName)
        output.append(": ")
        isPrintable = appendValue(answer.value(of: .auditID), &output) && isPrintable
        isPrintable = appendProofNonce(answer, &output) && isPrintable
        if answer.status == 503 { output.append("Retry-After: 1\r\n") }
        output.append("Content-Length: 0\r\n\r\n")
        return isPrintable
    }

    /// Empty ones too: a client's `Txn-Token` must not stay where ours is none.
    private static func appendForBackend(_ answer: borrowing Answer, _ output: inout ByteWriter) -> Bool {
        output.append(AnswerField.transactionToken.headerName)
        output.append(": ")
        let isPrintable = appendValue(answer.value(of: .transactionToken), &output)
        output.append(AnswerField.forwardToken.headerName)
        output.append(": ")
        return appendValue(answer.value(of: .forwardToken), &output) && isPrintable
    }

    private static func appendProofNonce(_ answer: borrowing Answer, _ output: inout ByteWriter) -> Bool {
        guard answer.hasProofNonce else { return true }
        output.append(AnswerField.proofNonce.headerName)
        output.append(": ")
        return appendValue(answer.value(of: .proofNonce), &output)
    }

    /// The value and its line end; false for a byte that is not printable ASCII: no `Answer` should hold one.
    private static func appendValue(_ value: Span<UInt8>, _ output: inout ByteWriter) -> Bool {
        output.append(value)
        output.append("\r\n")
        var isPrintable = true
        for index in value.indices where value[index] &- 0x20 > 0x5E { isPrintable = false }
        return isPrintable
    }

    /// With the reason phrase: Apache would write "Unknown Reason" without one.
    private static func statusLine(_ status: UInt16) -> StaticString {
        switch status {
        case 200: "Status: 200 OK\r\n"
        case 400: "Status: 400 Bad Request\r\n"
        case 401: "Status: 401 Unauthorized\r\n"
        case 503: "Status: 503 Service Unavailable\r\n"
        // DENY: 403 and whatever no answer should have.
        default: "Status: 403 Forbidden\r\n"
        }
    }

    private static func variablePrefix(_ field: AnswerField) -> StaticString {
        switch field {
        case .decision: "Variable-SCOPE_DECISION: "
        case .reason: "Variable-SCOPE_REASON: "
        case .route: "Variable-SCOPE_ROUTE: "
        case .policy: "Variable-SCOPE_POLICY: "
        case .auditID: "Variable-SCOPE_AUDIT_ID: "
        case .subject: "Variable-SCOPE_SUBJECT: "
        case .client: "Variable-SCOPE_CLIENT: "
        case .issuer: "Variable-SCOPE_ISSUER: "
        case .granted: "Variable-SCOPE_GRANTED: "
        case .challenge: "Variable-SCOPE_CHALLENGE: "
        case .proofNonce: "Variable-SCOPE_PROOF_NONCE: "
        case .transactionToken: "Variable-SCOPE_TXN_TOKEN: "
        case .forwardToken: "Variable-SCOPE_FORWARD_TOKEN: "
        }
    }
}
