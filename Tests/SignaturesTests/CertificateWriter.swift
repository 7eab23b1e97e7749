/// Certificates written byte by byte, so that each can be wrong in one way. Their signatures are zeros: nobody here
/// checks them.
struct CertificateWriter {
    /// X.690 §8.1.2 identifier octets.
    enum Tag {
        static let utf8: UInt8 = 0x0C
        static let printable: UInt8 = 0x13
        static let ia5: UInt8 = 0x16
        static let utcTime: UInt8 = 0x17
        static let generalizedTime: UInt8 = 0x18
        static let sequence: UInt8 = 0x30
        static let set: UInt8 = 0x31
        // GeneralName, RFC 5280 §4.2.1.6.
        static let otherName: UInt8 = 0xA0
        static let email: UInt8 = 0x81
        static let dns: UInt8 = 0x82
        static let uri: UInt8 = 0x86
        static let address: UInt8 = 0x87
    }

    static let commonName: [UInt8] = [0x55, 0x04, 0x03]
    static let organization: [UInt8] = [0x55, 0x04, 0x0A]

    var notBefore: (tag: UInt8, text: String) = (Tag.utcTime, "200101000000Z")
    var notAfter: (tag: UInt8, text: String) = (Tag.generalizedTime, "21200101000000Z")
    /// In the order of the certificate, the most general first.
    var subject: [(type: [UInt8], tag: UInt8, value: [UInt8])] = []
    /// nil leaves the extension out.
    var names: [(tag: UInt8, value: [UInt8])]?
    /// How often the extension stands there.
    var namesCount = 1
    /// Stands in place of the names' sequence.
    var rawNames: [UInt8]?

    init(uris: [String] = [], dns: [String] = [], commonName: String? = nil) {
        let all = uris.map { (Tag.uri, Array($0.utf8)) } + dns.map { (Tag.dns, Array($0.utf8)) }
        names = all.isEmpty ? nil : all
        if let commonName { subject = [(CertificateWriter.commonName, Tag.utf8, Array(commonName.utf8))] }
    }

    func with(_ change: (inout CertificateWriter) -> Void) -> CertificateWriter {
        var copy = self
        change(&copy)
        return copy
    }

    var der: [UInt8] {
        // Ed25519, RFC 8410 §3; the key is that of RFC 8032 §7.1, test 1.
        let algorithm = element(Tag.sequence, [0x06, 0x03, 0x2B, 0x65, 0x70])
        let key: [UInt8] = [
            0xD7, 0x5A, 0x98, 0x01, 0x82, 0xB1, 0x0A, 0xB7, 0xD5, 0x4B, 0xFE, 0xD3, 0xC9, 0x64, 0x07, 0x3A,
            0x0E, 0xE1, 0x72, 0xF3, 0xDA, 0xA6, 0x23, 0x25, 0xAF, 0x02, 0x1A, 0x68, 0xF7, 0x07, 0x51, 0x1A,
        ]
        var parts = element(0xA0, [0x02, 0x01, 0x02]) + [0x02, 0x01, 0x01] + algorithm
        parts += name([(CertificateWriter.commonName, Tag.utf8, Array("issuer".utf8))])
        parts += element(
            Tag.sequence,
            element(notBefore.tag, Array(notBefore.text.utf8)) + element(notAfter.tag, Array(notAfter.text.utf8)))
        parts += name(subject)
        parts += element(Tag.sequence, algorithm + element(0x03, [0] + key))
        if let content = rawNames ?? names.map({ element(Tag.sequence, $0.flatMap { element($0.tag, $0.value) }) }) {
            let one = element(Tag.sequence, [0x06, 0x03, 0x55, 0x1D, 0x11] + element(0x04, content))
            let extensions = Array(repeatElement(one, count: namesCount).joined())
            parts += element(0xA3, element(Tag.sequence, extensions))
        }
        let signature = element(0x03, [UInt8](repeating: 0, count: 65))
        return element(Tag.sequence, element(Tag.sequence, parts) + algorithm + signature)
    }

    private func name(_ attributes: [(type: [UInt8], tag: UInt8, value: [UInt8])]) -> [UInt8] {
        element(
            Tag.sequence,
            attributes.flatMap {
                element(Tag.set, element(Tag.sequence, element(0x06, $0.type) + element($0.tag, $0.value)))
            })
    }
}

/// Tag, length (X.690 §10.1) and content.
func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
    if content.count < 128 { return [tag, UInt8(content.count)] + content }
    var length: [UInt8] = []
    var left = content.count
    while left > 0 {
        length.insert(UInt8(truncatingIfNeeded: left), at: 0)
        left >>= 8
    }
    return [tag, 0x80 | UInt8(length.count)] + length + content
}
