internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Tokens

/// Publications and decisions on them, at the daemon.
extension DaemonAddress {
    /// Sends a line of JSON about publications, with the user's name, and, behind it, further bytes.
    func send(_ path: String, _ members: [(String, String)], after line: [UInt8]? = nil) throws -> Answer {
        var object = JSONObjectWriter()
        for (name, value) in members + [("author", userName())] where !value.isEmpty { object.add(name, string: value) }
        return try ask("POST", path, body: object.text() + (line.map { [0x0A] + $0 } ?? []), patience: .change)
    }

    /// Ends the command on an answer that is none of those hoped for: 1 when the daemon refuses, 2 when it cannot.
    /// - Parameter naming: says the message as the command's user knows things.
    func refused(_ answer: Answer, isJSON: Bool, naming: (String) -> String = { $0 }) -> ExitCode {
        if !isJSON { _ = writeAll(2, Array(naming(answer.refusal).utf8).span) }
        return answer.object?.string("reason") != nil && answer.status < 500 ? Ending.no : Ending.failure
    }
}

extension DaemonPlace.Answer {
    var proposal: ProposalRow? { object?.object("proposal").flatMap { ProposalRow($0) } }
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
    /// How many more there are.
    var wideningsOmitted: Int
    /// As it came.
    var json: [UInt8]

    init?(_ object: JSONObject) {
        guard let id = object.string("id"), let version = object.string("version"),
            let service = object.string("service")
        else { return nil }
        self.id = id
        self.version = version
        self.service = service
        keyID = object.string("kid") ?? ""
        madeAt = object.string("made_at") ?? ""
        ends = object.string("ends")
        note = object.string("note") ?? ""
        author = object.string("author") ?? ""
        widenings = object.strings("widenings")
        wideningsOmitted = Int(clamping: max(0, object.number("widenings_omitted") ?? 0))
        json = object.bytes
    }

    func text(isWhole: Bool, words: String) -> String {
        var text = "\(id)  \(shown(service))  key \(shown(keyID))  \(madeAt)\(ends.map { "  ends \($0)" } ?? "")\n"
        if !author.isEmpty { text += "  by: \(shown(author))\n" }
        if !note.isEmpty { text += "  note: \(shown(note))\n" }
        let lines = isWhole ? widenings : Array(widenings.prefix(3))
        for finding in lines { text += "  would allow: \(shown(finding))\n" }
        let (further, isTooMany) = (widenings.count - lines.count).addingReportingOverflow(wideningsOmitted)
        if further > 0 || isTooMany { text += "  and \(isTooMany ? Int.max : further) more\n" }
        text += "  all of it: scopecheck policy plan active \(version)\(words)\n"
        if isWhole {
            text += "approve exactly that: scopecheck policy approve \(id)\(words) -m WHY\n"
        }
        return text
    }
}
