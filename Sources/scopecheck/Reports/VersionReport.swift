internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Tokens

/// What is known of a stored version, for `policy show VERSION`, and the lines of `policy log`.
enum VersionReport {
    /// - Parameter source: prints the files instead, as `policy export --to -` does.
    static func show(_ argument: String, _ place: StorePlace, source: Bool, json: Bool) throws {
        let stored = try PolicyOperand.find(argument, place)
        guard !source else { return printOut(try place.source(of: stored.version)) }
        printOut(json ? stored.description.bytes + [0x0A] : Array(text(stored.description).utf8))
        guard !json, stored.description.isTrue("stored"),
            let model = try PolicyOperand.load(argument, place: place).policy.model
        else { return }
        printOut("\n\(effectiveTable(model, now: nowSeconds()).text)")
    }

    static func text(_ version: JSONObject) -> String {
        var lines = ["version    \(version.string("version") ?? "")\(version.isTrue("active") ? "  (decides)" : "")"]
        if let last = version.object("last_activation") { lines.append("activated  \(line(last, marksActive: false))") }
        guard version.isTrue("stored") else {
            lines.append("stored     not any more: it was pruned")
            return lines.joined(separator: "\n") + "\n"
        }
        lines.append("stored     \(version.string("stored_at") ?? "")")
        func add(_ title: String, _ member: String) {
            if let value = version.string(member), !value.isEmpty { lines.append("\(title)\(shown(value))") }
        }
        add("for        ", "environment")
        add("author     ", "author")
        add("note       ", "note")
        add("parent     ", "parent")
        add("folder     ", "folder")
        let counts = ["hosts", "services", "routes", "scopes", "issuers"].compactMap { name in
            version.number(name).map { "\($0) \(name)" }
        }
        lines.append(
            "holds      \(counts.joined(separator: ", ")); \(version.number("source_bytes") ?? 0) bytes of source")
        return lines.joined(separator: "\n") + "\n"
    }

    /// `12.2c26b46b68ffc68f  2026-11-21T04:05:06Z  apply  alice (uid 1000)  why`
    static func line(_ activation: JSONObject, marksActive: Bool = true) -> String {
        var parts = [
            activation.string("label") ?? "", activation.string("activated_at") ?? "", activation.string("kind") ?? "",
        ]
        if let environment = activation.string("environment") { parts.append("for \(environment)") }
        for name in ["author", "note"] {
            if let value = activation.string(name), !value.isEmpty { parts.append(shown(value)) }
        }
        if let serial = activation.number("serial") { parts.append("serial \(serial)") }
        if marksActive, activation.isTrue("active") { parts.append("(decides)") }
        return parts.joined(separator: "  ")
    }
}
