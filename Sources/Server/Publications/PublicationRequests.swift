internal import Octets
internal import Policy
internal import PolicyTables
internal import Store
internal import Tokens

/// Publications and proposals over the admin listener; the first of them also over the one for publications.
///
///     POST /policy/publications        one line of JSON `{"note":"…","author":"…"}`, a line feed, the signed publication
///     POST /policy/proposals/approve   {"id":"3f2a…","note":"…","author":"…"}
///     POST /policy/proposals/reject    the same
///     GET  /policy/proposals           {"proposals":[…]}
///
/// The publication is what counts of the first: whoever may connect only delivers it. Each of the POSTs runs where it may
/// take as long as a policy takes to compile.
struct PublicationRequests: Sendable {
    static let publishPath = "/policy/publications"
    static let approvePath = "/policy/proposals/approve"
    static let rejectPath = "/policy/proposals/reject"
    static let listPath = "/policy/proposals"
    static let paths = [publishPath, approvePath, rejectPath]

    static let lineBytesMax = 16_384
    static let bodyBytesMax = lineBytesMax + 1 + SignedPublication.bytesMax

    let desk: PublicationDesk

    /// - Returns: nil for a request of others.
    func list(_ request: PlainRequest) -> PlainAnswer? {
        guard request.method == "GET", request.path == PublicationRequests.listPath else { return nil }
        do {
            let rows = try desk.proposals().map { $0.object().text() }
            var object = JSONObjectWriter()
            object.add("proposals", json: [0x5B] + Array(rows.joined(separator: [0x2C])) + [0x5D])
            return PlainAnswer(200, object.text())
        } catch {
            return .failure(503, "\(error)")
        }
    }

    /// - Parameter body: whole.
    func answer(_ request: PlainRequest, body: [UInt8]) -> PlainAnswer {
        // Browsers say where a request that changes something comes from; commands have no origin.
        guard !request.hasOrigin else { return .failure(403, "a request from a web page is not taken") }
        do {
            switch request.path {
            case PublicationRequests.publishPath: return try publish(body, user: request.userID).answer
            case PublicationRequests.approvePath: return try decide(body, user: request.userID, approves: true).answer
            case PublicationRequests.rejectPath: return try decide(body, user: request.userID, approves: false).answer
            default: return .failure(404, "`\(request.path)` is not known here")
            }
        } catch let refusal as PublicationRefusal {
            return refusal.answer
        } catch PolicyStoreError.store(let error) where error.code == StoreError.mapFull {
            return .failure(507, "the store is full: \(error)")
        } catch {
            return .failure(503, "\(error)")
        }
    }

    private func publish(_ body: [UInt8], user: UInt32?) throws -> PublicationDesk.Outcome {
        guard let end = body.prefix(PublicationRequests.lineBytesMax + 1).firstIndex(of: 0x0A) else {
            throw PublicationRefusal(.malformed, "the body has no line of JSON before the publication")
        }
        let line = try members(Array(body[..<end]), known: ["note", "author"])
        return try desk.publish(
            Array(body[(end + 1)...]), note: try bounded(line["note"], ActivationCause.noteBytesMax, "note"),
            sender: try who(line["author"], user))
    }

    private func decide(_ body: [UInt8], user: UInt32?, approves: Bool) throws -> PublicationDesk.Outcome {
        let members = try members(body, known: ["id", "note", "author"])
        guard let id = members["id"], (8...64).contains(id.utf8.count),
            id.utf8.allSatisfy({ hexadecimalValue($0) != nil })
        else { throw PublicationRefusal(.malformed, "`id` is 8 to 64 hexadecimal digits") }
        let note = try bounded(members["note"], ActivationCause.noteBytesMax, "note")
        let person = try who(members["author"], user)
        return approves
            ? try desk.approve(id.lowercased(), note: note, approver: person)
            : try desk.reject(id.lowercased(), note: note, approver: person)
    }

    /// With the user of the connection, which the system vouches for, beside what the command says.
    private func who(_ author: String?, _ user: UInt32?) throws(PublicationRefusal) -> String {
        let author = try bounded(author, ActivationCause.authorBytesMax - 32, "author")
        guard let user else { return author }
        return author.isEmpty ? "uid \(user)" : "\(author) (uid \(user))"
    }

    private func bounded(_ text: String?, _ most: Int, _ name: String) throws(PublicationRefusal) -> String {
        guard let text else { return "" }
        guard text.utf8.count <= most else {
            throw PublicationRefusal(.malformed, "`\(name)` has more than \(most) bytes")
        }
        return text
    }

    /// The members of an object of strings, each of them known.
    private func members(_ text: [UInt8], known: [StaticString]) throws(PublicationRefusal) -> [String: String] {
        var index = JSONIndex()
        let limits = JSONLimits(depthMax: 2, membersPerObjectMax: 4, allowsNUL: false)
        guard text.count <= PublicationRequests.lineBytesMax, (try? index.read(text.span, limits: limits)) != nil,
            let root = index.root, root.kind == .object
        else { throw PublicationRefusal(.malformed, "the request is not a strict JSON object") }
        var result: [String: String] = [:]
        for name in known {
            guard let value = index.member(name, of: root, in: text.span) else { continue }
            guard let bytes = value.string(in: text.span) else {
                throw PublicationRefusal(.malformed, "`\(name)` is a string")
            }
            result["\(name)"] = String(decoding: bytes, as: UTF8.self)
        }
        guard result.count == index.childCount(of: root) else {
            throw PublicationRefusal(.malformed, "the request has a member that is not known")
        }
        return result
    }
}
