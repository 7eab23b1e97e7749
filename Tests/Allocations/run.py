"""A request with a token seen before allocates nothing, maps nothing and takes no lock, from accept to close.

Counted on the release binary by a preloaded library (interpose.c) that watches the worker threads, on all
transports: FastCGI with a connection for each request, as nginx uses it, HTTP and SPOP kept alive. A planted
allocation must be caught, or the count proves nothing.
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from drivers import FIELDS, ROOT, Counters, Daemon, fastcgi_request, http_request, spop_request

BINARY = pathlib.Path(os.environ.get("SCOPECHECK_BINARY", ROOT / ".build/release/scopecheck"))
WARM = 3_000
COUNTED = 3_000

POLICY = """
scopecheck: 1
issuers:
  - issuer: https://id.example.com
    audience: [https://api.example.com]
    keys: { jwks_file: jwks.json }
    algorithms: [ES256]
    unknown_clients: deny
scopes:
  orders:read: { until: 2099-01-01T00:00:00Z }
  orders:admin: { implies: ["orders:*"] }
clients:
  web: { scopes: [orders:admin], grants: [{ scope: orders:read, until: 2099-01-01T00:00:00Z, reason: INC-1 }] }
services:
  orders:
    hosts: [api.example.com]
    routes:
      - { match: "GET /orders/{order}", scopes: orders:read }
      - { match: "GET /users/{user}", scopes: orders:read, where: { user: sub } }
      - { match: GET /healthz, public: true }
  payments:
    hosts: [api.example.com]
    base_path: /payments
    transaction_token: true
    forward_token: never
    routes:
      - match: "GET /{payment}"
        scopes: orders:read
        authorization_details: { type: payment, actions: [read] }
"""

CONFIGURATION = """
policy: policy.yaml
store: store
workers: 1
http: { address: "unix:http" }
fastcgi: { address: "unix:fastcgi" }
spop: { address: "unix:spop" }
transaction_tokens: { issuer: "https://gateway.example.com", lifetime: 300s }
"""


def scenario(counters, name, send, request, expected):
    send(itertools.repeat(request, WARM), expected)
    change = counters.change(lambda: send(itertools.repeat(request, COUNTED), expected))
    print(f"  {name}: " + ", ".join(f"{change[field]} {field}" for field in FIELDS if field != "clocks"))
    return change


def scenarios(daemon, tokens):
    for name, target, token, expected in (
            ("allow", "/orders/7", tokens[0], b"200"), ("transaction token", "/payments/7", tokens[0], b"200"),
            ("bound to the path", "/users/alice", tokens[0], b"200"),
            ("public", "/healthz", None, b"200"), ("insufficient scope", "/orders/7", tokens[1], b"403"),
            ("unknown client", "/orders/7", tokens[2], b"403"),
            ("no token", "/orders/7", None, b"401"), ("unknown route", "/nowhere", tokens[0], b"403")):
        yield f"FastCGI, {name}", daemon.fastcgi, fastcgi_request(target, token), expected
        yield f"HTTP, {name}", daemon.http, http_request(target, token), expected
        yield f"SPOP, {name}", daemon.spop, spop_request(target, token), expected


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="sc-") as path:
        folder = pathlib.Path(path)
        (folder / "policy.yaml").write_text(POLICY)
        (folder / "scopecheck.yaml").write_text(CONFIGURATION)
        # Tokens are held against what was revoked: of another subject.
        (folder / "store").mkdir(mode=0o700)
        subprocess.run([BINARY, "revoke", "--store", folder / "store", "--issuer", "https://id.example.com", "--subject",
                        "mallory"], check=True, capture_output=True)
        subprocess.run([BINARY, "keys", "generate", "--algorithm", "ES256", "--output", folder], check=True,
                       stdout=subprocess.DEVNULL)
        now = int(time.time())
        tokens = []
        for scope, client in (("orders:admin", "web"), ("other", "web"), ("orders:admin", "stranger")):
            claims = dict(iss="https://id.example.com", aud="https://api.example.com", sub="alice", client_id=client,
                          iat=now, exp=now + 3600, jti="1", scope=scope,
                          authorization_details=[dict(type="payment", actions=["read"])])
            made = subprocess.run([BINARY, "token", "mint", "--key", folder / "private.jwk", "--claims",
                                   json.dumps(claims)], check=True, capture_output=True, text=True)
            tokens.append(made.stdout.strip())
        print("nothing is allocated, mapped or locked for a token seen before")
        counters = Counters(folder)
        with Daemon(folder, [BINARY], counters.environment) as daemon:
            for name, send, request, expected in scenarios(daemon, tokens):
                change = scenario(counters, name, send, request, expected)
                clean = change["allocations"] == change["frees"] == change["maps"] == change["locks"] == 0
                # Denials are logged, at most so many a second; a send for each answer proves the watch.
                if clean and change["sends"] >= COUNTED:
                    passed += 1
                else:
                    failed += 1
                    print(f"  FAILED: {name}")
        print("an allocation planted on purpose is caught")
        counters = Counters(folder, plant=True)
        with Daemon(folder, [BINARY], counters.environment) as daemon:
            name, send, request, expected = next(scenarios(daemon, tokens))
            change = scenario(counters, name, send, request, expected)
            if change["allocations"] >= COUNTED:
                passed += 1
            else:
                failed += 1
                print("  FAILED: the planted allocation was not counted")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


main()
