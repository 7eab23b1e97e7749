public import Decision

/// One entry of a policy's `tests`: a request, the token it comes with, and what must come out.
public struct PolicyTest: Sendable, Equatable {
    public enum Expectation: Sendable, Equatable {
        /// Any ground to allow.
        case allow
        /// Any reason to deny.
        case deny
        case reason(Reason)
    }

    /// Where its `request` stands.
    public var position: SourcePosition
    /// As written, e.g. `GET https://api.example.com/v1/orders/7`.
    public var request: String
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
    /// Unix seconds at which the request is made; nil means when the test runs.
    public var time: Int64?
    public var expectation: Expectation
    /// Where its `expect` stands.
    public var expectationPosition: SourcePosition
}

/// The token of a policy test. What is nil or empty is up to the runner: a value that the policy accepts.
public struct TestToken: Sendable, Equatable {
    public enum State: String, Sendable, CaseIterable {
        case valid
        case expired
        case notYetValid = "not_yet_valid"
    }

    public struct Claim: Sendable, Equatable {
        public var name: String
        public var value: String
    }

    public var state = State.valid
    public var scopes: [String] = []
    public var subject: String?
    public var client: String?
    public var issuer: String?
    public var audiences: [String] = []
    /// String claims beside those above, in the order of the source.
    public var claims: [Claim] = []
}

/// The reason with this stable name, or nil.
func reason(named name: String) -> Reason? { reasonsByName[name] }

let reasonsByName: [String: Reason] = {
    var result: [String: Reason] = [:]
    for reason in Reason.allCases { result["\(reason.name)"] = reason }
    return result
}()
