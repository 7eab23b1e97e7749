internal import Kernel
internal import Octets
internal import PolicyTables
internal import Server
internal import Signatures

extension StorePlace {
    /// The answer to a GET about versions, when it is 200.
    /// - Returns: nil for a version that there is none of.
    func find(_ target: String) throws -> [UInt8]? {
        let answer = try ask("GET", target, patience: .reading) { try StoredPolicies.answer(target, store: $0) }
        // A listener that knows no versions says which one it is.
        return answer.status == 404 && answer.object?.string("listener") == nil ? nil : try accepted(answer)
    }

    /// The answer to a request that changes which version decides, when it is 200.
    /// - Parameter offline: does the same in the files of a store.
    func change(
        _ target: String, body: [UInt8], offline: (_ store: String) throws -> (status: Int, body: [UInt8])
    ) throws -> [UInt8] {
        try accepted(try ask("POST", target, body: body, patience: .change, offline: offline))
    }

    /// - Returns: nil when it may be made anew and a service published meanwhile: publications wait now.
    func change(
        _ target: String, body: [UInt8], mayBeMadeAnew: Bool,
        offline: (_ store: String) throws -> (status: Int, body: [UInt8])
    ) throws -> [UInt8]? {
        let answer = try ask("POST", target, body: body, patience: .change, offline: offline)
        if mayBeMadeAnew, answer.status == 409, JSONObject(answer.body)?.string("reason") == "overtaken" { return nil }
        return try accepted(answer)
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

    private func accepted(_ answer: DaemonPlace.Answer) throws -> [UInt8] {
        switch answer.status {
        case 200: return answer.body
        // A policy or a signature that is refused is an answer; everything else is a failure.
        case 403, 422:
            _ = writeAll(2, Array(answer.refusal.utf8).span)
            throw Ending.no
        default: throw fail("\(name): \(answer.error)")
        }
    }
}
