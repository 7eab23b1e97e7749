internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Tokens

/// The key sets of a policy's issuers as far as they are files; nil for an issuer whose keys are elsewhere.
/// - Parameter folder: where relative paths start.
func fileKeys(of model: PolicyModel, folder: String, now: Int64) throws -> [KeySet?] {
    var sets: [KeySet?] = []
    for issuer in model.issuers {
        guard case .file(let path) = issuer.keySource else {
            sets.append(nil)
            continue
        }
        let resolved = Files.resolve(path, against: folder)
        let document = try readInput(resolved, bytesMax: TokenLimits.keySetBytesMax)
        do throws(KeySetError) {
            sets.append(try KeySet.parse(jwks: document.span, algorithms: issuer.algorithms, fetchedAt: now))
        } catch {
            throw fail("`\(resolved)`: \(error)")
        }
    }
    return sets
}
