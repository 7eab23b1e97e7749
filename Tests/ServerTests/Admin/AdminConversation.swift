import Glibc
import Kernel
import Octets

@testable import Server

/// A client that sends exactly these bytes, in these pieces, and reads to the end.
struct Conversation {
    static func connect(_ address: ListenAddress) -> FileDescriptor {
        switch address {
        case .unix(let path):
            let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var target = sockaddr_un()
            target.sun_family = sa_family_t(AF_UNIX)
            // SAFETY: the path is shorter than sun_path, whose bytes are all initialised.
            unsafe withUnsafeMutableBytes(of: &target.sun_path) { bytes in
                for (index, byte) in path.utf8.enumerated() { unsafe bytes[index] = byte }
            }
            // SAFETY: the structure lives for the call.
            _ = unsafe withUnsafePointer(to: &target) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe Glibc.connect(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            return FileDescriptor(owning: raw)
        case .tcp(_, let port):
            let raw = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var target = sockaddr_in()
            target.sin_family = sa_family_t(AF_INET)
            target.sin_port = port.bigEndian
            target.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            // SAFETY: the structure lives for the call.
            _ = unsafe withUnsafePointer(to: &target) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe Glibc.connect(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            return FileDescriptor(owning: raw)
        }
    }

    /// - Returns: all that was answered; empty for a close without a word.
    static func exchange(_ pieces: [[UInt8]], with address: ListenAddress) -> String {
        let peer = connect(address)
        for piece in pieces { _ = peer.send(piece.span) }
        return readAll(peer)
    }

    static func exchange(_ text: String, with address: ListenAddress) -> String {
        exchange([Array(text.utf8)], with: address)
    }

    static func readAll(_ peer: borrowing FileDescriptor) -> String {
        var buffer = ReceiveBuffer(capacity: 1 << 20)
        reading: while true {
            switch peer.receive(into: &buffer) {
            case .bytes: continue
            default: break reading
            }
        }
        return String(lossy: buffer.bytes)
    }

    static func status(_ answer: String) -> Int {
        Int(answer.dropFirst("HTTP/1.1 ".count).prefix(3)) ?? 0
    }
}
