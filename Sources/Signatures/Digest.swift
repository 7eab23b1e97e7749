internal import COpenSSL

/// A SHA-256 value, 32 bytes held inline.
public struct Digest: Hashable, Sendable {
    public static let count = 32

    /// The bytes in order, eight to a word, the first byte in the top bits.
    let words: (UInt64, UInt64, UInt64, UInt64)

    init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// - Returns: nil unless there are exactly 32 bytes.
    public init?(_ bytes: Span<UInt8>) {
        guard bytes.count == Digest.count else { return nil }
        func word(_ start: Int) -> UInt64 {
            var value: UInt64 = 0
            for index in start..<start + 8 { value = value << 8 | UInt64(bytes[index]) }
            return value
        }
        words = (word(0), word(8), word(16), word(24))
    }

    /// A digest of exactly 64 lower-case hexadecimal digits, as `description` writes them; nil for any other text.
    public init?(hexadecimal text: String) {
        let digits = Array(text.utf8)
        guard digits.count == 2 * Digest.count else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Digest.value(digits[index]), let low = Digest.value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        self.init(bytes.span)
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }

    /// The first eight bytes as a big-endian number: a well mixed key for tables.
    public var firstWord: UInt64 { words.0 }

    /// The byte at 0..<32; a breach traps.
    public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < Digest.count)
        let word =
            switch index >> 3 {
            case 0: words.0
            case 1: words.1
            case 2: words.2
            default: words.3
            }
        return UInt8(truncatingIfNeeded: word >> UInt64(56 - (index & 7) * 8))
    }

    /// Lends the 32 bytes. Allocates nothing.
    public func withSpan<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        let inline = InlineArray<32, UInt8> { self[$0] }
        return try body(inline.span)
    }

    /// Writes the 32 bytes to `output`, which has room for them.
    @unsafe
    func write(to output: UnsafeMutablePointer<UInt8>) {
        let room = UnsafeMutableRawPointer(output)
        unsafe room.storeBytes(of: words.0.bigEndian, toByteOffset: 0, as: UInt64.self)
        unsafe room.storeBytes(of: words.1.bigEndian, toByteOffset: 8, as: UInt64.self)
        unsafe room.storeBytes(of: words.2.bigEndian, toByteOffset: 16, as: UInt64.self)
        unsafe room.storeBytes(of: words.3.bigEndian, toByteOffset: 24, as: UInt64.self)
    }

    /// A copy of the 32 bytes.
    public var bytes: [UInt8] { (0..<Digest.count).map { self[$0] } }

    public static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}

extension Digest: CustomStringConvertible {
    /// 64 lower-case hexadecimal digits.
    public var description: String {
        let digits: [UInt8] = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(2 * Digest.count)
        for index in 0..<Digest.count {
            text.append(digits[Int(self[index] >> 4)])
            text.append(digits[Int(self[index] & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// SHA-256 (FIPS 180-4) in one piece or in several. Allocates nothing. One thread at a time.
///
/// Example: the digest of `abc` begins with `ba7816bf`.
@safe
public struct SHA256Hasher: ~Copyable {
    private var context: SHA256_CTX
    /// As it was when the first part of the bytes had been added.
    private var partContext = SHA256_CTX()

    public init() {
        context = SHA256_CTX()
        // SAFETY: the context is self's own storage, held exclusively.
        unsafe SHA256_Init(&context)
    }

    /// The digest of `bytes` alone; what was added before and not finished is forgotten.
    public mutating func digest(_ bytes: Span<UInt8>) -> Digest {
        // SAFETY: the context is self's own storage, held exclusively.
        unsafe SHA256_Init(&context)
        update(bytes)
        return finish()
    }

    /// The same, keeping what `partDigest` makes the digest of the first `partCount` bytes of: of bytes that both belong
    /// to, nothing is hashed twice.
    /// - Parameter partCount: 0 to the number of bytes; a breach traps.
    public mutating func digest(_ bytes: Span<UInt8>, partCount: Int) -> Digest {
        // SAFETY: the context is self's own storage, held exclusively.
        unsafe SHA256_Init(&context)
        update(bytes.extracting(0..<partCount))
        partContext = context
        update(bytes.extracting(partCount..<bytes.count))
        return finish()
    }

    /// The digest of the first part of what the last `digest(_:partCount:)` was of.
    public func partDigest() -> Digest {
        var ended = partContext
        return SHA256Hasher.finished(&ended)
    }

    public mutating func update(_ bytes: Span<UInt8>) {
        // SAFETY: the bytes are read during the call only.
        unsafe bytes.withUnsafeBufferPointer { buffer in
            _ = unsafe SHA256_Update(&context, buffer.baseAddress, buffer.count)
        }
    }

    /// The digest of all that was added since the start or the last call; begins anew.
    public mutating func finish() -> Digest {
        let digest = SHA256Hasher.finished(&context)
        // SAFETY: the context is self's own storage, held exclusively.
        unsafe SHA256_Init(&context)
        return digest
    }

    private static func finished(_ context: inout SHA256_CTX) -> Digest {
        var output: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        // SAFETY: SHA256_Final writes 32 bytes, and four words are 32 bytes without padding.
        unsafe withUnsafeMutableBytes(of: &output) { raw in
            let start = unsafe raw.baseAddress?.assumingMemoryBound(to: UInt8.self)
            _ = unsafe SHA256_Final(start, &context)
        }
        return Digest(
            words: (
                UInt64(bigEndian: output.0), UInt64(bigEndian: output.1), UInt64(bigEndian: output.2),
                UInt64(bigEndian: output.3)
            ))
    }
}

/// SHA-256 of `bytes`.
public func sha256(_ bytes: Span<UInt8>) -> Digest {
    var hasher = SHA256Hasher()
    return hasher.digest(bytes)
}

/// Bytes from the system's random generator, fit for secrets.
///
/// A machine without a working generator can make no secret, so the process ends instead of going on.
public func randomBytes(_ count: Int) -> [UInt8] {
    guard count > 0 else { return [] }
    var result = [UInt8](repeating: 0, count: count)
    // SAFETY: RAND_bytes writes exactly `count` bytes when it returns 1.
    let done = unsafe result.withUnsafeMutableBufferPointer { buffer in
        unsafe RAND_bytes(buffer.baseAddress, Int32(clamping: buffer.count))
    }
    precondition(done == 1 && count <= Int(Int32.max), "the system's random generator failed")
    return result
}
