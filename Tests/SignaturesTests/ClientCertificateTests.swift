@testable import Signatures
import Testing

@Suite("a client's certificate")
struct ClientCertificateTests {
    private typealias Tag = CertificateWriter.Tag

    private func error(_ der: [UInt8]) -> CertificateError? {
        do throws(CertificateError) {
            _ = try ClientCertificate(der: der.span)
            return nil
        } catch {
            return error
        }
    }

    private func read(_ writer: CertificateWriter) throws -> ClientCertificate {
        let der = writer.der
        return try ClientCertificate(der: der.span)
    }

    /// Made by the command line of OpenSSL 3.0.22; `openssl x509 -noout -subject -nameopt RFC2253` prints the subject:
    ///
    ///     openssl genpkey -algorithm ed25519 -out k.pem
    ///     openssl req -x509 -key k.pem -days 36500 -set_serial 1 -utf8 -multivalue-rdn \
    ///       -subj '/C=DE/O=Example, Ltd/OU=a+OU=b/CN=métrics' -addext 'basicConstraints=critical,CA:FALSE' \
    ///       -addext 'subjectAltName=URI:spiffe://example.org/monitoring/prometheus,DNS:Prometheus.Example.org,
    ///         IP:192.0.2.1,email:a@example.org,otherName:1.2.3.4;UTF8:x' -outform DER
    static let fixture = hexadecimal(
        """
        3082020d308201bfa003020102020101300506032b6570304d310b300906035504061302444531153013060355040a0c0c4578616d706c
        652c204c746431143008060355040b0c01613008060355040b0c01623111300f06035504030c086dc3a974726963733020170d32363131
        32313037333730375a180f32313236313032383037333730375a304d310b300906035504061302444531153013060355040a0c0c457861
        6d706c652c204c746431143008060355040b0c01613008060355040b0c01623111300f06035504030c086dc3a97472696373302a300506
        032b657003210076f5eccc27546e319f58afad6c3474537e39e948b3c7dcb1dbce70bd35bd4b8ea381c13081be301d0603551d0e041604
        14a83d6ef59148678b009bbf2a42bc6830cd758946301f0603551d23041830168014a83d6ef59148678b009bbf2a42bc6830cd75894630
        6e0603551d1104673065862a7370696666653a2f2f6578616d706c652e6f72672f6d6f6e69746f72696e672f70726f6d65746865757382
        1650726f6d6574686575732e4578616d706c652e6f72678704c0000201810d61406578616d706c652e6f7267a00a06032a0304a0030c01
        78300c0603551d130101ff04023000300506032b6570034100fa8503e793f51c696c9f503e550dc506c4912bbd72ba38a2547ccf46f9a8
        2202054b168e0c820d7ef85dec6f18e2997afd89cc78aa12a765a9858d8a91393806
        """.filter { !$0.isNewline })

    @Test("what the command line made is read as the command line reads it")
    func commandLine() throws {
        let der = Self.fixture
        #expect(der.count == 529)
        let certificate = try ClientCertificate(der: der.span)
        #expect(certificate.subject == bytes(#"CN=m\C3\A9trics,OU=b+OU=a,O=Example\, Ltd,C=DE"#))
        #expect(certificate.uris == [bytes("spiffe://example.org/monitoring/prometheus")])
        #expect(certificate.dnsNames == [bytes("Prometheus.Example.org")])
        #expect(certificate.notBefore == 1_795_246_627 && certificate.notAfter == 4_948_846_627)
    }

    @Test("cut anywhere, continued, or changed in any byte: an error or other names, never a trap")
    func damaged() throws {
        let der = Self.fixture
        for count in 0..<der.count { #expect(error(Array(der[..<count])) == .notCertificate, "\(count)") }
        #expect(error(der + [0]) == .trailingBytes(count: 1))
        #expect(error(der + der) == .trailingBytes(count: der.count))
        var refused = 0
        for index in der.indices {
            for mask: UInt8 in [0x01, 0x20, 0x80, 0xFF] {
                var changed = der
                changed[index] ^= mask
                if error(changed) != nil { refused += 1 }
            }
        }
        #expect(refused > 500)
    }

    @Test("what is no certificate")
    func others() {
        for bytes in [
            [], [0x30], [0x30, 0x00], [0x30, 0x80], [0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], bytes("-----BEGIN"),
        ] {
            #expect(error(bytes) == .notCertificate)
        }
        let nested = (0..<8_000).map { $0 % 2 == 0 ? UInt8(0x30) : 0x80 }
        #expect(error(nested) == .notCertificate)
    }

    @Test("16,384 bytes are the most")
    func size() throws {
        let padding = 16_384 - CertificateWriter(commonName: "").der.count
        var writer = CertificateWriter()
        // Longer lengths take a few bytes of their own.
        for count in (padding - 40)..<padding {
            writer.subject = [(CertificateWriter.commonName, Tag.utf8, [UInt8](repeating: 0x61, count: count))]
            if writer.der.count >= ClientCertificate.derBytesMax { break }
        }
        #expect(writer.der.count == 16_384)
        #expect(try read(writer).subject.count > 16_000)
        writer.subject[0].value.append(0x61)
        #expect(error(writer.der) == .tooLarge(bytes: 16_385))
    }

    @Test("64 alternative names are the most, of whatever kind")
    func nameCount() throws {
        let uri = (tag: Tag.uri, value: bytes("u:1"))
        let email = (tag: Tag.email, value: bytes("a@b"))
        let most = CertificateWriter().with { $0.names = Array(repeating: email, count: 63) + [uri] }
        #expect(try read(most).uris == [bytes("u:1")])
        for count in [65, 300] {
            let more = CertificateWriter().with { $0.names = Array(repeating: email, count: count - 1) + [uri] }
            #expect(error(more.der) == .tooManyAlternativeNames(count: count))
        }
    }

    @Test("names in their order; other kinds say nothing")
    func names() throws {
        let certificate = try read(
            CertificateWriter().with {
                $0.names = [
                    (Tag.dns, bytes("A.example")), (Tag.address, [192, 0, 2, 1]), (Tag.uri, bytes("u:1")),
                    (Tag.email, bytes("x@y")), (Tag.dns, bytes("*.example")), (Tag.uri, bytes("u:2")),
                    (Tag.otherName, [0x06, 0x03, 0x2A, 0x03, 0x04] + element(0xA0, element(Tag.utf8, bytes("u:3")))),
                    // registeredID 1.2.3
                    (0x88, [0x2A, 0x03]),
                ]
            })
        #expect(certificate.dnsNames == [bytes("A.example"), bytes("*.example")])
        #expect(certificate.uris == [bytes("u:1"), bytes("u:2")])
        #expect(certificate.subject == [])
        #expect(try read(CertificateWriter()).uris == [])
        #expect(try read(CertificateWriter().with { $0.rawNames = [0x30, 0x00] }).dnsNames == [])
    }

    @Test(
        "a name that cannot be compared", arguments: [Tag.uri, Tag.dns],
        [
            [], [0x61, 0x00], [0x00, 0x61], [0x61, 0x00, 0x62], bytes("caf\u{E9}"), [0x61, 0xFF], [0x61, 0x0A],
            [0x61, 0x7F], [0x1F],
        ])
    func incomparable(_ tag: UInt8, _ value: [UInt8]) {
        let writer = CertificateWriter().with { $0.names = [(Tag.uri, bytes("u:1")), (tag, value)] }
        #expect(error(writer.der) == .incomparableName)
    }

    @Test("alternative names that stand twice or are no names")
    func malformedNames() {
        let writer = CertificateWriter(uris: ["u:1"])
        #expect(error(writer.with { $0.namesCount = 2 }.der) == .malformedAlternativeNames)
        for raw: [UInt8] in [[], [0x30], [0x30, 0x01], [0x04, 0x00], [0x30, 0x02, 0x89, 0x00], [0x30, 0x00, 0x00]] {
            #expect(error(writer.with { $0.rawNames = raw }.der) == .malformedAlternativeNames, "\(raw)")
        }
    }

    @Test("the subject as RFC 4514 text")
    func subjects() throws {
        func subject(_ attributes: [(type: [UInt8], tag: UInt8, value: [UInt8])]) throws -> String {
            String(decoding: try read(CertificateWriter().with { $0.subject = attributes }).subject, as: UTF8.self)
        }
        let name = CertificateWriter.commonName
        let organization = CertificateWriter.organization
        #expect(try subject([]) == "")
        #expect(
            try subject([(organization, Tag.printable, bytes("Example")), (name, Tag.utf8, bytes("m"))])
                == "CN=m,O=Example")
        // What would read as another name is escaped.
        #expect(try subject([(name, Tag.utf8, bytes("m,O=Example"))]) == #"CN=m\,O=Example"#)
        #expect(try subject([(name, Tag.utf8, bytes("a+b<c>;\"\\"))]) == #"CN=a\+b\<c\>\;\"\\"#)
        #expect(try subject([(name, Tag.utf8, bytes(" #a "))]) == #"CN=\ #a\ "#)
        #expect(try subject([(name, Tag.utf8, [0x61, 0x00, 0x62])]) == #"CN=a\00b"#)
        #expect(try subject([(name, Tag.utf8, bytes("a\nb"))]) == #"CN=a\0Ab"#)
        // BMPString, and a type without a name: 1.2.3.
        #expect(try subject([(name, 0x1E, [0x00, 0xE9])]) == #"CN=\C3\A9"#)
        #expect(try subject([([0x2A, 0x03], Tag.utf8, bytes("x"))]) == "1.2.3=#0C0178")
        let many = try subject(Array(repeating: (organization, Tag.utf8, bytes("x")), count: 1_000))
        #expect(many == Array(repeating: "O=x", count: 1_000).joined(separator: ","))
    }

    @Test("a subject that is no text")
    func malformedSubjects() {
        for (tag, value) in [(Tag.utf8, [0xC3]), (Tag.utf8, [0xFF, 0xFE]), (0x1E, [0x00])] as [(UInt8, [UInt8])] {
            let writer = CertificateWriter(uris: ["u:1"]).with {
                $0.subject = [(CertificateWriter.commonName, tag, value)]
            }
            let found = error(writer.der)
            #expect(found == .malformedSubject || found == .notCertificate, "\(value)")
        }
    }

    @Test("times in Unix seconds")
    func times() {
        let rows: [(String, Bool, Int64?)] = [
            ("700101000000Z", false, 0), ("491231235959Z", false, 2_524_607_999),
            ("500101000000Z", false, -631_152_000), ("000229120000Z", false, 951_825_600),
            ("20500101000000Z", true, 2_524_608_000), ("99991231235959Z", true, 253_402_300_799),
            ("19700101000001Z", true, 1), ("20000229000000Z", true, 951_782_400),
            ("21000301000000Z", true, 4_107_542_400), ("00000101000000Z", true, -62_167_219_200),
            ("00010101000000Z", true, -62_135_596_800),
            // No such date or time.
            ("700001000000Z", false, nil), ("701301000000Z", false, nil), ("700100000000Z", false, nil),
            ("700132000000Z", false, nil), ("700431000000Z", false, nil), ("710229000000Z", false, nil),
            ("21000229000000Z", true, nil), ("700101240000Z", false, nil), ("700101006000Z", false, nil),
            ("700101000060Z", false, nil),
            // Other forms.
            ("", false, nil), ("Z", true, nil), ("7001010000Z", false, nil), ("700101000000", false, nil),
            ("700101000000z", false, nil), ("700101000000+0000", false, nil), ("20500101000000", true, nil),
            ("20500101000000.5Z", true, nil), ("19700101000000Z", false, nil), ("700101000000Z", true, nil),
            ("70010100000\u{0}Z", false, nil), ("-70101000000Z", false, nil), (" 70101000000Z", false, nil),
        ]
        for (text, isGeneralized, seconds) in rows {
            let time = bytes(text)
            #expect(certificateSeconds(time.span, isGeneralized: isGeneralized) == seconds, "\(text)")
        }
    }

    @Test("both limits of the validity belong to it")
    func validity() throws {
        let writer = CertificateWriter(uris: ["u:1"]).with {
            $0.notBefore = (Tag.utcTime, "700101000010Z")
            $0.notAfter = (Tag.generalizedTime, "20500101000000Z")
        }
        let certificate = try read(writer)
        let rows: [(Int64, ClientCertificate.Validity)] = [
            (.min, .notYetValid), (9, .notYetValid), (10, .valid), (2_524_608_000, .valid),
            (2_524_608_001, .expired), (.max, .expired),
        ]
        for (now, expected) in rows { #expect(certificate.validity(at: now) == expected, "\(now)") }
        let never = try read(writer.with { $0.notAfter = (Tag.utcTime, "700101000000Z") })
        for now: Int64 in [-1, 0, 5, 10, 11] { #expect(never.validity(at: now) != .valid) }
    }

    @Test("a time of another form")
    func malformedTimes() {
        let writer = CertificateWriter(uris: ["u:1"])
        for time in [(Tag.utcTime, "2001010000Z"), (Tag.utcTime, "20010100000\u{0}Z"), (Tag.generalizedTime, "2120Z")] {
            for changed in [writer.with({ $0.notBefore = time }), writer.with({ $0.notAfter = time })] {
                let found = error(changed.der)
                #expect(found == .malformedTime || found == .notCertificate, "\(time)")
            }
        }
        #expect(error(writer.with { $0.notAfter = (Tag.ia5, "200101000000Z") }.der) == .notCertificate)
    }
}
