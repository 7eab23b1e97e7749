internal import Kernel
internal import PolicyTables
internal import Signatures
internal import Synchronization

/// The requests that change the policy, each on a thread of its own.
///
///     POST /policy/versions   one line of JSON (`PolicyChangeRequest`), a line feed, then the bundle's bytes
///     POST /policy/rollback   the line of JSON alone
///
/// A bundle goes to a file in the store's folder as it comes in, and the file goes in every outcome. One bundle at a time;
/// a rollback does not wait for a bundle that is being compiled.
final class PolicyUploads: Sendable {
    static let applyPath = "/policy/versions"
    static let rollbackPath = "/policy/rollback"
    static let paths = [applyPath, rollbackPath]
    static let bodyBytesMax = PolicyBundle.bytesMax + PolicyChangeRequest.textBytesMax + 1
    static let rollbacksMax = 4

    private struct Turns {
        var isApplying = false
        var rollbacks = 0
    }

    private let policies: PolicyDesk
    private let storeFolder: String
    private let log: EventLog
    private let turns = Mutex(Turns())

    init(_ policies: PolicyDesk, storeFolder: String, log: EventLog) {
        self.policies = policies
        self.storeFolder = storeFolder
        self.log = log
    }

    static func spoolPath(_ storeFolder: String) -> String { "\(storeFolder)/apply.spool" }

    /// Takes a request over, of which nothing but the head was read.
    /// - Returns: nil when a thread will answer it.
    func take(_ upload: PlainUpload) -> PlainAnswer? {
        let request = upload.request
        // Browsers say where a request that changes something comes from; commands have no origin.
        guard !request.hasOrigin else { return .failure(403, "a request from a web page is not taken") }
        guard request.contentType?.lowercased() == "application/octet-stream" else {
            return .failure(415, "send `Content-Type: application/octet-stream`")
        }
        let isApply = request.target == PolicyUploads.applyPath
        guard isApply || upload.bodyBytes <= PolicyChangeRequest.textBytesMax else {
            return .failure(413, "the body is too long for this request")
        }
        let hasTurn = turns.withLock { turns in
            guard isApply ? !turns.isApplying : turns.rollbacks < PolicyUploads.rollbacksMax else { return false }
            if isApply { turns.isApplying = true } else { turns.rollbacks += 1 }
            return true
        }
        guard hasTurn else {
            return PolicyChangeRefusal.conflict(
                isApply
                    ? "another policy is being applied; try again when that has ended"
                    : "\(PolicyUploads.rollbacksMax) rollbacks are being asked for already; try again in a few seconds"
            ).answer
        }
        return upload.answerOnThread(
            name: isApply ? "policy-apply" : "policy-rollback",
            endTurn: { [self] in
                turns.withLock { turns in
                    if isApply { turns.isApplying = false } else { turns.rollbacks -= 1 }
                }
            }, { [self] in try isApply ? answer($0, apply) : answer($0, rollback) })
    }

    private func answer(
        _ upload: PlainUpload, _ change: (PlainUpload) throws -> [UInt8]
    ) throws -> PlainAnswer {
        do {
            return PlainAnswer(200, try change(upload))
        } catch let refusal as PolicyChangeRefusal {
            return refusal.answer
        } catch let error as SystemError where Files.isFull(error) {
            return PolicyChangeRefusal.full("the policy could not be taken in: \(error)").answer
        }
    }

    private func rollback(_ upload: PlainUpload) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try upload.read { bytes += $0 }
        return try policies.rollback(try signed(PolicyChangeRequest(parsing: bytes), upload)).json
    }

    private func apply(_ upload: PlainUpload) throws -> [UInt8] {
        let spool = try SpoolFile(path: PolicyUploads.spoolPath(storeFolder))
        var line: [UInt8] = []
        var request: PolicyChangeRequest?
        var hasher = VersionHasher()
        try upload.read { piece in
            guard request == nil else {
                hasher.update(piece.span)
                return try spool.append(piece.span)
            }
            line += piece
            guard let end = line.firstIndex(of: 0x0A) else {
                guard line.count <= PolicyChangeRequest.textBytesMax else {
                    throw PolicyChangeRefusal.malformed("its first line is too long")
                }
                return
            }
            guard end <= PolicyChangeRequest.textBytesMax else {
                throw PolicyChangeRefusal.malformed("its first line is too long")
            }
            request = try signed(PolicyChangeRequest(parsing: Array(line[..<end])), upload)
            let rest = Array(line[(end + 1)...])
            line = []
            hasher.update(rest.span)
            try spool.append(rest.span)
        }
        guard let request else { throw PolicyChangeRefusal.malformed("it has no line of JSON before the policy") }
        guard !request.folder.isEmpty else { throw PolicyChangeRefusal.malformed("`folder` is missing") }
        // Whoever reads the file must find it until then.
        defer { withExtendedLifetime(spool) {} }
        let version = hasher.finish()
        guard request.isStaged else { return try policies.apply(version, bundle: spool.path, request).json }
        return try policies.stage(version, bundle: spool.path, request).json
    }

    /// With the user of the connection, which the system vouches for, beside what the command says.
    private func signed(_ request: PolicyChangeRequest, _ upload: PlainUpload) -> PolicyChangeRequest {
        var request = request
        guard let user = upload.request.userID else { return request }
        request.author += request.author.isEmpty ? "uid \(user)" : " (uid \(user))"
        return request
    }
}
