internal import Octets

/// The syntax of scopes (RFC 6749 §3.3): `scope = scope-token *( SP scope-token )`.
public enum ScopeSyntax {
    /// NQCHAR: %x21 / %x23-5B / %x5D-7E.
    @inlinable
    public static func isTokenByte(_ byte: UInt8) -> Bool {
        byte >= 0x21 && byte <= 0x7E && byte != 0x22 && byte != 0x5C
    }

    /// Whether the bytes are one scope-token.
    public static func isToken(_ bytes: Span<UInt8>) -> Bool {
        for index in bytes.indices where !isTokenByte(bytes[index]) { return false }
        return bytes.count > 0
    }

    /// How many scope-tokens the text has, single spaces between.
    /// - Returns: nil when it is not of that form: empty, a tab, two spaces, a space at an end, …
    public static func count(_ text: Span<UInt8>) -> Int? {
        var tokens = 0
        var inToken = false
        for index in text.indices {
            if isTokenByte(text[index]) {
                if !inToken { tokens += 1 }
                inToken = true
            } else {
                guard text[index] == 0x20, inToken else { return nil }
                inToken = false
            }
        }
        return inToken ? tokens : nil
    }
}
