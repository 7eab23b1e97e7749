"""A checker that answers what a test tells it to, so that a proxy's configuration can be shown answers that
the real daemon never gives. It speaks FastCGI and HTTP and records every fact that it was sent."""

import os
import socket
import threading
import time

from harness import Closed, end_listening, record

GRANTED = (200, "granted", "")
CHALLENGE = 'Bearer realm="scopecheck", error="insufficient_scope", scope="orders:write"'


def answer_headers(status, reason, challenge, nonce=""):
    """The headers of one answer, as the daemon sends them."""
    allow = status == 200
    headers = [
        ("X-Scope-Decision", "allow" if allow else "deny"), ("X-Scope-Reason", reason),
        ("X-Scope-Route", "GET /orders/{order}"), ("X-Scope-Policy", "1.abcdef"),
        ("X-Scope-Audit-Id", "fake-%016x" % time.monotonic_ns()),
        ("X-Scope-Subject", "alice" if allow else ""), ("X-Scope-Client", "web" if allow else ""),
        ("X-Scope-Issuer", "https://id.example.com" if allow else ""),
        ("X-Scope-Granted", "orders:read" if allow else ""),
        ("Txn-Token", ""), ("X-Scope-Forward-Token", "yes" if allow else ""),
    ]
    if challenge:
        headers.append(("WWW-Authenticate" if status == 401 else "X-Scope-Challenge", challenge))
    if nonce:
        headers.append(("DPoP-Nonce", nonce))
    return headers


class FakeChecker:
    """`script(names) -> answer` decides, where names is a list of (name, value) pairs as they were sent, and
    an answer is (status, reason, challenge) and perhaps a nonce, or raw bytes (HTTP: a whole response; FastCGI:
    STDOUT's content), or "close", "silent", "garbage", "end" (FastCGI: END_REQUEST without any STDOUT)."""

    def __init__(self, place, kind, script):
        self.kind, self.script = kind, script
        self.address = f"unix:{place.folder}/fake-{kind}.sock"
        self.questions, self.connections = [], 0
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.address[5:])
        os.chmod(self.address[5:], 0o666)
        self.listener.listen(512)
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()
        place.at_end(lambda: end_listening(self.listener))

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
        try:
            if self.kind == "fastcgi":
                self._fastcgi(client)
            else:
                while self._http(client):
                    pass
        except (OSError, Closed):
            pass
        finally:
            client.close()

    def _decide(self, names):
        with self._lock:
            self.questions.append(names)
        return self.script(names)

    def _fastcgi(self, client):
        params, data = b"", b""
        while True:
            while len(data) < 8 or len(data) < 8 + int.from_bytes(data[4:6], "big") + data[6]:
                more = client.recv(65536)
                if not more:
                    return
                data += more
            length, kind = int.from_bytes(data[4:6], "big"), data[1]
            content, data = data[8:8 + length], data[8 + length + data[6]:]
            if kind == 4:
                params += content
            if kind == 5 and not content:
                break
        answer = self._decide(parse_params(params))
        end = record(3, b"\0" * 8)
        if answer == "garbage":
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n" * 4)
        elif answer == "end":
            client.sendall(end)
        elif answer == "silent":
            time.sleep(4)
        elif isinstance(answer, bytes):
            client.sendall(record(6, answer) + record(6) + end)
        elif answer != "close":
            text = f"Status: {answer[0]}\r\n" + "".join(
                f"{name}: {value}\r\n" for name, value in answer_headers(*answer))
            client.sendall(record(6, text.encode() + b"\r\n") + record(6) + end)

    def _http(self, client):
        data = b""
        while b"\r\n\r\n" not in data:
            more = client.recv(65536)
            if not more:
                return False
            data += more
        lines = data.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        names = [("", lines[0])] + [
            (line.split(":", 1)[0], line.split(":", 1)[1].strip(" \t")) for line in lines[1:]]
        answer = self._decide(names)
        if answer == "garbage":
            client.sendall(b"\x01\x06\0\x01" * 8)
            return False
        if answer in ("close", "end"):
            return False
        if answer == "silent":
            time.sleep(4)
            return False
        if isinstance(answer, bytes):
            client.sendall(answer)
            return False
        text = f"HTTP/1.1 {answer[0]} X\r\nContent-Length: 0\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in answer_headers(*answer))
        client.sendall(text.encode() + b"\r\n")
        return True


def parse_params(data):
    pairs, at = [], 0

    def length():
        nonlocal at
        if data[at] < 128:
            at += 1
            return data[at - 1]
        at += 4
        return int.from_bytes(data[at - 4:at], "big") & 0x7FFFFFFF

    while at < len(data):
        name_count, value_count = length(), length()
        pairs.append((data[at:at + name_count].decode("latin-1"),
                      data[at + name_count:at + name_count + value_count].decode("latin-1")))
        at += name_count + value_count
    return pairs
