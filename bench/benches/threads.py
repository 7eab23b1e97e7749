"""Decisions of two threads against one, in process: `bench/run threads`.

As the daemon's workers: each thread has a decider, a reader of the store and a token cache of its own; the snapshot board
and the store are shared. Runs of one and two threads alternate. Two processors may be one core that two threads share, or
be shared with other machines: so the same is measured with arithmetic in registers, which nothing but the machine can
slow down, and the ratio of both is given beside.
"""

import pathlib
import tempfile

from benches.engines.decisions import Decisions, zipf
from measuring.settings import progress
from measuring.intervals import median_interval, ratio


def threads(settings, report):
    counts, questions = ((1_000, 10), 500) if settings.smoke else ((10_000, 10), 20_000)
    pairs, milliseconds = (2, 20) if settings.smoke else (30, 250)
    with tempfile.TemporaryDirectory(prefix="sc-") as path, Decisions(settings, pathlib.Path(path)) as ours:
        ours.scene("many", zipf(*counts, questions), "routes", *counts)
        commands = {("decisions", 1): ("threads", "many", 1), ("decisions", 2): ("threads", "many", 2),
                    ("arithmetic", 1): ("spin", 1), ("arithmetic", 2): ("spin", 2)}
        samples = {each: [] for each in commands}
        for pair in range(pairs):
            progress(f"threads: round {pair + 1} of {pairs}")
            # Neighbours in time are compared with each other, in either order.
            for each in list(commands) if pair % 2 == 0 else reversed(list(commands)):
                samples[each].append(float(ours.say(*commands[each], milliseconds)))
        progress("")
    gains = {what: [two / one for two, one in zip(samples[what, 2], samples[what, 1])] for what in ("decisions", "arithmetic")}
    for number in (1, 2):
        report.result(f"Decider.decide, {number} thread{'s' * (number > 1)}", "scaling in process, 10,000 routes",
                      requests_per_second=round(median_interval(samples["decisions", number])[0]), wrong_answers=0)
    mean, low, high = ratio([(gain, 1) for gain in gains["arithmetic"]])
    report.result("arithmetic in registers, 2 threads against 1", "scaling in process, 10,000 routes", times=mean,
                  times_low=low, times_high=high)
    mean, low, high = ratio(list(zip(gains["decisions"], gains["arithmetic"])))
    report.result("Decider.decide, 2 threads against 1, as a part of what arithmetic gains",
                  "scaling in process, 10,000 routes", part=mean, part_low=low, part_high=high)
    mean, low, high = ratio([(gain, 1) for gain in gains["decisions"]])
    report.goal("two threads, decisions a second in process, against one", mean, 1.8, low, high, at_least=True)
