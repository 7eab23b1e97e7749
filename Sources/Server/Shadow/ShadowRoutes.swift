internal import Octets
internal import Policy
internal import PolicyComparison
internal import PolicyTables
internal import Signatures
internal import Tokens

/// `/policy/shadow` of the admin listener: GET what was found, POST `{"version":"<64 hex>"}` to begin, DELETE to end.
struct ShadowRoutes: Sendable {
    private let desk: ShadowDesk
    private static let bodyBytesMax = 256

    init(_ desk: ShadowDesk) { self.desk = desk }

    func answer(_ request: PlainRequest) -> PlainAnswer {
        guard request.method == "GET" || !request.hasOrigin else {
            return .failure(403, "a browser's page may change nothing")
        }
        switch request.method {
        case "GET": return PlainAnswer(200, request.path.hasSuffix(".txt") ? textReport() : report())
        case "DELETE":
            var writer = JSONObjectWriter()
            writer.add("ended", boolean: desk.stop())
            return PlainAnswer(200, writer.text())
        case "POST": return start(request)
        default: return .failure(405, "here are known GET, POST and DELETE")
        }
    }

    private func start(_ request: PlainRequest) -> PlainAnswer {
        guard request.body.count <= ShadowRoutes.bodyBytesMax, let version = version(in: request.body) else {
            return .failure(400, "the body is `{\"version\":\"…\"}` with the 64 hexadecimal characters of a version")
        }
        do throws(PolicyStoreError) {
            guard try desk.start(version) else {
                return .failure(
                    409,
                    "version `\(version.description.prefix(16))` decides already, and would be compared with itself; store "
                        + "a candidate with `scopecheck policy apply --stage`, or name an earlier version of "
                        + "`scopecheck policy log`")
            }
            return PlainAnswer(200, report())
        } catch {
            return .failure(404, "\(error)")
        }
    }

    private func version(in body: [UInt8]) -> Digest? {
        var index = JSONIndex()
        guard (try? index.read(body.span, limits: JSONLimits(depthMax: 2))) != nil, let root = index.root,
            let value = index.member("version", of: root, in: body.span), value.kind == .string, !value.hasEscapes
        else { return nil }
        return Digest(hexadecimal: String(lossy: body.span.bytes(at: value.range)))
    }

    private func textReport() -> [UInt8] {
        guard let report = desk.report else {
            return Array("No candidate is compared; start with `scopecheck policy shadow VERSION`.\n".utf8)
        }
        let head = "version \(report.version.description.prefix(16)) since \(timestamp(report.startedAt))\n"
        let text = report.differences.text(rowsMax: ShadowRoutes.textRowsMax, timestamp: timestamp)
        return Array("\(head)\(text)\n".utf8)
    }

    private static let textRowsMax = 50

    /// `{"version":null}`, or `{"version":…,"started_at":…,"same":…,…,"differences":[…]}`.
    private func report() -> [UInt8] {
        guard let report = desk.report else { return Array("{\"version\":null}".utf8) }
        var writer = JSONObjectWriter()
        writer.add("version", string: report.version.description)
        writer.add("started_at", number: report.startedAt)
        report.differences.add(to: &writer, rowsMax: DecisionDifferences.kindsMax)
        return writer.text()
    }
}
