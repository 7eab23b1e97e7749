"""HAProxy with the shipped configurations; only addresses are exchanged."""

import contextlib
import csv
import io
import json
import math
import os
import pathlib
import re
import signal
import socket
import time

from certificates import Authority
from harness import ROOT, connect, connects, exchange, free_port, need, program, request, wait_until

FOLDER = ROOT / "haproxy"
# HAProxy's external-check command.
HEALTH = pathlib.Path(os.environ.get("SCOPECHECK_HEALTH_BINARY", ROOT / ".build/release/scopecheck-health"))


def free_addresses(count, taken=()):
    """Loopback addresses of free ports, none twice and none of `taken`: HAProxy binds with SO_REUSEPORT, so two
    listeners on one port would share its connections without a word."""
    found = []
    while len(found) < count:
        address = f"127.0.0.1:{free_port()}"
        if address not in found and address not in taken:
            found.append(address)
    return found


def milliseconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)?", text).groups()
    return int(number) * {"ms": 1, None: 1, "s": 1_000, "m": 60_000}[unit]


class Haproxy:
    """HAProxy on the shipped configuration with `agents`, in the foreground, as master and worker.

    With a single agent the line of the second is taken out. `check` is the file that says how the agents' health is
    asked: "spop-check" or "external-check". `edits` are (old, new) pairs for what an operator would change; each
    `old` must be in the files exactly once. `tcp_server` is where connections to `tcp_addresses` go, `authority` whose
    certificates are trusted.
    """

    def __init__(self, place, agents, application="127.0.0.1:1", edits=(), check="spop-check", tcp_server="127.0.0.1:1",
                 tcp_addresses=(), authority=None, name="haproxy", wait=True):
        need(program("haproxy"), "HAProxy is not installed")
        self.place, self.name = place, name
        self.folder = place.folder / name
        self.folder.mkdir()
        self.authority = authority or Authority(place, f"{name}-authority")
        self.server_certificate = self.authority.issue(f"{name}-server", dns=["api.example.com"], server=True)
        (self.folder / "server.pem").write_bytes(self.server_certificate.path.read_bytes())
        (self.folder / "client-ca.pem").write_bytes(self.authority.path.read_bytes())
        self.tcp_addresses = tcp_addresses or free_addresses(1)
        self.address, self.tls_address, *self.stand_ins = free_addresses(
            4, [*self.tcp_addresses, application, tcp_server])
        self.files = ["haproxy.cfg", f"agents-{check}.cfg"]
        texts = {source.name: source.read_text() for source in FOLDER.iterdir()
                 if source.suffix in (".cfg", ".conf", ".lua", ".map", ".txt")}
        for old, new in self._exchanges(agents, application, tcp_server):
            self._exchange(texts, old, new)
        for old, new in edits:
            self._exchange(texts, old, new)
        for file, text in texts.items():
            (self.folder / file).write_text(text)
        self.processing_milliseconds = milliseconds(
            re.search(r"^ *timeout +processing +(\S+)", texts["scopecheck-spoe.conf"], re.M)[1])
        checks = re.search(r"default-server .*", texts[self.files[1]])[0]
        # From the moment an agent answers again until requests go to it.
        self.rise_milliseconds = (milliseconds(re.search(r"downinter (\S+)", checks)[1])
                                  * int(re.search(r"rise (\d+)", checks)[1]))
        self.process = place.start(
            [program("haproxy"), "-W", "-db", *[part for file in self.files for part in ("-f", file)]], name,
            cwd=self.folder)
        if wait:
            self.wait_ready()

    def _exchanges(self, agents, application, tcp_server):
        yield "bind :8080", f"bind {self.address}"
        yield "bind :8443 ", f"bind {self.tls_address} "
        yield "bind :9443 ", f"bind {','.join(self.tcp_addresses)} "
        yield "server application 127.0.0.1:8081", f"server application {application}"
        # The stand-in for an application listens where nobody asks.
        yield "bind 127.0.0.1:8081", f"bind {self.stand_ins[0]}"
        yield "bind 127.0.0.1:9090", f"bind {self.stand_ins[1]}"
        yield "server metrics-admin 127.0.0.1:9090", f"server metrics-admin {tcp_server}"
        for number in (1, 2):
            line = f"server agent{number} unix@./scopecheck-spop-{number}.sock"
            if number > len(agents):
                yield f"    {line}\n", ""
            else:
                address = agents[number - 1]
                yield line, f"server agent{number} " + (
                    f"unix@{address[5:]}" if address.startswith("unix:") else address)

    def _exchange(self, texts, old, new):
        """In the files that HAProxy is started with; the others stay as they are."""
        used = [*self.files, "scopecheck-spoe.conf"]
        file = next((file for file in used if old in texts[file]), used[0])
        if sum(texts[each].count(old) for each in used) != 1:
            raise AssertionError(f"`{old}` is in {used} {[texts[each].count(old) for each in used]} times")
        texts[file] = exchange(texts[file], old, new)

    def wait_ready(self):
        wait_until(lambda: not self.process.running() or connects(self.address), "HAProxy listens")
        if not self.process.running():
            raise AssertionError("HAProxy ended: " + self.text())

    def text(self):
        return self.process.text()

    def log(self):
        """The request log's lines, parsed; HAProxy's own messages left out."""
        lines = []
        for line in self.text().splitlines():
            start = line.find("{\"")
            if start >= 0:
                with contextlib.suppress(ValueError):
                    lines.append(json.loads(line[start:]))
        return lines

    def request(self, target, method="GET", host="api.example.com", token=None, headers=(), body=None):
        return request(self.address, target, method, host, token, headers, body)

    def ask(self, command):
        """One command to the admin socket."""
        with connect(f"unix:{self.folder}/haproxy-admin.sock") as client:
            client.sendall(command.encode() + b"\n")
            client.shutdown(socket.SHUT_WR)
            out = b""
            while more := client.recv(65_536):
                out += more
        return out.decode()

    def statistics(self):
        """{(proxy, server): {column: text}}"""
        rows = csv.DictReader(io.StringIO(self.ask("show stat").lstrip("# ")))
        return {(row["pxname"], row["svname"]): row for row in rows}

    def agent(self, number):
        return self.statistics()[("scopecheck-agents", f"agent{number}")]

    def version(self):
        return tuple(map(int, re.search(r"^Version: (\d+)\.(\d+)", self.ask("show info"), re.M).groups()))

    def wait_agent(self, number, up):
        wait_until(lambda: self.agent(number)["status"].startswith("UP" if up else "DOWN"),
                   f"agent {number} is {'up' if up else 'down'}")

    def reload(self):
        """As `systemctl reload haproxy` does."""
        before, asked = self.worker(), -math.inf

        def is_new():
            nonlocal asked
            if self.worker() not in (None, before):
                return True
            # A master that has just begun anew may miss a signal; whoever waits for the worker asks again.
            if time.monotonic() > asked + 5:
                asked = time.monotonic()
                self.process.signal(signal.SIGUSR2)
            return False

        wait_until(is_new, "the new worker serves")

    def worker(self):
        """Process id of the worker behind the admin socket."""
        try:
            return int(re.search(r"^Pid: (\d+)", self.ask("show info"), re.M)[1])
        except (OSError, TypeError):
            return None

