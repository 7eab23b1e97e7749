internal import Kernel
internal import PolicyTables

/// Who must have signed what decides.
struct SigningRule: Sendable {
    let signers: TrustedSigners
    /// Where relative paths of key files start: the folder of the file with the trusted keys.
    let folder: String

    /// - Throws: what a person must mend before the daemon can start.
    init(trustedKeysFile file: String, required: Int) throws {
        let document = try Files.read(file, bytesMax: TrustedSigners.fileBytesMax).bytes
        do throws(TrustedSignersError) {
            signers = try TrustedSigners(jwks: document, required: required)
        } catch {
            throw StartRefusal(description: "`\(file)`: \(error)")
        }
        folder = Files.split(try Files.absolute(file)).folder
    }
}
