#!/usr/bin/env python3
"""Compares `scopecheck decide` with the reference evaluator on generated policies, tokens and requests.

    differential.py [--binary PATH] [--cases N] [--policies N] [--seed N] [--only SEED:LINE] [--summary FILE]

Prints a histogram of the reasons. Fails on any difference, when fewer than 30 % of the cases are allowed, and when
some reason that a request can reach came up fewer than 100 times.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import evaluator
import generate

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPARED = ["id", "verdict", "status", "reason", "service", "route", "issuer", "subject", "client", "granted",
            "required", "challenge"]
# Reasons that need a daemon without a policy, without keys or without room: `decide` cannot reach them.
UNREACHABLE = {"no_policy", "keys_unavailable", "keys_stale", "policy_unreadable", "overloaded"}


def run_decide(binary, folder, lines, now):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    result = subprocess.run([str(binary), "decide", "--policy", str(folder / "policy.yaml"), "--at", str(now)],
                            input=text.encode(), capture_output=True, timeout=600)
    if result.returncode != 0:
        raise SystemExit(f"`scopecheck decide` ended with {result.returncode}:\n"
                         + result.stderr.decode(errors="replace")[-4000:]
                         + f"\nthe policy is kept in {keep(folder)}")
    return [json.loads(line) for line in result.stdout.splitlines()]


def keep(folder):
    kept = pathlib.Path(tempfile.mkdtemp(prefix="differential-"))
    for path in folder.iterdir():
        (kept / path.name).write_bytes(path.read_bytes())
    return kept


def challenge_error(challenge):
    """None without a challenge, "" for one without `error`, otherwise the error."""
    if not challenge:
        return None
    _, found, rest = challenge.partition('error="')
    return rest.split('"')[0] if found else ""


def challenge_scopes(challenge):
    _, found, rest = (challenge or "").partition('scope="')
    return rest.split('"')[0].split(" ") if found else []


def differences(ours, theirs):
    """Names of the fields in which the daemon's answer differs from the evaluator's."""
    found = [name for name in ("verdict", "status", "reason", "service", "route", "issuer", "subject", "client",
                             "client_name")
             if (theirs.get(name) or "") != (ours[name] or "")]
    for name in ("granted", "excess", "old_scopes"):
        if sorted(theirs.get(name) or []) != sorted(ours[name]):
            found.append(name)
    required = theirs.get("required") or {}
    if {name: sorted(required.get(name) or []) for name in ("all", "any")} != ours["required"]:
        found.append("required")
    if challenge_error(theirs.get("challenge")) != ours["error"]:
        found.append("challenge")
    # The scopes of that very route, and of it alone; left out where the list would be too long.
    scopes = challenge_scopes(theirs.get("challenge"))
    if scopes and ours["reason"] in ("over_scoped", "unknown_client"):
        found.append("challenge scopes")
    if scopes and sorted(set(scopes)) != sorted(set(ours["required"]["all"] + ours["required"]["any"])):
        found.append("challenge scopes")
    return found


def smaller(binary, folder, line, now, judge, theirs):
    """Drops what the difference does not need from a request."""
    for name in list(line):
        less = {key: value for key, value in line.items() if key != name}
        answer = run_decide(binary, folder, [less], now)[0]
        ours = judge.decide(less, now)
        if differences(ours, answer):
            line, theirs = less, answer
    return line, judge.decide(line, now), theirs


def main():
    parser = argparse.ArgumentParser(description="differential test of the decision")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / ".build/release/scopecheck")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--policies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="SEED:LINE of one case, to see both answers")
    parser.add_argument("--dry", action="store_true", help="the evaluator alone: histogram without a binary")
    parser.add_argument("--summary", help="write `passed failed skipped` to this file")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.policies)
    wanted_line = None
    if options.only:
        seed, _, line = options.only.partition(":")
        seeds, wanted_line = [int(seed)], int(line) if line else None
    each = max(1, options.cases // options.policies)
    if not options.dry and not options.binary.exists():
        print(f"skipped: `{options.binary}` does not exist")
        if options.summary:
            pathlib.Path(options.summary).write_text(f"0 0 {options.cases}\n")
        print(f"0 passed, 0 failed, {options.cases} skipped")
        return 0

    histogram, cases, failed, shown, started = collections.Counter(), 0, 0, 0, time.monotonic()
    by_kind = collections.Counter()
    for number, seed in enumerate(seeds):
        case = generate.Case(seed)
        with tempfile.TemporaryDirectory(prefix="sc-") as name:
            folder = pathlib.Path(name)
            (folder / "policy.yaml").write_text(case.policy)
            for file, text in case.files.items():
                (folder / file).write_text(text)
            judge = evaluator.Evaluator(case.policy, folder)
            lines = case.requests(each)
            ours = [judge.decide(line, generate.NOW) for line in lines]
            histogram.update(answer["reason"] for answer in ours)
            cases += len(lines)
            if options.dry:
                continue
            theirs = run_decide(options.binary, folder, lines, generate.NOW)
            if len(theirs) != len(lines):
                print(f"seed {seed}: {len(lines)} lines in, {len(theirs)} out")
                failed += abs(len(lines) - len(theirs))
            for index, (line, mine, answer) in enumerate(zip(lines, ours, theirs)):
                if wanted_line is not None and index == wanted_line:
                    print(json.dumps(line, indent=1), json.dumps(mine, indent=1), json.dumps(answer, indent=1))
                wrong = differences(mine, answer)
                if str(answer.get("id")) != line["id"]:
                    wrong.append("id")
                if not wrong:
                    continue
                failed += 1
                kind = f"{mine['reason']} here, {answer.get('reason')} there: {','.join(wrong)}"
                by_kind[kind] += 1
                if shown < 12 and by_kind[kind] == 1:
                    shown += 1
                    line, mine, answer = smaller(options.binary, folder, dict(line), generate.NOW, judge, answer)
                    print(f"\ndifference {seed}:{index} in {', '.join(wrong)}; policy and keys in {keep(folder)}")
                    print("  request   " + json.dumps(line))
                    print("  reference " + json.dumps(mine))
                    print("  decide    " + json.dumps(answer))
        if sys.stdout.isatty():
            print(f"\r{number + 1} of {len(seeds)} policies, {cases} cases, {failed} differences", end="", flush=True)
    if sys.stdout.isatty():
        print()

    allowed = sum(histogram[reason] for reason in ("granted", "public", "preflight", "observed"))
    for reason, count in sorted(histogram.items(), key=lambda item: -item[1]):
        print(f"{count:8}  {reason}")
    for kind, count in by_kind.most_common(30):
        print(f"{count:8}  {kind}")
    print(f"{cases} cases in {time.monotonic() - started:.0f} s, {100 * allowed / cases:.1f} % allowed")
    short = []
    if options.only is None:
        short = [f"`{reason}` came up {histogram[reason]} times, not 100"
                 for reason in evaluator.STATUS if histogram[reason] < 100]
        if allowed < 0.3 * cases:
            short.append("fewer than 30 % were allowed")
        print("".join(f"the generator falls short: {line}\n" for line in short), end="")
    if options.summary:
        pathlib.Path(options.summary).write_text(f"{cases - failed} {failed + len(short)} 0\n")
    print(f"{cases - failed} passed, {failed + len(short)} failed, 0 skipped")
    return 1 if failed or short else 0


if __name__ == "__main__":
    sys.exit(main())
