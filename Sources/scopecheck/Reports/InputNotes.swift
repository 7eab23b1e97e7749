internal import Kernel
internal import Policy

/// What `decide` says on standard error about its input, each thing once.
struct InputNotes {
    private var named: Set<String> = []
    private var isLackingKeys = false

    private static let namesMax = 20

    /// Names what is no fact; a slip in a name is a fact that is missing.
    mutating func take(_ names: [String], line: Int) {
        for name in names where named.count < InputNotes.namesMax && named.insert(name).inserted {
            guard name != "token" else {
                say("line \(line): `token` is no fact; did you mean `authorization`, as `[\"Bearer …\"]`?")
                continue
            }
            let guess = nearest(to: name, among: FactLine.names.map { "\($0)" }).map { "; did you mean `\($0)`?" }
            say("line \(line): `\(shown(String(name.prefix(80))))` is no fact and is not looked at\(guess ?? "")")
        }
    }

    mutating func takeMissingKeys() {
        guard !isLackingKeys else { return }
        isLackingKeys = true
        say("a policy file has no keys of a network issuer; ask the daemon with `explain --admin`, or use `jwks_file`")
    }

    private func say(_ text: String) { _ = writeAll(2, Array("scopecheck: \(text)\n".utf8).span) }
}
