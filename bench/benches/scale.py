"""What the size of the policy, the depth of paths and overlapping paths cost a decision: `bench/run scale`.

Size: 1,000 routes on one host are the base; beside it 1,000,000 routes over 1,000 hosts and 100,000 on one, all of the shape
`/v1/cN/rN/{id}`, asked by Zipf's law (exponent 1) and uniformly: as many questions each, every run all of them, in
alternating rounds. Policies are made in memory and compiled into a store: reading a million routes of YAML would only take
longer.

Depth: paths of 1 to 20 segments, every second one a parameter. A line is laid through the medians by least squares; its
slope is the time of a segment. Linear means: no median lies further from the line than LINEAR_MAX of what the line rises
from the first depth to the last. The part that does not depend on the depth is not in that measure.

Worst case: policies just below the bound of 4,096 visited places, asked what leads the matcher to every one of them. A
policy with one level more must be refused by `scopecheck policy check`, one at the bound must pass.
"""

import pathlib
import subprocess
import tempfile

from benches.engines.decisions import Decisions, routes, uniform, zipf
from measuring import plot
from measuring.settings import progress
from measuring.intervals import median_interval, ratio

from issuer import policy_head

BASE = (1_000, 1)
LIMITS = {"Zipf": 1.5, "uniform": 3.0}
LINEAR_MAX = 0.15
DEPTH_MAX = 20


def scale(settings, report):
    with tempfile.TemporaryDirectory(prefix="sc-") as path:
        folder = pathlib.Path(path)
        with Decisions(settings, folder) as ours:
            sizes(settings, report, ours)
            depths(settings, report, ours)
            worst(settings, report, ours)
        checks(settings, report, folder)


def alternate(ours, what, names, rounds, count):
    """{name: [microseconds of each round]}"""
    samples = {name: [] for name in names}
    for number in range(rounds):
        progress(f"scale, {what}: round {number + 1} of {rounds}")
        for name in names if number % 2 == 0 else names[::-1]:
            samples[name].append(ours.microseconds(name, count))
    progress("")
    return samples


# --- size --------------------------------------------------------------------------------------------------------

def sizes(settings, report, ours):
    # So many that what they touch of a million routes does not stay in the processor's caches.
    questions, rounds = (500, 2) if settings.smoke else (262_144, 20)
    large = {"1,000,000 routes over 1,000 hosts": (10_000, 10) if settings.smoke else (1_000_000, 1_000),
             "100,000 routes on one host": (2_000, 1) if settings.smoke else (100_000, 1)}
    for traffic, draw in (("Zipf", zipf), ("uniform", uniform)):
        named = {"base": ("1,000 routes on one host", BASE)}
        named |= {f"large{number}": each for number, each in enumerate(large.items())}
        for name, (title, counts) in named.items():
            progress(f"scale, {traffic}: {title}")
            ours.scene(name, draw(*counts, questions), "routes", *counts)
        samples = alternate(ours, traffic, list(named), rounds, questions)
        for name, (title, _) in named.items():
            report.result(f"Decider.decide, {title}", f"routes, {traffic} traffic",
                          cpu_us_per_request=median_interval(samples[name])[0], wrong_answers=0)
            if name != "base":
                mean, low, high = ratio(list(zip(samples[name], samples["base"])))
                report.goal(f"{title}, {traffic} traffic, against {named['base'][0]}", mean, LIMITS[traffic], low, high)
    misses(settings, report, ours, BASE, large)


def misses(settings, report, ours, base, large):
    """Questions that no route answers: they end before the token is looked at."""
    counts = {"1,000 routes on one host": base, **large}
    rounds, size = (2, 500) if settings.smoke else (11, 20_000)
    names = {}
    for number, (title, (count, hosts)) in enumerate(counts.items()):
        known = [f"h{host}.example.com" for host, route in routes(hosts, hosts)]
        for what, lines in (
                ("unknown host", [f"403 x{n}.example.com /v1/c0/r0/{n} good" for n in range(4_096)]),
                ("unknown route", [f"403 {known[n % hosts]} /v1/c{n % 50}/x{n}/1 good" for n in range(4_096)])):
            name = f"{what.replace(' ', '-')}-{number}"
            names[name] = (title, what)
            ours.scene(name, lines, "routes", count, hosts)
    samples = alternate(ours, "misses", list(names), rounds, size)
    for name, (title, what) in names.items():
        report.result(f"Decider.decide, {title}", what, cpu_us_per_request=median_interval(samples[name])[0],
                      wrong_answers=0)


# --- depth -------------------------------------------------------------------------------------------------------

def deep(depth):
    """256 questions of so many segments, as deepRoutes of Policies.swift."""
    for number in range(256):
        segments = [f"d{depth:02}v{number % 16:02}x"]
        segments += [f"val{number:03}{place % 10}" if place % 2 == 0 else f"seg{place:02}ab" for place in range(1, depth)]
        yield f"200 deep.example.com /{'/'.join(segments)} good"


def depths(settings, report, ours):
    rounds, size = (2, 500) if settings.smoke else (21, 12_000)
    names = {depth: f"depth-{depth}" for depth in range(1, DEPTH_MAX + 1)}
    for depth, name in names.items():
        ours.scene(name, deep(depth), "deep", DEPTH_MAX)
    samples = alternate(ours, "depth", list(names.values()), rounds, size)
    medians = [(depth, median_interval(samples[name])[0]) for depth, name in names.items()]
    for depth, middle in medians:
        if depth in (1, 5, 10, 15, 20):
            report.result(f"Decider.decide, {depth} segments", "depth of paths", cpu_us_per_request=middle, wrong_answers=0)
    slope, start, off, explained = line(medians)
    report.result("line through 1 to 20 segments", "depth of paths", nanoseconds_per_segment=slope * 1e3,
                  nanoseconds_at_none=start * 1e3, explained_variance=explained)
    report.goal("paths of 1 to 20 segments: furthest median from a line, as a part of its rise", off, LINEAR_MAX)
    if not settings.smoke:
        report.plot("depth", plot.lines("Decision by the depth of the path", {
            "median": medians, "line": [(1, start + slope), (DEPTH_MAX, start + slope * DEPTH_MAX)]}, "segments", "CPU µs"))


def line(points):
    """(slope, value at 0, furthest point from the line as a part of its rise, R²), by least squares."""
    count = len(points)
    x_mean, y_mean = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    slope = sum((x - x_mean) * (y - y_mean) for x, y in points) / sum((x - x_mean) ** 2 for x, _ in points)
    start = y_mean - slope * x_mean
    residuals = [abs(y - start - slope * x) for x, y in points]
    rise = abs(slope) * (points[-1][0] - points[0][0])
    spread = sum((y - y_mean) ** 2 for _, y in points)
    return slope, start, max(residuals) / rise, 1 - sum(each * each for each in residuals) / spread


# --- the worst that a policy may ask for -------------------------------------------------------------------------

# Levels that are just below the bound: 2^12 - 1 places, and 2^12 - 2 with `**` among them.
OVERLAPPING, RESTS = 11, 10


def worst(settings, report, ours):
    rounds, size = (2, 20) if settings.smoke else (21, 400)
    scenes = {"overlapping": (f"a literal and a parameter at each of {OVERLAPPING} levels, 4,095 places", OVERLAPPING,
                              f"403 wide.example.com /{'a/' * OVERLAPPING}x good"),
              "rests": (f"the same with `**` at {RESTS} levels, a preflight, 4,094 places", RESTS,
                        f"403 wide.example.com /{'a/' * RESTS}end preflight")}
    for name, (_, levels, question) in scenes.items():
        ours.scene(name, [question], name, levels)
    samples = alternate(ours, "worst case", list(scenes), rounds, size)
    for name, (title, _, _) in scenes.items():
        middle, low, high = median_interval(samples[name])
        report.result(f"Decider.decide, {title}", "the worst question", cpu_us_per_request=middle, cpu_us_low=low,
                      cpu_us_high=high, wrong_answers=0)


def overlapping(levels, ending):
    for bits in range(1 << levels):
        yield "/".join("a" if bits >> level & 1 else f"{{p{level}}}" for level in range(levels)) + ending


def policy(paths):
    lines = "\n".join(f'      - {{ match: "GET /{path}", scopes: a:read }}' for path in paths)
    return policy_head() + f"""\
scopes:
  a:read: {{}}
services:
  s:
    hosts: [wide.example.com]
    routes:
{lines}
"""


def rests(levels):
    yield from overlapping(levels, "/end")
    for level in range(levels):
        yield from overlapping(level, "/**" if level else "**")


def checks(settings, report, folder):
    """What `policy check` says of policies at the bound and one level beyond it."""
    for kind, paths, levels in (("overlapping", lambda count: overlapping(count, ""), OVERLAPPING), ("rests", rests, RESTS)):
        for more, code in ((0, 0), (1, 1)):
            path = folder / f"{kind}-{more}.yaml"
            path.write_text(policy(paths(levels + more)))
            done = subprocess.run([settings.binary, "policy", "check", path], capture_output=True, text=True)
            said = done.stdout + done.stderr
            if done.returncode != code or ("overlap so much" in said) != bool(more):
                report.fail(f"scale: `policy check` ends with {done.returncode} for {levels + more} levels ({kind}): {said}")
            else:
                report.result("scopecheck policy check", f"{kind} paths, {levels + more} levels", wrong_answers=0,
                              verdict="refused" if more else "accepted")
