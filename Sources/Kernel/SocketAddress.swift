internal import Glibc

/// A `sockaddr` of any family, kept as `sockaddr_storage`, which is large and aligned enough for each.
struct SocketAddress {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

    init() {}

    init(_ address: ListenAddress) throws(SystemError) {
        switch address {
        case .unix(let path): self = try SocketAddress(unixPath: Array(path.utf8), abstract: false)
        case .tcp(let host, let port):
            let numeric = host == "localhost" ? "127.0.0.1" : host
            guard let made = SocketAddress(numericHost: numeric, port: port) else {
                throw SystemError(code: EINVAL, call: "inet_pton", path: address.description)
            }
            self = made
        }
    }

    /// - Parameter abstract: the name starts with a NUL in `sun_path` and has no NUL at its end.
    init(unixPath: [UInt8], abstract: Bool) throws(SystemError) {
        let offset = MemoryLayout<sa_family_t>.size
        guard !unixPath.isEmpty, unixPath.count <= ListenAddress.unixPathBytesMax, !unixPath.contains(0)
        else {
            let text = String(decoding: unixPath, as: UTF8.self)
            throw SystemError(code: ENAMETOOLONG, call: "bind", path: text)
        }
        storage.ss_family = sa_family_t(AF_UNIX)
        let start = offset + (abstract ? 1 : 0)
        // SAFETY: the path has at most 107 bytes and sockaddr_storage has 128, zeroed.
        unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            var index = 0
            while index < unixPath.count {
                unsafe bytes[start + index] = unixPath[index]
                index += 1
            }
        }
        length = socklen_t(offset + unixPath.count + 1)
    }

    private init?(numericHost: String, port: UInt16) {
        var four = sockaddr_in()
        four.sin_family = sa_family_t(AF_INET)
        four.sin_port = port.bigEndian
        var six = sockaddr_in6()
        six.sin6_family = sa_family_t(AF_INET6)
        six.sin6_port = port.bigEndian
        // SAFETY: each call writes the address structure of its own family, which lives for the call; the
        // copies below fit sockaddr_storage, which is made to hold either.
        if unsafe inet_pton(AF_INET, numericHost, &four.sin_addr) == 1 {
            unsafe withUnsafeMutableBytes(of: &storage) { target in
                unsafe withUnsafeBytes(of: &four) { unsafe target.copyMemory(from: $0) }
            }
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
        } else if unsafe inet_pton(AF_INET6, numericHost, &six.sin6_addr) == 1 {
            unsafe withUnsafeMutableBytes(of: &storage) { target in
                unsafe withUnsafeBytes(of: &six) { unsafe target.copyMemory(from: $0) }
            }
            length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        } else {
            return nil
        }
    }

    var family: Int32 { Int32(storage.ss_family) }

    /// Calls `body` with the address as C wants it.
    mutating func withPointer<R>(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> R
    ) -> R {
        // SAFETY: sockaddr is the common head of every family's structure; the pointers live for the call.
        unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe withUnsafeMutablePointer(to: &length) { lengthPointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body($0, lengthPointer)
                }
            }
        }
    }

    /// The address in our own terms; nil for other families and for unnamed or abstract sockets.
    var listenAddress: ListenAddress? {
        switch family {
        case AF_UNIX: unixPath.map { .unix(path: $0) }
        case AF_INET, AF_INET6: numeric
        default: nil
        }
    }

    private var unixPath: String? {
        let offset = MemoryLayout<sa_family_t>.size
        let end = min(Int(length), MemoryLayout<sockaddr_storage>.size)
        var copy = storage
        var path: [UInt8] = []
        // SAFETY: only bytes within the structure are read.
        unsafe withUnsafeBytes(of: &copy) { bytes in
            var index = offset
            while index < end, unsafe bytes[index] != 0 {
                unsafe path.append(bytes[index])
                index += 1
            }
        }
        return path.isEmpty ? nil : String(decoding: path, as: UTF8.self)
    }

    private var numeric: ListenAddress? {
        var copy = storage
        var text = [CChar](repeating: 0, count: 64)
        let isFour = family == AF_INET
        var port: UInt16 = 0
        // SAFETY: the family says which structure the storage holds; INET6_ADDRSTRLEN is 46 and fits `text`.
        let done = unsafe withUnsafeBytes(of: &copy) { bytes -> Bool in
            guard let base = bytes.baseAddress else { return false }
            if isFour {
                var address = unsafe base.loadUnaligned(as: sockaddr_in.self)
                port = UInt16(bigEndian: address.sin_port)
                return unsafe inet_ntop(AF_INET, &address.sin_addr, &text, 64) != nil
            }
            var address = unsafe base.loadUnaligned(as: sockaddr_in6.self)
            port = UInt16(bigEndian: address.sin6_port)
            return unsafe inet_ntop(AF_INET6, &address.sin6_addr, &text, 64) != nil
        }
        guard done else { return nil }
        let host = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return .tcp(host: String(decoding: host, as: UTF8.self), port: port)
    }
}
