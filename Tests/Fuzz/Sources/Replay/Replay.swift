internal import FuzzTargets
internal import Glibc

/// `Replay TARGET FILE…` runs each file through the target and prints its name afterwards, so that the first
/// name that is missing is the one that ended the process.
func replay(_ arguments: [String]) {
    guard arguments.count >= 2, let function = target(named: arguments[1]) else {
        print("usage: Replay TARGET FILE…; targets are \(targetNames.joined(separator: ", "))")
        exit(2)
    }
    for path in arguments.dropFirst(2) {
        guard let bytes = contents(of: path) else {
            print("cannot read `\(path)`")
            exit(2)
        }
        function(bytes.span)
        print(path)
        // Before the next one may end the process.
        fflush(nil)
    }
}

private func contents(of path: String) -> [UInt8]? {
    guard let file = unsafe fopen(path, "r") else { return nil }
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
