"""SPOP connections: many questions at once, bytes that come in pieces, sizes at and past the limits, garbage, ends."""

import random
import time

import issuer
from daemon import open_files, resident_kilobytes
from harness import Closed, wait_until
from spop import (AGENT_HELLO, ABORT, ACK, DISCONNECT, FIN, FRAME_BYTES_MAX, HELLO, NOTIFY, UNSET, Broken, Frame,
                  disconnect_frame, fragments, hello_frame, http_arguments, notify_frame)
from spop_client import SpopClient, Verdict, dial
from test_keys import Remote
from test_spop import HTTP, Asked, config

def question(token=None, stream=1, number=1, padding=0, **options):
    """A NOTIFY; `padding` bytes go into an argument that nobody knows."""
    arguments = http_arguments(token=token, **options)
    return notify_frame([(HTTP, arguments + ([("padding", "p" * padding)] if padding else []))], stream, number)


def question_of(size, token, stream=1):
    """A NOTIFY whose frame has exactly `size` bytes, its own length not counted."""
    rough = size - len(question(token, stream, padding=3_000).body()) + 3_000
    for padding in range(rough - 4, rough + 5):
        frame = question(token, stream, padding=padding)
        if len(frame.body()) == size:
            return frame
    raise AssertionError(size)


# --- many at once --------------------------------------------------------------------------------------------

def test_many_questions_in_flight():
    """20 in one write, and 200: each gets its own verdict under its own ids."""
    with Asked() as stage:
        client = stage.client()
        read, wrong = stage.token(), stage.token("files:read")
        kinds = [({"token": read}, "granted"), ({}, "no_token"), ({"token": wrong}, "insufficient_scope"),
                 ({"target": "/v1/healthz"}, "public"), ({"token": read, "target": "/x"}, "unknown_route"),
                 ({"token": stage.token(lifetime=-5)}, "expired")]
        for count in (20, 200):
            wanted = {}
            for number in range(count):
                # Ids of every length, and frames of one stream apart by their frame id alone.
                ids = (number // 2 * 977 + 1, number % 2 * 100_000 + 1)
                options, wanted[ids] = kinds[number % len(kinds)]
                client.expect(ids)
                wanted[ids] = (question(stream=ids[0], number=ids[1], **options), wanted[ids])
            client.send(*[frame for frame, _ in wanted.values()])
            for _ in range(count):
                ids, verdict = client.ack()
                assert verdict.reason == wanted[ids][1], (ids, verdict)
            assert not client.outstanding
        assert client.ask(token=read).allow


def test_a_slow_question_holds_up_no_other():
    """A token whose key must first be fetched, amid others on the same connection: theirs come first."""
    with Remote() as stage:
        daemon = stage.daemon(spop=True, config=config("park_timeout: 20s", keys="cooldown: 1s"))
        token = stage.token()
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 200, "the keys were fetched")
        second = issuer.Key("ES256", "second")
        stage.server.keys, stage.server.delay = [stage.key, second], 3.0
        slow_token = issuer.mint(second)
        time.sleep(1.5)  # past the cooldown: the next unknown key is fetched
        client = stage.enter(dial(daemon.spop))
        for stream in range(1, 21):
            client.expect((stream, 1))
        client.send(*[question(slow_token if stream == 7 else token if stream % 2 else None, stream)
                      for stream in range(1, 21)])
        order = []
        for _ in range(20):
            (stream, _), verdict = client.ack()
            order.append(stream)
            assert verdict.allow == (stream % 2 == 1), (stream, verdict)
        assert order[-1] == 7 and sorted(order) == list(range(1, 21)), order
        assert client.ask(token=slow_token).allow


def test_a_slow_question_whose_connection_goes():
    """The answer to a question that waits for keys has nowhere to go; nobody else gets it."""
    with Remote() as stage:
        daemon = stage.daemon(spop=True, config=config("park_timeout: 20s", keys="cooldown: 1s"))
        wait_until(lambda: daemon.ask("/v1/orders", token=stage.token()).status == 200, "the keys were fetched")
        stage.server.delay = 2.0
        time.sleep(1.5)
        stranger = issuer.mint(stage.key, header={"kid": "stranger"})
        for way in range(3):
            client = dial(daemon.spop)
            client.send(*[question(stranger, stream) for stream in range(1, 6)])
            if way == 1:
                client.send(disconnect_frame())
            if way == 2:
                client.half_close()
            client.socket.close()
        # New connections may have the same descriptor, and the same ids.
        clients = [stage.enter(dial(daemon.spop)) for _ in range(6)]
        end = time.monotonic() + 4
        while time.monotonic() < end:
            for client in clients:
                assert client.ask(token=stage.token()).allow
        daemon.alive()


def test_many_connections():
    with Asked() as stage:
        token = stage.token()
        clients = [stage.client() for _ in range(300)]
        for turn in range(3):
            for number, client in enumerate(clients):
                client.notify((HTTP, http_arguments(token=token if number % 2 else None)))
            for number, client in enumerate(clients):
                assert client.ack()[1].allow == (number % 2 == 1), (turn, number)
        before = open_files(stage.service.process.pid)
        for client in clients:
            client.socket.close()
        wait_until(lambda: open_files(stage.service.process.pid) <= before - 290, "they are closed there too")
        # A burst, as on a reload of HAProxy: handshake and gone.
        for _ in range(1_000):
            dial(stage.service.spop).socket.close()
        stage.service.alive()


# --- in pieces -----------------------------------------------------------------------------------------------

def conversation(client, data, pieces):
    """Sends `data` cut at the places `pieces`, and reads what must come for it: HELLO, two verdicts, DISCONNECT."""
    client.expect((1, 1))
    client.expect((2, 1))
    at = 0
    for end in [*pieces, len(data)]:
        client.send(data[at:end])
        at = end
        if end < len(data):
            time.sleep(0.0005)
    client.read_hello()
    verdicts = dict(client.ack() for _ in range(2))
    assert verdicts[(1, 1)].reason == "granted" and verdicts[(2, 1)].reason == "no_token", verdicts
    assert client.read_disconnect()[0] == 0


def test_split_at_every_byte():
    """A whole conversation in two writes, for every place between; then in single bytes and in random pieces."""
    with Asked() as stage:
        token = stage.token()
        data = b"".join(frame.encoded() for frame in [
            hello_frame(), *fragments(question(token), [200, 300]), question(stream=2), disconnect_frame()])
        assert len(data) > 1_000
        # Seen by every worker before, so that no answer waits for a verification while the DISCONNECT is read.
        def seen():
            assert stage.client().ask(token=token).allow
            return stage.service.status()["verifications"] >= 2
        wait_until(seen, "both workers have seen the token")
        pick = random.Random(7)
        cuts = [[place] for place in range(1, len(data))] + [range(1, len(data))] + [
            sorted(pick.sample(range(1, len(data)), 20)) for _ in range(20)]
        for pieces in cuts:
            with SpopClient(stage.service.spop) as client:
                conversation(client, data, pieces)
        stage.service.alive()


def test_fragmented_question():
    with Asked() as stage:
        token = stage.token()
        client = stage.client()
        payload = len(question(token).payload)
        for stream, sizes in enumerate(
                [[0], [1], [payload - 1], [payload], [100, 100, 100], [0, 0, 50, 0], [1] * (payload - 1)]
                + [[place] for place in range(2, payload, 7)], start=1):
            client.expect((stream, 1))
            client.send(*fragments(question(token, stream), sizes))
            ids, verdict = client.ack()
            assert ids == (stream, 1) and verdict.allow, (sizes, verdict)
        # The second fragment does not begin a question of its own: bytes that are one are only bytes.
        inner = question(token, 900, target="/v1/healthz").encoded().decode("latin-1")
        client.expect((901, 1))
        client.send(*fragments(question(stream=901, padding=0, cookie=inner), [300]))
        assert client.ack()[1].reason == "no_token"


def test_fragments_that_are_given_up():
    """ABORT: HAProxy's stream has ended. There is no answer, or one denial; the connection goes on."""
    with Asked() as stage:
        token = stage.token()
        client = stage.client()
        for stream in range(1, 20):
            first, _ = fragments(question(token, stream), [100])
            client.send(first, Frame(UNSET, b"", stream, 1, ABORT | FIN))
        assert client.ask_with((HTTP, http_arguments(token=token))).allow


def test_fragments_out_of_order():
    """Another stream's frame between two fragments, or fragments of nothing: never an allow for half a question."""
    with Asked() as stage:
        token = stage.token()
        first, last = fragments(question(token, 1), [200])
        other_first, other_last = fragments(question(token, 2), [200])
        for name, frames in {
            "a whole one between": [first, question(token, 3), last],
            "another's last": [first, other_last], "interlaced": [first, other_first, last, other_last],
            "only a last": [last], "the first twice": [first, first, last], "HELLO between": [first, hello_frame()],
        }.items():
            with dial(stage.service.spop) as client:
                client.send(*frames)
                client.half_close()
                assert not allowed(client), name
        with dial(stage.service.spop) as client:
            client.send(first, disconnect_frame())
            assert client.read_disconnect()[0] == 0
        stage.service.alive()


def allowed(client):
    """Reads to the end; how many ACKs there were that allow. What is no frame, or an answer to nothing, is Broken."""
    count = 0
    try:
        while True:
            frame = client.frame()
            if frame.kind == ACK:
                count += Verdict(frame).allow
            elif frame.kind not in (AGENT_HELLO, 102):
                raise Broken(f"{frame}")
    except Closed:
        return count


# --- sizes ---------------------------------------------------------------------------------------------------

def test_frames_up_to_the_size_and_past_it():
    with Asked() as stage:
        token = stage.token()
        for size in (4_096, FRAME_BYTES_MAX, 65_536):
            client = stage.client(frame_bytes_max=size)
            for stream, less in enumerate((1_000, 2, 1, 0, 0), start=1):
                client.expect((stream, 1))
                client.send(question_of(size - less, token, stream))
                assert client.ack()[1].allow, (size, less)
            client.send(question_of(size + 1, token, 9) if size < 65_536 else b"\0\1\0\1" + b"\3" * 65_537)
            assert client.read_disconnect()[0] == 3, size
            for length in (0x7FFFFFFF, 0xFFFFFFFF, 1 << 24):
                client = stage.client(frame_bytes_max=size)
                client.send(length.to_bytes(4, "big"))
                assert client.read_disconnect()[0] == 3, (size, length)


def test_fragments_up_to_the_cap_and_past_it():
    """What is too large to be put together costs one denial, or one connection; and no memory."""
    with Asked() as stage:
        token = stage.token()
        client = stage.client()
        before = resident_kilobytes(stage.service.process.pid)
        for stream, size in enumerate((20_000, 40_000, 60_000, 70_000, 100_000, 1_000_000, 8_000_000), start=1):
            client.expect((stream, 1))
            whole = question(token, stream, padding=size)
            client.send(*fragments(whole, [16_000] * (len(whole.payload) // 16_000)))
            ids, verdict = client.ack()
            assert ids == (stream, 1)
            wanted = (200, "granted") if size <= 60_000 else (403, "request_too_large")
            assert (verdict.status, verdict.reason) == wanted, (size, verdict)
        # Without an end: it is read and thrown away.
        for part in range(500):
            client.send(Frame(UNSET if part else NOTIFY, b"x" * 16_000, 99, 1, 0))
        client.expect((99, 1))
        client.send(Frame(UNSET, b"", 99, 1))
        assert client.ack()[1].reason == "request_too_large"
        assert resident_kilobytes(stage.service.process.pid) < before + 16_384


def test_long_facts():
    """Up to the frame size within one argument: decided or denied, one answer, and the connection goes on."""
    with Asked() as stage:
        token = stage.token()
        client = stage.client()
        for size in (1_000, 8_000, 8_300, 12_000, 14_000):
            for name in ("target", "authorization", "cookie", "host", "method", "request_id", "origin"):
                value = {"target": "/v1/files/", "authorization": "Bearer "}.get(name, "") + "a" * size
                verdict = client.ask(**{"token": token, name: value, "path": None})
                assert not verdict.allow or name in ("cookie", "origin", "request_id"), (name, size, verdict)
        assert client.ask(token=token).allow


# --- garbage -------------------------------------------------------------------------------------------------

def bad_bytes(pick, token):
    """Bytes that are no conversation, some of them nearly one."""
    good = question(token).encoded()
    yield from (b"", b"\0" * 100, b"\xff" * 100, b"\0\0\0\0", b"\0\0\0\1\3", b"\0\0\0\6\3\0\0\0\1\1",
                b"GET / HTTP/1.1\r\n\r\n")
    yield from (Frame(kind, good[11:], 1, 1).encoded() for kind in (4, 50, 100, 101, 102, 103, 104, 200, 255))
    yield Frame(NOTIFY, b"").encoded()
    yield Frame(NOTIFY, b"\x01x").encoded()  # no argument count
    yield Frame(NOTIFY, b"\x01x\xff").encoded()  # 255 arguments, none there
    yield Frame(NOTIFY, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").encoded()
    yield Frame(NOTIFY, b"\x0fscopecheck-http\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").encoded()
    yield Frame(NOTIFY, question(token).payload + b"\x01").encoded()
    yield Frame(NOTIFY, question(token).payload[:-1]).encoded()
    yield Frame(DISCONNECT, b"\xff\xff\xff").encoded()
    yield Frame(HELLO, hello_frame().payload).encoded()
    yield b"\0\0\0\x10\3\0\0\0\1" + b"\xff" * 11  # ids without an end
    for _ in range(40):
        yield pick.randbytes(pick.randrange(1, 2_000))
    for _ in range(200):
        # One or a few bytes of a good frame changed, its length kept.
        spoiled = bytearray(good)
        for _ in range(pick.choice((1, 1, 2, 5))):
            spoiled[pick.randrange(4, len(spoiled))] = pick.randrange(256)
        yield bytes(spoiled)
    for _ in range(60):
        body = pick.randbytes(pick.randrange(7, 600))
        yield len(body).to_bytes(4, "big") + bytes([pick.choice((0, 1, 2, 3, 3, 3))]) + body[1:]


def test_garbage_at_every_stage():
    """Before HELLO, after it, within a fragmented question, after a question. Whatever comes: whole frames, an end,
    no allow for a question that was never asked, and a daemon that serves on."""
    with Asked() as stage:
        # No token in it that would be granted: then every allow is one too many, wherever a byte was changed.
        token = stage.token("nothing:granted")
        first = fragments(question(token, 5), [100])[0]
        stages = {"before HELLO": [], "after HELLO": [hello_frame()], "within": [hello_frame(), first],
                  "after a question": [hello_frame(), question(token, 8)]}
        # Before the start is over it has not opened all that it keeps open.
        stage.service.alive()
        stage.client().health()
        descriptors = open_files(stage.service.process.pid)
        for seed, (name, before) in enumerate(stages.items()):
            for data in bad_bytes(random.Random(seed), token):
                with SpopClient(stage.service.spop) as client:
                    try:
                        client.send(*before, data)
                        client.half_close()
                    except OSError:
                        continue
                    count = allowed(client)
                assert count == 0, (name, data.hex(" "))
        stage.service.alive()
        assert stage.client().ask(token=stage.token()).allow
        wait_until(lambda: open_files(stage.service.process.pid) <= descriptors + 3, "nothing is left open")


def test_truncated_at_every_byte():
    """The end of the stream at each place of a conversation: answered as far as it was whole, then closed."""
    with Asked() as stage:
        token = stage.token()
        hello, asked = hello_frame().encoded(), question(token).encoded()
        for length in range(0, len(hello) + len(asked)):
            with SpopClient(stage.service.spop) as client:
                client.send((hello + asked)[:length])
                client.half_close()
                assert allowed(client) == 0, length
        with SpopClient(stage.service.spop) as client:
            client.send(hello + asked)
            client.half_close()
            assert allowed(client) == 1, "a whole question before the end of the stream has its answer"
        stage.service.alive()
