/// Methods that are hardly a slip: those of the registry (RFC 9110 §16.1.1,
/// https://www.iana.org/assignments/http-methods), the usual ones first, and what is in use without it. Others are taken
/// too: an application may have its own.
enum KnownMethods {
    static let names = [
        "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "ACL", "BASELINE-CONTROL",
        "BIND",
        "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL",
        "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PRI", "PROPFIND", "PROPPATCH", "REBIND", "REPORT",
        "SEARCH",
        "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
        // A draft of the HTTP working group, UPnP, and caches.
        "QUERY", "M-SEARCH", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PURGE", "BAN",
    ]
}

extension ModelReader {
    /// A method that is written wrong denies every request it was meant for, and says nothing.
    func warn(ofUnknownMethod method: String, at offset: Int, in node: Int) {
        guard !KnownMethods.names.contains(method) else { return }
        let place = lines.position(of: offset, in: tree.bytes(node), at: position(node))
        sink.warning(
            .unknownMethod, at: place,
            "\(quoted(method)) is no HTTP method that is known; only requests that say exactly that come to the route",
            mend: didYouMean(
                method, among: KnownMethods.names,
                otherwise:
                    "correct it, or leave it if clients of yours have that method (`# lint: allow unknown_method WHY`)")
        )
    }
}
