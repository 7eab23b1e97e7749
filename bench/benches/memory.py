"""What a daemon takes of memory and how soon it answers: `bench/run memory`.

Memory is read from /proc/PID/status after the questions: resident (VmRSS) is private memory (RssAnon) and pages of files
(RssFile: program, libraries, and what was touched of the compiled policy), which belong to the page cache and are
shared. The time of a start runs from before the program is executed until the first right answer is here; program and
store are in the page cache.

Each worker has a cache of its own, and `token_cache.entries` is divided among them: two workers keep as many tokens as
one, and a token that comes to both is kept twice.
"""

import contextlib
import itertools
import multiprocessing
import os
import socket
import subprocess
import time

from measuring.ground import policy
from measuring.settings import progress
from measuring.intervals import median_interval

import harness
import issuer
from daemon import Daemon, Stage
from harness import fact_headers, facts

CONFIGURATION = """\
policy: {{folder}}/policy.yaml
store: {{folder}}/store
http: {{{{ address: "{{http}}" }}}}
fastcgi: {{{{ address: "{{fastcgi}}" }}}}
admin: {{{{ address: "{{admin}}" }}}}
workers: {workers}
token_cache: {{{{ entries: {entries} }}}}
"""


class Asker:
    """A kept connection to an HTTP listener on a unix socket, and one question after another on it."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(address.removeprefix("unix:"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, question):
        """The head of the answer, which has no body."""
        self.socket.sendall(question)
        out = self._more()
        while not out.endswith(b"\r\n\r\n"):
            out += self._more()
        return out

    def skip(self, count):
        """Reads so many answers."""
        out = self._more()
        while out.count(b"\r\n\r\n") < count:
            out += self._more()

    def _more(self):
        if not (out := self.socket.recv(65_536)):
            raise SystemExit("the daemon closed the connection")
        return out


def question(route, host, token):
    """As nginx puts it over HTTP. `route` is the number of a route of `ground.policy` on its host."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fact_headers(
        facts(f"/v1/c{route % 50}/r{route}/7", host=f"h{host}.example.com", token=token)))
    return f"GET / HTTP/1.1\r\nHost: scopecheck\r\n{lines}\r\n".encode()


def is_allow(answer):
    return answer.startswith(b"HTTP/1.1 200 ")


def mint(key, count):
    """`count` distinct tokens, made by as many processes as there are processors."""
    with multiprocessing.get_context("fork").Pool(initializer=_take_key, initargs=(key,)) as pool:
        return pool.map(_mint_one, range(count), chunksize=512)


def _take_key(key):
    global _key
    _key = key


def _mint_one(number):
    return issuer.mint(_key, scope="a:read", subject=f"subject-{number}", jti=f"token-{number}", lifetime=36_000)


def kilobytes(pid, *names):
    """Fields of /proc/PID/status."""
    fields = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))
    return [int(fields[name].split()[0]) for name in names]


def memory(settings, report):
    cached(settings, report)
    routes(settings, report)


# --- tokens ----------------------------------------------------------------------------------------------------

def cached(settings, report):
    """Resident memory with 10,000 routes and 100,000 tokens in the cache of one worker; then the same of two."""
    count, routes_count = (500, 200) if settings.smoke else (100_000, 10_000)
    with Stage(policy(routes_count)) as stage:
        progress("memory: minting tokens")
        # A set of the cache may be full before all are: some more than are wanted.
        tokens = mint(stage.key, count + count // 8)
        for workers in (1, 2):
            # 131,072 is what the 100,000 of the default are rounded up to.
            entries = 1_024 if settings.smoke else 131_072
            daemon = Daemon(stage, name=f"daemon-{workers}",
                            config=CONFIGURATION.format(workers=workers, entries=entries))
            before = kilobytes(daemon.process.pid, "VmRSS")[0]
            figures = fill(daemon, stage, tokens, count, workers, routes_count)
            resident, private, files = kilobytes(daemon.process.pid, "VmRSS", "RssAnon", "RssFile")
            report.result("serve", f"10,000 routes and 100,000 cached tokens, workers: {workers}", **figures,
                          resident_mebibytes=resident / 1024, private_mebibytes=private / 1024,
                          files_mebibytes=files / 1024, resident_before_questions_mebibytes=before / 1024)
            if workers == 1:
                report.goal("memory: resident with 10,000 routes and 100,000 cached tokens", resident / 1024, 64,
                            unit="MiB")
                if figures["cached_tokens"] < count:
                    report.fail(f"memory: the cache holds {figures['cached_tokens']} tokens instead of {count}")
            # The next one takes the same store.
            daemon.process.end()


def fill(daemon, stage, tokens, count, workers, routes_count):
    """Asks with one token after another until `count` of them are in the cache; with several workers on one connection
    for each of them, the tokens dealt out."""
    wrong = asked = 0
    with contextlib.ExitStack() as stack:
        askers = spread(daemon, stack, workers, question(0, 0, tokens[0]))
        turn = itertools.cycle(askers)
        for number, token in enumerate(tokens):
            if number % 10_000 == 0:
                progress(f"memory: {number} tokens asked, workers: {workers}")
            # When enough may be in: looked at now and then, since looking is a process.
            if number >= count and (number - count) % max(1, count // 100) == 0 \
                    and daemon.status()["cached_tokens"] >= count:
                break
            wrong += not is_allow(next(turn).ask(question(number % (routes_count // 10), number % 10, token)))
            asked += 1
        held = daemon.status()["cached_tokens"]
    progress("")
    return dict(wrong_answers=wrong, cached_tokens=held, asked_tokens=asked)


def spread(daemon, stack, workers, first):
    """One connection for each worker. Which of them accepted shows by who verifies the same token anew."""
    askers = []
    for _ in range(64):
        before = daemon.status()["cached_tokens"]
        # Whoever has a connection already is kept busy, so that another one accepts.
        for each in askers:
            each.socket.sendall(first * 100)
        asker = stack.enter_context(Asker(daemon.http))
        asker.ask(first)
        for each in askers:
            each.skip(100)
        # A worker says what it has done at the end of its turn.
        time.sleep(0.1)
        if daemon.status()["cached_tokens"] > before:
            askers.append(asker)
        if len(askers) == workers:
            break
    return askers


# --- routes ----------------------------------------------------------------------------------------------------

def routes(settings, report):
    """Private memory with few routes and with many, after the same questions, what compiling takes, and starts."""
    few, middle, many, hosts = (200, 400, 2_000, 20) if settings.smoke else (1_000, 10_000, 1_000_000, 1_000)
    for wanted, name, count, runs in ((few, "1,000 routes", 1, 1), (middle, "10,000 routes", 10, 25),
                                      (many, "1,000,000 routes", hosts, 5)):
        with Stage(policy(wanted, count)) as stage:
            progress(f"memory: {name}")
            store = stage.folder / "daemon-store"
            compiled = compiling(settings, stage.policy, store)
            daemon = Daemon(stage, flags=["--workers", "2"])
            token, wrong = stage.token("a:read"), 0
            with Asker(daemon.http) as asker:
                for number in range(2_000):
                    asked = question(number % 50 % (wanted // count), number % count, token)
                    wrong += not is_allow(asker.ask(asked))
            private, files, top = kilobytes(daemon.process.pid, "RssAnon", "RssFile", "VmHWM")
            report.result("serve", f"memory with {name}, workers: 2", wrong_answers=wrong, private_mebibytes=private / 1024,
                          files_mebibytes=files / 1024, resident_top_mebibytes=top / 1024, **compiled)
            daemon.process.end()
            if runs > 1:
                starts(settings, report, stage, token, name, 2 if settings.smoke else runs)
    progress("")


def compiling(settings, file, store):
    """Compiles a policy into a store, which a daemon does in a child: time, and the most memory that the process took. A
    process that took less than this one here has its figure: the kernel counts from before the program was executed."""
    start = time.monotonic()
    process = subprocess.Popen([settings.binary, "policy", "load", file, "--store", store], stdout=subprocess.DEVNULL)
    try:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        # Only where it was not waited for to its end.
        process.kill()
    if process.returncode:
        raise SystemExit(f"`policy load` ended with {process.returncode}")
    return dict(compile_seconds=time.monotonic() - start, compile_cpu_seconds=used.ru_utime + used.ru_stime,
                compile_top_mebibytes=used.ru_maxrss / 1024)


def starts(settings, report, stage, token, name, runs):
    """From before the program is executed until the first allow is here; the policy is in the store already."""
    times, wrong = [], 0
    path = stage.folder / "start.sock"
    asked = question(0, 0, token)
    for number in range(runs):
        progress(f"memory: start {number + 1} of {runs} with {name}")
        begin = time.monotonic()
        process = harness.Process([settings.binary, "serve", "--policy", stage.policy, "--store",
                                   stage.folder / "daemon-store", "--http", f"unix:{path}"], stage.folder / "start.out")
        try:
            with wait_tightly(path, process) as asker:
                wrong += not is_allow(asker.ask(asked))
                times.append((time.monotonic() - begin) * 1e3)
        finally:
            process.end()
            path.unlink(missing_ok=True)
    middle, low, high = median_interval(times)
    report.result("serve", f"start with {name}, exec to the first allow", wrong_answers=wrong, median_milliseconds=middle,
                  fastest_milliseconds=min(times), slowest_milliseconds=max(times), starts=runs)
    if name == "10,000 routes":
        report.goal("memory: start to first answer, 10,000 routes in the store", middle, 100, low, high, unit="ms")


def wait_tightly(path, process):
    """A connection to a listener, as soon as there is one."""
    while True:
        try:
            return Asker(f"unix:{path}")
        except (FileNotFoundError, ConnectionRefusedError):
            if not process.running():
                raise SystemExit("the daemon ended: " + process.text()) from None
