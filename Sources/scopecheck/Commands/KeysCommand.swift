internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Signatures
internal import Tokens

struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Makes signing keys.",
        subcommands: [Generate.self])

    struct Generate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a key pair: of a signer, of a publisher, or of an issuer for tests.",
            discussion: """
                With --output it writes private.jwk (mode 0600) and jwks.json into the folder; without, one JSON \
                object with both to standard output. A real issuer keeps keys of its own.
                """)

        @Option(help: "RS256 … PS512, ES256, ES384, ES512 or EdDSA.")
        var algorithm = "ES256"

        @Option(help: "Key ID; the key's thumbprint (RFC 7638) unless given.")
        var kid: String?

        @Option(help: "Bits of an RSA key, 2048 to 8192.")
        var bits = 2_048

        @Option(help: "Folder to write private.jwk and jwks.json to.")
        var output: String?

        @Flag(help: "Print what was made as JSON.")
        var json = false

        func run() throws {
            guard let algorithm = SignatureAlgorithm.named(Array(algorithm.utf8).span) else {
                throw fail("`\(self.algorithm)` is no algorithm of this build; use RS256, PS256, ES256 or EdDSA")
            }
            let privateText: [UInt8]
            let publicText: [UInt8]
            let keyID: String
            do throws(KeyError) {
                let key = try PrivateKey.generate(algorithm, modulusBits: bits)
                let jwk = try PrivateJWK(key: key, algorithm: algorithm, keyID: kid)
                privateText = try jwk.privateText()
                publicText = JWKText.set([try jwk.publicText()])
                keyID = jwk.keyID
            } catch {
                throw fail("the key could not be made: \(error)")
            }
            guard let output else {
                printOut(
                    Array("{\"private\":".utf8) + privateText + Array(",\"jwks\":".utf8) + publicText + [0x7D, 0x0A])
                return
            }
            let privatePath = Files.join(output, "private.jwk")
            let publicPath = Files.join(output, "jwks.json")
            do throws(SystemError) {
                try Files.makeFolder(output)
                // Somebody may still need the key that is there.
                try Files.create(privatePath, bytes: (privateText + [0x0A]).span, mode: 0o600)
                try Files.replace(publicPath, bytes: (publicText + [0x0A]).span, mode: 0o644)
            } catch {
                throw fail("\(error)")
            }
            if json {
                var object = JSONObjectWriter()
                object.add("kid", string: keyID)
                object.add("private_key", string: privatePath)
                object.add("jwks", string: publicPath)
                printOut(object.text() + [0x0A])
            } else {
                printOut("key \(keyID) (\(algorithm.name)): \(privatePath) (keep it secret), \(publicPath)\n")
            }
        }
    }
}
