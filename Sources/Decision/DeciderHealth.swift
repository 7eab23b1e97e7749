extension Decider {
    /// Why the next request could not be decided; nil when a policy is in force and can be read. For health checks.
    public func unreadiness() -> Reason? {
        turn.unreadiness(board)
    }
}
