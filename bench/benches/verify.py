"""What a token costs that was not seen before, against OpenSSL alone: `bench/run verify`.

Contenders are processes that stay: each checks good and tampered tokens first, then says how many microseconds of CPU N
verifications took. One pair is a run of the floor and a run of ours, in alternating order. The ratio is the median of
the pairs, its interval that of the median by the binomial ranks, which needs no shape of the noise. Where valgrind is
there, instructions are counted too: steadier, but its processor has no SHA instructions, so hashing weighs more there.
"""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

from measuring.contender import FLOORS as SOURCES
from measuring.contender import compile_program
from measuring.in_process import program
from measuring.settings import progress
from measuring.intervals import median_interval

# The fastest way of OpenSSL for each, and a second one, so that the floor is no straw man.
FLOORS = {"RS256": ("hashed", "copied"), "ES256": ("hashed", "copied"), "EdDSA": ("whole", "copied")}
# Verifications in one run: about 40 ms of CPU.
ROUNDS = {"RS256": 2_600, "ES256": 850, "EdDSA": 600}


def public_key(jwks):
    """The first key of a set as SubjectPublicKeyInfo in DER."""
    def item(tag, *parts):
        content = b"".join(parts)
        length = len(content)
        head = bytes([length]) if length < 128 else bytes([0x82, length >> 8, length & 255])
        return bytes([tag]) + head + content

    def member(name):
        return base64.urlsafe_b64decode(key[name] + "==")

    def number(name):
        content = member(name)
        return item(2, b"\0" + content if content[0] & 128 else content)

    key = json.loads(jwks)["keys"][0]
    if key["kty"] == "OKP":
        return item(0x30, item(0x30, bytes.fromhex("06032b6570")), item(3, b"\0" + member("x")))
    if key["kty"] == "EC":
        curve = bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107")
        return item(0x30, item(0x30, curve), item(3, b"\0\4" + member("x") + member("y")))
    numbers = item(0x30, number("n"), number("e"))
    return item(0x30, item(0x30, bytes.fromhex("06092a864886f70d0101010500")), item(3, b"\0" + numbers))


class Contender:
    def __init__(self, *command):
        self.command = [str(part) for part in command]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"{command[0]} did not get ready")

    def microseconds(self, rounds):
        self.process.stdin.write(f"{rounds}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline()) / rounds

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def instructions(command, rounds):
    """Of one verification: what twice as many take more, so that the start does not count. None without valgrind."""
    if not shutil.which("valgrind"):
        return None
    counts = []
    for number in (rounds, 2 * rounds):
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
                              input=f"{number}\n", capture_output=True, text=True, check=True)
        counts.append(int(re.search(r"Collected : (\d+)", done.stderr).group(1)))
    return round((counts[1] - counts[0]) / rounds)


def measure(folder, binary, floor, algorithm, smoke, report):
    made = folder / algorithm
    made.mkdir()
    subprocess.run([binary, "mint", algorithm, "64" if smoke else "512", made], check=True)
    (made / "key").write_bytes(public_key((made / "jwks.json").read_text()))
    size = len((made / "tokens").read_text().split()[0])
    pairs, rounds = (2, 64) if smoke else (31, ROUNDS[algorithm])
    floors = {mode: Contender(floor, mode, algorithm, made / "key", made / "tokens") for mode in FLOORS[algorithm]}
    (folder / f"{algorithm}-store").mkdir()
    ours = {"verify": Contender(binary, "verify", made),
            "decide": Contender(binary, "decide", made, folder / f"{algorithm}-store")}
    everyone = {**floors, **ours}
    samples = {name: [] for name in everyone}
    for contender in everyone.values():
        contender.microseconds(rounds)
    for pair in range(pairs):
        progress(f"verify {algorithm}: round {pair + 1} of {pairs}")
        # Alternating, and each order as often: whoever comes later has the warmer machine.
        for name in list(everyone) if pair % 2 == 0 else reversed(list(everyone)):
            samples[name].append(everyone[name].microseconds(rounds))
    for contender in everyone.values():
        contender.end()
    progress("")
    best = min(floors, key=lambda mode: median_interval(samples[mode])[0])
    counts = {} if smoke else count(folder, everyone, made, algorithm)
    for name, title in ((best, f"OpenSSL alone ({best})"), ("verify", "TokenVerifier.verify"), ("decide", "Decider.decide")):
        report.result(title, f"first-seen {algorithm} token", cpu_us_per_request=median_interval(samples[name])[0],
                      wrong_answers=0, token_bytes=size, instructions=counts.get(name))
    for name, title in (("verify", "verification"), ("decide", "whole decision")):
        middle, low, high = median_interval([time / least for time, least in zip(samples[name], samples[best])])
        report.goal(f"first-seen {algorithm} token: {title} against OpenSSL alone", middle, 1.10, low, high)


def count(folder, everyone, made, algorithm):
    """Instructions of each contender, over the first tokens only: valgrind is slow."""
    few = folder / f"{algorithm}-few"
    shutil.copytree(made, few)
    (few / "tokens").write_text("".join((made / "tokens").read_text().splitlines(True)[:64]))
    store = few / "store"
    store.mkdir()
    swapped = {str(folder / f"{algorithm}-store"): str(store)}
    swapped.update({str(made / name) if name else str(made): str(few / name) if name else str(few)
                    for name in ("", "key", "tokens")})
    return {name: instructions([swapped.get(part, part) for part in contender.command], 128)
            for name, contender in everyone.items()}


def verify(settings, report):
    with tempfile.TemporaryDirectory(prefix="sc-") as name:
        folder = pathlib.Path(name)
        floor, binary = compile_program(folder, SOURCES / "openssl.c", "-lcrypto"), program(settings, "FirstSeen")
        for algorithm in FLOORS:
            measure(folder, binary, floor, algorithm, settings.smoke, report)
