import Foundation
import Octets
import Signatures

/// Test vectors written by others. They are not part of the project: where they are missing, the tests that
/// need them are skipped and say how many cases did not run.
enum Vectors {
    /// The folder named by `SCOPECHECK_VECTORS`, or `../shared/vectors` beside the package.
    static let folder: String? = {
        var candidates: [String] = []
        if let named = ProcessInfo.processInfo.environment["SCOPECHECK_VECTORS"] { candidates.append(named) }
        // …/Tests/SignaturesTests/Vectors.swift: the package is three levels up.
        var root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<3 { root.deleteLastPathComponent() }
        candidates.append(root.deletingLastPathComponent().appendingPathComponent("shared/vectors").path)
        return candidates.first { FileManager.default.fileExists(atPath: $0) }
    }()

    static func areThere(cases: Int, of what: String) -> Bool {
        guard folder == nil else { return true }
        print("SKIPPED \(cases) cases: \(what) (set SCOPECHECK_VECTORS to the folder of vectors)")
        return false
    }

    static func decode<T: Decodable>(_ type: T.Type, from path: String) throws -> T {
        let url = URL(fileURLWithPath: folder ?? "/nonexistent").appendingPathComponent(path)
        return try JSONDecoder().decode(type, from: Data(contentsOf: url))
    }
}

func hexadecimal(_ text: String) -> [UInt8] {
    let digits = Array(text.utf8)
    var result: [UInt8] = []
    var index = digits.count % 2 == 0 ? 0 : -1
    while index < digits.count {
        let pair = digits[max(index, 0)...index + 1]
        result.append(UInt8(String(decoding: pair, as: UTF8.self), radix: 16) ?? 0)
        index += 2
    }
    return result
}

/// The number of `bytes` as exactly `count` bytes; zeros in front come and go.
func fixed(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
    let digits = Array(bytes.drop { $0 == 0 })
    return [UInt8](repeating: 0, count: max(0, count - digits.count)) + digits
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func decoded(_ text: String) -> [UInt8]? { Base64URL.decode(bytes(text).span) }

func named(_ name: String) -> SignatureAlgorithm? { .named(bytes(name).span) }

extension PreparedVerifier {
    func verifies(_ message: [UInt8], _ signature: [UInt8]) -> Bool {
        verify(message: message.span, signature: signature.span)
    }
}

func digest(_ bytes: [UInt8]) -> Digest? { Digest(bytes.span) }
