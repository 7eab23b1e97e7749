internal import ArgumentParser

struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Checks, compares, applies and rolls back policies.",
        subcommands: [
            Init.self, Check.self, Test.self, Lint.self, Format.self, Schema.self, Show.self, Metadata.self, Plan.self,
            Diff.self, Apply.self, Log.self, Rollback.self, Export.self, Sign.self, Verify.self, Proposals.self,
            Approve.self, Reject.self, Replay.self,
            Shadow.self,
            Import.self, Drift.self, Load.self, LoadPublication.self, Remake.self,
        ])
}
