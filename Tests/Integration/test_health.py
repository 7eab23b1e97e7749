"""scopecheck-health: every exit status and message, against peers that do what they should not."""

import random
import socket
import subprocess
import time

from harness import Workplace, free_port, need
from haproxy import HEALTH
from health_agent import (ANSWER, GREETING, HOLD, LABEL, TAKE, Drip, Endless, Peer, answer, check, ends, four, said)
from health_replies import ANSWERS, GARBAGE, GREETINGS, UNHEALTHY
from spop import ACK, AGENT_HELLO, HELLO, Broken, Frame, pairs
from spop_agent import FakeAgent, disconnect, greeting, health, set_variable, unset_variable

NO_AGENT = "no agent listens there"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


# --- healthy -------------------------------------------------------------------------------------------------

def healthy_at(address, *forms):
    with Workplace() as place:
        peer = Peer(place, address=address)
        port = peer.address.rsplit(":", 1)[1]
        for form in [("--address", peer.address), ("--address=" + peer.address,), four(peer.address),
                     ("--", *four(peer.address)), ("127.0.0.1", "8080", *four(peer.address)[2:]),
                     *[tuple(word.replace("PORT", port) for word in form) for form in forms]]:
            assert (outcome := check(*form)).status == 0 and outcome.out == "", outcome
            outcome = check("--verbose", *form)
            assert (outcome.status, outcome.out) == (0, f"healthy {LABEL}\n"), outcome
            for heard in peer.quiet():
                said(heard)


def test_healthy_over_a_unix_socket():
    healthy_at(None)


def test_healthy_over_ipv4():
    healthy_at("127.0.0.1", ("--address", "localhost:PORT"), ("NOT_USED", "NOT_USED", "localhost", "PORT"))


def test_healthy_over_ipv6():
    need(has_ipv6(), "this machine has no IPv6")
    healthy_at("::1")


def test_the_longest_path():
    with Workplace() as place:
        folder = place.folder / ("d" * (107 - len(str(place.folder)) - 3))
        folder.mkdir()
        peer = Peer(place, address=f"unix:{folder}/s")
        assert len(peer.address) == 5 + 107
        assert check(*four(peer.address)).status == check("--address", peer.address).status == 0
        ends(64, "1 to 107 bytes", "--address", peer.address + "x")
        ends(64, "1 to 107 bytes", *four(peer.address + "x"))


def test_healthy_with_what_a_later_agent_may_add():
    """Capabilities, other variables, another integer type for the same number: nothing that changes the meaning."""
    greetings = [greeting(capabilities=""), greeting(size=256), greeting(capabilities="pipelining,async,x"),
                 Frame(AGENT_HELLO, greeting().payload + pairs([("later", 1), ("x" * 300, b"\0" * 300)]))]
    answers = [answer(set_variable("later", None) + health() + set_variable("later", None)),
               answer(set_variable("healthy", False, "sess") + health() + unset_variable("healthy", "req")),
               answer(set_variable("x" * 5_000, "y" * 9_000) + health()),
               answer(health().replace(b"\x03\xc8", b"\x02\xc8")), answer(reason=""),
               answer(policy="18446744073709551615.0123456789abcdef")]
    with Workplace() as place:
        peer = Peer(place)
        for hello in greetings:
            peer.steps = [TAKE, hello.encoded(), TAKE, ANSWER, HOLD]
            assert check("--address", peer.address).status == 0, hello
        for each in answers:
            peer.steps = [TAKE, GREETING, TAKE, each, HOLD]
            assert check("--address", peer.address).status == 0, each
        # In one piece before it asks, and byte by byte.
        for steps in ([GREETING + ANSWER, HOLD], [TAKE, Drip(GREETING), TAKE, Drip(ANSWER), HOLD],
                      [TAKE, GREETING[:1], 0.1, GREETING[1:] + ANSWER[:3], 0.1, ANSWER[3:]]):
            peer.steps = steps
            assert check("--address", peer.address, "--timeout", "20000").status == 0, steps


def test_fake_agent_of_the_other_tests():
    with Workplace() as place:
        agent = FakeAgent(place, lambda question: [question.ack(health())])
        assert check("--address", agent.address).status == 0
        agent.script = lambda question: [question.ack(health(503, "draining", healthy=None))]
        ends(1, "reason `draining`", "--address", agent.address)


def test_strict_version():
    with Workplace() as place:
        peer = Peer(place)
        for number, status in [("1", 0), ("11", 0), ("12", 0), ("13", 1), ("99", 1), (str(2**64 - 1), 1)]:
            outcome = check("--address", peer.address, "--strict-version", number)
            assert outcome.status == status, (number, outcome)
            if status:
                assert f"`{LABEL}`" in outcome.err and f"number {number} or later" in outcome.err, outcome
        peer.steps = [TAKE, GREETING, TAKE, answer(policy=f"{2**64 - 1}.0123456789abcdef")]
        assert check("--address", peer.address, "--strict-version", str(2**64 - 1)).status == 0


# --- not healthy ---------------------------------------------------------------------------------------------

def after_hello(*steps):
    return [TAKE, GREETING, TAKE, *steps]


def test_unhealthy():
    with Workplace() as place:
        peer = Peer(place)
        for name, (reply, words) in UNHEALTHY.items():
            peer.steps = after_hello(reply, HOLD)
            outcome = ends(1, words, "--verbose", "--address", peer.address)
            assert outcome.err.startswith(f"scopecheck-health: `{peer.address}`: "), (name, outcome)
        # DISCONNECT at every other moment, the connection closed behind it or not.
        leave = disconnect(9, "busy").encoded()
        for steps in ([leave], [TAKE, leave], [TAKE, leave, HOLD], [GREETING + leave], [TAKE, GREETING, leave],
                      [TAKE, GREETING + leave, HOLD]):
            peer.steps = steps
            ends(1, "status 9, `busy`", "--address", peer.address)


# --- no agent ------------------------------------------------------------------------------------------------

def test_no_agent():
    with Workplace() as place:
        peer = Peer(place)
        tables = [(GARBAGE, [TAKE]), (GREETINGS, [TAKE]), (GARBAGE, after_hello()), (ANSWERS, after_hello())]
        for table, before in tables:
            for name, (reply, words) in table.items():
                peer.steps = [*before, reply, HOLD]
                outcome = ends(2, words, "--address", peer.address)
                assert NO_AGENT in outcome.err, (name, outcome)
        # A peer that talks on and on is answered no longer than one that is silent.
        for reply in (b"\0", b"\xff", b"x", GREETING, Frame(HELLO).encoded()):
            for before in ([], after_hello()):
                peer.steps = [*before, Endless(reply * 1_000)]
                ends(2, NO_AGENT, "--address", peer.address)


# --- a good answer, spoilt -----------------------------------------------------------------------------------

def test_truncated_at_every_byte():
    with Workplace() as place:
        peer = Peer(place)
        for length in range(len(GREETING)):
            peer.steps = [TAKE, GREETING[:length]]
            ends(2, "closed the connection while waiting for the agent's hello", "--address", peer.address)
        for length in range(len(ANSWER)):
            peer.steps = after_hello(ANSWER[:length])
            ends(2, "closed the connection while waiting for the agent's answer", "--address", peer.address)
        # The same within a frame that is whole: its length fits, its content ends early.
        for length in range(len(ANSWER) - 4):
            peer.steps = after_hello(length.to_bytes(4, "big") + ANSWER[4:4 + length], HOLD)
            assert check("--address", peer.address).status in (1, 2), length
        for length in range(len(GREETING) - 4):
            peer.steps = [TAKE, length.to_bytes(4, "big") + GREETING[4:4 + length], HOLD]
            assert check("--address", peer.address).status == 2, length


def understood(data, kind):
    """What matters in `data` by spop.py's own reading; None when it is nothing that an agent sends."""
    try:
        frame = Frame.decoded(data[4:])
        ids = (1, 1) if kind == ACK else (0, 0)
        if (int.from_bytes(data[:4], "big"), frame.kind, frame.flags) != (len(data) - 4, kind, 1):
            return None
        if (frame.stream, frame.number) != ids:
            return None
        if kind == ACK:
            # The kind of integer means nothing to HAProxy either.
            return {name: value[1] for action, scope, name, value in frame.actions()
                    if (action, scope) == ("set", "txn") and name in ("healthy", "status", "policy")}
        items = {name: value for name, (_, value) in frame.items().items()}
        return items["version"] == b"2.0" and 256 <= items["max-frame-size"] <= 16_380 and "capabilities" in items
    except (Broken, KeyError, TypeError):
        return None


def test_every_byte_flipped():
    """Whatever one changed byte makes of a good frame: no hang, no crash, and healthy only if it still says so."""
    chance = random.Random(20)
    with Workplace() as place:
        peer, healthy = Peer(place), 0
        for good, kind, before in ((GREETING, 101, [TAKE]), (ANSWER, ACK, after_hello())):
            meaning = understood(good, kind)
            assert meaning, good
            for at in range(len(good)):
                for flip in (1 << chance.randrange(8), chance.randrange(1, 256), 0xFF):
                    data = good[:at] + bytes([good[at] ^ flip]) + good[at + 1:]
                    peer.steps = [*before, data, *([] if kind == ACK else [TAKE, ANSWER])]
                    outcome = check("--address", peer.address, "--strict-version", "12")
                    if outcome.status == 0:
                        healthy += 1
                        now = understood(data, kind)
                        # Another label is another policy: of a number that is high enough, which is all it asks.
                        if kind == ACK and now:
                            assert int(now["policy"].split(b".")[0]) >= 12, data
                            now["policy"] = meaning["policy"]
                        assert now == meaning, (at, flip, data)
        assert 10 < healthy < 400, healthy


# --- nobody there, no answer in time -------------------------------------------------------------------------

def test_not_reachable():
    with Workplace() as place:
        folder, why = place.folder, "; check the address and that the daemon runs"
        ends(2, "No such file or directory" + why, "--address", f"unix:{folder}/none.sock")
        ends(2, "No such file or directory" + why, *four(f"unix:{folder}/none/none.sock"))
        place.write("file", "")
        for path, words in [("file", "Connection refused"), ("file/x", "Not a directory"), (".", "Connection refused")]:
            ends(2, words + why, "--address", f"unix:{folder}/{path}")
        # A socket that was left behind.
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(f"{folder}/left.sock")
        ends(2, "nobody accepts connections there: Connection refused" + why, *four(f"unix:{folder}/left.sock"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(f"{folder}/other.sock")
            ends(2, "wrong type for socket", "--address", f"unix:{folder}/other.sock")
        for address in [f"127.0.0.1:{free_port()}"] + ([f"[::1]:{free_port()}"] if has_ipv6() else []):
            for form in (("--address", address), four(address)):
                outcome = ends(2, "Connection refused" + why, *form)
                assert f"`{address}`" in outcome.err, outcome
        # Relative paths are HAProxy's to give; `/` is where it runs here.
        ends(2, "`unix:no/such.sock`", "--address", "unix:no/such.sock")
        ends(2, "`unix:./none`", "NOT_USED", "NOT_USED", "./none", "NOT_USED")


def test_a_peer_that_hangs_up():
    """At each stage, politely or not: its silence is what the message tells, never `Broken pipe`."""
    with Workplace() as place:
        for address in (None, "127.0.0.1"):
            peer = Peer(place, address=address)
            for steps in ([], [TAKE], [TAKE, GREETING], after_hello()):
                peer.steps = steps
                ends(2, "closed the connection while waiting for", "--address", peer.address)
        # Closed with what was sent unread: the system says so before the end shows.
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{place.folder}/rude.sock")
            listener.listen(8)
            for _ in range(20):
                process = subprocess.Popen([str(HEALTH), *four(f"unix:{place.folder}/rude.sock")], env={},
                                           stderr=subprocess.PIPE, text=True)
                listener.accept()[0].close()
                assert "closed the connection" in (text := process.communicate()[1]), text
                assert process.returncode == 2


def test_timeouts():
    """Silence at each stage, and bytes that come too slowly: it ends when its time is over, and not before."""
    slow = Drip(GREETING)
    slow.seconds = 0.1
    stages = [([HOLD], "waiting for the agent's hello"), ([TAKE, HOLD], "waiting for the agent's hello"),
              ([TAKE, GREETING[:3], HOLD], "agent's hello"), ([TAKE, GREETING[:-1], HOLD], "agent's hello"),
              ([TAKE, GREETING, HOLD], "waiting for the agent's answer"), (after_hello(HOLD), "agent's answer"),
              (after_hello(ANSWER[:2], HOLD), "agent's answer"), (after_hello(ANSWER[:-1], HOLD), "agent's answer"),
              ([TAKE, slow, TAKE, ANSWER], "agent's hello"), ([0.2, TAKE, GREETING, 0.2, 5, ANSWER], "agent's answer")]
    with Workplace() as place:
        for address in (None, "127.0.0.1"):
            peer = Peer(place, address=address)
            for steps, words in stages:
                for milliseconds in (1, 300):
                    peer.steps = steps
                    outcome = ends(2, "no answer in time while ", "--address", peer.address, "--timeout",
                                   str(milliseconds))
                    assert words in outcome.err or milliseconds == 1, (steps, outcome)
                    assert outcome.seconds >= milliseconds / 1_000, (steps, outcome)
        peer.steps = [TAKE, HOLD]
        assert 0.8 <= ends(2, "no answer in time", "--address", peer.address).seconds
        # What is there within the time is waited for.
        peer.steps = [1.0, TAKE, GREETING, 1.0, TAKE, ANSWER, HOLD]
        assert check("--address", peer.address, "--timeout", "60000", slack=0).status == 0


def test_a_full_backlog():
    with Workplace() as place:
        path, waiting = f"{place.folder}/full.sock", []
        for family, target in ((socket.AF_UNIX, path), (socket.AF_INET, ("127.0.0.1", 0))):
            listener = place.enter(socket.socket(family))
            listener.bind(target)
            listener.listen(0)
            target = listener.getsockname()
            for _ in range(4):
                client = place.enter(socket.socket(family))
                client.setblocking(False)
                client.connect_ex(target)
                waiting.append(client)
            address = f"unix:{path}" if family == socket.AF_UNIX else f"127.0.0.1:{target[1]}"
            outcome = ends(2, "no answer in time while connecting;", "--address", address, "--timeout", "300")
            assert outcome.seconds >= 0.3, outcome
        # Room comes in time.
        listener = place.enter(socket.socket(socket.AF_UNIX))
        listener.bind(f"{place.folder}/room.sock")
        listener.listen(0)
        client = place.enter(socket.socket(socket.AF_UNIX))
        client.connect(f"{place.folder}/room.sock")
        process = subprocess.Popen([str(HEALTH), "--timeout", "20000", "--address", f"unix:{place.folder}/room.sock"])
        try:
            time.sleep(0.3)
            assert process.poll() is None
            listener.accept()[0].close()
            checker = place.enter(listener.accept()[0])
            checker.sendall(GREETING + ANSWER)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()


# --- wrong usage ---------------------------------------------------------------------------------------------

def test_wrong_usage():
    """Nothing is asked of anyone: the message says what is wrong."""
    here, no_address = "127.0.0.1:8990", "is no address with a port; write"
    rows = [
        ("there is no address to check", []), ("there is no address to check", ["--verbose"]),
        ("there is no address to check", ["--timeout", "5"]), ("there is no address to check", ["--"]),
        ("`--address` needs a value", ["--address"]), ("`--timeout` needs a value", ["--address", here, "--timeout"]),
        ("`--strict-version` needs a value", ["--address", here, "--strict-version"]),
        ("`--address` is given twice", ["--address", here, "--address", here]),
        ("`--adress` is no option", ["--adress", here]), ("`-a` is no option", ["-a", here]),
        ("`-` is no option", ["-"]), ("`--verbose` is no option", ["--verbose=1", "--address", here]),
        (r"`--\x0a\x1b[31m\xff` is no option", [b"--\n\x1b[31m\xff"]),
        ("not both", ["--address", here, *four(here)]), ("not both", [*four(here), "--address", here]),
        *[("HAProxy gives four arguments", list(words)) for words in (
            [here], ["NOT_USED"] * 3, ["NOT_USED"] * 5, [""], ["", *four(here)], ["--", "--address", here])],
        *[(no_address, ["--address", address]) for address in (
            "", ":", "8990", "localhost", "127.0.0.1", "127.0.0.1:", ":8990", "127.0.0.1:0", "127.0.0.1:65536",
            "127.0.0.1:08990", "127.0.0.1:+1", "127.0.0.1:-1", "127.0.0.1: 1", "127.0.0.1:1 ", "127.0.0.1:0x1",
            "127.0.0.1:99999999999999999999", "127.0.0.1:spop", "127.1:8990", "0127.0.0.1:8990", "256.0.0.1:8990",
            "localhost.:8990", "id.example.com:8990", "::1:8990", "[::1]", "[]:8990", "[::1:8990", "::1]:8990",
            "[::1%lo]:8990", "[:::]:8990", "/run/scopecheck.sock", "http://127.0.0.1:8990", "1" * 46 + ":1",
            "x" * 100_000, b"\xff:1")],
        *[(no_address, ["NOT_USED", "NOT_USED", *words]) for words in (
            ("127.0.0.1", "0"), ("127.0.0.1", "65536"), ("127.0.0.1", ""), ("", "8990"), ("localhost.", "8990"),
            ("/run/a.sock", "1"), ("127.0.0.1", "not_used"), ("[::1]", "8990"), ("127.0.0.1:1", "1"))],
        *[("abstract sockets", words) for words in (
            ["--address", "abns@x"], ["--address", "abnsz@x"], ["--address", "@x"], ["--address", "unix:@x"],
            ["--address", "unix:abns@x"], ["NOT_USED", "NOT_USED", "", "NOT_USED"],
            ["NOT_USED", "NOT_USED", "abns@x", "NOT_USED"], ["NOT_USED", "NOT_USED", "@x", "NOT_USED"])],
        ("1 to 107 bytes", ["--address", "unix:"]), ("1 to 107 bytes", ["--address", "unix:" + "/x" * 54]),
        ("1 to 107 bytes", ["NOT_USED", "NOT_USED", "/" * 108, "NOT_USED"]),
        *[("is no timeout", ["--address", here, "--timeout", text]) for text in (
            "", "0", "60001", "-1", "1s", "1.5", "0800", " 800", "18446744073709551616", "9" * 100, "--verbose")],
        *[("is no policy number", ["--address", here, "--strict-version", text]) for text in (
            "", "0", "-1", "12.0123456789abcdef", "0x1", "012", "18446744073709551616", "9" * 100)],
    ]
    for words, arguments in rows:
        outcome = ends(64, words, *arguments)
        assert outcome.seconds < 5, outcome
        # The same with what is right beside it, and the wrong thing first.
        if arguments and words.endswith("is no option"):
            ends(64, words, *arguments, *four(here))


def test_help():
    for arguments in (["--help"], ["-h"], ["--verbose", "--help", "--nonsense"], ["x", "-h"]):
        outcome = check(*arguments)
        assert outcome.status == 0 and outcome.out.startswith("usage: scopecheck-health "), outcome
        for option in ("--address", "--timeout", "--strict-version", "--verbose", "64: wrong usage"):
            assert option in outcome.out, option
