@testable import Server
import Policy
import PolicyTables
import Signatures
import Synchronization
import Testing

/// The requests of commands, and what the child of the daemon says, read strictly.
@Suite struct PublicationRequestTests {
    private static func post(_ path: String, origin: Bool = false) -> PlainRequest {
        var request = PlainRequest(method: "POST", target: path)
        request.hasOrigin = origin
        request.userID = 7
        return request
    }

    @Test func publishing() throws {
        let world = try PublicationWorld()
        let requests = PublicationRequests(desk: world.desk)
        let path = PublicationRequests.publishPath
        let body = Array("{\"note\":\"why\",\"author\":\"al\"}\n".utf8) + (try world.publication(1))
        #expect(requests.answer(PublicationRequestTests.post(path, origin: true), body: body).status == 403)
        let answer = requests.answer(PublicationRequestTests.post(path), body: body)
        #expect(answer.status == 200, "\(String(decoding: answer.body, as: UTF8.self))")
        #expect(world.activations.withLock { $0 } == ["service orders, key ci, sent by al (uid 7): why"])
    }

    @Test func whatIsNoRequest() throws {
        let world = try PublicationWorld()
        let requests = PublicationRequests(desk: world.desk)
        let good = try world.publication(1)
        let long = "\"" + String(repeating: "x", count: 5_000) + "\""
        for line in [
            "", "{", "[]\n", "{}", "{\"note\":7}\n", "{\"note\":\"a\",\"note\":\"b\"}\n", "{\"id\":\"x\"}\n",
            "{\"note\":\(long)}\n", "{\"author\":\(long)}\n", "\"x\"\n",
        ] {
            let answer = requests.answer(
                PublicationRequestTests.post(PublicationRequests.publishPath), body: Array(line.utf8) + good)
            #expect(answer.status == 400, "\(line.prefix(40))")
        }
        for body in [
            "", "{}", "{\"id\":\"\"}", "{\"id\":\"1234567\"}", "{\"id\":\"1234567g\"}", "{\"id\":12345678}",
            "{\"id\":\"12345678\",\"x\":\"\"}",
        ] {
            for path in [PublicationRequests.approvePath, PublicationRequests.rejectPath] {
                let answer = requests.answer(PublicationRequestTests.post(path), body: Array(body.utf8))
                #expect(answer.status == 400, "\(body)")
            }
        }
        let missing = requests.answer(
            PublicationRequestTests.post(PublicationRequests.approvePath), body: Array("{\"id\":\"12345678\"}".utf8))
        #expect(missing.status == 404)
        #expect(requests.answer(PublicationRequestTests.post("/policy/other"), body: []).status == 404)
        #expect(world.judged.withLock { $0 } == 0)
    }

    @Test func listing() throws {
        let world = try PublicationWorld()
        let requests = PublicationRequests(desk: world.desk)
        #expect(requests.list(PlainRequest(method: "GET", target: "/policy/log")) == nil)
        #expect(requests.list(PlainRequest(method: "POST", target: "/policy/proposals")) == nil)
        let empty = requests.list(PlainRequest(method: "GET", target: "/policy/proposals"))
        #expect(empty?.body == Array("{\"proposals\":[]}".utf8))
        let proposal = try world.proposed(1)
        let answer = try #require(requests.list(PlainRequest(method: "GET", target: "/policy/proposals")))
        let text = String(decoding: answer.body, as: UTF8.self)
        #expect(text.contains("\"id\":\"\(proposal.identifier)\"") && text.contains("\"widenings\":[\"more\"]"))
        #expect(!text.contains("signature"), "the publication itself stays where it is")
    }

    @Test func everyRefusalHasAStatus() {
        for reason in PublicationRefusal.Reason.allCases {
            let answer = PublicationRefusal(reason, "why").answer
            #expect((400..<600).contains(answer.status))
            #expect(
                String(decoding: answer.body, as: UTF8.self) == "{\"error\":\"why\",\"reason\":\"\(reason.rawValue)\"}")
        }
    }

    // MARK: The child

    @Test func whatTheChildSays() throws {
        let version = sha256([1].span)
        let text =
            "{\"version\":\"\(version)\",\"service\":\"orders\",\"kid\":\"ci\",\"serial\":\"5\",\"ends\":9,\"widenings\":[\"a\",\"b\"]}"
        let expected = PublicationVerdict(
            version: version, service: "orders", keyID: "ci", serial: 5, ends: 9, widenings: ["a", "b"])
        #expect(PublicationReply.verdict(Array(text.utf8)) == expected)
        var more = expected
        more.wideningsOmitted = 7
        more.warnings = ["w"]
        let longer = text.replacing("[\"a\",\"b\"]", with: "[\"a\",\"b\"],\"widenings_omitted\":7,\"warnings\":[\"w\"]")
        #expect(PublicationReply.verdict(Array(longer.utf8)) == more)
        for other in [
            longer.replacing(":7", with: ":-7"), longer.replacing(":7", with: ":\"7\""),
            longer.replacing("[\"w\"]", with: "\"w\""),
        ] {
            #expect(PublicationReply.verdict(Array(other.utf8)) == nil, "\(other)")
        }
        for other in [
            "", "{}", text + "x", text.replacing("\"serial\":\"5\"", with: "\"serial\":5"),
            text.replacing("\"ends\":9", with: "\"ends\":\"9\""), text.replacing("\"ends\":9", with: "\"ends\":9.5"),
            text.replacing("[\"a\",\"b\"]", with: "\"a\""), text.replacing("\"b\"", with: "7"),
            text.replacing("\(version)", with: "00"),
        ] {
            #expect(PublicationReply.verdict(Array(other.utf8)) == nil, "\(other)")
        }
        for reason in PublicationRefusal.Reason.allCases {
            let refusal = PublicationRefusal(reason, "a\n\"b\"")
            #expect(PublicationReply.refusal(PublicationReply.text(refusal)) == refusal)
        }
        #expect(PublicationReply.refusal(Array("{\"reason\":\"other\",\"message\":\"x\"}".utf8)) == nil)
        #expect(PublicationReply.refusal(Array(text.utf8)) == nil)
    }
}
