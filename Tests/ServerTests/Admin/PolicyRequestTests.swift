import Octets
import PolicyTables
import Signatures
import Testing

@testable import Server

private func limits() -> PlainLimits {
    var limits = PlainLimits()
    limits.bodyBytesMax = 100
    limits.streamedPaths = ["/policy/versions"]
    limits.streamedBytesMax = 1_000
    return limits
}

/// What the reader makes of bytes that came in one piece.
private func step(_ text: String) -> String {
    var reader = PlainRequestReader(limits())
    var buffer = ReceiveBuffer(capacity: limits().bufferBytes)
    _ = buffer.append(Array(text.utf8).span)
    switch reader.next(&buffer) {
    case .needBytes: return "more"
    case .request(let request): return "request \(request.body.count)"
    case .stream(let request, let start, let count):
        return "stream \(request.target) \(text.utf8.count - start)/\(count)"
    case .refuse(let status): return "\(status)"
    }
}

private func post(_ path: String, _ length: String, _ body: String = "") -> String {
    "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(length)\r\n\r\n\(body)"
}

@Suite struct PolicyRequestTests {
    @Test func bodiesOfPoliciesAreHandedOn() {
        #expect(step(post("/policy/versions", "900")) == "stream /policy/versions 0/900")
        #expect(step(post("/policy/versions", "5", "abc")) == "stream /policy/versions 3/5")
        #expect(step(post("/policy/versions", "3", "abc")) == "stream /policy/versions 3/3")
        #expect(step(post("/policy/versions", "1000")) == "stream /policy/versions 0/1000")
        // More than was said, and more than is taken.
        #expect(step(post("/policy/versions", "2", "abc")) == "400")
        #expect(step(post("/policy/versions", "1001")) == "413")
        #expect(step(post("/policy/versions", "9999999999")) == "413")
        #expect(step(post("/policy/versions", "05", "abcde")) == "400")
        #expect(step(post("/policy/versions", "+5", "abcde")) == "400")
    }

    @Test func otherBodiesAreAsTheyWere() {
        #expect(step(post("/revocations", "3", "abc")) == "request 3")
        #expect(step(post("/revocations", "101")) == "413" && step(post("/policy/versions/", "101")) == "413")
        #expect(step(post("/policy/versions?a", "101")) == "413" && step(post("/policy/versionz", "101")) == "413")
        #expect(step(post("/policy/versions", "101").replacing("POST", with: "PUT")) == "413")
        // Only a head that is complete is acted on.
        #expect(step(String(post("/policy/versions", "900").dropLast())) == "more")
    }

    @Test func linesOfJSON() throws {
        var request = PolicyChangeRequest(
            author: "al", note: "why\n\"so\"", folder: "/etc/é", signatures: Array("{}".utf8),
            rollbackSignatures: [Array("[1]".utf8), []], version: "12.0123456789abcdef")
        request.isStaged = true
        let read = try PolicyChangeRequest(parsing: request.text)
        #expect(!request.text.contains(0x0A))
        #expect(read.author == "al" && read.note == request.note && read.folder == "/etc/é" && read.isStaged)
        #expect(read.signatures == request.signatures && read.rollbackSignatures == request.rollbackSignatures)
        #expect(read.version == request.version)
        let none = try PolicyChangeRequest(parsing: Array("{}".utf8))
        #expect(none.signatures == nil && none.rollbackSignatures == [] && none.version == nil && !none.isStaged)
    }

    @Test(arguments: [
        "", "[]", "{", "{} {}", #"{"note":1}"#, #"{"note":"a","note":"b"}"#, #"{"more":""}"#, #"{"folder":"etc"}"#,
        #"{"stage":false}"#, #"{"stage":"true"}"#, #"{"rollback_signatures":""}"#, #"{"rollback_signatures":[1]}"#,
        #"{"rollback_signatures":["","","","","","","","",""]}"#, #"{"author":"a\u0000"}"#,
        "{\"author\":\"\(String(repeating: "a", count: 257))\"}",
        "{\"note\":\"\(String(repeating: "n", count: 4_097))\"}",
    ])
    func otherLinesAreRefused(_ text: String) {
        #expect(throws: PolicyChangeRefusal.self) { try PolicyChangeRequest(parsing: Array(text.utf8)) }
    }

    /// A new refusal must not take another's name or status by accident.
    @Test func everyRefusalHasANameAndAStatus() {
        let none: [UInt8] = []
        let version = sha256(none.span)
        let refusals: [(PolicyChangeRefusal, String, Int)] = [
            (.malformed(""), "malformed", 400), (.policy(""), "policy_refused", 422),
            (.moved(isPublication: false), "moved", 409), (.moved(isPublication: true), "overtaken", 409),
            (.signing(.unsigned), "unsigned", 403), (.store(.approvalMissing), "unsigned", 403),
            (.store(.staleSerial(1, highest: 2)), "replayed_serial", 403),
            (.store(.notPresent(version)), "rollback_not_from_present", 403),
            (.store(.unknownVersion(version)), "unknown_version", 404), (.noVersion(""), "unknown_version", 404),
            (.store(.heldBack(version)), "held_back", 409), (.conflict(""), "busy", 409),
            (.otherEnvironment(""), "other_environment", 409), (.full(""), "disk_full", 507),
            (.unavailable(""), "unavailable", 503), (.store(.nothingBefore), "nothing_before", 404),
        ]
        for (refusal, name, status) in refusals {
            #expect(refusal.name == name && refusal.status == status && refusal.answer.status == status)
        }
    }
}
