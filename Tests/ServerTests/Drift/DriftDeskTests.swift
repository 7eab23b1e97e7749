import Kernel
import Synchronization
import Testing

@testable import Server

/// The job that holds what services publish against the policy.
@Suite struct DriftDeskTests {
    /// What the child answers next, and what it was asked.
    final class Child: Sendable {
        let answers: Mutex<[DriftDesk.Answer]>
        let asked = Mutex<[[String]]>([])

        init(_ answers: [DriftDesk.Answer]) { self.answers = Mutex(answers) }

        func run(_ arguments: [String], _ input: [UInt8]) -> DriftDesk.Answer {
            asked.withLock { $0.append(arguments) }
            return answers.withLock { $0.isEmpty ? DriftDeskTests.exit(2) : $0.removeFirst() }
        }
    }

    private static func exit(_ status: Int32, _ output: String = "", _ errors: String = "") -> DriftDesk.Answer {
        DriftDesk.Answer(
            end: .exited(status: status), output: Array(output.utf8), errors: Array(errors.utf8))
    }

    private static func drift(_ subject: String) -> DriftDesk.Answer {
        exit(1, "{\"service\":\"orders\",\"findings\":[{\"subject\":\"\(subject)\"}]}\n")
    }

    private func makeDesk(_ child: Child, _ log: TestLog, policy: [UInt8]? = [0x61]) -> DriftDesk {
        var source = DriftSource(service: "orders", kind: .openAPI, place: "https://orders.example/openapi.json")
        source.schemes = ["oauth"]
        source.serverVariables = ["version": ["v1"], "region": ["eu", "us=1"]]
        return DriftDesk(
            sources: [source], everySeconds: 3_600, log: log.log, policy: { policy },
            run: { arguments, input in child.run(arguments, input) })
    }

    @Test func toldOnceForEachChange() throws {
        let folder = try Kernel.TemporaryFolder(prefix: "scopecheck-drift-")
        let log = TestLog(folder.path + "/log")
        let exit = DriftDeskTests.exit
        let drift = DriftDeskTests.drift
        let child = Child([
            exit(0, "", ""), drift("GET /a"), drift("GET /a"), drift("GET /b"), exit(0, "", ""), exit(0, "", ""),
            exit(2, "", "scopecheck: not reachable\nmore"), exit(2, "", "scopecheck: not reachable\nmore"),
            exit(1, "no report", ""),
            DriftDesk.Answer(end: .signalled(11)), exit(0, "", ""),
        ])
        let desk = makeDesk(child, log)
        var events: [Int] = []
        for _ in 0..<11 {
            desk.compare()
            events.append(log.text.split(separator: "\n").count)
        }
        #expect(events == [0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6], "\(log.text)")
        let names = log.text.split(separator: "\n").map { line in
            ["\"policy_drift\"", "\"policy_drift_ended\"", "\"drift_unavailable\""].firstIndex { line.contains($0) }
        }
        #expect(names == [0, 0, 1, 2, 2, 2])
        #expect(log.text.contains("not reachable") && !log.text.contains("more"))
        #expect(
            child.asked.withLock { $0.first } == [
                "policy", "drift", "--policy-on-input", "--json", "--service=orders",
                "--openapi=https://orders.example/openapi.json", "--security=oauth",
                "--server-variable=region=eu", "--server-variable=region=us=1", "--server-variable=version=v1",
            ])
        #expect(desk.states.first?.condition == .same)
        withExtendedLifetime(folder) {}
    }

    @Test func withoutPolicyNothingIsAsked() throws {
        let folder = try Kernel.TemporaryFolder(prefix: "scopecheck-drift-")
        let child = Child([])
        let desk = makeDesk(child, TestLog(folder.path + "/log"), policy: nil)
        desk.compare()
        #expect(child.asked.withLock { $0.isEmpty })
        #expect(desk.states.first?.condition == .unknown)
        withExtendedLifetime(folder) {}
    }

    @Test func startsAndStops() throws {
        let folder = try Kernel.TemporaryFolder(prefix: "scopecheck-drift-")
        let desk = makeDesk(Child([]), TestLog(folder.path + "/log"))
        try desk.start()
        desk.stop()
        desk.stop()
        withExtendedLifetime(folder) {}
    }
}
