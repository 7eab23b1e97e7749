internal import Signatures

/// A certificate made for one policy test: real DER with the names that the test gives it, signed by a key of its
/// own. Whether its chain is good is the proxy's to say; the test says that it is.
struct TrialCertificate {
    private let key: PrivateKey
    private let publicKey: [UInt8]
    /// RFC 8410 §3.
    private static let ed25519 = "1.3.101.112"

    init() throws(KeyError) {
        key = try PrivateKey.generate(.ed25519)
        guard case .ed25519(let bytes, _) = try key.components() else { throw KeyError.algorithmMismatch(.ed25519) }
        publicKey = bytes
    }

    /// Why a certificate for a policy test could not be made.
    enum Failure: Error, CustomStringConvertible {
        case unknownAttribute(String)

        var description: String {
            switch self {
            case .unknownAttribute(let name):
                "a test cannot make a certificate with the attribute \(quoted(name)) in its subject"
            }
        }
    }

    /// The DER of a certificate that is valid an hour before and after `time`.
    func der(_ names: TestCertificate, at time: Int64) throws -> [UInt8] {
        try der(names, subject: names.subject.map { try DistinguishedName.read(Array($0.utf8)[...]) }, at: time)
    }

    func der(_ names: TestCertificate, subject: DistinguishedName?, at time: Int64) throws -> [UInt8] {
        let name = try der(subject)
        var content = DERWriter()
        content.add(0xA0) { $0.add(DERWriter.Tag.integer, [2]) }
        content.add(DERWriter.Tag.integer, [1])
        content.add(DERWriter.Tag.sequence) { $0.add(objectIdentifier: TrialCertificate.ed25519) }
        content.add(der: name)
        content.add(DERWriter.Tag.sequence) {
            // GeneralizedTime has four digits for the year.
            add(max(0, time - 3_600), to: &$0)
            add(min(253_402_300_799, time + 3_600), to: &$0)
        }
        content.add(der: name)
        content.add(DERWriter.Tag.sequence) {
            $0.add(DERWriter.Tag.sequence) { $0.add(objectIdentifier: TrialCertificate.ed25519) }
            $0.add(DERWriter.Tag.bitString, [0] + publicKey)
        }
        addAlternativeNames(names, isCritical: subject == nil, to: &content)
        var toBeSigned = DERWriter()
        toBeSigned.add(DERWriter.Tag.sequence, content.bytes)
        let signature = try key.sign(toBeSigned.bytes.span, .ed25519)
        var certificate = DERWriter()
        certificate.add(DERWriter.Tag.sequence) {
            $0.add(der: toBeSigned.bytes)
            $0.add(DERWriter.Tag.sequence) { $0.add(objectIdentifier: TrialCertificate.ed25519) }
            $0.add(DERWriter.Tag.bitString, [0] + signature)
        }
        return certificate.bytes
    }

    /// RFC 5280 §4.1.2.4. The text has the most specific part first, the certificate has it last; within a part too
    /// OpenSSL prints from the end.
    private func der(_ subject: DistinguishedName?) throws -> [UInt8] {
        let parts = subject?.parts ?? []
        var result = DERWriter()
        for attribute in parts.joined()
        where AttributeTypes.identifiers[attribute.type] == nil
            && !AttributeTypes.isIdentifier(Array(attribute.type.utf8)[...])
        {
            throw Failure.unknownAttribute(attribute.type)
        }
        result.add(DERWriter.Tag.sequence) { names in
            for part in parts.reversed() {
                names.add(DERWriter.Tag.set) { set in
                    for attribute in part.reversed() {
                        set.add(DERWriter.Tag.sequence) { add(attribute, to: &$0) }
                    }
                }
            }
        }
        return result.bytes
    }

    private func add(_ attribute: DistinguishedName.Attribute, to writer: inout DERWriter) {
        writer.add(objectIdentifier: AttributeTypes.identifiers[attribute.type] ?? attribute.type)
        switch attribute.value {
        case .text(let text): writer.add(DERWriter.Tag.utf8String, text)
        case .der(let bytes): writer.add(der: bytes)
        }
    }

    /// RFC 5280 §4.1.2.5: two digits for the year up to 2049, four from then on.
    private func add(_ time: Int64, to writer: inout DERWriter) {
        // `2026-12-01T00:00:00Z` to `20261201000000Z`.
        let digits = timeText(time).utf8.filter(isDigit) + [0x5A]
        if time < 2_524_608_000 {
            writer.add(DERWriter.Tag.utcTime, Array(digits.dropFirst(2)))
        } else {
            writer.add(DERWriter.Tag.generalizedTime, digits)
        }
    }

    /// RFC 5280 §4.2.1.6, critical where the subject is empty.
    private func addAlternativeNames(_ names: TestCertificate, isCritical: Bool, to content: inout DERWriter) {
        guard names.uri != nil || names.dns != nil else { return }
        var list = DERWriter()
        list.add(DERWriter.Tag.sequence) {
            if let dns = names.dns { $0.add(0x82, Array(dns.utf8)) }
            if let uri = names.uri { $0.add(0x86, Array(uri.utf8)) }
        }
        content.add(0xA3) {
            $0.add(DERWriter.Tag.sequence) {
                $0.add(DERWriter.Tag.sequence) {
                    $0.add(objectIdentifier: "2.5.29.17")
                    if isCritical { $0.add(0x01, [0xFF]) }
                    $0.add(DERWriter.Tag.octetString, list.bytes)
                }
            }
        }
    }
}
