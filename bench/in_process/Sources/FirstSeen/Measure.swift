internal import Octets
internal import Samples
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
        fail("FirstSeen: \(error)")
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
    let more = try Sample.moreClaims(key, algorithm)
    var lines: [UInt8] = []
    for number in 0..<count {
        let token = try Sample.token(number, key, algorithm, more: more)
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
    guard deciding.hasVerified(2 * sample.good.count) else { fail("FirstSeen: a decision verified nothing") }
}

private func run<Made: Contender>(
    _ sample: TokenSample, _ make: ([[UInt8]], KeySet) throws -> Made
) rethrows {
    let tampered = try make(sample.tampered, sample.keys)
    let contender = try make(sample.good, sample.keys)
    for number in sample.good.indices {
        guard contender.isGood(number) else { fail("FirstSeen: a good token does not verify") }
        guard !tampered.isGood(number) else { fail("FirstSeen: a tampered token verifies") }
    }
    say("ready")
    var next = 0
    while let line = readLine(), let rounds = Int(line) {
        let start = processMicroseconds()
        for _ in 0..<rounds {
            guard contender.isGood(next) else { fail("FirstSeen: a good token does not verify") }
            next = next + 1 == sample.good.count ? 0 : next + 1
        }
        say("\(processMicroseconds() - start)")
    }
}
