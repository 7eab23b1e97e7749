internal import ArgumentParser
internal import Kernel

/// Where the running daemon takes publications: on a listener of their own, or on its admin socket.
struct PublicationPlace: ParsableArguments, DaemonAddress {
    /// Where README.md puts it.
    static let usual = "/run/scopecheck/publications.sock"

    @Option(
        name: .customLong("address"),
        help: """
            Where the daemon takes publications, unix:PATH or HOST:PORT: its `publications` listener or its admin socket. \
            Unless given unix:\(usual), or where that is missing unix:\(DaemonPlace.usualAdmin).
            """)
    var given: AddressArgument?

    @Option(help: "The daemon's admin address, in place of --address.")
    var admin: AddressArgument?

    func validate() throws {
        guard given == nil || admin == nil else { throw ValidationError("give --address or --admin, not both") }
    }

    /// For printed commands, which all are for the admin address.
    var words: String { admin.map { " --admin \(shellWord("\($0.address)"))" } ?? "" }

    var address: ListenAddress {
        if let given = given ?? admin { return given.address }
        let hasOwn = (try? Files.stamp(PublicationPlace.usual)) != nil
        return .unix(path: hasOwn ? PublicationPlace.usual : DaemonPlace.usualAdmin)
    }

    var keptOut: String? { nil }

    var wanted: String { "the address of the daemon's `publications` or admin listener" }

    func hint(_ error: LocalHTTPError) -> String {
        switch error {
        case .system(let error) where error.isForbidden:
            "; or have this user added to the group of the daemon's `publications` listener and give its --address (the "
                + "admin socket is for root and the daemon's own user)"
        case .badResponse(_, LocalHTTPError.closedAtOnce):
            "; or have this user added to the `peers` of the daemon's `publications` listener"
        default:
            given == nil && admin == nil ? "; give --address of the daemon's `publications` or admin listener" : ""
        }
    }
}
