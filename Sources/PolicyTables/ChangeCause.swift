internal import Octets
public import Signatures

/// Who made a version the one that decides, and why.
public struct ActivationCause: Sendable, Equatable {
    public enum Kind: UInt8, Sendable, CaseIterable {
        /// The policy file given to the daemon.
        case file = 0
        /// `policy apply`.
        case apply = 1
        /// `policy rollback`.
        case rollback = 2
        /// A service published what it needs.
        case publish = 3

        /// As logs and answers have it.
        public var name: String {
            switch self {
            case .file: "file"
            case .apply: "apply"
            case .rollback: "rollback"
            case .publish: "publish"
            }
        }
    }

    public var kind: Kind
    /// As the command stated it, with the user of the connection: `alice (uid 1000)`; at most `authorBytesMax`.
    public var author: String
    /// At most `noteBytesMax`.
    public var note: String

    public static let authorBytesMax = 256
    public static let noteBytesMax = 4_096

    public init(kind: Kind = .file, author: String = "", note: String = "") {
        self.kind = kind
        self.author = author
        self.note = note
    }
}

/// Where a version came from when it was first stored.
public struct VersionOrigin: Sendable, Equatable {
    public var author: String
    public var note: String
    /// The version that decided then; nil for the first.
    public var parent: Digest?
    /// Where relative paths of key files start.
    public var folder: String

    public static let folderBytesMax = 4_096

    public init(author: String = "", note: String = "", parent: Digest? = nil, folder: String = "") {
        self.author = author
        self.note = note
        self.parent = parent
        self.folder = folder
    }

    /// `has parent u8 · parent (32 bytes, when there is one) · author, note, folder as texts`; nothing at all when there
    /// is nothing to say.
    var encoded: [UInt8] {
        guard self != VersionOrigin() else { return [] }
        var bytes: [UInt8] = [parent == nil ? 0 : 1]
        if let parent { bytes += parent.bytes }
        var texts = RecordTexts()
        texts.add(author, bytesMax: ActivationCause.authorBytesMax)
        texts.add(note, bytesMax: ActivationCause.noteBytesMax)
        texts.add(folder, bytesMax: VersionOrigin.folderBytesMax)
        return bytes + texts.encoded
    }

    /// - Returns: nil when the bytes are damaged.
    init?(_ bytes: Span<UInt8>) {
        var parent: Digest?
        var texts: [String]? = ["", "", ""]
        if bytes.count > 0 {
            guard bytes[0] <= 1 else { return nil }
            let start = bytes[0] == 1 ? 1 + Digest.count : 1
            guard bytes.count >= start else { return nil }
            if bytes[0] == 1 { parent = Digest(bytes.extracting(1..<start)) }
            texts = RecordTexts.read(3, bytes.extracting(start...))
        }
        guard let texts else { return nil }
        self.init(author: texts[0], note: texts[1], parent: parent, folder: texts[2])
    }
}
