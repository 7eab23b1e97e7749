internal import Octets
public import Signatures

/// Which key the bearer of a token has to prove possession of (RFC 7800 §3.1, the `cnf` claim).
///
/// Example: `{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}` is `jwkThumbprint`.
public enum TokenConfirmation: Equatable, Sendable {
    /// The token has no `cnf`: a bearer token.
    case none
    /// `jkt` (RFC 9449 §6.1): the thumbprint that `VerifiedProof` must have.
    case jwkThumbprint(Digest)
    /// `x5t#S256` (RFC 8705 §3.1): SHA-256 of the client certificate in DER.
    case certificateThumbprint(Digest)
}

/// The `cnf` claim as it was read.
enum ConfirmationClaim {
    case absent
    case known(TokenConfirmation)
    /// An object that names no method, several, one of another kind, or a value of another form than its method
    /// has: bound to something that cannot be proved here.
    case unknown
}

extension JSONIndex {
    /// - Parameter place: of `cnf`; 0 when absent.
    /// - Throws: `claimsMalformed` when it is no object.
    func confirmation(at place: Int, in text: Span<UInt8>) throws(TokenRefusal) -> ConfirmationClaim {
        guard let claim = value(at: place) else { return .absent }
        guard claim.kind == .object else { throw .claimsMalformed }
        // A second member may be a second condition, which nobody here would check.
        guard let method = child(after: nil, of: claim), child(after: method, of: claim) == nil,
            let thumbprint = digest(of: method, in: text)
        else { return .unknown }
        if member("jkt", of: claim, in: text) != nil { return .known(.jwkThumbprint(thumbprint)) }
        if member("x5t#S256", of: claim, in: text) != nil { return .known(.certificateThumbprint(thumbprint)) }
        return .unknown
    }

    /// The 32 bytes that a string value spells as strict base64url without padding; nil for anything else.
    func digest(of value: JSONValue, in text: Span<UInt8>) -> Digest? {
        guard value.kind == .string else { return nil }
        // base64url of 32 bytes.
        var spelling = InlineArray<43, UInt8>(repeating: 0)
        var count = 0
        var bytes = UnescapedBytes(text.bytes(at: value.range))
        while let byte = bytes.next() {
            guard count < spelling.count else { return nil }
            spelling[count] = byte
            count += 1
        }
        guard count == spelling.count else { return nil }
        var decoded = InlineArray<32, UInt8>(repeating: 0)
        var room = decoded.mutableSpan
        guard Base64URL.decode(spelling.span, into: &room) == Digest.count else { return nil }
        return Digest(decoded.span)
    }
}
