internal import Decision
internal import Octets
internal import Signatures
internal import Store
internal import Tokens

/// Revocations over the admin listener.
///
///     POST /revocations           {"revocations":[{"kind":"subject","issuer":"https://id.example.com","value":"al"}]}
///     GET /revocations            ?after=ID&limit=100&issuer=HEX, one page in the order of the IDs
///     DELETE /revocations/ID      takes one back
///
/// Members of an asked-for one: `kind` (token, jti, subject, client, issuer, key), `issuer`, `value`, or for a token
/// `digest` (SHA-256 of the token, hexadecimal) and `expires_at`; `issued_before` or `all`; `until`; `reason`. Times
/// are Unix seconds. A token itself is never sent.
struct RevocationRoutes: Sendable {
    static let revocationsPerRequestMax = 256

    private let desk: RevocationDesk

    init(_ desk: RevocationDesk) {
        self.desk = desk
    }

    func answer(_ request: PlainRequest) -> PlainAnswer {
        // Browsers say where a request that changes something comes from; commands have no origin.
        guard !request.hasOrigin else { return .failure(403, "a request from a web page is not taken") }
        do throws(RevocationError) {
            switch (request.method, request.path) {
            case ("POST", "/revocations"): return try revoke(request)
            case ("GET", "/revocations"): return try list(request)
            case ("DELETE", let path) where path.hasPrefix("/revocations/"):
                return try remove(String(path.dropFirst("/revocations/".utf8.count)), request)
            case (_, "/revocations"): return .failure(405, "there are GET and POST of /revocations")
            default: return .failure(405, "there is DELETE of /revocations/ID")
            }
        } catch {
            return RevocationRoutes.failure(error)
        }
    }

    static func failure(_ error: RevocationError) -> PlainAnswer {
        switch error {
        case .invalid: .failure(400, "\(error)")
        case .full: .failure(507, "\(error)")
        case .store(let cause): .failure(cause.code == StoreError.mapFull ? 507 : 503, "\(error)")
        case .damaged: .failure(503, "\(error)")
        }
    }

    private func revoke(_ request: PlainRequest) throws(RevocationError) -> PlainAnswer {
        guard let type = request.contentType?.lowercased(),
            type == "application/json" || type == "application/json; charset=utf-8"
        else { return .failure(415, "send `Content-Type: application/json`") }
        let asked = try RevocationRequest.read(request.body, who: request.userID)
        let outcomes = try desk.revoke(asked)
        return PlainAnswer(200, list("revocations", outcomes.map { $0.json }))
    }

    private func list(_ request: PlainRequest) throws(RevocationError) -> PlainAnswer {
        guard request.body.isEmpty else { return .failure(400, "this request takes no body") }
        var after: Digest?
        if let text = request.parameter("after") {
            guard let digest = digest(text) else { throw .invalid("`after` is an ID as the answers have it") }
            after = digest
        }
        var limit = 100
        if let text = request.parameter("limit") {
            guard let number = Int(text), (1...RevocationDesk.pageRecordsMax).contains(number) else {
                throw .invalid("`limit` is 1 to \(RevocationDesk.pageRecordsMax)")
            }
            limit = number
        }
        var issuer: [UInt8]?
        if let text = request.parameter("issuer") {
            guard let bytes = bytes(ofHexadecimal: text) else { throw .invalid("`issuer` is given in hexadecimal") }
            issuer = bytes
        }
        let page = try desk.list(after: after, limit: limit, issuer: issuer)
        var tail = JSONObjectWriter()
        if let next = page.next { tail.add("next", string: next.description) }
        tail.add("total", number: Int64(page.total))
        return PlainAnswer(200, list("revocations", page.records.map { $0.object().text() }, tail))
    }

    private func remove(_ id: String, _ request: PlainRequest) throws(RevocationError) -> PlainAnswer {
        guard request.body.isEmpty else { return .failure(400, "this request takes no body") }
        guard let key = digest(id) else { throw .invalid("`\(id)` is no ID; `scopecheck revocations list` shows them") }
        guard let removed = try desk.remove(key, who: request.userID) else {
            return .failure(404, "there is no revocation `\(id)`")
        }
        return PlainAnswer(200, list("removed", [removed.object().text()]))
    }

    /// `{"NAME":[…], …}`
    private func list(_ name: String, _ items: [[UInt8]], _ tail: JSONObjectWriter? = nil) -> [UInt8] {
        var text: [UInt8] = [0x7B]
        text.append(jsonString: name)
        text.append(contentsOf: ":[".utf8)
        text.append(contentsOf: items.joined(separator: [0x2C]))
        text.append(0x5D)
        guard let tail else { return text + [0x7D] }
        return text + [0x2C] + tail.text().dropFirst()
    }
}

extension RevocationRecord {
    /// As answers show it. Times are Unix seconds; what has no bound is left out.
    func object() -> JSONObjectWriter {
        var object = JSONObjectWriter()
        object.add("id", string: revocation.key.description)
        object.add("kind", string: "\(revocation.kind.name)")
        if !revocation.issuer.isEmpty {
            object.add("issuer", string: String(decoding: revocation.issuer, as: UTF8.self))
        }
        if revocation.kind == .token {
            object.add("digest", string: hexadecimal(revocation.value.span))
        } else if !revocation.value.isEmpty {
            object.add("value", string: String(decoding: revocation.value, as: UTF8.self))
        }
        if revocation.issuedAtMax != .max { object.add("issued_before", number: revocation.issuedAtMax) }
        if revocation.until != .max { object.add("until", number: revocation.until) }
        object.add("revoked_at", number: revokedAt)
        if let who { object.add("who", number: Int64(who)) }
        if !reason.isEmpty { object.add("reason", string: reason) }
        return object
    }
}

extension RevocationDesk.Outcome {
    var json: [UInt8] {
        var object = record.object()
        object.add("state", string: state.rawValue)
        object.add("term", string: term.rawValue)
        if let warning { object.add("warning", string: warning) }
        return object.text()
    }
}

/// The body of POST /revocations, read strictly: every member known, of its type, once.
enum RevocationRequest {
    static func read(_ body: [UInt8], who: UInt32?) throws(RevocationError) -> [NewRevocation] {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(body.span, limits: JSONLimits(depthMax: 4, membersPerObjectMax: 16, allowsNUL: false))
        } catch {
            throw .invalid("the body is not a strict JSON object: \(error)")
        }
        guard let root = index.root, index.childCount(of: root) == 1,
            let list = index.member("revocations", of: root, in: body.span), list.kind == .array
        else { throw .invalid("the body is an object with the one member `revocations`, a list") }
        let count = index.childCount(of: list)
        guard (1...RevocationRoutes.revocationsPerRequestMax).contains(count) else {
            throw .invalid(
                "`revocations` has \(count) entries; 1 to \(RevocationRoutes.revocationsPerRequestMax) are taken")
        }
        var result: [NewRevocation] = []
        var item = index.child(after: nil, of: list)
        while let current = item {
            result.append(try one(current, index, body.span, who: who))
            item = index.child(after: current, of: list)
        }
        return result
    }

    private static func one(
        _ object: JSONValue, _ index: borrowing JSONIndex, _ text: Span<UInt8>, who: UInt32?
    ) throws(RevocationError) -> NewRevocation {
        guard object.kind == .object else { throw .invalid("an entry of `revocations` is an object") }
        var known = 0
        func member(_ name: StaticString) -> JSONValue? {
            guard let value = index.member(name, of: object, in: text) else { return nil }
            known += 1
            return value
        }
        func string(_ name: StaticString) throws(RevocationError) -> [UInt8]? {
            guard let value = member(name) else { return nil }
            guard let bytes = value.string(in: text) else { throw .invalid("`\(name)` is a string") }
            return bytes
        }
        func time(_ name: StaticString) throws(RevocationError) -> Int64? {
            guard let value = member(name) else { return nil }
            guard value.kind == .number, let seconds = Int64(String(lossy: text.bytes(at: value.range))) else {
                throw .invalid("`\(name)` is whole Unix seconds")
            }
            return seconds
        }
        guard let name = try string("kind"), let kind = Revocation.Kind(named: String(decoding: name, as: UTF8.self))
        else { throw .invalid("`kind` is token, jti, subject, client, issuer or key") }
        var result = NewRevocation(kind: kind)
        result.issuer = try string("issuer") ?? []
        if kind == .token {
            guard let digits = try string("digest"), digits.count == 64,
                let bytes = bytes(ofHexadecimal: String(decoding: digits, as: UTF8.self))
            else { throw .invalid("`digest` is the SHA-256 of the token, 64 hexadecimal digits") }
            result.value = bytes
        } else {
            result.value = try string("value") ?? []
        }
        result.issuedBefore = try time("issued_before")
        result.until = try time("until")
        result.expiresAt = try time("expires_at")
        if let all = member("all") {
            guard all.kind == .true else { throw .invalid("`all` is true, or left out") }
            result.isAll = true
        }
        result.reason = String(decoding: try string("reason") ?? [], as: UTF8.self)
        result.who = who
        guard known == index.childCount(of: object) else {
            throw .invalid("an entry of `revocations` has a member that is not known for its kind")
        }
        return result
    }
}

/// The bytes of hexadecimal digits in either case; nil for anything else.
func bytes(ofHexadecimal text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let high = hexadecimalValue(digits[index]), let low = hexadecimalValue(digits[index + 1]) else {
            return nil
        }
        bytes.append(high << 4 | low)
    }
    return bytes
}

/// A digest of 64 hexadecimal digits.
func digest(_ text: String) -> Digest? {
    guard let bytes = bytes(ofHexadecimal: text) else { return nil }
    return Digest(bytes.span)
}
