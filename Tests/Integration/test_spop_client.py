"""The SPOP client of these tests: its bytes are the protocol's, and it finds fault with an agent that has any."""

from harness import Closed, Workplace
from spop import Broken, Frame, Reader, notify_frame, string, varint
from spop_agent import WRONG_ANSWERS, FakeAgent, health, set_variable, verdict
from spop_client import SpopClient, dial

VARINTS = {239: "ef", 240: "f000", 255: "ff00", 256: "f001", 2287: "ff7f", 2288: "f08000", 264431: "ffff7f",
           264432: "f0808000", 4294967295: "fff0fefe7e", 2**64 - 1: "fff0fefefefefefefe0e"}


def test_known_bytes():
    for value, text in VARINTS.items():
        assert varint(value).hex() == text and Reader(bytes.fromhex(text)).varint() == value, (value, text)
    frame = notify_frame([("m", [("port", 443)])], 2, 1)
    assert frame.encoded().hex(" ") == "00 00 00 12 03 00 00 00 01 02 01 01 6d 01 04 70 6f 72 74 04 fb 0c"
    assert Frame.decoded(frame.body()).messages() == [("m", [("port", 443)])]
    ack = Frame(103, b"\x01\x03\x02" + string("allow") + b"\x11", 2, 1)
    assert ack.encoded().hex(" ") == "00 00 00 11 67 00 00 00 01 02 01 01 03 02 05 61 6c 6c 6f 77 11"
    assert ack.actions() == [("set", "txn", "allow", ("bool", True))]


def test_it_takes_what_is_right():
    with Workplace() as place:
        agent = FakeAgent(place, lambda question: [question.ack(
            health() if question.messages[0][0] == "scopecheck-health" else verdict())])
        with dial(agent.address) as client:
            assert client.ask().allow and client.health().healthy
            agent.script = lambda question: [question.ack(verdict(401, "no_token", "Bearer"))]
            assert client.ask().status == 401
            assert client.disconnect()[0] == 0


def test_it_finds_what_is_wrong():
    """The answers that HAProxy must not allow on, and some that it would not mind."""
    # These are denials as the contract has them.
    right = {"status 503", "status 401", "status 400"}
    wrong = {name: script for name, script in WRONG_ANSWERS.items() if name not in right} | {
        "variables in another order": lambda question: [question.ack(
            set_variable("reason", "granted") + verdict())],
        "an identity on a denial": lambda question: [question.ack(verdict(403, "unknown_route", subject="alice"))],
        "allow before the end": lambda question: [question.ack(set_variable("allow", True) + verdict(allow=None))],
        "no audit id": lambda question: [question.ack(verdict(audit_id=""))],
        "not ASCII": lambda question: [question.ack(verdict(subject="é"))],
        "allow with 403": lambda question: [question.ack(verdict(403, "x") + set_variable("allow", True))],
    }
    with Workplace() as place:
        agent = FakeAgent(place, None)
        for name, script in wrong.items():
            agent.script = script
            with SpopClient(agent.address, timeout=1) as client:
                client.hello()
                try:
                    found = client.ask()
                except (Broken, Closed, TimeoutError):
                    continue
            raise AssertionError(f"{name}: taken for {found}")
        # The second of two answers is one that nobody waits for.
        agent.script = lambda question: [question.ack(verdict()), question.ack(verdict())]
        with SpopClient(agent.address, timeout=5) as client:
            client.hello()
            assert client.ask().allow
            try:
                client.ask()
            except Broken:
                return
        raise AssertionError("two answers went unnoticed")
