"""The questions that proxies ask, a client that asks them one at a time, and the counters of interpose.c.

Used by run.py here and by `bench/run counts`.
"""

import mmap
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/Integration"))
import spop  # noqa: E402

# As `struct counters` of interpose.c has them.
FIELDS = ("allocations", "frees", "maps", "locks", "sends", "clocks")
LISTENERS = ("fastcgi", "http", "spop")
SECONDS_MAX = 30


# --- questions ---------------------------------------------------------------------------------------------------

def facts(target):
    return [("Method", "GET"), ("Target", target), ("Path", target), ("Host", "api.example.com"), ("Scheme", "https"),
            ("Port", "443"), ("Client-Address", "192.0.2.1"), ("Request-Id", "0123456789abcdef")]


def http_request(target, token, scheme="Bearer", more=()):
    """As nginx asks over HTTP. `more` are header lines of the client's, as (name, value)."""
    lines = ["GET /check HTTP/1.1", "Host: scopecheck"]
    lines += [f"SC-{name}: {value}" for name, value in facts(target)]
    if token:
        lines.append(f"Authorization: {scheme} {token}")
    lines += [f"{name}: {value}" for name, value in more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def fastcgi_request(target, token):
    pairs = [("SC_" + name.upper().replace("-", "_"), value) for name, value in facts(target)]
    if token:
        pairs.append(("HTTP_AUTHORIZATION", f"Bearer {token}"))
    content = b""
    for name, value in pairs:
        for text in (name, value):
            content += bytes([len(text)]) if len(text) < 128 else struct.pack(">I", len(text) | 1 << 31)
        content += name.encode() + value.encode()
    record = lambda kind, body: struct.pack(">BBHHBB", 1, kind, 1, len(body), 0, 0) + body
    return (record(1, struct.pack(">HB5x", 1, 0)) + record(4, content) + record(4, b"") + record(5, b""))


def spop_request(target, token):
    arguments = spop.http_arguments(target, token=token, scheme="https", port=443)
    return spop.notify_frame([("scopecheck-http", arguments)]).encoded()


# --- a daemon and its client -------------------------------------------------------------------------------------

class Daemon:
    """A daemon whose listeners are the unix sockets LISTENERS in `folder`, with its configuration beside them, and a
    client that asks one question at a time. `command` is everything before `serve`."""

    def __init__(self, folder, command, environment=None):
        self.folder = folder
        for name in LISTENERS:
            (folder / name).unlink(missing_ok=True)
        with open(folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*command, "serve", "--config", folder / "scopecheck.yaml"], env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def wait_ready(self):
        end = time.monotonic() + SECONDS_MAX
        while not all((self.folder / name).exists() for name in LISTENERS):
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit("the daemon does not listen\n" + (self.folder / "log").read_text(errors="replace"))
            time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Not SIGTERM, which waits for HAProxy to turn to another agent.
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def settle(self):
        """Called after each answer, before the next question. A daemon that is to have one question a turn of its loop is
        waited for here."""

    def settled(self):
        """Whether every thread of it sleeps."""
        for thread in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            # The state follows the name, which may hold anything.
            if (thread / "stat").read_text().rpartition(") ")[2][0] != "S":
                return False
        return True

    def connect(self, name):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(SECONDS_MAX)
        client.connect(str(self.folder / name))
        return client

    def fastcgi(self, requests, expected):
        """A connection for each question, as nginx uses it. `expected` is the status, as bytes."""
        for request in requests:
            with self.connect("fastcgi") as client:
                client.sendall(request)
                answer = b""
                while chunk := client.recv(65536):
                    answer += chunk
            assert b"Status: " + expected in answer, answer
            self.settle()

    def http(self, requests, expected):
        """All on one connection; returns the last answer."""
        answer = b""
        with self.connect("http") as client:
            for request in requests:
                client.sendall(request)
                answer = b""
                while not answer.endswith(b"\r\n\r\n"):
                    chunk = client.recv(65536)
                    assert chunk, answer
                    answer += chunk
                assert answer.startswith(b"HTTP/1.1 " + expected), answer
                self.settle()
        return answer

    def spop(self, requests, expected):
        with self.connect("spop") as client:
            client.sendall(spop.hello_frame().encoded())
            self._frame(client)
            for request in requests:
                client.sendall(request)
                actions = self._frame(client)
                # status: name, type uint32, varint.
                assert b"status\x03" + spop.varint(int(expected)) in actions, actions
                self.settle()

    def _frame(self, client):
        size = struct.unpack(">I", client.recv(4, socket.MSG_WAITALL))[0]
        return client.recv(size, socket.MSG_WAITALL)


# --- counters ----------------------------------------------------------------------------------------------------

class Counters:
    """What the threads of a program did whose names start with `thread`, when it runs with `environment`."""

    def __init__(self, folder, thread="worker", plant=False):
        library = folder / "interpose.so"
        if not library.exists():
            subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library,
                            pathlib.Path(__file__).with_name("interpose.c"), "-ldl"], check=True)
        self._page = folder / f"counts-{thread}"
        self._page.write_bytes(b"\0" * mmap.PAGESIZE)
        self.environment = dict(LD_PRELOAD=str(library), ALLOCATION_COUNTS=str(self._page), ALLOCATION_THREAD=thread)
        if plant:
            self.environment["ALLOCATION_PLANT"] = "1"

    def read(self):
        return dict(zip(FIELDS, struct.unpack_from(f"{len(FIELDS)}Q", self._page.read_bytes())))

    def change(self, action):
        """How much each counter grows while `action` runs."""
        before = self.read()
        action()
        after = self.read()
        return {field: after[field] - before[field] for field in FIELDS}
