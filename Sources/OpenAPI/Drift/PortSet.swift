/// Ports of a listener: some, or all but some.
struct PortSet: Equatable {
    private let isInverted: Bool
    private let ports: Set<UInt16>

    static let all = PortSet(isInverted: true, ports: [])
    static let empty = PortSet(isInverted: false, ports: [])

    private init(isInverted: Bool, ports: Set<UInt16>) {
        self.isInverted = isInverted
        self.ports = ports
    }

    /// As policies list them: no ports are any port.
    init(listed ports: [UInt16]) { self.init(isInverted: ports.isEmpty, ports: Set(ports)) }

    var isEmpty: Bool { !isInverted && ports.isEmpty }

    private var inverted: PortSet { PortSet(isInverted: !isInverted, ports: ports) }

    func intersection(_ other: PortSet) -> PortSet {
        // Most sets are of any port: the other's memory is shared then.
        if self == .all { return other }
        if other == .all { return self }
        return switch (isInverted, other.isInverted) {
        case (false, false): PortSet(isInverted: false, ports: ports.intersection(other.ports))
        case (false, true): PortSet(isInverted: false, ports: ports.subtracting(other.ports))
        case (true, false): PortSet(isInverted: false, ports: other.ports.subtracting(ports))
        case (true, true): PortSet(isInverted: true, ports: ports.union(other.ports))
        }
    }

    func union(_ other: PortSet) -> PortSet {
        if isEmpty { return other }
        return inverted.intersection(other.inverted).inverted
    }

    func subtracting(_ other: PortSet) -> PortSet { intersection(other.inverted) }

    /// `port 443`, `ports 80, 443`, `any port`, `any port but 9999`.
    var words: String {
        guard !ports.isEmpty else { return isInverted ? "any port" : "no port" }
        let list = ports.sorted().prefix(8).map { String($0) }.joined(separator: ", ") + (ports.count > 8 ? ", …" : "")
        return (isInverted ? "any port but " : ports.count == 1 ? "port " : "ports ") + list
    }
}
