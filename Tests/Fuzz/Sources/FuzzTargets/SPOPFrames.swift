internal import Octets

// What the agent says, read by the text of SPOE.txt and not by the codec.

/// Takes a frame's parts from the front; what does not go on as it must ends the process.
private struct FrameReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 {
        check(!rest.isEmpty, "half a frame")
        return rest.popFirst() ?? 0
    }

    mutating func take(_ count: Int) -> ArraySlice<UInt8> {
        check(count <= rest.count, "half a frame")
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func word() -> Int { take(4).reduce(0) { $0 << 8 | Int($1) } }

    mutating func varint() -> UInt64 {
        let first = byte()
        guard first >= 240 else { return UInt64(first) }
        var groups: [UInt8] = []
        repeat { groups.append(byte()) } while groups[groups.count - 1] >= 128
        check(groups.count <= 9, "a number that is too long")
        return groups.reversed().reduce(0) { $0 &* 128 &+ UInt64($1) } &* 16 &+ UInt64(first)
    }

    mutating func text() -> [UInt8] { Array(take(Int(clamping: varint()))) }

    /// Type, flags, stream and frame.
    mutating func head() -> (type: UInt8, streamID: UInt64, frameID: UInt64) {
        let type = byte()
        check(word() == 1, "a frame in fragments")
        return (type, varint(), varint())
    }
}

/// Whole frames: a HELLO at the most, ACKs, and a DISCONNECT at the most, which is the last.
func checkFrames(_ output: [UInt8], isClosed: Bool, frameBytesMax: Int) {
    var reader = FrameReader(output[...])
    var isFirst = true
    var isLast = false
    while !reader.isAtEnd {
        check(!isLast, "more is said after a DISCONNECT")
        let length = reader.word()
        check(length <= frameBytesMax, "a frame is larger than agreed")
        var frame = FrameReader(reader.take(length))
        let head = frame.head()
        switch head.type {
        case 101: check(isFirst && head.streamID == 0 && head.frameID == 0, "a HELLO in the middle")
        case 102:
            check(head.streamID == 0 && head.frameID == 0 && isClosed, "a DISCONNECT of a stream")
            isLast = true
        case 103: check(!isFirst, "an ACK before the HELLO")
        default: check(false, "a frame that an agent does not send")
        }
        isFirst = false
    }
}

/// One ACK for that question: first `allow` is unset, then the variables are set, each once and printable; what sets
/// `allow` is true, the last, and beside status 200.
/// - Returns: whether it allows.
func checkACK(_ bytes: [UInt8], streamID: UInt64, frameID: UInt64, allowName: StaticString, bytesMax: Int) -> Bool {
    var reader = FrameReader(bytes[...])
    let length = reader.word()
    check(length == bytes.count - 4 && length <= bytesMax, "not one ACK")
    let head = reader.head()
    check(head.type == 103 && head.streamID == streamID && head.frameID == frameID, "not the ACK of its question")
    var seen: Set<[UInt8]> = []
    var status: UInt64 = 0
    var allows = false
    check(Array(reader.take(3)) == [2, 2, 2] && equal(reader.text().span, allowName), "an allow is not unset first")
    while !reader.isAtEnd {
        check(!allows, "an action behind the allow")
        check(Array(reader.take(3)) == [1, 3, 2], "an action that sets no variable of the transaction")
        let name = reader.text()
        check(seen.insert(name).inserted, "a variable is set twice")
        let type = reader.byte()
        if equal(name.span, allowName) {
            check(type == 0x11, "an allow that is not true")
            allows = true
        } else if equal(name.span, "status") {
            check(type == 3, "a status of another type")
            status = reader.varint()
        } else {
            check(type == 8, "a text of another type")
            check(reader.text().allSatisfy { $0 >= 0x20 && $0 <= 0x7E }, "what is not printable is sent")
        }
    }
    check(seen.count >= 3, "a variable is missing")
    check([200, 400, 401, 403, 503].contains(status), "a status that is none")
    check(allows == (status == 200), "the status says something else")
    return allows
}
