"""scopecheck-health as HAProxy runs it, and a peer for it that does exactly what a test says, byte by byte."""

import dataclasses
import os
import re
import socket
import subprocess
import threading
import time

from haproxy import HEALTH
from harness import PATIENCE, end_listening, need
from spop import ACK, DISCONNECT, FIN, HELLO, NOTIFY, Frame, Reader
from spop_agent import greeting, health

# Steps of a peer beside bytes (sent) and numbers (seconds waited): take one frame of the checker; keep the
# connection open until the checker goes.
TAKE, HOLD = "take", "hold"


class Drip(bytes):
    """Sent one byte at a time, with a pause after each."""

    seconds = 0.005


class Endless(bytes):
    """Sent again and again until the checker goes."""


def answer(actions=None, stream=1, number=1, flags=FIN, **values):
    if actions is None:
        actions = health(**{"policy": LABEL, **values})
    return Frame(ACK, actions, stream, number, flags).encoded()


# What the peer serves unless told otherwise.
LABEL = "12.0123456789abcdef"
GREETING, ANSWER = greeting().encoded(), answer()
WELL = [TAKE, GREETING, TAKE, ANSWER, HOLD]


def frame_bytes(data, at):
    return 4 + int.from_bytes(data[at:at + 4], "big")


class Peer:
    """Goes through `steps` on each connection and then ends its side. `heard` has what the checker sent on each
    connection that is over."""

    def __init__(self, place, steps=WELL, address=None, name="agent"):
        self.steps, self.heard = steps, []
        self._open = 0
        self._changed = threading.Condition()
        if address is None:
            address = f"unix:{place.folder}/{name}.sock"
        if address.startswith("unix:"):
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(address[5:])
            os.chmod(address[5:], 0o666)
        else:
            self.listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            self.listener.bind((address, 0))
            address = (f"[{address}]" if ":" in address else address) + f":{self.listener.getsockname()[1]}"
        self.address = address
        self.listener.listen(64)
        place.at_end(self._close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _close(self):
        end_listening(self.listener)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self._changed:
                self._open += 1
            threading.Thread(target=self._serve, args=(client, list(self.steps)), daemon=True).start()

    def _serve(self, client, steps):
        client.settimeout(PATIENCE)
        heard = bytearray()
        try:
            with client:
                self._play(client, steps, heard)
        except OSError:
            pass
        finally:
            with self._changed:
                self.heard.append(bytes(heard))
                self._open -= 1
                self._changed.notify_all()

    def _play(self, client, steps, heard):
        taken = 0

        def more():
            data = client.recv(65_536)
            heard.extend(data)
            return data

        for step in steps:
            if step == TAKE:
                while len(heard) < taken + 4 or len(heard) < taken + frame_bytes(heard, taken):
                    if not more():
                        return
                taken += frame_bytes(heard, taken)
            elif isinstance(step, Endless):
                while True:
                    client.sendall(step)
            elif isinstance(step, Drip):
                for byte in step:
                    client.sendall(bytes([byte]))
                    time.sleep(step.seconds)
            elif isinstance(step, bytes):
                client.sendall(step)
            elif isinstance(step, (int, float)):
                time.sleep(step)
            else:
                while more():
                    pass
        client.shutdown(socket.SHUT_WR)
        while more():
            pass

    def quiet(self):
        """Waits until no connection is open; what was heard since the last time."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._open == 0, PATIENCE), "a connection stays open"
            heard, self.heard = self.heard, []
            return heard


@dataclasses.dataclass
class Outcome:
    status: int
    out: str
    err: str
    seconds: float


def in_order(outcome, told):
    """What holds for every run: an exit status of the four, not a signal; nothing to read when all is well, otherwise
    one printable line that says why."""
    assert outcome.status in (0, 1, 2, 64), (told, outcome)
    if outcome.status == 0:
        assert outcome.err == "", (told, outcome)
    else:
        assert outcome.out == "", (told, outcome)
        line = outcome.err.removesuffix("\n")
        assert line != outcome.err and line.startswith("scopecheck-health: "), (told, outcome)
        assert all(" " <= sign <= "~" or sign == "…" for sign in line) and len(line) < 2_000, (told, outcome)
    return outcome


def check(*arguments, slack=8.0, binary=HEALTH, **options):
    """Runs it with these arguments, without an environment. Its own deadline, 800 ms unless given, and `slack`, for
    a loaded machine, are all that it may take."""
    need(HEALTH.exists(), f"`{HEALTH}` does not exist")
    milliseconds = next((int(arguments[at + 1]) for at, word in enumerate(arguments[:-1])
                         if word == "--timeout" and re.fullmatch("[0-9]{1,5}", arguments[at + 1])), 800)
    began = time.monotonic()
    result = subprocess.run([str(binary), *arguments], stdin=subprocess.DEVNULL, capture_output=True, env={}, cwd="/",
                            timeout=PATIENCE + milliseconds / 1_000, **options)
    outcome = Outcome(result.returncode, result.stdout.decode(), result.stderr.decode(), time.monotonic() - began)
    assert outcome.seconds < milliseconds / 1_000 + slack, (arguments, outcome)
    return in_order(outcome, arguments)


def ends(status, words, *arguments, **options):
    """It ends with `status`, and its message has `words`."""
    outcome = check(*arguments, **options)
    assert outcome.status == status and words in outcome.err, (arguments, outcome)
    return outcome


def four(address):
    """HAProxy's four arguments for a server at `address`, in a backend."""
    if address.startswith("unix:"):
        return ("NOT_USED", "NOT_USED", address[5:], "NOT_USED")
    host, port = address.rsplit(":", 1)
    return ("NOT_USED", "NOT_USED", host.strip("[]"), port)


def said(heard, goodbye=True):
    """Checks that `heard` is all that a checker may say: HELLO, the question, and DISCONNECT when it was answered
    well. No other byte."""
    reader, frames = Reader(heard), []
    while reader.more():
        frames.append(Frame.decoded(reader.take(int.from_bytes(reader.take(4), "big"))))
    kinds = [(frame.kind, frame.flags, frame.stream, frame.number) for frame in frames]
    wanted = [(HELLO, FIN, 0, 0), (NOTIFY, FIN, 1, 1), (DISCONNECT, FIN, 0, 0)]
    assert kinds == (wanted if goodbye else wanted[:2]), kinds
    hello = frames[0].items()
    assert {name: kind for name, (kind, _) in hello.items()} == {
        "supported-versions": "string", "max-frame-size": "uint32", "capabilities": "string",
        "engine-id": "string"}, hello
    assert frames[1].messages() == [("scopecheck-health", [])], frames[1]
