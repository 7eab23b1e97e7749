"""One run: starts everything, lets it go for its time, ends it in order, and says what was seen."""

import contextlib
import json
import queue
import shutil
import statistics
import subprocess
import sys
import threading
import time

import harness
from harness import wait_until
from measuring.settings import progress

from .director import Director
from .ground import Ground
from .hostile import Hostile
from .judge import Judge, Timeline
from .model import FRONTS
from .verdict import outward
from .watch import Follower, Watch, descriptors

PROCESSES = 2
# The part of the run in which the daemon is restarted; afterwards one process lives to the end.
RESTLESS, RESTLESS_SHORT = 1 / 6, 1 / 2
# How long idle connections of the daemon to others may live after the clients have gone.
EBB_SECONDS = 75.0
# A sleep of a tick that takes so long says that the machine stood still. Afterwards HAProxy asks for the agent's health
# first.
TICK_SECONDS, STILL_SECONDS, CALMING_SECONDS = 0.05, 0.5, 5.0


class Kept(Exception):
    """Ends the run with its folder kept."""


class Run:
    """`found` holds what was seen, when it has ended."""

    def __init__(self, seconds, rate, seed, short):
        self.seconds, self.rate, self.seed, self.short = seconds, rate, seed, short
        self.found, self.failures = {}, []
        self.answers = queue.SimpleQueue()
        self.processes = []

    def go(self):
        harness.Settings.keep_folders = True
        with contextlib.suppress(Kept), Ground(self.seed) as ground:
            self.ground = ground
            ground.wait_keys()
            # What the daemon has open when nobody asks.
            self.base = wait_until(lambda: descriptors(ground.service.process.pid)[0], "the daemon is there")
            self._prepare()
            self._load()
            self._end()
            if any(one["kind"] != "unavailable" for one in self.judge.wrong):
                self.found["folder"] = str(ground.folder)
                raise Kept
        return self.found

    def _prepare(self):
        ground = self.ground
        self.timeline, self.tokens = Timeline(), {}
        self.judge = Judge(self.timeline, self.tokens, ground.folder)
        self.followers = []
        ground.start_proxies()
        calm_at = time.monotonic() + self.seconds * (RESTLESS_SHORT if self.short else RESTLESS)
        self.director = Director(ground, self.timeline, self.tokens, self._tell, self.seed, self.short, calm_at)
        # Now that the proxies' ports are known.
        self.director.reload()
        self.director.wait_proxies(FRONTS)
        self._start_clients()
        self.director.fill()
        self.followers = [(name, Follower(path)) for name, path in ground.logs()]

    def _start_clients(self):
        for number in range(PROCESSES):
            process = subprocess.Popen([sys.executable, "-B", "-m", "soaking.client"], stdin=subprocess.PIPE, text=True,
                                       stdout=subprocess.PIPE, cwd=harness.ROOT / "bench", start_new_session=True)
            self.ground.at_end(end_client, process)
            self.processes.append(process)
            process.stdin.write(json.dumps({"start": {
                "seed": f"{self.seed} {number}", "rate": self.rate / PROCESSES,
                "addresses": {front: proxy.address for front, proxy in self.ground.proxies.items()},
                "clients": self.ground.client_key_texts()}}) + "\n")
            threading.Thread(target=self._collect, args=(process,), daemon=True).start()

    def _collect(self, process):
        for line in process.stdout:
            # What was killed in the middle of a line has not told it.
            if line.endswith("\n"):
                self.answers.put(json.loads(line))
        self.answers.put(None)

    def _tell(self, command):
        line = json.dumps(command) + "\n"
        for process in self.processes:
            process.stdin.write(line)
            process.stdin.flush()

    # --- while it runs -------------------------------------------------------------------------------------------

    def _load(self):
        service = self.ground.service
        self.hostile = Hostile({"fastcgi": service.fastcgi, "http": service.http, "spop": service.spop},
                               [proxy.address for proxy in self.ground.proxies.values()], self.seed)
        self.watch = Watch(lambda: service.process.pid, self.ground.folder / "store")
        directing = threading.Thread(target=self._direct, daemon=True)
        self._tell({"go": True})
        for each in (self.hostile, self.watch, directing, threading.Thread(target=self._clock, daemon=True)):
            each.start()
        self.start = time.monotonic()
        told = 0
        while time.monotonic() - self.start < self.seconds and not self.failures:
            self._turn()
            self._alive()
            minutes = int((time.monotonic() - self.start) / 60)
            progress(self._line())
            if minutes > told:
                told = minutes
                print(self._line(), flush=True)
        progress("")
        self.director.done = self.hostile.done = True
        directing.join(120)
        self.hostile.join(30)
        self._drain()
        self.watch.done = True
        self.watch.join(5)

    def _clock(self):
        """Notes when the machine, or this process, stood still: proxies and clients lose their patience then."""
        last = time.monotonic()
        while not self.director.done:
            time.sleep(TICK_SECONDS)
            now = time.monotonic()
            if now - last > STILL_SECONDS:
                self.timeline.stood_still(last, now + CALMING_SECONDS)
                self.judge.tallies["stalls"] += 1
            last = now

    def _direct(self):
        try:
            self.director.run()
        except Exception as error:  # noqa: BLE001  whatever it is, the run has failed
            self.failures.append(f"the run cannot go on: {type(error).__name__}: {error}")

    def _alive(self):
        process = self.ground.service.process
        within = Timeline.within(self.timeline.gaps, "http", time.monotonic() - 1, time.monotonic())
        if not process.running() and not within:
            self.failures.append(f"the daemon ended by itself with {process.popen.returncode}")
        for front, proxy in self.ground.proxies.items():
            if not proxy.process.running():
                self.failures.append(f"{front} ended by itself")
        if any(process.poll() is not None for process in self.processes):
            self.failures.append("a process of clients ended by itself")

    def _turn(self):
        """Takes what has come in a fifth of a second. Answers before lines: a line waits for its answer for long."""
        end = time.monotonic() + 0.2
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self._take(self.answers.get(timeout=left))
        self._follow()
        self.judge.sweep()
        self.timeline.forget()

    def _take(self, batch):
        if batch is not None:
            self.judge.tallies["skipped"] += batch["skipped"]
            for fields in batch["answers"]:
                self.judge.take(fields)

    def _follow(self):
        for name, follower in self.followers:
            for line in follower.lines():
                if name != "daemon" or line.get("event") == "denial":
                    self.judge.line(line)

    def _drain(self):
        """The clients stop and tell what they still wait for."""
        self._tell({"stop": True})
        ended, end = 0, time.monotonic() + 40
        while ended < len(self.processes) and time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                batch = self.answers.get(timeout=1)
                if batch is None:
                    ended += 1
                self._take(batch)
        end = time.monotonic() + 5
        while self.judge.waiting and time.monotonic() < end:
            self._follow()
            time.sleep(0.1)
        self._follow()
        self.judge.sweep(everything=True)

    def _line(self):
        tallies, sample = self.judge.tallies, (self.watch.samples or [{}])[-1]
        minutes = (time.monotonic() - self.start) / 60
        return (f"{minutes:5.1f} min  {tallies['answers']:,} answers, {tallies['wrong']} wrong, "
                f"{tallies['unauthorised_allows']} unauthorised, {tallies['unavailable']} unavailable; "
                f"private {sample.get('private_kb', 0) / 1024:.1f} MB, {sample.get('descriptors', 0)} descriptors, "
                f"store {sample.get('store_bytes', 0) / 1e6:.1f} MB, policy {self.director.serial}")

    # --- at the end ----------------------------------------------------------------------------------------------

    def _end(self):
        """The proxies go; the daemon must be as empty as at its start, and end when it is told to."""
        service = self.ground.service
        pid = service.process.pid
        logs = {name: follower.bytes for name, follower in self.followers}
        for proxy in self.ground.proxies.values():
            proxy.process.end()
        after = self._ebb(pid) if service.process.running() else None
        code = service.terminate() if service.process.running() else service.process.popen.returncode
        if code != 0:
            self.failures.append(f"the daemon ended with {code}")
        tallies = self.judge.tallies
        self.found.update(
            seconds=round(time.monotonic() - self.start), rate=self.rate, seed=self.seed, tallies=dict(tallies),
            statuses={f"{front} {status}": count for (front, status), count in sorted(self.judge.counts.items())},
            reasons=dict(self.judge.reasons.most_common()), events=self.director.counts, hostile=self.hostile.count,
            slowest_seconds=round(self.judge.slowest, 3), log_bytes=logs, exit_code=code,
            reload_seconds_median=round(statistics.median(self.director.compile_seconds), 3),
            descriptors_before=dict(self.base), descriptors_after=dict(after) if after is not None else None,
            pid=pid, policies=self.director.serial, series=self.watch.samples,
            wrong=self.judge.wrong, failures=self.failures)

    def _ebb(self, pid):
        """Descriptors once connections have ended, or when the time for that is over."""
        end = time.monotonic() + EBB_SECONDS
        while True:
            found = descriptors(pid)[0]
            if outward(found) <= outward(self.base) or time.monotonic() > end:
                return found
            time.sleep(0.5)


def end_client(process):
    process.kill()
    process.wait()


def copy_of(binary, folder):
    """The program as it is now: it may be built anew meanwhile."""
    return shutil.copy2(binary, folder / "scopecheck")
