internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Tokens

/// The daemon that publications and decisions on them are sent to.
struct PublicationPlace: ParsableArguments {
    static let publishPath = "/policy/publications"
    static let proposalsPath = "/policy/proposals"
    static let approvePath = "/policy/proposals/approve"
    static let rejectPath = "/policy/proposals/reject"
    /// A policy of a million routes takes a while to compile.
    private static let millisecondsMax: Int64 = 20 * 60 * 1_000
    private static let answerBytesMax = 64 << 20

    @Option(name: [.long, .customLong("address")], help: "Admin address of the running daemon: unix:PATH.")
    var admin: AddressArgument?

    /// Who runs the command; the daemon adds the user of the connection.
    var author: String { userName() }

    /// What the daemon answered.
    struct Answer {
        var status: Int
        var body: [UInt8]

        /// A text of the answer's object.
        func member(_ name: String) -> String? {
            var index = JSONIndex()
            guard (try? index.read(body.span, limits: .claims)) != nil, let root = index.root, root.kind == .object
            else {
                return nil
            }
            return ProposalRow.text(name, root, index, body)
        }

        var proposal: ProposalRow? {
            var index = JSONIndex()
            guard (try? index.read(body.span, limits: .claims)) != nil, let root = index.root, root.kind == .object,
                let value = index.member("proposal", of: root, in: body.span)
            else { return nil }
            return ProposalRow(value, index, body)
        }

        var proposals: [ProposalRow] {
            var index = JSONIndex()
            let limits = JSONLimits(
                depthMax: 6, membersPerObjectMax: 32, allowsNUL: false)
            guard (try? index.read(body.span, limits: limits)) != nil, let root = index.root,
                let list = index.member("proposals", of: root, in: body.span), list.kind == .array
            else { return [] }
            var rows: [ProposalRow] = []
            var item = index.child(after: nil, of: list)
            while let value = item {
                if let row = ProposalRow(value, index, body) { rows.append(row) }
                item = index.child(after: value, of: list)
            }
            return rows
        }
    }

    /// Sends a line of JSON and, behind it, further bytes.
    func send(_ path: String, _ members: [(String, String)], after line: [UInt8]? = nil) throws -> Answer {
        var object = JSONObjectWriter()
        for (name, value) in members where !value.isEmpty { object.add(name, string: value) }
        return try exchange("POST", path, object.text() + (line.map { [0x0A] + $0 } ?? []))
    }

    func list() throws -> Answer { try exchange("GET", PublicationPlace.proposalsPath, []) }

    private func exchange(_ method: String, _ path: String, _ body: [UInt8]) throws -> Answer {
        let address = admin?.address ?? .unix(path: RevocationPlace.usualAdmin)
        do throws(LocalHTTPError) {
            let response = try LocalHTTP.request(
                method, path, at: address, body: body, contentType: method == "POST" ? "application/octet-stream" : nil,
                deadlineMilliseconds: PublicationPlace.millisecondsMax,
                responseBytesMax: PublicationPlace.answerBytesMax)
            return Answer(status: response.status, body: response.body)
        } catch {
            let hint = admin == nil ? "; give --admin unix:PATH of the daemon" : ""
            let doubt = method == "POST" ? "nothing is known to be changed: " : ""
            throw fail("\(doubt)\(error)\(hint)")
        }
    }

    /// Ends the command on an answer that is none of those hoped for: 1 when the daemon refuses, 2 when it cannot.
    func refused(_ answer: Answer, isJSON: Bool) -> ExitCode {
        let message = answer.member("error") ?? "the daemon answered \(answer.status)"
        let reason = answer.member("reason").map { " (\($0))" } ?? ""
        if !isJSON { _ = writeAll(2, Array("scopecheck: refused\(reason): \(message)\n".utf8).span) }
        return answer.member("reason") != nil && answer.status < 500 ? Ending.no : Ending.failure
    }
}

/// A publication that waits, as the daemon lists it.
struct ProposalRow {
    var id: String
    var version: String
    var service: String
    var keyID: String
    var madeAt: String
    var ends: String?
    var note: String
    var author: String
    var widenings: [String]
    /// As it came.
    var json: [UInt8]

    init?(_ value: JSONValue, _ index: borrowing JSONIndex, _ text: [UInt8]) {
        guard value.kind == .object, let id = ProposalRow.text("id", value, index, text),
            let version = ProposalRow.text("version", value, index, text),
            let service = ProposalRow.text("service", value, index, text)
        else { return nil }
        self.id = id
        self.version = version
        self.service = service
        keyID = ProposalRow.text("kid", value, index, text) ?? ""
        madeAt = ProposalRow.text("made_at", value, index, text) ?? ""
        ends = ProposalRow.text("ends", value, index, text)
        note = ProposalRow.text("note", value, index, text) ?? ""
        author = ProposalRow.text("author", value, index, text) ?? ""
        widenings = []
        json = [UInt8](copying: text.span.bytes(at: value.range))
        guard let list = index.member("widenings", of: value, in: text.span) else { return }
        var item = index.child(after: nil, of: list)
        while let one = item {
            if let bytes = one.string(in: text.span) { widenings.append(String(decoding: bytes, as: UTF8.self)) }
            item = index.child(after: one, of: list)
        }
    }

    static func text(_ name: String, _ object: JSONValue, _ index: borrowing JSONIndex, _ text: [UInt8]) -> String? {
        let key = Array(name.utf8)
        guard let value = index.member(key.span, of: object, in: text.span), let bytes = value.string(in: text.span)
        else {
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func text(isWhole: Bool) -> String {
        var text = "\(id)  \(shown(service))  key \(shown(keyID))  \(madeAt)\(ends.map { "  ends \($0)" } ?? "")\n"
        if !author.isEmpty { text += "  by: \(shown(author))\n" }
        if !note.isEmpty { text += "  note: \(shown(note))\n" }
        for finding in isWhole ? widenings : Array(widenings.prefix(3)) {
            text += "  would allow: \(shown(finding))\n"
        }
        if !isWhole, widenings.count > 3 { text += "  and more\n" }
        text += "  all of it: scopecheck policy plan active \(version)\n"
        if isWhole {
            text += "approve exactly that: scopecheck policy approve \(id) -m WHY\n"
        }
        return text
    }
}
