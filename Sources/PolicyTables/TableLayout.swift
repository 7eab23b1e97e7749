// The bytes of the compiled tables. Little-endian, at any alignment; offsets count from the start of the
// value and 0 means "none", since the header stands there.
//
// Host table: header, then port directory, rules, terminals and nodes in no promised order.
//
//     header    magic u32 "SCHT" · layout u16 · 0 u16 · total bytes u32 · ports u32 · port directory u32
//               · default root u32 · default bound u32 · rules u32
//     port      port u16 · 0 u16 · root u32 · bound u32                    ascending by port
//     node      literals u32 · parameter node u32 · rest terminal u32 · terminal u32 · bucket bits u32
//               · bucket starts, 2^bits + 1 of u32, when bits > 0
//               · literals: hash u32 · node u32 · text u32                 ascending by hash
//     text      count u16 · bytes
//     terminal  entries u32 · entries: method key u64 · rule u32 · rules u32
//               with more than one rule, `rule` is where their offsets (u32 each) stand
//     rule      service u32 · route u32 · observe until i64 · ground u8 · method bytes u8 · label bytes u16
//               · all u16 · any u16 · bindings u16 · ports u16 · proof u8 · nonce u8 · acr values u16
//               · authentication age u32 · details u16
//               · scopes u16 each, all before any · bindings: segment u16, claim u16 · ports u16 each
//               · details u16 each · method · label · acr values: text each
//
// Example: `GET /a` for the scope 3 of service 0, on every port, with a DPoP proof, a user who authenticated with `mfa`
// in the last 300 s, and the demand 1 on `authorization_details`, is 163 bytes, as the tests check:
//
//       0  header    "SCHT" 4 0 163 · 0 32 · root 131 · bound 2 · rules 1
//      32  rule      0 0 · Int64.min · 0 3 6 · 1 0 0 0 · 2 0 1 · 300 · 1 · scope 3 · detail 1 · "GET" · "GET /a"
//                    · 3 "mfa"
//      88  terminal  1 · "GET\0\0\0\0\0" 32 1
//     108  node      of `a`: 0 · 0 · 0 · terminal 88 · bits 0
//     128  text      1 "a"
//     131  node      the root: 1 · 0 · 0 · 0 · bits 0 · literal: hash 0x5e02c8ca, node 108, text 128

enum TableLayout {
    /// Of every kind of table. Raised with every change that an older reader would misread.
    static let version: UInt16 = 4

    /// Longest table. LMDB holds up to 2^32 - 1, and offsets are 32 bits wide.
    static let tableBytesMax = 0x7FFF_FFFF
    /// Longest host (RFC 1035 §2.3.4).
    static let hostBytesMax = 253
    /// Segments of a path, in policies and requests.
    static let segmentsMax = 64
    /// Longest path that is matched, bytes, canonical: escapes may triple the 8 KB of a target.
    static let pathBytesMax = 3 * 8_192
    /// Most nodes that any path may make the matcher visit.
    static let backtrackingBoundMax = 4_096
    /// More literals than this get a bucket directory.
    static let plainLiteralsMax = 8
    static let bucketBitsMax = 24
    /// Most literals in one bucket; with at least as many buckets as literals, 8 are rare.
    static let bucketLiteralsMax = 64
    /// Routes times tries of one host: services with different ports multiply their host's tables.
    static let placedRoutesMax = 16_777_216
}

/// Offsets in a host table's header and records.
enum HostLayout {
    /// "SCHT" as little-endian bytes.
    static let magic: UInt32 = 0x5448_4353

    static let totalBytes = 8
    static let portCount = 12
    static let portDirectory = 16
    static let defaultRoot = 20
    static let defaultBound = 24
    static let ruleCount = 28
    static let headerBytes = 32

    static let portBytes = 12
    static let portRoot = 4
    static let portBound = 8

    static let nodeParameter = 4
    static let nodeRest = 8
    static let nodeTerminal = 12
    static let nodeBucketBits = 16
    static let nodeBytes = 20

    static let literalBytes = 12
    static let literalNode = 4
    static let literalText = 8

    static let terminalBytes = 4
    static let entryBytes = 16
    static let entryRule = 8
    static let entryRuleCount = 12

    static let ruleRoute = 4
    static let ruleObserveUntil = 8
    static let ruleGround = 16
    static let ruleMethodBytes = 17
    static let ruleLabelBytes = 18
    static let ruleAll = 20
    static let ruleAny = 22
    static let ruleBindings = 24
    static let rulePorts = 26
    static let ruleProof = 28
    static let ruleNonce = 29
    static let ruleAcr = 30
    static let ruleAuthenticationAge = 32
    static let ruleDetails = 36
    static let ruleBytes = 38
    static let bindingBytes = 4
}

/// Offsets in a catalogue.
///
///     header    magic u32 "SCCA" · layout u16 · 0 u16 · total bytes u32 · issuers u32 · issuer directory u32
///               · scopes u32 · scope directory u32 · scopes by name u32 · services u32
///               · service directory u32 · bound claims u32 · claim directory u32
///               · hosts u32 · routes u64 · details u32 · detail directory u32
///     issuer    profile u8 · key source u8 · leeway u16 · algorithms u16 · audiences u16
///               · proof age u16 · proof ahead u16 · proof nonce u8 · proof algorithms u8
///               · lifetime u32 · status lists u16 · introspection u8 (0 never, 1 opaque, 2 all)
///               · authentication u8 · signed replies u8 · 0 u8 · cache u16 · negative cache u16 · timeout u16
///               · flags u8
///               · issuer · scope claim · client claim · key place · certificate authority file
///               · endpoint · client id · secret file · key file · certificate file
///               · certificate authority file of the endpoint · audiences · status lists
///               · algorithms u8 each · proof algorithms u8 each
///     scope     until i64 · flags u8 · name · description · closure u32 · scopes u16 each, ascending
///     service   token source u8 · flags u8 · issuers u16 · ports u16 · public port u16 · routes u32
///               · until i64 · name · audience · source name · metadata URL · issuers u16 each · ports u16 each
///     claim     name
///     detail    actions u16 · locations u16 · type · actions · locations
///
/// Flags of an issuer: 1 refuses clients that the policy does not list, 2 says that it lists some. Of a scope: 1 is an
/// old name that other scopes stand in place of. Of a service: 1 keeps the client's token from the backend, 2 gives it
/// a transaction token. `until` is in Unix seconds, `Int64.max` is for ever. Without introspection, its numbers are 0
/// and its texts empty. A byte that says what this build does not know makes its record unreadable.
///
/// A directory holds one u32 for each record; "by name" holds the scopes as u16, in byte order of their
/// names. Every text is a count u16 and its bytes.
enum CatalogueLayout {
    /// "SCCA" as little-endian bytes.
    static let magic: UInt32 = 0x4143_4353

    static let totalBytes = 8
    static let issuerCount = 12
    static let issuerDirectory = 16
    static let scopeCount = 20
    static let scopeDirectory = 24
    static let scopesByName = 28
    static let serviceCount = 32
    static let serviceDirectory = 36
    static let claimCount = 40
    static let claimDirectory = 44
    static let hostCount = 48
    static let routeCount = 52
    static let detailCount = 60
    static let detailDirectory = 64
    static let headerBytes = 68

    static let issuerProofAge = 8
    static let issuerProofAhead = 10
    static let issuerProofNonce = 12
    static let issuerProofAlgorithms = 13
    static let issuerLifetime = 14
    static let issuerStatusLists = 18
    static let issuerIntrospection = 20
    static let issuerAuthentication = 21
    static let issuerReplies = 22
    static let issuerReserved = 23
    static let issuerCache = 24
    static let issuerNegativeCache = 26
    static let issuerTimeout = 28
    static let issuerFlags = 30
    static let issuerRefusesUnknownClients: UInt8 = 1
    static let issuerHasClients: UInt8 = 2
    static let issuerTexts = 31
    /// Texts before the audiences.
    static let issuerTextCount = 11
    static let scopeFlags = 8
    static let scopeIsOldName: UInt8 = 1
    static let scopeTexts = 9
    static let serviceFlags = 1
    static let serviceKeepsToken: UInt8 = 1
    static let serviceTransactionToken: UInt8 = 2
    static let serviceIssuers = 2
    static let servicePorts = 4
    static let servicePublicPort = 6
    static let serviceRoutes = 8
    static let serviceUntil = 12
    static let serviceTexts = 20
}

/// Offsets in the record of a client, one value of the store each.
///
///     header    magic u32 "SCCL" · layout u16 · flags u8, 0 · rule u8 (0 deny, 1 narrow, 2 alert) · total bytes u32
///               · issuer u16 · identifier u16 · name u16 · grants u16 · scopes u32 · observe until i64 · check u64
///     then      scopes u16 each, ascending · identifier · name · grants
///     grant     until i64 · scopes u32 · reason u16 · scopes u16 each, ascending · reason
///
/// The check is taken over everything else: damage makes the record unreadable.
///
/// Example: `web` (identifier `w`, issuer 1, narrow) with the scopes 0 and 2, and scope 3 until 7 for `x`, is 65 bytes:
/// the header, `0 2`, `w`, `web`, and the grant `7 · 1 · 1 · 3 · x`, as the tests check.
enum ClientLayout {
    /// "SCCL" as little-endian bytes.
    static let magic: UInt32 = 0x4C43_4353

    static let flags = 6
    static let rule = 7
    static let totalBytes = 8
    static let issuer = 12
    static let identifierBytes = 14
    static let nameBytes = 16
    static let grantCount = 18
    static let scopeCount = 20
    static let observeUntil = 24
    static let check = 32
    static let headerBytes = 40

    static let grantScopeCount = 8
    static let grantReasonBytes = 12
    static let grantBytes = 14
    static let grantsMax = 64
}
