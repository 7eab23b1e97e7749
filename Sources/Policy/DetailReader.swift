internal import PolicyTables

/// Reading `authorization_details` (RFC 9396): what routes demand, and what the tokens of tests hold.
extension ModelReader {
    /// Of one route, and of one token.
    static let detailsMax = 16
    /// Actions, and locations, of one element.
    static let detailTextsMax = 16
    static let detailTextBytesMax = 512

    /// - Returns: indices into the model's demands, each once.
    func readDemandedDetails(_ node: Int) -> [UInt16] {
        var seen: [UInt16: Int] = [:]
        var result: [UInt16] = []
        for (detail, member) in readDetails(node) {
            guard let index = index(of: detail, member) else { return result }
            if let first = seen[index] {
                sink.error(
                    .duplicateValue, at: position(member), "the same `authorization_details` are demanded twice",
                    mend: "remove one of the two",
                    notes: [Diagnostic.Note(position: position(first), message: "the first one")])
                continue
            }
            seen[index] = member
            result.append(index)
        }
        return result
    }

    /// One element, or a list of them.
    func readDetails(_ node: Int) -> [(detail: DetailModel, node: Int)] {
        let example = "{ type: payment_initiation, actions: [initiate] }"
        var members = [node]
        if tree.kind(node) != .mapping {
            guard let found = list(node, "`authorization_details`", example: "[\(example)]") else { return [] }
            members = found
        }
        guard members.count <= ModelReader.detailsMax else {
            sink.error(
                .limitExceeded, at: position(node),
                "more than \(ModelReader.detailsMax) elements in `authorization_details`",
                mend: "write fewer, each with several actions")
            return []
        }
        return members.compactMap { member in readDetail(member, example).map { (detail: $0, node: member) } }
    }

    private func readDetail(_ node: Int, _ example: String) -> DetailModel? {
        guard let fields = fields(node, DetailKey.self, at: position(node)) else { return nil }
        let actions = readDetailTexts(fields[.actions], "actions", one: "action", example: "initiate")
        let locations = readDetailTexts(
            fields[.locations], "locations", one: "location", example: "https://api.example.com")
        guard let node = fields[.type] else {
            sink.error(
                .missingKey, at: fields.position, "an element of `authorization_details` without `type`",
                mend: "write it as in `\(example)`")
            return nil
        }
        guard let type = detailText(node, "`type`", example: "payment_initiation"), let actions, let locations else {
            return nil
        }
        return DetailModel(type: type, actions: actions, locations: locations)
    }

    /// - Returns: nothing without the key, nil when something of it is wrong.
    private func readDetailTexts(_ node: Int?, _ name: String, one: String, example: String) -> [String]? {
        guard let node else { return [] }
        guard let members = listOrOne(node, "`\(name)`", example: "[\(example)]") else { return nil }
        guard members.count <= ModelReader.detailTextsMax else {
            sink.error(
                .limitExceeded, at: position(node), "more than \(ModelReader.detailTextsMax) \(name)",
                mend: "list fewer, or write several elements")
            return nil
        }
        var seen: [[UInt8]: Int] = [:]
        var result: [String] = []
        for member in members {
            guard let text = detailText(member, "one of `\(name)`", example: example) else { return nil }
            if let first = seen[Array(tree.bytes(member))] {
                repeated(member, one, first: first)
                return nil
            }
            seen[Array(tree.bytes(member))] = member
            result.append(text)
        }
        return result
    }

    private func detailText(_ node: Int, _ what: String, example: String) -> String? {
        guard let text = text(node, what, example: example, bytesMax: ModelReader.detailTextBytesMax) else {
            return nil
        }
        guard text.unicodeScalars.allSatisfy(isVisible) else {
            sink.error(
                .badName, at: position(node), "\(quoted(text)) holds what cannot be seen",
                mend: "write \(what) in one line")
            return nil
        }
        return text
    }

    /// The number of a demand; the same one for every route that makes it.
    private func index(of detail: DetailModel, _ node: Int) -> UInt16? {
        let key: [[UInt8]] = [[detail.type], detail.actions, detail.locations].map { texts in
            Array(texts.map { Array($0.utf8) }.joined(separator: [0]))
        }
        if let known = detailIndex[key] { return known }
        guard model.details.count < DetailModel.countMax else {
            sink.error(
                .limitExceeded, at: position(node),
                "more than \(DetailModel.countMax) different demands on `authorization_details`",
                mend: "let routes share some; every token is held against each of them")
            return nil
        }
        let index = UInt16(clamping: model.details.count)
        detailIndex[key] = index
        model.details.append(detail)
        return index
    }
}
