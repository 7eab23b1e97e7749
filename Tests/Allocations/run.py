"""A request with a token seen before allocates nothing, maps nothing and takes no lock, from accept to close.

Counted on the release binary by a preloaded library (interpose.c) that watches the worker threads, on all
transports: FastCGI with a connection for each request, as nginx uses it, HTTP and SPOP kept alive. A planted
allocation must be caught, or the count proves nothing.
"""

import json
import mmap
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/Integration"))
import spop  # noqa: E402
BINARY = pathlib.Path(os.environ.get("SCOPECHECK_BINARY", ROOT / ".build/release/scopecheck"))
WARM = 3_000
COUNTED = 3_000
FIELDS = ("allocations", "frees", "maps", "locks", "sends")

POLICY = """
scopecheck: 1
issuers:
  - issuer: https://id.example.com
    audience: [https://api.example.com]
    keys: { jwks_file: jwks.json }
    algorithms: [ES256]
scopes:
  orders:read: {}
  orders:admin: { implies: ["orders:*"] }
services:
  orders:
    hosts: [api.example.com]
    routes:
      - { match: "GET /orders/{order}", scopes: orders:read }
      - { match: "GET /users/{user}", scopes: orders:read, where: { user: sub } }
      - { match: GET /healthz, public: true }
  payments:
    hosts: [api.example.com]
    base_path: /payments
    transaction_token: true
    forward_token: never
    routes:
      - match: "GET /{payment}"
        scopes: orders:read
        authorization_details: { type: payment, actions: [read] }
"""

CONFIGURATION = """
policy: policy.yaml
store: store
workers: 1
http: { address: "unix:http" }
fastcgi: { address: "unix:fastcgi" }
spop: { address: "unix:spop" }
transaction_tokens: { issuer: "https://gateway.example.com", lifetime: 300s }
"""


def facts(target, token):
    return [("Method", "GET"), ("Target", target), ("Path", target), ("Host", "api.example.com"), ("Scheme", "https"),
            ("Port", "443"), ("Client-Address", "192.0.2.1"), ("Request-Id", "0123456789abcdef")], token


def http_request(target, token):
    lines = ["GET /check HTTP/1.1", "Host: scopecheck"]
    lines += [f"SC-{name}: {value}" for name, value in facts(target, token)[0]]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def fastcgi_request(target, token):
    pairs = [("SC_" + name.upper().replace("-", "_"), value) for name, value in facts(target, token)[0]]
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


class Daemon:
    def __init__(self, folder, library, plant):
        self.folder = folder
        self.counts = folder / "counts"
        self.counts.write_bytes(b"\0" * 4096)
        environment = dict(os.environ, LD_PRELOAD=str(library), ALLOCATION_COUNTS=str(self.counts))
        if plant:
            environment["ALLOCATION_PLANT"] = "1"
        self.process = subprocess.Popen(
            [BINARY, "serve", "--config", folder / "scopecheck.yaml"], env=environment, stderr=open(folder / "log", "ab"))
        end = time.monotonic() + 30
        while not all((folder / name).exists() for name in ("fastcgi", "http", "spop")):
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit((folder / "log").read_text())
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Not SIGTERM, which waits for HAProxy to turn to another agent.
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def read(self):
        with open(self.counts, "rb") as file, mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_READ) as page:
            return dict(zip(FIELDS, struct.unpack("5Q", page[:40])))

    def connect(self, name):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(30)
        client.connect(str(self.folder / name))
        return client

    def fastcgi(self, request, count, expected):
        for _ in range(count):
            with self.connect("fastcgi") as client:
                client.sendall(request)
                answer = b""
                while chunk := client.recv(65536):
                    answer += chunk
            assert b"Status: " + expected in answer, answer

    def http(self, request, count, expected):
        with self.connect("http") as client:
            for _ in range(count):
                client.sendall(request)
                answer = b""
                while not answer.endswith(b"\r\n\r\n"):
                    answer += client.recv(65536)
                assert answer.startswith(b"HTTP/1.1 " + expected), answer

    def spop(self, request, count, expected):
        with self.connect("spop") as client:
            client.sendall(spop.hello_frame().encoded())
            self.frame(client)
            for _ in range(count):
                client.sendall(request)
                actions = self.frame(client)
                # status: name, type uint32, varint.
                assert b"status\x03" + spop.varint(int(expected)) in actions, actions

    def frame(self, client):
        size = struct.unpack(">I", client.recv(4, socket.MSG_WAITALL))[0]
        return client.recv(size, socket.MSG_WAITALL)


def scenario(daemon, name, send, request, expected):
    send(request, WARM, expected)
    before = daemon.read()
    send(request, COUNTED, expected)
    after = daemon.read()
    change = {field: after[field] - before[field] for field in FIELDS}
    print(f"  {name}: " + ", ".join(f"{value} {field}" for field, value in change.items()))
    return change


def scenarios(daemon, tokens):
    for name, target, token, expected in (
            ("allow", "/orders/7", tokens[0], b"200"), ("transaction token", "/payments/7", tokens[0], b"200"),
            ("bound to the path", "/users/alice", tokens[0], b"200"),
            ("public", "/healthz", None, b"200"), ("insufficient scope", "/orders/7", tokens[1], b"403"),
            ("no token", "/orders/7", None, b"401"), ("unknown route", "/nowhere", tokens[0], b"403")):
        yield f"FastCGI, {name}", daemon.fastcgi, fastcgi_request(target, token), expected
        yield f"HTTP, {name}", daemon.http, http_request(target, token), expected
        yield f"SPOP, {name}", daemon.spop, spop_request(target, token), expected


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="sc-") as path:
        folder = pathlib.Path(path)
        library = folder / "interpose.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library,
                        pathlib.Path(__file__).with_name("interpose.c"), "-ldl"], check=True)
        (folder / "policy.yaml").write_text(POLICY)
        (folder / "scopecheck.yaml").write_text(CONFIGURATION)
        # Tokens are held against what was revoked: of another subject.
        (folder / "store").mkdir(mode=0o700)
        subprocess.run([BINARY, "revoke", "--store", folder / "store", "--issuer", "https://id.example.com", "--subject",
                        "mallory"], check=True, capture_output=True)
        subprocess.run([BINARY, "keys", "generate", "--algorithm", "ES256", "--output", folder], check=True,
                       stdout=subprocess.DEVNULL)
        now = int(time.time())
        tokens = []
        for scope in ("orders:admin", "other"):
            claims = dict(iss="https://id.example.com", aud="https://api.example.com", sub="alice", client_id="web",
                          iat=now, exp=now + 3600, jti="1", scope=scope,
                          authorization_details=[dict(type="payment", actions=["read"])])
            made = subprocess.run([BINARY, "token", "mint", "--key", folder / "private.jwk", "--claims",
                                   json.dumps(claims)], check=True, capture_output=True, text=True)
            tokens.append(made.stdout.strip())
        print("nothing is allocated, mapped or locked for a token seen before")
        with Daemon(folder, library, plant=False) as daemon:
            for name, send, request, expected in scenarios(daemon, tokens):
                change = scenario(daemon, name, send, request, expected)
                clean = change["allocations"] == change["frees"] == change["maps"] == change["locks"] == 0
                # Denials are logged, at most so many a second; a send for each answer proves the watch.
                if clean and change["sends"] >= COUNTED:
                    passed += 1
                else:
                    failed += 1
                    print(f"  FAILED: {name}")
        print("an allocation planted on purpose is caught")
        with Daemon(folder, library, plant=True) as daemon:
            name, send, request, expected = next(scenarios(daemon, tokens))
            change = scenario(daemon, name, send, request, expected)
            if change["allocations"] >= COUNTED:
                passed += 1
            else:
                failed += 1
                print("  FAILED: the planted allocation was not counted")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


main()
