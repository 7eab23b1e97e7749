internal import Octets
public import Signatures

/// One move of the pointer that says which version decides.
public struct Activation: Sendable, Equatable {
    /// Grows by one with each activation of the store; never used twice.
    public let number: UInt64
    public let version: Digest
    /// Unix seconds.
    public let activatedAt: Int64
    public let cause: ActivationCause
    /// What decided before; nil for the first, and for one that an older build made.
    public let previous: Digest?
    /// Where relative paths of the version's key files start.
    public let folder: String
    /// Of the signed statement that it was accepted under; 0 where none was needed.
    public let serial: UInt64
    /// Of a rollback: the number of the activation that it went back to; nil where it went to none of those before.
    public let origin: UInt64?

    /// `number u64 · activated i64 · version`, 48 bytes, which is all that older builds wrote; then `kind u8 ·
    /// flags u8 (1 there is a previous, 2 an origin) · serial u64 · previous (32 bytes) · origin u64 · author, note, folder
    /// as texts`.
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian64: number)
        bytes.append(littleEndian64: UInt64(bitPattern: activatedAt))
        bytes += version.bytes
        bytes += [cause.kind.rawValue, (previous == nil ? 0 : 1) | (origin == nil ? 0 : 2)]
        bytes.append(littleEndian64: serial)
        if let previous { bytes += previous.bytes }
        if let origin { bytes.append(littleEndian64: origin) }
        var texts = RecordTexts()
        texts.add(cause.author, bytesMax: ActivationCause.authorBytesMax)
        texts.add(cause.note, bytesMax: ActivationCause.noteBytesMax)
        texts.add(folder, bytesMax: VersionOrigin.folderBytesMax)
        return bytes + texts.encoded
    }

    static let shortBytes = 16 + Digest.count

    init(
        number: UInt64, version: Digest, activatedAt: Int64, cause: ActivationCause = ActivationCause(),
        previous: Digest? = nil, folder: String = "", serial: UInt64 = 0, origin: UInt64? = nil
    ) {
        self.number = number
        self.version = version
        self.activatedAt = activatedAt
        // As it will be read back.
        self.cause = ActivationCause(
            kind: cause.kind,
            author: String(decoding: clipped(cause.author, bytesMax: ActivationCause.authorBytesMax), as: UTF8.self),
            note: String(decoding: clipped(cause.note, bytesMax: ActivationCause.noteBytesMax), as: UTF8.self))
        self.previous = previous
        self.folder = folder
        self.serial = serial
        self.origin = origin
    }

    /// - Returns: nil when the record is damaged.
    init?(_ bytes: Span<UInt8>) {
        guard bytes.count >= Activation.shortBytes, let number = bytes.littleEndian64(at: 0),
            let activated = bytes.littleEndian64(at: 8),
            let version = Digest(bytes.extracting(16..<Activation.shortBytes))
        else { return nil }
        let at = Int64(bitPattern: activated)
        guard bytes.count > Activation.shortBytes else {
            self.init(number: number, version: version, activatedAt: at)
            return
        }
        let start = Activation.shortBytes
        guard bytes.count >= start + 10, let kind = ActivationCause.Kind(rawValue: bytes[start]),
            bytes[start + 1] <= 3, let serial = bytes.littleEndian64(at: start + 2)
        else { return nil }
        let hasPrevious = bytes[start + 1] & 1 != 0
        let hasOrigin = bytes[start + 1] & 2 != 0
        let originStart = start + 10 + (hasPrevious ? Digest.count : 0)
        let textsStart = originStart + (hasOrigin ? 8 : 0)
        guard bytes.count >= textsStart, let texts = RecordTexts.read(3, bytes.extracting(textsStart...)) else {
            return nil
        }
        self.init(
            number: number, version: version, activatedAt: at,
            cause: ActivationCause(kind: kind, author: texts[0], note: texts[1]),
            previous: hasPrevious ? Digest(bytes.extracting(start + 10..<originStart)) : nil, folder: texts[2],
            serial: serial, origin: hasOrigin ? bytes.littleEndian64(at: originStart) : nil)
    }
}

/// The signed statement that a version is activated under, verified before it comes here.
public struct Approval: Sendable, Equatable {
    /// Must be greater than that of every statement accepted before.
    public var serial: UInt64
    /// The file with statement and signatures, kept with the activation.
    public var signatures: [UInt8]
    /// Of a rollback: what must be in force, and the serial that it was accepted under.
    public var leaving: Leaving?
    /// Rollbacks that were signed beforehand; good for as long as this activation is the last.
    public var rollbacks: [PreparedRollback]

    public struct Leaving: Sendable, Equatable {
        public var version: Digest
        public var serial: UInt64

        public init(version: Digest, serial: UInt64) {
            self.version = version
            self.serial = serial
        }
    }

    public init(
        serial: UInt64, signatures: [UInt8], leaving: Leaving? = nil, rollbacks: [PreparedRollback] = []
    ) {
        self.serial = serial
        self.signatures = signatures
        self.leaving = leaving
        self.rollbacks = rollbacks
    }
}

/// A rollback that was signed when the version was applied that it leads away from.
public struct PreparedRollback: Sendable, Equatable {
    public var target: Digest
    public var signatures: [UInt8]

    public static let countMax = 8

    public init(target: Digest, signatures: [UInt8]) {
        self.target = target
        self.signatures = signatures
    }
}
