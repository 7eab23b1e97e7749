/// What a person says beside the document.
public struct ImportOptions: Sendable {
    /// Of the service; nil makes one from the document's title.
    public var service: String?
    /// In place of those in the document.
    public var hosts: [String] = []
    /// Values of server variables that are meant, by name, in place of all that the document lists.
    public var serverVariables: [String: [String]] = [:]
    /// For drift, which compares paths on hosts that it knows: a server variable that can be anything counts with its
    /// default alone, and a server whose path cannot be read is no error.
    var takesServerDefaults = false
    /// Written under `issuers`; nil leaves that to another file of the policy.
    public var issuer: String?
    /// Names of the security schemes that are this policy's tokens; empty takes every one that is an access token.
    public var schemes: [String] = []
    /// Required where the document asks for a token and names no scope; nil leaves such operations out.
    public var defaultScope: String?
    /// Whether operations are left out, and so denied, of which the document says nothing at all.
    public var deniesUnstated = false
    public init() {}
}

/// What a person should know of an import.
public struct ImportRemark: Sendable, Equatable {
    public enum Kind: String, Sendable {
        /// The operation is not in the policy, so it is denied.
        case leftOut = "left_out"
        /// The policy asks for more than the document.
        case stricter
        /// The document says nothing of security, so everybody may.
        case unstated
        /// Two paths stand for the same requests, and nobody says which one is meant.
        case ambiguous
        /// Nothing that decides; for reading.
        case note
    }

    public var kind: Kind
    /// What it is about, without the operation; the same for all operations that have it.
    public var reason: String
    /// Like `GET /orders`; the first ones.
    public var operations: [String]
    /// How many operations.
    public var count: Int

    public static let operationsMax = 5

    /// Whether the policy says something other than the document.
    public var isReservation: Bool { kind != .note }
}
