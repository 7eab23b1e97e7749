"""SPOP 2.0: values, frames, and the messages that the shipped HAProxy configurations send.

Written from the protocol's text, with nothing of the daemon's in it. One NOTIFY and its answer, in bytes:

    00 00 00 12                        18 bytes follow
    03  00 00 00 01  02  01            NOTIFY, FIN, stream 2, frame 1
    01 6d                              message "m"
    01                                 with one argument
    04 70 6f 72 74                     "port"
    04 fb 0c                           int64 (4), 443 as a varint: 0xfb + (0x0c << 4)

    00 00 00 11                        17 bytes follow
    67  00 00 00 01  02  01            ACK, FIN, the same stream and frame
    01 03 02  05 61 6c 6c 6f 77  11    set-var, 3 arguments, scope txn, "allow", true (type 1, flag 0x10)
"""

import dataclasses
import ipaddress

HELLO, DISCONNECT, NOTIFY, UNSET = 1, 2, 3, 0
AGENT_HELLO, AGENT_DISCONNECT, ACK = 101, 102, 103
FIN, ABORT = 1, 2
SCOPES = ["proc", "sess", "txn", "req", "res"]
# What HAProxy of default size says: tune.bufsize - 4.
FRAME_BYTES_MAX = 16_380


class Broken(AssertionError):
    """The peer sent what the protocol, or the contract, does not allow."""


# --- values --------------------------------------------------------------------------------------------------

def varint(value):
    if value < 240:
        return bytes([value])
    out = bytearray([(value & 0xFF) | 0xF0])
    value = (value - 240) >> 4
    while value >= 128:
        out.append((value & 0xFF) | 0x80)
        value = (value - 128) >> 7
    out.append(value)
    return bytes(out)


class Reader:
    """Takes values from the front of `data`; Broken where there is none."""

    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def more(self):
        return self.at < len(self.data)

    def take(self, count):
        if self.at + count > len(self.data):
            raise Broken(f"{count} bytes wanted at {self.at} of {self.data.hex(' ')}")
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        value = self.byte()
        if value >= 240:
            shift = 4
            while True:
                more = self.byte()
                value += more << shift
                shift += 7
                if more < 128:
                    break
        if value >= 1 << 64:
            raise Broken(f"a varint beyond 64 bits in {self.data.hex(' ')}")
        return value

    def string(self):
        return self.take(self.varint())

    def typed(self):
        """(type's name, value)"""
        head = self.byte()
        kind = head & 0x0F
        if kind == 1:
            return "bool", bool(head & 0x10)
        if head & 0xF0:
            raise Broken(f"flags on a value that has none: {head:#x}")
        if kind == 0:
            return "null", None
        if kind in (2, 3, 4, 5):
            value = self.varint()
            if kind in (2, 4) and value >= 1 << 63:
                value -= 1 << 64
            return ("int32", "uint32", "int64", "uint64")[kind - 2], value
        if kind in (6, 7):
            return ("ipv4", "ipv6")[kind - 6], ipaddress.ip_address(self.take(4 if kind == 6 else 16))
        if kind in (8, 9):
            return ("string", "binary")[kind - 8], self.string()
        raise Broken(f"type {kind} does not exist")


def string(text):
    text = text if isinstance(text, bytes) else text.encode("latin-1")
    return varint(len(text)) + text


@dataclasses.dataclass(frozen=True)
class Raw:
    """A typed value as bytes, for what HAProxy would never send."""
    data: bytes


def int32(value):
    return Raw(b"\x02" + varint(value % (1 << 64)))


def uint32(value):
    return Raw(b"\x03" + varint(value))


def uint64(value):
    return Raw(b"\x05" + varint(value))


def typed(value):
    """As HAProxy sends a sample: every integer is an int64; str is a string, bytes are binary."""
    match value:
        case Raw(data):
            return data
        case None:
            return b"\x00"
        case bool():
            return b"\x11" if value else b"\x01"
        case int():
            return b"\x04" + varint(value % (1 << 64))
        case str():
            return b"\x08" + string(value)
        case bytes():
            return b"\x09" + string(value)
        case ipaddress.IPv4Address():
            return b"\x06" + value.packed
        case ipaddress.IPv6Address():
            return b"\x07" + value.packed
    raise TypeError(value)


def pairs(items):
    return b"".join(string(name) + typed(value) for name, value in items)


# --- frames --------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Frame:
    kind: int
    payload: bytes = b""
    stream: int = 0
    number: int = 0
    flags: int = FIN

    def body(self):
        return (bytes([self.kind]) + self.flags.to_bytes(4, "big") + varint(self.stream) + varint(self.number)
                + self.payload)

    def encoded(self):
        body = self.body()
        return len(body).to_bytes(4, "big") + body

    @staticmethod
    def decoded(body):
        reader = Reader(body)
        kind, flags = reader.byte(), int.from_bytes(reader.take(4), "big")
        stream, number = reader.varint(), reader.varint()
        return Frame(kind, body[reader.at:], stream, number, flags)

    def items(self):
        """A key-value list as {name: (type, value)}; twice the same name is Broken."""
        reader, found = Reader(self.payload), {}
        while reader.more():
            name = reader.string().decode("latin-1")
            if name in found:
                raise Broken(f"`{name}` twice in {self.payload!r}")
            found[name] = reader.typed()
        return found

    def messages(self):
        """A NOTIFY's [(message name, [(argument, value)])]."""
        reader, found = Reader(self.payload), []
        while reader.more():
            name, count = reader.string().decode("latin-1"), reader.byte()
            found.append((name, [(reader.string().decode("latin-1"), reader.typed()[1]) for _ in range(count)]))
        return found

    def actions(self):
        """An ACK's [(action, scope, name, (type, value) or None)]."""
        reader, found = Reader(self.payload), []
        while reader.more():
            action, count = reader.byte(), reader.byte()
            if (action, count) not in ((1, 3), (2, 2)):
                raise Broken(f"action {action} with {count} arguments")
            scope, name = reader.byte(), reader.string().decode("latin-1")
            if scope >= len(SCOPES):
                raise Broken(f"scope {scope}")
            found.append(("set" if action == 1 else "unset", SCOPES[scope], name,
                          reader.typed() if action == 1 else None))
        return found


def hello_frame(frame_bytes_max=FRAME_BYTES_MAX, capabilities="pipelining,async", versions="2.0", engine="e-1",
                healthcheck=False, more=()):
    """HAPROXY-HELLO; a health check has no capabilities and no engine."""
    items = [("supported-versions", versions), ("max-frame-size", uint32(frame_bytes_max)),
             ("capabilities", "" if healthcheck else capabilities)]
    items.append(("healthcheck", True) if healthcheck else ("engine-id", engine))
    return Frame(HELLO, pairs([(name, value) for name, value in items if value is not None] + list(more)))


def message(name, arguments):
    return string(name) + bytes([len(arguments)]) + pairs(arguments)


def notify_frame(messages, stream=1, number=1):
    return Frame(NOTIFY, b"".join(message(name, arguments) for name, arguments in messages), stream, number)


def fragments(frame, sizes):
    """`frame` as a NOTIFY with the first size's bytes of the payload, and UNSET frames with the rest."""
    parts, at = [], 0
    for size in sizes:
        parts.append(frame.payload[at:at + size])
        at += size
    parts.append(frame.payload[at:])
    return [Frame(frame.kind if index == 0 else UNSET, part, frame.stream, frame.number,
                  FIN if index == len(parts) - 1 else 0) for index, part in enumerate(parts)]


def disconnect_frame(status=0, text="normal"):
    return Frame(DISCONNECT, pairs([("status-code", uint32(status)), ("message", text)]))


# --- what the shipped configuration sends --------------------------------------------------------------------

CREDENTIALS = ["authorization", "dpop", "origin", "access_control_request_method", "cookie", "websocket_protocol"]


_OF_TARGET = object()


def http_arguments(target="/v1/orders", method="GET", host="api.example.com", token=None, path=_OF_TARGET, **changes):
    """The arguments of `scopecheck-http`. `changes` replace or add single ones; `...` (Ellipsis) removes one, and
    for a credential's name a str is one line of it, with its count."""
    if path is _OF_TARGET:
        path = target.split("?")[0] if isinstance(target, str) else None
    found = {"method": method, "target": target, "path": path, "host": host, "host_count": 1,
             "scheme": "http", "port": 8080,
             "client_address": ipaddress.ip_address("127.0.0.1"), "request_id": "0" * 32}
    for name in CREDENTIALS:
        found[name], found[name + "_count"] = None, 0
    if token is not None:
        found["authorization"], found["authorization_count"] = "Bearer " + token, 1
    for name, value in changes.items():
        found[name] = value
        if name in CREDENTIALS and isinstance(value, str):
            found.setdefault(name + "_count", 1)
            if name + "_count" not in changes:
                found[name + "_count"] = 1
    return [(name, value) for name, value in found.items() if value is not ...]


def tcp_arguments(port=9443, certificate=None, used=None, verify=0, **changes):
    """The arguments of `scopecheck-tcp`; `certificate` is DER."""
    found = {"port": port, "client_address": ipaddress.ip_address("127.0.0.1"), "request_id": "1" * 32,
             "certificate_used": certificate is not None if used is None else used, "certificate_verify": verify,
             "certificate": certificate, **changes}
    return [(name, value) for name, value in found.items() if value is not ...]
