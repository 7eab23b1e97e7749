internal import Octets
public import Signatures
internal import Store

/// A publication that would allow what is denied, kept until a person approves or rejects it.
public struct PublicationProposal: Sendable, Equatable {
    /// What the policy would become: a version that is stored and not active.
    public var version: Digest
    /// The version that decided when it was made.
    public var parent: Digest
    public var service: String
    /// Of the key that signed it.
    public var keyID: String
    public var serial: UInt64
    /// Unix seconds from which on the service is denied; nil is for ever.
    public var ends: Int64?
    public var note: String
    /// Who sent it.
    public var author: String
    /// Unix seconds.
    public var madeAt: Int64
    /// What it would allow, for people; the first `findingsMax`.
    public var findings: [String]
    /// How many more there are.
    public var findingsOmitted: Int
    /// The publication as it was signed, so that it can be judged again.
    public var signed: [UInt8]

    public static let findingsMax = 20
    /// Of one store.
    public static let countMax = 256
    private static let findingBytesMax = 2_048
    /// No text has that length: behind it stands how many findings were left out.
    private static let omittedMark = UInt32.max

    public init(
        version: Digest, parent: Digest, service: String, keyID: String, serial: UInt64, ends: Int64?, note: String,
        author: String, madeAt: Int64, findings: [String], findingsOmitted: Int = 0, signed: [UInt8]
    ) {
        self.version = version
        self.parent = parent
        self.service = service
        self.keyID = keyID
        self.serial = serial
        self.ends = ends
        self.note = note
        self.author = author
        self.madeAt = madeAt
        self.findingsOmitted =
            min(max(0, findingsOmitted), Int(Int32.max)) + max(0, findings.count - PublicationProposal.findingsMax)
        self.findings = findings.prefix(PublicationProposal.findingsMax).map {
            String(decoding: $0.utf8.prefix(PublicationProposal.findingBytesMax), as: UTF8.self)
        }
        self.signed = signed
    }

    /// What commands call it: the whole version that is approved with it. Whoever publishes chooses what is hashed, and
    /// could make two that begin alike.
    public var identifier: String { version.description }

    /// `version · parent · serial u64 · ends i64 · made i64`, then texts, each after its length u32: service, kid, note,
    /// author, signed, findings. Where findings were left out, `2³² − 1 u32 · how many u64` ends it, which records of older
    /// builds do not have.
    var encoded: [UInt8] {
        var bytes = version.bytes + parent.bytes
        bytes.append(littleEndian64: serial)
        bytes.append(littleEndian64: UInt64(bitPattern: ends ?? .max))
        bytes.append(littleEndian64: UInt64(bitPattern: madeAt))
        let texts = [service, keyID, note, author].map { Array($0.utf8) } + [signed] + findings.map { Array($0.utf8) }
        for text in texts {
            bytes.append(littleEndian32: UInt32(clamping: text.count))
            bytes += text
        }
        if findingsOmitted > 0 {
            bytes.append(littleEndian32: PublicationProposal.omittedMark)
            bytes.append(littleEndian64: UInt64(findingsOmitted))
        }
        return bytes
    }

    /// - Returns: nil when the record is damaged.
    init?(_ bytes: Span<UInt8>) {
        let head = 2 * Digest.count + 24
        guard bytes.count >= head, let version = Digest(bytes.extracting(0..<Digest.count)),
            let parent = Digest(bytes.extracting(Digest.count..<2 * Digest.count)),
            let serial = bytes.littleEndian64(at: 2 * Digest.count),
            let ends = bytes.littleEndian64(at: 2 * Digest.count + 8),
            let made = bytes.littleEndian64(at: 2 * Digest.count + 16)
        else { return nil }
        var texts: [[UInt8]] = []
        var position = head
        var omitted = 0
        while position < bytes.count {
            if bytes.littleEndian32(at: position) == PublicationProposal.omittedMark {
                guard bytes.count - position == 12, let count = bytes.littleEndian64(at: position + 4),
                    let number = Int(exactly: count)
                else { return nil }
                omitted = number
                break
            }
            guard let count = bytes.littleEndian32(at: position), Int(count) <= bytes.count - position - 4,
                texts.count < 5 + PublicationProposal.findingsMax
            else { return nil }
            position += 4
            texts.append([UInt8](copying: bytes.extracting(position..<position + Int(count))))
            position += Int(count)
        }
        guard texts.count >= 5 else { return nil }
        func text(_ index: Int) -> String { String(decoding: texts[index], as: UTF8.self) }
        self.init(
            version: version, parent: parent, service: text(0), keyID: text(1), serial: serial,
            ends: Int64(bitPattern: ends) == .max ? nil : Int64(bitPattern: ends), note: text(2), author: text(3),
            madeAt: Int64(bitPattern: made), findings: (5..<texts.count).map { text($0) },
            findingsOmitted: omitted, signed: texts[4])
    }
}

/// What the store keeps of publications: the highest serial that was accepted of each service, and proposals, one of
/// each service at most.
extension PolicyStore {
    private static let serialPrefix = Array("qs".utf8)
    private static let proposalPrefix = Array("qp".utf8)

    public enum SerialOutcome: Sendable, Equatable {
        case recorded
        /// Not greater than this one, which was accepted before; nothing has changed.
        case replayed(highest: UInt64)
    }

    /// The highest serial accepted of a service; nil before the first.
    public func publicationSerial(of service: String) throws(PolicyStoreError) -> UInt64? {
        let found = try read(state, PolicyStore.serialPrefix + Array(service.utf8)) { $0.littleEndian64(at: 0) }
        switch found {
        case .none: return nil
        case .some(.some(let serial)): return serial
        // What cannot be read must not let older ones in again.
        case .some(.none): throw .store(unreadable)
        }
    }

    /// Takes a serial into account, durably: before what it came with decides.
    public func recordPublication(of service: String, serial: UInt64) throws(PolicyStoreError) -> SerialOutcome {
        try stored { () throws(StoreError) in
            try environment.write { transaction throws(StoreError) in
                try record(serial, of: service, &transaction)
            }
        }
    }

    public enum ProposalOutcome: Sendable, Equatable {
        case kept
        case replayed(highest: UInt64)
        /// `PublicationProposal.countMax` of other services are waiting.
        case full
    }

    /// Keeps a proposal in place of an older one of its service and records its serial, in one write.
    public func propose(_ proposal: PublicationProposal) throws(PolicyStoreError) -> ProposalOutcome {
        let key = PolicyStore.proposalPrefix + Array(proposal.service.utf8)
        let others = try proposals().count { $0.service != proposal.service }
        guard others < PublicationProposal.countMax else { return .full }
        let outcome: SerialOutcome = try stored { () throws(StoreError) in
            try environment.write { transaction throws(StoreError) in
                let outcome = try record(proposal.serial, of: proposal.service, &transaction)
                if outcome == .recorded { try transaction.put(state, key.span, proposal.encoded.span) }
                return outcome
            }
        }
        switch outcome {
        case .recorded: return .kept
        case .replayed(let highest): return .replayed(highest: highest)
        }
    }

    /// Puts what a proposal has become on another policy in its place, as long as it is the same publication.
    /// - Returns: false when it is gone or another one by now.
    public func replace(_ proposal: PublicationProposal) throws(PolicyStoreError) -> Bool {
        let key = PolicyStore.proposalPrefix + Array(proposal.service.utf8)
        return try stored { () throws(StoreError) in
            try environment.write { transaction throws(StoreError) in
                guard held(key, transaction).proposal?.serial == proposal.serial else { return false }
                try transaction.put(state, key.span, proposal.encoded.span)
                return true
            }
        }
    }

    /// All that wait, in the order of the services' names.
    public func proposals() throws(PolicyStoreError) -> [PublicationProposal] {
        var result: [PublicationProposal] = []
        var isDamaged = false
        try forEach(state, prefix: PolicyStore.proposalPrefix) { _, value in
            if let proposal = PublicationProposal(value) { result.append(proposal) } else { isDamaged = true }
            return .next
        }
        guard !isDamaged else { throw .store(unreadable) }
        return result
    }

    /// - Parameter serial: of the publication that it is about; a newer one of the service stays.
    /// - Returns: whether it was there.
    @discardableResult
    public func removeProposal(of service: String, serial: UInt64) throws(PolicyStoreError) -> Bool {
        let key = PolicyStore.proposalPrefix + Array(service.utf8)
        return try stored { () throws(StoreError) in
            try environment.write { transaction throws(StoreError) in
                let held = held(key, transaction)
                guard held.isThere, held.proposal?.serial ?? 0 <= serial else { return false }
                return try transaction.delete(state, key.span)
            }
        }
    }

    private func held(
        _ key: [UInt8], _ transaction: borrowing WriteTransaction
    ) -> (isThere: Bool, proposal: PublicationProposal?) {
        guard let bytes = transaction.get(state, key.span) else { return (false, nil) }
        return (true, PublicationProposal(bytes))
    }

    private func record(
        _ serial: UInt64, of service: String, _ transaction: inout WriteTransaction
    ) throws(StoreError) -> SerialOutcome {
        let key = PolicyStore.serialPrefix + Array(service.utf8)
        if let bytes = transaction.get(state, key.span) {
            guard let highest = bytes.littleEndian64(at: 0), bytes.count == 8 else { throw unreadable }
            guard serial > highest else { return .replayed(highest: highest) }
        } else if transaction.presence(state, key.span) != .absent {
            throw unreadable
        }
        var value: [UInt8] = []
        value.append(littleEndian64: serial)
        try transaction.put(state, key.span, value.span)
        return .recorded
    }
}
