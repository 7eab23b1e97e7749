"""The TLS listener of the shipped configuration: HTTP/1.1 and HTTP/2 get the verdicts that plain HTTP gets."""

import json
import subprocess

from certificates import client_context
from harness import Connection, connect, head_bytes, need, program
from test_haproxy import FORGED, Proxied, identity
from test_haproxy_answers import Staged


def tls_connection(haproxy):
    """A kept HTTP/1.1 connection over TLS."""
    connection = Connection.__new__(Connection)
    connection.socket = client_context(haproxy.authority).wrap_socket(connect(haproxy.tls_address))
    connection.rest = b""
    return connection


def curl(haproxy, target, *options, token=None, headers=(), method="GET", host="api.example.com"):
    """(status, protocol version, body) by curl, over HTTP/2 where it is offered."""
    need(program("curl"), "curl is not installed")
    command = [program("curl"), "--silent", "--show-error", "--insecure", "--max-time", "30", "--path-as-is",
               "--write-out", "\n%{http_code} %{http_version}", "--request", method, "--header", f"Host: {host}",
               *options]
    for name, value in [*headers, *([("Authorization", "Bearer " + token)] if token else [])]:
        command += ["--header", f"{name}: {value}"]
    result = subprocess.run([*command, f"https://{haproxy.tls_address}{target}"], capture_output=True, text=True,
                            timeout=60, check=True)
    body, _, last = result.stdout.rpartition("\n")
    status, version = last.split()
    return int(status), version, body


def test_http1_over_tls():
    with Proxied() as stage:
        turns = [(200, "/v1/orders", stage.token()), (401, "/v1/orders", None), (200, "/v1/healthz", None),
                 (403, "/v1/orders", stage.token("files:read"))]
        with tls_connection(stage.haproxy) as connection:
            for number in range(40):
                status, target, token = turns[number % 4]
                connection.send(head_bytes(target, token=token, close=False))
                response = connection.read()
                assert response.status == status, (number, response)
                if status == 200:
                    assert (identity(response).get("x-scope-subject") or "") == ("alice" if token else ""), response


def test_http2():
    with Proxied() as stage:
        read = stage.token()
        status, version, body = curl(stage.haproxy, "/v1/orders?x=1", token=read, headers=FORGED)
        need(version == "2", "this curl has no HTTP/2")
        assert status == 200, body
        seen = json.loads(body)
        assert seen["target"] == "/v1/orders?x=1", seen
        assert not [pair for pair in seen["headers"] if "forged" in pair[1]], seen
        headers = {name.lower(): value for name, value in seen["headers"]}
        assert headers["x-scope-subject"] == "alice" and headers["x-forwarded-proto"] == "https", headers
        for wanted, target, options in [
            (401, "/v1/orders", {}), (403, "/v1/orders", {"method": "POST", "token": read}),
            (200, "/v1/healthz", {}), (403, "/v1/orders", {"token": read, "host": "admin.example.com"}),
            (403, "/v1/files/../orders", {"token": stage.token("files:read orders:read")}),
            (403, "//v1/orders", {"token": read}), (403, "/v1/files/%2e%2e/orders", {"token": read}),
            (400, "/v1/orders", {"token": read, "headers": [("Authorization", "Bearer " + read)]}),
            (403, "/v1/orders", {"token": read, "method": "get"}),
        ]:
            before = stage.application.requests
            status, version, body = curl(stage.haproxy, target, **options)
            assert (status, version) == (wanted, "2"), (target, options, status, version, body)
            assert stage.application.requests - before == (wanted == 200), (target, options)


def test_the_facts_over_tls():
    with Staged() as stage:
        with tls_connection(stage.haproxy) as connection:
            connection.send(head_bytes("/v1/orders"))
            assert connection.read().status == 200
        facts = stage.agent.questions[-1].arguments
        assert facts["scheme"] == b"https" and facts["port"] == int(stage.haproxy.tls_address.rpartition(":")[2]), facts
        assert facts["certificate_used"] in (False, 0) and facts["certificate"] is None, facts
        status, version, _ = curl(stage.haproxy, "/v1/orders?q", headers=[("Cookie", "a=b"), ("Cookie", "c=d")])
        facts = stage.agent.questions[-1].arguments
        assert status == 200 and facts["scheme"] == b"https" and facts["target"] == b"/v1/orders?q", facts
        assert facts["host"] == b"api.example.com" and facts["host_count"] == 1, facts
