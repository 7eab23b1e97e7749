@testable import Decision
import HTTP1
import Octets
import Testing

@Suite struct AnswerTests {
    private func answered(
        _ answer: borrowing Answer, head: String = ordinaryHead, outputBytes: Int = 8_192
    ) -> (text: String, shouldClose: Bool) {
        var connection = HTTPConnection(profile: .scopecheck)
        var buffer = ReceiveBuffer(capacity: connection.limits.bufferBytes)
        var output = ByteWriter(capacity: outputBytes)
        _ = buffer.append(Array(head.utf8).span)
        guard case .request(let request) = connection.next(&buffer) else { return ("no request", false) }
        connection.answer(request, answer, into: &output, buffer: &buffer)
        return (String(lossy: output.bytes), connection.shouldClose)
    }

    private func answered(
        _ status: UInt16, challenge: String = "", nonce: String = "", head: String = ordinaryHead
    ) -> String {
        var answer = Answer()
        fill(&answer, status: status, challenge: challenge, nonce: nonce)
        return answered(answer, head: head).text
    }

    private let denied =
        "X-Scope-Decision: deny\r\nX-Scope-Reason: r\r\nX-Scope-Route: orders GET /v1\r\n"
        + "X-Scope-Policy: 3.9c1a\r\nX-Scope-Audit-Id: a-1\r\nX-Scope-Subject: \r\nX-Scope-Client: \r\n"
        + "X-Scope-Issuer: \r\nX-Scope-Granted: \r\nTxn-Token: \r\nX-Scope-Forward-Token: \r\n"

    @Test func allow() {
        #expect(
            answered(200)
                == "HTTP/1.1 200 OK\r\nX-Scope-Decision: allow\r\nX-Scope-Reason: r\r\n"
                + "X-Scope-Route: orders GET /v1\r\nX-Scope-Policy: 3.9c1a\r\nX-Scope-Audit-Id: a-1\r\n"
                + "X-Scope-Subject: user-7\r\nX-Scope-Client: \r\nX-Scope-Issuer: \r\n"
                + "X-Scope-Granted: orders:read\r\nTxn-Token: \r\nX-Scope-Forward-Token: yes\r\n"
                + "Content-Length: 0\r\n\r\n")
    }

    @Test func denials() {
        let end = "Content-Length: 0\r\n\r\n"
        #expect(
            answered(401, challenge: "c") == "HTTP/1.1 401 Unauthorized\r\n" + denied
                + "WWW-Authenticate: c\r\n" + end)
        #expect(
            answered(403, challenge: "c") == "HTTP/1.1 403 Forbidden\r\n" + denied
                + "X-Scope-Challenge: c\r\n" + end)
        #expect(answered(403) == "HTTP/1.1 403 Forbidden\r\n" + denied + end)
        #expect(
            answered(503) == "HTTP/1.1 503 Service Unavailable\r\n" + denied + "Retry-After: 1\r\n" + end)
        #expect(
            answered(403, head: "GET / HTTP/1.0\r\n\r\n")
                == "HTTP/1.1 403 Forbidden\r\n" + denied + "Connection: close\r\n" + end)
    }

    @Test func transactionTokens() {
        var answer = Answer()
        fill(&answer, status: 200)
        answer.write(.transactionToken, "e.f.g")
        answer.write(.forwardToken, "no")
        #expect(answered(answer).text.contains("\r\nTxn-Token: e.f.g\r\nX-Scope-Forward-Token: no\r\n"))
    }

    @Test func theLargestAnswerFits() {
        for status in [UInt16(200), 401, 403, 503] {
            var answer = Answer()
            answer.status = status
            let share = Answer.textBytesMax / AnswerField.allCases.count
            for field in AnswerField.allCases {
                answer.write(field) { $0.append([UInt8](repeating: 0x78, count: share).span) }
            }
            let seen = answered(answer, head: "GET / HTTP/1.0\r\n\r\n")
            #expect(seen.text.utf8.count > 3_500 && seen.text.utf8.count <= 4_000, "\(status)")
        }
    }

    /// RFC 9449 §8.2: with an allow as with a denial. It is one line, and none without a nonce (the tests above).
    @Test func nonce() {
        let end = "Content-Length: 0\r\n\r\n"
        #expect(answered(200, nonce: "n-1") == answered(200).replacing(end, with: "DPoP-Nonce: n-1\r\n" + end))
        #expect(
            answered(401, challenge: "c", nonce: "n-1") == "HTTP/1.1 401 Unauthorized\r\n" + denied
                + "WWW-Authenticate: c\r\nDPoP-Nonce: n-1\r\n" + end)
        #expect(
            answered(403, challenge: "c", nonce: "n-1") == "HTTP/1.1 403 Forbidden\r\n" + denied
                + "X-Scope-Challenge: c\r\nDPoP-Nonce: n-1\r\n" + end)
        #expect(
            answered(503, nonce: "n-1") == "HTTP/1.1 503 Service Unavailable\r\n" + denied
                + "DPoP-Nonce: n-1\r\nRetry-After: 1\r\n" + end)
        #expect(
            answered(401, nonce: "n-1", head: "GET / HTTP/1.0\r\n\r\n")
                == "HTTP/1.1 401 Unauthorized\r\n" + denied + "DPoP-Nonce: n-1\r\nConnection: close\r\n" + end)
    }

    @Test(arguments: [UInt16(0), 100, 199, 201, 204, 299, 302, 500])
    func anyOtherStatusIsADenial(status: UInt16) {
        #expect(answered(status).hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
    }

    @Test(arguments: [UInt8(0x0A), 0x0D, 0x00, 0x09, 0x1F, 0x7F, 0x80, 0xFF])
    func anUnprintableValueIsNotSent(byte: UInt8) {
        for field in AnswerField.allCases {
            var answer = Answer()
            fill(&answer, status: field == .challenge ? 401 : 200)
            answer.write(field) { $0.append([0x61, byte, 0x62].span) }
            let seen = answered(answer)
            #expect(seen.text == "", "\(field)")
            #expect(seen.shouldClose)
        }
    }

    /// Wherever it stands in a value of whatever length.
    @Test(arguments: [UInt8(0x00), 0x0A, 0x1F, 0x7F, 0x80, 0xA0, 0xFF])
    func anUnprintableByteIsFoundAnywhere(byte: UInt8) {
        for count in 1...26 {
            for place in 0..<count {
                for other in [UInt8(0x20), 0x7E] {
                    var value = [UInt8](repeating: other, count: count)
                    var answer = Answer()
                    fill(&answer, status: 200)
                    answer.write(.route) { $0.append(value.span) }
                    #expect(!(answered(answer).text == ""))
                    value[place] = byte
                    answer.write(.route) { $0.append(value.span) }
                    #expect(answered(answer).text == "", "\(count), \(place)")
                }
            }
        }
    }

    @Test func anAnswerThatDoesNotFitIsNotSent() {
        var answer = Answer()
        fill(&answer, status: 200)
        let whole = answered(answer).text
        let exact = answered(answer, outputBytes: whole.utf8.count)
        #expect(exact.text == whole)
        #expect(!exact.shouldClose)
        for size in 1..<whole.utf8.count {
            let seen = answered(answer, outputBytes: size)
            #expect(seen.text == "", "\(size) bytes")
            #expect(seen.shouldClose)
        }
    }

    @Test(arguments: [UInt16(400), 413, 414, 417, 431, 501, 505])
    func refusals(status: UInt16) {
        var output = ByteWriter(capacity: 200)
        #expect(HTTPConnection.appendRefusal(status, to: &output))
        let text = String(lossy: output.bytes)
        #expect(text.hasPrefix("HTTP/1.1 \(status) "))
        #expect(text.hasSuffix("\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
        var small = ByteWriter(capacity: text.utf8.count - 1)
        #expect(!HTTPConnection.appendRefusal(status, to: &small))
        #expect(small.count == 0)
    }

    @Test(arguments: [UInt16(0), 200, 204, 299, 399])
    func aRefusalIsNeverASuccess(status: UInt16) {
        var output = ByteWriter(capacity: 200)
        #expect(HTTPConnection.appendRefusal(status, to: &output))
        #expect(String(lossy: output.bytes).hasPrefix("HTTP/1.1 400 "))
    }
}
