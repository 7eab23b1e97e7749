import Signatures
import Testing

@Suite("digests, names and random bytes")
struct DigestTests {
    @Test("FIPS 180-4 and other well known values")
    func knownValues() {
        let vectors: [([UInt8], String)] = [
            ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (bytes("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
            (
                [UInt8](repeating: 0x61, count: 1_000_000),
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
            ),
        ]
        var hasher = SHA256Hasher()
        for (message, expected) in vectors {
            let digest = sha256(message.span)
            #expect(digest.description == expected)
            #expect(digest.bytes == hexadecimal(expected))
            #expect(hasher.digest(message.span) == digest)
            #expect(digest.withSpan { span in span.indices.map { span[$0] } } == hexadecimal(expected))
            #expect(Digest(hexadecimal(expected).span) == digest)
            #expect((0..<Digest.count).map { digest[$0] } == hexadecimal(expected))
        }
        #expect(sha256(bytes("abc").span).firstWord == 0xba78_16bf_8f01_cfea)
    }

    @Test("pieces give the digest of the whole, and a half-done one is forgotten")
    func pieces() {
        let message = (0..<200).map { UInt8($0) }
        let whole = sha256(message.span)
        var hasher = SHA256Hasher()
        for cut in 0...message.count {
            hasher.update(Array(message[..<cut]).span)
            hasher.update(Array(message[cut...]).span)
            #expect(hasher.finish() == whole, "\(cut)")
        }
        hasher.update(bytes("left over").span)
        #expect(hasher.digest(message.span) == whole)
        let nothing: [UInt8] = []
        let ofNothing = sha256(nothing.span)
        #expect(hasher.finish() == ofNothing)
    }

    @Test("a part and the whole in one pass")
    func parts() {
        let message = (0..<200).map { UInt8($0) }
        let whole = sha256(message.span)
        var hasher = SHA256Hasher()
        hasher.update(bytes("left over").span)
        for cut in 0...message.count {
            let digest = hasher.digest(message.span, partCount: cut)
            let part = hasher.partDigest()
            let again = hasher.partDigest()
            let expected = sha256(Array(message[..<cut]).span)
            #expect(digest == whole && part == expected && again == expected, "\(cut)")
        }
        let nothing = hasher.finish()
        let ofNothing = sha256([UInt8]().span)
        #expect(nothing == ofNothing)
    }

    @Test("equality and hash values go by all 32 bytes")
    func equality() throws {
        let zeros = [UInt8](repeating: 0, count: 32)
        var seen: Set<Digest> = [try #require(digest(zeros))]
        for index in 0..<32 {
            var changed = zeros
            changed[index] = 1
            let other = try #require(digest(changed))
            #expect(seen.insert(other).inserted, "\(index)")
            #expect(other[index] == 1)
        }
        for count in [0, 31, 33] { #expect(digest([UInt8](repeating: 0, count: count)) == nil) }
    }

    @Test("an algorithm is found by its exact name alone")
    func names() {
        for algorithm in SignatureAlgorithm.allCases {
            #expect(named(algorithm.name) == algorithm)
            #expect(named(algorithm.name + " ") == nil)
            #expect(named(algorithm.name + "\0") == nil)
            #expect(named(algorithm.name.lowercased()) == nil)
        }
        #expect(named("EdDSA") == .ed25519)
        let refused = [
            "", "none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "ES256K", "Ed448", "EDDSA",
            "ED25519",
            "RS255", "Rs256", "RS1", "RSA-OAEP", "PS256\n", "\u{FEFF}RS256", "RS2566", "S256",
        ]
        for name in refused { #expect(named(name) == nil, "\(name)") }
    }

    @Test("random bytes are as many as asked for, and not the same twice")
    func random() {
        for count in [-1, 0] { #expect(randomBytes(count).isEmpty) }
        for count in [16, 32, 1_000] {
            let first = randomBytes(count)
            #expect(first.count == count)
            #expect(first != randomBytes(count))
        }
    }
}
