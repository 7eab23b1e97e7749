internal import PolicyTables

/// Reading what a service tells clients of itself, and what its backend gets to see of a token.
extension ModelReader {
    func readForwardToken(_ fields: Fields<ServiceKey>, isHeader: Bool) -> Bool {
        guard let node = fields[.forwardToken] else { return true }
        guard choice(node, "forward_token", ["always", "never"]) == "never" else { return true }
        // The shipped configurations clear the `Authorization` header and nothing else.
        if !isHeader {
            sink.error(
                .conflictingKeys, at: position(node),
                "`forward_token: never` on a service whose `token_from` is not the header, which alone can be cleared",
                mend: "take the token from the `Authorization` header, or remove it")
        }
        return false
    }

    /// - Parameter isGood: nothing of the service has been reported as wrong.
    func readTransactionToken(_ fields: Fields<ServiceKey>, _ routes: [RouteModel], isGood: Bool) -> Bool {
        guard let node = fields[.transactionToken], isTrue(node, "`transaction_token`") else { return false }
        let needsToken = routes.contains { route in
            if case .scopes = route.ground { true } else { false }
        }
        if isGood, !needsToken, let key = fields.keyNode(.transactionToken) {
            sink.error(
                .noEffect, at: position(key),
                "`transaction_token` has no effect on a service whose routes need no token",
                mend: "require scopes on a route, or remove it")
        }
        return true
    }

    // MARK: Resource

    /// The identifier of a protected resource (RFC 9728 §1.2).
    /// - Parameter hosts: of the service; empty when they are wrong, which has been reported.
    func readResource(_ fields: Fields<ServiceKey>, hosts: [String], name: String) -> String? {
        guard let node = fields[.resource],
            let resource = text(node, "`resource`", example: "https://api.example.com")
        else { return nil }
        do throws(TextProblem) {
            let bytes = tree.bytes(node)
            try WebAddress.check(bytes, allowsQuery: false, risk: "change what clients are told")
            try checkSegments(bytes)
            guard let place = MetadataPlace(resource: resource) else {
                throw TextProblem(
                    code: .limitExceeded, offset: 0,
                    message: "the path of \(quoted(resource)) has more than \(MetadataPlace.pathBytesMax) bytes",
                    mend: "write a shorter one; clients are sent to metadata at that path")
            }
            guard hosts.isEmpty || isHost(place.host, of: hosts) else {
                throw TextProblem(
                    code: .badHost, offset: 0, message: "\(quoted(resource)) is not at a host of its service",
                    mend: "use one of its hosts, spelled exactly so: \(quotedList(hosts, joint: "or"))")
            }
            checkPlace(place, resource, node, name)
            return resource
        } catch {
            report(error, in: node)
            return nil
        }
    }

    /// A client would ask for another path than the one that is written.
    private func checkSegments(_ bytes: ArraySlice<UInt8>) throws(TextProblem) {
        let dots = bytes.split(separator: 0x2F, omittingEmptySubsequences: false).first {
            $0.equals(".") || $0.equals("..")
        }
        // A `*` would stand for paths that nobody has written.
        if let star = bytes.firstIndex(of: 0x2A) {
            throw TextProblem(
                code: .badURL, offset: star - bytes.startIndex, message: "\(quoted(bytes)) has a `*`",
                mend: "write one resource; each service has its own")
        }
        guard let dots else { return }
        throw TextProblem(
            code: .badURL, offset: dots.startIndex - bytes.startIndex,
            message: "\(quoted(bytes)) has the segment \(quoted(dots))", mend: "write the path without it")
    }

    /// Whether the host is listed, or one label below a `*.` that is.
    private func isHost(_ host: String, of hosts: [String]) -> Bool {
        if hosts.contains(host) { return true }
        guard let dot = host.firstIndex(of: "."), dot > host.startIndex, host.utf8.allSatisfy({ !isUpperCase($0) })
        else { return false }
        return hosts.contains("*" + host[dot...])
    }

    private func isUpperCase(_ byte: UInt8) -> Bool { byte >= 0x41 && byte <= 0x5A }

    /// The metadata is for everybody: the proxy asks about it as about any other path.
    func addMetadataRoute(_ resource: String, _ node: Int, _ context: inout ServiceContext) {
        guard let place = MetadataPlace(resource: resource) else { return }
        do throws(TextProblem) {
            let segments = try PathTemplate.read(Array(place.path.utf8)[...])
            context.routes.append(
                RouteModel(method: "GET", segments: segments, ground: .public, label: "GET \(place.path)"))
            context.positions.append(position(node))
        } catch {
            report(error, in: node)
        }
    }

    private func checkPlace(_ place: MetadataPlace, _ resource: String, _ node: Int, _ name: String) {
        let key = place.host + place.path
        guard let first = metadataPlaces[key] else {
            metadataPlaces[key] = (service: name, resource: resource, position: position(node))
            return
        }
        let line = sink.lineName(of: first.position, from: position(node))
        let owner = "that of the service \(quoted(first.service)) in \(line)"
        let message =
            first.resource == resource
            ? "the resource \(quoted(resource)) is already \(owner)"
            : "the resource \(quoted(resource)) has its metadata at the same place as \(owner)"
        sink.error(
            .duplicateValue, at: position(node), message,
            mend:
                "give each service a resource of its own; ports and a `/` right behind the host do not tell them apart",
            notes: [Diagnostic.Note(position: first.position, message: "the first one")])
    }
}
