"""An agent for HAProxy that answers, or does not, whatever a test tells it to: what a real agent never does, a broken
or a foreign one might, and no request may get through for it."""

import os
import socket
import threading
import time

from harness import end_listening
from spop import (ACK, AGENT_DISCONNECT, AGENT_HELLO, DISCONNECT, FIN, HELLO, NOTIFY, SCOPES, UNSET, Broken, Frame,
                  pairs, string, typed, uint32)

CHALLENGE = 'Bearer realm="scopecheck", error="insufficient_scope", scope="orders:write"'


def set_variable(name, value, scope="txn"):
    return bytes([1, 3, SCOPES.index(scope)]) + string(name) + typed(value)


def unset_variable(name, scope="txn"):
    return bytes([2, 2, SCOPES.index(scope)]) + string(name)


def verdict(status=200, reason="granted", challenge="", allow=True, **changes):
    """The actions of an answer as the daemon gives it. `allow=None` leaves it out of an allow."""
    good = status == 200
    values = {"status": uint32(status), "decision": "allow" if good else "deny", "reason": reason,
              "route": "orders GET /orders", "policy": "1.abcdef", "audit_id": "fake-%016x" % time.monotonic_ns(),
              "subject": "alice" if good else "", "client": "web" if good else "",
              "issuer": "https://id.example.com" if good else "", "granted": "orders:read" if good else "",
              "challenge": challenge, "dpop_nonce": "", "txn_token": "",
              "forward_token": "yes" if status == 200 else "", **changes}
    actions = unset_variable("allow") + b"".join(set_variable(*item) for item in values.items())
    return actions + (set_variable("allow", allow) if good and allow is not None else b"")


def health(status=200, reason="healthy", policy="12.0123456789abcdef", healthy=True):
    """The actions of the answer to `scopecheck-health`; `healthy=None` leaves it out."""
    values = {"status": uint32(status), "policy": policy, "reason": reason}
    actions = unset_variable("healthy") + b"".join(set_variable(*item) for item in values.items())
    return actions + (set_variable("healthy", healthy) if healthy is not None else b"")


class Question:
    """One NOTIFY, whole."""

    def __init__(self, frame):
        self.frame, self.messages = frame, frame.messages()

    @property
    def arguments(self):
        return dict(self.messages[0][1])

    def ack(self, actions, stream=0, number=0, flags=FIN):
        """An ACK for it; `stream` and `number` are added to the right ids."""
        return Frame(ACK, actions, self.frame.stream + stream, self.frame.number + number, flags)


def disconnect(status=0, text="normal"):
    return Frame(AGENT_DISCONNECT, pairs([("status-code", uint32(status)), ("message", text)]))


# Answers after which nothing may get through: name -> script.
WRONG_ANSWERS = {
    "silence": lambda question: [],
    "garbage": lambda question: [b"HTTP/1.1 200 OK\r\n\r\n" * 8],
    "end of stream": lambda question: ["close"],
    "half an answer": lambda question: [question.ack(verdict()).encoded()[:-4], "close"],
    "a frame beyond the limit": lambda question: [b"\x7f\xff\xff\xff" + b"\0" * 64],
    "AGENT-DISCONNECT": lambda question: [disconnect(99, "no"), "close"],
    "AGENT-DISCONNECT without an error": lambda question: [disconnect(0), "close"],
    "another stream": lambda question: [question.ack(verdict(), stream=1000)],
    "another frame": lambda question: [question.ack(verdict(), number=1000)],
    "no FIN": lambda question: [question.ack(verdict(), flags=0)],
    "an empty answer": lambda question: [question.ack(b"")],
    "nothing that decides": lambda question: [question.ack(set_variable("reason", "granted"))],
    "allow unset": lambda question: [question.ack(verdict(allow=None))],
    "allow is false": lambda question: [question.ack(verdict(allow=False))],
    "allow is the string false": lambda question: [question.ack(verdict(allow="false"))],
    "allow is null": lambda question: [question.ack(set_variable("allow", None))],
    "allow is an address": lambda question: [question.ack(set_variable("allow", b"\x01"))],
    "denied in another case": lambda question: [question.ack(set_variable("ALLOW", True))],
    "allow of another scope": lambda question: [question.ack(set_variable("allow", True, "sess"))],
    "unreadable before allow": lambda question: [question.ack(b"\x01\x03\x02\xff" + verdict())],
    "a denial after an allow": lambda question: [question.ack(verdict() + unset_variable("allow"))],
    "status 503": lambda question: [question.ack(verdict(503, "keys_unavailable"))],
    "status 401": lambda question: [question.ack(verdict(401, "no_token", 'Bearer realm="scopecheck"'))],
    "status 400": lambda question: [question.ack(verdict(400, "multiple_credentials"))],
    "a status that is none": lambda question: [question.ack(verdict(777, "granted"))],
    "HELLO again": lambda question: [Frame(AGENT_HELLO, b"")],
    "NOTIFY": lambda question: [Frame(NOTIFY, b"")],
    "a line end in the challenge": lambda question: [
        question.ack(verdict(401, "no_token", "Bearer\r\nX-Evil: 1\r\n\r\n"))],
}

# Ways to spoil the handshake: after none of them a request may get through.
WRONG_GREETINGS = {
    "silence": lambda: [],
    "garbage": lambda: [b"220 smtp.example.com ESMTP\r\n"],
    "end of stream": lambda: ["close"],
    "AGENT-DISCONNECT": lambda: [disconnect(99, "no"), "close"],
    "another version": lambda: [greeting(version="9.0")],
    "no version": lambda: [greeting(version=None)],
    "no capabilities": lambda: [greeting(capabilities=None)],
    "a frame size beyond HAProxy's": lambda: [greeting(size=1 << 20)],
    "a frame size that is too small": lambda: [greeting(size=10)],
    "an ACK": lambda: [Frame(ACK, verdict(), 1, 1)],
}


def greeting(version="2.0", size=16_380, capabilities="pipelining,fragmentation"):
    items = [("version", version), ("max-frame-size", uint32(size)), ("capabilities", capabilities)]
    return Frame(AGENT_HELLO, pairs([item for item in items if item[1] is not None]))


class FakeAgent:
    """Listens on a unix socket. `script(question)` gives a list of what to send: frames, bytes, seconds to wait (a
    float), "close". `greet()` gives the same for HELLO; None is the usual handshake. Both may be exchanged while it
    runs."""

    def __init__(self, place, script, greet=None, name="agent"):
        self.script, self.greet = script, greet
        self.address = f"unix:{place.folder}/{name}.sock"
        self.questions, self.connections, self.health_checks, self.disconnects = [], 0, 0, []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.address[5:])
        os.chmod(self.address[5:], 0o666)
        self.listener.listen(1024)
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()
        place.at_end(self.close)

    def close(self):
        end_listening(self.listener)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        client.settimeout(60)
        data, parts, writing = b"", {}, threading.Lock()
        try:
            while True:
                while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
                    more = client.recv(65_536)
                    if not more:
                        return
                    data += more
                length = 4 + int.from_bytes(data[:4], "big")
                frame, data = Frame.decoded(data[4:length]), data[length:]
                if frame.kind == HELLO:
                    self._send(client, writing, self._greeting(frame))
                    if "healthcheck" in frame.items():
                        return
                elif frame.kind == DISCONNECT:
                    with self._lock:
                        self.disconnects.append(frame.items().get("status-code", (None, None))[1])
                    self._send(client, writing, [disconnect()])
                    return
                elif frame.kind in (NOTIFY, UNSET):
                    ids = (frame.stream, frame.number)
                    if ids in parts:
                        parts[ids].payload += frame.payload
                    else:
                        parts[ids] = frame
                    if frame.flags & FIN:
                        question = Question(parts.pop(ids))
                        with self._lock:
                            self.questions.append(question)
                        threading.Thread(target=self._send, daemon=True,
                                         args=(client, writing, self.script(question))).start()
        except (OSError, Broken):
            pass
        finally:
            client.close()

    def _greeting(self, frame):
        items = frame.items()
        with self._lock:
            self.health_checks += "healthcheck" in items
        size = items["max-frame-size"][1]
        return [greeting(size=size)] if self.greet is None else self.greet()

    def _send(self, client, writing, items):
        try:
            for item in items:
                if isinstance(item, float):
                    time.sleep(item)
                elif item == "close":
                    client.shutdown(socket.SHUT_RDWR)
                else:
                    with writing:
                        client.sendall(item if isinstance(item, bytes) else item.encoded())
        except OSError:
            pass
