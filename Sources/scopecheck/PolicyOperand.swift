internal import ArgumentParser
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Signatures

/// What names a policy on a command line: a file or folder, or a version that is stored: `active`, the number of an
/// activation (`12`), its label (`12.2c26b46b68ffc68f`), or 8 or more hexadecimal digits that a version begins with.
enum PolicyOperand {
    /// Whether an argument is a path: it is written as one, or is there and is not written as a version. A file in the
    /// current folder must not take the place of the version that something is compared with: `./active` names it.
    static func isPath(_ argument: String) -> Bool {
        if argument == "-" || argument.contains("/") || argument.hasSuffix(".yaml") || argument.hasSuffix(".yml") {
            return true
        }
        return !isVersion(argument) && (try? Files.stamp(argument)) != nil
    }

    private static func isVersion(_ argument: String) -> Bool {
        let digits = Array("0123456789abcdefABCDEF".utf8)
        func isHexadecimal(_ text: Substring) -> Bool {
            text.utf8.count >= 8 && text.utf8.count <= 2 * Digest.count
                && text.utf8.allSatisfy { digits.contains($0) }
        }
        func isNumber(_ text: Substring) -> Bool { !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } }
        let parts = argument.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2 { return isNumber(parts[0]) && isHexadecimal(parts[1]) }
        return argument == "active" || isNumber(parts[0]) || isHexadecimal(parts[0])
    }

    /// What names a stored version instead of files; nil for files.
    /// - Throws: wrong usage for a version beside files, and for an environment that nothing would be read for.
    static func storedVersion(among files: [String], environment: String?) throws -> String? {
        guard let name = files.first(where: { !isPath($0) }) else { return nil }
        guard files.count == 1 else {
            throw ValidationError("`\(shown(name))` is no file that is there; a stored version is named alone")
        }
        try refuse(environment: environment)
        return name
    }

    /// Where all that is named is stored, an environment says nothing.
    static func refuse(environment: String?) throws {
        guard environment == nil else {
            throw ValidationError("a stored version has been read for its environment; leave --environment out")
        }
    }

    /// The policy that an argument names, read and checked.
    /// - Parameter environment: what files are read for, and what a stored version must have been read for; nil for
    ///   files without one, and for any version.
    static func load(_ argument: String, environment: String? = nil, place: StorePlace) throws -> LoadedPolicy {
        if isPath(argument) { return try LoadedPolicy(paths: [argument], environment: environment) }
        let stored = try find(argument, place)
        guard let bundle = PolicyBundle(decoding: try place.source(of: stored.version)) else {
            throw fail("\(place.name): the source of version `\(stored.version)` cannot be read by this build")
        }
        if let environment, bundle.environment != environment {
            throw fail(
                "`\(shown(argument))` was read for \(bundle.environment.map { "`\($0)`" } ?? "no environment"), and "
                    + "--environment is `\(shown(environment))`; name a version that was read for it, or "
                    + (bundle.environment.map { "give `--environment \($0)`" } ?? "leave --environment out"))
        }
        return LoadedPolicy(bundle: bundle, folder: stored.description.string("folder") ?? "", name: argument)
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
                "`\(shown(argument))` is neither a file nor a version of \(place.name); see "
                    + "`scopecheck policy log\(place.words)`")
        }
        return Stored(version: version, description: read)
    }
}
