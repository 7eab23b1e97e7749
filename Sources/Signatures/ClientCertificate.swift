internal import COpenSSL
internal import Octets

/// Why bytes are not a certificate whose names can be compared.
public enum CertificateError: Error, Equatable, Sendable {
    /// More than `ClientCertificate.derBytesMax`.
    case tooLarge(bytes: Int)
    /// Not the DER of an X.509 certificate.
    case notCertificate
    case trailingBytes(count: Int)
    /// A time is not of one of the two forms of RFC 5280 §4.1.2.5, or no date.
    case malformedTime
    /// The subject holds text that is none.
    case malformedSubject
    /// The extension is there twice, or cannot be read.
    case malformedAlternativeNames
    /// More than `ClientCertificate.alternativeNamesMax`.
    case tooManyAlternativeNames(count: Int)
    /// A URI or DNS name is empty or holds a byte that is no printable ASCII: a zero byte would hide what follows.
    case incomparableName
    /// OpenSSL failed where no input of ours explains it.
    case openssl(operation: String, code: UInt)
}

extension CertificateError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooLarge(let bytes):
            "the certificate has \(bytes) bytes and \(ClientCertificate.derBytesMax) is the most; issue a smaller one"
        case .notCertificate: "the bytes are not the DER of an X.509 certificate; send `ssl_c_der` as it is"
        case .trailingBytes(let count): "\(count) bytes follow the certificate; send one certificate alone"
        case .malformedTime:
            "a time of the certificate is not of a form that RFC 5280 §4.1.2.5 allows; issue the certificate again"
        case .malformedSubject: "the subject of the certificate cannot be read as text; issue the certificate again"
        case .malformedAlternativeNames:
            "the subject alternative names stand twice or cannot be read; issue the certificate again"
        case .tooManyAlternativeNames(let count):
            "the certificate has \(count) subject alternative names and \(ClientCertificate.alternativeNamesMax) is "
                + "the most; issue one with fewer"
        case .incomparableName:
            "a URI or DNS name of the certificate is empty or not printable ASCII; issue the certificate again"
        case .openssl(let operation, let code):
            "`\(operation)` failed with OpenSSL error `\(String(code, radix: 16))`; look it up with `openssl errstr`"
        }
    }
}

/// What a client's certificate says of its holder and when. Whether its chain is good is the proxy's to say: nothing
/// is verified here.
///
/// Example: the certificate of a SPIFFE workload has an empty `subject` and one URI,
/// `spiffe://example.org/monitoring/prometheus`.
public struct ClientCertificate: Sendable, Equatable {
    /// Longest certificate that is read. Those of clients have 1 to 2 KB.
    public static let derBytesMax = 16_384
    /// Of every kind together.
    public static let alternativeNamesMax = 64

    /// First second in which it is valid, Unix seconds.
    public let notBefore: Int64
    /// Last second in which it is valid, Unix seconds.
    public let notAfter: Int64
    /// As RFC 4514 text, printable ASCII: `CN=metrics,O=Example Ltd`. Empty when the subject is.
    public let subject: [UInt8]
    /// `uniformResourceIdentifier` names, in the order of the certificate. Printable ASCII, none of them empty.
    public let uris: [[UInt8]]
    /// `dNSName` names as they stand there, in either case; `*` means itself. As above.
    public let dnsNames: [[UInt8]]

    public enum Validity: Sendable {
        case valid
        case notYetValid
        case expired
    }

    /// - Parameter now: Unix seconds.
    public func validity(at now: Int64) -> Validity {
        if now > notAfter { return .expired }
        return now < notBefore ? .notYetValid : .valid
    }

    /// Reads exactly one certificate.
    /// - Parameter der: all of it and nothing else.
    public init(der: Span<UInt8>) throws(CertificateError) {
        guard der.count <= ClientCertificate.derBytesMax else { throw .tooLarge(bytes: der.count) }
        // What OpenSSL noted on the way must not be taken for the error of a later call.
        defer { ERR_clear_error() }
        let certificate = try CertificateHandle(der: der)
        notBefore = try certificate.time(.notBefore)
        notAfter = try certificate.time(.notAfter)
        subject = try certificate.subjectText()
        var uris: [[UInt8]] = []
        var dnsNames: [[UInt8]] = []
        if let names = try certificate.alternativeNames() {
            guard names.count <= ClientCertificate.alternativeNamesMax else {
                throw .tooManyAlternativeNames(count: names.count)
            }
            for index in 0..<names.count {
                switch try names.name(index) {
                case .uri(let text): uris.append(try comparable(text))
                case .dns(let text): dnsNames.append(try comparable(text))
                case .other: break
                }
            }
        }
        self.uris = uris
        self.dnsNames = dnsNames
    }
}

private func comparable(_ name: [UInt8]) throws(CertificateError) -> [UInt8] {
    guard !name.isEmpty, name.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else { throw .incomparableName }
    return name
}

/// A `Time` of a certificate in Unix seconds (RFC 5280 §4.1.2.5): `YYMMDDHHMMSSZ`, 1950 to 2049, or generalized
/// `YYYYMMDDHHMMSSZ`; no fractions, no offsets, no leap seconds.
///
/// Example: `491231235959Z` is 2,524,607,999 and `20500101000000Z` the second after it.
/// - Returns: nil for anything else.
func certificateSeconds(_ text: Span<UInt8>, isGeneralized: Bool) -> Int64? {
    let yearDigits = isGeneralized ? 4 : 2
    guard text.count == yearDigits + 11, text[text.count - 1] == 0x5A else { return nil }
    for index in 0..<text.count - 1 where text[index] < 0x30 || text[index] > 0x39 { return nil }
    func pair(_ index: Int) -> Int64 { Int64(text[index] - 0x30) * 10 + Int64(text[index + 1] - 0x30) }
    let year: Int64
    if isGeneralized {
        year = pair(0) * 100 + pair(2)
    } else {
        year = pair(0) + (pair(0) < 50 ? 2_000 : 1_900)
    }
    let month = pair(yearDigits)
    let day = pair(yearDigits + 2)
    let hour = pair(yearDigits + 4)
    let minute = pair(yearDigits + 6)
    let second = pair(yearDigits + 8)
    guard month >= 1, month <= 12, day >= 1, day <= monthDays(month, year), hour < 24, minute < 60, second < 60
    else { return nil }
    return ((daysSinceEpoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
}

private func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

private func monthDays(_ month: Int64, _ year: Int64) -> Int64 {
    switch month {
    case 2: isLeap(year) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
}

/// Days since 1970-01-01 in the Gregorian calendar, for years 0 to 9999.
private func daysSinceEpoch(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    var days = day - 1
    for earlier in 1..<month { days += monthDays(earlier, year) }
    // Leap days of the years 0 up to this one, the year 0 itself among them.
    let leapDays = year > 0 ? (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 + 1 : 0
    let daysTo1970: Int64 = 719_528
    return year * 365 + leapDays + days - daysTo1970
}
