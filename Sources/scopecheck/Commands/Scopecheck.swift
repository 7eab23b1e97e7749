internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy

/// The program's commands. Exit codes: 0 yes, 1 no (denied, not valid, findings), 2 it could not be done, 3 wider, waiting
/// or with reservations, 64 wrong usage.
struct Scopecheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scopecheck",
        abstract: "Decides for a proxy whether a request's access token carries the scopes its route requires.",
        discussion: """
            Exit codes: 0 yes or done; 1 no (denied, not valid, findings); 2 it could not be done; 3 wider, waiting or \
            with reservations; 64 wrong usage.
            """,
        version: scopecheckVersion,
        subcommands: [
            Serve.self, Status.self, Health.self, PolicyCommand.self, Explain.self, Decide.self,
            TokenCommand.self, KeysCommand.self, Revoke.self, Revocations.self, Publish.self,
        ])
}

let scopecheckVersion = "0.1.0"

/// How a command ends other than by success.
enum Ending {
    /// The answer is no.
    static let no = ExitCode(1)
    /// It could not be done.
    static let failure = ExitCode(2)
}

/// Writes text to standard output.
func printOut(_ bytes: [UInt8]) {
    _ = writeAll(1, bytes.span)
}

func printOut(_ text: String) {
    printOut(Array(text.utf8))
}

/// Says on standard error what went wrong, and ends the command with 2.
func fail(_ message: String) -> ExitCode {
    _ = writeAll(2, Array("scopecheck: \(message)\n".utf8).span)
    return Ending.failure
}

/// The bytes of a file, or of standard input for `-`.
func readInput(_ path: String, bytesMax: Int) throws -> [UInt8] {
    guard path != "-" else {
        var bytes: [UInt8] = []
        while appendBytes(from: 0, countMax: 1 << 16, to: &bytes) {
            guard bytes.count <= bytesMax else { throw fail("standard input has more than \(bytesMax) bytes") }
        }
        return bytes
    }
    do throws(SystemError) {
        return try Files.read(path, bytesMax: bytesMax).bytes
    } catch {
        throw fail("\(error)")
    }
}

/// Ends the command where a file cannot be written because its folder is not there.
func requireFolder(of path: String) throws {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
    let folder = String(path[..<slash])
    do throws(SystemError) {
        _ = try Files.stamp(folder)
    } catch {
        throw fail("`\(path)` cannot be written: `\(folder)` is no folder that is there; make it, or correct the path")
    }
}

/// Without the line end that editors and `echo` leave behind.
func trimmingLineEnd(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
    return bytes
}

/// `--at`: Unix seconds, or RFC 3339 with a zone.
struct TimeArgument: ExpressibleByArgument {
    var unixSeconds: Int64

    init?(argument: String) {
        if let seconds = Int64(argument) {
            unixSeconds = seconds
        } else if let seconds = unixSecondsOfTimestamp(argument) {
            unixSeconds = seconds
        } else {
            return nil
        }
    }

    static var defaultValueDescription: String { "now" }
}

/// An address as `unix:PATH` or `HOST:PORT`.
struct AddressArgument: ExpressibleByArgument {
    var address: ListenAddress

    init?(argument: String) {
        do throws(AddressError) {
            address = try ListenAddress(parsing: argument)
        } catch {
            let guess = AddressArgument.socket(meantBy: argument).map { "; did you mean `\($0)`?" }
            let example = "; addresses are `unix:/run/scopecheck/admin.sock` and `127.0.0.1:8080`"
            _ = writeAll(2, Array("scopecheck: \(error)\(guess ?? example)\n".utf8).span)
            return nil
        }
    }

    /// A path that only lacks `unix:`, or has another sign for the colon.
    private static func socket(meantBy text: String) -> String? {
        guard !text.contains(":") else { return nil }
        if text.hasPrefix("/") || text.hasPrefix("./") { return "unix:\(text)" }
        guard text.hasPrefix("unix"), let slash = text.firstIndex(of: "/") else {
            return text.hasSuffix(".sock") ? "unix:\(text)" : nil
        }
        return "unix:/" + text[slash...].drop { $0 == "/" }
    }
}
