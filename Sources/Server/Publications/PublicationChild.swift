internal import Kernel
internal import Octets
public import Policy
internal import PolicyTables
public import Signatures
internal import Tokens

/// What the child that judges a publication says, as one line of JSON on its standard output.
///
/// `{"version":"…","service":"orders","kid":"ci-2026","serial":"1790…","ends":1790…,"widenings":["…"]}`, with
/// `"widenings_omitted":7` and `"warnings":["…"]` where there are any, or, with exit code 1,
/// `{"reason":"bad_signature","message":"…"}`.
public enum PublicationReply {
    /// Of what a child may say: findings and messages are bounded by it.
    static let bytesMax = 1 << 20
    private static let messageBytesMax = 65_536
    /// Other services wait for their turn meanwhile.
    static let judgeMillisecondsMax: Int64 = 60_000

    /// - Parameter version: of the policy with the publication, which is in the store.
    public static func text(
        _ judgement: PublicationReview.Judgement, _ publication: SignedPublication, version: Digest
    ) -> [UInt8] {
        var writer = JSONObjectWriter()
        writer.add("version", string: version.description)
        writer.add("service", string: publication.statement.service)
        writer.add("kid", string: publication.keyID)
        writer.add("serial", string: String(publication.statement.serial))
        if let ends = judgement.ends { writer.add("ends", number: ends) }
        // The rest is for `policy plan`.
        let shown = judgement.widenings.prefix(PublicationProposal.findingsMax)
        writer.add("widenings", strings: lines(shown.lines))
        if shown.omittedCount > 0 { writer.add("widenings_omitted", number: Int64(shown.omittedCount)) }
        if !judgement.warnings.isEmpty { writer.add("warnings", strings: lines(judgement.warnings)) }
        return writer.text()
    }

    private static func lines(_ texts: [String]) -> [String] {
        texts.map { String(decoding: $0.utf8.prefix(2_048), as: UTF8.self) }
    }

    public static func text(_ refusal: PublicationRefusal) -> [UInt8] {
        var writer = JSONObjectWriter()
        writer.add("reason", string: refusal.reason.rawValue)
        writer.add(
            "message",
            string: String(decoding: refusal.message.utf8.prefix(PublicationReply.messageBytesMax), as: UTF8.self))
        return writer.text()
    }

    /// - Returns: nil for what no child says.
    static func verdict(_ text: [UInt8]) -> PublicationVerdict? {
        var index = JSONIndex()
        let limits = JSONLimits(depthMax: 2, membersPerObjectMax: 8, allowsNUL: false)
        guard (try? index.read(text.span, limits: limits)) != nil, let root = index.root, root.kind == .object,
            let version = string("version", root, index, text).flatMap({ Digest(hexadecimal: $0) }),
            let service = string("service", root, index, text), let keyID = string("kid", root, index, text),
            let serial = string("serial", root, index, text).flatMap({ UInt64($0) }),
            let widenings = list("widenings", root, index, text)
        else { return nil }
        var verdict = PublicationVerdict(
            version: version, service: service, keyID: keyID, serial: serial, ends: nil, widenings: widenings)
        if let ends = index.member("ends", of: root, in: text.span) {
            guard ends.kind == .number, let seconds = Int64(String(lossy: text.span.bytes(at: ends.range))) else {
                return nil
            }
            verdict.ends = seconds
        }
        if let omitted = index.member("widenings_omitted", of: root, in: text.span) {
            guard omitted.kind == .number, let count = Int(String(lossy: text.span.bytes(at: omitted.range))), count > 0
            else { return nil }
            verdict.wideningsOmitted = count
        }
        if index.member("warnings", of: root, in: text.span) != nil {
            guard let warnings = list("warnings", root, index, text) else { return nil }
            verdict.warnings = warnings
        }
        return verdict
    }

    private static func list(
        _ name: StaticString, _ root: JSONValue, _ index: borrowing JSONIndex, _ text: [UInt8]
    ) -> [String]? {
        guard let list = index.member(name, of: root, in: text.span), list.kind == .array else { return nil }
        var strings: [String] = []
        var item = index.child(after: nil, of: list)
        while let current = item {
            guard let string = current.string(in: text.span) else { return nil }
            strings.append(String(decoding: string, as: UTF8.self))
            item = index.child(after: current, of: list)
        }
        return strings
    }

    static func refusal(_ text: [UInt8]) -> PublicationRefusal? {
        var index = JSONIndex()
        let limits = JSONLimits(depthMax: 2, membersPerObjectMax: 8, allowsNUL: false)
        guard (try? index.read(text.span, limits: limits)) != nil, let root = index.root, root.kind == .object,
            let reason = string("reason", root, index, text).flatMap({ PublicationRefusal.Reason(rawValue: $0) }),
            let message = string("message", root, index, text)
        else { return nil }
        return PublicationRefusal(reason, message)
    }

    private static func string(
        _ name: StaticString, _ root: JSONValue, _ index: borrowing JSONIndex, _ text: [UInt8]
    ) -> String? {
        guard let value = index.member(name, of: root, in: text.span), let bytes = value.string(in: text.span) else {
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Runs the child (`scopecheck policy load-publication`).
struct PublicationChild: Sendable {
    /// The child could not say anything.
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    let loader: PolicyLoader
    let storeFolder: String
    let mapBytes: Int
    let now: @Sendable () -> Int64
    /// Where relative paths of key files of the version start.
    let folder: @Sendable (_ version: Digest) -> String

    func judge(
        _ signed: [UInt8], _ against: Digest, _ term: PublicationReview.Term, _ origin: VersionOrigin
    ) throws -> PublicationVerdict {
        var arguments = [
            "policy", "load-publication", "--store", storeFolder, "--map-bytes", "\(mapBytes)", "--against",
            against.description, "--at", "\(now())", "--give-way",
        ]
        // An option without a value is a mistake to whoever reads the arguments.
        for (name, value) in [("folder", folder(against)), ("author", origin.author), ("note", origin.note)]
        where !value.isEmpty {
            arguments.append("--\(name)=\(value)")
        }
        if case .approved(let ends) = term { arguments += ["--approved-ends", ends.map { "\($0)" } ?? "never"] }
        let limits = ChildLimits(
            deadlineMilliseconds: PublicationReply.judgeMillisecondsMax, outputBytesMax: PublicationReply.bytesMax)
        let result = try loader.whileWriting {
            try ChildProcess.runSelf(arguments: arguments, input: signed, limits: limits)
        }
        let line = Array(result.standardOutput.split(separator: 0x0A).last ?? [])
        if result.succeeded, let verdict = PublicationReply.verdict(line) { return verdict }
        if result.end == .exited(status: 1), let refusal = PublicationReply.refusal(line) { throw refusal }
        let problem = String(decoding: result.standardError.prefix(4_096), as: UTF8.self)
        throw Failure(
            description:
                "the publication could not be judged (\(result.end)): \(problem.isEmpty ? "no message" : problem)")
    }
}
