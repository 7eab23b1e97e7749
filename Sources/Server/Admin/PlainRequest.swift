internal import Decision
internal import HTTP1
internal import Octets

/// One HTTP request with its body, as the listeners for commands and documents hand it to their routes.
struct PlainRequest: Sendable {
    var method: String
    /// The request target as sent, and its part before `?`.
    var target: String
    var path: String { String(target.prefix { $0 != "?" }) }
    /// The one Host field; nil in HTTP/1.0.
    var host: String?
    /// Whether the request has the header that browsers add for a page of another origin (RFC 6454 §7).
    var hasOrigin = false
    var contentType: String?
    /// What the headers state under profile `scopecheck`, as places in `head`.
    var facts = RequestFacts()
    var head: [UInt8] = []
    var body: [UInt8] = []
    /// Of the process at the other end of a unix socket.
    var userID: UInt32?

    /// The value of a parameter of the query, as sent; nil unless it is there exactly once.
    func parameter(_ name: String) -> String? {
        let query = target.drop { $0 != "?" }.dropFirst()
        let values = query.split(separator: "&").filter { $0.hasPrefix("\(name)=") }
        guard values.count == 1, let value = values.first else { return nil }
        return String(value.dropFirst(name.utf8.count + 1))
    }
}

/// What it is answered.
struct PlainAnswer: Sendable, Equatable {
    var status: Int
    var contentType = "application/json"
    /// Further fields, each without line ends.
    var fields = ["Cache-Control: no-store"]
    var body: [UInt8]

    init(_ status: Int, _ body: [UInt8]) {
        self.status = status
        self.body = body
    }

    /// `{"error":"…"}`
    static func failure(_ status: Int, _ message: String) -> PlainAnswer {
        var body = Array("{\"error\":".utf8)
        body.append(jsonString: message)
        body.append(0x7D)
        return PlainAnswer(status, body)
    }

    /// - Parameter isHead: without the body, but with its length (RFC 9110 §9.3.2).
    func text(isHead: Bool) -> [UInt8] {
        var text = Array("HTTP/1.1 \(status) \(phrase)\r\nContent-Type: \(contentType)\r\n".utf8)
        for field in fields { text.append(contentsOf: "\(field)\r\n".utf8) }
        text.append(contentsOf: "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n".utf8)
        return isHead ? text : text + body
    }

    private var phrase: String {
        switch status {
        case 200: "OK"
        case 202: "Accepted"
        case 400: "Bad Request"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 411: "Length Required"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 417: "Expectation Failed"
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 505: "HTTP Version Not Supported"
        case 507: "Insufficient Storage"
        default: "Service Unavailable"
        }
    }
}

/// What one request may consist of.
struct PlainLimits: Sendable {
    var headBytesMax = 32_768
    /// 0 takes no body.
    var bodyBytesMax = 0
    /// Targets of a POST whose body is not read here, but handed on with its connection as soon as the head was read.
    var streamedPaths: [String] = []
    /// Hands on every POST with a body, whatever its target.
    var streamsEveryPost = false
    /// Of such a body.
    var streamedBytesMax = 0

    var bufferBytes: Int { headBytesMax + bodyBytesMax + 2 }
}

/// Reads one request, without any I/O.
///
/// Heads are read by `HTTPConnection`, which knows no bodies and must not learn them: to a proxy's question a body
/// is an attack. So the head's one `Content-Length` is read here, and the head is given to that reader a second time
/// with a length of 0 in its place; whatever else is wrong with it is refused as everywhere. Only a plain length
/// frames a body: no transfer coding, no second length, no byte after it.
struct PlainRequestReader: ~Copyable {
    enum Step {
        case needBytes
        case request(PlainRequest)
        /// The head of a request whose body is to be read by whoever takes the connection over.
        /// - bodyStart: how many of the received bytes are the head.
        case stream(PlainRequest, bodyStart: Int, bodyBytes: Int)
        /// The status to refuse with; nothing of the connection is read any more.
        case refuse(Int)
    }

    private let limits: PlainLimits
    private var connection: HTTPConnection
    /// The head has a length that is not 0.
    private var hasBody = false
    /// No end of the head begins before.
    private var searchedTo = 0
    private var framed: (request: PlainRequest, bodyStart: Int, bodyBytes: Int)?

    init(_ limits: PlainLimits) {
        self.limits = limits
        connection = HTTPConnection(profile: .scopecheck, limits: PlainRequestReader.headLimits(limits))
    }

    private static func headLimits(_ limits: PlainLimits) -> HTTPLimits {
        var heads = HTTPLimits()
        heads.headBytesMax = limits.headBytesMax
        return heads
    }

    /// - Parameter buffer: all bytes received so far, of capacity `PlainLimits.bufferBytes`.
    mutating func next(_ buffer: inout ReceiveBuffer) -> Step {
        if hasBody { return nextWithBody(buffer.bytes) }
        switch connection.next(&buffer) {
        case .needBytes: return .needBytes
        case .close: return .refuse(400)
        case .refuse(413) where limits.bodyBytesMax > 0 || limits.streamedBytesMax > 0:
            hasBody = true
            return nextWithBody(buffer.bytes)
        case .refuse(let status): return .refuse(Int(status))
        case .request(let request):
            let end = Int(request.head.start) + Int(request.head.count)
            // A second request, or a body without a length.
            guard buffer.count == end else { return .refuse(400) }
            return .request(plain(request, buffer.bytes))
        }
    }

    private mutating func nextWithBody(_ bytes: Span<UInt8>) -> Step {
        if framed == nil {
            guard let end = headEnd(bytes) else {
                return bytes.count < limits.headBytesMax ? .needBytes : .refuse(431)
            }
            if let status = frame([UInt8](copying: bytes.extracting(0..<end))) { return .refuse(status) }
        }
        guard let framed else { return .refuse(400) }
        if isStreamed(framed.request) {
            guard bytes.count - framed.bodyStart <= framed.bodyBytes else { return .refuse(400) }
            return .stream(framed.request, bodyStart: framed.bodyStart, bodyBytes: framed.bodyBytes)
        }
        let end = framed.bodyStart + framed.bodyBytes
        guard bytes.count >= end else { return .needBytes }
        guard bytes.count == end else { return .refuse(400) }
        var request = framed.request
        request.body = [UInt8](copying: bytes.extracting(framed.bodyStart..<end))
        return .request(request)
    }

    private mutating func headEnd(_ bytes: Span<UInt8>) -> Int? {
        var index = searchedTo
        while index + 4 <= min(bytes.count, limits.headBytesMax) {
            if bytes[index] == 0x0D, equal(bytes.extracting(index..<index + 4), "\r\n\r\n") { return index + 4 }
            index += 1
        }
        searchedTo = index
        return nil
    }

    /// Takes the length out of a complete head and has the rest read.
    /// - Returns: the status to refuse with, or nil.
    private mutating func frame(_ head: [UInt8]) -> Int? {
        guard let place = onlyContentLength(head.span) else { return 400 }
        let digits = head[place]
        guard digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let first = digits.first, first != 0x30 else {
            return 400
        }
        guard digits.count <= 9, let count = Int(String(decoding: digits, as: UTF8.self)),
            count <= max(limits.bodyBytesMax, limits.streamedBytesMax)
        else { return 413 }
        var blanked = head
        blanked[place.lowerBound] = 0x30
        for index in place.dropFirst() { blanked[index] = 0x20 }
        let heads = PlainRequestReader.headLimits(limits)
        var buffer = ReceiveBuffer(capacity: heads.bufferBytes)
        guard buffer.append(blanked.span) else { return 431 }
        var reader = HTTPConnection(profile: .scopecheck, limits: heads)
        switch reader.next(&buffer) {
        case .request(let request):
            guard Int(request.head.start) + Int(request.head.count) == head.count else { return 400 }
            let read = plain(request, buffer.bytes)
            guard count <= limits.bodyBytesMax || isStreamed(read) else { return 413 }
            framed = (read, head.count, count)
            return nil
        case .refuse(let status): return Int(status)
        case .needBytes, .close: return 400
        }
    }

    private func isStreamed(_ request: PlainRequest) -> Bool {
        request.method == "POST" && (limits.streamsEveryPost || limits.streamedPaths.contains(request.target))
    }

    /// Where the value of the one Content-Length stands, blanks around it left out; nil unless there is exactly one.
    private func onlyContentLength(_ head: Span<UInt8>) -> Range<Int>? {
        var found: Range<Int>?
        var start = 0
        while start < head.count {
            let end = head.firstIndex(of: 0x0A, from: start) ?? head.count
            if let colon = head.extracting(start..<end).firstIndex(of: 0x3A, from: 0),
                equalIgnoringCase(head.extracting(start..<start + colon), "content-length")
            {
                guard found == nil else { return nil }
                var first = start + colon + 1
                var last = end
                while first < last, isBlank(head[first]) { first += 1 }
                while last > first, isBlank(head[last - 1]) { last -= 1 }
                found = first..<last
            }
            start = end + 1
        }
        return found
    }

    private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }

    private func plain(_ request: HTTPRequest, _ bytes: Span<UInt8>) -> PlainRequest {
        var result = PlainRequest(
            method: String(lossy: bytes.bytes(at: request.method)),
            target: String(lossy: bytes.bytes(at: request.target)))
        result.facts = request.facts
        result.head = [UInt8](copying: bytes.extracting(0..<Int(request.head.start) + Int(request.head.count)))
        var types = 0
        // A borrowed span cannot go into the closure.
        let head = result.head
        request.forEachHeader(in: bytes) { name, value in
            let nameBytes = head.span.bytes(at: name)
            if equalIgnoringCase(nameBytes, "host") { result.host = String(lossy: head.span.bytes(at: value)) }
            if equalIgnoringCase(nameBytes, "origin") { result.hasOrigin = true }
            if equalIgnoringCase(nameBytes, "content-type") {
                types += 1
                result.contentType = String(lossy: head.span.bytes(at: value))
            }
        }
        if types > 1 { result.contentType = nil }
        return result
    }
}
