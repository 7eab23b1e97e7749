internal import Octets
internal import Signatures

/// One JWK (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2) as it stands in a set: checked, not yet given its
/// algorithm.
struct ReadJWK {
    enum Material {
        case publicKey(PublicKey)
        /// `kty` oct. Used by signature checks by hand only, never for access tokens.
        case secret([UInt8])
    }

    let keyID: [UInt8]?
    /// The `alg` member, unescaped.
    let algorithmName: [UInt8]?
    let material: Material
}

/// Reads the keys of one JWK set document.
struct JWKReader: ~Copyable {
    private let text: [UInt8]
    private let index: JSONIndex

    init(_ document: Span<UInt8>) throws(KeySetError) {
        guard document.count <= TokenLimits.keySetBytesMax else { throw .tooLarge(bytes: document.count) }
        index = try JWKReader.read(document)
        text = [UInt8](copying: document)
    }

    private static func read(_ document: Span<UInt8>) throws(KeySetError) -> JSONIndex {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(document, limits: .keySet)
        } catch {
            throw .invalidJSON(error)
        }
        return index
    }

    /// The values of the `keys` array; with `takesSingleKey` also a document that is itself one key.
    func keys(takesSingleKey: Bool = false) throws(KeySetError) -> [JSONValue] {
        guard let root = index.root else { throw .notAKeySet }
        if takesSingleKey, index.member("kty", of: root, in: text.span) != nil { return [root] }
        guard let list = index.member("keys", of: root, in: text.span), list.kind == .array else {
            throw .notAKeySet
        }
        let count = index.childCount(of: list)
        guard count <= TokenLimits.keysMax else { throw .tooManyKeys(count) }
        var result: [JSONValue] = []
        var item = index.child(after: nil, of: list)
        while let value = item {
            result.append(value)
            item = index.child(after: value, of: list)
        }
        return result
    }

    /// The `kid`, for naming a key that is dropped; nil when it has none or an unusable one.
    func keyID(of value: JSONValue) -> [UInt8]? {
        guard let keyID = index.member("kid", of: value, in: text.span), keyID.kind == .string,
            keyID.range.count <= TokenLimits.keyIDBytesMax
        else { return nil }
        return keyID.string(in: text.span)
    }

    func read(_ value: JSONValue) throws(DropReason) -> ReadJWK {
        guard value.kind == .object else { throw DropReason(.notAnObject) }
        let keyID = try string("kid", of: value)
        if let keyID, keyID.count > TokenLimits.keyIDBytesMax { throw DropReason(.keyIDTooLong) }
        let type = try required("kty", of: value)
        try checkPurpose(value)
        let algorithmName = try string("alg", of: value)
        let material: ReadJWK.Material
        switch String(decoding: type, as: UTF8.self) {
        case "RSA":
            try refusePrivate(["d", "p", "q", "dp", "dq", "qi", "oth", "k"], of: value)
            material = .publicKey(try rsa(value))
        case "EC":
            try refusePrivate(["d", "k"], of: value)
            material = .publicKey(try ec(value))
        case "OKP":
            try refusePrivate(["d", "k"], of: value)
            material = .publicKey(try okp(value))
        case "oct": material = .secret(try octets("k", of: value))
        default: throw DropReason(.unknownKeyType)
        }
        return ReadJWK(keyID: keyID, algorithmName: algorithmName, material: material)
    }

    private func checkPurpose(_ value: JSONValue) throws(DropReason) {
        switch index.purposeFault(of: value, in: text.span) {
        case nil: return
        case .useMalformed: throw DropReason(.wrongType("use"))
        case .useOther: throw DropReason(.notForSignatures)
        case .operationsMalformed: throw DropReason(.wrongType("key_ops"))
        case .operationsOther: throw DropReason(.notForVerification)
        }
    }

    private func refusePrivate(_ names: [String], of value: JSONValue) throws(DropReason) {
        for name in names where index.member(Array(name.utf8).span, of: value, in: text.span) != nil {
            throw DropReason(.privateKey(member: name))
        }
    }

    private func rsa(_ value: JSONValue) throws(DropReason) -> PublicKey {
        let modulus = try octets("n", of: value)
        let exponent = try octets("e", of: value)
        do throws(KeyError) {
            return try PublicKey.rsa(modulus: modulus.span, exponent: exponent.span)
        } catch {
            throw DropReason(.badKey(error))
        }
    }

    private func ec(_ value: JSONValue) throws(DropReason) -> PublicKey {
        let name = try required("crv", of: value)
        guard let curve = Curve.allCases.first(where: { Array($0.name.utf8) == name }) else {
            throw DropReason(.unknownCurve)
        }
        let x = try octets("x", of: value)
        let y = try octets("y", of: value)
        do throws(KeyError) {
            return try PublicKey.ec(curve: curve, x: x.span, y: y.span)
        } catch {
            throw DropReason(.badKey(error))
        }
    }

    private func okp(_ value: JSONValue) throws(DropReason) -> PublicKey {
        guard try required("crv", of: value) == Array("Ed25519".utf8) else { throw DropReason(.unknownCurve) }
        let x = try octets("x", of: value)
        do throws(KeyError) {
            return try PublicKey.ed25519(x.span)
        } catch {
            throw DropReason(.badKey(error))
        }
    }

    /// A string member, nil when absent.
    private func string(_ name: String, of value: JSONValue) throws(DropReason) -> [UInt8]? {
        guard let member = index.member(Array(name.utf8).span, of: value, in: text.span) else { return nil }
        guard let string = member.string(in: text.span) else { throw DropReason(.wrongType(name)) }
        return string
    }

    private func required(_ name: String, of value: JSONValue) throws(DropReason) -> [UInt8] {
        guard let string = try string(name, of: value) else { throw DropReason(.missingMember(name)) }
        return string
    }

    private func octets(_ name: String, of value: JSONValue) throws(DropReason) -> [UInt8] {
        let text = try required(name, of: value)
        guard let bytes = Base64URL.decode(text.span), !bytes.isEmpty else {
            throw DropReason(.badEncoding(name))
        }
        return bytes
    }
}

struct DropReason: Error {
    let cause: DroppedKey.Cause
    init(_ cause: DroppedKey.Cause) { self.cause = cause }
}
