"""Applying a large policy, activating it, and what both do to those who are asking: `bench/run policies`.

A policy of 1,000,000 routes over 1,000 hosts is compiled by hand into an empty store, and applied to a running daemon by
renaming its file into place; that lasts until the first answer that names the new version. Rolling back is activating a
version that the store has already: the older file is renamed into place, nothing is compiled, only the pointer moves.

"Visible" runs from the end of the durable commit to the first answer by the new version, as one who asks in a tight loop
over the HTTP listener gets it; both by the monotonic clock. The commit is seen from outside, with a preloaded library
(commits.c). What the loop itself adds, one question and its answer, is told beside, and so is what the daemon's own log
says of the time from the commit until the new snapshot was published.
"""

import concurrent.futures
import itertools
import os
import pathlib
import shutil
import subprocess
import time

from benches.flood import p99
from benches.memory import Asker, compiling, is_allow, question
from benches.proxies import proxy_of_nginx
from measuring.contender import HERE, Contender, compile_program, figures
from measuring.ground import Ground, check, policy
from measuring.settings import progress
from measuring.intervals import median_interval, median_ratio

import harness
from daemon import Daemon, Stage

COMMITS = pathlib.Path(__file__).resolve().parent / "commits.c"
PATIENCE_SECONDS = 300


class ManyHosts(Ground):
    """A ground whose routes are spread over many hosts, and versions of its policy that differ in a comment."""

    def __init__(self, routes, hosts):
        self.text = policy(routes, hosts)
        Stage.__init__(self, self.text)
        self.routes, self.hosts = routes, hosts
        self.good = self.token("a:read")
        self._serial = itertools.count(1)

    def requests(self, count, tokens=None, status=200, name="requests"):
        chunks = []
        for number in range(count):
            host, route = number * 7919 % self.hosts, number * 104_729 % (self.routes // self.hosts)
            head = (f"GET /v1/c{route % 50}/r{route}/{number} HTTP/1.1\r\nHost: h{host}.example.com\r\n"
                    f"Authorization: Bearer {self.good}\r\n\r\n")
            chunks.append(f"{status} {len(head)}\n{head}")
        return self.write(name, "".join(chunks))

    def another(self, number=None):
        """A file with another version of the policy, beside the one in use; a new one unless `number` names one."""
        return self.write("policy.yaml.next", f"{self.text}# {next(self._serial) if number is None else number}\n")

    def apply(self):
        os.replace(self.folder / "policy.yaml.next", self.policy)


class Watcher:
    """Asks one daemon which version decides. It counts what is no allow in `wrong`."""

    def __init__(self, ground, daemon):
        self.asker, self.daemon, self.wrong = Asker(daemon.http), daemon, 0
        self.question = question(0, 0, ground.good)
        ground.at_end(self.asker.socket.close)
        # A connection on which nothing is asked at first is soon closed.
        self.label()

    def label(self):
        answer = self.asker.ask(self.question)
        self.wrong += not is_allow(answer)
        return answer.partition(b"X-Scope-Policy: ")[2].partition(b"\r\n")[0]

    def wait(self, before, pause=0.0):
        """Monotonic seconds at which an answer named another version than `before`, and how long that one took."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            asked = time.monotonic()
            label = self.label()
            received = time.monotonic()
            if label != before:
                return received, received - asked
            if received > end:
                raise SystemExit("the new policy is never served\n" + self.daemon.log_text()[-2_000:])
            time.sleep(pause)


def policies(settings, report):
    routes, hosts = (2_000, 20) if settings.smoke else (1_000_000, 1_000)
    progress("policies: writing the policy")
    with ManyHosts(routes, hosts) as ground:
        loading(settings, report, ground)
        library = ground.folder / "commits.so"
        compile_library(library)
        commits = ground.folder / "commits"
        daemon = Daemon(ground, flags=["--workers", "1"], wait=False,
                        environment=dict(LD_PRELOAD=str(library), COMMITS_FILE=str(commits)))
        # The first start compiles the policy.
        harness.wait_until(lambda: not daemon.process.running() or harness.connects(daemon.http), "the daemon listens",
                           PATIENCE_SECONDS)
        daemon.wait_ready()
        watcher = Watcher(ground, daemon)
        while_serving(settings, report, ground, daemon, watcher)
        applying(settings, report, ground, daemon, watcher, commits)
        activating(settings, report, ground, daemon, watcher, commits)
    progress("")


def compile_library(path):
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", path, COMMITS, "-ldl"], check=True)


def loading(settings, report, ground):
    """`scopecheck policy load` into an empty store."""
    runs = []
    for number in range(1 if settings.smoke else 2):
        progress(f"policies: compiling, run {number + 1}")
        store = ground.folder / "empty-store"
        runs.append(compiling(settings, ground.policy, store))
        shutil.rmtree(store)
    slowest = max(runs, key=lambda run: run["compile_seconds"])
    report.result("policy load", "1,000,000 routes over 1,000 hosts into an empty store, the slowest of two", **slowest)
    report.goal("policies: `policy load` of 1,000,000 routes over 1,000 hosts", slowest["compile_seconds"], 10, unit="s")


# --- while serving ---------------------------------------------------------------------------------------------

def while_serving(settings, report, ground, daemon, watcher):
    """p99 behind nginx at half load, in windows with and without a policy being applied. An application lasts longer than
    a window: the windows are spread over it, from its beginning to its end. What compiles keeps one processor busy: where
    there are two, the generator, nginx and the daemon share the other one with it if its priority is theirs."""
    pairs, seconds = (2, 0.3) if settings.smoke else (20, 2.5)
    load = compile_program(ground.folder, HERE / "load.c")
    proxy = proxy_of_nginx(ground, "http", daemon.http, "nginx")
    ours = Contender("nginx + Scopecheck, http", proxy.address, [proxy.process.pid, daemon.process.pid],
                     ground.requests(100 if settings.smoke else 5_000))
    check(ours, ground)
    ours.is_steady = False
    connections = 8 if settings.smoke else 32
    ours.runs = [ours.run(load, min(seconds, 1), connections) for _ in range(3)]
    rate = sorted(run["per_second"] for run in ours.runs)[1] / 2
    calm, busy, lasted, covered = [], [], [0.0], []
    with concurrent.futures.ThreadPoolExecutor(1) as background:
        for number in range(pairs):
            progress(f"policies: window {number + 1} of {pairs}, an application lasts {lasted[-1]:.1f} s")
            # Written, and on the disk, before anything is measured.
            ground.another()
            os.sync()
            if number % 2 == 0:
                calm.append(ours.run(load, seconds, connections, rate))
            start = time.monotonic()
            end = background.submit(watcher.wait, watcher.label(), 0.02)
            ground.apply()
            time.sleep(max(0, lasted[-1] - seconds) * number / max(1, pairs - 1))
            window = time.monotonic()
            busy.append(ours.run(load, seconds, connections, rate))
            window_end = time.monotonic()
            applied = end.result()[0]
            lasted.append(applied - start)
            covered.append(min(1.0, max(0.0, (applied - window) / (window_end - window))))
            if number % 2 == 1:
                calm.append(ours.run(load, seconds, connections, rate))
    report.goal("policies: p99 at half load while 1,000,000 routes are applied, against undisturbed",
                *_ratio([(p99(a), p99(b)) for a, b in zip(busy, calm)]))
    for name, runs, more in (
            ("undisturbed", calm, {}),
            ("while a policy is applied", busy,
             dict(applied_seconds=median_interval(lasted[1:])[0], slowest_applied_seconds=max(lasted[1:]),
                  share_of_windows_within=median_interval(covered)[0]))):
        ours.runs = runs
        line = figures(ours)
        # The CPU of the process that compiles would be counted too.
        line.pop("cpu_us_per_request")
        report.result(ours.name, f"half load, {name}", unasked=sum(run["unasked"] for run in runs), **line, **more)


def _ratio(pairs):
    middle, low, high = median_ratio(pairs)
    return middle, 1.2, low, high


# --- applying and activating -----------------------------------------------------------------------------------

def applying(settings, report, ground, daemon, watcher, commits):
    """A new version, renamed into place of a daemon that only one client asks."""
    runs = [seen(ground, daemon, watcher, commits, None) for _ in range(1 if settings.smoke else 6)]
    lasted, visible = [run["applied_milliseconds"] / 1e3 for run in runs], [run["visible_milliseconds"] for run in runs]
    report.result("serve", "applying 1,000,000 routes over 1,000 hosts, rename to the first answer by the new version",
                  slowest_seconds=max(lasted), fastest_seconds=min(lasted), visible_milliseconds=median_interval(visible)[0],
                  published_milliseconds=median_of([run["published_milliseconds"] for run in runs]),
                  runs=len(runs), wrong_answers=watcher.wrong)
    report.goal("policies: applying 1,000,000 routes over 1,000 hosts, to the first answer", max(lasted), 10, unit="s")
    report.goal("policies: a new version visible after the durable commit", *_limited(visible), unit="ms")


def activating(settings, report, ground, daemon, watcher, commits):
    """Versions that the store has already, back and forth: what rolling back is."""
    # Both are the newest in the store and were activated last: neither has been removed.
    for number in ("one", "other"):
        seen(ground, daemon, watcher, commits, number)
    runs = [seen(ground, daemon, watcher, commits, "other" if run % 2 else "one")
            for run in range(4 if settings.smoke else 24)]
    visible = [run["visible_milliseconds"] for run in runs]
    report.result("serve", "activating a version of 1,000,000 routes that is stored, rename to the first answer by it",
                  median_milliseconds=median_interval([run["applied_milliseconds"] for run in runs])[0],
                  visible_milliseconds=median_interval(visible)[0], slowest_visible_milliseconds=max(visible),
                  published_milliseconds=median_of([run["published_milliseconds"] for run in runs]),
                  one_question_milliseconds=median_interval([run["question_milliseconds"] for run in runs])[0],
                  runs=len(runs), wrong_answers=watcher.wrong)
    report.goal("policies: a stored version (rolling back) visible after the durable commit", *_limited(visible), unit="ms")


def seen(ground, daemon, watcher, commits, number):
    """Applies a version while asking in a tight loop: milliseconds from the rename and from the commit to the first answer
    by it."""
    progress("policies: applying" if number is None else "policies: activating")
    ground.another(number)
    os.sync()
    before = watcher.label()
    start = time.monotonic()
    ground.apply()
    received, question_seconds = watcher.wait(before)
    # The first one by this process: what compiles is another, and what is removed from the store comes after.
    committed = next(at for pid, at in read_commits(commits) if pid == daemon.process.pid and at > start)
    return dict(applied_milliseconds=(received - start) * 1e3, visible_milliseconds=(received - committed) * 1e3,
                question_milliseconds=question_seconds * 1e3, published_milliseconds=published(daemon, before))


def published(daemon, before):
    """From the commit until the snapshot was published, as the daemon's own log has it of the activation after `before`;
    None where it does not say."""
    number = str(int(before.split(b".")[0]) + 1)
    event = harness.wait_until(lambda: next(
        (event for event in daemon.events("policy_active") if event["number"] == number), None), "the log has the activation")
    return float(event["visible_us"]) / 1e3 if "visible_us" in event else None


def median_of(values):
    return None if None in values else median_interval(values)[0]


def read_commits(file):
    """(process, monotonic seconds) of each commit."""
    for line in file.read_text().splitlines():
        pid, microseconds = line.split()
        yield int(pid), float(microseconds) / 1e6


def _limited(milliseconds):
    middle, low, high = median_interval(milliseconds)
    return middle, 1.0, low, high
