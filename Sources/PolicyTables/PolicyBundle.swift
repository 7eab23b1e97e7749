internal import Octets

/// The files that one policy version is read from, with the environment that it is read for.
///
/// One file without an environment is stored as it is, so that its version does not depend on its name. Everything else
/// has one encoding, a text that begins with a line which no policy file can begin with:
///
///     scopecheck bundle 1
///     environment prod            only when there is one
///     file 23 orders.yaml         bytes, name; in byte order of the names
///     scopecheck: 1
///     services:
///                                 a line feed after the file's bytes
public struct PolicyBundle: Sendable, Equatable {
    public struct File: Sendable, Equatable {
        /// Relative, `/` between its parts; visible UTF-8, no part beginning with `.`. Empty for one file that was
        /// stored as it is.
        public var name: String
        public var bytes: [UInt8]

        public init(name: String, bytes: [UInt8]) {
            self.name = name
            self.bytes = bytes
        }
    }

    /// In byte order of their names, each name once.
    public let files: [File]
    /// nil when the policy is read for none.
    public let environment: String?

    public static let filesMax = 10_000
    public static let nameBytesMax = 1_024
    public static let bytesMax = 512 << 20

    /// One file by itself.
    public init(source: [UInt8], name: String = "") {
        files = [File(name: name, bytes: source)]
        environment = nil
    }

    /// - Returns: nil when two files have one name, a name is not of its form, or there are more than a bundle holds.
    public init?(files: [File], environment: String? = nil) {
        let sorted = files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        guard !sorted.isEmpty, sorted.count <= PolicyBundle.filesMax else { return nil }
        for (one, other) in zip(sorted, sorted.dropFirst()) where one.name.utf8.elementsEqual(other.name.utf8) {
            return nil
        }
        if sorted.count > 1 || environment != nil {
            for file in sorted where !PolicyBundle.isName(file.name) { return nil }
        }
        if let environment, !PolicyBundle.isEnvironment(environment) { return nil }
        guard sorted.reduce(0, { $0 + $1.bytes.count }) <= PolicyBundle.bytesMax else { return nil }
        self.files = sorted
        self.environment = environment
    }

    /// The bytes that are stored and whose hash is the version.
    public var encoded: [UInt8] {
        if files.count == 1, environment == nil { return files[0].bytes }
        var bytes = PolicyBundle.mark
        bytes.reserveCapacity(files.reduce(0) { $0 + $1.bytes.count + $1.name.utf8.count + 32 })
        if let environment { bytes += Array("environment \(environment)\n".utf8) }
        for file in files {
            bytes += Array("file \(file.bytes.count) \(file.name)\n".utf8)
            bytes += file.bytes
            bytes.append(0x0A)
        }
        return bytes
    }

    /// - Returns: nil when the bytes begin as a bundle and are none in its one encoding.
    public init?(decoding bytes: [UInt8]) {
        guard bytes.starts(with: PolicyBundle.mark) else {
            guard bytes.count <= PolicyBundle.bytesMax else { return nil }
            self.init(source: bytes)
            return
        }
        var position = PolicyBundle.mark.count
        var environment: String?
        var files: [File] = []
        while position < bytes.count {
            guard let end = bytes[position...].prefix(PolicyBundle.nameBytesMax + 64).firstIndex(of: 0x0A) else {
                return nil
            }
            let line = String(decoding: bytes[position..<end], as: UTF8.self)
            position = end + 1
            if line.hasPrefix("environment "), files.isEmpty, environment == nil {
                environment = String(line.dropFirst(12))
                continue
            }
            let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, parts[0] == "file", let count = Int(parts[1]), count >= 0,
                count < bytes.count - position, bytes[position + count] == 0x0A, files.count < PolicyBundle.filesMax
            else { return nil }
            files.append(File(name: String(parts[2]), bytes: Array(bytes[position..<position + count])))
            position += count + 1
        }
        guard let bundle = PolicyBundle(files: files, environment: environment), bundle.encoded == bytes else {
            return nil
        }
        self = bundle
    }

    /// The environment that a stored source is read for, of its first bytes, `headBytes` of them if there are as many.
    static func environment(ofHead bytes: [UInt8]) -> String? {
        guard bytes.starts(with: mark) else { return nil }
        let rest = bytes.dropFirst(mark.count)
        let word = Array("environment ".utf8)
        guard rest.starts(with: word), let end = rest.firstIndex(of: 0x0A) else { return nil }
        let name = String(decoding: rest[(rest.startIndex + word.count)..<end], as: UTF8.self)
        return isEnvironment(name) ? name : nil
    }

    static let headBytes = 128

    private static let mark = Array("scopecheck bundle 1\n".utf8)

    /// Whether a file may be called so.
    public static func isName(_ name: String) -> Bool {
        let bytes = name.utf8
        guard !bytes.isEmpty, bytes.count <= nameBytesMax,
            bytes.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != 0x5C })
        else { return false }
        // They are written to disk and shown on terminals: nothing hidden, and nothing that a terminal acts on.
        let isVisible = name.unicodeScalars.allSatisfy { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: false
            default: true
            }
        }
        return isVisible
            && name.split(separator: "/", omittingEmptySubsequences: false)
                .allSatisfy { !$0.isEmpty && !$0.hasPrefix(".") }
    }

    /// Whether an environment may be called so: 1 to 64 letters, digits, `_`, `-`, `.`.
    public static func isEnvironment(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || $0 == 0x5F || $0 == 0x2D || $0 == 0x2E
            }
    }
}
