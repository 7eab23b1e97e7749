/// Reading `certificate`, of a client or of a test.
extension ModelReader {
    static let identityBytesMax = 2_048

    /// The names, and the keys that say them in the order of the source; nil when anything is wrong with them.
    func readCertificateNames(_ node: Int) -> (names: TestCertificate, keys: [Int])? {
        guard let fields = fields(node, CertificateKey.self, at: position(node)) else { return nil }
        let keys = CertificateKey.allCases.compactMap { fields.keyNode($0) }.sorted()
        guard !keys.isEmpty else {
            if tree.after(node) == node + 1 {
                sink.error(
                    .emptyValue, at: position(node), "`certificate` names nothing",
                    mend: "write one of `uri`, `dns` and `subject`, as in `{ uri: \"spiffe://example.org/a\" }`")
            }
            return nil
        }
        var names = TestCertificate()
        if let node = fields[.uri] { names.uri = readURI(node) }
        if let node = fields[.dns] { names.dns = readDNSName(node) }
        if let node = fields[.subject] { names.subject = readSubject(node) }
        let found = [names.uri, names.dns, names.subject].count { $0 != nil }
        return found == keys.count ? (names, keys) : nil
    }

    /// RFC 5280 §4.2.1.6: absolute, and of the characters that a URI has (RFC 3986 §2).
    private func readURI(_ node: Int) -> String? {
        let example = "spiffe://example.org/monitoring/prometheus"
        guard let uri = text(node, "`uri`", example: example, bytesMax: ModelReader.identityBytesMax) else {
            return nil
        }
        let bytes = tree.bytes(node)
        let scheme = bytes.prefix { $0 != 0x3A }
        let mend = "write it exactly as it stands in the certificate, as in `\(example)`"
        guard let first = scheme.first, scheme.count < bytes.count - 1, (first | 0x20) >= 0x61, (first | 0x20) <= 0x7A,
            scheme.allSatisfy({ isNameCharacter($0) && $0 != 0x5F || $0 == 0x2B })
        else {
            sink.error(.badURL, at: position(node), "\(quoted(uri)) is no absolute URI", mend: mend)
            return nil
        }
        if let wrong = bytes.firstIndex(where: { !WebAddress.isURLCharacter($0) }) {
            report(
                TextProblem(
                    code: .badURL, offset: wrong - bytes.startIndex,
                    message: "\(quoted(uri)) holds a character that no URI has", mend: mend), in: node)
            return nil
        }
        if let star = bytes.firstIndex(of: 0x2A) {
            let place = lines.position(of: star - bytes.startIndex, in: bytes, at: position(node))
            sink.warning(
                .literalWildcard, at: place, "the `*` in \(quoted(uri)) stands for itself",
                mend: "write one client for each URI, unless the certificate really holds a `*`")
        }
        return uri
    }

    /// Written in any case, compared in lower case.
    private func readDNSName(_ node: Int) -> String? {
        guard text(node, "`dns`", example: "scraper.example.com") != nil else { return nil }
        let name = tree.bytes(node).map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }[...]
        do throws(TextProblem) {
            if let star = name.firstIndex(of: 0x2A) {
                throw TextProblem(
                    code: .badWildcard, offset: star - name.startIndex,
                    message: "`*` in \(quoted(name)): a certificate's name is compared byte by byte",
                    mend: "write one client for each name")
            }
            if let sign = name.firstIndex(where: { $0 == 0x3A || $0 == 0x2F || $0 == 0x40 }) {
                throw TextProblem(
                    code: .badHost, offset: sign - name.startIndex, message: "\(quoted(name)) is no DNS name",
                    mend: "write the name alone, as in `scraper.example.com`, or name the client by `uri`")
            }
            try HostName.check(name)
            if HostName.isAddress4(name) {
                throw TextProblem(
                    code: .badHost, offset: 0, message: "\(quoted(name)) is an address, no DNS name",
                    mend: "name the client by `uri` or `subject`, or by a DNS name of its certificate")
            }
        } catch {
            report(error, in: node)
            return nil
        }
        return String(decoding: name, as: UTF8.self)
    }

    private func readSubject(_ node: Int) -> String? {
        guard tree.isScalar(node) else {
            wrongType(node, "`subject` is one text", "write it as `\(DistinguishedName.command)` prints it")
            return nil
        }
        do throws(TextProblem) {
            _ = try DistinguishedName.read(tree.bytes(node))
            return tree.string(node)
        } catch {
            report(error, in: node)
            return nil
        }
    }
}
