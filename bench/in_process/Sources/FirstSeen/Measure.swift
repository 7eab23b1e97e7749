internal import Glibc
internal import Octets
internal import Signatures
internal import Tokens

private let usage = """
    usage: FirstSeen mint ALGORITHM COUNT FOLDER       writes tokens, jwks.json
           FirstSeen verify|decide FOLDER [STORE]      checks all, then measures

    """

/// `mint` writes what the contenders read: `tokens`, a line for each with a good token and a tampered one, and
/// `jwks.json`. The others check every one of them, print `ready`, and for each line `N` on standard input the
/// microseconds of CPU that N verifications or decisions took.
func measure(_ arguments: [String]) {
    do {
        switch (arguments.dropFirst().first, arguments.count) {
        case ("mint", 5): try mint(arguments[2], count: Int(arguments[3]) ?? 1, folder: arguments[4])
        case ("verify", 3): run(try tokens(arguments[2])) { tokens, keys in Verifying(tokens, keys) }
        case ("decide", 4):
            let sample = try tokens(arguments[2])
            try checkMisses(sample, storeFolder: arguments[3] + "/first")
            try run(sample) { tokens, keys in
                try Deciding(tokens, keys, storeFolder: arguments[3] + "/\(tokens[0].hashValue)")
            }
        default: fail(usage)
        }
    } catch {
        fail("FirstSeen: \(error)\n")
    }
}

private struct TokenSample {
    let good: [[UInt8]]
    let tampered: [[UInt8]]
    let keys: KeySet
}

private func mint(_ name: String, count: Int, folder: String) throws {
    guard let algorithm = SignatureAlgorithm.named(Array(name.utf8).span) else { fail(usage) }
    let key = try PrivateKey.generate(algorithm)
    var lines: [UInt8] = []
    for number in 0..<count {
        let token = try Sample.token(number, key, algorithm)
        lines += token + [0x20] + Sample.tampered(token) + [0x0A]
    }
    let jwk = JWKText.publicKey(try key.components(), keyID: Sample.keyID, algorithm: algorithm)
    write(lines, to: folder + "/tokens")
    write(JWKText.set([jwk]), to: folder + "/jwks.json")
}

private func tokens(_ folder: String) throws -> TokenSample {
    let lines = contents(of: folder + "/tokens").split(separator: 0x0A).map { $0.split(separator: 0x20) }
    let document = contents(of: folder + "/jwks.json")
    return TokenSample(
        good: lines.map { Array($0[0]) }, tampered: lines.map { Array($0[1]) },
        keys: try KeySet.parse(jwks: document.span, algorithms: SignatureAlgorithm.allCases, fetchedAt: Sample.now))
}

private func checkMisses(_ sample: TokenSample, storeFolder: String) throws {
    let deciding = try Deciding(sample.good, sample.keys, storeFolder: storeFolder)
    for _ in 0..<2 { for number in sample.good.indices { _ = deciding.isGood(number) } }
    guard deciding.hasVerified(2 * sample.good.count) else { fail("FirstSeen: a decision verified nothing\n") }
}

private func run<Made: Contender>(
    _ sample: TokenSample, _ make: ([[UInt8]], KeySet) throws -> Made
) rethrows {
    let tampered = try make(sample.tampered, sample.keys)
    let contender = try make(sample.good, sample.keys)
    for number in sample.good.indices {
        guard contender.isGood(number) else { fail("FirstSeen: a good token does not verify\n") }
        guard !tampered.isGood(number) else { fail("FirstSeen: a tampered token verifies\n") }
    }
    print("ready")
    fflush(nil)
    var next = 0
    while let line = readLine(), let rounds = Int(line) {
        let start = processMicroseconds()
        for _ in 0..<rounds {
            guard contender.isGood(next) else { fail("FirstSeen: a good token does not verify\n") }
            next = next + 1 == sample.good.count ? 0 : next + 1
        }
        print(processMicroseconds() - start)
        fflush(nil)
    }
}

private func processMicroseconds() -> Double {
    var time = timespec()
    // SAFETY: the clock writes to a local.
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
}

private func fail(_ text: String) -> Never {
    let bytes = Array(text.utf8)
    // SAFETY: the array is lent for the call, and its count is told.
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(2, $0.baseAddress, $0.count) }
    exit(1)
}

private func contents(of path: String) -> [UInt8] {
    guard let file = unsafe fopen(path, "r") else { fail("FirstSeen: cannot read \(path)\n") }
    defer { unsafe fclose(file) }
    var result: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
        // SAFETY: fread is told the room.
        let count = unsafe chunk.withUnsafeMutableBytes { unsafe fread($0.baseAddress, 1, $0.count, file) }
        guard count > 0 else { return result }
        result += chunk[0..<count]
    }
}

private func write(_ bytes: [UInt8], to path: String) {
    guard let file = unsafe fopen(path, "w") else { fail("FirstSeen: cannot write \(path)\n") }
    // SAFETY: the array is lent for the call, and its count is told.
    let count = unsafe bytes.withUnsafeBytes { unsafe fwrite($0.baseAddress, 1, $0.count, file) }
    guard unsafe fclose(file) == 0, count == bytes.count else { fail("FirstSeen: cannot write \(path)\n") }
}
