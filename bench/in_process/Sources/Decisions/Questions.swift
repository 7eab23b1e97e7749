internal import Decision
internal import Octets
internal import Samples

/// Questions that one decider is asked in turn, and the status that each is answered with.
struct Questions {
    struct Places {
        var host: ByteRange
        var target: ByteRange
        var status: UInt16
        var form: Form
    }

    /// What is asked with.
    enum Form: String {
        case good
        case noScope = "missing-scope"
        case expired
        case forged
        case none
        /// No token, and the headers of a preflight of `GET`.
        case preflight
    }

    /// The token stands there once, as in a buffer that every request is received into.
    let bytes: [UInt8]
    let places: [Places]
    private let facts: RequestFacts
    private let others: [Form: RequestFacts]

    /// - Parameter file: lines `STATUS HOST TARGET FORM`.
    init(_ file: String, _ tokens: SampleTokens) {
        var bytes: [UInt8] = []
        func place(_ value: some Collection<UInt8>) -> ByteRange {
            bytes += value
            return ByteRange(start: bytes.count - value.count, count: value.count)
        }
        var facts = RequestFacts()
        facts.method = place(Array("GET".utf8))
        facts.scheme = place(Array("https".utf8))
        facts.port = place(Array("443".utf8))
        facts.authorization = place(Array("Bearer ".utf8) + tokens.good)
        facts.authorizationCount = 1
        var others: [Form: RequestFacts] = [:]
        for (form, token) in [(Form.noScope, tokens.noScope), (.expired, tokens.expired), (.forged, tokens.forged)] {
            var other = facts
            other.authorization = place(Array("Bearer ".utf8) + token)
            others[form] = other
        }
        var other = facts
        other.authorization = .absent
        other.authorizationCount = 0
        others[.none] = other
        other.accessControlRequestMethod = facts.method
        other.accessControlRequestMethodCount = 1
        other.method = place(Array("OPTIONS".utf8))
        other.origin = place(Array("https://app.example.com".utf8))
        other.originCount = 1
        others[.preflight] = other
        var places: [Places] = []
        for line in contents(of: file).split(separator: 0x0A) {
            let words = line.split(separator: 0x20)
            let texts = words.map { String(decoding: $0, as: UTF8.self) }
            guard texts.count == 4, let status = UInt16(texts[0]), let form = Form(rawValue: texts[3]) else {
                fail("Decisions: not a question: \(String(decoding: line, as: UTF8.self))")
            }
            places.append(Places(host: place(words[1]), target: place(words[2]), status: status, form: form))
        }
        guard !places.isEmpty else { fail("Decisions: no questions in \(file)") }
        self.bytes = bytes
        self.places = places
        self.facts = facts
        self.others = others
    }

    @inline(__always)
    func facts(_ place: Places) -> RequestFacts {
        var facts = place.form == .good ? facts : others[place.form] ?? facts
        facts.host = place.host
        facts.target = place.target
        return facts
    }
}
