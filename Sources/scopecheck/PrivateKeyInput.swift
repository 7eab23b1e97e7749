internal import Tokens

/// The private JWK of a file, or of standard input for `-`.
func readPrivateKey(_ path: String) throws -> PrivateJWK {
    let text = try readInput(path, bytesMax: 1 << 16)
    do throws(PrivateJWKError) {
        return try PrivateJWK(parsing: text.span)
    } catch {
        guard JSONObject(text)?.raw("keys") != nil else { throw fail("`\(path)`: \(error)") }
        throw fail("`\(path)` is a set of keys; give the private key, as `keys generate` writes it to private.jwk")
    }
}
