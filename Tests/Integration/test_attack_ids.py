"""Attacks that only show outside of a decision: what a daemon asks for, what reaches an application, and which of two
requests at the same time is the one. Their numbers are those of Tests/Ledger/attacks.tsv."""

import json
import socket
import threading
import time

import issuer
from backend import EchoBackend
from daemon import Stage
from harness import connect, end_listening, wait_until
from proofs import FRONTS, Client, ProofKey, Proving, table
from test_haproxy import FORGED
from test_keys import EAGER, Remote

KINDS = [("fastcgi",), ("http",)]


class Trap:
    """Listens on loopback and counts who comes."""

    def __init__(self, place):
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        place.at_end(end_listening, self._listener)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            client.close()


@table(KINDS)
def test_b6_nothing_in_a_token_is_fetched(kind):
    """B6: jku, x5u, x5c, kid and iss that are URLs, in good and in forged tokens."""
    with Stage() as stage:
        trap = Trap(stage)
        # The trap works.
        connect(f"127.0.0.1:{trap.port}").close()
        wait_until(lambda: trap.connections == 1, "the trap has seen the connection")
        daemon, stranger = stage.daemon(), issuer.Key("ES256", fresh=True)
        urls = [f"{scheme}://127.0.0.1:{trap.port}/jwks.json" for scheme in ("http", "https")]
        for url in urls:
            for name, value in [("jku", url), ("x5u", url), ("x5c", [url]), ("kid", url),
                                ("jwk", {"kty": "EC", "x5u": url})]:
                forged = issuer.mint(stranger, header={name: value})
                response = daemon.ask("/v1/orders", kind, token=forged)
                assert response.status == 401, (name, url, response)
                reason = "unknown_key" if name == "kid" else "signature_invalid"
                assert response.header("X-Scope-Reason") == reason, (name, url, response)
                if name != "kid":
                    # Signed by the issuer, such a member is not looked at.
                    response = daemon.ask("/v1/orders", kind, token=issuer.mint(stage.key, header={name: value}))
                    assert response.status == 200, (name, url, response)
            response = daemon.ask("/v1/orders", kind, token=issuer.mint(stage.key, iss=url))
            assert response.header("X-Scope-Reason") == "unknown_issuer", response
            forged = issuer.mint(stage.key, status={"status_list": {"idx": 0, "uri": url}})
            assert daemon.ask("/v1/orders", kind, token=forged).status == 200
        assert daemon.ask("/v1/orders", kind, token=stage.token()).status == 200
        time.sleep(0.5)
        assert trap.connections == 1, f"{trap.connections - 1} connections came from the daemon"


def test_b35_unknown_names_of_keys_ask_an_issuer_seldom():
    """B35: a flood of tokens that name keys which do not exist, by many clients and on every listener, while the issuer
    answers with its keys, with an empty set, and not at all; the cooldown is one of time, and the last keys stay."""
    with Remote() as stage:
        daemon = stage.daemon(config=EAGER)
        token = stage.token()
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 200, "the keys were fetched")

        def flood(number, failures):
            try:
                for count in range(20):
                    forged = issuer.mint(stage.key, header={"kid": f"{number}-{count}"})
                    for kind, in KINDS:
                        response = daemon.ask("/v1/orders", kind, token=forged)
                        assert response.header("X-Scope-Reason") == "unknown_key", response
            except Exception as failure:
                failures.append(failure)

        for status, body in ((200, None), (200, '{"keys": []}'), (503, "")):
            stage.server.status, stage.server.body = status, body
            started, before, sent = time.monotonic(), stage.server.requests, 0
            while stage.server.requests == before:
                failures = []
                threads = [threading.Thread(target=flood, args=(f"{sent}-{number}", failures)) for number in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert not failures, failures[0]
                sent += 8 * 20 * len(KINDS)
                assert time.monotonic() - started < 60, f"{sent} tokens, and the daemon did not look"
            # One exchange a second is what EAGER allows.
            asked, seconds = stage.server.requests - before, time.monotonic() - started
            assert asked <= seconds + 2, f"{asked} exchanges in {seconds:.1f} s for {sent} tokens"
            assert daemon.ask("/v1/orders", token=stage.token()).status == 200, (status, body)


def test_b36_key_sets_that_are_none():
    """B36: redirects, wrong content, secrets, private keys and too much of it, each in place of a good set."""
    with Remote() as stage:
        stranger = issuer.Key("ES256", "stranger", fresh=True)
        trap = Trap(stage)
        daemon = stage.daemon(config=EAGER)
        token = stage.token()
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 200, "the keys were fetched")
        numbers = stranger.private.private_numbers()
        private = stranger.jwk() | {"d": issuer.b64(numbers.private_value.to_bytes(32, "big"))}
        secret = {"kty": "oct", "kid": "stranger", "alg": "HS256", "k": issuer.b64(b"s" * 32)}
        good = issuer.jwks(stranger)
        for status, location, body in [
                (302, f"http://127.0.0.1:{trap.port}/jwks", ""), (200, None, json.dumps({"keys": [private]})),
                (200, None, json.dumps({"keys": [secret]})), (200, None, "<html></html>"), (200, None, good + "x"),
                (200, None, good[:-1] + ',"keys":[]}'), (500, None, good), (404, None, good),
                (200, None, good + " " * 2_000_000)]:
            stage.server.status, stage.server.location, stage.server.body = status, location, body
            before, forged = stage.server.requests, issuer.mint(stranger)
            wait_until(lambda: daemon.ask("/v1/orders", token=forged).header("X-Scope-Reason") == "unknown_key"
                       and stage.server.requests > before + 1, f"the daemon has seen {status} {body[:20]}")
            assert daemon.ask("/v1/orders", token=stage.token()).status == 200, (status, body[:30])
        assert trap.connections == 0
        # The same set, whole and by itself, is taken.
        stage.server.status, stage.server.location, stage.server.body = 200, None, good
        wait_until(lambda: daemon.ask("/v1/orders", token=forged).status == 200, "the good set is taken")


@table(FRONTS)
def test_b41_two_copies_of_a_request_at_once(kind):
    """B41: a proof that comes twice at the same moment, through a proxy, is allowed once."""
    with Proving(kind) as stage:
        client = Client(stage, kind, ProofKey())
        assert client.ask().status == 200
        for _ in range(10):
            one, statuses, barrier = client.proof(), [], threading.Barrier(4)

            def send():
                data = client.bytes(proofs=[one])
                with client.connection() as connection:
                    barrier.wait()
                    connection.send(data)
                    statuses.append(connection.read().status)

            before = stage.application.requests
            threads = [threading.Thread(target=send) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(statuses) == [200, 401, 401, 401], statuses
            assert stage.application.requests == before + 1


@table(FRONTS)
def test_b52_what_a_client_says_of_itself_reaches_no_application(kind):
    """B52: identity, verdict and override headers of the client's, in every spelling, once and twice. (`Txn-Token`:
    test_transaction_tokens.py.)"""
    with Proving(kind) as stage:
        client = Client(stage, kind)
        assert client.ask().status == 200
        # HAProxy takes away all that begins with X-Scope-, nginx the names that there are.
        forged = [pair for pair in FORGED if kind == "haproxy" or "anything" not in pair[0].lower()]
        for start in range(0, len(forged), 40):
            part = forged[start:start + 40]
            twice = [pair for pair in part[:15] for _ in range(2)]
            for headers in (part, twice):
                response = client.ask(headers=headers)
                assert response.status == 200, response
                seen = response.json()["headers"]
                left = [pair for pair in seen if "forged" in pair[1]]
                assert not left, left
                subjects = [value for name, value in seen if name.lower().replace("_", "-") == "x-scope-subject"]
                assert subjects == ["alice"], seen
            # Nor does it help a request that has no token.
            assert client.send(authorization=None, headers=part).status == 401


@table(FRONTS)
def test_b53_the_authorised_path_is_the_one_that_is_routed(kind):
    """B53: a path told by header, a path of two readings, a method told by header."""
    with Proving(kind) as stage:
        client = Client(stage, kind)
        assert client.ask().status == 200
        before = stage.application.requests
        for name in ("X-Forwarded-Uri", "X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "SC-Target", "SC-Path",
                     "X-Forwarded-Prefix", "X-Forwarded-Host", "Forwarded", "SC_TARGET", "X_Original_URI"):
            response = client.send("/v1/orders", authorization=None, headers=[(name, "/v1/healthz")])
            assert response.status == 401, (name, response)
            # Beside a good request it changes nothing.
            response = client.ask("/v1/orders", headers=[(name, "/v1/healthz")])
            assert response.status == 200 and response.json()["target"] == "/v1/orders", (name, response)
            headers = {header.lower(): value for header, value in response.json()["headers"]}
            assert headers["x-scope-route"].endswith("GET /orders"), headers
            before += 1
        for target in ("/v1/orders%2f7", "/v1//orders", "/v1/./orders", "/v1/x/../orders", "/v1/orders;x",
                       "/v1%5corders", "/v1/orders%00", "//v1/orders", "/v1/%2e%2e/v1/orders", "/v1/orders/%c0%af"):
            response = client.ask(target)
            assert response.status in (400, 401, 403, 404), (target, response)
        for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-Forwarded-Method"):
            response = client.ask("/v1/orders", headers=[(name, "DELETE")])
            assert response.status == 200 and response.json()["method"] == "GET", response
            before += 1
        assert stage.application.requests == before


@table(FRONTS)
def test_b54_line_ends_in_claims(kind):
    """B54: a subject, a client and an identifier with line ends reach application and log as one line each."""
    with Proving(kind) as stage:
        hostile = "alice\r\nX-Scope-Granted: orders:admin\r\n\r\nGET /v1/admin HTTP/1.1"
        client = Client(stage, kind, subject=hostile, client_id=hostile)
        response = client.ask()
        assert response.status == 200, response
        headers = [(name.lower(), value) for name, value in response.json()["headers"]]
        assert [value for name, value in headers if name == "x-scope-granted"] == ["orders:read"], headers
        subject = [value for name, value in headers if name == "x-scope-subject"]
        assert len(subject) == 1 and subject[0].startswith("alice%0d%0aX-Scope-Granted:%20"), headers
        before = len(stage.service.events("denial"))
        denied = client.ask("/v1/orders", "DELETE")
        assert denied.status in (403, 404), denied
        # Every line of the log is one JSON text: `events` fails at any other.
        wait_until(lambda: len(stage.service.events("denial")) > before, "the denial is logged")
