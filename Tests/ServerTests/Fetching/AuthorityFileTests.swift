import Glibc
import Kernel
import Testing

@testable import Server

/// Files of certificate authorities, which policies name.
@Suite struct AuthorityFileTests {
    private func refusal(_ file: String) async -> String {
        let clients = HTTPSClients(timeoutMilliseconds: 1_000)
        defer { clients.stop() }
        let request = HTTPSRequest(
            url: "https://127.0.0.1:1/", issuer: "https://127.0.0.1:1", replyBytesMax: 1, timeoutMilliseconds: 1_000)
        do throws(HTTPSError) {
            _ = try await clients.exchange(request, authorityFile: file)
            return ""
        } catch {
            return "\(error)"
        }
    }

    /// Opened by its name, a pipe would hold up one of the few threads that fetch for everybody.
    @Test func pipesAndDevicesAreNotWaitedFor() async throws {
        let folder = TemporaryFolder()
        let pipe = folder.file("ca.pem")
        // SAFETY: the string lives for the call.
        unsafe _ = mkfifo(pipe, 0o600)
        #expect(await refusal(pipe).contains("no regular file"))
        #expect(await refusal("/dev/zero").contains("no regular file"))
    }

    @Test func sizes() async throws {
        let folder = TemporaryFolder()
        try folder.write("ca.pem", String(repeating: "\n", count: HTTPSClients.authorityBytesMax + 1))
        #expect(await refusal(folder.file("ca.pem")).contains("more than"))
        try folder.write("ca.pem", "no certificate")
        #expect(await refusal(folder.file("ca.pem")).contains("cannot be read"))
    }
}
