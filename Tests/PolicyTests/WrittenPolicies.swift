import Glibc
import Kernel

/// The policies that stand in the documents and scripts of this repository, and those that fuzzing has found worth keeping.
enum WrittenPolicies {
    /// The repository's folder.
    static let root = String(#filePath.dropLast("Tests/PolicyTests/WrittenPolicies.swift".count))

    static let documents: [String] = ["README.md", "nginx/demo.sh", "haproxy/demo.sh", "Tests/Integration/daemon.py"]
        .flatMap { name in blocks((try? readText(root + name)) ?? "") }

    /// Each block from `scopecheck: 1` to the end of the code fence, here document or literal.
    private static func blocks(_ text: String) -> [String] {
        var result: [String] = []
        var block: [Substring]?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == "scopecheck: 1" {
                block = [line]
            } else if line == "```" || line == "POLICY" || line.hasPrefix("\"\"\"") {
                if let lines = block { result.append(lines.joined(separator: "\n") + "\n") }
                block = nil
            } else {
                block?.append(line)
            }
        }
        return result
    }

    static func corpus() throws -> [[UInt8]] {
        let folder = root + "Tests/Fuzz/corpus/policy"
        return try names(in: folder).map { try Files.read("\(folder)/\($0)", bytesMax: 1 << 24).bytes }
    }

    /// The texts of all Swift files of a folder and of those in it.
    static func swiftSources(in folder: String) throws -> [String] {
        try names(in: folder).flatMap { name in
            name.hasSuffix(".swift") ? [try readText("\(folder)/\(name)")] : try swiftSources(in: "\(folder)/\(name)")
        }
    }

    /// In order, hidden ones left out; none when it is no folder.
    private static func names(in folder: String) -> [String] {
        // SAFETY: the directory stream is closed below; names are copied at once.
        guard let stream = unsafe opendir(folder) else { return [] }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        unsafe _ = closedir(stream)
        return names.sorted()
    }
}

func readText(_ path: String) throws -> String {
    String(decoding: try Files.read(path, bytesMax: 1 << 24).bytes, as: UTF8.self)
}
