// One type for each kind of C handle: all of them import as the same pointer type, so that the compiler would
// let a key be freed as a context. Every value owns its handle and frees it once.

internal import COpenSSL

/// `EVP_PKEY`: a public or private key, never changed after it was made.
///
/// Sendable because OpenSSL only reads a finished key, and counts references to it atomically; each use has a context
/// of its own.
@safe
struct KeyHandle: ~Copyable, @unchecked Sendable {
    let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) { unsafe self.pointer = pointer }

    // SAFETY: the initialiser took the only reference.
    deinit { unsafe EVP_PKEY_free(pointer) }
}

// KeyHandle is Sendable because nothing changes an EVP_PKEY once it is built here, its reference count is
// atomic, and what OpenSSL caches inside it (exported key data, Montgomery forms) is guarded by its own lock.

/// `EVP_PKEY_CTX`: one operation with one key. One thread at a time.
@safe
struct KeyContext: ~Copyable {
    let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) { unsafe self.pointer = pointer }

    init(for key: borrowing KeyHandle) throws(KeyError) {
        // SAFETY: the context takes its own reference to the key.
        guard let made = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key.pointer, nil) else {
            throw KeyError.fromQueue("EVP_PKEY_CTX_new_from_pkey")
        }
        unsafe pointer = made
    }

    init(keyType: String) throws(KeyError) {
        // SAFETY: the name is read during the call only.
        guard let made = unsafe EVP_PKEY_CTX_new_from_name(nil, keyType, nil) else {
            throw KeyError.fromQueue("EVP_PKEY_CTX_new_from_name")
        }
        unsafe pointer = made
    }

    // SAFETY: the initialiser took the only reference.
    deinit { unsafe EVP_PKEY_CTX_free(pointer) }
}

/// `EVP_MD_CTX`: a message being signed or verified. One thread at a time.
@safe
struct MessageContext: ~Copyable {
    let pointer: OpaquePointer

    init() throws(KeyError) {
        // SAFETY: the new handle is ours, and freed in deinit.
        guard let made = unsafe EVP_MD_CTX_new() else { throw KeyError.fromQueue("EVP_MD_CTX_new") }
        unsafe pointer = made
    }

    // SAFETY: the initialiser took the only reference.
    deinit { unsafe EVP_MD_CTX_free(pointer) }
}

/// `BIGNUM`, wiped when freed since it may hold a secret.
@safe
struct BigNumber: ~Copyable {
    let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) { unsafe self.pointer = pointer }

    init() throws(KeyError) {
        // SAFETY: the new handle is ours, and freed in deinit.
        guard let made = unsafe BN_new() else { throw KeyError.fromQueue("BN_new") }
        unsafe pointer = made
    }

    /// From big-endian bytes.
    init(_ bytes: Span<UInt8>) throws(KeyError) {
        // SAFETY: BN_bin2bn reads `count` bytes during the call only.
        let made = unsafe bytes.withUnsafeBufferPointer { buffer in
            unsafe BN_bin2bn(buffer.baseAddress, Int32(clamping: buffer.count), nil)
        }
        guard let made = unsafe made else { throw KeyError.fromQueue("BN_bin2bn") }
        unsafe pointer = made
    }

    // SAFETY: the initialiser took the only reference.
    deinit { unsafe BN_clear_free(pointer) }

    /// Big-endian bytes, padded with zeros at the front to `length`; the fewest bytes when it is nil.
    func bytes(length: Int? = nil) throws(KeyError) -> [UInt8] {
        let count = length ?? (Int(unsafe BN_num_bits(pointer)) + 7) / 8
        var result = [UInt8](repeating: 0, count: count)
        // SAFETY: BN_bn2binpad writes exactly `count` bytes or fails.
        let written = unsafe result.withUnsafeMutableBufferPointer { buffer in
            unsafe BN_bn2binpad(pointer, buffer.baseAddress, Int32(clamping: count))
        }
        guard Int(written) == count else { throw KeyError.fromQueue("BN_bn2binpad") }
        return result
    }
}

/// `OSSL_PARAM_BLD`: named parts from which a key is made.
///
/// The C object keeps the addresses of names, numbers and bytes until the key is made, so names are static
/// and this type keeps a copy of everything else.
@safe
struct KeyParts: ~Copyable {
    private let pointer: OpaquePointer
    private var numbers: [OpaquePointer] = unsafe []
    private var octets: [UnsafeMutableBufferPointer<UInt8>] = unsafe []

    init() throws(KeyError) {
        // SAFETY: the new handle is ours, and freed in deinit.
        guard let made = unsafe OSSL_PARAM_BLD_new() else {
            throw KeyError.fromQueue("OSSL_PARAM_BLD_new")
        }
        unsafe pointer = made
    }

    // SAFETY: everything was allocated here and is freed once. Numbers may be secret and are wiped.
    deinit {
        unsafe OSSL_PARAM_BLD_free(pointer)
        unsafe numbers.forEach { unsafe BN_clear_free($0) }
        unsafe octets.forEach { unsafe $0.deallocate() }
    }

    /// A number in big-endian bytes.
    mutating func add(_ name: StaticString, number bytes: Span<UInt8>) throws(KeyError) {
        // SAFETY: BN_bin2bn reads `count` bytes during the call only.
        let made = unsafe bytes.withUnsafeBufferPointer { buffer in
            unsafe BN_bin2bn(buffer.baseAddress, Int32(clamping: buffer.count), nil)
        }
        guard let number = unsafe made else { throw KeyError.fromQueue("BN_bin2bn") }
        unsafe numbers.append(number)
        // SAFETY: the name lives for ever, the number as long as self.
        let done = unsafe OSSL_PARAM_BLD_push_BN(pointer, cString(name), number)
        guard done == 1 else { throw KeyError.fromQueue("OSSL_PARAM_BLD_push_BN") }
    }

    mutating func add(_ name: StaticString, text: StaticString) throws(KeyError) {
        // SAFETY: both live for ever.
        let done = unsafe OSSL_PARAM_BLD_push_utf8_string(pointer, cString(name), cString(text), 0)
        guard done == 1 else { throw KeyError.fromQueue("OSSL_PARAM_BLD_push_utf8_string") }
    }

    mutating func add(_ name: StaticString, octets bytes: Span<UInt8>) throws(KeyError) {
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
        // SAFETY: index < bytes.count, which was allocated.
        for index in bytes.indices { unsafe copy.initializeElement(at: index, to: bytes[index]) }
        unsafe octets.append(copy)
        // SAFETY: the name lives for ever, the copy as long as self.
        let done = unsafe OSSL_PARAM_BLD_push_octet_string(
            pointer, cString(name), copy.baseAddress, copy.count)
        guard done == 1 else { throw KeyError.fromQueue("OSSL_PARAM_BLD_push_octet_string") }
    }

    /// - Parameter type: OpenSSL's name of the kind of key, `RSA` or `EC`.
    /// - Returns: nil when OpenSSL refuses the parts.
    func makeKey(type: String, pair: Bool) throws(KeyError) -> KeyHandle? {
        // SAFETY: the list holds copies, and is freed once, below.
        guard let list = unsafe OSSL_PARAM_BLD_to_param(pointer) else {
            throw KeyError.fromQueue("OSSL_PARAM_BLD_to_param")
        }
        defer { unsafe OSSL_PARAM_free(list) }
        let context = try KeyContext(keyType: type)
        guard unsafe EVP_PKEY_fromdata_init(context.pointer) == 1 else {
            throw KeyError.fromQueue("EVP_PKEY_fromdata_init")
        }
        // EVP_PKEY_KEYPAIR and EVP_PKEY_PUBLIC_KEY of <openssl/evp.h>, which are macros of macros.
        let shared = OSSL_KEYMGMT_SELECT_ALL_PARAMETERS | OSSL_KEYMGMT_SELECT_PUBLIC_KEY
        let selection = pair ? shared | OSSL_KEYMGMT_SELECT_PRIVATE_KEY : shared
        var made: OpaquePointer?
        // SAFETY: the list and the context live until this function returns.
        let done = unsafe EVP_PKEY_fromdata(context.pointer, &made, selection, list)
        guard done == 1, let key = unsafe made else {
            ERR_clear_error()
            return nil
        }
        return unsafe KeyHandle(owning: key)
    }
}

/// The bytes of a literal as C wants them.
@unsafe
func cString(_ text: StaticString) -> UnsafePointer<CChar> {
    // SAFETY: literals end in a zero byte; CChar and UInt8 have one layout.
    unsafe UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}
