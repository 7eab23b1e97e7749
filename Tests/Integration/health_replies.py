"""What a peer of scopecheck-health may answer in place of HELLO or of the answer, and words of the message it gets."""

from health_agent import ANSWER, GREETING, LABEL, answer
from spop import ABORT, AGENT_HELLO, FIN, HELLO, NOTIFY, UNSET, Frame, Raw, int32, pairs, uint32, uint64
from spop_agent import disconnect, greeting, health, set_variable, unset_variable

# After the question: what is understood and is no health. Exit status 1.
UNHEALTHY = {
    "draining": (answer(status=503, reason="draining", healthy=None), "status 503; reason `draining`"),
    "no policy": (answer(status=503, reason="no_policy", policy="", healthy=None), "status 503; reason `no_policy`"),
    "healthy with 503": (answer(status=503), "status 503"),
    "503 without a reason": (answer(status=503, reason="", healthy=None), "status 503; `scopecheck status`"),
    "200 without healthy": (answer(healthy=None), "status 200"),
    "healthy with 0": (answer(status=0), "status 0"),
    "healthy with -200": (answer(health().replace(b"\x03\xc8", int32(-200).data)), "status 18446744073709551416"),
    "status as text": (answer(health().replace(b"\x03\xc8", b"\x08\x03200")), "not say"),
    "status is a bool": (answer(health().replace(b"\x03\xc8", b"\x11")), "not say"),
    "no status": (answer(health().replace(b"status", b"statuz")), "not say"),
    "no actions": (answer(b""), "not say that it is healthy; `scopecheck status`"),
    "only unset": (answer(unset_variable("healthy")), "not say"),
    "only healthy": (answer(set_variable("healthy", True)), "not say"),
    "another case": (answer(health().replace(b"healthy", b"HEALTHY")), "not say"),
    "another scope": (answer(health(healthy=None) + set_variable("healthy", True, "sess")), "not say"),
    "all in another scope": (answer(health().replace(b"\x03\x02", b"\x03\x01")), "not say"),
    "a verdict": (answer(set_variable("allow", True)), "not say"),
    "healthy is text": (answer(healthy="true"), "not say"),
    "healthy is 1": (answer(healthy=uint32(1)), "not say"),
    "healthy is 17": (answer(healthy=uint64(17)), "not say"),
    "healthy is false": (answer(healthy=False), "not say"),
    "healthy is binary": (answer(healthy=b"\x11"), "not say"),
    "healthy is an address": (answer(healthy=Raw(b"\x06\x11\x11\x11\x11")), "not say"),
    "healthy is null": (answer(health(healthy=None) + set_variable("healthy", None)), "not say"),
    "hostile reason": (answer(status=503, reason="a\r\n\x1b[2J`\\\0\xff", healthy=None),
                       r"reason `a\x0d\x0a\x1b[2J\x60\x5c\x00\xff`;"),
    "long reason": (answer(status=503, reason="\x01" * 16_000, healthy=None), r"reason `" + r"\x01" * 200 + "…`;"),
    "DISCONNECT": (disconnect(0, "normal").encoded(), "status 0, `normal`"),
    "DISCONNECT with hostile text": (disconnect(2**32 - 1, "x`; rm\n\x9b31m").encoded(),
                                     r"status 4294967295, `x\x60; rm\x0a\x9b31m`"),
    "DISCONNECT without a text": (Frame(102, pairs([("status-code", uint32(7))])).encoded(), "status 7, ``"),
    **{f"label {label!r}": (answer(policy=label), "not say which policy it serves") for label in (
        "", "12", "12.", ".0123456789abcdef", "0.0123456789abcdef", "012.0123456789abcdef", "12.0123456789ABCDEF",
        "12.0123456789abcde", "12.0123456789abcdef0", "12.0123456789abcdeg", "-1.0123456789abcdef",
        "18446744073709551616.0123456789abcdef", "99999999999999999999999.0123456789abcdef", " 12.0123456789abcdef",
        "12.0123456789abcdef\n", "1\0.0123456789abcdef", "12:0123456789abcdef", "1.2.0123456789abcdef")},
    "no label": (answer(health().replace(b"policy", b"polizy")), "not say which policy"),
    "the label is binary": (answer(health().replace(b"policy\x08", b"policy\x09")), "not say which policy"),
}


# In place of either frame: what no agent sends. Exit status 2, as for the tables behind.
def encoded(body):
    return len(body).to_bytes(4, "big") + body


def oversize(length):
    return length.to_bytes(4, "big") + b"\x67" + b"\0" * 2_000


GARBAGE = {
    "HTTP": (b"HTTP/1.1 200 OK\r\n\r\n" * 8, "a length of"),
    "SMTP": (b"220 smtp.example.com ESMTP\r\n", "a length of 842149920"),
    **{f"length {length}": (oversize(length), f"a length of {length};") for length in (
        0, 1, 6, 16_381, 65_536, 65_537, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)},
    "nothing but zeros": (b"\0" * 70_000, "a length of 0;"),
    "a head without end": (encoded(b"\x65\0\0\0\x01\xff\xff\xff\xff"), "ends within its head"),
    "a stream beyond 64 bits": (encoded(b"\x65\0\0\0\x01" + b"\xff" * 9 + b"\x7f" + b"\0" * 4), "ends within its head"),
    "a stream without end": (encoded(b"\x65\0\0\0\x01" + b"\xff" * 500), "ends within its head"),
    "HELLO of HAProxy": (Frame(HELLO, greeting().payload).encoded(), "type that no agent sends"),
    "NOTIFY": (Frame(NOTIFY, b"", 1, 1).encoded(), "type that no agent sends"),
    "UNSET": (Frame(UNSET, b"", 1, 1).encoded(), "type that no agent sends"),
    "type 255": (Frame(255, b"").encoded(), "type that no agent sends"),
    "DISCONNECT of a stream": (Frame(102, disconnect().payload, 1, 1).encoded(), "nobody asked about"),
    "DISCONNECT without a status": (Frame(102, pairs([("message", "x")])).encoded(), "without a status"),
    "empty DISCONNECT": (Frame(102, b"").encoded(), "without a status"),
    "half a DISCONNECT": (Frame(102, disconnect().payload[:-2]).encoded(), "disconnect that cannot be read"),
}

# In place of HELLO.
GREETINGS = {
    "an answer": (ANSWER, "another frame before its hello"),
    "of a stream": (Frame(AGENT_HELLO, greeting().payload, 1, 0).encoded(), "nobody asked about"),
    "of a frame": (Frame(AGENT_HELLO, greeting().payload, 0, 1).encoded(), "nobody asked about"),
    "empty": (Frame(AGENT_HELLO, b"").encoded(), "without version"),
    "no version": (greeting(version=None).encoded(), "without version"),
    "no size": (greeting(size=0).encoded().replace(b"max-frame-size", b"max-frame-sizf"), "without version"),
    "no capabilities": (greeting(capabilities=None).encoded(), "without version"),
    "version twice": (Frame(AGENT_HELLO, greeting().payload + pairs([("version", "2.0")])).encoded(), "twice"),
    "size twice": (Frame(AGENT_HELLO, greeting().payload + pairs([("max-frame-size", 16_380)])).encoded(), "twice"),
    "capabilities twice": (Frame(AGENT_HELLO, greeting().payload + pairs([("capabilities", "")])).encoded(), "twice"),
    **{f"version {version!r}": (greeting(version=version).encoded(), "another version than SPOP 2.0")
       for version in ("1.0", "2.1", "2.0 ", "", "2", 2, b"2.0")},
    **{f"size {size}": (greeting(size=size).encoded(), "a size that was not offered")
       for size in (0, 10, 255, 16_381, 65_536, (1 << 32) - 1, (1 << 64) - 1)},
    "size as text": (Frame(AGENT_HELLO, pairs([("version", "2.0"), ("max-frame-size", "16380"),
                                               ("capabilities", "")])).encoded(), "a size that was not offered"),
    "capabilities as a number": (greeting(capabilities=1).encoded(), "cannot be read"),
    "bytes behind": (Frame(AGENT_HELLO, greeting().payload + b"\x01").encoded(), "cannot be read"),
    "FIN clear": (Frame(AGENT_HELLO, greeting().payload, flags=0).encoded(), "aborted or in parts"),
    "ABORT": (Frame(AGENT_HELLO, greeting().payload, flags=FIN | ABORT).encoded(), "aborted or in parts"),
}

# In place of the answer.
TWICE = "answered one thing twice"
ANSWERS = {
    "HELLO again": (GREETING, "another frame before its answer"),
    **{f"stream {stream}, frame {number}": (answer(stream=stream, number=number), "nobody asked about")
       for stream, number in ((0, 0), (1, 0), (0, 1), (2, 1), (1, 2), (257, 1), ((1 << 64) - 1, 1))},
    "FIN clear": (answer(flags=0), "aborted or in parts"),
    "ABORT": (answer(flags=ABORT), "aborted or in parts"),
    "FIN and ABORT": (answer(flags=FIN | ABORT), "aborted or in parts"),
    "unknown flags": (answer(flags=0x8000_0001), "aborted or in parts"),
    **{f"{name} twice": (answer(set_variable(name, value) + health()), TWICE) for name, value in (
        ("healthy", True), ("healthy", False), ("healthy", None), ("status", uint32(200)), ("policy", LABEL),
        ("reason", ""))},
    "a second answer in it": (answer(health() + health()), TWICE),
    "healthy unset behind": (answer(health() + unset_variable("healthy")), TWICE),
    "policy unset behind": (answer(health() + unset_variable("policy")), TWICE),
    # Before the good ones; 78 is the name `x`.
    **{f"action {action}": (answer(bytes.fromhex(action) + health()), "cannot be read") for action in (
        "00", "01", "03 03 02 01 78 11", "01 02 02 01 78 11", "02 03 02 01 78", "01 03 05 01 78 11",
        "01 03 ff 01 78 11", "01 03 02 ff", "01 03 02 ff ff ff ff ff ff ff ff ff 0e", "01 03 02 01 78 0a",
        "01 03 02 01 78 0f", "01 03 02 01 78 21", "01 03 02 01 78 31", "01 03 02 01 78 f3 01",
        "01 03 02 01 78 08 ff ff", "01 03 02 01 78 03 ff ff ff ff ff ff ff ff ff ff ff")},
    "a byte behind": (answer(health() + b"\x01"), "cannot be read"),
    "a true of another flag": (answer(healthy=Raw(b"\x21")), "cannot be read"),
    "a true of two flags": (answer(healthy=Raw(b"\x31")), "cannot be read"),
}
