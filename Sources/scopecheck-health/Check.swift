internal import CHealth

/// The program's `main`, under the name that the package manager gives to that of an executable.
///
/// Embedded Swift, linked statically: a check runs in HAProxy's chroot, where there is no library, no /proc and no
/// environment. An ordinary `-static-executable` aborts there before `main` (6.3: "Unable to obtain Swift runtime
/// path"): to prepare its backtraces its runtime asks /proc/self/exe where it is, and `SWIFT_BACKTRACE` cannot be set
/// to prevent it. Got past that it would still see no arguments, which it reads from /proc/self/cmdline. Embedded Swift
/// has neither; the arguments come from C.
@c(scopecheck_health_main)
public func scopecheckHealth(
    _ count: Int32, _ words: UnsafePointer<UnsafePointer<CChar>?>
) -> Int32 {
    health_ignore_broken_pipe()
    var arguments: [[UInt8]] = []
    var index = 1
    while index < Int(count) {
        var argument: [UInt8] = []
        // SAFETY: C hands over `count` texts, each with a NUL at its end.
        if let text = unsafe words[index] {
            var place = 0
            while unsafe text[place] != 0 {
                unsafe argument.append(UInt8(bitPattern: text[place]))
                place += 1
            }
        }
        arguments.append(argument)
        index += 1
    }
    return run(arguments)
}

/// The exit status.
private func run(_ words: [[UInt8]]) -> Int32 {
    var place: [UInt8] = []
    do throws(Trouble) {
        let arguments = try Arguments(words)
        guard !arguments.wantsHelp, let address = arguments.address else {
            write(Array(Arguments.help.utf8), to: 1)
            return 0
        }
        place = address.text
        let label = try check(address, arguments)
        if arguments.isVerbose {
            write(Array("healthy ".utf8) + label + [0x0A], to: 1)
        }
        return 0
    } catch {
        var line = Array("scopecheck-health: ".utf8)
        if !place.isEmpty, error.exitStatus != Trouble.usage {
            line.addQuoted(place)
            line.add(": ")
        }
        write(line + error.text + [0x0A], to: 2)
        return error.exitStatus
    }
}

/// - Returns: the label of the policy that the agent serves.
private func check(_ address: AgentAddress, _ arguments: Arguments) throws(Trouble) -> [UInt8] {
    var connection = try Connection(address, Deadline(milliseconds: arguments.timeoutMilliseconds))
    try connection.connect()
    try connection.send(Question.hello, "greeting the agent")
    let greeting = Received(try connection.receiveFrame("waiting for the agent's hello"))
    guard case .hello = greeting else { throw refusal(greeting, "before its hello") }
    try connection.send(Question.health, "asking the agent")
    let received = Received(try connection.receiveFrame("waiting for the agent's answer"))
    guard case .answer(let answer) = received else { throw refusal(received, "before its answer") }
    connection.sendGoodbye()
    return try answer.policyLabel(numberMin: arguments.policyNumberMin)
}

/// What a frame other than the awaited one means.
private func refusal(_ received: Received, _ when: String) -> Trouble {
    switch received {
    case .disconnect(let status, let message):
        var text = Array("the agent ends the connection with status ".utf8)
        text.add(status)
        text.add(", ")
        text.addQuoted(message)
        text.add("; `scopecheck status` beside it says more")
        return Trouble(Trouble.unhealthy, text)
    case .malformed(let what):
        var text = Array("no agent listens there: the peer ".utf8)
        text.add(what)
        text.add("; check that the address is the daemon's `--spop`")
        return Trouble(Trouble.unreachable, text)
    case .hello, .answer:
        var text = Array("no agent listens there: the peer sent another frame ".utf8)
        text.add(when)
        text.add("; check that the address is the daemon's `--spop`")
        return Trouble(Trouble.unreachable, text)
    }
}

/// Not at all when the reader does not take it: a check must not hang on its own message.
private func write(_ bytes: [UInt8], to descriptor: Int32) {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    // SAFETY: one entry, which lives for the call.
    guard unsafe poll(&entry, 1, 100) == 1 else { return }
    // SAFETY: the pointer lives for the call. A pipe that is ready takes these few bytes at once.
    _ = unsafe bytes.withUnsafeBytes { unsafe CHealth.write(descriptor, $0.baseAddress, $0.count) }
}
