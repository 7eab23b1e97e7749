"""A proxy with a checker behind it, loaded beside others in alternating order."""

import contextlib
import json
import pathlib
import statistics
import subprocess

from . import intervals
from .settings import progress

HERE = pathlib.Path(__file__).resolve().parent
FLOORS = HERE.parent / "floors"


def compile_program(folder, source, *libraries):
    """A program in C, compiled into `folder` once."""
    made = folder / pathlib.Path(source).stem
    if not made.exists():
        subprocess.run(["cc", "-O2", "-o", made, source, "-lm", *libraries], check=True)
    return made


def cpu_seconds(pids):
    """Time that all threads of these processes have run; nanosecond clock of the scheduler."""
    total = 0
    for thread in threads(pids):
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # One that ended meanwhile; `Contender.run` does not take that.
    return total / 1e9


def threads(pids):
    found = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            found.update(pathlib.Path(f"/proc/{pid}/task").iterdir())
    return found


def family(pid):
    """A process and its children."""
    children = [child for thread in pathlib.Path(f"/proc/{pid}/task").iterdir()
                for child in (thread / "children").read_text().split()]
    return [pid] + [each for child in children for each in family(int(child))]


class Contender:
    """`address` is the proxy's HOST:PORT; `roots` are processes whose CPU counts, with their children. `requests` is the
    file of load.c that this contender is asked (contenders may differ in tokens only)."""

    def __init__(self, name, address, roots, requests):
        self.name, self.address, self.roots, self.requests = name, address, roots, requests
        self.runs = []
        # Where processes come and go meanwhile, their CPU is not known.
        self.is_steady = True
        # Of every run, those that only warm up too.
        self.wrong_answers = 0

    def pids(self):
        return [each for root in self.roots for each in family(root)]

    def run(self, load, seconds, connections, rate=None):
        """What load.c prints, and `cpu_us` for each answer. A question without an answer is a wrong one."""
        pids = self.pids()
        alive, before = threads(pids), cpu_seconds(pids)
        arguments = [load, self.address, "--requests", self.requests, "--seconds", str(seconds), "--connections",
                     str(connections), "--zipf"]
        if rate:
            arguments += ["--rate", str(rate)]
        result = json.loads(subprocess.run(arguments, check=True, capture_output=True).stdout)
        result["cpu_us"] = (cpu_seconds(pids) - before) * 1e6 / max(1, result["answers"])
        if self.is_steady and not alive <= threads(pids):
            raise SystemExit(f"{self.name}: a thread ended while it was measured, and took its time with it")
        self.wrong_answers += result["wrong"] + result["errors"] + result["unanswered"]
        return result


def alternate(contenders, load, pairs, seconds, connections, rate=None):
    """Runs of each by name, in alternating order, after one that does not count."""
    runs = {each.name: [] for each in contenders}
    for each in contenders:
        each.run(load, min(1, seconds), connections)
    for number in range(pairs):
        progress(f"{contenders[0].name}: round {number + 1} of {pairs}")
        for each in contenders if number % 2 == 0 else contenders[::-1]:
            runs[each.name].append(each.run(load, seconds, connections, rate))
    progress("")
    return runs


def compare(one, other, load, pairs, seconds, connections):
    """Ratio of CPU for each answer, each loaded as much as it takes."""
    runs = alternate([one, other], load, pairs, seconds, connections)
    for each in (one, other):
        each.runs += runs[each.name]
    return intervals.ratio([(a["cpu_us"], b["cpu_us"]) for a, b in zip(runs[one.name], runs[other.name])])


def latency(one, other, load, pairs, seconds, connections):
    """Ratio of p99 under half of what the slower one reaches, and the runs by name."""
    top = min(statistics.median(run["per_second"] for run in each.runs) for each in (one, other))
    runs = alternate([one, other], load, pairs, seconds, connections, rate=top / 2)
    return intervals.median_ratio([(a["p99_us"], b["p99_us"]) for a, b in zip(runs[one.name], runs[other.name])]), runs


def figures(contender, at_rate=None):
    """A contender's line of the report: medians of its runs; latencies from those at a rate where there are any."""
    runs, source = contender.runs, at_rate or contender.runs
    found = dict(cpu_us_per_request=statistics.median(run["cpu_us"] for run in runs),
                 requests_per_second=round(statistics.median(run["per_second"] for run in runs)),
                 wrong_answers=contender.wrong_answers)
    for name in ("p50_us", "p99_us", "p999_us"):
        found[name] = statistics.median(run[name] for run in source)
    return found
