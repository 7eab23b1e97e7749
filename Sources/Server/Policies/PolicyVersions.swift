internal import Decision
internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

/// What the store knows of versions and activations, as JSON for commands.
///
///     GET /policy/log?before=12&limit=50   activations, the newest first, and `next` where there are more; `dropped` says
///                                          how many between or before them are not in the log any more; without `before`
///                                          also versions that were staged
///     GET /policy/version?of=OPERAND       one version
///     GET /policy/source?of=HASH&from=0    the bytes it was read from, `sourceBytesMax` at a time
///
/// An operand is `active`, the number of an activation (`12`), its label (`12.2c26b46b68ffc68f`), or 8 or more
/// hexadecimal digits that a version begins with.
struct PolicyVersions: Sendable {
    static let activationsMax = 200
    static let sourceBytesMax = 4 << 20
    static let prefixDigitsMin = 8

    let store: PolicyStore

    /// - Returns: nil for a path that is not one of these.
    func answer(_ request: PlainRequest) -> PlainAnswer? {
        do throws(PolicyChangeRefusal) {
            switch request.path {
            case "/policy/log": return PlainAnswer(200, try log(request))
            case "/policy/version": return PlainAnswer(200, try version(request))
            case "/policy/source": return try source(request)
            default: return nil
            }
        } catch {
            return error.answer
        }
    }

    /// The version that an operand means.
    func resolve(_ operand: String) throws(PolicyChangeRefusal) -> Digest {
        do {
            if operand == "active" {
                guard let active = try store.active() else {
                    throw PolicyChangeRefusal.noVersion("no version decides yet")
                }
                return active.version
            }
            let parts = operand.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            if let number = decimal(parts[0]), parts.count <= 2, let found = try store.activation(number) {
                if parts.count == 1 { return found.version }
                guard parts[1].utf8.count >= PolicyVersions.prefixDigitsMin,
                    found.version.description.hasPrefix(parts[1].lowercased())
                else {
                    throw PolicyChangeRefusal.noVersion(
                        "activation \(number) was of version `\(found.version)`, not `\(parts[1])`; see `scopecheck policy log`"
                    )
                }
                return found.version
            }
            if let number = decimal(parts[0]), parts.count == 2 || operand.utf8.count < PolicyVersions.prefixDigitsMin {
                throw PolicyChangeRefusal.noVersion("there was no activation \(number); see `scopecheck policy log`")
            }
            guard parts.count == 1, operand.utf8.allSatisfy({ hexadecimalValue($0) != nil }),
                (PolicyVersions.prefixDigitsMin...64).contains(operand.utf8.count)
            else {
                throw PolicyChangeRefusal.noVersion(
                    "`\(operand.prefix(80))` is no version: give `active`, a number of `scopecheck policy log`, or 8 or "
                        + "more hexadecimal digits of a version")
            }
            let found = try store.versions(beginningWith: operand.lowercased())
            guard let only = found.first, found.count == 1 else {
                throw PolicyChangeRefusal.noVersion(
                    found.isEmpty
                        ? "no version in the store begins with `\(operand)`; see `scopecheck policy log`"
                        : "\(found.count) versions begin with `\(operand)`; give more digits")
            }
            return only.version
        } catch let error as PolicyChangeRefusal {
            throw error
        } catch let error as PolicyStoreError {
            throw .store(error)
        } catch {
            throw .unavailable("\(error)")
        }
    }

    private func decimal(_ text: String) -> UInt64? {
        text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } ? UInt64(text) : nil
    }

    // MARK: answers

    private func log(_ request: PlainRequest) throws(PolicyChangeRefusal) -> [UInt8] {
        var limit = 50
        if let text = request.parameter("limit") {
            guard let number = Int(text), (1...PolicyVersions.activationsMax).contains(number) else {
                throw .malformed("`limit` is 1 to \(PolicyVersions.activationsMax)")
            }
            limit = number
        }
        var before: UInt64?
        if let text = request.parameter("before") {
            guard let number = decimal(text), number > 0 else {
                throw .malformed("`before` is a number of an activation")
            }
            before = number
        }
        do throws(PolicyStoreError) {
            let active = try store.active()
            // One more says whether there are more.
            let found = try store.log(before: before, limit: limit + 1)
            let entries = found.prefix(limit)
            var object = JSONObjectWriter()
            object.add("activations", json: list(entries.map { json($0, isActive: $0.number == active?.number) }))
            if let last = entries.last, found.count > limit {
                object.add("next", number: Int64(clamping: last.number))
            }
            let above = before.flatMap { $0 <= active?.number ?? 0 ? $0 : nil }
            let dropped = missing(entries.map(\.number), above: above, isEnd: found.count <= limit)
            if dropped > 0 { object.add("dropped", number: Int64(clamping: dropped)) }
            if before == nil { object.add("staged", json: list(try staged())) }
            if let heldBack = try store.heldBack() { object.add("held_back", string: heldBack.description) }
            return object.text()
        } catch {
            throw .store(error)
        }
    }

    /// How many numbers there were between and, at the log's end, before these.
    /// - Parameters:
    ///   - numbers: the greatest first.
    ///   - above: where the page before ended.
    private func missing(_ numbers: [UInt64], above: UInt64?, isEnd: Bool) -> UInt64 {
        var last = above
        var count: UInt64 = 0
        for number in numbers + (isEnd ? [0] : []) {
            // Numbers of damaged entries may be any.
            if let last, number < last { count &+= last - number - 1 }
            last = number
        }
        return count
    }

    /// What is stored, never decided and waits for nobody's approval, the newest first.
    private func staged() throws(PolicyStoreError) -> [[UInt8]] {
        let proposed = Set(try store.proposals().map(\.version))
        let candidates = try store.versions().filter { !proposed.contains($0.version) }
        let used = try store.lastUses(of: Set(candidates.map(\.version)))
        let found = candidates.filter { used[$0.version] == nil }.sorted {
            ($0.createdAt, $0.version.description) > ($1.createdAt, $1.version.description)
        }
        return found.prefix(PolicyVersions.activationsMax).map { info in
            var object = JSONObjectWriter()
            object.add("version", string: info.version.description)
            object.add("staged", boolean: true)
            object.add("stored_at", string: Timestamp(unixSeconds: info.createdAt).text)
            object.add("author", string: info.origin.author)
            object.add("note", string: info.origin.note)
            if let environment = (try? store.environment(info.version)) ?? nil {
                object.add("environment", string: environment)
            }
            return object.text()
        }
    }

    private func json(_ activation: Activation, isActive: Bool) -> [UInt8] {
        var object = JSONObjectWriter()
        object.add("number", number: Int64(clamping: activation.number))
        object.add("version", string: activation.version.description)
        object.add("label", string: activation.label)
        object.add("activated_at", string: Timestamp(unixSeconds: activation.activatedAt).text)
        object.add("kind", string: activation.cause.kind.name)
        object.add("author", string: activation.cause.author)
        object.add("note", string: activation.cause.note)
        if let environment = (try? store.environment(activation.version)) ?? nil {
            object.add("environment", string: environment)
        }
        if let previous = activation.previous { object.add("previous", string: previous.description) }
        if activation.serial > 0 { object.add("serial", number: Int64(clamping: activation.serial)) }
        if !activation.folder.isEmpty { object.add("folder", string: activation.folder) }
        object.add("active", boolean: isActive)
        return object.text()
    }

    private func version(_ request: PlainRequest) throws(PolicyChangeRefusal) -> [UInt8] {
        guard let operand = request.parameter("of") else { throw .malformed("`of` is missing") }
        let version = try resolve(operand)
        do throws(PolicyStoreError) {
            let active = try store.active()
            var object = JSONObjectWriter()
            object.add("version", string: version.description)
            object.add("active", boolean: active?.version == version)
            if let last = try store.lastActivation(of: version) {
                object.add("last_activation", json: json(last, isActive: last.number == active?.number))
            }
            // A version of the log may have been pruned since.
            object.add("stored", boolean: try store.info(version) != nil)
            if let info = try store.info(version) {
                object.add("stored_at", string: Timestamp(unixSeconds: info.createdAt).text)
                if let environment = try store.environment(version) { object.add("environment", string: environment) }
                object.add("author", string: info.origin.author)
                object.add("note", string: info.origin.note)
                if let parent = info.origin.parent { object.add("parent", string: parent.description) }
                if !info.origin.folder.isEmpty { object.add("folder", string: info.origin.folder) }
                object.add("hosts", number: Int64(info.hostCount))
                object.add("services", number: Int64(info.serviceCount))
                object.add("routes", number: Int64(info.routeCount))
                object.add("scopes", number: Int64(info.scopeCount))
                object.add("issuers", number: Int64(info.issuerCount))
                object.add("source_bytes", number: Int64(info.sourceBytes))
            }
            return object.text()
        } catch {
            throw .store(error)
        }
    }

    private func source(_ request: PlainRequest) throws(PolicyChangeRefusal) -> PlainAnswer {
        guard let text = request.parameter("of"), let version = Digest(hexadecimal: text),
            let start = Int(request.parameter("from") ?? "0"), start >= 0
        else { throw .malformed("`of` is a whole version of 64 digits, `from` an offset") }
        do throws(PolicyStoreError) {
            guard let piece = try store.source(version, from: start, count: PolicyVersions.sourceBytesMax) else {
                throw PolicyStoreError.unknownVersion(version)
            }
            var answer = PlainAnswer(200, piece)
            answer.contentType = "application/octet-stream"
            return answer
        } catch {
            throw .store(error)
        }
    }

    private func list(_ items: [[UInt8]]) -> [UInt8] {
        [0x5B] + Array(items.joined(separator: [0x2C])) + [0x5D]
    }
}
