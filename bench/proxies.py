"""What a question costs behind a real proxy: CPU of the proxy and its checker together, against the smallest server that
always says yes.

A floor gives the bytes that Scopecheck gives, taken from a real answer, under the same proxy configuration. The location
behind the gate answers by itself, so that nothing but the question is measured. Runs alternate in pairs; a ratio is
the geometric mean over the pairs with its 95 % interval (Student's t on logarithms).
"""

import json
import math
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/Integration"))

import issuer  # noqa: E402
from daemon import Daemon, Stage, cli  # noqa: E402
from harness import (Nginx, Settings, connect, connects, fact_headers, facts, fastcgi_request, request,  # noqa: E402
                     wait_until)
from haproxy import Haproxy  # noqa: E402
from spop import http_arguments, notify_frame  # noqa: E402
from spop_client import SpopClient  # noqa: E402

FLOORS = pathlib.Path(__file__).resolve().parent / "floors"
# Two-sided 95 %, by degrees of freedom; beyond the last one the normal distribution's.
STUDENT = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201,
           12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093, 20: 2.086, 24: 2.064,
           29: 2.045, 39: 2.023, 59: 2.001}


def compile_program(place, source):
    made = place.folder / pathlib.Path(source).stem
    if not made.exists():
        subprocess.run(["cc", "-O2", "-o", made, source, "-lm"], check=True)
    return made


def policy(routes, hosts=10):
    lines = ["scopecheck: 1", "issuers:",
             "  - { issuer: https://id.example.com, audience: [https://api.example.com], keys: { jwks_file: jwks.json },",
             "      algorithms: [ES256] }", "scopes:", "  a:read: {}", "services:"]
    for host in range(hosts):
        lines += [f"  s{host}:", f"    hosts: [h{host}.example.com]", "    routes:"]
        lines += [f'      - {{ match: "GET /v1/c{route % 50}/r{route}/{{id}}", scopes: a:read }}'
                  for route in range(routes // hosts)]
    return "\n".join(lines) + "\n"


def cpu_seconds(pids):
    """Time that all threads of these processes have run; nanosecond clock of the scheduler."""
    total = 0
    for pid in pids:
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def family(pid):
    """A process and its children."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [each for child in children for each in family(int(child))]


def ratio(pairs):
    """(mean, low, high) of first / second."""
    logs = [math.log(one / other) for one, other in pairs]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return math.exp(mean), 0.0, math.inf
    freedom = len(logs) - 1
    factor = next((value for key, value in STUDENT.items() if key >= freedom), 1.96)
    half = factor * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


class Contender:
    """One proxy with one checker behind it."""

    def __init__(self, name, address, proxy, checker):
        self.name, self.address, self.proxy, self.checker = name, address, proxy, checker
        self.runs = []

    def pids(self):
        return family(self.proxy) + [self.checker]

    def run(self, load, requests, seconds, connections, rate=None):
        pids = self.pids()
        before = cpu_seconds(pids)
        arguments = [load, self.address, "--requests", requests, "--seconds", str(seconds), "--connections",
                     str(connections), "--zipf"]
        if rate:
            arguments += ["--rate", str(rate)]
        result = json.loads(subprocess.run(arguments, check=True, capture_output=True).stdout)
        result["cpu_us"] = (cpu_seconds(pids) - before) * 1e6 / max(1, result["answers"])
        return result


class Ground(Stage):
    """A policy, tokens and questions that all contenders are given."""

    def __init__(self, routes, algorithm="ES256"):
        super().__init__(policy(routes), algorithm)
        self.routes = routes
        self.good = self.token("a:read")

    def requests(self, count, token=None):
        chunks = []
        for number in range(count):
            host, route = number % 10, (number * 7919) % (self.routes // 10)
            head = (f"GET /v1/c{route % 50}/r{route}/{number} HTTP/1.1\r\nHost: h{host}.example.com\r\n"
                    f"Authorization: Bearer {token or self.good}\r\n\r\n")
            chunks.append(f"200 {len(head)}\n{head}")
        return self.write("requests", "".join(chunks))

    def verdicts(self):
        """(token, status) that every checker of tokens must give on a route that needs `a:read`."""
        head, claims, _ = self.good.split(".")
        forged = ".".join([head, claims, issuer.b64(b"\1" * 64)])
        return [(self.good, 200), (self.token("b:read"), 403), (self.token("a:read", lifetime=-60), 401), (forged, 401),
                (None, 401)]


def check(contender, ground):
    """What must hold before anything is timed."""
    for token, status in ground.verdicts():
        got = request(contender.address, "/v1/c0/r0/1", host="h0.example.com", token=token).status
        if got != status:
            raise SystemExit(f"{contender.name} answers {got} instead of {status}")


def nginx(ground, kind, checker, name):
    """nginx from the shipped configuration, one worker; the location answers by itself."""
    edits = [("worker_processes 2;", "worker_processes 1;"), ("access_log access.log scopecheck;", "access_log off;"),
             # A connection that nginx ends after a thousand requests would count as an error.
             ("    server_tokens off;", "    server_tokens off;\n    keepalive_requests 1000000000;"),
             ("            proxy_pass http://application;", "            empty_gif;")]
    return Nginx(ground, kind, checker, "127.0.0.1:1", edits=edits, name=name)


def haproxy(ground, agent, name):
    """HAProxy from the shipped configuration, one thread; the backend answers by itself."""
    edits = [("    tune.maxrewrite 16384\n", "    tune.maxrewrite 16384\n    nbthread 1\n"),
             ("    log global\n    option dontlognull", "    no log\n    option dontlognull"),
             ("    # Your application. It must be reachable by HAProxy alone.\n", "    http-request return status 200\n")]
    return Haproxy(ground, [agent], edits=edits, name=name)


def answer_bytes(daemon, ground, kind):
    """A whole allow of Scopecheck as it stands on the wire."""
    params = facts("/v1/c0/r0/1", host="h0.example.com", token=ground.good)
    if kind == "http":
        head = "GET / HTTP/1.1\r\nHost: scopecheck\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fact_headers(params)) + "\r\n"
        with connect(daemon.http) as client:
            client.sendall(head.encode())
            out = b""
            while b"\r\n\r\n" not in out:
                out += client.recv(65_536)
        if not out.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"not an allow: {out!r}")
        return out
    with connect(daemon.fastcgi) as client:
        client.sendall(fastcgi_request(params))
        out = b""
        while more := client.recv(65_536):
            out += more
        return out


def spop_actions(daemon, ground):
    """The actions of an ACK of an allow."""
    with SpopClient(daemon.spop) as client:
        client.hello()
        client.send(notify_frame(
            [("scopecheck-http", http_arguments("/v1/c0/r0/1", host="h0.example.com", token=ground.good))], 1, 1))
        return client.frame().payload


def compare(one, other, load, requests, pairs, seconds, connections):
    for contender in (one, other):
        contender.run(load, requests, min(1, seconds), connections)
    found = []
    for number in range(pairs):
        order = (one, other) if number % 2 == 0 else (other, one)
        results = {each.name: each.run(load, requests, seconds, connections) for each in order}
        for each in (one, other):
            each.runs.append(results[each.name])
        found.append((results[one.name]["cpu_us"], results[other.name]["cpu_us"]))
        if sys.stderr.isatty():
            print(f"\r{one.name}: pair {number + 1} of {pairs}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return ratio(found)


def latency(one, other, load, requests, pairs, seconds, connections):
    """p99 under half of what the slower one reaches, each as a ratio."""
    top = min(statistics.median(run["per_second"] for run in each.runs) for each in (one, other))
    found, spread = [], {one.name: [], other.name: []}
    for number in range(pairs):
        order = (one, other) if number % 2 == 0 else (other, one)
        results = {each.name: each.run(load, requests, seconds, connections, rate=top / 2) for each in order}
        for each in (one, other):
            spread[each.name].append(results[each.name])
        found.append((results[one.name]["p99_us"], results[other.name]["p99_us"]))
    return ratio(found), spread


def summary(contender, scenario, at_rate=None):
    runs = contender.runs
    line = dict(contender=contender.name, scenario=scenario,
                cpu_us_per_request=round(statistics.median(run["cpu_us"] for run in runs), 2),
                requests_per_second=round(statistics.median(run["per_second"] for run in runs)),
                wrong_answers=sum(run["wrong"] + run["errors"] for run in runs))
    source = at_rate or runs
    for name in ("p50_us", "p99_us", "p999_us"):
        line[name] = round(statistics.median(run[name] for run in source), 1)
    return line


def revoke(ground, daemon):
    """Revocations that name none of the tokens in use: the check is on, and answers no."""
    cli("revoke", "--issuer", issuer.ISSUER, "--subject", "somebody-else", "--admin", daemon.admin, check=0)


def run(names, smoke, binary):
    """Returns (results, goals)."""
    Settings.binary = pathlib.Path(binary)
    pairs, seconds, connections = (2, 0.3, 8) if smoke else (20, 2.0, 32)
    results, goals = [], []
    with Ground(200 if smoke else 10_000) as ground:
        load = compile_program(ground, FLOORS.parent / "load.c")
        requests = ground.requests(100 if smoke else 2_000)
        daemon = Daemon(ground, spop=True, flags=["--workers", "1"])
        revoke(ground, daemon)
        for kind in [each for each in ("http", "fastcgi") if "nginx" in names]:
            floor = compile_program(ground, FLOORS / f"{kind}.c")
            (ground.folder / f"{kind}.answer").write_bytes(answer_bytes(daemon, ground, kind))
            path = ground.folder / f"{kind}-floor.sock"
            yes = ground.start([floor, path, ground.folder / f"{kind}.answer"], f"{kind}-floor")
            wait_until(lambda: connects(f"unix:{path}"), "the floor listens")
            ours_proxy = nginx(ground, kind, daemon.http if kind == "http" else daemon.fastcgi, f"nginx-{kind}")
            floor_proxy = nginx(ground, kind, f"unix:{path}", f"nginx-{kind}-floor")
            ours = Contender(f"nginx + Scopecheck, {kind}", ours_proxy.address, ours_proxy.process.pid, daemon.process.pid)
            base = Contender(f"nginx + always yes in C, {kind}", floor_proxy.address, floor_proxy.process.pid, yes.pid)
            check(ours, ground)
            measured(ours, base, load, requests, pairs, seconds, connections, {"http": 1.15, "fastcgi": 1.10}[kind],
                     f"nginx {kind}", results, goals)
        if "haproxy" in names:
            floor = compile_program(ground, FLOORS / "spop.c")
            (ground.folder / "spop.actions").write_bytes(spop_actions(daemon, ground))
            path = ground.folder / "spop-floor.sock"
            yes = ground.start([floor, path, ground.folder / "spop.actions"], "spop-floor")
            wait_until(lambda: connects(f"unix:{path}"), "the floor listens")
            ours_proxy = haproxy(ground, daemon.spop, "haproxy")
            floor_proxy = haproxy(ground, f"unix:{path}", "haproxy-floor")
            ours = Contender("HAProxy + Scopecheck", ours_proxy.address, ours_proxy.process.pid, daemon.process.pid)
            base = Contender("HAProxy + always yes in C", floor_proxy.address, floor_proxy.process.pid, yes.pid)
            check(ours, ground)
            measured(ours, base, load, requests, pairs, seconds, connections, 1.20, "HAProxy SPOE", results, goals)
    return results, goals


def measured(ours, base, load, requests, pairs, seconds, connections, limit, scenario, results, goals):
    mean, low, high = compare(ours, base, load, requests, pairs, seconds, connections)
    goals.append(dict(name=f"{scenario}: CPU of a question against the floor", ratio=round(mean, 3), low=round(low, 3),
                      high=round(high, 3), limit=limit, met=high <= limit))
    (mean, low, high), spread = latency(ours, base, load, requests, pairs, seconds, connections)
    goals.append(dict(name=f"{scenario}: p99 at half load against the floor", ratio=round(mean, 3), low=round(low, 3),
                      high=round(high, 3), limit=1.2, met=high <= 1.2))
    for each in (ours, base):
        results.append(summary(each, scenario, spread[each.name]))


def table(results, goals):
    lines = [f"{'':42}{'CPU us':>9}{'req/s':>9}{'p50 us':>9}{'p99 us':>9}{'p99.9 us':>10}{'wrong':>7}"]
    for each in results:
        lines.append(f"{each['contender']:42}{each['cpu_us_per_request']:9.2f}{each['requests_per_second']:9}"
                     f"{each['p50_us']:9.1f}{each['p99_us']:9.1f}{each['p999_us']:10.1f}{each['wrong_answers']:7}")
    for goal in goals:
        lines.append(f"{goal['name']}: {goal['ratio']} ({goal['low']} to {goal['high']}), goal {goal['limit']}: "
                     + ("met" if goal["met"] else "not met"))
    return "\n".join(lines)
