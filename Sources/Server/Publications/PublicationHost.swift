internal import Policy
internal import PolicyTables
internal import Signatures

/// What a publication is judged to be, by a child of the daemon.
struct PublicationVerdict: Sendable, Equatable {
    /// The policy with it, which is in the store now.
    var version: Digest
    var service: String
    var keyID: String
    var serial: UInt64
    /// Unix seconds from which on the service is denied; nil is for ever.
    var ends: Int64?
    /// What it allows that is denied, for people; empty when it only tightens.
    var widenings: [String]
    /// How many more there are.
    var wideningsOmitted = 0
    /// Of the published file, which decides all the same.
    var warnings: [String] = []
    /// The service took back what it had published.
    var isWithdrawal = false
}

/// What the desk for publications needs of the daemon.
struct PublicationHost: Sendable {
    /// A change that was made, or that was none.
    struct Change: Sendable, Equatable {
        var number: UInt64
        var isUnchanged: Bool
        /// The service's proposal that waited until then, and is gone.
        var dropped: String?
    }

    /// Another version decides than the one that was judged against.
    struct Moved: Error {}

    var store: PolicyStore
    /// Unix seconds.
    var now: @Sendable () -> Int64
    /// Versions must be signed by people.
    var requiresSignatures: Bool
    /// Verifies, checks, compiles and tests a publication against a version, and stores what comes out.
    /// - Throws: `PublicationRefusal`, or whatever keeps it from judging.
    var judge:
        @Sendable (
            _ signed: [UInt8], _ against: Digest, _ term: PublicationReview.Term, _ origin: VersionOrigin
        ) throws -> PublicationVerdict
    /// Returns when no change of people is under way.
    var waitForPeople: @Sendable () -> Void = {}
    /// Makes a version the one that decides.
    /// - Throws: `Moved` unless the version `expecting` decides, or what keeps it from doing so.
    var activate: @Sendable (_ version: Digest, _ cause: ActivationCause, _ expecting: Digest) throws -> Change
    /// Removes versions that are not needed any more, as those of proposals that were replaced.
    var tidy: @Sendable () -> Void = {}
    var log: EventLog
}
