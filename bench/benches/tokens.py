"""Many live tokens and a cache that is smaller: `bench/run tokens`.

1,000,000 different ES256 tokens of about 700 bytes, a cache of 131,072 (in sets of eight). The number of tokens in use grows
in steps; at each one the cache is first brought to what such traffic makes of it, by as many misses as it has places or
until all tokens were asked for, and then measured: hit rate, time of a hit and of a miss, and the cost of a request, which
is both by their rates. Times are medians of single decisions; reading the clock, about 20 ns, is in them. A token is copied
into the request's buffer before the clock starts.

No cliff means, of medians in rounds beside each other, Zipf traffic over all tokens:
  a hit in a full cache that turns over ≤ HIT_MAX × a hit in a cache that is about half full;
  a miss in a full cache ≤ MISS_MAX × (verifying alone + a hit), which is what it has to do.
Bounded memory means: after the cache was first full, so many more tokens come that every place is given up at least once,
and the process has not grown by more than GROWTH_MAX of what the cache itself took.
"""

import pathlib
import tempfile

from benches.engines.decisions import Decisions, asked
from measuring import plot
from measuring.settings import progress
from measuring.intervals import median_interval, median_ratio

HIT_MAX, MISS_MAX, GROWTH_MAX = 1.25, 1.10, 0.05
COUNTS = (10_000, 10)


class Sizes:
    def __init__(self, smoke):
        self.entries = 512 if smoke else 131_072
        self.tokens = 4_096 if smoke else 1_000_000
        # Live tokens at each step, as parts of the cache.
        self.steps = [each for each in (self.entries // 8, self.entries // 2, self.entries, 2 * self.entries,
                                        4 * self.entries, self.tokens) if each <= self.tokens]
        self.asked = 500 if smoke else 15_000
        self.rounds = 2 if smoke else 24
        self.asked_in_round = 300 if smoke else 2_500


class Answer:
    """What the command `ask` says; times in microseconds, None of none."""

    def __init__(self, line, count):
        hits, *numbers, self.cached = map(int, line.split())
        self.hits, self.misses, self.hit_rate = hits, count - hits, hits / count
        hit, hit_p99, miss, miss_p99 = (number / 1e3 for number in numbers)
        self.cost = self.hit_rate * hit + (1 - self.hit_rate) * miss
        self.hit, self.hit_p99 = (hit, hit_p99) if hits else (None, None)
        self.miss, self.miss_p99 = (miss, miss_p99) if self.misses else (None, None)


def tokens(settings, report):
    sizes = Sizes(settings.smoke)
    with tempfile.TemporaryDirectory(prefix="sc-") as path, Decisions(settings, pathlib.Path(path)) as ours:
        questions = (asked(*COUNTS, number, number) for number in range(2_000))
        ours.scene("many", [f"200 {host} {target} good" for host, target in questions], "routes", *COUNTS)
        progress(f"tokens: minting {sizes.tokens:,}")
        ours.say("mint", sizes.tokens)
        series = {traffic: steps(report, ours, sizes, traffic) for traffic in ("uniform", "zipf")}
        if not settings.smoke:
            draw(report, series)
        cliff(report, ours, sizes)


def ask(ours, name, live, traffic, count):
    return Answer(ours.say("ask", name, live, traffic, count), count)


def settle(ours, name, live, traffic, misses):
    """Asks until so many tokens were new, or nearly all that are asked for are known."""
    left = misses
    while left > 0:
        found = ask(ours, name, live, traffic, max(1_000, min(left, 20_000)))
        left -= found.misses
        if found.hit_rate > 0.999:
            break


# --- more and more live tokens -----------------------------------------------------------------------------------

def steps(report, ours, sizes, traffic):
    """[(live tokens, answer)]; leaves a decider of the traffic's name that is full and turning over."""
    empty = int(ours.say("memory"))
    ours.say("live", traffic, "many", sizes.entries)
    found, full = [], None
    for live in sizes.steps:
        progress(f"tokens, {traffic}: {live:,} live")
        settle(ours, traffic, live, traffic, min(live, sizes.entries))
        if full is None and live >= 2 * sizes.entries:
            full = int(ours.say("memory"))
        answer = ask(ours, traffic, live, traffic, sizes.asked)
        found.append((live, answer))
        report.result(f"{live:,} live tokens", f"a cache of {sizes.entries:,} tokens, {traffic} reuse",
                      cpu_us_per_request=answer.cost, wrong_answers=0, hit_rate=answer.hit_rate, cached=answer.cached,
                      hit_us=answer.hit, hit_p99_us=answer.hit_p99, miss_us=answer.miss, miss_p99_us=answer.miss_p99)
    progress("")
    grown = int(ours.say("memory")) - full
    report.result(f"{sizes.entries:,} tokens cached", f"memory, {traffic} reuse", cache_kilobytes=full - empty,
                  bytes_per_token=round((full - empty) * 1_024 / found[-1][1].cached), grown_kilobytes=grown)
    # A small cache may find room in what the process has already.
    if full <= empty and sizes.entries > 10_000:
        report.fail(f"tokens: filling the cache took no memory ({empty} kB before, {full} kB after)")
    report.goal(f"memory of a full cache while it turns over, {traffic} reuse: growth as a part of the cache",
                max(0, grown) / max(1, full - empty), GROWTH_MAX)
    if found[-1][1].cached > sizes.entries:
        report.fail(f"tokens: {found[-1][1].cached} tokens in a cache of {sizes.entries}")
    return found


def draw(report, series):
    names = {"uniform": "uniform", "zipf": "Zipf"}
    for name, title, up, value in (
            ("tokens-hit-rate", "Hit rate of a cache of 131,072 tokens", "hits, %", lambda answer: 100 * answer.hit_rate),
            ("tokens-cost", "A request, by live tokens; 131,072 of them cached", "µs", lambda answer: answer.cost),
            ("tokens-hit", "A hit, by live tokens; 131,072 of them cached", "µs", lambda answer: answer.hit)):
        report.plot(name, plot.lines(title, {
            names[traffic]: [(live / 1_000, value(answer)) for live, answer in found] for traffic, found in series.items()
        }, "live tokens, thousands", up))


# --- no cliff ----------------------------------------------------------------------------------------------------

def cliff(report, ours, sizes):
    """The decider that Zipf traffic has filled beside a new one that the same traffic has filled by half."""
    live = sizes.steps[-1]
    ours.say("live", "half", "many", sizes.entries)
    # The rounds below bring it from here to a little beyond the half.
    settle(ours, "half", live, "zipf", sizes.entries * 4 // 10)
    contenders = {"full": lambda: ask(ours, "zipf", live, "zipf", sizes.asked_in_round),
                  "half": lambda: ask(ours, "half", live, "zipf", sizes.asked_in_round),
                  "verify": lambda: int(ours.say("verify", sizes.asked_in_round // 5)) / 1e3}
    samples = {name: [] for name in contenders}
    for number in range(sizes.rounds):
        progress(f"tokens: round {number + 1} of {sizes.rounds}")
        for name in list(contenders) if number % 2 == 0 else reversed(list(contenders)):
            samples[name].append(contenders[name]())
    progress("")
    full, half, verify = samples["full"], samples["half"], samples["verify"]
    for title, answers in (("a full cache that turns over", full), ("a cache about half full", half)):
        report.result(title, f"Zipf reuse of {live:,} tokens", wrong_answers=0, cached=answers[-1].cached,
                      hit_rate=median_interval([each.hit_rate for each in answers])[0],
                      hit_us=median_interval([each.hit for each in answers])[0],
                      hit_p99_us=median_interval([each.hit_p99 for each in answers])[0],
                      miss_us=median_interval([each.miss for each in answers])[0],
                      miss_p99_us=median_interval([each.miss_p99 for each in answers])[0])
    report.result("verifying alone", f"Zipf reuse of {live:,} tokens", miss_us=median_interval(verify)[0])
    middle, low, high = median_ratio([(a.hit, b.hit) for a, b in zip(full, half)])
    report.goal("a hit in a full cache that turns over, against one in a cache half full", middle, HIT_MAX, low, high)
    middle, low, high = median_ratio([(a.miss, alone + a.hit) for a, alone in zip(full, verify)])
    report.goal("a miss in a full cache, against verifying alone and a hit", middle, MISS_MAX, low, high)
