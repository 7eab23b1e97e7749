"""`scopecheck decide` as a filter of lines, against copying the same lines through `cat`: the floor of any filter."""

import json
import resource
import subprocess
import time

from measuring.ground import Ground



def cpu_seconds(command, stdin):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    with open(stdin, "rb") as lines:
        done = subprocess.run(command, stdin=lines, stdout=subprocess.PIPE, check=True)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, done.stdout


def decide(settings, report):
    count = 2_000 if settings.smoke else 200_000
    with Ground(200 if settings.smoke else 10_000) as ground:
        lines = ground.write("lines", "".join(json.dumps(dict(
            id=number, method="GET", target=f"/v1/c{number % 10}/r{number % 10}/{number}",
            host=f"h{number % 10}.example.com", scheme="https", port=443,
            authorization=["Bearer " + ground.good])) + "\n" for number in range(count)))
        runs, floors, wrong = [], [], 0
        for _ in range(1 if settings.smoke else 5):
            cpu, wall, out = cpu_seconds([settings.binary, "decide", "--policy", ground.policy], lines)
            answers = out.splitlines()
            wrong += abs(count - len(answers)) + sum(b'"verdict":"allow"' not in answer for answer in answers)
            runs.append((cpu, wall))
            floors.append(cpu_seconds(["cat"], lines)[:2])
    for name, (cpu, wall), mistakes in (("scopecheck decide", min(runs), wrong), ("cat", min(floors), 0)):
        report.result(name, "lines of JSON, one token, 10,000 routes", cpu_us_per_request=cpu / count * 1e6,
                      requests_per_second=round(count / wall), wrong_answers=mistakes)
