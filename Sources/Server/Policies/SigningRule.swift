internal import Kernel
internal import PolicyTables
internal import Synchronization

/// Who must have signed what decides. The keys may change while the daemon runs; how many must sign does not.
final class SigningRule: Sendable {
    /// A JWK set, where the settings name it.
    let file: String
    /// Where relative paths of key files start: the folder of the file with the trusted keys.
    let folder: String
    private let trusted: Mutex<TrustedSigners>

    /// The keys that are trusted now.
    var signers: TrustedSigners { trusted.withLock { $0 } }

    /// - Throws: what a person must mend before the daemon can start.
    init(trustedKeysFile file: String, required: Int) throws {
        self.file = file
        folder = Files.split(try Files.absolute(file)).folder
        trusted = Mutex(try SigningRule.read(file, required: required))
    }

    /// The rule of these settings; nil where versions need no signatures.
    /// - Throws: for settings that would leave it unclear whether they do, and for keys that cannot be used.
    static func wanted(by settings: DaemonSettings) throws -> SigningRule? {
        guard settings.requiredSignatures > 0 else {
            guard settings.trustedKeysFile == nil else {
                throw StartRefusal(
                    description:
                        "trusted keys without a number of signatures check nothing; give --require-signatures too")
            }
            return nil
        }
        guard let file = settings.trustedKeysFile else {
            throw StartRefusal(description: "signatures are required and nobody is trusted; give --trusted-keys FILE")
        }
        guard settings.policy == nil else {
            throw StartRefusal(
                description:
                    "with required signatures no policy file is read; leave --policy out and bring the policy in "
                    + "with `scopecheck policy apply --signatures`")
        }
        return try SigningRule(trustedKeysFile: file, required: settings.requiredSignatures)
    }

    /// The keys that the file holds now. They are not trusted yet.
    /// - Throws: why they cannot be.
    func read() throws -> TrustedSigners { try SigningRule.read(file, required: signers.required) }

    /// Takes these keys in place of all others.
    func trust(_ signers: TrustedSigners) { trusted.withLock { $0 = signers } }

    private static func read(_ file: String, required: Int) throws -> TrustedSigners {
        let document = try Files.read(file, bytesMax: TrustedSigners.fileBytesMax).bytes
        do throws(TrustedSignersError) {
            return try TrustedSigners(jwks: document, required: required)
        } catch {
            throw StartRefusal(description: "`\(file)`: \(error)")
        }
    }
}
