internal import Octets

/// The routes of one host in the order of their paths, as the table writer takes them.
///
/// A path becomes a key of segments, each a separator and its bytes. The separator sorts before everything
/// else, so that the routes below one segment are neighbours.
struct RouteKeys {
    struct Item {
        var start: UInt32
        var end: UInt32
        var service: UInt32
        var route: UInt32
        /// Where the rule was written; 0 until then.
        var rule: UInt32 = 0
    }

    /// A path of usual length; more only costs a copy.
    private static let expectedBytes = 24

    static let separator: UInt8 = 0x00
    // Below everything that an encoded literal consists of.
    static let parameter: UInt8 = 0x01
    static let rest: UInt8 = 0x02

    private(set) var bytes: [UInt8] = []
    private(set) var items: [Item] = []

    /// - Parameter services: indices into the model's services.
    init(_ model: PolicyModel, services: [Int]) throws(PolicyTableError) {
        let count = services.reduce(0) { $0 + model.services[$1].routes.count }
        items.reserveCapacity(count)
        bytes.reserveCapacity(count * RouteKeys.expectedBytes)
        for service in services {
            for index in model.services[service].routes.indices {
                let start = bytes.count
                try appendPath(model.services[service].routes[index].segments)
                guard bytes.count <= TableLayout.tableBytesMax else {
                    throw PolicyTableError.tooLarge(
                        what: "the paths of one host", limit: TableLayout.tableBytesMax)
                }
                items.append(
                    Item(
                        start: UInt32(start), end: UInt32(bytes.count), service: UInt32(service),
                        route: UInt32(index)))
            }
        }
        sort()
    }

    private mutating func appendPath(_ segments: [RouteModel.Segment]) throws(PolicyTableError) {
        guard !segments.isEmpty, segments.count <= TableLayout.segmentsMax else {
            throw PolicyTableError.invalidModel("a path has \(segments.count) segments")
        }
        for index in segments.indices {
            bytes.append(RouteKeys.separator)
            let isLast = index == segments.count - 1
            switch segments[index] {
            case .literal(let text):
                if text.isEmpty, !isLast {
                    throw PolicyTableError.invalidModel("an empty segment stands inside a path")
                }
                let start = bytes.count
                appendCanonicalLiteral(text, to: &bytes)
                guard bytes.count - start <= Int(UInt16.max) else {
                    throw PolicyTableError.tooLarge(what: "a path segment", limit: Int(UInt16.max))
                }
            case .parameter: bytes.append(RouteKeys.parameter)
            case .rest:
                guard isLast else { throw PolicyTableError.invalidModel("`**` stands inside a path") }
                bytes.append(RouteKeys.rest)
            }
        }
    }

    mutating func setRule(_ offset: UInt32, of item: Int) { items[item].rule = offset }

    private mutating func sort() {
        let keys = bytes
        let span = keys.span
        items.sort { one, other in
            let order = compare(
                span.extracting(Int(one.start)..<Int(one.end)),
                span.extracting(Int(other.start)..<Int(other.end)))
            if order != 0 { return order < 0 }
            return one.service != other.service ? one.service < other.service : one.route < other.route
        }
    }
}
