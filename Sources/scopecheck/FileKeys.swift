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

/// The bytes of a policy's key files, by issuer; nil for one that cannot be read and for an issuer without one.
func keyFileBytes(of model: PolicyModel, folder: String) -> [[UInt8]?] {
    model.issuers.map { issuer in
        guard case .file(let path) = issuer.keySource else { return nil }
        return try? Files.read(Files.resolve(path, against: folder), bytesMax: TokenLimits.keySetBytesMax).bytes
    }
}
