"""What one request costs in instructions, atomic operations, system calls, allocations and locks: `bench/run counts`.

Counts do not depend on the machine's mood, so they have thresholds that hold everywhere (thresholds.tsv), in --smoke
too. Of the release binary with one worker, asked one question at a time:

instructions, own_instructions,       of the worker's thread, by `valgrind --tool=callgrind`: user space only. The least of
atomics, system_calls                 three rounds, since a round has the requests and what happens beside them (the
                                      worker's 50 ms tick), never less. Own are those of the program itself, without
                                      OpenSSL, LMDB, libc and Swift's runtime. Atomics are instructions with a bus lock.
                                      valgrind has no vDSO, so reading a clock is a system call there; such readings are
                                      counted natively and taken off again.
allocations, locks                    malloc and its kin, pthread locks; of the worker's thread without valgrind, by the
                                      library of Tests/Allocations. Locks of Swift are seen as atomics, as is each count of
                                      references.

Every denial is logged here (`denial_log`), where a daemon leaves out those beyond 100 a second.

valgrind's processor has no SHA instructions and no AVX-512, so SHA-256 weighs more here than anywhere else. What glibc
and OpenSSL choose by the processor is pinned to SSSE3 (`PINNED` of Tests/Allocations/callgrind.py), so that every x86-64
machine counts alike: on real ones both are faster. Most counts still belong to a version of glibc and of OpenSSL; with
others only what does not depend on them is compared, on other processors nothing, and the last line says so.

SCOPECHECK_THRESHOLDS=write in the environment makes the run write thresholds.tsv from what it measured instead.
"""

import dataclasses
import itertools
import json
import math
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable

from measuring.settings import ROOT, progress

import issuer
from daemon import cli
from harness import Workplace
from proofs import ProofKey, proof

sys.path.insert(0, str(ROOT / "Tests/Allocations"))
from callgrind import (CALLGRIND, COUNTED, PINNED, WARM, OneQuestionATurn, UnderCallgrind, one_processor,  # noqa: E402
                       totals)
from drivers import Counters, fastcgi_request, http_request, spop_request  # noqa: E402

THRESHOLDS = ROOT / "bench/thresholds.tsv"
FIGURES = ("instructions", "own_instructions", "atomics", "system_calls", "allocations", "locks")
# What does not depend on the versions of glibc and OpenSSL.
INDEPENDENT = ("own_instructions", "system_calls")
ALGORITHMS = ("RS256", "ES256", "EdDSA")
# Instructions may grow by this much. Two runs differ by 0.1 % at most, those of first-seen EdDSA tokens by 0.2 %: what
# that verification takes depends on the numbers in the signature.
ALLOWANCE = 1.03
# What whole numbers a request may be exceeded by: the beginning and end of the connection and the worker's tick, divided
# among all requests.
SLACK = {"system_calls": 0.5, "allocations": 0.1, "locks": 0.1}
# Below this share of its threshold a count is worth a lower one.
WORTH_LOWERING = 0.9

POLICY = """\
    profile: rfc9068
    dpop: {{ algorithms: [ES256], max_age: 10m }}
scopes:
  orders:read: {{}}
services:
  orders:
    hosts: [api.example.com]
    routes:
      - {{ match: "GET /orders/{{order}}", scopes: orders:read }}
      - {{ match: "GET /transfers/{{transfer}}", scopes: orders:read, proof: dpop }}
      - {{ match: GET /healthz, public: true }}
{routes}
"""

CONFIGURATION = """\
policy: policy.yaml
store: store
workers: 1
http: { address: "unix:http" }
fastcgi: { address: "unix:fastcgi" }
spop: { address: "unix:spop" }
denial_log: { lines_per_second: 1000000 }
"""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """`wire` is a listener of the daemon; `requests(daemon)` are questions without end, all answered with `expected`."""
    name: str
    wire: str
    requests: Callable
    expected: bytes


def counts(settings, report):
    if not has_tools(settings, report):
        return
    with Workplace() as place:
        folder = place.folder
        found = {}
        (folder / "stripped").mkdir()
        # valgrind 3.19 gives up on DWARF 5 of this size.
        stripped = folder / "stripped" / settings.binary.name
        subprocess.run(["objcopy", "--strip-debug", settings.binary, stripped], check=True)
        keys = prepare(place)
        # Both daemons are asked the same: first for what valgrind counts, then natively.
        counters = Counters(folder)
        with one_processor():
            with UnderCallgrind(folder, stripped) as daemon:
                for scenario in scenarios(keys):
                    progress(f"counting: {scenario.name}")
                    found[scenario.name] = daemon.count(getattr(daemon, scenario.wire), iter(scenario.requests(daemon)),
                                                        scenario.expected)
            with OneQuestionATurn(folder, [settings.binary], counters.environment) as daemon:
                for scenario in scenarios(keys):
                    add_native(found[scenario.name], counters, daemon, scenario)
        found["scopecheck decide, a line"] = of_decide(place, settings.binary, stripped, keys)
    progress("")
    for name, figures in found.items():
        report.result("scopecheck", name, **{figure: figures[figure] for figure in FIGURES})
    if os.environ.get("SCOPECHECK_THRESHOLDS") == "write":
        THRESHOLDS.write_text(thresholds_of(found))
        print(f"wrote {THRESHOLDS.relative_to(ROOT)}")
    else:
        compare(found, report)


def has_tools(settings, report):
    """Whether valgrind and objcopy are there; installed where that is allowed. Without them nothing is checked, which is
    a failure."""
    missing = [name for name in ("valgrind", "objcopy") if not shutil.which(name)]
    if missing and settings.installs and not settings.smoke:
        subprocess.run([ROOT / "Tests/install.sh", "valgrind:valgrind", "objcopy:binutils"], check=True)
    elif missing:
        report.fail(f"counts: nothing was counted, since there is no {' and no '.join(missing)}")
        return False
    return True


# --- what is asked -----------------------------------------------------------------------------------------------

def prepare(place):
    """Policy, keys and store; returns the issuer's keys by algorithm. The policy is put into the store here, since the
    daemon would run /proc/self/exe for that, which is valgrind."""
    keys = {algorithm: issuer.Key(algorithm) for algorithm in ALGORITHMS}
    routes = "\n".join(f'      - {{ match: "GET /v1/c{number % 50}/r{number}/{{id}}", scopes: orders:read }}'
                       for number in range(1_000))
    policy = place.write("policy.yaml", issuer.policy_head(*ALGORITHMS) + POLICY.format(routes=routes))
    place.write("scopecheck.yaml", CONFIGURATION)
    place.write("jwks.json", issuer.jwks(*keys.values()))
    store = place.folder / "store"
    store.mkdir(mode=0o700)
    # Tokens are held against what was revoked: of another subject.
    cli("revoke", "--store", store, "--issuer", issuer.ISSUER, "--subject", "mallory", check=0)
    cli("policy", "load", policy, "--store", store, check=0)
    return keys


def scenarios(keys):
    """With tokens of their own each time, since a daemon has seen those of the last."""
    key = keys["ES256"]
    good, other = issuer.mint(key), issuer.mint(key, scope="other")
    head, claims, _ = issuer.mint(key).split(".")
    forged = ".".join([head, claims, issuer.b64(b"\1" * 64)])
    for wire, request in (("fastcgi", fastcgi_request), ("http", http_request), ("spop", spop_request)):
        for name, target, token, expected in (
                ("allow", "/orders/7", good, b"200"), ("insufficient scope", "/orders/7", other, b"403"),
                ("forged token sent again", "/orders/7", forged, b"401"), ("public route", "/healthz", None, b"200")):
            question = request(target, token)
            yield Scenario(f"{wire}, {name}", wire, lambda _, question=question: itertools.repeat(question), expected)
    for algorithm in ALGORITHMS:
        yield Scenario(
            f"http, first-seen token, {algorithm}", "http",
            lambda _, key=keys[algorithm]: (http_request("/orders/7", issuer.mint(key)) for _ in itertools.count()), b"200")
    client = ProofKey()
    bound = issuer.mint(key, cnf=client.confirmation)
    yield Scenario("http, DPoP proof, token seen before", "http", lambda daemon: proven(daemon, client, bound), b"200")


def proven(daemon, client, token):
    """Questions with a proof of their own each, and the nonce that the daemon asks for after its start."""
    def question(**changes):
        one = proof(client, token, "GET", "https://api.example.com/transfers/7", **changes)
        return http_request("/transfers/7", token, scheme="DPoP", more=[("DPoP", one)])

    answer = daemon.http([question()], b"401")
    nonce = re.search(rb"(?mi)^DPoP-Nonce: (\S+)", answer)[1].decode()
    while True:
        yield question(nonce=nonce)


# --- counting ----------------------------------------------------------------------------------------------------

def add_native(figures, counters, daemon, scenario):
    requests = iter(scenario.requests(daemon))
    send = getattr(daemon, scenario.wire)
    send(itertools.islice(requests, WARM), scenario.expected)
    batch = list(itertools.islice(requests, COUNTED))
    change = counters.change(lambda: send(batch, scenario.expected))
    if change["sends"] < COUNTED:
        raise SystemExit(f"{scenario.name}: {change['sends']} answers of {COUNTED} were seen: the worker was not watched")
    per_request(figures, change)


def per_request(figures, change):
    figures["allocations"] = round(change["allocations"] / COUNTED, 2)
    figures["locks"] = round(change["locks"] / COUNTED, 2)
    figures["system_calls"] = round(max(0.0, figures["system_calls"] - change["clocks"] / COUNTED), 2)
    figures["atomics"] = round(figures["atomics"], 1)
    for name in ("instructions", "own_instructions"):
        figures[name] = round(figures[name])


def of_decide(place, binary, stripped, keys):
    """A line of `scopecheck decide`: the difference between a run and one with COUNTED lines more."""
    token = issuer.mint(keys["ES256"])
    line = json.dumps(dict(id=1, method="GET", target="/orders/7", host="api.example.com", scheme="https", port=443,
                           authorization=["Bearer " + token])) + "\n"
    counters = Counters(place.folder, thread=binary.name[:15])
    command = ["decide", "--policy", place.folder / "policy.yaml"]
    found = []
    for lines in (COUNTED, 2 * COUNTED):
        progress(f"counting: scopecheck decide, {lines} lines")
        output = place.folder / f"decide-{lines}"
        text = (line * lines).encode()
        answers(subprocess.run([*CALLGRIND, "--vgdb=no", f"--callgrind-out-file={output}", stripped, *command],
                               input=text, check=True, capture_output=True, env={**os.environ, **PINNED}).stdout, lines)
        native = counters.change(lambda: answers(subprocess.run(
            [binary, *command], input=text, check=True, capture_output=True,
            env={**os.environ, **counters.environment}).stdout, lines))
        found.append((totals(output.read_text(), stripped), native))
    (less, less_native), (more, more_native) = found
    figures = {name: (more[name] - less[name]) / COUNTED for name in less}
    per_request(figures, {name: more_native[name] - less_native[name] for name in more_native})
    return figures


def answers(output, count):
    good = output.count(b'"verdict":"allow"')
    if good != count:
        raise SystemExit(f"`scopecheck decide` allowed {good} lines of {count}")


# --- thresholds --------------------------------------------------------------------------------------------------

HEAD = """\
# The most that one request may cost; `bench/run counts` fails beyond (benches/counts.py says what is counted).
# Set from a run: instructions and atomics as measured + 3 %, the others as measured, rounded to whole ones.
# A change that needs more raises its lines in the same commit, with the reason in the commit's message; one that needs
# much less lowers them. `SCOPECHECK_THRESHOLDS=write bench/run counts` writes all of them from a run.
# They belong to the libraries named below and to the compiler: a new one of these is a reason to write them anew.
# made with: {ground}
"""


def ground():
    """What the counts belong to: (processor, libraries)."""
    glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "no glibc").strip()
    return platform.machine(), f"{glibc}, OpenSSL {ssl.OPENSSL_VERSION_INFO[0]}.{ssl.OPENSSL_VERSION_INFO[1]}"


def threshold(figure, value):
    return math.ceil(value - SLACK[figure] if figure in SLACK else value * ALLOWANCE)


def thresholds_of(found):
    lines = ["\t".join(["name", *(figure + "_max" for figure in FIGURES)])]
    lines += ["\t".join([name, *(str(threshold(figure, figures[figure])) for figure in FIGURES)])
              for name, figures in found.items()]
    return HEAD.format(ground=", ".join(ground())) + "\n".join(lines) + "\n"


def read_thresholds():
    """({name: {figure: most}}, the `ground` that they were made on)"""
    text = THRESHOLDS.read_text()
    made_with = re.search(r"^# made with: (.*)$", text, re.M)[1]
    head, *lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    assert head == ["name", *(figure + "_max" for figure in FIGURES)], head
    return {name: dict(zip(FIGURES, map(int, numbers))) for name, *numbers in lines}, tuple(made_with.split(", ", 1))


def compare(found, report):
    """Fails the run where a count is beyond its threshold, where one has none, and where one is left over."""
    limits, made_with = read_thresholds()
    compared = comparable(made_with)
    if not compared:
        report.unmeasured("counts within bench/thresholds.tsv", 1, "nothing was compared: the thresholds belong to "
                          f"{made_with[0]}, and this is {ground()[0]}")
        return
    for name in sorted(found.keys() ^ limits.keys()):
        report.fail(f"counts: `{name}` is " + ("not in thresholds.tsv" if name in found else "in thresholds.tsv alone"))
    for name, figures in found.items():
        if name not in limits:
            continue
        told = compared[0]
        report.goal(f"{name}: {told}", figures[told], limits[name][told], unit="instructions")
        for figure in compared:
            judge(report, name, figure, figures[figure], limits[name][figure])
    if compared != FIGURES:
        report.unmeasured("all counts within bench/thresholds.tsv", 1, f"only {' and '.join(compared)} were compared: the "
                          f"others belong to {made_with[1]}, and here is {ground()[1]}")


def comparable(made_with):
    """Those of FIGURES that thresholds made on this ground hold for here."""
    if made_with == ground():
        return FIGURES
    return INDEPENDENT if made_with[0] == ground()[0] else ()


def judge(report, name, figure, value, most):
    if value > most + SLACK.get(figure, 0):
        report.fail(f"counts: {name}: {value:g} {figure}, threshold {most}. Find what the change added (callgrind_annotate "
                    "shows it), or raise the line in bench/thresholds.tsv in the same commit and say why in its message")
    elif most > 0 and value < most * WORTH_LOWERING - SLACK.get(figure, 0):
        print(f"counts: {name}: {value:g} {figure} is far below the threshold {most}: lower it in bench/thresholds.tsv")
