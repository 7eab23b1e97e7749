"""What a question costs behind a real proxy: CPU of the proxy and its checker together, against the smallest server that
always says yes.

A floor gives the bytes that Scopecheck gives, taken from a real answer, under the same proxy configuration. The location
behind the gate answers by itself, so that nothing but the question is measured.
"""

import contextlib

from measuring.contender import FLOORS, HERE, Contender, compare, compile_program, figures, latency
from measuring.ground import Ground, check

import issuer  # noqa: E402
from daemon import Daemon, cli  # noqa: E402
from harness import Nginx, connect, connects, fact_headers, facts, fastcgi_request, wait_until  # noqa: E402
from haproxy import Haproxy  # noqa: E402
from spop import http_arguments, notify_frame  # noqa: E402
from spop_client import SpopClient  # noqa: E402


def proxy_of_nginx(ground, kind, checker, name, processes=1):
    """nginx from the shipped configuration; the location answers by itself."""
    edits = [("worker_processes 2;", f"worker_processes {processes};"), ("access_log access.log scopecheck;", "access_log off;"),
             # A connection that nginx ends after a thousand requests would count as an error.
             ("    server_tokens off;", "    server_tokens off;\n    keepalive_requests 1000000000;"),
             ("            proxy_pass http://application;", "            empty_gif;")]
    return Nginx(ground, kind, checker, "127.0.0.1:1", edits=edits, name=name)


def proxy_of_haproxy(ground, agent, name, edits=()):
    """HAProxy from the shipped configuration, one thread; the backend answers by itself."""
    edits = [*edits, ("    tune.maxrewrite 16384\n", "    tune.maxrewrite 16384\n    nbthread 1\n"),
             ("    log global\n    option dontlognull", "    no log\n    option dontlognull"),
             ("    # Your application. It must be reachable by HAProxy alone.\n", "    http-request return status 200\n")]
    return Haproxy(ground, [agent], edits=edits, name=name)


def answer_bytes(daemon, ground, kind):
    """A whole allow of Scopecheck as it stands on the wire."""
    params = facts("/v1/c0/r0/1", host="h0.example.com", token=ground.good)
    if kind == "http":
        lines = "".join(f"{name}: {value}\r\n" for name, value in fact_headers(params))
        with connect(daemon.http) as client:
            client.sendall(f"GET / HTTP/1.1\r\nHost: scopecheck\r\n{lines}\r\n".encode())
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


def start_floor(ground, source, answer, name, *libraries):
    """A server that always says yes with these bytes. Returns (address, process)."""
    program = compile_program(ground.folder, FLOORS / source, *libraries)
    path = ground.folder / f"{name}.sock"
    (ground.folder / f"{name}.answer").write_bytes(answer)
    process = ground.start([program, path, ground.folder / f"{name}.answer"], name)
    wait_until(lambda: connects(f"unix:{path}"), "the floor listens")
    return f"unix:{path}", process


def revoke(ground, daemon):
    """Revocations that name none of the tokens in use: the check is on, and answers no."""
    cli("revoke", "--issuer", issuer.ISSUER, "--subject", "somebody-else", "--admin", daemon.admin, check=0)


@contextlib.contextmanager
def arena(settings):
    """A ground, its questions, the load generator and a daemon with one worker."""
    with Ground(200 if settings.smoke else 10_000) as ground:
        load = compile_program(ground.folder, HERE / "load.c")
        requests = ground.requests(100 if settings.smoke else 2_000)
        daemon = Daemon(ground, spop=True, flags=["--workers", "1"])
        revoke(ground, daemon)
        yield ground, load, requests, daemon


def sizes(settings):
    """(pairs, seconds of each run, connections)"""
    return (2, 0.3, 8) if settings.smoke else (20, 1.0, 32)


def nginx(settings, report):
    with arena(settings) as (ground, load, requests, daemon):
        for kind, limit in (("http", 1.15), ("fastcgi", 1.10)):
            checker = daemon.http if kind == "http" else daemon.fastcgi
            answer = answer_bytes(daemon, ground, kind)
            ours_proxy = proxy_of_nginx(ground, kind, checker, f"nginx-{kind}")
            ours = Contender(f"nginx + Scopecheck, {kind}", ours_proxy.address,
                             [ours_proxy.process.pid, daemon.process.pid], requests)
            check(ours, ground)
            bases = [(f"{kind}.c", f"nginx + always yes in C, {kind}", limit, [])]
            if kind == "fastcgi":
                bases.append(("libfcgi.c", "nginx + always yes with libfcgi", 0.85, ["-lfcgi", "-lpthread"]))
            for source, name, most, libraries in bases:
                address, process = start_floor(ground, source, answer, f"floor-{source[:-2]}", *libraries)
                proxy = proxy_of_nginx(ground, kind, address, f"nginx-floor-{source[:-2]}")
                base = Contender(name, proxy.address, [proxy.process.pid, process.pid], requests)
                measure(settings, ours, base, load, most, f"nginx {kind}", report, latency_counts=not libraries)


def haproxy(settings, report):
    with arena(settings) as (ground, load, requests, daemon):
        address, process = start_floor(ground, "spop.c", spop_actions(daemon, ground), "floor-spop")
        ours_proxy = proxy_of_haproxy(ground, daemon.spop, "haproxy")
        floor_proxy = proxy_of_haproxy(ground, address, "haproxy-floor")
        ours = Contender("HAProxy + Scopecheck", ours_proxy.address, [ours_proxy.process.pid, daemon.process.pid], requests)
        base = Contender("HAProxy + always yes in C", floor_proxy.address, [floor_proxy.process.pid, process.pid], requests)
        check(ours, ground)
        measure(settings, ours, base, load, 1.20, "HAProxy SPOE", report)


def measure(settings, ours, base, load, limit, scenario, report, latency_counts=True):
    pairs, seconds, connections = sizes(settings)
    ours.runs = []
    mean, low, high = compare(ours, base, load, pairs, seconds, connections)
    report.goal(f"{scenario}: CPU of a question, against {base.name}", mean, limit, low, high)
    if not latency_counts:
        for each in (ours, base):
            report.result(each.name, f"{scenario}, beside {base.name}", **figures(each))
        return
    (middle, low, high), runs = latency(ours, base, load, pairs, seconds, connections)
    report.goal(f"{scenario}: p99 at half load, against {base.name}", middle, 1.2, low, high)
    for each in (ours, base):
        report.result(each.name, scenario, **figures(each, runs[each.name]))
