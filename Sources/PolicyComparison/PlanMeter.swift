/// Called now and then while two policies are compared: how much of the work is done, and all of it, in no unit. What is
/// done never becomes less, nor more than all.
public typealias PlanProgress = (_ done: Int, _ total: Int) -> Void

/// How far a comparison of requests has come.
///
/// Work is counted in routes put into tries and in classes of paths walked. Of the first it is known before how many there
/// are; of the second as many are expected in each group of hosts, and those beyond are not counted, so that what is done
/// stands still rather than going back.
final class PlanMeter {
    /// A power of two: a call costs more than a step.
    private static let stepsBetweenCalls = 256

    private let progress: PlanProgress?
    private var total = 0
    private var finished = 0
    private var expected = 0
    private var steps = 0

    init(_ progress: PlanProgress?) { self.progress = progress }

    /// - Parameter routes: of each group of hosts, in both policies.
    func begin(routes: [Int]) { total = routes.reduce(0) { $0 + PlanMeter.work($1) } }

    func beginGroup(routes: Int) {
        expected = PlanMeter.work(routes)
        steps = 0
    }

    /// One route or one class of paths more.
    func step() {
        steps += 1
        if steps & (PlanMeter.stepsBetweenCalls - 1) == 0 { report() }
    }

    func endGroup() {
        finished += expected
        expected = 0
        report()
    }

    private func report() { progress?(finished + min(steps, expected), total) }

    private static func work(_ routes: Int) -> Int { 2 * routes }
}
