internal import Glibc

/// Ends the program with exit code 1 and this line on standard error.
public func fail(_ text: String) -> Never {
    let bytes = Array("\(text)\n".utf8)
    // SAFETY: the array is lent for the call, and its count is told.
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(2, $0.baseAddress, $0.count) }
    exit(1)
}

/// All bytes of a file; the program ends where it cannot be read.
public func contents(of path: String) -> [UInt8] {
    guard let file = unsafe fopen(path, "r") else { fail("cannot read \(path)") }
    defer { unsafe fclose(file) }
    var result: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
        // SAFETY: fread is told the room.
        let count = unsafe chunk.withUnsafeMutableBytes { unsafe fread($0.baseAddress, 1, $0.count, file) }
        guard count > 0 else { return result }
        result += chunk[0..<count]
    }
}

/// Writes a file; the program ends where it cannot.
public func write(_ bytes: [UInt8], to path: String) {
    guard let file = unsafe fopen(path, "w") else { fail("cannot write \(path)") }
    // SAFETY: the array is lent for the call, and its count is told.
    let count = unsafe bytes.withUnsafeBytes { unsafe fwrite($0.baseAddress, 1, $0.count, file) }
    guard unsafe fclose(file) == 0, count == bytes.count else { fail("cannot write \(path)") }
}

/// One line on standard output, at once.
public func say(_ line: String) {
    print(line)
    fflush(nil)
}
