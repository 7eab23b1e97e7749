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
                otherwise: "correct it, or leave it if clients of yours have that method")
        )
    }
}
