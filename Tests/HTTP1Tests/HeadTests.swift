import HTTP1
import Octets
import Testing

@Suite struct HeadTests {
    @Test(arguments: malformedHeads)
    func malformedHeadsAreRefused(head: MalformedHead) {
        for size in [Int.max, 1, 3] {
            // What follows would be the smuggled request.
            let seen = converse(head.text + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", size: size)
            #expect(seen.requests.isEmpty)
            #expect(seen.refusal == head.status)
            #expect(seen.output.hasPrefix("HTTP/1.1 \(head.status) "))
            #expect(seen.output.hasSuffix("\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
        }
    }

    @Test func theCorpusIsLarge() {
        #expect(malformedHeads.count >= 60)
        #expect(wellFormedHeads.count >= 30)
    }

    @Test(arguments: wellFormedHeads)
    func wellFormedHeadsAreRead(head: String, keepAlive: Bool) {
        let whole = converse(head)
        #expect(whole.requests.count == 1)
        #expect(whole.refusal == nil)
        #expect(whole.requests.first?.keepAlive == keepAlive)
        #expect(whole.isClosed == !keepAlive)
        #expect(whole.output.contains("Connection: close\r\n") == !keepAlive)
        for size in 1...9 { #expect(converse(head, size: size) == whole) }
    }

    @Test func theOrdinaryHead() {
        let seen = converse(ordinaryHead)
        #expect(seen.requests.first?.method == "GET")
        #expect(seen.requests.first?.target == "/_scope")
        #expect(seen.requests.first?.head == ordinaryHead.utf8.count)
        #expect(seen.requests.first?.facts == ordinaryFacts)
        #expect(seen.requests.first?.headers.count == 12)
        #expect(seen.requests.first?.headers.last == ["User-Agent", "curl/8"])
    }

    @Test func everyCutReadsTheSame() {
        let bytes = Array(("\r\n" + ordinaryHead + ordinaryHead).utf8)
        let whole = converse(bytes)
        #expect(whole.requests.count == 2)
        #expect(whole.requests.first == whole.requests.last)
        for size in 1..<bytes.count { #expect(converse(bytes, size: size) == whole, "reads of \(size)") }
    }

    /// A buffer hardly larger than one head, so that every head but the first is moved while it is read.
    @Test func pipelinedRequestsSurviveMoving() {
        let bytes = [[UInt8]](repeating: Array(ordinaryHead.utf8), count: 40).flatMap { $0 }
        for spare in [0, 1, 2, 17, 100, 400] {
            let capacity = ordinaryHead.utf8.count + spare
            let seen = converse(bytes, capacity: capacity)
            #expect(seen.requests.count == 40, "\(spare) spare bytes")
            #expect(seen.requests.allSatisfy { $0.facts == ordinaryFacts })
        }
        for size in [1, 7, 100, 450] { #expect(converse(bytes, size: size).requests.count == 40) }
    }

    @Test func nothingIsReadBehindTheLastRequest() {
        let closing = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        let seen = converse(closing + ordinaryHead)
        #expect(seen.requests.count == 1)
        #expect(seen.isClosed)
    }

    @Test func theHeadIsLimited() {
        var limits = HTTPLimits()
        limits.headBytesMax = 256
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: "
        let room = 256 - start.utf8.count - 4
        let fitting = start + String(repeating: "x", count: room) + "\r\n\r\n"
        let larger = start + String(repeating: "x", count: room + 1) + "\r\n\r\n"
        let longTarget = "GET /" + String(repeating: "x", count: 300) + " HTTP/1.1\r\n\r\n"
        let longMethod = String(repeating: "X", count: 300)
        for size in [Int.max, 1, 13] {
            #expect(converse(Array(fitting.utf8), size: size, limits: limits).requests.count == 1)
            #expect(converse(Array(larger.utf8), size: size, limits: limits).refusal == 431)
            #expect(converse(Array(longTarget.utf8), size: size, limits: limits).refusal == 414)
            #expect(converse(Array(longMethod.utf8), size: size, limits: limits).refusal == 431)
            // The limit is each head's own, not the connection's.
            let twice = Array((fitting + fitting + larger).utf8)
            let seen = converse(twice, size: size, limits: limits, capacity: 700)
            #expect(seen.requests.count == 2)
            #expect(seen.refusal == 431)
        }
    }

    @Test func headersAreCounted() {
        let start = "GET / HTTP/1.1\r\nHost: a\r\n"
        #expect(converse(start + String(repeating: "X: 1\r\n", count: 99) + "\r\n").requests.count == 1)
        #expect(converse(start + String(repeating: "X: 1\r\n", count: 100) + "\r\n").refusal == 431)
    }

    @Test func aFullBufferIsRefused() {
        let seen = converse(Array(ordinaryHead.utf8), capacity: 64)
        #expect(seen.refusal == 431)
    }

    /// Every byte at every place of a value and of a name: read or refused as RFC 9110 §5.5 and §5.6.2 say.
    @Test(arguments: 0..<20)
    func everyByteInValuesAndNames(place: Int) {
        let tokens = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
        for byte in UInt8.min...UInt8.max {
            var value = [UInt8](repeating: 0x76, count: 20)
            value[place] = byte
            let inValue = Array("GET / HTTP/1.1\r\nHost: a\r\nX:".utf8) + value + Array("\r\n\r\n".utf8)
            let isGood = byte >= 0x20 && byte != 0x7F || byte == 0x09
            #expect((converse(inValue).requests.count == 1) == isGood, "\(byte) in a value")
            let inName =
                Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8) + value + Array(": v\r\n\r\n".utf8)
            let isName = tokens.contains(byte) || byte == 0x3A && place > 0
            #expect((converse(inName).requests.count == 1) == isName, "\(byte) in a name")
        }
    }
}
