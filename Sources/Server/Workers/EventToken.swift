/// What an epoll event is about, in the 64 bits that come back with it.
///
/// The kind stands in the top two bits; a connection has its generation (30 bits) and slot (32 bits) below, so
/// that an event for a connection that has gone is never taken for the next one in its slot.
enum EventToken {
    case wake
    case listener(Int)
    case connection(Int, UInt32)

    static let generationMask: UInt32 = (1 << 30) - 1

    init(packed: UInt64) {
        let low = Int(truncatingIfNeeded: packed & 0xFFFF_FFFF)
        switch packed >> 62 {
        case 0: self = .wake
        case 1: self = .listener(low)
        default: self = .connection(low, UInt32(truncatingIfNeeded: packed >> 32) & EventToken.generationMask)
        }
    }

    var packed: UInt64 {
        switch self {
        case .wake: 0
        case .listener(let number): 1 << 62 | UInt64(UInt32(truncatingIfNeeded: number))
        case .connection(let slot, let generation):
            2 << 62 | UInt64(generation & EventToken.generationMask) << 32
                | UInt64(UInt32(truncatingIfNeeded: slot))
        }
    }
}
