/// Why a publication is not taken. What decides goes on deciding.
public struct PublicationRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// Raw values are the stable names in answers and logs.
    public enum Reason: String, Sendable, CaseIterable {
        // What was sent.
        case malformed
        case tooLarge = "too_large"
        case wrongFile = "wrong_file"
        case wrongEnvironment = "wrong_environment"
        // Who sent it.
        case unknownPublisher = "unknown_publisher"
        case unknownKey = "unknown_key"
        case badSignature = "bad_signature"
        case replayed
        case serialAhead = "serial_ahead"
        // How far it may go.
        case timeLimit = "time_limit"
        case outsideFile = "outside_file"
        case outsideHosts = "outside_hosts"
        case outsidePath = "outside_path"
        case outsideScopes = "outside_scopes"
        case outsideIssuers = "outside_issuers"
        case publicRoute = "public_route"
        case observeMode = "observe_mode"
        case notHTTP = "not_http"
        case outsideBounds = "outside_bounds"
        case overlaps
        case definedElsewhere = "defined_elsewhere"
        case notPublished = "not_published"
        case tooManyFiles = "too_many_files"
        case policyErrors = "policy_errors"
        case testsFailed = "tests_failed"
        case widens
        // What the daemon can do.
        case noPolicy = "no_policy"
        case policyUnreadable = "policy_unreadable"
        case signaturesRequired = "signatures_required"
        case tooManyProposals = "too_many_proposals"
        case moved
        case ended
    }

    public var reason: Reason
    /// What, where and how to mend it; several lines for a policy with errors.
    public var message: String

    public init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    public var description: String { message }
}
