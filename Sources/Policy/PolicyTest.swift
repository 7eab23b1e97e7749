public import Decision
public import PolicyTables

/// One entry of a policy's `tests`: a request or a connection, what it comes with, and what must come out.
public struct PolicyTest: Sendable, Equatable {
    public enum Attempt: Sendable, Equatable {
        case request(TestRequest)
        case connection(TestConnection)
    }

    public enum Expectation: Sendable, Equatable {
        /// Any ground to allow.
        case allow
        /// Any reason to deny.
        case deny
        case reason(Reason)
    }

    /// The file that it stands in, as it was named by whoever asked.
    public var file = ""
    /// Where its `request` or `connect` stands in that file.
    public var position: SourcePosition
    public var attempt: Attempt
    /// Unix seconds at which it is made; nil means when the test runs.
    public var time: Int64?
    public var expectation: Expectation
    /// Where its `expect` stands.
    public var expectationPosition: SourcePosition
}

/// The request of a policy test.
public struct TestRequest: Sendable, Equatable {
    /// As written, e.g. `GET https://api.example.com/v1/orders/7`.
    public var text: String
    public var method: String
    /// `http` or `https`.
    public var scheme: String
    /// As written in the URL, without the port.
    public var host: String
    /// Of the listener: `port` of the test, else the URL's, else the scheme's.
    public var port: UInt16
    /// Path and query as written; `/` when the URL ends at its host.
    public var target: String
    /// nil sends no token.
    public var token: TestToken?
    public var origin: String?
    public var accessControlRequestMethod: String?
    /// The URL as written, without query and fragment: what the client's proof names.
    public var uri: String
}

/// The connection of a policy test, to a port without HTTP.
public struct TestConnection: Sendable, Equatable {
    /// Of the listener.
    public var port: UInt16
    /// nil presents none.
    public var certificate: TestCertificate?
}

/// The names in a certificate; at least one is there.
public struct TestCertificate: Sendable, Equatable {
    /// The one URI of the subject alternative names.
    public var uri: String?
    /// The one DNS name of the subject alternative names, lower case.
    public var dns: String?
    /// RFC 4514 text, as OpenSSL prints it; nil leaves the subject empty.
    public var subject: String?
}

/// The token of a policy test. What is nil or empty is up to the runner: a value that the policy accepts.
public struct TestToken: Sendable, Equatable {
    public enum State: String, Sendable, CaseIterable {
        case valid
        case expired
        case notYetValid = "not_yet_valid"
    }

    /// What the token is bound to; the test then sends the proof that belongs to it.
    public enum Proof: String, Sendable, CaseIterable {
        /// A key, with a DPoP proof (RFC 9449).
        case dpop
        /// The client's certificate (RFC 8705).
        case mtls
    }

    public struct Claim: Sendable, Equatable {
        public var name: String
        public var value: String
    }

    /// NumericDates, Unix seconds.
    public struct Times: Sendable, Equatable {
        public var issuedAt: Int64?
        public var notBefore: Int64?
        public var expiresAt: Int64
    }

    public var state = State.valid
    /// Instead of those that `state` comes to.
    public var times: Times?
    public var scopes: [String] = []
    public var subject: String?
    public var client: String?
    public var issuer: String?
    public var audiences: [String] = []
    /// String claims beside those above, in the order of the source.
    public var claims: [Claim] = []
    /// nil binds it to nothing.
    public var proof: Proof?
    /// `acr`; nil leaves it out.
    public var authenticationContext: String?
    /// How long before the request the user authenticated (`auth_time`); nil leaves it out.
    public var authenticationAgeSeconds: Int?
    /// `authorization_details`; empty leaves the claim out.
    public var details: [DetailModel] = []
}

/// The reason with this stable name, or nil.
func reason(named name: String) -> Reason? { reasonsByName[name] }

let reasonsByName: [String: Reason] = {
    var result: [String: Reason] = [:]
    for reason in Reason.allCases { result["\(reason.name)"] = reason }
    return result
}()
