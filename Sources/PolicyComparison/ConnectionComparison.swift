internal import PolicyTables

/// Compares the ports without HTTP: connections that the new policy lets through and the old one closes.
///
/// A connection is decided by its port and by the names in its certificate. The new policy takes a certificate when
/// exactly one of its clients has a name in it. Of all other names only those make a difference that the old policy
/// knows and the new one does not, and of those one is enough: with it the certificate belonged to two clients.
struct ConnectionComparison {
    private let comparison: Comparison
    private let old: Side
    private let new: Side

    private struct Side {
        let model: PolicyModel
        var services: [UInt16: Int] = [:]
        var clients: [CertificateName: Int] = [:]

        init(_ model: PolicyModel) {
            self.model = model
            for (index, service) in model.portServices.enumerated() {
                for port in service.ports { services[port] = index }
            }
            for (index, client) in model.certificateClients.enumerated() {
                clients[CertificateName(client.identity)] = index
            }
        }

        func service(_ port: UInt16) -> PortServiceModel? { services[port].map { model.portServices[$0] } }

        func isObserved(_ port: UInt16, at time: Int64) -> Bool {
            service(port)?.observeUntil.map { time < $0 } ?? false
        }

        /// nil for a client that the policy does not know.
        /// - Parameter time: nil takes scopes as if none ended.
        func holds(_ identity: CertificateName, _ port: UInt16, at time: Int64?) -> Bool? {
            guard let client = clients[identity] else { return nil }
            guard let service = service(port) else { return false }
            let held = Set(model.certificateClients[client].scopes).filter { scope in
                guard let time, let until = model.scopes[Int(scope)].until else { return true }
                return time < until
            }
            return service.all.allSatisfy(held.contains)
                && (service.any.isEmpty || service.any.contains(where: held.contains))
        }
    }

    init(_ comparison: Comparison) {
        self.comparison = comparison
        old = Side(comparison.old.model)
        new = Side(comparison.new.model)
    }

    /// What was found of one port, times that follow each other as one.
    private struct Found {
        var widening: Widening
        var identities: [CertificateName]
    }

    /// The end of a scope is looked at in both ways, as an end and as none: a policy is only found no wider when it is
    /// no wider in either way.
    func run(_ findings: inout FindingCollector) {
        let removed = old.clients.keys.filter { new.clients[$0] == nil }.sorted { $0.text < $1.text }
        let known = new.clients.keys.sorted { $0.text < $1.text }
        let scopeEnds = comparison.old.scopeEnds + comparison.new.scopeEnds
        for (port, index) in new.services.sorted(by: { $0.key < $1.key }) {
            for endsScopes in scopeEnds.isEmpty ? [false] : [false, true] {
                var found: [Found] = []
                for window in windows(port, endsScopes ? scopeEnds : []) {
                    comparison.stepsLeft -= known.count + removed.count
                    guard comparison.stepsLeft > 0 else { return }
                    if old.isObserved(port, at: window.lowerBound) { continue }
                    if new.isObserved(port, at: window.lowerBound) {
                        addObserved(port, index, window, &found)
                    } else {
                        let time = endsScopes ? window.lowerBound : nil
                        compare(port, index, window, time, known: known, removed: removed, &found)
                    }
                }
                for one in found { report(one, port, index, &findings) }
            }
        }
    }

    private func windows(_ port: UInt16, _ scopeEnds: [Int64]) -> [Range<Int64>] {
        let ends = [old.service(port)?.observeUntil, new.service(port)?.observeUntil].compactMap { $0 } + scopeEnds
        let inner = Set(ends.filter { $0 > comparison.at && $0 < .max }).sorted()
        return zip([comparison.at] + inner, inner + [.max]).map { $0..<$1 }
    }

    private func addObserved(_ port: UInt16, _ index: Int, _ window: Range<Int64>, _ found: inout [Found]) {
        let isOpened = old.service(port) == nil
        add(
            Widening(
                kind: isOpened ? .portOpened : .portObserved,
                change: "service `\(new.model.portServices[index].name)`: any connection is let through",
                was: isOpened ? "port_not_allowed" : "no_certificate", becomes: "observed", from: window.lowerBound,
                until: window.upperBound),
            [], &found)
    }

    private func compare(
        _ port: UInt16, _ index: Int, _ window: Range<Int64>, _ time: Int64?, known: [CertificateName],
        removed: [CertificateName], _ found: inout [Found]
    ) {
        let service = new.model.portServices[index].name
        var ambiguous: [CertificateName] = []
        for identity in known where new.holds(identity, port, at: time) == true {
            let name = new.clients[identity].map { new.model.certificateClients[$0].name } ?? ""
            var widening = Widening(
                kind: .portOpened, change: "service `\(service)` opens for client `\(name)`", was: "port_not_allowed",
                from: window.lowerBound, until: window.upperBound)
            let before = old.holds(identity, port, at: time)
            if old.service(port) != nil {
                if before == true {
                    if ambiguous.isEmpty, let other = removed.first(where: { canStandTogether(identity, $0) }) {
                        ambiguous = [identity, other]
                    }
                    continue
                }
                widening.kind = .certificateClient
                widening.was = before == nil ? "unknown_certificate" : "insufficient_scope"
            }
            add(widening, [identity], &found)
        }
        guard !ambiguous.isEmpty else { return }
        let widening = Widening(
            kind: .certificateAmbiguity,
            change: "service `\(service)`: names of removed clients in a certificate count no more",
            was: "ambiguous_certificate", from: window.lowerBound, until: window.upperBound)
        add(widening, ambiguous, &found)
    }

    private func add(_ widening: Widening, _ identities: [CertificateName], _ found: inout [Found]) {
        let place = found.lastIndex {
            $0.widening.kind == widening.kind && $0.widening.change == widening.change
                && $0.widening.until == widening.from
        }
        guard let place else { return found.append(Found(widening: widening, identities: identities)) }
        found[place].widening.until = widening.until
    }

    private func report(_ one: Found, _ port: UInt16, _ index: Int, _ findings: inout FindingCollector) {
        let example = Finding.Example(
            request: .connection(
                port: port, identities: one.identities.isEmpty ? nil : one.identities.map(\.text)),
            token: nil, was: one.widening.was, becomes: one.widening.becomes,
            oldRoute: old.services[port].map { RouteLocation(service: $0, route: nil) },
            newRoute: RouteLocation(service: index, route: nil))
        // Ports are counted, not services.
        findings.add(one.widening, place: RouteLocation(service: Int(port), route: nil), example: example)
    }

    /// A certificate has one subject, and with several URIs none of them counts.
    private func canStandTogether(
        _ one: CertificateName, _ other: CertificateName
    ) -> Bool {
        one.kind != other.kind || one.kind == .dns
    }
}

/// A name in a certificate, by its bytes.
private struct CertificateName: Hashable {
    enum Kind: String {
        case uri, dns, subject
    }

    let kind: Kind
    let name: [UInt8]

    init(_ identity: CertificateClientModel.Identity) {
        switch identity {
        case .uri(let name): (kind, self.name) = (.uri, Array(name.utf8))
        case .dns(let name): (kind, self.name) = (.dns, Array(name.utf8))
        case .subject(let name): (kind, self.name) = (.subject, Array(name.utf8))
        }
    }

    var text: String { "\(kind.rawValue) \(String(decoding: name, as: UTF8.self))" }
}
