import Glibc
import Synchronization
import Testing

@testable import Kernel

@Suite struct ChildProcessTests {
    private func shell(
        _ script: String, input: [UInt8] = [], deadline: Int64 = 60_000, outputBytesMax: Int = 1 << 20
    ) throws -> ChildResult {
        try ChildProcess.run(
            "/bin/sh", name: "sh", arguments: ["-c", script], input: input,
            limits: ChildLimits(deadlineMilliseconds: deadline, outputBytesMax: outputBytesMax))
    }

    @Test func capturesBothStreamsAndTheStatus() throws {
        let result = try shell("echo out; echo err >&2; exit 3")
        #expect(result.end == .exited(status: 3))
        #expect(text(result.standardOutput) == "out\n")
        #expect(text(result.standardError) == "err\n")
        #expect(!result.succeeded)
        #expect(try shell("true").succeeded)
    }

    @Test func handsOverLargeInput() throws {
        let input = [UInt8](repeating: 0x61, count: 3_000_000)
        let result = try shell("wc -c", input: input)
        #expect(text(result.standardOutput).split(separator: "\n").first?.hasSuffix("3000000") == true)
        // A child that does not read it is not waited for, and raises no signal here.
        #expect(try shell("exit 0", input: input).succeeded)
    }

    @Test func deadlineKillsTheWholeGroup() throws {
        let result = try shell("echo started; sleep 600 & sleep 600", deadline: 300)
        #expect(result.end == .deadlinePassed)
    }

    @Test func outputLimit() throws {
        let result = try shell("yes", outputBytesMax: 1000)
        #expect(result.end == .outputTooLong)
        #expect(result.standardOutput.count == 1000)
        let exact = try shell("printf 12345", outputBytesMax: 5)
        #expect(exact.end == .exited(status: 0))
        #expect(exact.standardOutput.count == 5)
    }

    @Test func signalled() throws {
        #expect(try shell("kill -TERM $$").end == .signalled(SIGTERM))
    }

    /// Nothing but the three streams is inherited, and no signal is blocked or ignored.
    @Test func inheritsNothing() throws {
        let listener = try ListeningSocket.listen(on: .tcp(host: "127.0.0.1", port: 0))
        let result = try shell("ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status")
        let lines = text(result.standardOutput).split(separator: "\n")
        // 0, 1, 2 and the folder that ls reads.
        #expect(lines.first.map { String($0).trimmed } == "4")
        #expect(lines.last?.hasSuffix("0000000000000000") == true)
        listener.close()
    }

    /// Nor from a thread that has everything blocked, as those that load policies have.
    @Test func inheritsNoMask() throws {
        let masks = Masks()
        let thread = try SystemThread.start(name: "blocked", context: masks) { masks in
            let result = try? ChildProcess.run(
                "/bin/sh", name: "sh", arguments: ["-c", "grep SigBlk /proc/self/status"],
                limits: ChildLimits(deadlineMilliseconds: 60_000, outputBytesMax: 1_000))
            masks.ofChild.withLock { $0 = text(result?.standardOutput ?? []) }
        }
        thread.join()
        #expect(masks.ofChild.withLock { $0.hasSuffix("0000000000000000\n") })
    }

    @Test func missingProgram() {
        #expect(throws: SystemError.self) {
            try ChildProcess.run(
                "/no/such/program", name: "x", arguments: [],
                limits: ChildLimits(deadlineMilliseconds: 1000, outputBytesMax: 10))
        }
    }

    @Test func limitsAndMemory() throws {
        #expect(try ProcessResources.raiseOpenFileLimit() >= 256)
        ProcessResources.trimMemory()
    }
}

extension String {
    fileprivate var trimmed: String { String(drop { $0 == " " }) }
}

private final class Masks: Sendable {
    let ofChild = Mutex("")
}
