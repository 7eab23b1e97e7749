internal import Octets
internal import Signatures
internal import Tokens

/// The keys that sign transaction tokens, as one file holds them, private. One file, so that a change is one rename:
/// there is no state between two.
///
///     {"layout":1,"keys":[{"signs_from":1790000000,"key":{"kty":"EC","crv":"P-256",…,"kid":"a","alg":"ES256"}}]}
///
/// A key signs from its time until the next one's. `signs_from` ascends strictly, so the last key that has begun is
/// the one that signs.
struct TransactionKeyFile: Sendable {
    static let keysMax = 16
    static let bytesMax = 256 << 10

    struct Entry: Sendable {
        /// Unix seconds.
        var signsFrom: Int64
        var key: PrivateJWK
    }

    var entries: [Entry]

    init(_ entries: [Entry]) {
        self.entries = entries
    }

    /// Secret.
    func text() throws(KeyError) -> [UInt8] {
        var items: [[UInt8]] = []
        for entry in entries {
            var object = JSONObjectWriter()
            object.add("signs_from", number: entry.signsFrom)
            object.add("key", json: try entry.key.privateText())
            items.append(object.text())
        }
        var object = JSONObjectWriter()
        object.add("layout", number: 1)
        object.add("keys", json: [0x5B] + Array(items.joined(separator: [0x2C])) + [0x5D])
        return object.text() + [0x0A]
    }

    /// Why a file is not one of ours.
    struct Damage: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// Reads a file completely or not at all.
    static func read(_ text: Span<UInt8>) throws(Damage) -> TransactionKeyFile {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(text, limits: .keySet)
        } catch {
            throw Damage("it is not a strict JSON object: \(error)")
        }
        guard let root = index.root, index.childCount(of: root) == 2,
            let layout = index.member("layout", of: root, in: text), layout.kind == .number,
            let list = index.member("keys", of: root, in: text), list.kind == .array
        else { throw Damage("it has other members than `layout` and `keys`") }
        guard equal(text.bytes(at: layout.range), "1") else { throw Damage("its layout is not 1") }
        let count = index.childCount(of: list)
        guard (1...keysMax).contains(count) else { throw Damage("it has \(count) keys; there are 1 to \(keysMax)") }
        var entries: [Entry] = []
        var item = index.child(after: nil, of: list)
        while let current = item {
            let entry = try entry(current, index, text)
            guard entries.last.map({ $0.signsFrom < entry.signsFrom }) ?? true else {
                throw Damage("the times of its keys do not ascend")
            }
            guard !entries.contains(where: { $0.key.keyID == entry.key.keyID }) else {
                throw Damage("two of its keys have one ID")
            }
            entries.append(entry)
            item = index.child(after: current, of: list)
        }
        return TransactionKeyFile(entries)
    }

    private static func entry(
        _ value: JSONValue, _ index: borrowing JSONIndex, _ text: Span<UInt8>
    ) throws(Damage) -> Entry {
        guard value.kind == .object, index.childCount(of: value) == 2,
            let time = index.member("signs_from", of: value, in: text), time.kind == .number,
            let signsFrom = Int64(String(lossy: text.bytes(at: time.range))), signsFrom >= 0, signsFrom < 1 << 53,
            let key = index.member("key", of: value, in: text), key.kind == .object
        else { throw Damage("a key of it has other members than `signs_from` and `key`") }
        do throws(PrivateJWKError) {
            return Entry(signsFrom: signsFrom, key: try PrivateJWK(parsing: text.bytes(at: key.range)))
        } catch {
            throw Damage("a key of it cannot be read: \(error)")
        }
    }
}
