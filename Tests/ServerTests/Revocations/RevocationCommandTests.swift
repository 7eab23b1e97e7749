import Decision
import Foundation
import Kernel
import Signatures
import Testing

@testable import Server

/// The program as built beside these tests.
private enum Program {
    static let path: String = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return Files.split(tests).folder + "/scopecheck"
    }()

    static var isThere: Bool { FileManager.default.isExecutableFile(atPath: path) }

    static func run(_ arguments: [String], input: String = "") throws -> (status: Int32, output: String, error: String)
    {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        let pipes = (input: Pipe(), output: Pipe(), error: Pipe())
        process.standardInput = pipes.input
        process.standardOutput = pipes.output
        process.standardError = pipes.error
        try process.run()
        try pipes.input.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try pipes.input.fileHandleForWriting.close()
        let output = String(decoding: pipes.output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let error = String(decoding: pipes.error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output, error)
    }
}

@Suite(.enabled(if: Program.isThere)) struct RevocationCommandTests {
    let folder: Kernel.TemporaryFolder
    var store: String { folder.path }

    init() throws {
        folder = try Kernel.TemporaryFolder(prefix: "scopecheck-command-")
    }

    @Test func revokesListsAndTakesBackInTheFiles() throws {
        let made = try Program.run([
            "revoke", "--subject", "al", "--issuer", "https://i", "--reason", "left", "--store", store,
        ])
        #expect(made.status == 0)
        #expect(made.output.hasPrefix("revoked: all tokens of subject `al` of `https://i` issued until "))
        #expect(made.output.contains("kept: for ever, since no policy is read with `--store`"))
        let list = try Program.run(["revocations", "--store", store])
        #expect(list.status == 0)
        #expect(list.output.contains("(left)"))
        let id = String(list.output.prefix(64))
        #expect(
            try Program.run(["revocations", "list", "--issuer", "https://j", "--store", store]).output.contains(
                "no revocations"))
        #expect(try Program.run(["revocations", "remove", id, "--store", store]).status == 0)
        #expect(try Program.run(["revocations", "remove", id, "--store", store]).status == 1)
        #expect(try Program.run(["revocations", "list", "--store", store]).output == "there are no revocations\n")
    }

    @Test func aTokenComesFromAFileAndOnlyItsDigestIsKept() throws {
        // {"alg":"ES256"} and {"exp":4000000000.5}
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjQwMDAwMDAwMDAuNX0.c2ln"
        let made = try Program.run(["revoke", "--token-file", "-", "--json", "--store", store], input: token + "\n")
        #expect(made.status == 0)
        #expect(made.output.contains("\"until\":4000000601,"))
        #expect(made.output.contains("\"digest\":\"\(sha256(Array(token.utf8).span))\""))
        for text in ["e30.eyJleHAiOjF9", "opaque", "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOiJ4In0.c2ln"] {
            let opaque = try Program.run(["revoke", "--token-file", "-", "--json", "--store", store], input: text)
            #expect(opaque.status == 0)
            #expect(!opaque.output.contains("until"))
        }
        let expired = try Program.run(
            ["revoke", "--token-file", "-", "--store", store], input: "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjF9.c2ln")
        #expect(expired.status == 0)
        #expect(expired.output.hasPrefix("nothing to revoke"))
        for text in ["", "\n", "Bearer x", "a\nb"] {
            #expect(try Program.run(["revoke", "--token-file", "-", "--store", store], input: text).status == 2)
        }
        let data = try Files.read(RevocationFiles.folder(ofStore: store) + "/data.mdb", bytesMax: 1 << 24).bytes
        #expect(Data(data).range(of: Data(token.utf8)) == nil)
    }

    static let misuses: [[String]] = [
        [], ["--issuer", "i"], ["--jti", "a"], ["--jti", "", "--issuer", "i"], ["--jti", "a", "--issuer", ""],
        ["--jti", "a", "--subject", "b", "--issuer", "i"], ["--jti", "a", "--issuer-wide", "--issuer", "i"],
        ["--token-file", "f", "--issuer", "i"], ["--token-file", "f", "--all"],
        ["--subject", "a", "--issuer", "i", "--all", "--issued-before", "5"],
        ["--subject", "a", "--issuer", "i", "--until", "tomorrow"],
        ["--subject", "a", "--issuer", "i", "--reason", String(repeating: "x", count: 257)],
        ["--subject", "a", "--issuer", "i", "--store", "x", "--admin", "unix:/x"], ["token"],
    ]

    @Test(arguments: misuses)
    func refusesMisuse(_ arguments: [String]) throws {
        let store = arguments.contains("--store") || arguments.contains("--admin") ? [] : ["--store", store]
        #expect(try Program.run(["revoke"] + arguments + store).status == 64)
        #expect(!FileManager.default.fileExists(atPath: RevocationFiles.folder(ofStore: self.store)))
    }

    @Test func saysWhatIsInTheWay() throws {
        let lock = try FileLock(path: store + "/daemon.lock")
        let locked = try Program.run(["revocations", "list", "--store", store])
        #expect(locked.status == 2)
        #expect(locked.error.contains("give --admin"))
        _ = consume lock
        #expect(try Program.run(["revocations", "list", "--store", store + "/none"]).status == 2)
        let nobody = try Program.run(["revocations", "list", "--admin", "unix:\(store)/none.sock"])
        #expect(nobody.status == 2)
        #expect(try Program.run(["revocations", "remove", "12", "--store", store]).status == 64)
    }

    @Test func asksARunningDaemon() throws {
        let world = try DeskWorld()
        let desk = try world.open()
        let address = "unix:\(store)/admin.sock"
        let socket = try ListeningSocket.listen(on: .unix(path: store + "/admin.sock"))
        let routes = AdminRoutes(
            status: { [] }, statusText: { [] }, isReady: { true }, explain: { _, _, _ in [] }, revocations: desk)
        let listener = try AdminListener(
            socket: socket, peerUserIDs: [Accounts.ownUserID], routes: routes, log: world.log.log)
        let thread = try listener.start()
        defer {
            listener.requestStop()
            thread.join()
        }
        let made = try Program.run(["revoke", "--client", "c", "--issuer", "https://hour", "--admin", address])
        #expect(made.status == 0)
        #expect(made.output.contains("(max_lifetime)"))
        #expect(desk.current.count == 1)
        let unknown = try Program.run(["revoke", "--issuer-wide", "--issuer", "https://x", "--address", address])
        #expect(unknown.output.contains("warning: the policy in force names no issuer `https://x`"))
        // More than one page.
        for number in 0..<450 { _ = try desk.revoke([subject("u\(number)")]) }
        let list = try Program.run(["revocations", "list", "--json", "--admin", address])
        #expect(list.output.split(separator: "\n").count == 452)
        let id = try #require(try desk.list(limit: 1).records.first).revocation.key
        #expect(try Program.run(["revocations", "remove", "\(id)", "--admin", address]).status == 0)
        #expect(desk.count == 451)
        let late = try Program.run([
            "revoke", "--key", "k", "--issuer", "https://hour", "--until", "5", "--admin", address,
        ])
        #expect(late.status == 2)
        #expect(late.error.contains("until lies in the past"))
    }

    @Test func removesADamagedRecordFromTheFiles() throws {
        _ = try Program.run(["revoke", "--subject", "al", "--issuer", "https://i", "--store", store])
        let id = String(try Program.run(["revocations", "--store", store]).output.prefix(64))
        let path = RevocationFiles.folder(ofStore: store) + "/data.mdb"
        var data = Data(try Files.read(path, bytesMax: 1 << 24).bytes)
        while let place = data.range(of: Data("https://i".utf8)) { data[place.lowerBound] = 0x48 }
        try data.write(to: URL(fileURLWithPath: path))
        let refused = try Program.run(["revocations", "list", "--store", store])
        #expect(refused.status == 2)
        #expect(refused.error.contains("scopecheck revocations remove \(id)"))
        #expect(try Program.run(["revocations", "remove", "\(id)", "--store", store]).status == 0)
        #expect(try Program.run(["revocations", "list", "--store", store]).status == 0)
    }
}
