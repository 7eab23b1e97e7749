internal import Octets
public import Signatures
internal import Synchronization

/// Where the status of a token is found: `status.status_list` (draft-ietf-oauth-status-list §6.1).
public struct StatusReference: Equatable, Sendable {
    /// `listKey` of the list.
    public let list: Digest
    public let index: UInt64

    public init(list: Digest, index: UInt64) {
        self.list = list
        self.index = index
    }

    /// Under which a list is found: SHA-256 of the issuer, a NUL and the URI. Two issuers may keep their lists at one
    /// place, and neither speaks for the other's tokens.
    public static func listKey(uri: Span<UInt8>, issuer: Span<UInt8>) -> Digest {
        var hasher = SHA256Hasher()
        hasher.update(issuer)
        hasher.update([0].span)
        hasher.update(uri)
        return hasher.finish()
    }
}

/// A status list whose token was verified.
public final class StatusList: Sendable {
    /// `StatusReference.listKey` of its URI and issuer.
    public let key: Digest
    /// `iat`, Unix seconds: of two good ones the later says more.
    public let issuedAt: Int64
    /// From then on it says nothing any more, Unix seconds.
    public let expiresAt: Int64
    /// From then on a newer one should be fetched, Unix seconds.
    public let refreshAt: Int64
    /// 1, 2, 4 or 8.
    private let bitsPerStatus: UInt64
    private let bytes: [UInt8]
    private let hasBeenUsed = Atomic<Bool>(false)

    fileprivate init(key: Digest, times: StatusListTimes, bitsPerStatus: UInt64, bytes: [UInt8]) {
        self.key = key
        issuedAt = times.issuedAt
        expiresAt = times.expiresAt
        refreshAt = times.refreshAt
        self.bitsPerStatus = bitsPerStatus
        self.bytes = bytes
    }

    /// How much memory its statuses take.
    public var byteCount: Int { bytes.count }

    /// Whether somebody has decided by it since this was asked last: what nobody uses need not be fetched anew.
    public func takeUse() -> Bool { hasBeenUsed.exchange(false, ordering: .relaxed) }

    /// A decision is made by it.
    public func noteUse() {
        // Most find it noted; a store each would move the line from worker to worker.
        if !hasBeenUsed.load(ordering: .relaxed) { hasBeenUsed.store(true, ordering: .relaxed) }
    }

    /// 0 valid, 1 invalid, 2 suspended, others as the application defines; nil beyond the list.
    ///
    /// Example: of the bytes `b9 a3` at one bit each, the statuses 0 to 7 are 1, 0, 0, 1, 1, 1, 0, 1.
    public func status(at index: UInt64) -> UInt8? {
        let statusesPerByte = 8 / bitsPerStatus
        let place = index / statusesPerByte
        guard place < UInt64(bytes.count) else { return nil }
        let byte = bytes[Int(truncatingIfNeeded: place)]
        // The first status of a byte stands in its lowest bits.
        let shift = index % statusesPerByte * bitsPerStatus
        return byte >> UInt8(shift) & UInt8(1 << bitsPerStatus - 1)
    }
}

/// Why a status list cannot be used.
public struct StatusListError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

extension StatusList {
    /// Longest token of a status list that is read, bytes.
    public static let tokenBytesMax = 4 << 20
    /// When a newer list is fetched if this one does not say, seconds.
    public static let refreshSecondsDefault: Int64 = 300
    /// A list that cannot be fetched anew is believed this long at the most, whatever its `exp` says, seconds.
    public static let lifeSecondsMax: Int64 = 86_400

    /// Reads a status list token: `typ` statuslist+jwt, signed by a key of the issuer, `sub` equal to the URI, not
    /// expired; the list inflated to at most `listBytesMax`.
    ///
    /// A newer list is due after `ttl`, or after five minutes. The list is believed until `exp`; without `exp` for
    /// twice the time after which a newer one is due, five minutes at the least, so that one failed fetch does no
    /// harm; and in no case longer than a day.
    /// - Parameters:
    ///   - token: the body as it was fetched.
    ///   - uri: where it was fetched.
    public static func read(
        _ token: Span<UInt8>, uri: Span<UInt8>, issuer: IssuerKeys, now: Int64, listBytesMax: Int = 16 << 20
    ) throws(StatusListError) -> StatusList {
        let payload: [UInt8]
        do throws(SignedDocumentError) {
            payload = try SignedDocument.claims(
                of: token, type: .statusList, issuer: issuer, bytesMax: tokenBytesMax)
        } catch {
            throw StatusListError("the status list \(error.text)")
        }
        let text = payload.span
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(text, limits: .claims)
        } catch {
            throw StatusListError("the claims of the status list are not a strict JSON object: \(error)")
        }
        let places = index.claimPlaces(in: text)
        guard let subject = index.value(at: places.subject), subject.kind == .string,
            isString(subject, in: text, equalTo: uri)
        else { throw StatusListError("`sub` of the status list is not its URI") }
        // Not required, since the key says whose the list is; another issuer's name would contradict it.
        if let name = index.value(at: places.issuer) {
            let issuerName = issuer.settings.issuer
            guard name.kind == .string, isString(name, in: text, equalTo: issuerName.span) else {
                throw StatusListError("`iss` of the status list is not the issuer")
            }
        }
        let times = try StatusListTimes(index, places, text, now)
        guard let list = index.member("status_list", of: index.value(places.object), in: text),
            let bits = index.member("bits", of: list, in: text), bits.kind == .number,
            let bitsPerStatus = bitsPerStatus(text.bytes(at: bits.range))
        else { throw StatusListError("`status_list` has no `bits` of 1, 2, 4 or 8") }
        guard let compressed = index.member("lst", of: list, in: text), compressed.kind == .string,
            !compressed.hasEscapes, let data = Base64URL.decode(text.bytes(at: compressed.range))
        else { throw StatusListError("`status_list` has no `lst` in base64url") }
        do throws(InflateError) {
            let bytes = try Inflate.read(data.span, outputBytesMax: listBytesMax)
            let name = issuer.settings.issuer
            let key = StatusReference.listKey(uri: uri, issuer: name.span)
            return StatusList(key: key, times: times, bitsPerStatus: bitsPerStatus, bytes: bytes)
        } catch {
            throw StatusListError("`lst` of the status list cannot be inflated: \(error)")
        }
    }

    private static func bitsPerStatus(_ digits: Span<UInt8>) -> UInt64? {
        guard digits.count == 1 else { return nil }
        switch digits[0] {
        case 0x31: return 1
        case 0x32: return 2
        case 0x34: return 4
        case 0x38: return 8
        default: return nil
        }
    }
}

private struct StatusListTimes {
    let issuedAt: Int64
    let expiresAt: Int64
    let refreshAt: Int64

    init(
        _ index: borrowing JSONIndex, _ places: ClaimPlaces, _ text: Span<UInt8>, _ now: Int64
    ) throws(StatusListError) {
        let issued: Int64
        var end: Int64?
        var ttl: Int64?
        do throws(TokenRefusal) {
            guard let issuedAt = try index.date(places.issuedAt, text) else { throw .missingClaim }
            issued = issuedAt.floor
            guard issuedAt.ceiling <= now + TokenLimits.issuedAheadSecondsMax else { throw .notYetValid }
            if let start = try index.date(places.notBefore, text), now < start.ceiling { throw .notYetValid }
            if let date = try index.date(places.expiresAt, text) {
                guard now < date.floor else { throw .expired }
                end = date.floor
            }
            // Seconds, and of the same form as a date: a positive number.
            if let value = index.member("ttl", of: index.value(places.object), in: text) {
                guard value.kind == .number, let seconds = NumericDate(text.bytes(at: value.range)) else {
                    throw .claimsMalformed
                }
                ttl = seconds.floor
            }
        } catch {
            throw StatusListError("the status list is not taken: \(error.name)")
        }
        issuedAt = issued
        let longest = now + StatusList.lifeSecondsMax
        let refreshSeconds = min(ttl ?? StatusList.refreshSecondsDefault, StatusList.lifeSecondsMax)
        let unsaid = now + 2 * max(refreshSeconds, StatusList.refreshSecondsDefault)
        expiresAt = min(end ?? unsaid, longest)
        refreshAt = min(now + refreshSeconds, expiresAt)
    }
}
