internal import ArgumentParser
internal import Policy
internal import PolicyComparison
internal import PolicyTables

extension PolicyCommand {
    struct Plan: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tells whether a policy allows anything that another one denies.",
            discussion: """
                Every request, token and time is decided on both sides, in classes that both treat alike; nothing is sampled. \
                Each finding says what became wider and gives requests that show it. What has no order, another source of \
                keys for example, counts as wider.
                Exit 0 when nothing is wider, 3 when something is, 1 when a policy has errors, 2 when one cannot be read \
                or is a stored version of another environment.
                """)

        @OptionGroup var policies: PolicyPair

        @Flag(help: "Print the findings as JSON.")
        var json = false

        func run() throws {
            let (old, new) = try policies.load()
            let bar = ProgressBar()
            let plan = planChange(
                from: try old.checkedModel(json: json), to: try new.checkedModel(json: json), at: policies.time,
                progress: { bar.show("comparing", $0, of: $1) })
            bar.finish()
            let report = PlanReport(plan: plan, oldPlace: { old.place(of: $0) }, newPlace: { new.place(of: $0) })
            if json { printOut(report.json) } else { printOut(report.text) }
            if plan.isWider { throw PolicyPair.wider }
        }
    }
}

/// The two policies of a comparison.
struct PolicyPair: ParsableArguments {
    /// The new policy allows more.
    static let wider = ExitCode(3)

    @Argument(help: "The old policy: a file or folder, or a stored version (`active`, a number, digits of its hash).")
    var old: String

    @Argument(help: "The new policy, in the same way.")
    var new: String

    @Argument(help: .hidden)
    var more: [String] = []

    @Option(help: "Read files for this environment; a stored version beside them must be of the same.")
    var environment: String?

    @OptionGroup var place: StorePlace

    @Option(help: "Compare from this time on (RFC 3339, or Unix seconds).")
    var at: TimeArgument?

    var time: Int64 { at?.unixSeconds ?? nowSeconds() }

    func validate() throws {
        if let third = more.first {
            throw ValidationError(
                "`\(shown(third))` is a third policy, and two are compared; put files that are one policy in one folder and "
                    + "name that, or a stored version (`active`, a number, digits of its hash)")
        }
        guard old != "-" || new != "-" else {
            throw ValidationError("standard input can be read once only; give one of the policies as a file")
        }
    }

    func load() throws -> (old: LoadedPolicy, new: LoadedPolicy) {
        if !PolicyOperand.isPath(old), !PolicyOperand.isPath(new) { try PolicyOperand.refuse(environment: environment) }
        let before = try PolicyOperand.load(old, environment: environment, place: place)
        let after = try PolicyOperand.load(new, environment: environment, place: place)
        // What services have published stays when files are applied, so it belongs to what they would become.
        guard before.bundle.hasPublications, PolicyOperand.isPath(new), after.model != nil,
            let kept = try after.keepingPublications(of: before.bundle)
        else { return (before, after) }
        return (before, LoadedPolicy(bundle: kept.bundle, folder: after.folder))
    }
}

extension LoadedPolicy {
    /// `policy.yaml:12`; nil for what has no route.
    func place(of location: RouteLocation) -> String? {
        guard let route = location.route, policy.routePositions.indices.contains(location.service),
            policy.routePositions[location.service].indices.contains(route)
        else { return nil }
        let spot = policy.place(of: policy.routePositions[location.service][route])
        return "\(spot.file):\(spot.line)"
    }
}
