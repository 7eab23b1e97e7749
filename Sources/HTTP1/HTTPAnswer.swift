internal import Decision
internal import Octets

/// Answers as HTTP/1.1 heads with `Content-Length: 0`, with which nginx, Envoy, Caddy and Traefik keep the
/// connection. (A 1xx, a 204 or a body would each break one of them.)
///
///     HTTP/1.1 401 Unauthorized
///     X-Scope-Decision: deny
///     X-Scope-Reason: expired
///     …
///     WWW-Authenticate: Bearer error="invalid_token"
///     Content-Length: 0
enum HTTPAnswer {
    /// nginx reads the whole head into one page by default.
    static let bytesMax = 4_000

    /// - Returns: false when a value is not printable ASCII; what was written is then not to be sent.
    static func append(_ answer: borrowing Answer, keepAlive: Bool, into output: inout ByteWriter) -> Bool {
        let status = answer.status
        output.append(statusLine(status))
        var isPrintable = true
        // By number, up to the challenge: `allCases` would allocate.
        var number: UInt8 = 0
        while let field = AnswerField(rawValue: number), field != .challenge {
            isPrintable = append(field, answer, to: &output) && isPrintable
            number += 1
        }
        // Empty ones too: a client's own must not stay where ours is none.
        isPrintable = append(.transactionToken, answer, to: &output) && isPrintable
        isPrintable = append(.forwardToken, answer, to: &output) && isPrintable
        if answer.hasChallenge, status == 401 || status == 403 {
            let challenge = answer.value(of: .challenge)
            output.append(status == 401 ? "\r\nWWW-Authenticate: " : AnswerField.challenge.headerLine)
            output.append(challenge)
            isPrintable = challenge.isPrintable && isPrintable
        }
        if answer.hasProofNonce { isPrintable = append(.proofNonce, answer, to: &output) && isPrintable }
        if status == 503 { output.append("\r\nRetry-After: 1") }
        if !keepAlive { output.append("\r\nConnection: close") }
        output.append("\r\nContent-Length: 0\r\n\r\n")
        return isPrintable
    }

    /// Writes one line; false for a byte that is not printable ASCII: no `Answer` should hold one.
    private static func append(
        _ field: AnswerField, _ answer: borrowing Answer, to output: inout ByteWriter
    ) -> Bool {
        let value = answer.value(of: field)
        output.append(field.headerLine)
        output.append(value)
        return value.isPrintable
    }

    static func appendRefusal(_ status: UInt16, to output: inout ByteWriter) -> Bool {
        let mark = output.count
        let isFitting = !output.overflowed
        output.append(statusLine(status < 400 ? 400 : status))
        output.append("\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        guard isFitting, !output.overflowed else {
            output.truncate(to: mark)
            return false
        }
        return true
    }

    /// Without its line end.
    private static func statusLine(_ status: UInt16) -> StaticString {
        switch status {
        case 200: "HTTP/1.1 200 OK"
        case 400: "HTTP/1.1 400 Bad Request"
        case 401: "HTTP/1.1 401 Unauthorized"
        case 413: "HTTP/1.1 413 Content Too Large"
        case 414: "HTTP/1.1 414 URI Too Long"
        case 417: "HTTP/1.1 417 Expectation Failed"
        case 431: "HTTP/1.1 431 Request Header Fields Too Large"
        case 501: "HTTP/1.1 501 Not Implemented"
        case 503: "HTTP/1.1 503 Service Unavailable"
        case 505: "HTTP/1.1 505 HTTP Version Not Supported"
        // DENY: 403 and whatever no answer should have.
        default: "HTTP/1.1 403 Forbidden"
        }
    }
}
