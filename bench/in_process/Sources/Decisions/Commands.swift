internal import Samples

private let usage = """
    usage: Decisions STORE

    Answers commands on standard input, one line each:
        scene NAME FILE KIND NUMBER…       KIND: routes ROUTES HOSTS, deep DEPTH, overlapping LEVELS, rests LEVELS
        run NAME COUNT                     nanoseconds of CPU of COUNT decisions
        plant NAME COUNT                   the same, with an allocation each
        each NAME COUNT                    nanoseconds of single decisions: p50 p99 p99.9, and of reading a clock
        threads NAME THREADS MILLISECONDS  decisions a second
        spin THREADS MILLISECONDS          the same for arithmetic that touches no memory
        mint COUNT                         tokens for what follows
        live NAME SCENE ENTRIES            a decider with a cache of ENTRIES tokens
        ask NAME TOKENS zipf|uniform COUNT hits; nanoseconds: hit p50 p99, miss p50 p99; tokens in the cache
        verify COUNT                       nanoseconds: p50 of verifying alone
        memory                             resident kilobytes
    """

/// What `bench/run decision`, `scale`, `tokens` and `threads` talk to. Every decision's status is checked; the program
/// ends with exit code 1 at the first that is not what it must be.
func answerCommands(_ arguments: [String]) {
    guard arguments.count == 2 else { fail(usage) }
    do {
        let bench = try Bench(storeFolder: arguments[1])
        say("ready")
        while let line = readLine() {
            say(try bench.answer(line.split(separator: " ").map(String.init)))
        }
    } catch {
        fail("Decisions: \(error)")
    }
}

private final class Bench {
    private let shared: Shared
    private var scenes: [String: Scene] = [:]
    private var crowds: [String: Crowd] = [:]
    private var tokens = TokenPool()
    private var draw = Draw(countMax: 0)

    init(storeFolder: String) throws {
        shared = try Shared(storeFolder: storeFolder)
    }

    func answer(_ words: [String]) throws -> String {
        let numbers = words.map { Int($0) ?? 0 }
        switch (words.first, words.count) {
        case ("scene", 5...):
            let version = try shared.version(ofSource: words[3...].joined(separator: " ")) {
                try policy(words[3], Array(numbers[4...]))
            }
            scenes[words[1]] = try Scene(shared, version, Questions(words[2], shared.tokens))
            return "ready"
        case ("run", 3): return "\(try scene(words[1]).nanoseconds(numbers[2]))"
        case ("plant", 3): return "\(try scene(words[1]).nanoseconds(numbers[2], plants: true))"
        case ("each", 3): return try scene(words[1]).singles(numbers[2])
        case ("threads", 4):
            let scene = try scene(words[1])
            let threads = numbers[2]
            let rate = try together(threads, milliseconds: numbers[3]) { try scene.deciding(part: $0, of: threads) }
            return "\(rate)"
        case ("spin", 3):
            return "\(try together(numbers[1], milliseconds: numbers[2]) { Spinning(UInt64($0)) })"
        case ("mint", 2):
            tokens = try TokenPool(numbers[1], shared.key)
            draw = Draw(countMax: tokens.count)
            return "\(tokens.count)"
        case ("live", 4):
            crowds[words[1]] = try Crowd(shared, try scene(words[2]), entries: numbers[3])
            return "ready"
        case ("ask", 5):
            guard let crowd = crowds[words[1]] else { throw BenchError.unknown(words[1]) }
            draw.become(count: numbers[2], isZipf: words[3] == "zipf")
            return crowd.ask(tokens, draw, count: numbers[4])
        case ("verify", 2): return "\(try tokens.verificationNanoseconds(numbers[1], shared.keys))"
        case ("memory", 1): return "\(residentKilobytes())"
        default: throw BenchError.unknown(words.joined(separator: " "))
        }
    }

    private func scene(_ name: String) throws -> Scene {
        guard let scene = scenes[name] else { throw BenchError.unknown(name) }
        return scene
    }
}

enum BenchError: Error {
    case unknown(String)
}
