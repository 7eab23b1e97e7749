"""Generated requests over every transport, against the reference evaluator: adapters change no decision."""

import importlib
import os
import sys
import time
import urllib.parse

from daemon import Daemon, Stage
from harness import HERE, Closed, ask

sys.path.insert(0, str(HERE.parent / "Reference"))
import evaluator  # noqa: E402
import generate  # noqa: E402


IDENTITY = ["subject", "client", "issuer", "granted"]


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


def as_facts(line):
    """The params that a proxy would send for one line of `decide`; None where it could send no such thing."""
    pairs = [("SC_METHOD", line.get("method") or ""), ("SC_TARGET", line.get("target") or ""),
             ("SC_PATH", line.get("normalized_path") or ""), ("SC_HOST", line.get("host") or ""),
             ("SC_SCHEME", line.get("scheme") or ""), ("SC_PORT", str(line.get("port", ""))
              if line.get("port") is not None else ""), ("SC_CLIENT_ADDRESS", "127.0.0.1"),
             ("SC_REQUEST_ID", "r"), ("SC_CLIENT_CERTIFICATE", "")]
    for field, name in (("authorization", "HTTP_AUTHORIZATION"), ("cookie", "HTTP_COOKIE"),
                        ("sec_websocket_protocol", "HTTP_SEC_WEBSOCKET_PROTOCOL"), ("dpop", "HTTP_DPOP")):
        pairs += [(name, value) for value in line.get(field) or []]
    for field, name in (("origin", "HTTP_ORIGIN"),
                        ("access_control_request_method", "HTTP_ACCESS_CONTROL_REQUEST_METHOD")):
        if line.get(field) is not None:
            pairs.append((name, line[field]))
    return [(name, value.encode().decode("latin-1")) for name, value in pairs]


def sendable(pairs, kind, engine):
    """HTTP has no line ends in a value and no spaces around it; FastCGI takes any bytes, but libfcgi's values are C
    strings."""
    if engine == "libfcgi" and any("\0" in value for _, value in pairs):
        return False
    return kind == "fastcgi" or all(
        value == value.strip(" \t") and not any(one in value for one in "\r\n\0") for _, value in pairs)


@table([("fastcgi", "native"), ("fastcgi", "libfcgi"), ("http", "native")])
def test_generated_requests(kind, engine):
    # Tokens are made for the time of day: some of them expire a second from now.
    os.environ["SCOPECHECK_TEST_NOW"] = str(int(time.time()))
    importlib.reload(generate)
    wrong, count, allowed = [], 0, 0
    for seed in range(900, 905):
        case = generate.Case(seed)
        with Stage(policy=case.policy) as stage:
            for name, text in case.files.items():
                stage.write(name, text)
            judge = evaluator.Evaluator(case.policy, stage.folder)
            daemon = Daemon(stage, engine, wait=False)
            daemon.wait_ready()
            for line in case.requests(250):
                # What `decide` fills in for a person, a proxy has to send.
                line = {"scheme": "", "port": "", **{name: value for name, value in line.items() if value is not None}}
                pairs = as_facts(line)
                if not sendable(pairs, kind, engine):
                    continue
                before = judge.decide(line, int(time.time()))
                try:
                    response = ask(daemon.address(kind), kind, pairs)
                except Closed:
                    response = None
                after = judge.decide(line, int(time.time()))
                count += 1
                if response is not None and response.status == 200:
                    allowed += 1
                said = ("closed", 0) if response is None else (response.header("X-Scope-Reason"), response.status)
                if said not in [(one["reason"], one["status"]) for one in (before, after)]:
                    # What is no request of the transport is refused as such.
                    if said[1] in (0, 400, 414, 431) and before["status"] != 200:
                        continue
                    wrong.append(f"seed {seed}: {said} instead of {before['reason']}: {str(line)[:300]}")
                elif response is not None:
                    expected = {name: "" for name in IDENTITY}
                    if said[0] == "granted":
                        expected = {name: before[name] for name in IDENTITY}
                        expected["granted"] = " ".join(before["granted"])
                    told = {name: urllib.parse.unquote(response.header(f"X-Scope-{name}")) for name in IDENTITY}
                    if told != expected:
                        wrong.append(f"seed {seed}: {said[0]} with {told}, not {expected}")
            assert daemon.process.running(), daemon.log_text()[-2000:]
    assert not wrong, f"{len(wrong)} of {count}\n" + "\n".join(wrong[:10])
    assert allowed > 0.15 * count, (allowed, count)
