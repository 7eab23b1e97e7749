"""Good requests beside a flood of forged tokens: `bench/run flood`.

Three load generators with connections of their own ask one proxy: good requests with one of 100 tokens that were seen
before, at a quarter of what the proxy reaches; good requests with tokens that nobody has seen, one for each hundred of
the former; and forged tokens, a good token's head and claims under a signature of random bytes, each of them sent once. A
round has a window of one second without a flood and one for each rate of it, in alternating order. Proxy and daemon have
one thread each.

The goal is for tokens that were seen before. Those seen first have to wait for their verification behind forged ones, since
nothing tells them apart before; how many of them were answered, how late, and how many were refused with 503 is told
beside. `busy` is the share of all processors' time that was used: where it comes near 1 the generators, which run on the
same machine, hold up each other, and the latencies are no longer the daemon's alone. All clients have one address.
"""

import base64
import contextlib
import json
import os
import pathlib
import subprocess
import time

from benches.proxies import proxy_of_haproxy, proxy_of_nginx, revoke
from measuring.contender import HERE, Contender, compile_program
from measuring.ground import Ground, check
from measuring.settings import progress
from measuring.intervals import median_interval, median_ratio

from daemon import Daemon

CONNECTIONS = 32
GOOD_TOKENS = 100
# Of the good requests, those whose token nobody has seen.
FIRST_SEEN_SHARE = 0.01


def flood(settings, report):
    with Ground(200 if settings.smoke else 10_000) as ground:
        load = compile_program(ground.folder, HERE / "load.c")
        requests = ground.requests(100 if settings.smoke else 2_000, [ground.token("a:read") for _ in range(GOOD_TOKENS)])
        daemon = Daemon(ground, spop=True, flags=["--workers", "1"])
        revoke(ground, daemon)
        for name, launch in (
                ("nginx http", lambda: proxy_of_nginx(ground, "http", daemon.http, "nginx-http")),
                ("nginx fastcgi", lambda: proxy_of_nginx(ground, "fastcgi", daemon.fastcgi, "nginx-fastcgi")),
                ("HAProxy SPOE", lambda: proxy_of_haproxy(ground, daemon.spop, "haproxy"))):
            proxy = launch()
            contender = Contender(name, proxy.address, [proxy.process.pid, daemon.process.pid], requests)
            check(contender, ground)
            measure(settings, report, ground, contender, load)
            proxy.process.end()
    progress("")


def measure(settings, report, ground, contender, load):
    rounds, seconds, rates, saturated = (2, 0.2, (200, 500), 1) if settings.smoke else (20, 1.0, (2_000, 10_000), 5)
    top = sorted(contender.run(load, seconds, CONNECTIONS)["per_second"] for _ in range(3))[1]
    windows = Windows(ground, contender, load, seconds, top / 4)
    floods = {f"{rate} forged tokens a second": rate for rate in rates}
    runs = {name: [] for name in ["no flood", *floods]}
    for number in range(rounds):
        progress(f"flood, {contender.name}: round {number + 1} of {rounds}")
        names = list(runs) if number % 2 == 0 else list(runs)[::-1]
        for name in names:
            runs[name].append(windows.run(floods.get(name, 0)))
    most = "as many forged tokens as 64 connections carry"
    progress(f"flood, {contender.name}: as much as goes")
    runs[most] = [windows.run(None) for _ in range(saturated)]
    for name, each in runs.items():
        tell(report, contender, name, each)
    for name in floods:
        pairs = [(p99(with_flood["good"]), p99(without["good"]))
                 for with_flood, without in zip(runs[name], runs["no flood"])]
        middle, low, high = median_ratio(pairs)
        report.goal(f"{contender.name}: p99 of good requests beside {name}, against none", middle, 2, low, high)


def p99(run):
    """Microseconds. A window without a single answer is as long as the worst of them could be."""
    return run["p99_us"] if run["answers"] else run["seconds"] * 1e6


def tell(report, contender, name, runs):
    good, first, forged = ([run[kind] for run in runs if kind in run] for kind in ("good", "first", "forged"))

    def middle(some, figure):
        return median_interval([run[figure] for run in some])[0]

    # A refusal with 503 is an answer that the daemon may give while others wait; anything else but the right one is not.
    wrong = sum(run["wrong"] - run["statuses"].get("503", 0) for run in [*first, *forged])
    line = dict(wrong_answers=wrong + sum(run["wrong"] for run in good) + sum(
        run["errors"] + run["unanswered"] for run in [*good, *first, *forged]))
    line.update({figure: middle(good, figure) for figure in ("p50_us", "p99_us", "p999_us")})
    line.update(requests_per_second=round(middle(good, "per_second")), unasked=sum(run["unasked"] for run in good),
                first_seen_p99_us=middle(first, "p99_us"), first_seen_answers=sum(run["answers"] for run in first),
                first_seen_refused=sum(run["statuses"].get("503", 0) for run in first))
    if forged:
        line.update(forged_per_second=round(middle(forged, "per_second")),
                    forged_refused_unverified=sum(run["statuses"].get("503", 0) for run in forged))
    report.result(contender.name, f"good requests, {name}", **line, busy=median_interval([run["busy"] for run in runs])[0])


class Windows:
    """`rate` is that of the good requests, in a second."""

    # Forged tokens for a flood without a rate: more than can be answered in a second by what is measured here.
    UNLIMITED_RATE = 60_000
    # A flood is there before the good requests and after them.
    AHEAD_SECONDS = 0.1

    def __init__(self, ground, contender, load, seconds, rate):
        self.ground, self.contender, self.load, self.seconds, self.rate = ground, contender, load, seconds, rate

    def run(self, flood_rate):
        """What each generator printed: `good`, `first` and, with a flood, `forged`; and `busy`. `flood_rate` 0 is none, None
        as much as goes."""
        count = max(1, int(self.rate * FIRST_SEEN_SHARE * self.seconds))
        good = dict(good=self._command(self.contender.requests, self.rate, CONNECTIONS, self.seconds, "--zipf"),
                    first=self._command(self._unseen(count), count / self.seconds, 8, self.seconds))
        with contextlib.ExitStack() as stack:
            if flood_rate != 0:
                lasts = self.seconds + 2 * self.AHEAD_SECONDS
                forged = self._forged(int((flood_rate or self.UNLIMITED_RATE) * lasts * 1.1))
                flooding = start(stack, self._command(forged, flood_rate, 64, lasts))
                time.sleep(self.AHEAD_SECONDS)
            before = processor_seconds()
            started = {name: start(stack, command) for name, command in good.items()}
            found = {name: end(process) for name, process in started.items()}
            used, all_of = (after - past for after, past in zip(processor_seconds(), before))
            if flood_rate != 0:
                found["forged"] = end(flooding)
        found["busy"] = used / max(all_of, 0.01)
        return found

    def _command(self, requests, rate, connections, seconds, *more):
        return [self.load, self.contender.address, "--requests", requests, "--seconds", str(seconds), "--connections",
                str(connections), *(["--rate", str(rate)] if rate else []), *more]

    def _unseen(self, count):
        return self.ground.requests(count, [self.ground.token("a:read") for _ in range(count)], name="unseen")

    def _forged(self, count):
        signed = self.ground.good.rpartition(".")[0]
        noise = os.urandom(64 * count)
        tokens = [f"{signed}.{base64.urlsafe_b64encode(noise[at:at + 64]).rstrip(b'=').decode()}"
                  for at in range(0, len(noise), 64)]
        return self.ground.requests(count, tokens, status=401, name="forged")


def start(stack, command):
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
    # Before it is waited for, where something else went wrong; one that has ended is left alone.
    stack.callback(process.kill)
    return process


def end(process):
    """What a load generator found."""
    out = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"the load generator ended with {process.returncode}")
    return json.loads(out)


def processor_seconds():
    """(used, all) of all processors since the machine began; what another guest of the host took counts as used."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    ticks = os.sysconf("SC_CLK_TCK")
    return (sum(fields) - idle) / ticks, sum(fields) / ticks
