internal import COpenSSL

/// SHA-2 as the JWS algorithms use it.
enum MessageHash: UInt8, Sendable {
    case sha256, sha384, sha512

    static let longestBytes = 64

    var count: Int {
        switch self {
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    /// The name that OpenSSL fetches the hash by.
    var opensslName: StaticString {
        switch self {
        case .sha256: "SHA256"
        case .sha384: "SHA384"
        case .sha512: "SHA512"
        }
    }

    /// Writes `count` bytes to `output`. Allocates nothing.
    @unsafe
    func digest(_ message: UnsafeBufferPointer<UInt8>, into output: UnsafeMutablePointer<UInt8>) {
        // SAFETY: the contexts are locals; the message is lent and `output` has room for `count` bytes.
        // The context functions of SHA-2 return 1 always.
        switch self {
        case .sha256:
            var context = SHA256_CTX()
            unsafe SHA256_Init(&context)
            unsafe SHA256_Update(&context, message.baseAddress, message.count)
            unsafe SHA256_Final(output, &context)
        case .sha384:
            var context = SHA512_CTX()
            unsafe SHA384_Init(&context)
            unsafe SHA384_Update(&context, message.baseAddress, message.count)
            unsafe SHA384_Final(output, &context)
        case .sha512:
            var context = SHA512_CTX()
            unsafe SHA512_Init(&context)
            unsafe SHA512_Update(&context, message.baseAddress, message.count)
            unsafe SHA512_Final(output, &context)
        }
    }
}
