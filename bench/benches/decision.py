"""One decision in process, its token seen before: `bench/run decision`.

Everything between facts and answer: target, host, route, fingerprint of the token (about 700 bytes, ES256), look-up, times,
revocations of which none names it, scopes, answer headers. 10,000 routes over 10 hosts; every question has another target.
The policy is made in memory and compiled into a store, as `policy load` does after reading YAML.

p50 and p99 are of single decisions, less the median time of reading the clock twice; means are CPU of the thread over many.
Peers (engines/) answer the same questions in rounds beside ours, each in a process of its own and the best form we found
for it; what they are spared stands in engines/peer.py. Allocations and locks are those of N more decisions in one run,
counted by the library of Tests/Allocations: locks of pthreads, while those of Swift are atomic operations, which callgrind
counts beside the instructions.
"""

import contextlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from benches.engines.decisions import Decisions, asked
from benches.engines.peer import Peer, missing
from measuring.in_process import program
from measuring.settings import ROOT, progress
from measuring.intervals import median_interval, ratio

sys.path.insert(0, str(ROOT / "Tests/Allocations"))
from drivers import Counters  # noqa: E402

HOSTS = 10
# What every decider of tokens must say on a route that needs a scope.
VERDICTS = ["200 h0.example.com /v1/c0/r0/1 good", "403 h0.example.com /v1/c0/r0/1 missing-scope",
            "401 h0.example.com /v1/c0/r0/1 expired", "401 h0.example.com /v1/c0/r0/1 forged",
            "401 h0.example.com /v1/c0/r0/1 none", "403 h0.example.com /v1/c1/r0/1 good",
            "403 h0.example.com /v1/c0/r0 good", "403 nobody.example.com /v1/c0/r0/1 good"]
# (title, package, driver, mode, questions in a round, least ratio)
PEERS = [("Regorus, its virtual machine", "regorus", "rego", "machine", 6_000, 3.0),
         ("Regorus, its interpreter", "regorus", "rego", "interpreter", 3_000, 3.0),
         ("Cedar, many questions in a call", "cedarpy", "cedar", "batch", 3_000, 15.0),
         ("Cedar, a question in a call", "cedarpy", "cedar", "single", 1_500, 15.0)]
SCENARIO = "a decision in process, token seen before"


def decision(settings, report):
    routes, rounds = (1_000, 2) if settings.smoke else (10_000, 31)
    with tempfile.TemporaryDirectory(prefix="sc-") as path, contextlib.ExitStack() as stack:
        folder = pathlib.Path(path)
        lines = [f"200 {host} {target} good" for host, target in (asked(routes, HOSTS, n, n) for n in range(routes))]
        ours = stack.enter_context(Decisions(settings, folder))
        ours.scene("verdicts", VERDICTS, "routes", routes, HOSTS)
        ours.scene("many", lines, "routes", routes, HOSTS)
        (folder / "questions").write_text("\n".join(VERDICTS + lines) + "\n")
        peers = dict(start_peers(settings, report, stack, folder / "questions", (routes, HOSTS)))
        means, singles, samples = measure(settings, ours, peers, rounds)
        tell(report, means, singles, samples)
        count(settings, report, folder, lines[:500], routes)


def start_peers(settings, report, stack, questions, counts):
    for title, package, driver, mode, size, limit in PEERS:
        why = missing(package, settings)
        if why is None:
            yield title, (stack.enter_context(Peer(title, driver, mode, questions, counts)), size)
        else:
            report.unmeasured(f"{SCENARIO}: {title}, against ours", limit, why, at_least=True)


def measure(settings, ours, peers, rounds):
    """(CPU of each round, single decisions of each, {peer: [(asking, calls that do nothing) of each]})"""
    size = 2_000 if settings.smoke else 20_000
    means, singles, samples = [], [], {title: [] for title in peers}
    turns = [lambda: means.append(ours.microseconds("many", size)),
             lambda: singles.append([int(word) / 1e3 for word in ours.say("each", "many", size).split()])]
    turns += [lambda title=title, peer=peer, count=count: samples[title].append(
        peer.microseconds(count // 10 if settings.smoke else count)) for title, (peer, count) in peers.items()]
    for number in range(rounds):
        progress(f"decision: round {number + 1} of {rounds}")
        for turn in turns if number % 2 == 0 else turns[::-1]:
            turn()
    progress("")
    return means, singles, samples


def tell(report, means, singles, samples):
    p50, p99, p999, clock = ([each[place] for each in singles] for place in range(4))
    report.result("Decider.decide", SCENARIO, cpu_us_per_request=median_interval(means)[0], p50_us=median_interval(p50)[0],
                  p99_us=median_interval(p99)[0], p999_us=median_interval(p999)[0], wrong_answers=0,
                  clock_us=median_interval(clock)[0])
    middle, low, high = median_interval(p50)
    report.goal(f"{SCENARIO}: p50, 10,000 routes", middle, 1.4, low, high, unit="µs")
    for title, _, _, _, _, limit in PEERS:
        if title not in samples:
            continue
        net = [gross - empty for gross, empty in samples[title]]
        report.result(title, SCENARIO, cpu_us_per_request=median_interval(net)[0], wrong_answers=0,
                      call_us_taken_off=median_interval([empty for _, empty in samples[title]])[0])
        mean, low, high = ratio(list(zip(net, means)))
        report.goal(f"{SCENARIO}: {title}, against ours", mean, limit, low, high, at_least=True)


def count(settings, report, folder, lines, routes):
    """Allocations, locks and instructions of one decision, from what more of them take more."""
    few, many = 10_000, 20_000
    counters = Counters(folder, thread="Decisions")
    with Decisions(settings, folder, counters.environment) as ours:
        ours.scene("many", lines, "routes", routes, HOSTS)
        # What reading a command allocates the first time is no decision's.
        ours.say("run", "many", few)
        changes = [counters.change(lambda: ours.say(what, "many", number))
                   for what, number in (("run", few), ("run", many), ("plant", many))]
    less, more, planted = changes
    if planted["allocations"] - more["allocations"] < many:
        report.fail("decision: an allocation planted on purpose was not counted")
    found = {}
    for name in ("allocations", "locks"):
        found[name] = (more[name] - less[name]) / (many - few)
        report.goal(f"{SCENARIO}: {name}", found[name], 0, unit=name)
    if shutil.which("valgrind") and not settings.smoke:
        found |= instructions(settings, folder, lines, routes)
    report.result("Decider.decide", f"{SCENARIO}, counts", **found)


def instructions(settings, folder, lines, routes):
    progress("decision: counting instructions")
    # valgrind 3.19 gives up on DWARF 5 of this size.
    stripped = folder / "Decisions"
    shutil.copy(program(settings, "Decisions"), stripped)
    subprocess.run(["strip", "--strip-debug", stripped], check=True)
    (folder / "few").write_text("\n".join(lines) + "\n")
    totals = []
    for number in (2_000, 4_000):
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-bus=yes", "--callgrind-out-file=/dev/null", stripped,
             folder / "store"], input=f"scene a {folder}/few routes {routes} {HOSTS}\nrun a {number}\n",
            capture_output=True, text=True, check=True)
        events = re.search(r"Events +: (.*)", done.stderr)[1].split()
        totals.append(dict(zip(events, map(int, re.search(r"Collected : (.*)", done.stderr)[1].split()))))
    progress("")
    return {title: round((totals[1][event] - totals[0][event]) / 2_000)
            for event, title in (("Ir", "instructions"), ("Ge", "atomics"))}
