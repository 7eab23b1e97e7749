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
            isPrintable = append(field.headerLine, answer.value(of: field), &output) && isPrintable
            number += 1
        }
        // Empty ones too: a client's `Txn-Token` must not stay where ours is none.
        let token = append(AnswerField.transactionToken.headerLine, answer.value(of: .transactionToken), &output)
        let forward = append(AnswerField.forwardToken.headerLine, answer.value(of: .forwardToken), &output)
        isPrintable = isPrintable && token && forward
        if answer.hasChallenge, status == 401 || status == 403 {
            let head = status == 401 ? challengeOfClient : AnswerField.challenge.headerLine
            isPrintable = append(head, answer.value(of: .challenge), &output) && isPrintable
        }
        isPrintable = appendProofNonce(AnswerField.proofNonce.headerLine, answer, &output) && isPrintable
        if status == 503 { output.append("\r\nRetry-After: 1") }
        output.append("\r\nContent-Length: 0\r\n\r\n")
        return isPrintable
    }

    private static func appendVariables(_ answer: borrowing Answer, _ output: inout ByteWriter) -> Bool {
        output.append(statusLine(200))
        var isPrintable = true
        var number: UInt8 = 0
        while let field = AnswerField(rawValue: number), field != .challenge {
            isPrintable = append(variable(field), answer.value(of: field), &output) && isPrintable
            number += 1
        }
        let token = append(variable(.transactionToken), answer.value(of: .transactionToken), &output)
        let forward = append(variable(.forwardToken), answer.value(of: .forwardToken), &output)
        let nonce = appendProofNonce(variable(.proofNonce), answer, &output)
        output.append("\r\n\r\n")
        return isPrintable && token && forward && nonce
    }

    private static func appendForClient(_ answer: borrowing Answer, _ output: inout ByteWriter) -> Bool {
        output.append(statusLine(answer.reason.isInvalidRequest ? 400 : answer.status))
        let challenge =
            !answer.hasChallenge || append(challengeOfClient, answer.value(of: .challenge), &output)
        let auditID = append(AnswerField.auditID.headerLine, answer.value(of: .auditID), &output)
        let nonce = appendProofNonce(AnswerField.proofNonce.headerLine, answer, &output)
        if answer.status == 503 { output.append("\r\nRetry-After: 1") }
        output.append("\r\nContent-Length: 0\r\n\r\n")
        return challenge && auditID && nonce
    }

    private static func appendProofNonce(
        _ head: StaticString, _ answer: borrowing Answer, _ output: inout ByteWriter
    ) -> Bool {
        !answer.hasProofNonce || append(head, answer.value(of: .proofNonce), &output)
    }

    /// Writes one line, which begins with the end of the one before; false for a byte that is not printable ASCII: no
    /// `Answer` should hold one.
    private static func append(
        _ head: StaticString, _ value: Span<UInt8>, _ output: inout ByteWriter
    ) -> Bool {
        output.append(head)
        output.append(value)
        return value.isPrintable
    }

    /// Without its line end. With the reason phrase: Apache would write "Unknown Reason" without one.
    private static func statusLine(_ status: UInt16) -> StaticString {
        switch status {
        case 200: "Status: 200 OK"
        case 400: "Status: 400 Bad Request"
        case 401: "Status: 401 Unauthorized"
        case 503: "Status: 503 Service Unavailable"
        // DENY: 403 and whatever no answer should have.
        default: "Status: 403 Forbidden"
        }
    }

    private static let challengeOfClient: StaticString = "\r\nWWW-Authenticate: "

    // Each with the end of the line before it, so that a line is two pieces.

    private static func variable(_ field: AnswerField) -> StaticString {
        switch field {
        case .decision: "\r\nVariable-SCOPE_DECISION: "
        case .reason: "\r\nVariable-SCOPE_REASON: "
        case .route: "\r\nVariable-SCOPE_ROUTE: "
        case .policy: "\r\nVariable-SCOPE_POLICY: "
        case .auditID: "\r\nVariable-SCOPE_AUDIT_ID: "
        case .subject: "\r\nVariable-SCOPE_SUBJECT: "
        case .client: "\r\nVariable-SCOPE_CLIENT: "
        case .issuer: "\r\nVariable-SCOPE_ISSUER: "
        case .granted: "\r\nVariable-SCOPE_GRANTED: "
        case .challenge: "\r\nVariable-SCOPE_CHALLENGE: "
        case .proofNonce: "\r\nVariable-SCOPE_PROOF_NONCE: "
        case .transactionToken: "\r\nVariable-SCOPE_TXN_TOKEN: "
        case .forwardToken: "\r\nVariable-SCOPE_FORWARD_TOKEN: "
        }
    }
}
