import Decision
import Octets
import SPOP

// What the agent says, read by the text of SPOE.txt alone, and what a question says, by names.

struct Frame: Equatable {
    var type: UInt8
    var flags: UInt32
    var stream: UInt64
    var id: UInt64
    var payload: [UInt8]
}

struct Action: Equatable {
    var isSet: Bool
    var scope: UInt8
    var name: String
    var value: Value
}

/// Takes bytes from the front; nil where they do not go on as they must.
struct Reader {
    var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func byte() -> UInt8? { rest.popFirst() }

    mutating func take(_ count: UInt64) -> [UInt8]? {
        guard count <= UInt64(rest.count) else { return nil }
        defer { rest = rest.dropFirst(Int(count)) }
        return Array(rest.prefix(Int(count)))
    }

    mutating func bigEndian() -> UInt32? {
        take(4).map { $0.reduce(0) { $0 << 8 | UInt32($1) } }
    }

    mutating func varint() -> UInt64? {
        guard let first = byte() else { return nil }
        guard first >= 240 else { return UInt64(first) }
        var groups: [UInt8] = []
        while groups.last ?? 128 >= 128 {
            guard let next = byte(), groups.count < 9 else { return nil }
            groups.append(next)
        }
        // From the last group back, what the encoder did forwards.
        var value: UInt64 = 0
        for group in groups.reversed() {
            let (shifted, isCut) = value.multipliedReportingOverflow(by: 128)
            let (sum, isOver) = shifted.addingReportingOverflow(UInt64(group))
            guard !isCut, !isOver else { return nil }
            value = sum
        }
        let (shifted, isCut) = value.multipliedReportingOverflow(by: 16)
        let (sum, isOver) = shifted.addingReportingOverflow(UInt64(first))
        return isCut || isOver ? nil : sum
    }

    mutating func text() -> [UInt8]? {
        guard let count = varint() else { return nil }
        return take(count)
    }

    mutating func value() -> Value? {
        guard let head = byte() else { return nil }
        switch head {
        case 0x00: return .null
        case 0x01, 0x11: return .bool(head == 0x11)
        case 0x02: return varint().map { .int32(Int32(truncatingIfNeeded: $0)) }
        case 0x03: return varint().map { .uint32(UInt32($0)) }
        case 0x04: return varint().map { .int64(Int64(bitPattern: $0)) }
        case 0x05: return varint().map { .uint64($0) }
        case 0x06: return take(4).map { .ipv4($0) }
        case 0x07: return take(16).map { .ipv6($0) }
        case 0x08: return text().map { .string(String(decoding: $0, as: UTF8.self)) }
        case 0x09: return text().map { .binary($0) }
        default: return nil
        }
    }
}

/// The frames of an output; nil when it is not whole frames.
func frames(_ bytes: [UInt8]) -> [Frame]? {
    var reader = Reader(bytes)
    var result: [Frame] = []
    while !reader.rest.isEmpty {
        guard let length = reader.bigEndian(), let content = reader.take(UInt64(length)) else { return nil }
        var inside = Reader(content)
        guard let type = inside.byte(), let flags = inside.bigEndian(), let stream = inside.varint(),
            let id = inside.varint()
        else { return nil }
        result.append(Frame(type: type, flags: flags, stream: stream, id: id, payload: Array(inside.rest)))
    }
    return result
}

/// The list of an AGENT-HELLO or AGENT-DISCONNECT.
func pairs(_ payload: [UInt8]) -> [String: Value]? {
    var reader = Reader(payload)
    var result: [String: Value] = [:]
    while !reader.rest.isEmpty {
        guard let name = reader.text(), let value = reader.value(), result[text(name)] == nil else { return nil }
        result[text(name)] = value
    }
    return result
}

/// The actions of an ACK; nil when a byte of it is none.
func actions(_ payload: [UInt8]) -> [Action]? {
    var reader = Reader(payload)
    var result: [Action] = []
    while !reader.rest.isEmpty {
        guard let type = reader.byte(), let count = reader.byte(), let scope = reader.byte(), let name = reader.text()
        else { return nil }
        switch (type, count) {
        case (1, 3):
            guard let value = reader.value() else { return nil }
            result.append(Action(isSet: true, scope: scope, name: text(name), value: value))
        case (2, 2): result.append(Action(isSet: false, scope: scope, name: text(name), value: .null))
        default: return nil
        }
    }
    return result
}

/// The status of the DISCONNECT that an output ends with; nil without one.
func disconnectStatus(_ output: [UInt8]) -> UInt32? {
    guard let last = frames(output)?.last, last.type == 102, last.flags == 1, last.stream == 0, last.id == 0,
        let list = pairs(last.payload), list.count == 2, case .uint32(let status) = list["status-code"],
        case .string = list["message"]
    else { return nil }
    return status
}

// MARK: questions

/// Everything that a question says, apart from where it stands. What is absent is not there.
func said(_ question: SPOPQuestion, _ payload: Span<UInt8>) -> [String: String] {
    var says: [String: String] = [:]
    switch question {
    case .health: says["kind"] = "health"
    case .refused(let reason): says["kind"] = "refused \(reason.name)"
    case .connection(let facts):
        says["kind"] = "tcp"
        says["port"] = facts.port < 0 ? nil : "\(facts.port)"
        note(facts.clientAddress, "client_address", payload, &says)
        note(facts.requestID, "request_id", payload, &says)
        note(facts.clientAddressForm, &says)
        note(facts.certificate, payload, &says)
        if facts.conflict { says["conflict"] = "yes" }
    case .request(let facts):
        says["kind"] = "http"
        let places: [(String, ByteRange)] = [
            ("method", facts.method), ("target", facts.target), ("path", facts.rawPath), ("host", facts.host),
            ("scheme", facts.scheme), ("port text", facts.port), ("client_address", facts.clientAddress),
            ("request_id", facts.requestID), ("authorization", facts.authorization), ("dpop", facts.dpop),
            ("origin", facts.origin), ("access_control_request_method", facts.accessControlRequestMethod),
            ("cookie", facts.cookie), ("websocket_protocol", facts.webSocketProtocol),
            ("normalised path", facts.normalizedPath), ("certificate of nginx", facts.clientCertificate),
        ]
        for (name, place) in places { note(place, name, payload, &says) }
        let counts: [(String, UInt16)] = [
            ("authorization_count", facts.authorizationCount), ("dpop_count", facts.dpopCount),
            ("origin_count", facts.originCount), ("cookie_count", facts.cookieCount),
            ("access_control_request_method_count", facts.accessControlRequestMethodCount),
            ("websocket_protocol_count", facts.webSocketProtocolCount),
        ]
        for (name, count) in counts where count > 0 { says[name] = "\(count)" }
        says["port"] = facts.portNumber < 0 ? nil : "\(facts.portNumber)"
        note(facts.clientAddressForm, &says)
        note(facts.certificate, payload, &says)
        if facts.conflict { says["conflict"] = "yes" }
    }
    return says
}

private func note(_ place: ByteRange, _ name: String, _ payload: Span<UInt8>, _ says: inout [String: String]) {
    guard place.isPresent else { return }
    let isInside = Int(place.start) + Int(place.count) <= payload.count
    says[name] = isInside ? String(lossy: payload.bytes(at: place)) : "outside"
}

private func note(_ form: AddressForm, _ says: inout [String: String]) {
    if form != .text { says["form"] = "\(form)" }
}

private func note(_ facts: CertificateFacts, _ payload: Span<UInt8>, _ says: inout [String: String]) {
    note(facts.der, "certificate", payload, &says)
    if facts.isUsed { says["certificate_used"] = "yes" }
    says["certificate_verify"] = facts.verifyResult < 0 ? nil : "\(facts.verifyResult)"
}
