internal import Octets

/// What HAProxy says first (SPOE.txt §3.2.4). A health check says `healthcheck` and offers no capabilities.
struct HAProxyHello {
    var frameBytesMax = 0
    var isHealthCheck = false

    /// - Returns: the reading, or what to disconnect with.
    static func read(_ bytes: Span<UInt8>, _ payload: ByteRange) -> Result<HAProxyHello, HelloRefusal> {
        var hello = HAProxyHello()
        var versions = ByteRange.absent
        var frameSize: Int64 = -1
        var hasCapabilities = false
        var position = Int(payload.start)
        let end = position + Int(payload.count)
        while position < end {
            guard let name = bytes.countedRange(at: &position, end: end),
                let value = TypedData(bytes, at: &position, end: end)
            else { return .failure(HelloRefusal(status: .invalidFrame)) }
            let key = bytes.bytes(at: name)
            switch value {
            case .bytes(let text) where equal(key, "supported-versions"): versions = text
            case .bytes where equal(key, "capabilities"): hasCapabilities = true
            case .integer(let number) where equal(key, "max-frame-size"): frameSize = number
            case .bool(let isTrue) where equal(key, "healthcheck"): hello.isHealthCheck = isTrue
            default: break
            }
        }
        guard versions.isPresent else { return .failure(HelloRefusal(status: .noVersion)) }
        guard speaksVersion2(bytes.bytes(at: versions)) else {
            return .failure(HelloRefusal(status: .unsupportedVersion))
        }
        guard frameSize >= 0 else { return .failure(HelloRefusal(status: .noFrameSize)) }
        guard frameSize >= SPOPLimits.frameBytesMin else { return .failure(HelloRefusal(status: .badFrameSize)) }
        guard hasCapabilities || hello.isHealthCheck else {
            return .failure(HelloRefusal(status: .noCapabilities))
        }
        hello.frameBytesMax = Int(clamping: frameSize)
        return .success(hello)
    }

    /// Whether a list like `2.0, 1.5` names a version 2.
    private static func speaksVersion2(_ list: Span<UInt8>) -> Bool {
        var index = 0
        while index < list.count {
            while index < list.count, list[index] == 0x20 || list[index] == 0x2C { index += 1 }
            let start = index
            while index < list.count, list[index] != 0x2C { index += 1 }
            guard index - start >= 3, list[start] == 0x32, list[start + 1] == 0x2E else { continue }
            if list[start + 2] &- 0x30 < 10 { return true }
        }
        return false
    }
}

struct HelloRefusal: Error {
    var status: DisconnectStatus
}

extension ByteWriter {
    /// `fragmentation` is announced though 2.6 does not offer it: without it that version answers one oversized
    /// request with hundreds of connections. `async` never is.
    mutating func appendAgentHello(frameBytesMax: Int) {
        appendFrame(FrameType.agentHello, bytesMax: frameBytesMax) { output in
            output.append(counted: "version")
            output.append(string: "2.0")
            output.append(counted: "max-frame-size")
            output.append(unsigned: UInt32(clamping: frameBytesMax))
            output.append(counted: "capabilities")
            output.append(string: "pipelining,fragmentation")
        }
    }

    mutating func appendDisconnect(_ status: DisconnectStatus) {
        appendFrame(FrameType.agentDisconnect, bytesMax: SPOPLimits.frameBytesMin) { output in
            output.append(counted: "status-code")
            output.append(unsigned: status.rawValue)
            output.append(counted: "message")
            output.append(string: status.message)
        }
    }
}
