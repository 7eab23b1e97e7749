internal import Kernel
internal import Signatures

/// Revocations of a store that no daemon has open, by the same requests that the admin listener takes.
public enum RevocationFiles {
    /// The folder of a store that holds its revocations.
    public static func folder(ofStore store: String) -> String { "\(store)/revocations" }

    /// Room for a million revocations of the longest names.
    public static let mapBytes = 8 << 30

    /// Answers one request from the files.
    /// - Parameters:
    ///   - store: the store's folder; it must exist.
    ///   - body: JSON, for POST.
    /// - Throws: `SystemError` when a daemon holds the store, or the folder cannot be used; a text for people when the
    ///   revocations cannot be read.
    public static func answer(
        _ method: String, _ target: String, body: [UInt8] = [], store: String, nowSeconds: Int64
    ) throws -> (status: Int, body: [UInt8]) {
        // Only for its refusal: a folder that is not there is a slip of the pen, not a new store.
        _ = try Files.stamp(store)
        let lock = try FileLock(path: "\(store)/daemon.lock")
        var request = PlainRequest(method: method, target: target)
        request.contentType = "application/json"
        request.body = body
        request.userID = Accounts.ownUserID
        let answer: PlainAnswer
        do throws(RevocationError) {
            let desk = try RevocationDesk(
                folder: folder(ofStore: store), mapBytes: mapBytes, clock: { nowSeconds },
                lifetime: { _ in .notConsulted }, log: EventLog(output: nil), publish: { _ in })
            answer = RevocationRoutes(desk).answer(request)
        } catch {
            answer = try mend(error, request, store)
        }
        _ = consume lock
        return (answer.status, answer.body)
    }

    /// A record that cannot be read keeps the others from being used; removing it by its ID is what mends that.
    private static func mend(
        _ error: RevocationError, _ request: PlainRequest, _ store: String
    ) throws(RevocationError) -> PlainAnswer {
        guard case .damaged(let id, _, _) = error, request.method == "DELETE", request.path == "/revocations/\(id)",
            let key = bytes(ofHexadecimal: id)
        else { return RevocationRoutes.failure(error) }
        guard try RevocationDesk.discard(key, folder: folder(ofStore: store), mapBytes: mapBytes) else {
            return RevocationRoutes.failure(error)
        }
        return PlainAnswer(200, Array("{\"removed\":[{\"id\":\"\(id)\",\"damaged\":true}]}".utf8))
    }
}
