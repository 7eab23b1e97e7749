"""Instructions, bus locks and system calls of one thread of a daemon, counted by `valgrind --tool=callgrind`."""

import contextlib
import itertools
import os
import re
import subprocess
import time

from drivers import SECONDS_MAX, Daemon

ROUNDS = 3
# Requests before those that count: what is made once is made (symbols bound, buffers grown).
WARM = 20
# Always as many, so that a connection's beginning and end weigh the same.
COUNTED = 100

# What else would choose by the processor, or by chance.
PINNED = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=" + ",".join("-" + name for name in (
        "AVX", "AVX2", "AVX512F", "AVX512VL", "AVX512BW", "BMI1", "BMI2", "LZCNT", "MOVBE", "POPCNT", "ERMS", "FSRM", "FMA",
        "FMA4", "RTM", "SSE4_1", "SSE4_2", "XSAVE", "XSAVEC", "AVX_Fast_Unaligned_Load", "Prefer_No_VZEROUPPER")),
    # CPUID leaf 1, ECX then EDX: SSSE3, SSE3; SSE2, SSE, FXSR, MMX, CMOV, TSC. Leaf 7: nothing.
    "OPENSSL_ia32cap": f"{1 << 41 | 1 << 32 | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 23 | 1 << 15 | 1 << 4:#x}:0",
    # Swift seeds its tables by chance otherwise.
    "SWIFT_DETERMINISTIC_HASHING": "1",
}

CALLGRIND = ["valgrind", "--tool=callgrind", "--collect-systime=yes", "--collect-bus=yes", "--read-inline-info=no"]
EVENTS = {"Ir": "instructions", "Ge": "atomics", "sysCount": "system_calls"}
COUNTS = (*EVENTS.values(), "own_instructions")


@contextlib.contextmanager
def one_processor():
    """This program and what it starts on one processor, where of two the one that gives way can be chosen."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(processors)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, processors)


class OneQuestionATurn(Daemon):
    """A daemon that sleeps when a question comes, so that each takes a turn of the worker's loop of its own, and that gives
    way to this program (`one_processor`), so that a question is whole before the worker looks at it."""

    def wait_ready(self):
        super().wait_ready()
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            os.sched_setscheduler(int(thread), os.SCHED_BATCH, os.sched_param(0))

    def settle(self):
        end = time.monotonic() + SECONDS_MAX
        while not self.settled():
            if time.monotonic() > end:
                raise SystemExit(f"after {SECONDS_MAX} s the daemon still works at an answered question, or it ended\n"
                                 + (self.folder / "log").read_text(errors="replace")[-2_000:])
            time.sleep(0.0002)


class UnderCallgrind(OneQuestionATurn):
    """A daemon that valgrind runs; its counts are those of one thread since they were last asked for."""

    def __init__(self, folder, binary):
        self._outputs = folder / "callgrind"
        self._outputs.mkdir()
        self._thread, self._binary = None, binary
        super().__init__(folder, [*CALLGRIND, "--separate-threads=yes", f"--callgrind-out-file={self._outputs}/out",
                                  f"--vgdb-prefix={folder}/vgdb", binary], PINNED)
        self._vgdb = ["vgdb", f"--vgdb-prefix={folder}/vgdb", f"--pid={self.process.pid}", "--max-invoke-ms=1", "dump"]

    def __exit__(self, *_):
        # Not asked to end: it would write out counts that nobody reads.
        self.kill()

    def count(self, send, requests, expected):
        """For each of COUNTED requests, sent by `send` and answered with `expected`: {name in COUNTS: count}."""
        send(itertools.islice(requests, WARM), expected)
        self._dump()
        if self._thread is None:
            # The one that just spoke with this program; what another does at each dump may take more instructions.
            send(itertools.islice(requests, WARM), expected)
            warm = self._dump()
            self._thread = max(warm, key=lambda thread: warm[thread]["system_calls"])
        rounds = []
        for _ in range(ROUNDS):
            send(list(itertools.islice(requests, COUNTED)), expected)
            rounds.append(self._dump()[self._thread])
            if rounds[-1]["system_calls"] < COUNTED:
                raise SystemExit(f"thread {self._thread} answered {COUNTED} questions with {rounds[-1]['system_calls']} "
                                 "system calls: it is not the worker")
        return {name: min(each[name] for each in rounds) / COUNTED for name in COUNTS}

    def _dump(self):
        """{thread: {name in COUNTS: count}} since the last time."""
        done = subprocess.run(self._vgdb, capture_output=True, text=True, timeout=SECONDS_MAX)
        if done.returncode:
            raise SystemExit(f"vgdb, which needs ptrace, could not ask for the counts:\n{done.stderr}")
        found = {}
        for path in self._outputs.iterdir():
            text = path.read_text()
            path.unlink()
            thread = re.search(r"^thread: (\d+)$", text, re.M)
            if thread:
                found[int(thread[1])] = totals(text, self._binary)
        return found


def totals(text, binary):
    """{name in COUNTS: sum} of one output of callgrind. Zeroes at the end of a line of numbers are left out there."""
    events = re.search(r"^events: (.*)$", text, re.M)[1].split()
    numbers = [int(number) for number in re.search(r"^totals: (.*)$", text, re.M)[1].split()]
    found = dict(itertools.zip_longest(events, numbers, fillvalue=0))
    return {**{name: found[event] for event, name in EVENTS.items()}, "own_instructions": _spent_in(text, binary)}


def _spent_in(text, path):
    """Instructions of one object, what it calls in others left out. The format, of which `+2` may stand for a line too:

        ob=(25) /usr/lib/libcrypto.so.3     the object of what follows; `ob=(25)` from then on; `cob=` that of a call
        0 3200 4                            line, instructions, other events
        calls=100 219                       the next line is what these calls cost, all in all
        0 1000
    """
    names, is_own, is_call, total = {}, False, False, 0
    for line in text.splitlines():
        if line.startswith(("ob=", "cob=")):
            number, _, name = line.partition("=")[2].partition(" ")
            if name:
                names[number] = name
            if line.startswith("ob="):
                is_own = names[number] == str(path)
        elif line.startswith("calls="):
            is_call = True
        elif line[:1] and line[0] in "0123456789+-*":
            if is_own and not is_call:
                total += int(line.split()[1])
            is_call = False
    return total
