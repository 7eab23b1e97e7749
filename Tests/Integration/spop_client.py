"""HAProxy's side of SPOP: a client that speaks to the agent as HAProxy does and believes nothing."""

import re
import socket

from harness import PATIENCE, Closed, connect
from spop import (ACK, AGENT_DISCONNECT, AGENT_HELLO, FIN, FRAME_BYTES_MAX, Broken, Frame, disconnect_frame,
                  hello_frame, http_arguments, notify_frame)

# The variables of a verdict in their order; `allow` comes before them unset and, on an allow, after them true.
VARIABLES = ["status", "decision", "reason", "route", "policy", "audit_id", "subject", "client", "issuer", "granted",
             "challenge", "dpop_nonce", "txn_token", "forward_token"]


class Verdict(dict):
    """The variables of one ACK, checked against the contract: v.status, v.reason, …; `allow` is True or False."""

    __getattr__ = dict.__getitem__

    def __init__(self, frame):
        actions = frame.actions()
        wanted = [("unset", "allow")] + [("set", name) for name in VARIABLES]
        if len(actions) == len(wanted) + 1:
            wanted.append(("set", "allow"))
        if [(action, name) for action, _, name, _ in actions] != wanted:
            raise Broken(f"actions {[action[:3] for action in actions]}")
        for action, scope, name, value in actions:
            if scope != "txn":
                raise Broken(f"`{name}` in scope {scope}")
            if action == "unset":
                continue
            kind = {"status": "uint32", "allow": "bool"}.get(name, "string")
            if value[0] != kind:
                raise Broken(f"`{name}` is a {value[0]}")
            if kind == "string" and not re.fullmatch(rb"[ -~]*", value[1]):
                raise Broken(f"`{name}` is not printable ASCII: {value[1]!r}")
            self[name] = value[1].decode() if kind == "string" else value[1]
        if self.get("allow") is False:
            raise Broken("`allow` is false, not missing")
        self["allow"] = "allow" in self
        if self["allow"] != (self.status == 200) or self.decision != ("allow" if self["allow"] else "deny"):
            raise Broken(f"contradicts itself: {dict(self)}")
        if self.status not in (200, 400, 401, 403, 503):
            raise Broken(f"status {self.status}")
        if not self["allow"] and any(self[name] for name in (
                "subject", "client", "issuer", "granted", "txn_token", "forward_token")):
            raise Broken(f"an identity or a token on a denial: {dict(self)}")
        if not self.reason or not self.audit_id:
            raise Broken(f"no reason or audit id: {dict(self)}")


class Health(dict):
    """The variables of the ACK of `scopecheck-health`."""

    __getattr__ = dict.__getitem__

    def __init__(self, frame):
        actions = frame.actions()
        for index, (action, scope, name, value) in enumerate(actions):
            if scope != "txn" or action == "unset" and (index, name) != (0, "healthy"):
                raise Broken(f"{action} {scope}.{name} at {index}")
            if action == "set":
                self[name] = value[1].decode() if value[0] == "string" else value[1]
        if self.pop("healthy", True) is not True:
            raise Broken("`healthy` is false, not missing")
        self["healthy"] = actions[-1][:3] == ("set", "txn", "healthy")
        if sorted(self) != ["healthy", "policy", "reason", "status"] or self["healthy"] != (self.status == 200):
            raise Broken(f"health is {dict(self)}")


# --- the client ----------------------------------------------------------------------------------------------

class SpopClient:
    """One connection to the agent, as HAProxy keeps it."""

    def __init__(self, address, timeout=PATIENCE):
        self.socket = connect(address, timeout)
        self.rest, self.outstanding, self.hello_answer = b"", {}, None
        self._stream = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *frames):
        """Frames, or bytes as they are, in one write."""
        self.socket.sendall(b"".join(item if isinstance(item, bytes) else item.encoded() for item in frames))

    def frame(self):
        """The next frame; Closed at the end of the stream."""
        while len(self.rest) < 4 or len(self.rest) < 4 + int.from_bytes(self.rest[:4], "big"):
            if len(self.rest) >= 4 and int.from_bytes(self.rest[:4], "big") > 65_536:
                raise Broken(f"a frame of {int.from_bytes(self.rest[:4], 'big')} bytes")
            try:
                more = self.socket.recv(65_536)
            except ConnectionError as error:
                raise Closed(str(error)) from None
            if not more:
                if self.rest:
                    raise Broken(f"the stream ends within a frame: {self.rest.hex(' ')}")
                raise Closed("end of stream")
            self.rest += more
        length = 4 + int.from_bytes(self.rest[:4], "big")
        body, self.rest = self.rest[4:length], self.rest[length:]
        return Frame.decoded(body)

    def hello(self, **options):
        """The handshake; the agent's keys as {name: value}."""
        self.send(hello_frame(**options))
        return self.read_hello(options.get("frame_bytes_max", FRAME_BYTES_MAX))

    def read_hello(self, frame_bytes_max=FRAME_BYTES_MAX):
        answer = self.frame()
        if (answer.kind, answer.flags, answer.stream, answer.number) != (AGENT_HELLO, FIN, 0, 0):
            raise Broken(f"answered HELLO with {answer}")
        items = answer.items()
        types = {name: kind for name, (kind, _) in items.items()}
        if types != {"version": "string", "max-frame-size": "uint32", "capabilities": "string"}:
            raise Broken(f"AGENT-HELLO has {items}")
        self.hello_answer = {name: value.decode() if isinstance(value, bytes) else value
                             for name, (_, value) in items.items()}
        if not 256 <= self.hello_answer["max-frame-size"] <= frame_bytes_max:
            raise Broken(f"{frame_bytes_max} offered, {self.hello_answer} answered")
        return self.hello_answer

    def next_ids(self):
        self._stream += 1
        return self._stream, 1

    def notify(self, *messages, ids=None, kind=Verdict):
        """Sends one NOTIFY, returns its (stream, frame)."""
        ids = ids or self.next_ids()
        self.expect(ids, kind)
        self.send(notify_frame(messages, *ids))
        return ids

    def expect(self, ids, kind=Verdict):
        """Says that a NOTIFY of these ids is on its way, however it is sent."""
        self.outstanding[ids] = kind

    def ack(self):
        """((stream, frame), verdict) of the next ACK. One that nobody waits for is Broken: each NOTIFY has one."""
        return self._answered(self.frame())

    def _answered(self, frame):
        if frame.kind != ACK or frame.flags != FIN:
            raise Broken(f"wanted an ACK with FIN: {frame}")
        ids = (frame.stream, frame.number)
        if ids not in self.outstanding:
            raise Broken(f"an ACK for {ids}, waiting are {list(self.outstanding)}")
        return ids, self.outstanding.pop(ids)(frame)

    def ask(self, **options):
        """One HTTP question and its verdict."""
        return self.ask_with(("scopecheck-http", http_arguments(**options)))

    def ask_with(self, *messages, kind=Verdict):
        ids = self.notify(*messages, kind=kind)
        found, verdict = self.ack()
        if found != ids:
            raise Broken(f"asked {ids}, answered {found}")
        return verdict

    def health(self):
        return self.ask_with(("scopecheck-health", []), kind=Health)

    def read_disconnect(self):
        """(status, text) of AGENT-DISCONNECT, after which the stream must end. Outstanding ACKs may come before."""
        while True:
            frame = self.frame()
            if frame.kind != ACK:
                break
            self._answered(frame)
        if (frame.kind, frame.flags, frame.stream, frame.number) != (AGENT_DISCONNECT, FIN, 0, 0):
            raise Broken(f"wanted AGENT-DISCONNECT: {frame}")
        items = frame.items()
        if {name: kind for name, (kind, _) in items.items()} != {"status-code": "uint32", "message": "string"}:
            raise Broken(f"AGENT-DISCONNECT has {items}")
        self.ended()
        return items["status-code"][1], items["message"][1].decode()

    def ended(self):
        """Checks that the agent closes now, without a word."""
        try:
            frame = self.frame()
        except Closed:
            return
        raise Broken(f"wanted the end of the stream: {frame}")

    def disconnect(self, status=0):
        """HAPROXY-DISCONNECT, and the agent's answer to it."""
        self.send(disconnect_frame(status))
        return self.read_disconnect()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)


def dial(address, **options):
    """A connection with its handshake done."""
    client = SpopClient(address)
    try:
        client.hello(**options)
    except BaseException:
        client.socket.close()
        raise
    return client
