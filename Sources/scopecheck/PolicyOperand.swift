internal import ArgumentParser
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Signatures

/// What names a policy on a command line: a file or folder, or a version that is stored: `active`, the number of an
/// activation (`12`), its label (`12.2c26b46b68ffc68f`), or 8 or more hexadecimal digits that a version begins with.
enum PolicyOperand {
    /// Whether an argument is a path: it is there, or is written as one.
    static func isPath(_ argument: String) -> Bool {
        argument == "-" || argument.contains("/") || argument.hasSuffix(".yaml") || argument.hasSuffix(".yml")
            || (try? Files.stamp(argument)) != nil
    }

    /// The policy that an argument names, read and checked.
    static func load(_ argument: String, environment: String? = nil, place: StorePlace) throws -> LoadedPolicy {
        if isPath(argument) { return try LoadedPolicy(paths: [argument], environment: environment) }
        let stored = try find(argument, place)
        guard let bundle = PolicyBundle(decoding: try place.source(of: stored.version)) else {
            throw fail("\(place.name): the source of version `\(stored.version)` cannot be read by this build")
        }
        return LoadedPolicy(bundle: bundle, folder: stored.description.string("folder") ?? "")
    }

    /// A stored version, and what is known of it.
    struct Stored {
        var version: Digest
        var description: JSONObject
    }

    static func find(_ argument: String, _ place: StorePlace) throws -> Stored {
        guard argument.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x26 && $0 != 0x23 && $0 != 0x25 }),
            argument.utf8.count <= 128
        else { throw fail("`\(shown(argument))` is neither a file nor a version") }
        guard let answer = try place.find("/policy/version?of=\(argument)"), let read = JSONObject(answer),
            let version = read.string("version").flatMap({ Digest(hexadecimal: $0) })
        else {
            throw fail(
                "`\(shown(argument))` is neither a file nor a version of \(place.name); see `scopecheck policy log`")
        }
        return Stored(version: version, description: read)
    }
}
