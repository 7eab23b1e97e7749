internal import ArgumentParser
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Server
internal import Signatures
internal import Tokens

/// Where versions are kept: with a running daemon, or in the files of one that does not run.
struct PolicyPlace: ParsableArguments {
    @Option(name: [.long, .customLong("address")], help: "Admin address of the running daemon: unix:PATH.")
    var admin: AddressArgument?

    @Option(help: "Folder of the store, while no daemon runs on it.")
    var store: String?

    /// A policy of a million routes takes a while to compile.
    static let changeMilliseconds: Int64 = 20 * 60 * 1_000

    func validate() throws {
        guard admin == nil || store == nil else {
            throw ValidationError("give --admin of the running daemon, or --store while none runs")
        }
    }

    var address: ListenAddress { admin?.address ?? .unix(path: RevocationPlace.usualAdmin) }

    /// The answer to a GET, when it is 200.
    /// - Returns: nil for a version that there is none of.
    func find(_ target: String) throws -> [UInt8]? {
        let answer: (status: Int, body: [UInt8])
        if let store {
            answer = try inFiles(store) { try StoredPolicies.answer(target, store: store) }
        } else {
            answer = try ask("GET", target, [])
        }
        if answer.status == 404 { return nil }
        return try checked(answer)
    }

    /// The answer to a request that changes something, when it is 200.
    /// - Parameter offline: does the same in the files of a store.
    func change(
        _ target: String, body: [UInt8], offline: (_ store: String) throws -> (status: Int, body: [UInt8])
    ) throws -> [UInt8] {
        if let store { return try checked(try inFiles(store) { try offline(store) }) }
        return try checked(try ask("POST", target, body))
    }

    /// The bytes that a version was read from, as many as its name promises.
    func source(of version: Digest) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count <= PolicyBundle.bytesMax + (64 << 20) {
            guard let piece = try find("/policy/source?of=\(version)&from=\(bytes.count)") else {
                throw fail("\(name): the version `\(version)` is not in the store any more")
            }
            if piece.isEmpty { break }
            bytes += piece
        }
        guard PolicyStore.version(ofSource: bytes.span) == version else {
            throw fail("\(name): what is stored as version `\(version)` is not that version; restore the store")
        }
        return bytes
    }

    var name: String { store.map { "`\($0)`" } ?? "`\(address)`" }

    private func ask(_ method: String, _ target: String, _ body: [UInt8]) throws -> (status: Int, body: [UInt8]) {
        do throws(LocalHTTPError) {
            let response = try LocalHTTP.request(
                method, target, at: address, body: body,
                contentType: method == "POST" ? "application/octet-stream" : nil,
                deadlineMilliseconds: method == "POST" ? PolicyPlace.changeMilliseconds : 60_000,
                responseBytesMax: 64 << 20)
            return (response.status, response.body)
        } catch {
            let hint = admin == nil ? "; --admin unix:PATH says where it is, --store FOLDER is for while none runs" : ""
            let doubt = method == "POST" ? "nothing is known to be changed: " : ""
            throw fail("\(doubt)\(error)\(hint)")
        }
    }

    private func inFiles<R>(_ store: String, _ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch let error as SystemError where error.isWouldBlock {
            throw fail("a daemon runs on `\(store)`: \(error); or ask it: give --admin unix:PATH instead of --store")
        } catch let code as ExitCode {
            throw code
        } catch {
            throw fail("\(error)")
        }
    }

    private func checked(_ answer: (status: Int, body: [UInt8])) throws -> [UInt8] {
        if answer.status == 200 { return answer.body }
        let read = JSONObject(answer.body)
        let message = read?.string("error") ?? "it answered \(answer.status)"
        // A policy or a signature that is refused is an answer; everything else is a failure.
        if answer.status == 422 || answer.status == 403 {
            let reason = read?.string("reason").map { " (\($0))" } ?? ""
            _ = writeAll(2, Array("scopecheck: refused\(reason): \(message)\n".utf8).span)
            throw Ending.no
        }
        throw fail("\(name): \(message)")
    }
}

/// A JSON object of an answer, with its members copied out.
struct JSONObject {
    private let text: [UInt8]
    private var strings: [String: String] = [:]
    private var numbers: [String: Int64] = [:]
    private var truths: Set<String> = []
    /// Members that are objects, and lists of objects, as texts.
    private var objects: [String: [[UInt8]]] = [:]

    /// - Returns: nil for what is no object.
    init?(_ text: [UInt8]) {
        self.text = text
        var index = JSONIndex()
        guard
            (try? index.read(
                text.span,
                limits: JSONLimits(depthMax: 6, membersPerObjectMax: 64, namesMax: 16_384, valuesMax: 1 << 17)))
                != nil, let root = index.root, root.kind == .object
        else { return nil }
        var strings: [String: String] = [:]
        var numbers: [String: Int64] = [:]
        var truths: Set<String> = []
        var objects: [String: [[UInt8]]] = [:]
        var item = index.child(after: nil, of: root)
        while let current = item {
            let name = String(lossy: text.span.bytes(at: index.nameRange(of: current)))
            let raw = text.span.bytes(at: current.range)
            switch current.kind {
            case .string: strings[name] = current.string(in: text.span).map { String(decoding: $0, as: UTF8.self) }
            case .number: numbers[name] = Int64(String(lossy: raw))
            case .true: truths.insert(name)
            case .object: objects[name] = [[UInt8](copying: raw)]
            case .array:
                var list: [[UInt8]] = []
                var entry = index.child(after: nil, of: current)
                while let one = entry {
                    list.append([UInt8](copying: text.span.bytes(at: one.range)))
                    entry = index.child(after: one, of: current)
                }
                objects[name] = list
            default: break
            }
            item = index.child(after: current, of: root)
        }
        self.strings = strings
        self.numbers = numbers
        self.truths = truths
        self.objects = objects
    }

    var bytes: [UInt8] { text }
    func string(_ name: String) -> String? { strings[name] }
    func number(_ name: String) -> Int64? { numbers[name] }
    func isTrue(_ name: String) -> Bool { truths.contains(name) }
    func object(_ name: String) -> JSONObject? { objects[name]?.first.flatMap { JSONObject($0) } }
    func list(_ name: String) -> [JSONObject] { (objects[name] ?? []).compactMap { JSONObject($0) } }
}

/// Somebody else's text for a terminal: what a terminal would act on is not shown.
func shown(_ text: String) -> String {
    String(
        String.UnicodeScalarView(
            text.unicodeScalars.map { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: "\u{FFFD}"
                default: scalar
                }
            }))
}
