"""A policy engine of PyPI in a process of its own, asked the questions that Decisions is asked.

Engines get the claims of the token parsed: they verify no signature, hash no token, look up no revocation and make no
answer, which favours them. What a call through their binding costs that does nothing is measured in every round and taken
off, which favours them again. The collector of Python is off while they run.
"""

import gc
import hashlib
import pathlib
import subprocess
import sys
import time

from measuring.settings import ROOT

FOLDER = ROOT / ".build/bench/python"
BENCH = ROOT / "bench"

# The scope that every route needs.
SCOPE = "orders:read"

# PyPI has no `regorus` by Microsoft; this one is their source, built as it is by others. The name that is imported, then
# what pip gets.
PACKAGES = {
    "regorus": "celine-regorus==0.9.1.post20260227075446 "
               "--hash=sha256:b1b5cd141ad6029b5e9e668b803516efc909aabbf3f3e480636f54fee56e5309",
    "cedarpy": "cedarpy==4.12.2 --hash=sha256:33d6430cf5ec485638cb051c91aa6068b0d70d641d01201a2883cf1b5bf11c20",
}


def missing(name, settings):
    """Why an engine cannot be asked here, or nothing. Installs it where that is allowed, in a smoke run never."""
    wanted = PACKAGES[name]
    mark = FOLDER / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    if mark.exists():
        return None
    if settings.smoke or not settings.installs:
        return f"{wanted.split()[0]} is not installed, and this run installs nothing"
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        subprocess.run([ROOT / "Tests/install.sh", "python3-pip"], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action", "ignore",
         "--require-hashes", "--only-binary", ":all:", "--no-deps", "--upgrade", "--target", FOLDER, "-r", "/dev/stdin"],
        input=wanted, text=True, capture_output=True)
    if done.returncode:
        return f"pip could not install {wanted.split()[0]}: {(done.stderr.strip() or 'no reason').splitlines()[-1]}"
    mark.touch()
    return None


class Peer:
    """`source` is the driver, a module beside this one; `mode` one of its ways to ask. `questions` is a file of lines that
    Decisions reads too, `counts` (routes, hosts)."""

    def __init__(self, title, source, mode, questions, counts):
        command = [sys.executable, "-B", "-m", f"benches.engines.{source}", mode, questions, *map(str, counts)]
        self.process = subprocess.Popen(command, cwd=BENCH, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            self.process.wait()
            raise SystemExit(f"{title} gives wrong answers, or did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def microseconds(self, count):
        """(CPU of one question, of one call that does nothing), the means of `count`."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a peer ended with exit code {self.process.wait()}")
        gross, empty = map(int, line.split())
        return gross / count / 1e3, empty / count / 1e3


def serve(questions, answers, ask, empty):
    """What a driver does once its engine is ready. `questions` are (prepared question, whether it is allowed). Each of the
    functions takes a list of prepared ones: `answers` returns a list of booleans, `ask` asks the same and returns nothing,
    `empty` makes as many calls that do nothing."""
    prepared, right = zip(*questions)
    wrong = sum(got != wanted for got, wanted in zip(answers(prepared), right, strict=True))
    if wrong:
        raise SystemExit(f"{wrong} wrong answers of {len(right)}")
    prepared = [each for each, wanted in questions if wanted]
    gc.disable()
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        batch = (prepared * (count // len(prepared) + 1))[:count]
        start = time.thread_time_ns()
        ask(batch)
        middle = time.thread_time_ns()
        empty(batch)
        print(middle - start, time.thread_time_ns() - middle, flush=True)


def read(path):
    """(host, target, scopes of the token, whether it is allowed) of questions that an engine can be asked:
    those with a token that is good."""
    for line in pathlib.Path(path).read_text().splitlines():
        status, host, target, form = line.split()
        if form in ("good", "missing-scope"):
            yield host, target, ["openid"] + [SCOPE] * (form == "good"), status == "200"
