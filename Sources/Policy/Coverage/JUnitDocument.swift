/// Results of tests as the XML that build servers read (the JUnit format, as Jenkins and GitLab take it).
public struct JUnitDocument: Sendable {
    public struct Case: Sendable {
        public var name: String
        public var file: String
        public var line: Int
        /// What went wrong, in one line; nil when it passed.
        public var failure: String?
        /// Why it could not be run, in one line; nil when it could.
        public var error: String?

        public init(name: String, file: String, line: Int, failure: String?, error: String? = nil) {
            self.name = name
            self.file = file
            self.line = line
            self.failure = failure
            self.error = error
        }
    }

    private var suite: String
    private var cases: [Case] = []

    public init(suite: String) {
        self.suite = suite
    }

    public mutating func add(_ one: Case) { cases.append(one) }

    public var text: String {
        let failures = cases.count { $0.failure != nil }
        let errors = cases.count { $0.error != nil }
        let counts = "tests=\"\(cases.count)\" failures=\"\(failures)\" errors=\"\(errors)\" skipped=\"0\""
        var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites \(counts)>\n"
        text += "  <testsuite name=\"\(xmlEscaped(suite))\" \(counts)>\n"
        for one in cases {
            text += "    <testcase classname=\"\(xmlEscaped(one.file))\" name=\"\(xmlEscaped(one.name))\""
            text += " file=\"\(xmlEscaped(one.file))\" line=\"\(one.line)\""
            if let error = one.error {
                text += ">\n      <error type=\"policy\" message=\"\(xmlEscaped(error))\"/>\n    </testcase>\n"
            } else if let failure = one.failure {
                text += ">\n      <failure type=\"policy\" message=\"\(xmlEscaped(failure))\"/>\n    </testcase>\n"
            } else {
                text += "/>\n"
            }
        }
        return text + "  </testsuite>\n</testsuites>\n"
    }
}

/// Text for an attribute or an element of XML 1.0 (§2.2, §2.4). What XML cannot hold at all, not even as a reference, is
/// replaced by U+FFFD: controls but tab and line ends, and U+FFFE and U+FFFF.
func xmlEscaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        case "'": result += "&apos;"
        // An attribute's own line ends and tabs would be read as spaces (§3.3.3).
        case "\t", "\n", "\r": result += "&#\(scalar.value);"
        default:
            let isAllowed = scalar.value >= 0x20 && scalar.value != 0xFFFE && scalar.value != 0xFFFF
            // C1 controls and DEL are allowed and discouraged; nobody sees them.
            let isControl = scalar.value >= 0x7F && scalar.value <= 0x9F
            result.unicodeScalars.append(isAllowed && !isControl ? scalar : "\u{FFFD}")
        }
    }
    return result
}
