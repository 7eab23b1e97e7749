@testable import Decision
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

/// Tokens bound to the client's certificate (RFC 8705 §3).
@Suite struct CertificateDecisionTests {
    private static let der = CertificateWriter(commonName: "client").der
    private static let other = CertificateWriter(commonName: "other").der

    private static func plan(_ der: [UInt8]) -> TokenPlan {
        let thumbprint = text(Base64URL.encode(sha256(der.span).bytes.span))
        return TokenPlan().with { $0.more = [("cnf", "{\"x5t#S256\":\"\(thumbprint)\"}")] }
    }

    @Test("the certificate of the connection, as either proxy sends it")
    func certificates() throws {
        let world = try World(proofModel())
        let decider = try world.decider()
        let token = try world.token(Self.plan(Self.der))
        let good = escaped(bytes(pem(Self.der)))
        let rows: [(Reason, (inout Request) -> Void)] = [
            (.certificateRequired, { _ in }),
            (.granted, { $0.certificate = Self.der }),
            (.granted, { $0.clientCertificate = good }),
            (.granted, { $0.clientCertificate = escaped(bytes(pem(Self.der, lineEnd: "\r\n"))) }),
            (.certificateRequired, { $0.certificate = [] }),
            (.certificateRequired, { $0.clientCertificate = [] }),
            (
                .certificateRequired,
                {
                    $0.certificate = Self.der
                    $0.certificateIsUsed = false
                }
            ),
            (.certificateMismatch, { $0.certificate = Self.other }),
            (.certificateMismatch, { $0.certificate = Self.der + [0] }),
            (.certificateMismatch, { $0.certificate = Array(Self.der.dropLast()) }),
            (.certificateMismatch, { $0.clientCertificate = escaped(bytes(pem(Self.other))) }),
            (.certificateMismatch, { $0.clientCertificate = escaped(bytes(pem(Self.der + [0]))) }),
            (.certificateMismatch, { $0.clientCertificate = bytes("x") }),
            (.certificateMismatch, { $0.clientCertificate = good + good }),
            (
                .certificateMismatch,
                {
                    $0.certificate = Self.other
                    $0.clientCertificate = good
                }
            ),
        ]
        for (index, (reason, change)) in rows.enumerated() {
            for target in ["/free", "/any", "/mtls"] {
                let verdict = decider.verdict(pay(target).bearing(token).with(change))
                DeciderReasonTests.check(verdict, reason)
                if verdict.reason != reason { Issue.record("row \(index): \(verdict.reason), not \(reason)") }
                guard reason != .granted else { continue }
                #expect(verdict.challenge.hasPrefix(#"Bearer realm="pay", error="invalid_token", "#))
            }
        }
        // The certificate is no proof for a token bound to a key, nor for one bound to nothing.
        let both = pay("/mtls").with { $0.certificate = Self.der }
        #expect(decider.verdict(both.bearing(try world.token())).reason == .proofRequired)
        #expect(decider.verdict(both.bearing(try ProofClient().token(world))).reason == .proofRequired)
        #expect(decider.cachedTokenCount == 3 && decider.state.proofs.count == 0)
    }

    private func read(_ text: [UInt8], into certificate: inout CertificateText) -> [UInt8]? {
        certificate.read(text.span) ? [UInt8](copying: certificate.der.bytes) : nil
    }

    @Test("PEM: every length, and every way to be none")
    func privacyEnhancedText() {
        var certificate = CertificateText()
        var random = SeededGenerator(11)
        for count in Array(1...200) + [16_383, 16_384] {
            let der = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            for lineEnd in ["\n", "\r\n"] {
                let plain = pem(der, lineEnd: lineEnd)
                #expect(read(escaped(bytes(plain)), into: &certificate) == der)
                #expect(read(escaped(bytes(String(plain.dropLast()))), into: &certificate) == der)
            }
        }
        for count in [16_385, 40_000] {
            #expect(read(escaped(bytes(pem([UInt8](repeating: 7, count: count)))), into: &certificate) == nil)
        }
        func isRefused(_ plain: String) -> Bool { read(escaped(bytes(plain)), into: &certificate) == nil }
        let begin = "-----BEGIN CERTIFICATE-----\n"
        let end = "-----END CERTIFICATE-----\n"
        #expect(!isRefused(begin + "QUJD\n" + end) && !isRefused(begin + "QUI=\n" + end))
        #expect(!isRefused(begin + "QQ==\n" + end) && !isRefused(begin + "QU\nJD\n" + end))
        let faulty = [
            "", begin, end, begin + end, begin + "\n" + end, "\n" + begin + "QUJD\n" + end, begin + "QUJD" + end,
            begin + "QUJD\n\n" + end, begin + "QUJD\n" + end + "\n", begin + "QUJD\n" + end + " ",
            begin + "QUJD\n" + end + begin + "QUJD\n" + end, " " + begin + "QUJD\n" + end, begin + "QUJ\n" + end,
            begin + "QU==\n" + end.dropLast() + "x", begin + "QUI\n" + end, begin + "QQ=\n" + end,
            begin + "QQ===\n" + end, begin + "Q\n" + end, begin + "Q===\n" + end, begin + "QR==\n" + end,
            begin + "QUJ=\n" + end, begin + "QQ==QQ==\n" + end, begin + "QQ==\nQQ==\n" + end, begin + "=\n" + end,
            begin + "====\n" + end, begin + "QU JD\n" + end, begin + "QUJD \n" + end, begin + "QU-_\n" + end,
            begin + "QUJD\r" + end, begin + "QUJD\r\r\n" + end, begin + "Proc-Type: 4\n\nQUJD\n" + end,
            begin.replacing("CERTIFICATE", with: "TRUSTED CERTIFICATE") + "QUJD\n" + end,
            begin.lowercased() + "QUJD\n" + end, "-----BEGIN CERTIFICATE-----QUJD\n" + end,
            begin + "QUJD\n-----END CERTIFICATE----", begin + "QUJD\n" + end.replacing("END", with: "BEGIN"),
            begin + "QU\0JD\n" + end, begin + "QUJD\n",
        ]
        for plain in faulty where !isRefused(plain) { Issue.record("\(plain)") }
    }

    @Test("percent-encoding: escapes in either case, unreserved bytes, `/` and `=` raw, nothing else")
    func escapes() {
        var certificate = CertificateText()
        let good = "-----BEGIN%20CERTIFICATE-----%0AQUJD%0a-----END%20CERTIFICATE-----%0A"
        #expect(read(bytes(good), into: &certificate) == bytes("ABC"))
        for cut in 0..<good.utf8.count {
            let isWhole = cut >= good.utf8.count - 3 && cut == good.utf8.count - 3
            #expect((read(Array(bytes(good).prefix(cut)), into: &certificate) != nil) == isWhole, "\(cut)")
        }
        let rows: [(String, [UInt8]?)] = [
            ("QQ==", [0x41]), ("QQ%3D=", [0x41]), ("//////==", nil), ("////", [255, 255, 255]),
            ("%2F%2f//", [255, 255, 255]), ("%2B%2b%2B%2B", [0xFB, 0xEF, 0xBE]), ("++++", nil),
            ("%51%55JD", bytes("ABC")),
            ("QUJD%", nil), ("QUJD%4", nil), ("QUJ%4G", nil), ("QUJ%G4", nil), ("QUJ%+4", nil), ("%2551UJD", nil),
            ("QU%0AJD", bytes("ABC")), ("QU\nJD", nil), ("QU JD", nil), ("QU%00JD", nil), ("QUJD%0A%0D", nil),
        ]
        for (body, expected) in rows {
            let whole = "-----BEGIN%20CERTIFICATE-----%0A\(body)%0A-----END%20CERTIFICATE-----"
            #expect(read(bytes(whole), into: &certificate) == expected, "\(body)")
        }
        var random = SeededGenerator(3)
        for _ in 0..<5_000 {
            var changed = bytes(good)
            changed[Int.random(in: 0..<changed.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            if let found = read(changed, into: &certificate) { #expect(!found.isEmpty && found.count <= 3) }
        }
    }
}
