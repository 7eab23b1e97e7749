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

        @OptionGroup var place: RevocationPlace

        @Flag(help: "Print one JSON object a line.")
        var json = false

        func run() throws {
            var after = ""
            var count = 0
            while true {
                var target = "/revocations?limit=200" + after
                if let issuer { target += "&issuer=\(hexadecimal(Array(issuer.utf8)))" }
                let answer = try RevocationAnswer(place.answer("GET", target))
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

        @OptionGroup var place: RevocationPlace

        @Flag(help: "Print what was taken back as JSON.")
        var json = false

        func validate() throws {
            guard id.utf8.count == 64, id.utf8.allSatisfy({ hexadecimalValue($0) != nil }) else {
                throw ValidationError("an ID has 64 hexadecimal digits; `scopecheck revocations list` shows them")
            }
        }

        func run() throws {
            let answer = try RevocationAnswer(place.answer("DELETE", "/revocations/\(id)", isMissingTaken: true))
            guard let row = answer.rows.first else {
                _ = writeAll(2, Array("scopecheck: there is no revocation `\(id)`\n".utf8).span)
                throw Ending.no
            }
            printOut(json ? row.text + [0x0A] : Array("taken back: \(row.line)\n".utf8))
        }
    }
}

/// Where revocations are kept: with a running daemon, or in the files of one that does not run.
struct RevocationPlace: ParsableArguments {
    /// Where the shipped units put it.
    static let usualAdmin = "/run/scopecheck/admin.sock"

    @Option(name: [.long, .customLong("address")], help: "Admin address of the running daemon: unix:PATH.")
    var admin: AddressArgument?

    @Option(help: "Folder of the store, while no daemon runs on it.")
    var store: String?

    func validate() throws {
        guard admin == nil || store == nil else {
            throw ValidationError("give --admin of the running daemon, or --store while none runs")
        }
    }

    /// The JSON of a 200.
    /// - Parameter isMissingTaken: a 404 gives `{}` instead of ending the command.
    func answer(
        _ method: String, _ target: String, body: [UInt8] = [], isMissingTaken: Bool = false
    ) throws -> [UInt8] {
        let (status, answer, where_) = try exchange(method, target, body)
        if status == 404, isMissingTaken, String(decoding: answer, as: UTF8.self).contains("no revocation") {
            return Array("{}".utf8)
        }
        guard status == 200 else {
            let message = errorMessage(answer) ?? "it answered \(status)"
            throw fail("\(where_): \(message)")
        }
        return answer
    }

    private func exchange(
        _ method: String, _ target: String, _ body: [UInt8]
    ) throws -> (status: Int, body: [UInt8], place: String) {
        if let store {
            do {
                let answer = try RevocationFiles.answer(
                    method, target, body: body, store: store, nowSeconds: nowSeconds())
                return (answer.status, answer.body, "`\(store)`")
            } catch let error as SystemError where error.isWouldBlock {
                throw fail(
                    "a daemon runs on `\(store)`: \(error); or ask it: give --admin unix:PATH instead of --store")
            } catch {
                throw fail("\(error)")
            }
        }
        let address = admin?.address ?? .unix(path: RevocationPlace.usualAdmin)
        do throws(LocalHTTPError) {
            let response = try LocalHTTP.request(
                method, target, at: address, body: body, contentType: method == "POST" ? "application/json" : nil,
                responseBytesMax: 16 << 20)
            return (response.status, response.body, "`\(address)`")
        } catch {
            let hint = admin == nil ? "; give --admin unix:PATH of the daemon, or --store FOLDER while none runs" : ""
            throw fail("nothing is known to be changed: \(error)\(hint)")
        }
    }

    private func errorMessage(_ body: [UInt8]) -> String? {
        var index = JSONIndex()
        guard (try? index.read(body.span, limits: JSONLimits(depthMax: 4))) != nil, let root = index.root,
            let text = index.member("error", of: root, in: body.span)?.string(in: body.span)
        else { return nil }
        return String(decoding: text, as: UTF8.self)
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
        var text: [UInt8]
        var id = ""
        var kind = ""
        var name = ""
        var issuer = ""
        var reason = ""
        var state = ""
        var term = ""
        var warning: String?
        var isDamaged = false
        var issuedBefore: Int64?
        var until: Int64?
        var revokedAt: Int64 = 0

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

    init(_ body: [UInt8]) throws {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(
                body.span, limits: JSONLimits(depthMax: 4, membersPerObjectMax: 32, namesMax: 4_096, valuesMax: 1 << 20)
            )
        } catch {
            throw fail("the daemon's answer cannot be read: \(error)")
        }
        guard let root = index.root else { return }
        next = index.member("next", of: root, in: body.span)?.string(in: body.span).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard
            let list = index.member("revocations", of: root, in: body.span)
                ?? index.member("removed", of: root, in: body.span)
        else { return }
        var item = index.child(after: nil, of: list)
        while let current = item {
            rows.append(RevocationAnswer.row(current, index, body.span))
            item = index.child(after: current, of: list)
        }
    }

    private static func row(_ object: JSONValue, _ index: borrowing JSONIndex, _ text: Span<UInt8>) -> Row {
        func string(_ name: StaticString) -> String? {
            index.member(name, of: object, in: text)?.string(in: text).map { String(decoding: $0, as: UTF8.self) }
        }
        func number(_ name: StaticString) -> Int64? {
            index.member(name, of: object, in: text).flatMap { Int64(String(lossy: text.bytes(at: $0.range))) }
        }
        var row = Row(text: [UInt8](copying: text.bytes(at: object.range)))
        row.id = string("id") ?? ""
        row.kind = string("kind") ?? ""
        row.name = string("value") ?? string("digest") ?? ""
        row.issuer = string("issuer") ?? ""
        row.reason = string("reason") ?? ""
        row.state = string("state") ?? ""
        row.term = string("term") ?? ""
        row.warning = string("warning")
        row.isDamaged = index.member("damaged", of: object, in: text) != nil
        row.issuedBefore = number("issued_before")
        row.until = number("until")
        row.revokedAt = number("revoked_at") ?? 0
        return row
    }
}
