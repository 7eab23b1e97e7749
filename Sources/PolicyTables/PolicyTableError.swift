/// A route by its place in the model.
public struct RouteReference: Sendable, Equatable {
    /// Index into `PolicyModel.services`.
    public var service: Int
    /// Index into that service's routes.
    public var route: Int

    public init(service: Int, route: Int) {
        self.service = service
        self.route = route
    }
}

/// Why a model cannot be compiled. A checked model only fails for its size.
public enum PolicyTableError: Error, Equatable, Sendable {
    /// Two routes answer the same method on the same path of one host, on some port in common.
    case duplicateRoute(host: String, first: RouteReference, second: RouteReference)
    /// Some path could make the matcher visit `bound` nodes; `limit` is the most.
    case backtrackingBound(host: String, bound: Int, limit: Int)
    /// A table or a part of it is larger than the layout holds.
    case tooLarge(what: String, limit: Int)
    /// Too many literal segments under one path of the host share a hash.
    case unevenHash(host: String)
    /// An index points nowhere or a path breaks the rules of the model.
    case invalidModel(String)
}

extension PolicyTableError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .duplicateRoute(let host, let first, let second):
            "two routes of `\(host)` answer the same method, path and port: route \(first.route) of service "
                + "\(first.service) and route \(second.route) of service \(second.service), counted from 0; "
                + "keep one of them"
        case .backtrackingBound(let host, let bound, let limit):
            "the paths of `\(host)` overlap so much that one request could need \(bound) steps, and \(limit) "
                + "is the most; put literals where `{parameters}` stand beside literals at several levels"
        case .tooLarge(let what, let limit):
            "\(what) is larger than \(limit); split the service over several hosts or shorten it"
        case .unevenHash(let host):
            "too many segments of `\(host)` share one hash; rename one of the segments at the largest level"
        case .invalidModel(let fault):
            "the policy was compiled without being checked: \(fault); check the policy first"
        }
    }
}
