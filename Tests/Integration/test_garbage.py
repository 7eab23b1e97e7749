"""Bytes that are no request, peers that stall, and peers that are not allowed: refused, and the daemon serves on."""

import os
import random
import socket
import time

from daemon import Stage, open_files, resident_kilobytes
from harness import (Closed, ask, connect, fact_headers, facts, fastcgi_request, head_bytes, name_value, need,
                     read_fastcgi, record, wait_until, Connection)

LISTENERS = [("fastcgi",), ("http",), ("admin",)]
ENGINES = [("native",), ("libfcgi",)]


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


def address(daemon, listener):
    return {"fastcgi": daemon.fastcgi, "http": daemon.http, "admin": daemon.admin}[listener]


def send_and_forget(target, data, answer_bytes=65536):
    """What came back, at most a little; the connection is closed from here if it was not from there."""
    client = connect(target, timeout=5)
    got = b""
    try:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        while len(got) < answer_bytes:
            more = client.recv(65536)
            if not more:
                break
            got += more
    except (OSError, TimeoutError):
        pass
    finally:
        client.close()
    return got


def garbage(seed):
    """Byte strings that are no request, some of them nearly one."""
    pick = random.Random(seed)
    good_http = head_bytes("/", host="scopecheck", headers=fact_headers(facts("/v1/orders", token="x")))
    good_fastcgi = fastcgi_request(facts("/v1/orders", token="x"))
    yield b""
    yield b"\0" * 1000
    yield b"\xff" * 1000
    yield b"\r\n" * 500
    yield b"GET / HTTP/0.9\r\n\r\n"
    yield b"GET  / HTTP/1.1\r\n\r\n"
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500
    yield b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"
    yield b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"
    yield b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"
    yield b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n"
    yield b"GET /" + b"a" * 100_000
    yield b"A" * 300_000
    yield record(1, b"")  # BEGIN_REQUEST without a body
    yield record(1, b"\0\x09\0\0\0\0\0\0")  # unknown role
    yield record(4, name_value("A", "b") * 10)  # PARAMS without BEGIN_REQUEST
    yield record(77, b"x" * 100) + record(9, name_value("FCGI_MAX_CONNS", "") * 3, identifier=0)
    yield record(9, name_value("FCGI_MAX_CONNS", "") * 2, identifier=0)
    yield b"\x02" + good_fastcgi[1:]  # another version
    yield record(1, b"\0\x01\0\0\0\0\0\0") + record(4, b"\xff\xff\xff\xff\xff\xff\xff\xff")
    yield record(1, b"\0\x01\0\0\0\0\0\0") + record(4, b"\x80\0\0") + record(4)
    yield record(1, b"\0\x01\0\0\0\0\0\0") + record(4, name_value("A" * 60_000, "")) * 20
    yield record(1, b"\0\x01\0\0\0\0\0\0") + record(4, name_value("A", "b") * 5_000) + record(4) + record(5)
    yield good_fastcgi * 3
    yield good_http * 3
    for good in (good_http, good_fastcgi):
        for _ in range(60):
            data = bytearray(good)
            for _ in range(pick.choice([1, 1, 2, 8])):
                place = pick.randrange(len(data))
                data[place] = pick.randrange(256)
            yield bytes(data[:pick.randrange(1, len(data) + 1)] if pick.random() < 0.5 else data)
    for _ in range(40):
        yield pick.randbytes(pick.choice([1, 7, 8, 9, 100, 5_000]))


@table([("native", "fastcgi"), ("libfcgi", "fastcgi"), ("native", "http"), ("native", "admin")])
def test_garbage(engine, listener):
    with Stage() as stage:
        daemon = stage.daemon(engine=engine)
        token = stage.token()
        daemon.alive()
        before = open_files(daemon.process.pid)
        for number, data in enumerate(garbage(7)):
            got = send_and_forget(address(daemon, listener), data)
            if listener == "http":
                # Every answer to what is not a decision with facts of ours is no 200.
                assert b"HTTP/1.1 200" not in got, (number, data[:200], got[:200])
            if listener == "fastcgi":
                assert b"Status: 200" not in got, (number, data[:200], got[:200])
        for kind in ("fastcgi", "http"):
            assert daemon.ask("/v1/orders", kind, token=token).status == 200
            assert daemon.ask("/v1/orders", kind).status == 401
        assert daemon.status()
        wait_until(lambda: open_files(daemon.process.pid) <= before + 4, "its connections are closed")
        daemon.alive()


@table([("native", "fastcgi"), ("libfcgi", "fastcgi"), ("native", "http")])
def test_split_at_every_byte(engine, listener):
    """A request that comes in two parts, cut anywhere, is the same request."""
    with Stage() as stage:
        daemon = stage.daemon(engine=engine)
        asked = facts("/v1/orders", token=stage.token())
        data = (fastcgi_request(asked) if listener == "fastcgi"
                else head_bytes("/", host="scopecheck", headers=fact_headers(asked)))
        for cut in range(1, len(data), 1 if engine == "native" else 37):
            client = connect(address(daemon, listener))
            client.sendall(data[:cut])
            client.sendall(data[cut:])
            status = read_fastcgi(client)[0].status if listener == "fastcgi" else read_http(client).status
            client.close()
            assert status == 200, (cut, status)


def read_http(client):
    connection = Connection.__new__(Connection)
    connection.socket, connection.rest = client, b""
    return connection.read()


def test_many_at_once():
    """More connections than a worker takes in at a time: each is answered, or closed without an answer."""
    with Stage() as stage:
        daemon = stage.daemon()
        token = stage.token()
        for kind in ("fastcgi", "http"):
            clients = [connect(daemon.address(kind)) for _ in range(400)]
            asked = facts("/v1/orders", token=token)
            data = fastcgi_request(asked) if kind == "fastcgi" else head_bytes(
                "/", host="scopecheck", headers=fact_headers(asked))
            for client in clients:
                client.sendall(data)
            for client in clients:
                response = read_fastcgi(client)[0] if kind == "fastcgi" else read_http(client)
                assert response.status == 200, response
                client.close()
        daemon.alive()


# libfcgi has no timeouts: a stalled peer pins a thread, as its documentation here says.
@table([("native", "fastcgi"), ("native", "http")])
def test_peers_that_send_slowly_are_dropped(engine, listener):
    """Silent ones, and ones that trickle: others are answered meanwhile, and the connections end."""
    limits = """\
policy: {folder}/policy.yaml
store: {folder}/store
workers: 2
admin: {{ address: "{admin}" }}
fastcgi: {{ address: "{fastcgi}", engine: ENGINE }}
http: {{ address: "{http}" }}
limits: {{ receive_timeout: 1s }}
""".replace("ENGINE", engine)
    with Stage() as stage:
        daemon = stage.daemon(config=limits)
        token = stage.token()
        asked = facts("/v1/orders", token=token)
        data = (fastcgi_request(asked) if listener == "fastcgi"
                else head_bytes("/", host="scopecheck", headers=fact_headers(asked)))
        slow = []
        for number in range(20):
            client = connect(address(daemon, listener), timeout=60)
            client.sendall(data[:number * 5 + 1])
            slow.append(client)
        for _ in range(20):
            assert daemon.ask("/v1/orders", listener, token=token).status == 200
        ended = 0
        for client in slow:
            try:
                answer = client.recv(65536)
                assert b"200" not in answer[:64], answer[:100]
            except ConnectionError:
                pass
            ended += 1
            client.close()
        assert ended == len(slow)
        daemon.alive()


def test_peers_that_do_not_read_are_dropped():
    """Pipelined questions without reading the answers: the daemon neither grows nor stops."""
    with Stage() as stage:
        daemon = stage.daemon()
        asked = head_bytes("/", host="scopecheck", close=False,
                           headers=fact_headers(facts("/v1/orders", token=stage.token())))
        daemon.alive()
        before = resident_kilobytes(daemon.process.pid)
        client = connect(daemon.http, timeout=2)
        try:
            for _ in range(2_000):
                client.sendall(asked * 20)
        except (OSError, TimeoutError):
            pass
        daemon.alive()
        assert resident_kilobytes(daemon.process.pid) < before + 32_768
        client.close()


@table([("fastcgi",), ("http",)])
def test_another_user_is_refused(kind):
    """SO_PEERCRED: a uid that is not listed gets no decision, even where the file's mode lets it connect."""
    need(os.geteuid() == 0, "only root can become another user", 2)
    config = """\
policy: {folder}/policy.yaml
store: {folder}/store
admin: {{ address: "{admin}" }}
fastcgi: {{ address: "{fastcgi}", mode: "0666" PEERS }}
http: {{ address: "{http}", mode: "0666" PEERS }}
"""
    with Stage() as stage:
        for peers, expected in [("", False), (", peers: [0]", False), (", peers: [0, 65534]", True)]:
            name = f"daemon{len(peers)}"
            daemon = stage.daemon(config=config.replace("PEERS", peers).replace("/store", f"/{name}"), name=name)
            asked = facts("/v1/healthz")
            assert ask(daemon.address(kind), kind, asked).status == 200
            answered = as_nobody(lambda: ask(daemon.address(kind), kind, asked).status)
            assert (answered == 200) == expected, (peers, answered)
            daemon.alive()
            assert daemon.terminate() == 0


def as_nobody(action):
    """Runs `action` in a child of user 65534; its result, or the name of its failure."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            text = str(action())
        except BaseException as error:
            text = type(error).__name__
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    text = b""
    while more := os.read(reader, 100):
        text += more
    os.close(reader)
    os.waitpid(child, 0)
    return int(text) if text.isdigit() else text.decode()


def test_admin_is_for_its_owner_only():
    need(os.geteuid() == 0, "only root can become another user")
    with Stage() as stage:
        daemon = stage.daemon()
        assert as_nobody(lambda: connect(daemon.admin)) == "PermissionError"


# The libfcgi engine closes after every answer.
@table([("native",)])
def test_multiplexed_and_kept_connections(engine):
    """KEEP_CONN: several requests on one connection; the native engine also takes two ids at once."""
    with Stage() as stage:
        daemon = stage.daemon(engine=engine)
        token = stage.token()
        client = connect(daemon.fastcgi)
        for number in range(20):
            target = "/v1/orders" if number % 2 else "/v1/nowhere"
            client.sendall(fastcgi_request(facts(target, token=token), keep=True))
            response, protocol = read_fastcgi(client)
            assert (response.status, protocol) == (200 if number % 2 else 403, 0), (number, response)
        client.close()
        if engine == "native":
            client = connect(daemon.fastcgi)
            one = fastcgi_request(facts("/v1/orders", token=token), keep=True, identifier=1)
            two = fastcgi_request(facts("/v1/orders"), keep=True, identifier=2)
            # Interleaved record by record.
            records_one, records_two = split_records(one), split_records(two)
            client.sendall(b"".join(part for pair in zip(records_one, records_two) for part in pair))
            answers = read_two(client)
            # A server that takes one at a time says so for the second: CANT_MPX_CONN.
            assert answers[1] == (200, 0), answers
            assert answers[2] in ((401, 0), (None, 1), (403, 1)), answers
            client.close()


def split_records(data):
    records = []
    while data:
        length = 8 + int.from_bytes(data[4:6], "big") + data[6]
        records.append(data[:length])
        data = data[length:]
    return records


def read_two(client):
    """{id: (status or None, protocol status)} of two answers on one connection."""
    data, outputs, answers = b"", {}, {}
    while len(answers) < 2:
        more = client.recv(65536)
        if not more:
            raise Closed(f"after {answers}")
        data += more
        while len(data) >= 8 and len(data) >= 8 + int.from_bytes(data[4:6], "big") + data[6]:
            length = int.from_bytes(data[4:6], "big")
            identifier, content = int.from_bytes(data[2:4], "big"), data[8:8 + length]
            if data[1] == 6:
                outputs[identifier] = outputs.get(identifier, b"") + content
            if data[1] == 3:
                text = outputs.get(identifier, b"").decode("latin-1")
                status = int(text.split("Status: ")[1][:3]) if "Status: " in text else None
                answers[identifier] = (status, content[4])
            data = data[8 + length + data[6]:]
    return answers


def test_a_responder_that_never_sends_its_input_is_not_allowed():
    """nginx always ends STDIN. A Responder's request without it is unfinished: no answer that allows."""
    with Stage() as stage:
        daemon = stage.daemon()
        client = connect(daemon.fastcgi, timeout=5)
        client.sendall(fastcgi_request(facts("/v1/orders", token=stage.token()), stdin=False))
        client.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while more := client.recv(65536):
                got += more
        except OSError:
            pass
        client.close()
        assert b"Status: 200" not in got, got
        daemon.alive()


def test_nothing_is_read_behind_a_bad_question():
    """A path with line ends that a proxy has not filtered ends its question early; what follows is the client's own
    text. The connection is closed after the answer and the rest is thrown away."""
    with Stage() as stage:
        daemon = stage.daemon()
        good = head_bytes("/", host="scopecheck", close=False, headers=fact_headers(facts("/v1/healthz")))
        for params in (facts("/v1/x%0d%0ay"), facts("/v1/orders", path="/v1/other"), facts("/v1/orders")[:3],
                       facts("/v1/orders") + [("SC_METHOD", "GET")]):
            client = connect(daemon.http)
            client.sendall(head_bytes("/", host="scopecheck", close=False, headers=fact_headers(params)) + good)
            got = b""
            try:
                while more := client.recv(65536):
                    got += more
            except ConnectionError:
                pass
            client.close()
            assert got.count(b"HTTP/1.1 ") == 1 and got.startswith(b"HTTP/1.1 403"), got
        daemon.alive()


LIMITED = """\
policy: {folder}/policy.yaml
store: {folder}/store
workers: 2
admin: {{ address: "{admin}" }}
fastcgi: {{ address: "{fastcgi}" }}
http: {{ address: "{http}" }}
limits: {{ connections: 50, receive_timeout: 1s }}
"""


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as line:
        fields = line.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@table([("limits",), ("descriptors",)])
def test_more_connections_than_there_may_be(limit):
    """Silent connections take all there are, of ours or of the system's: nothing spins, and it serves again."""
    with Stage() as stage:
        daemon = (stage.daemon(config=LIMITED) if limit == "limits"
                  else stage.daemon(launcher=("sh", "-c", 'ulimit -n 60; exec "$@"', "sh")))
        clients = [connect(daemon.http) for _ in range(200)]
        before = processor_seconds(daemon.process.pid)
        time.sleep(1)
        assert processor_seconds(daemon.process.pid) - before < 0.5, "it spins"
        assert open_files(daemon.process.pid) < 120
        for client in clients:
            client.close()
        wait_until(lambda: daemon.ask("/v1/healthz").status == 200, "it answers again")
        daemon.alive()
