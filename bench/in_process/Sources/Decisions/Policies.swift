internal import PolicyTables
internal import Samples

/// A policy of one of the kinds that are measured.
func policy(_ kind: String, _ numbers: [Int]) throws -> PolicyModel {
    switch (kind, numbers.count) {
    case ("routes", 2): routes(numbers[0], hosts: numbers[1])
    case ("deep", 1): Sample.policy([Sample.service("s", host: "deep.example.com", deepRoutes(numbers[0]))])
    case ("overlapping", 1):
        Sample.policy([Sample.service("s", host: "wide.example.com", overlapping(numbers[0], ending: []))])
    case ("rests", 1): Sample.policy([Sample.service("s", host: "wide.example.com", rests(numbers[0]))])
    default: throw BenchError.unknown(kind)
    }
}

/// `count` routes over `hosts` hosts, all of the shape `GET /v1/cN/rN/{id}`: measuring/ground.py has the same.
private func routes(_ count: Int, hosts: Int) -> PolicyModel {
    Sample.policy(
        (0..<hosts).map { host in
            Sample.service(
                "s\(host)", host: "h\(host).example.com",
                (0..<count / hosts).map { route in
                    Sample.route([
                        .literal("v1"), .literal("c\(route % 50)"), .literal("r\(route)"), .parameter("id"),
                    ])
                })
        })
}

/// For each depth 16 paths of so many segments, all of the same length; every second one is a parameter.
/// Example: `/d03v07x/seg01abc/{p2}`.
private func deepRoutes(_ depthMax: Int) -> [RouteModel] {
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return (1...depthMax).flatMap { depth in
        (0..<16).map { variant in
            Sample.route(
                (0..<depth).map { number in
                    if number == 0 { return .literal("d\(two(depth))v\(two(variant))x") }
                    return number % 2 == 0 ? .parameter("p\(number)") : .literal("seg\(two(number))ab")
                })
        }
    }
}

/// A route for each way to have `a` or a parameter at each of so many levels: a path of `a`s that goes on where no route
/// does takes the matcher to every node, 2^(levels + 1) - 1.
private func overlapping(_ levels: Int, ending: [RouteModel.Segment]) -> [RouteModel] {
    (0..<1 << levels).map { bits in
        Sample.route((0..<levels).map { bits >> $0 & 1 == 1 ? .literal("a") : .parameter("p\($0)") } + ending)
    }
}

/// The same with one more segment, `end`, and a `**` beside every other one: nothing but a preflight, which may pass over
/// paths that do not list OPTIONS, is led through all of it.
private func rests(_ levels: Int) -> [RouteModel] {
    overlapping(levels, ending: [.literal("end")]) + (0..<levels).flatMap { overlapping($0, ending: [.rest]) }
}
