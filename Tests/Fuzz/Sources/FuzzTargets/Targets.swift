/// Every target by its name.
public let targetNames = [
    "fastcgi", "http", "spop", "tokens", "policy", "tables", "request", "proofs", "claims", "introspection",
    "statuses", "bundle", "clients", "signatures", "publications",
]

/// A pure function from one input; it ends the process where a claim does not hold. Nil for another name.
public func target(named name: String) -> (@Sendable (Span<UInt8>) -> Void)? {
    switch name {
    case "fastcgi": fuzzFastCGI
    case "http": fuzzHTTP
    case "spop": fuzzSPOP
    case "tokens": fuzzTokens
    case "policy": fuzzPolicy
    case "tables": fuzzTables
    case "request": fuzzRequest
    case "proofs": fuzzProofs
    case "claims": fuzzClaims
    case "introspection": fuzzIntrospection
    case "statuses": fuzzStatuses
    case "bundle": fuzzBundle
    case "clients": fuzzClients
    case "signatures": fuzzSignatures
    case "publications": fuzzPublications
    default: nil
    }
}
