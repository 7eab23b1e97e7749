internal import Kernel
internal import Yams

/// What services publish of themselves, and how often it is held against the policy.
public struct DriftSettings: Sendable {
    public var everySeconds: Int64 = 3_600
    public var sources: [DriftSource] = []

    public init() {}
}

extension ConfigurationFile {
    /// ```yaml
    /// drift:
    ///   every: 1h
    ///   services:
    ///     orders: { openapi: "https://orders.example.com/openapi.json" }     # or metadata, or manifest
    /// ```
    mutating func readDrift(_ node: Node?, _ settings: inout DaemonSettings) {
        guard let node else { return }
        let keys = section(node, "drift", ["every", "services"])
        var drift = DriftSettings()
        if let value = seconds(keys["every"], 60...2_000_000) { drift.everySeconds = value }
        guard case .mapping(let services)? = keys["services"] else {
            return add(
                keys["services"] ?? node, "`drift` without `services`",
                "write them as in `services: { orders: { openapi: https://… } }`")
        }
        guard services.count <= DriftDesk.sourcesMax else {
            return add(node, "`drift` has more than \(DriftDesk.sourcesMax) services", "leave some to a CI job")
        }
        for (key, value) in services {
            guard let service = string(key) else { continue }
            if let source = driftSource(of: service, value) { drift.sources.append(source) }
        }
        settings.drift = drift
    }

    private mutating func driftSource(of service: String, _ node: Node) -> DriftSource? {
        let names = DriftSource.Kind.allCases.map(\.rawValue)
        let keys = section(node, "a service of `drift`", names + ["security", "server_variables", "ca_file"])
        let given = DriftSource.Kind.allCases.filter { keys[$0.rawValue] != nil }
        guard given.count == 1, let kind = given.first else {
            add(node, "`\(service)` needs one place to look at", "write one of \(names.joined(separator: ", "))")
            return nil
        }
        guard let place = string(keys[kind.rawValue]) else { return nil }
        let isURL = place.hasPrefix("https://")
        if !isURL, place.contains("://") {
            add(keys[kind.rawValue], "`\(place)` is no https URL", "publish it over https, or name a file")
            return nil
        }
        var source = DriftSource(
            service: service, kind: kind, place: isURL ? place : Files.resolve(place, against: folder))
        for scheme in items(keys["security"]) {
            if let name = string(scheme) { source.schemes.append(name) }
        }
        if let node = keys["server_variables"] { source.serverVariables = serverVariables(node, of: source) }
        source.authorityFile = path(keys["ca_file"])
        return source
    }

    /// `{ region: eu }`, or `{ region: [eu, us] }`.
    private mutating func serverVariables(_ node: Node, of source: DriftSource) -> [String: [String]] {
        guard source.kind == .openAPI, case .mapping(let mapping) = node else {
            let isOpenAPI = source.kind == .openAPI
            add(
                node,
                isOpenAPI ? "`server_variables` must be a mapping" : "only an OpenAPI document has `server_variables`",
                isOpenAPI ? "write it as in `{ region: eu }`" : "remove it")
            return [:]
        }
        var result: [String: [String]] = [:]
        for (key, values) in mapping {
            guard let name = string(key) else { continue }
            if name.contains("=") {
                add(key, "`\(name)` is no server variable that can be named", "call it something without `=`")
            }
            if items(values).isEmpty { add(values, "`\(name)` names no value", "write it as in `{ \(name): eu }`") }
            for value in items(values) {
                if let text = string(value) { result[name, default: []].append(text) }
            }
        }
        return result
    }
}
