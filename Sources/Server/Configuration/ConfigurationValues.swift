internal import Kernel
internal import Policy
internal import Yams

// Single values of a configuration, each with its limits and what to write instead.

extension ConfigurationFile {
    mutating func section(_ node: Node?, _ name: String, _ known: [String]) -> [String: Node] {
        guard let node else { return [:] }
        guard case .mapping(let mapping) = node else {
            add(node, "\(name) must be a mapping", "write `key: value` lines")
            return [:]
        }
        var result: [String: Node] = [:]
        for (key, value) in mapping {
            guard let text = key.scalar?.string else {
                add(key, "a key must be plain text", "write one of \(known.joined(separator: ", "))")
                continue
            }
            if !known.contains(text) {
                let others = "there are \(known.joined(separator: ", "))"
                add(key, "`\(text)` is not known in \(name)", didYouMean(text, among: known, otherwise: others))
            } else {
                result[text] = value
            }
        }
        return result
    }

    /// A sequence's members, or the node itself.
    func items(_ node: Node?) -> [Node] {
        guard let node else { return [] }
        if case .sequence(let sequence) = node { return Array(sequence) }
        return [node]
    }

    mutating func string(_ node: Node?) -> String? {
        guard let node else { return nil }
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            add(node, "text is expected here", "write a value")
            return nil
        }
        return scalar.string
    }

    mutating func path(_ node: Node?) -> String? {
        string(node).map { Files.resolve($0, against: folder) }
    }

    mutating func choice(_ node: Node?, _ choices: [String]) -> String? {
        guard let text = string(node) else { return nil }
        if choices.contains(text) { return text }
        add(node, "`\(text)` is not one of the choices", "write \(choices.joined(separator: " or "))")
        return nil
    }

    mutating func boolean(_ node: Node?) -> Bool? {
        choice(node, ["true", "false"]).map { $0 == "true" }
    }

    mutating func number(_ node: Node?, _ range: ClosedRange<Int>) -> Int? {
        guard let text = string(node) else { return nil }
        if let value = Int(text), range.contains(value) { return value }
        add(node, "`\(text)` is not a whole number from \(range.lowerBound) to \(range.upperBound)", "correct it")
        return nil
    }

    /// A number of bytes, alone or with KiB, MiB or GiB.
    mutating func byteCount(_ node: Node?, _ range: ClosedRange<Int>) -> Int? {
        guard let text = string(node) else { return nil }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let factors = ["": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]
        if let value = Int(digits), let factor = factors[String(text.dropFirst(digits.count))],
            value <= range.upperBound / factor, range.contains(value * factor)
        {
            return value * factor
        }
        add(
            node, "`\(text)` is no size from \(range.lowerBound) to \(range.upperBound) bytes",
            "write a whole number and KiB, MiB or GiB, as in 16GiB")
        return nil
    }

    /// A duration of whole seconds.
    mutating func seconds(_ node: Node?) -> Int64? {
        guard let value = milliseconds(node) else { return nil }
        if value % 1_000 == 0 { return value / 1_000 }
        add(node, "\(value) ms is not a whole number of seconds", "write whole seconds, as in 5s")
        return nil
    }

    /// The same within limits.
    mutating func seconds(_ node: Node?, _ range: ClosedRange<Int64>) -> Int64? {
        guard let value = seconds(node) else { return nil }
        if range.contains(value) { return value }
        add(node, "\(value) s is not from \(range.lowerBound) to \(range.upperBound) s", "correct it")
        return nil
    }

    /// `250ms`, `5s`, `10m`, `24h`.
    mutating func milliseconds(_ node: Node?) -> Int64? {
        guard let text = string(node) else { return nil }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let factors = ["ms": Int64(1), "s": 1_000, "m": 60_000, "h": 3_600_000]
        if let value = Int64(digits), let factor = factors[String(text.dropFirst(digits.count))], value > 0,
            value <= Int64.max / 3_600_000, value * factor <= 366 * 24 * 3_600_000
        {
            return value * factor
        }
        add(node, "`\(text)` is no duration", "write a number and ms, s, m or h, as in 250ms")
        return nil
    }
}
