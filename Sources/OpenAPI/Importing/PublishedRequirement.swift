internal import Tokens

/// What a document requires for an operation, as far as the scopes of one access token can meet it.
struct PublishedRequirement: Equatable {
    /// Anonymous requests are allowed.
    var isOpen = false
    /// Nothing is said anywhere, which OpenAPI reads as open.
    var isUnstated = false
    /// Some alternative asks for a token and names no scopes.
    var takesAnyToken = false
    /// Scopes that are enough together, none of these sets within another.
    var alternatives: [[String]] = []
    /// Why alternatives cannot be met by scopes of a token, each once.
    var leftOut: [String] = []
    /// Of the document's alternatives those that tokens can meet: with scopes, and without.
    var uses: [[APIDocument.SchemeUse]] = []
    var usesWithoutScopes: [[APIDocument.SchemeUse]] = []

    static let scopesMax = 64
    static let scopeBytesMax = 255

    init() {}

    /// - Parameter tokenSchemes: the only schemes that count as tokens; empty takes all that look like it.
    init(
        _ security: APIDocument.Security, _ schemes: [String: APIDocument.Scheme], _ authorities: TokenAuthorities,
        tokenSchemes: Set<String>
    ) {
        switch security {
        case .unstated:
            isOpen = true
            isUnstated = true
        case .open: isOpen = true
        case .alternatives(let alternatives):
            for uses in alternatives {
                switch PublishedRequirement.read(uses, schemes, authorities, tokenSchemes) {
                case .scopes(let scopes) where scopes.isEmpty:
                    takesAnyToken = true
                    usesWithoutScopes.append(uses)
                case .scopes(let scopes):
                    self.alternatives.append(scopes)
                    self.uses.append(uses)
                case .leftOut(let reason):
                    if !leftOut.contains(reason) { leftOut.append(reason) }
                }
            }
            self.alternatives = PublishedRequirement.minimal(self.alternatives)
        }
    }

    private enum Alternative {
        case scopes([String])
        case leftOut(String)
    }

    private static func read(
        _ uses: [APIDocument.SchemeUse], _ schemes: [String: APIDocument.Scheme], _ authorities: TokenAuthorities,
        _ tokenSchemes: Set<String>
    ) -> Alternative {
        let names = uses.map { quoted($0.scheme) }.sorted().joined(separator: " with ")
        var scopes: [String] = []
        for use in uses {
            guard let scheme = schemes[use.scheme] else {
                return .leftOut("the alternative \(names): \(quoted(use.scheme)) is not declared")
            }
            if case .other(let kind) = scheme.kind {
                return .leftOut("the alternative \(names): \(visibleLine(kind, charactersMax: 60)) is no access token")
            }
            guard tokenSchemes.isEmpty || tokenSchemes.contains(use.scheme) else {
                return .leftOut("the alternative \(names): \(quoted(use.scheme)) is not among the schemes asked for")
            }
            for scope in use.scopes where !scopes.contains(scope) {
                guard isScope(scope) else {
                    return .leftOut("the alternative \(names): \(quoted(scope)) is no scope that a policy can name")
                }
                guard scopes.count < scopesMax else {
                    return .leftOut("the alternative \(names): more than \(scopesMax) scopes")
                }
                scopes.append(scope)
            }
        }
        guard authorities.common(uses.lazy.map(\.scheme))?.isEmpty != true else {
            return .leftOut("the alternative \(names): it asks for tokens of two authorities")
        }
        return .scopes(scopes)
    }

    /// RFC 6749 §3.3, and what the policy language demands of a declared scope. `${` stands for a value there.
    static func isScope(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        return bytes.count <= scopeBytesMax && ScopeSyntax.isToken(bytes.span) && !bytes.contains(0x2A)
            && !name.contains("${")
    }

    /// Without the alternatives that demand more than another one does; of equal ones the first stays.
    static func minimal(_ alternatives: [[String]]) -> [[String]] {
        let sets = alternatives.map { Set($0) }
        return alternatives.indices.filter { one in
            !alternatives.indices.contains { other in
                other != one && sets[other].isSubset(of: sets[one])
                    && (sets[other].count < sets[one].count || other < one)
            }
        }.map { alternatives[$0] }
    }
}

/// `{ all: […], any: […] }` of the policy language: every scope of `all`, and one of `any` where there are some.
struct ScopeFormula: Equatable {
    var all: [String]
    var any: [String]

    /// The formula for alternatives of which one must be held, and whether it says exactly that.
    ///
    /// The smallest alternatives of `all ∧ any` are `all ∪ {x}` for the `x` of `any`; since a monotone formula has only
    /// one set of smallest alternatives, it is expressible exactly when they all are one common set and one scope more.
    /// Else the largest such family among them is taken: it lets in less, never more.
    /// - Parameter alternatives: minimal, none of them empty; nil when there are none.
    static func formula(of alternatives: [[String]]) -> (formula: ScopeFormula, isExact: Bool)? {
        guard let first = alternatives.first else { return nil }
        guard alternatives.count > 1 else { return (ScopeFormula(all: first, any: []), true) }
        var families: [Set<String>: [Int]] = [:]
        var best: (rest: Set<String>, members: [Int])?
        for (index, alternative) in alternatives.enumerated() {
            for scope in alternative {
                let rest = Set(alternative).subtracting([scope])
                families[rest, default: []].append(index)
            }
        }
        for alternative in alternatives {
            for scope in alternative {
                let rest = Set(alternative).subtracting([scope])
                guard let members = families[rest], members.count > best?.members.count ?? 0 else { continue }
                best = (rest, members)
            }
        }
        guard let best, best.members.count > 1 else { return (ScopeFormula(all: first, any: []), false) }
        let any = best.members.flatMap { alternatives[$0].filter { !best.rest.contains($0) } }
        let all = alternatives[best.members[0]].filter(best.rest.contains)
        return (ScopeFormula(all: all, any: any), best.members.count == alternatives.count)
    }

    /// Whether everyone who meets this meets one of the alternatives.
    func implies(_ alternatives: [[String]]) -> Bool {
        let choices = self.alternatives.map { Set($0) }
        return choices.allSatisfy { choice in alternatives.contains { $0.allSatisfy(choice.contains) } }
    }

    /// Scopes that are enough together.
    var alternatives: [[String]] { any.isEmpty ? [all] : any.map { all + [$0] } }
}
