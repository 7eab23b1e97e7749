internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Signatures
internal import Tokens

struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Checks, shows and makes tokens.",
        subcommands: [Verify.self, Signature.self, Decode.self, Mint.self])

    /// Where tokens come from: an argument, a file, or lines of standard input.
    struct Source: ParsableArguments {
        @Argument(help: "The token; standard input unless given.")
        var token: String?

        @Option(help: "File with one token.")
        var tokenFile: String?

        @Flag(help: "Read one token a line from standard input, write one JSON object a line.")
        var lines = false

        /// Calls `body` with each token; true means that it was good.
        func forEach(_ body: ([UInt8]) -> Bool) throws {
            if lines {
                let input = LineInput(descriptor: 0, lineBytesMax: 1 << 20)
                while let line = input.next() { _ = body(trimmingLineEnd(line)) }
                return
            }
            let bytes: [UInt8]
            if let token {
                bytes = Array(token.utf8)
            } else {
                bytes = trimmingLineEnd(try readInput(tokenFile ?? "-", bytesMax: 1 << 20))
            }
            if body(bytes) { return }
            if let token, (try? Files.stamp(token)) != nil {
                let name = shown(token)
                let hint = "scopecheck: `\(name)` is a file that is there; give `--token-file \(name)`\n"
                _ = writeAll(2, Array(hint.utf8).span)
            }
            throw Ending.no
        }
    }

    struct Signature: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks the signature of a compact JWS with any payload.",
            discussion: "One JSON object for each token: valid, reason, algorithm, kid. Exit 0 when valid, 1 when not.")

        @Option(help: "JWK set or single JWK, a file.")
        var jwks: String

        @OptionGroup var source: Source

        func run() throws {
            let document = try readInput(jwks, bytesMax: TokenLimits.keySetBytesMax)
            let keys: SignatureCheckKeys
            do throws(KeySetError) {
                keys = try SignatureCheckKeys(jwks: document.span)
            } catch {
                throw fail("`\(jwks)`: \(error)")
            }
            try source.forEach { token in
                var object = JSONObjectWriter()
                switch SignatureCheck.verifySignatureOnly(token.span, keys: keys) {
                case .valid(let algorithm, let keyID):
                    object.add("valid", boolean: true)
                    object.add("reason", string: "valid")
                    object.add("algorithm", string: algorithm)
                    if let keyID { object.add("kid", string: String(decoding: keyID, as: UTF8.self)) }
                    printOut(object.text() + [0x0A])
                    return true
                case .refused(let refusal):
                    object.add("valid", boolean: false)
                    object.add("reason", string: "\(refusal.name)")
                    printOut(object.text() + [0x0A])
                    return false
                }
            }
        }
    }

    struct Decode: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows header and claims of a token. Nothing is verified.")

        @OptionGroup var source: Source

        func run() throws {
            try source.forEach { token in
                var object = JSONObjectWriter()
                do throws(TokenRefusal) {
                    let decoded = try TokenDecode.read(token.span)
                    object.add("verified", boolean: false)
                    object.add("header", json: decoded.headerText)
                    object.add("claims", json: decoded.claimsText)
                    printOut(object.text() + [0x0A])
                    return true
                } catch {
                    object.add("error", string: "\(error.name)")
                    printOut(object.text() + [0x0A])
                    return false
                }
            }
        }
    }

    struct Mint: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a signed token, for development and tests.",
            discussion: "The claims go in as they are; with --lines, one JSON object of claims a line.")

        @Option(help: "Private JWK, a file (see `keys generate`).")
        var key: String

        @Option(help: "Claims, a JSON object; standard input unless given.")
        var claims: String?

        @Option(help: "Header `typ`; `none` leaves it out.")
        var type = "at+jwt"

        @Option(help: "Header `kid`; the key's own unless given, `none` leaves it out.")
        var kid: String?

        @Option(help: "Signature algorithm, for an RSA key; the key's own unless given.")
        var algorithm: String?

        @Flag(help: "Read one JSON object of claims a line.")
        var lines = false

        func run() throws {
            let jwk = try readPrivateKey(key)
            if lines {
                let input = LineInput(descriptor: 0, lineBytesMax: 1 << 20)
                while let line = input.next() { try mint(jwk, trimmingLineEnd(line)) }
            } else if let claims {
                try mint(jwk, Array(claims.utf8))
            } else {
                try mint(jwk, try readInput("-", bytesMax: 1 << 20))
            }
        }

        private func mint(_ jwk: PrivateJWK, _ claims: [UInt8]) throws {
            var algorithm = jwk.algorithm
            if let name = self.algorithm {
                guard let named = SignatureAlgorithm.named(Array(name.utf8).span) else {
                    throw fail("`\(name)` is no algorithm of this build")
                }
                algorithm = named
            }
            do throws(MintError) {
                let token = try TokenMint.token(
                    claims: claims.span, key: jwk.key, algorithm: algorithm,
                    keyID: kid == "none" ? nil : kid ?? jwk.keyID, type: type == "none" ? nil : type)
                printOut(token + [0x0A])
            } catch {
                throw fail("the token could not be made: \(error)")
            }
        }
    }
}
