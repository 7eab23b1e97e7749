internal import PolicyComparison
internal import Tokens

/// What two policies have otherwise, for people and programs.
struct DiffReport {
    let difference: PolicyDifference
    /// Where routes stand, as `file:line`; nil where nobody knows.
    let oldPlace: (RouteLocation) -> String?
    let newPlace: (RouteLocation) -> String?

    // MARK: For people

    var text: String {
        guard !difference.isEmpty else { return "no difference\n" }
        var lines: [String] = []
        for part in PolicyDifference.Part.allCases {
            let changes = difference.changes.filter { $0.part == part }
            if changes.isEmpty { continue }
            lines.append("\(part.rawValue):")
            for change in changes { lines += text(change) }
        }
        if difference.omittedCount > 0 { lines.append("\(difference.omittedCount) more changes are not shown") }
        for (title, holder) in [
            ("clients that gain or lose routes:", PolicyDifference.Reach.Holder.client),
            ("routes that a scope opens or closes:", .scope),
        ] {
            let reaches = difference.reaches.filter { $0.holder == holder }
            if reaches.isEmpty { continue }
            lines.append(title)
            for reach in reaches {
                lines.append("    \(reach.name): \(reach.gained.count) gained, \(reach.lost.count) lost")
                lines += text(reach.gained, sign: "+") + text(reach.lost, sign: "-")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func text(_ change: PolicyDifference.Change) -> [String] {
        let sign =
            switch change.kind {
            case .added: "+"
            case .removed: "-"
            case .changed: "~"
            }
        let places = [change.oldRoute.flatMap(oldPlace), change.newRoute.flatMap(newPlace)].compactMap(\.self)
        let suffix = places.isEmpty ? "" : " (\(places.joined(separator: ", ")))"
        return ["  \(sign) \(change.name)\(suffix)"]
            + change.details.map { "      \($0.name): \($0.old ?? "nothing") -> \($0.new ?? "nothing")" }
    }

    private func text(_ routes: PolicyDifference.Routes, sign: String) -> [String] {
        var lines = routes.examples.map { "      \(sign) \($0)" }
        if routes.count > routes.examples.count {
            lines.append("      \(sign) and \(routes.count - routes.examples.count) more")
        }
        return lines
    }

    // MARK: For programs

    /// `{"same":false,"at":…,"changes":[…],"omitted":0,"reaches":[…]}`
    var json: [UInt8] {
        var writer = JSONObjectWriter()
        writer.add("same", boolean: difference.isEmpty)
        writer.add("at", number: difference.at)
        writer.add("changes", json: jsonArray(difference.changes.map(object)))
        writer.add("omitted", number: Int64(difference.omittedCount))
        writer.add("reaches", json: jsonArray(difference.reaches.map(object)))
        return writer.text() + [0x0A]
    }

    private func object(_ change: PolicyDifference.Change) -> [UInt8] {
        var writer = JSONObjectWriter()
        writer.add("part", string: change.part.rawValue)
        writer.add("kind", string: change.kind.rawValue)
        writer.add("name", string: change.name)
        let details = change.details.map { detail in
            var writer = JSONObjectWriter()
            writer.add("name", string: detail.name)
            if let old = detail.old { writer.add("old", string: old) }
            if let new = detail.new { writer.add("new", string: new) }
            return writer.text()
        }
        if !details.isEmpty { writer.add("details", json: jsonArray(details)) }
        if let place = change.oldRoute.flatMap(oldPlace) { writer.add("old_place", string: place) }
        if let place = change.newRoute.flatMap(newPlace) { writer.add("new_place", string: place) }
        return writer.text()
    }

    private func object(_ reach: PolicyDifference.Reach) -> [UInt8] {
        var writer = JSONObjectWriter()
        writer.add(reach.holder.rawValue, string: reach.name)
        for (name, routes) in [("gained", reach.gained), ("lost", reach.lost)] {
            var list = JSONObjectWriter()
            list.add("count", number: Int64(routes.count))
            list.add("routes", strings: routes.examples)
            writer.add(name, json: list.text())
        }
        return writer.text()
    }
}
