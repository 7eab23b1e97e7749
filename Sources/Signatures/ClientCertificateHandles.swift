internal import COpenSSL

/// `X509`: one certificate, parsed.
@safe
struct CertificateHandle: ~Copyable {
    private let pointer: OpaquePointer

    /// - Throws: `notCertificate`, `trailingBytes`.
    init(der: Span<UInt8>) throws(CertificateError) {
        var consumed = 0
        // SAFETY: d2i_X509 reads `count` bytes during the call only, and moves `next` among them when it succeeds.
        let made = unsafe der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var next = buffer.baseAddress
            guard let start = unsafe next, let made = unsafe d2i_X509(nil, &next, buffer.count) else { return nil }
            if let next = unsafe next { consumed = unsafe next - start }
            return unsafe made
        }
        guard let made = unsafe made else { throw .notCertificate }
        guard consumed == der.count else {
            // SAFETY: nothing else holds it yet.
            unsafe X509_free(made)
            throw .trailingBytes(count: der.count - consumed)
        }
        unsafe pointer = made
    }

    // SAFETY: the initialiser took the only reference.
    deinit { unsafe X509_free(pointer) }

    enum Limit {
        case notBefore
        case notAfter
    }

    /// Unix seconds.
    func time(_ limit: Limit) throws(CertificateError) -> Int64 {
        // SAFETY: the time lives as long as the certificate, which self holds.
        let held = unsafe limit == .notBefore ? X509_get0_notBefore(pointer) : X509_get0_notAfter(pointer)
        guard let time = unsafe held else { throw .malformedTime }
        let type = unsafe ASN1_STRING_type(time)
        guard type == V_ASN1_UTCTIME || type == V_ASN1_GENERALIZEDTIME,
            let seconds = certificateSeconds(
                unsafe octets(of: time).span, isGeneralized: type == V_ASN1_GENERALIZEDTIME)
        else { throw .malformedTime }
        return seconds
    }

    /// The subject as RFC 4514 text. OpenSSL escapes everything outside printable ASCII.
    func subjectText() throws(CertificateError) -> [UInt8] {
        let output = try MemoryOutput()
        // SAFETY: the name lives as long as the certificate; both are held until the call returns.
        guard let name = unsafe X509_get_subject_name(pointer),
            unsafe X509_NAME_print_ex(output.pointer, name, 0, scopecheck_name_as_rfc2253) >= 0
        else { throw .malformedSubject }
        return output.bytes
    }

    /// - Returns: nil when the certificate has no such extension.
    func alternativeNames() throws(CertificateError) -> AlternativeNames? {
        // SAFETY: extension and value live as long as the certificate, which self holds.
        let place = unsafe X509_get_ext_by_NID(pointer, NID_subject_alt_name, -1)
        guard place >= 0 else { return nil }
        guard unsafe X509_get_ext_by_NID(pointer, NID_subject_alt_name, place) < 0,
            let value = unsafe X509_EXTENSION_get_data(X509_get_ext(pointer, place))
        else { throw .malformedAlternativeNames }
        return try AlternativeNames(der: unsafe octets(of: value).span)
    }
}

/// `GENERAL_NAMES`: the subject alternative names of a certificate (RFC 5280 §4.2.1.6).
@safe
struct AlternativeNames: ~Copyable {
    private let pointer: OpaquePointer

    init(der: Span<UInt8>) throws(CertificateError) {
        var consumed = 0
        // SAFETY: as for the certificate.
        let made = unsafe der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var next = buffer.baseAddress
            guard let start = unsafe next, let made = unsafe d2i_GENERAL_NAMES(nil, &next, buffer.count) else {
                return nil
            }
            if let next = unsafe next { consumed = unsafe next - start }
            return unsafe made
        }
        guard let made = unsafe made else { throw .malformedAlternativeNames }
        guard consumed == der.count else {
            // SAFETY: nothing else holds it yet.
            unsafe GENERAL_NAMES_free(made)
            throw .malformedAlternativeNames
        }
        unsafe pointer = made
    }

    // SAFETY: the initialiser took the only reference.
    deinit { unsafe GENERAL_NAMES_free(pointer) }

    enum Name {
        case uri([UInt8])
        case dns([UInt8])
        case other
    }

    var count: Int { Int(unsafe OPENSSL_sk_num(pointer)) }

    func name(_ index: Int) throws(CertificateError) -> Name {
        // SAFETY: OPENSSL_sk_value gives nil beyond the end; what it gives lives as long as self.
        guard let found = unsafe OPENSSL_sk_value(pointer, Int32(clamping: index)) else {
            throw .malformedAlternativeNames
        }
        var kind: Int32 = -1
        let value = unsafe GENERAL_NAME_get0_value(found.assumingMemoryBound(to: GENERAL_NAME.self), &kind)
        guard kind == GEN_URI || kind == GEN_DNS else { return .other }
        // SAFETY: both of these kinds hold an ASN1_IA5STRING, which is an ASN1_STRING.
        guard let text = unsafe value?.assumingMemoryBound(to: ASN1_STRING.self) else {
            throw .malformedAlternativeNames
        }
        let copy = unsafe octets(of: text)
        return kind == GEN_URI ? .uri(copy) : .dns(copy)
    }
}

/// `BIO` that keeps what is written to it.
@safe
private struct MemoryOutput: ~Copyable {
    let pointer: OpaquePointer

    init() throws(CertificateError) {
        // SAFETY: the new handle is ours, and freed in deinit.
        guard let made = unsafe BIO_new(BIO_s_mem()) else {
            throw .openssl(operation: "BIO_new", code: UInt(ERR_peek_last_error()))
        }
        unsafe pointer = made
    }

    // SAFETY: the initialiser took the only reference.
    deinit { unsafe BIO_free(pointer) }

    /// A copy of everything written.
    var bytes: [UInt8] {
        var start: UnsafeMutablePointer<UInt8>?
        // SAFETY: what BIO_CTRL_INFO points to are `count` bytes that live until the next write.
        let count = unsafe BIO_ctrl(pointer, BIO_CTRL_INFO, 0, &start)
        return unsafe [UInt8](UnsafeBufferPointer(start: start, count: start == nil ? 0 : max(0, count)))
    }
}

/// A copy of the bytes of an ASN.1 string; they may hold zero bytes.
@unsafe
private func octets(of string: UnsafePointer<ASN1_STRING>) -> [UInt8] {
    // SAFETY: data and length belong together, and the string outlives the call.
    let start = unsafe ASN1_STRING_get0_data(string)
    let count = unsafe ASN1_STRING_length(string)
    return unsafe [UInt8](UnsafeBufferPointer(start: start, count: start == nil ? 0 : max(0, Int(count))))
}
