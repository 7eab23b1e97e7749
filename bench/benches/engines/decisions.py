"""The program Decisions of bench/in_process, and the questions that it and the peers are asked."""

import bisect
import os
import random
import subprocess

from measuring.in_process import program


def routes(count, hosts):
    """(host, route) of every route of a policy of `count` routes over `hosts` hosts: measuring/ground.py has the same."""
    return ((host, route) for host in range(hosts) for route in range(count // hosts))


def asked(count, hosts, number, distinct):
    """The question for the route `number` of such a policy, as (host, target); `distinct` makes its target another one."""
    # 7,919 is a prime: neighbours in number are far apart in the tables, so that what is asked often is, too.
    place = number * 7_919 % count
    host, route = place % hosts, place // hosts
    return f"h{host}.example.com", f"/v1/c{route % 50}/r{route}/{distinct}"


def uniform(count, hosts, questions, seed=1):
    """Lines of Questions.swift: every route as often as any other."""
    chosen = random.Random(seed)
    for number in range(questions):
        host, target = asked(count, hosts, chosen.randrange(count), number)
        yield f"200 {host} {target} good"


def zipf(count, hosts, questions, seed=1):
    """The same by Zipf's law with exponent 1."""
    chosen, sums, total = random.Random(seed), [], 0.0
    for rank in range(1, count + 1):
        total += 1 / rank
        sums.append(total)
    for number in range(questions):
        host, target = asked(count, hosts, bisect.bisect_left(sums, chosen.random() * total), number)
        yield f"200 {host} {target} good"


class Decisions:
    """A process that answers the commands of Commands.swift; a wrong status ends it, and the bench with it."""

    def __init__(self, settings, folder, environment=None, before=()):
        """`before` is what the program is run by."""
        self.folder, self.scenes = folder, 0
        store = folder / "store"
        store.mkdir(exist_ok=True, mode=0o700)
        self.process = subprocess.Popen([*before, program(settings, "Decisions"), store], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
        self._expect("ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self._line()

    def scene(self, name, questions, *kind):
        """A policy of this kind, and the lines that it is asked from then on; each is asked once here."""
        self.scenes += 1
        path = self.folder / f"questions-{self.process.pid}-{self.scenes}"
        path.write_text("\n".join(questions) + "\n")
        self.process.stdin.write(" ".join(map(str, ["scene", name, path, *kind])) + "\n")
        self.process.stdin.flush()
        self._expect("ready")
        path.unlink()

    def microseconds(self, name, count):
        """CPU of one decision, the mean of `count`."""
        return int(self.say("run", name, count)) / count / 1e3

    def _expect(self, what):
        if (line := self._line()) != what:
            raise SystemExit(f"Decisions said `{line}` instead of `{what}`")

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"Decisions ended with exit code {self.process.wait()}")
        return line.strip()
