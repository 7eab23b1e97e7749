internal import Octets

extension JSONIndex {
    /// Whether `authorization_details` (RFC 9396 §2) are an array of objects that each have a string `type`. Of
    /// anything else nobody can say what was granted.
    func areDetails(_ details: JSONValue, in text: Span<UInt8>) -> Bool {
        guard details.kind == .array else { return false }
        var item = child(after: nil, of: details)
        while let element = item {
            guard member("type", of: element, in: text)?.kind == .string else { return false }
            item = child(after: element, of: details)
        }
        return true
    }

    /// Whether one element alone meets the whole demand: what two elements grant is not added up.
    /// - Parameter details: for which `areDetails` holds.
    func satisfies(_ rule: DetailRule, _ details: JSONValue, in text: Span<UInt8>) -> Bool {
        var item = child(after: nil, of: details)
        while let element = item {
            if isMet(rule, by: element, in: text) { return true }
            item = child(after: element, of: details)
        }
        return false
    }

    private func isMet(_ rule: DetailRule, by element: JSONValue, in text: Span<UInt8>) -> Bool {
        guard let type = member("type", of: element, in: text),
            isString(type, in: text, equalTo: rule.type.span)
        else { return false }
        // Present and of another form than RFC 9396 §2.2 gives them, they are limits that nobody here could keep.
        let actions = member("actions", of: element, in: text)
        let locations = member("locations", of: element, in: text)
        guard areStrings(actions), areStrings(locations) else { return false }
        for position in rule.actions.indices {
            guard contains(actions, rule.actions[position], in: text) else { return false }
        }
        guard !rule.locations.isEmpty else { return true }
        for position in rule.locations.indices {
            if contains(locations, rule.locations[position], in: text) { return true }
        }
        return false
    }

    private func areStrings(_ list: JSONValue?) -> Bool {
        guard let list else { return true }
        guard list.kind == .array else { return false }
        var item = child(after: nil, of: list)
        while let current = item {
            guard current.kind == .string else { return false }
            item = child(after: current, of: list)
        }
        return true
    }

    private func contains(_ list: JSONValue?, _ name: [UInt8], in text: Span<UInt8>) -> Bool {
        guard let list else { return false }
        var item = child(after: nil, of: list)
        while let current = item {
            if isString(current, in: text, equalTo: name.span) { return true }
            item = child(after: current, of: list)
        }
        return false
    }
}
