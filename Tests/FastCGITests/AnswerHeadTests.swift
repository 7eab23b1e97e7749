@testable import Decision
import FastCGI
import Octets
import Testing

@Suite struct AnswerHeadTests {
    static let challenge = "Bearer realm=\"orders\", error=\"invalid_token\""

    private func head(
        _ role: FastCGIRole, _ status: UInt16, challenge: String = "", nonce: String = "", reason: Reason = .expired
    ) -> String {
        var answer = Answer()
        fill(&answer, status: status, challenge: challenge, nonce: nonce, reason: reason)
        var output = ByteWriter(capacity: 4_096)
        #expect(AnswerHead.append(answer, role: role, into: &output))
        return String(lossy: output.bytes)
    }

    private let always =
        "X-Scope-Route: orders GET /v1/orders/{order}\r\nX-Scope-Policy: 3.9c1a\r\nX-Scope-Audit-Id: a-1\r\n"
    private let denied =
        "X-Scope-Subject: \r\nX-Scope-Client: \r\nX-Scope-Issuer: \r\nX-Scope-Granted: \r\nTxn-Token: \r\n"
        + "X-Scope-Forward-Token: \r\n"

    @Test func responderAllow() {
        #expect(
            head(.responder, 200)
                == "Status: 200 OK\r\nX-Scope-Decision: allow\r\nX-Scope-Reason: r\r\n" + always
                + "X-Scope-Subject: user-7\r\nX-Scope-Client: \r\nX-Scope-Issuer: \r\n"
                + "X-Scope-Granted: orders:read\r\nTxn-Token: \r\nX-Scope-Forward-Token: yes\r\n"
                + "Content-Length: 0\r\n\r\n")
    }

    @Test func responderDenials() {
        let start = "X-Scope-Decision: deny\r\nX-Scope-Reason: r\r\n" + always + denied
        let end = "Content-Length: 0\r\n\r\n"
        #expect(
            head(.responder, 401, challenge: Self.challenge)
                == "Status: 401 Unauthorized\r\n" + start + "WWW-Authenticate: \(Self.challenge)\r\n" + end)
        #expect(
            head(.responder, 403, challenge: Self.challenge)
                == "Status: 403 Forbidden\r\n" + start + "X-Scope-Challenge: \(Self.challenge)\r\n" + end)
        #expect(head(.responder, 403) == "Status: 403 Forbidden\r\n" + start + end)
        #expect(
            head(.responder, 503)
                == "Status: 503 Service Unavailable\r\n" + start + "Retry-After: 1\r\n" + end)
        // nginx takes any other denial for an error: what is 400 at the client stays 401 here.
        #expect(
            head(.responder, 401, challenge: "c", reason: .multipleCredentials)
                .hasPrefix("Status: 401 Unauthorized\r\n"))
    }

    /// RFC 9449 §8.2: with an allow as with a denial. It is one line, and none without a nonce (the tests above).
    @Test func responderNonce() {
        let end = "Content-Length: 0\r\n\r\n"
        #expect(
            head(.responder, 200, nonce: "n-1")
                == "Status: 200 OK\r\nX-Scope-Decision: allow\r\nX-Scope-Reason: r\r\n" + always
                + "X-Scope-Subject: user-7\r\nX-Scope-Client: \r\nX-Scope-Issuer: \r\n"
                + "X-Scope-Granted: orders:read\r\nTxn-Token: \r\nX-Scope-Forward-Token: yes\r\n"
                + "DPoP-Nonce: n-1\r\n" + end)
        let start = "X-Scope-Decision: deny\r\nX-Scope-Reason: r\r\n" + always + denied
        #expect(
            head(.responder, 401, challenge: "c", nonce: "n-1", reason: .nonceRequired)
                == "Status: 401 Unauthorized\r\n" + start + "WWW-Authenticate: c\r\nDPoP-Nonce: n-1\r\n" + end)
        #expect(
            head(.responder, 403, challenge: "c", nonce: "n-1")
                == "Status: 403 Forbidden\r\n" + start + "X-Scope-Challenge: c\r\nDPoP-Nonce: n-1\r\n" + end)
        #expect(
            head(.responder, 503, nonce: "n-1", reason: .replayCacheFull)
                == "Status: 503 Service Unavailable\r\n" + start + "DPoP-Nonce: n-1\r\nRetry-After: 1\r\n" + end)
    }

    /// Present on every answer, or a client's own `Txn-Token` would stay; a denial to the client has neither.
    @Test func transactionTokens() {
        var answer = Answer()
        fill(&answer, status: 200)
        answer.write(.transactionToken, "e.f.g")
        answer.write(.forwardToken, "no")
        func head(_ role: FastCGIRole) -> String {
            var output = ByteWriter(capacity: 4_096)
            #expect(AnswerHead.append(answer, role: role, into: &output))
            return String(lossy: output.bytes)
        }
        #expect(head(.responder).contains("\r\nTxn-Token: e.f.g\r\nX-Scope-Forward-Token: no\r\n"))
        #expect(
            head(.authorizer).contains(
                "\r\nVariable-SCOPE_TXN_TOKEN: e.f.g\r\nVariable-SCOPE_FORWARD_TOKEN: no\r\n"))
        answer.status = 403
        for name in ["Txn", "TXN", "orward", "FORWARD"] { #expect(!head(.authorizer).contains(name)) }
    }

    /// An allow goes to the web server as variables only, a denial to the client.
    @Test func authorizerNonce() {
        #expect(
            head(.authorizer, 200, nonce: "n-1")
                == String(head(.authorizer, 200).dropLast()) + "Variable-SCOPE_PROOF_NONCE: n-1\r\n\r\n")
        #expect(
            head(.authorizer, 401, challenge: "c", nonce: "n-1")
                == "Status: 401 Unauthorized\r\nWWW-Authenticate: c\r\nX-Scope-Audit-Id: a-1\r\n"
                + "DPoP-Nonce: n-1\r\nContent-Length: 0\r\n\r\n")
        #expect(
            head(.authorizer, 503, nonce: "n-1")
                == "Status: 503 Service Unavailable\r\nX-Scope-Audit-Id: a-1\r\nDPoP-Nonce: n-1\r\n"
                + "Retry-After: 1\r\nContent-Length: 0\r\n\r\n")
    }

    @Test func authorizerAllowHasVariablesOnly() {
        #expect(
            head(.authorizer, 200, challenge: "not sent")
                == "Status: 200 OK\r\nVariable-SCOPE_DECISION: allow\r\nVariable-SCOPE_REASON: r\r\n"
                + "Variable-SCOPE_ROUTE: orders GET /v1/orders/{order}\r\nVariable-SCOPE_POLICY: 3.9c1a\r\n"
                + "Variable-SCOPE_AUDIT_ID: a-1\r\nVariable-SCOPE_SUBJECT: user-7\r\n"
                + "Variable-SCOPE_CLIENT: \r\nVariable-SCOPE_ISSUER: \r\n"
                + "Variable-SCOPE_GRANTED: orders:read\r\nVariable-SCOPE_TXN_TOKEN: \r\n"
                + "Variable-SCOPE_FORWARD_TOKEN: yes\r\n\r\n")
    }

    @Test(arguments: [UInt16(401), 403])
    func authorizerDenialsTellTheClientNothingElse(status: UInt16) {
        let line = status == 401 ? "Status: 401 Unauthorized\r\n" : "Status: 403 Forbidden\r\n"
        #expect(
            head(.authorizer, status, challenge: Self.challenge)
                == line + "WWW-Authenticate: \(Self.challenge)\r\nX-Scope-Audit-Id: a-1\r\n"
                + "Content-Length: 0\r\n\r\n")
    }

    @Test(arguments: [Reason.multipleCredentials, .malformedAuthorization])
    func authorizerInvalidRequestIs400(reason: Reason) {
        #expect(
            head(.authorizer, 401, challenge: "c", reason: reason)
                == "Status: 400 Bad Request\r\nWWW-Authenticate: c\r\nX-Scope-Audit-Id: a-1\r\n"
                + "Content-Length: 0\r\n\r\n")
    }

    @Test func unavailableIs503WithRetry() {
        #expect(
            head(.authorizer, 503)
                == "Status: 503 Service Unavailable\r\nX-Scope-Audit-Id: a-1\r\nRetry-After: 1\r\n"
                + "Content-Length: 0\r\n\r\n")
    }

    @Test(arguments: [UInt16(0), 100, 199, 201, 204, 299, 302, 404, 500])
    func anyOtherStatusIsADenial(status: UInt16) {
        #expect(head(.responder, status).hasPrefix("Status: 403 Forbidden\r\n"))
        #expect(head(.authorizer, status).hasPrefix("Status: 403 Forbidden\r\n"))
    }

    @Test func theLargestAnswerFitsItsLimit() {
        for status in [UInt16(200), 401, 403, 503] {
            var answer = Answer()
            answer.status = status
            let share = Answer.textBytesMax / AnswerField.allCases.count
            for field in AnswerField.allCases {
                answer.write(field) { $0.append([UInt8](repeating: 0x78, count: share).span) }
            }
            for role in [FastCGIRole.responder, .authorizer] {
                var output = ByteWriter(capacity: 8_192)
                #expect(AnswerHead.append(answer, role: role, into: &output))
                #expect(output.count <= AnswerHead.bytesMax)
            }
        }
    }

    /// A value that could end its line must never leave: nothing is written, and the connection closes.
    @Test(arguments: [UInt8(0x0A), 0x0D, 0x00, 0x09, 0x1F, 0x7F, 0x80, 0xFF])
    func anUnprintableValueIsNotSent(byte: UInt8) {
        for role in [UInt16(1), 2] {
            for field in AnswerField.allCases where role == 1 || field != .challenge {
                var answer = Answer()
                fill(&answer, status: field == .challenge ? 401 : 200)
                answer.write(field) { $0.append([0x61, byte, 0x62].span) }
                #expect(answered(answer, role: role, outputBytes: 8_192) == [], "\(field)")
            }
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
                    #expect(!(answered(answer, role: 1, outputBytes: 8_192) == []))
                    value[place] = byte
                    answer.write(.route) { $0.append(value.span) }
                    #expect(answered(answer, role: 1, outputBytes: 8_192) == [], "\(count), \(place)")
                }
            }
        }
    }

    @Test func anAnswerThatDoesNotFitIsNotSent() {
        var answer = Answer()
        fill(&answer, status: 200)
        let whole = answered(answer, role: 1, outputBytes: 8_192)
        #expect(answered(answer, role: 1, outputBytes: whole.count) == whole)
        for size in 1..<whole.count {
            #expect(answered(answer, role: 1, outputBytes: size) == [], "\(size) bytes")
        }
    }

    private func answered(_ answer: borrowing Answer, role: UInt16, outputBytes: Int) -> [UInt8] {
        var connection = FastCGIConnection()
        var buffer = ReceiveBuffer(capacity: connection.limits.bufferBytes)
        var output = ByteWriter(capacity: outputBytes)
        _ = buffer.append(ordinaryRequest(role: role, flags: 1).span)
        guard case .request(let request) = connection.next(&buffer, output: &output) else { return [0] }
        connection.answer(request, answer, into: &output, buffer: &buffer)
        #expect(connection.shouldClose == (output.count == 0))
        return [UInt8](copying: output.bytes)
    }
}
