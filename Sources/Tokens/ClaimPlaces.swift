internal import Octets

/// Where the registered claims that are used stand in a claims set, found in one walk over its members. Node
/// numbers of the index; 0, which is the top-level object, for a claim that is absent.
struct ClaimPlaces {
    /// The claims set itself: the top-level object, or one within it.
    private(set) var object = 0
    private(set) var issuer = 0
    private(set) var subject = 0
    private(set) var audience = 0
    private(set) var expiresAt = 0
    private(set) var notBefore = 0
    private(set) var issuedAt = 0
    private(set) var tokenID = 0
    private(set) var confirmation = 0
    private(set) var authenticationContext = 0
    private(set) var authenticatedAt = 0
    private(set) var actor = 0
    private(set) var status = 0
    private(set) var details = 0
    /// A member that only another kind of token has: `events` (RFC 8417 §2.2), `token_introspection`
    /// (RFC 9701 §5), `status_list` (Token Status List §5.1).
    private(set) var isOtherKind = false

    /// Names longer than this are none of those above.
    static let nameBytesMax = 24

    init(object: Int) {
        self.object = object
    }

    /// - Parameter name: unescaped.
    mutating func note(_ name: Span<UInt8>, at node: Int) {
        guard name.count == 3 else {
            noteLonger(name, at: node)
            return
        }
        switch (name[0], name[1], name[2]) {
        case (0x69, 0x73, 0x73): issuer = node
        case (0x73, 0x75, 0x62): subject = node
        case (0x61, 0x75, 0x64): audience = node
        case (0x65, 0x78, 0x70): expiresAt = node
        case (0x6E, 0x62, 0x66): notBefore = node
        case (0x69, 0x61, 0x74): issuedAt = node
        case (0x6A, 0x74, 0x69): tokenID = node
        case (0x63, 0x6E, 0x66): confirmation = node
        case (0x61, 0x63, 0x72): authenticationContext = node
        case (0x61, 0x63, 0x74): actor = node
        default: break
        }
    }

    private mutating func noteLonger(_ name: Span<UInt8>, at node: Int) {
        switch name.count {
        case 6:
            if equal(name, "status") { status = node }
            if equal(name, "events") { isOtherKind = true }
        case 9: if equal(name, "auth_time") { authenticatedAt = node }
        case 11: if equal(name, "status_list") { isOtherKind = true }
        case 19: if equal(name, "token_introspection") { isOtherKind = true }
        case 21: if equal(name, "authorization_details") { details = node }
        default: break
        }
    }
}

extension JSONIndex {
    /// - Parameters:
    ///   - object: the node of the claims set; the top-level object is 0.
    ///   - text: what this index has read.
    func claimPlaces(of object: Int = 0, in text: Span<UInt8>) -> ClaimPlaces {
        var places = ClaimPlaces(object: object)
        guard object < nodes.count, nodes[object].kind == .object else { return places }
        let end = Int(nodes[object].next)
        var node = object + 1
        while node < end {
            let raw = text.bytes(at: nameRange(node))
            if nodes[node].nameHasEscapes {
                var name = InlineArray<24, UInt8>(repeating: 0)
                if let count = unescape(raw, into: &name) {
                    places.note(name.span.extracting(0..<count), at: node)
                }
            } else {
                places.note(raw, at: node)
            }
            node = Int(nodes[node].next)
        }
        return places
    }

    /// The value at a place; nil for 0.
    func value(at place: Int) -> JSONValue? {
        place > 0 && place < nodes.count ? value(place) : nil
    }

    /// - Returns: the number of bytes, or nil when the name is longer than any that is looked for.
    private func unescape(_ raw: Span<UInt8>, into name: inout InlineArray<24, UInt8>) -> Int? {
        var bytes = UnescapedBytes(raw)
        var count = 0
        while let byte = bytes.next() {
            guard count < ClaimPlaces.nameBytesMax else { return nil }
            name[count] = byte
            count += 1
        }
        return count
    }
}
