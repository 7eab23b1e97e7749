internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import Server
internal import Tokens

struct Revocations: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists revocations and takes them back.", subcommands: [List.self, Remove.self],
        defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the revocations in force, in the order of their IDs.",
            discussion: "Exit 0 also when there are none, 2 when they cannot be read.")

        @Option(help: "Only those of this issuer.")
        var issuer: String?

        @OptionGroup var place: StorePlace

        @Flag(help: "Print one JSON object a line.")
        var json = false

        func run() throws {
            var after = ""
            var count = 0
            while true {
                var target = "/revocations?limit=200" + after
                if let issuer { target += "&issuer=\(hexadecimal(Array(issuer.utf8)))" }
                let answer = try place.revocations("GET", target)
                for row in answer.rows {
                    count += 1
                    printOut(json ? row.text + [0x0A] : Array((row.line + "\n").utf8))
                }
                guard let next = answer.next else { break }
                after = "&after=\(next)"
            }
            if !json, count == 0 { printOut("there are no revocations\n") }
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Takes a revocation back: tokens that it named are good again until they expire.",
            discussion: "Exit 0 when it is gone, 1 when there is none with that ID, 2 when it could not be done.")

        @Argument(help: "ID, as `revocations list` shows it.")
        var id: String

        @OptionGroup var place: StorePlace

        @Flag(help: "Print what was taken back as JSON.")
        var json = false

        func validate() throws {
            guard id.utf8.count == 64, id.utf8.allSatisfy({ hexadecimalValue($0) != nil }) else {
                throw ValidationError(
                    "an ID has 64 hexadecimal digits; `scopecheck revocations list\(place.words)` "
                        + "shows them")
            }
        }

        func run() throws {
            let answer = try place.revocations("DELETE", "/revocations/\(id)", isMissingTaken: true)
            guard let row = answer.rows.first else {
                _ = writeAll(2, Array("scopecheck: there is no revocation `\(id)`\n".utf8).span)
                throw Ending.no
            }
            printOut(json ? row.text + [0x0A] : Array("taken back: \(row.line)\n".utf8))
        }
    }
}

extension StorePlace {
    /// The JSON of a 200 about revocations.
    /// - Parameter isMissingTaken: a 404 for want of the revocation gives `{}` instead of ending the command.
    func revocations(
        _ method: String, _ target: String, body: [UInt8] = [], isMissingTaken: Bool = false
    ) throws -> RevocationAnswer {
        let answer = try ask(method, target, body: body, contentType: "application/json") {
            try RevocationFiles.answer(method, target, body: body, store: $0, nowSeconds: nowSeconds())
        }
        if answer.status == 404, isMissingTaken, answer.error.contains("no revocation") {
            return RevocationAnswer()
        }
        guard answer.status == 200 else { throw fail("\(name): \(answer.error)") }
        return try RevocationAnswer(answer.body)
    }
}

func hexadecimal(_ bytes: [UInt8]) -> String {
    var digits: [UInt8] = []
    for byte in bytes { digits += [hexadecimalDigit(byte >> 4), hexadecimalDigit(byte & 15)] }
    return String(decoding: digits, as: UTF8.self)
}

/// An answer about revocations: `{"revocations":[…],"next":"…"}`, or `{"removed":[…]}`.
struct RevocationAnswer {
    /// One revocation.
    struct Row {
        /// Its JSON as it came.
        let text: [UInt8]
        let id: String
        let kind: String
        let name: String
        let issuer: String
        let reason: String
        let state: String?
        let term: String?
        let warning: String?
        let isDamaged: Bool
        let issuedBefore: Int64?
        let until: Int64?
        let revokedAt: Int64

        init(_ read: JSONObject) {
            text = read.bytes
            id = read.string("id") ?? ""
            kind = read.string("kind") ?? ""
            name = read.string("value") ?? read.string("digest") ?? ""
            issuer = read.string("issuer") ?? ""
            reason = read.string("reason") ?? ""
            state = read.string("state")
            term = read.string("term")
            warning = read.string("warning")
            isDamaged = read.isTrue("damaged")
            issuedBefore = read.number("issued_before")
            until = read.number("until")
            revokedAt = read.number("revoked_at") ?? 0
        }

        /// What it names, for people.
        var what: String {
            let issued = issuedBefore.map { " issued until \(timestamp($0))" } ?? ""
            return switch kind {
            case "token": "the token with digest \(name.prefix(16))…"
            case "jti": "the token with jti `\(name)` of `\(issuer)`"
            case "subject": "all tokens of subject `\(name)` of `\(issuer)`\(issued)"
            case "client": "all tokens of client `\(name)` of `\(issuer)`\(issued)"
            case "issuer": "all tokens of `\(issuer)`\(issued)"
            case "key": "all tokens signed with key `\(name)` of `\(issuer)`\(issued)"
            default: "a revocation that could not be read"
            }
        }

        var line: String {
            if isDamaged { return "\(id)  a record that was damaged" }
            let end = until.map { "until \(timestamp($0))" } ?? "for ever"
            let why = reason.isEmpty ? "" : "  (\(reason))"
            return "\(id)  \(what), \(end), since \(timestamp(revokedAt))\(why)"
        }
    }

    private(set) var rows: [Row] = []
    private(set) var next: String?

    init() {}

    init(_ body: [UInt8]) throws {
        guard let read = JSONObject(body) else { throw fail("the daemon's answer cannot be read") }
        next = read.string("next")
        rows = (read.list("revocations") + read.list("removed")).map(Row.init)
    }
}
