internal import Octets

/// How the `use` or `key_ops` of a JWK says that it is not for verifying signatures (RFC 7517 §4.2, §4.3).
enum KeyPurposeFault {
    /// `use` is no string.
    case useMalformed
    case useOther
    /// `key_ops` is no array of at most 16 strings.
    case operationsMalformed
    /// `key_ops` does not have `verify`, or has an entry twice.
    case operationsOther
}

extension JSONIndex {
    private static let operationsMax = 16

    /// Each member counts only where it is present. Allocates nothing.
    func purposeFault(of key: JSONValue, in text: Span<UInt8>) -> KeyPurposeFault? {
        if let use = member("use", of: key, in: text) {
            guard use.kind == .string else { return .useMalformed }
            guard isString(use, in: text, equalTo: "sig") else { return .useOther }
        }
        guard let operations = member("key_ops", of: key, in: text) else { return nil }
        guard operations.kind == .array else { return .operationsMalformed }
        var count = 0
        var verifies = false
        var item = child(after: nil, of: operations)
        while let operation = item {
            guard operation.kind == .string, count < JSONIndex.operationsMax else { return .operationsMalformed }
            var earlier = child(after: nil, of: operations)
            while let other = earlier, other != operation {
                if equalBothUnescaped(text.bytes(at: other.range), text.bytes(at: operation.range)) {
                    return .operationsOther
                }
                earlier = child(after: other, of: operations)
            }
            if isString(operation, in: text, equalTo: "verify") { verifies = true }
            count += 1
            item = child(after: operation, of: operations)
        }
        return verifies ? nil : .operationsOther
    }
}
