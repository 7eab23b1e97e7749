/// Offsets in a port table: little-endian, at any alignment, offsets from the start of the value, as in the others. A
/// policy without services of `kind: tcp` has none.
///
///     header    magic u32 "SCPT" · layout u16 · 0 u16 · total bytes u32 · ports u32 · port directory u32
///               · clients u32 · client directory u32
///     port      check u64 · port u16 · service bytes u16 · all u16 · any u16 · observe until i64
///               · scopes u16 each, all before any · service
///     client    check u64 · kind u8 · 0 u8 · identity bytes u16 · name bytes u16 · scopes u16
///               · scopes u16 each, ascending · the same in byte order of their names · identity · name
///
/// A directory holds one u32 for each record: ports ascending, clients ascending by kind (0 URI, 1 DNS, 2 subject) and
/// the bytes of their identity. A check is the `integrityHash` of the record's bytes behind it.
///
/// Example: port 9443 of `m` for the scope 3, and the client `c` that holds 3 and 5, of which 5 comes first by name,
/// known by the URI `u:c`, are 91 bytes, as the tests check:
///
///       0  header    "SCPT" 4 0 91 · 1 55 · 1 87
///      28  port      check · 9443 1 1 0 · Int64.min · scope 3 · "m"
///      55  ports     28
///      59  client    check · 0 0 3 1 2 · 3 5 · 5 3 · "u:c" · "c"
///      87  clients   59
enum PortLayout {
    /// "SCPT" as little-endian bytes.
    static let magic: UInt32 = 0x5450_4353

    static let totalBytes = 8
    static let portCount = 12
    static let portDirectory = 16
    static let clientCount = 20
    static let clientDirectory = 24
    static let headerBytes = 28

    static let checkBytes = 8

    static let rulePort = 8
    static let ruleService = 10
    static let ruleAll = 12
    static let ruleAny = 14
    static let ruleObserveUntil = 16
    static let ruleBytes = 24

    static let clientKind = 8
    static let clientIdentity = 10
    static let clientName = 12
    static let clientScopes = 14
    static let clientBytes = 16
}
