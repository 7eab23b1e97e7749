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
            output.append(field.headerName)
            output.append(": ")
            isPrintable = appendValue(answer.value(of: field), &output) && isPrintable
            number += 1
        }
        // Empty ones too: a client's own must not stay where ours is none.
        output.append("Txn-Token: ")
        isPrintable = appendValue(answer.value(of: .transactionToken), &output) && isPrintable
        output.append("X-Scope-Forward-Token: ")
        isPrintable = appendValue(answer.value(of: .forwardToken), &output) && isPrintable
        if answer.hasChallenge, status == 401 || status == 403 {
            output.append(status == 401 ? "WWW-Authenticate: " : "X-Scope-Challenge: ")
            isPrintable = appendValue(answer.value(of: .challenge), &output) && isPrintable
        }
        if answer.hasProofNonce {
            output.append("DPoP-Nonce: ")
            isPrintable = appendValue(answer.value(of: .proofNonce), &output) && isPrintable
        }
        if status == 503 { output.append("Retry-After: 1\r\n") }
        if !keepAlive { output.append("Connection: close\r\n") }
        output.append("Content-Length: 0\r\n\r\n")
        return isPrintable
    }

    static func appendRefusal(_ status: UInt16, to output: inout ByteWriter) -> Bool {
        let mark = output.count
        let isFitting = !output.overflowed
        output.append(statusLine(status < 400 ? 400 : status))
        output.append("Connection: close\r\nContent-Length: 0\r\n\r\n")
        guard isFitting, !output.overflowed else {
            output.truncate(to: mark)
            return false
        }
        return true
    }

    /// The value and its line end; false for a byte that is not printable ASCII: no `Answer` should hold one.
    private static func appendValue(_ value: Span<UInt8>, _ output: inout ByteWriter) -> Bool {
        output.append(value)
        output.append("\r\n")
        var isPrintable = true
        for index in value.indices where value[index] &- 0x20 > 0x5E { isPrintable = false }
        return isPrintable
    }

    private static func statusLine(_ status: UInt16) -> StaticString {
        switch status {
        case 200: "HTTP/1.1 200 OK\r\n"
        case 400: "HTTP/1.1 400 Bad Request\r\n"
        case 401: "HTTP/1.1 401 Unauthorized\r\n"
        case 413: "HTTP/1.1 413 Content Too Large\r\n"
        case 414: "HTTP/1.1 414 URI Too Long\r\n"
        case 417: "HTTP/1.1 417 Expectation Failed\r\n"
        case 431: "HTTP/1.1 431 Request Header Fields Too Large\r\n"
        case 501: "HTTP/1.1 501 Not Implemented\r\n"
        case 503: "HTTP/1.1 503 Service Unavailable\r\n"
        case 505: "HTTP/1.1 505 HTTP Version Not Supported\r\n"
        // DENY: 403 and whatever no answer should have.
        default: "HTTP/1.1 403 Forbidden\r\n"
        }
    }
}
