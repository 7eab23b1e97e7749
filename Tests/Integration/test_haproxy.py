"""Every kind of answer through HAProxy with the shipped configuration and the real daemon."""

import time

import issuer
from attacks import UPGRADES
from backend import EchoBackend
from daemon import POLICY, Stage
from haproxy import Haproxy
from harness import Connection, Load, head_bytes, wait_until

IDENTITY = ["Decision", "Reason", "Route", "Policy", "Audit-Id", "Subject", "Client", "Issuer", "Granted"]
# What a client may say and no application may hear (design: names with `-` and with `_` are one).
FORGED = [("X-Scope-" + name, "forged") for name in [*IDENTITY, "Challenge", "Anything"]] + [
    (name, "forged") for name in (
        "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method", "X-Forwarded-Method",
        "X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Path",
        "X-Forwarded-Prefix")]
FORGED += [(name.replace("-", "_"), value) for name, value in FORGED]
FORGED += [(name.lower(), value) for name, value in FORGED] + [
    ("X-Scope_Subject", "forged"), ("x_scope-client", "forged"), ("X-HTTP_Method-Override", "forged")]


class Proxied(Stage):
    """Daemon, HAProxy and echo backend."""

    def __init__(self, policy=POLICY, edits=(), **options):
        super().__init__(policy=policy)
        self.application = EchoBackend(self)
        self.service = self.daemon(spop=True, **options)
        self.haproxy = Haproxy(self, [self.service.spop], self.application.address, edits)

    def expect(self, status, reason, target, method="GET", **options):
        """One request through HAProxy, with its status and the reason in the daemon's log or at the backend."""
        before = self.application.requests
        response = self.haproxy.request(target, method, **options)
        assert response.status == status, (target, reason, response)
        assert self.application.requests - before == (1 if status == 200 else 0), (target, reason)
        if status == 200:
            headers = dict(response.json()["headers"])
            assert headers["x-scope-reason"] == reason and headers["x-scope-decision"] == "allow", headers
            return response
        line = self.denial(response)
        assert line["reason"] == reason, line
        return response

    def denial(self, response):
        """The daemon's log line of a denied request."""
        wanted = response.header("X-Scope-Audit-Id")
        assert wanted, response
        return wait_until(lambda: next((line for line in self.service.events("denial") if wanted in line.values()),
                                       None), f"the daemon's log has the line of {wanted}")


def identity(response):
    """The X-Scope-* headers that the application saw, each at most once."""
    found = {}
    for name, value in response.json()["headers"]:
        name = name.lower().replace("_", "-")
        if name.startswith("x-scope-"):
            assert name not in found, (name, response)
            found[name] = value
    return found


def test_every_kind_of_answer():
    with Proxied() as stage:
        read, write = stage.token(), stage.token("orders:write payments:charge")
        response = stage.expect(200, "granted", "/v1/orders?x=1", token=read)
        assert response.json()["target"] == "/v1/orders?x=1", response
        seen = identity(response)
        assert seen["x-scope-subject"] == "alice" and seen["x-scope-client"] == "web-frontend", seen
        assert seen["x-scope-issuer"] == issuer.ISSUER and seen["x-scope-granted"] == "orders:read", seen
        assert seen["x-scope-route"] == "orders GET /orders", seen
        assert seen["x-scope-policy"] == stage.service.policy_label() and seen["x-scope-audit-id"], seen
        response = stage.expect(200, "granted", "/v1/orders", "POST", token=write, body=b'{"a":1}')
        assert response.json()["body"] == '{"a":1}', response
        assert identity(response)["x-scope-granted"] == "orders:read orders:write payments:charge", response
        stage.expect(200, "granted", "/v1/orders/7", "DELETE", token=stage.token("support:admin"))
        stage.expect(200, "granted", "/v1/users/alice/orders", token=read)
        seen = identity(stage.expect(200, "public", "/v1/healthz"))
        assert not any(seen.get("x-scope-" + name) for name in ("subject", "client", "issuer", "granted")), seen
        stage.expect(200, "preflight", "/v1/orders", "OPTIONS", headers=[
            ("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "POST")])

        response = stage.expect(401, "no_token", "/v1/orders")
        challenge = response.header("WWW-Authenticate")
        assert challenge.startswith("Bearer realm=") and "error" not in challenge, response
        assert response.json()["error"] == "unauthorized", response
        stage.expect(401, "unsupported_scheme", "/v1/orders", headers=[("Authorization", "Basic eA==")])
        for reason, token in {
            "expired": stage.token(lifetime=-10), "token_malformed": "not.a.token~",
            "not_yet_valid": stage.token(nbf=int(time.time()) + 3_000),
            "signature_invalid": read[:-8] + ("AAAAAAAA" if read[-8:] != "AAAAAAAA" else "BBBBBBBB"),
            "audience_mismatch": stage.token(aud="https://other.example"),
        }.items():
            response = stage.expect(401, reason, "/v1/orders", token=token)
            assert 'error="invalid_token"' in response.header("WWW-Authenticate"), response
            assert response.json()["error"] == "invalid_token", response

        response = stage.expect(403, "insufficient_scope", "/v1/orders", "POST", token=read, body=b"{}")
        challenge = response.header("WWW-Authenticate")
        assert 'error="insufficient_scope"' in challenge, response
        assert 'scope="orders:write payments:charge"' in challenge, response
        assert response.json()["error"] == "insufficient_scope", response
        response = stage.expect(403, "binding_mismatch", "/v1/users/bob/orders", token=read)
        assert response.has("WWW-Authenticate"), response
        for reason, target, method, host in [
            ("unknown_route", "/orders", "GET", "api.example.com"),
            ("method_not_allowed", "/v1/orders", "PATCH", "api.example.com"),
            ("port_not_allowed", "/v1/metrics", "GET", "api.example.com"),
            ("unknown_host", "/v1/orders", "GET", "other.example.com"),
            ("ambiguous_target", "/v1/orders/..%2f7", "GET", "api.example.com"),
        ]:
            response = stage.expect(403, reason, target, method, token=read, host=host)
            assert not response.has("WWW-Authenticate"), response
            assert response.json()["error"] == "forbidden", response

        for reason, options in {
            "malformed_authorization": {"headers": [("Authorization", f"Bearer {read}, Bearer {read}")]},
            "multiple_credentials": {"token": read, "headers": [("Authorization", "Bearer " + read)]},
        }.items():
            response = stage.expect(400, reason, "/v1/orders", **options)
            assert response.json()["error"] == "invalid_request", response


def test_how_a_denial_looks():
    """JSON, not to be stored, its audit id in head and body, and nothing else of the decision."""
    with Proxied() as stage:
        for status, options in {401: {}, 403: {"token": stage.token("files:read")}, 400: {
                "headers": [("Authorization", "Bearer a, Bearer b")]}}.items():
            response = stage.haproxy.request("/v1/orders", **options)
            assert response.status == status, response
            assert response.header("Content-Type") == "application/json", response
            assert "no-store" in response.header("Cache-Control"), response
            assert response.json()["audit_id"] == response.header("X-Scope-Audit-Id") != "", response
            leaked = [name for name in IDENTITY if name != "Audit-Id" and response.has("X-Scope-" + name)]
            assert not leaked, response
        # HEAD and a client's hostile words do not change it.
        assert stage.haproxy.request("/v1/orders", "HEAD").status == 401
        for target in ("/v1/%0d%0aX-Evil:1", "/v1/\"}", "/v1/%22%7D"):
            response = stage.haproxy.request(target, token=stage.token())
            assert response.status == 403 and response.json() and not response.has("X-Evil"), response


def test_what_cannot_be_answered():
    """Keys that never come: 503 with Retry-After, while routes that need none are served."""
    policy = POLICY.replace("jwks_file: jwks.json", "jwks_uri: https://localhost:1/jwks")
    with Proxied(policy=policy) as stage:
        response = stage.haproxy.request("/v1/orders", token=stage.token())
        assert response.status == 503 and response.header("Retry-After").isdigit(), response
        assert response.json()["error"] == "temporarily_unavailable", response
        assert stage.application.requests == 0
        stage.expect(200, "public", "/v1/healthz")


def test_what_a_client_forges_reaches_no_application():
    """On every branch that goes to the application: a token, a public route, a preflight."""
    with Proxied() as stage:
        preflight = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "POST")]
        assert len(FORGED) > 80
        for start in range(0, len(FORGED), 40):
            forged = FORGED[start:start + 40]
            for target, method, more in [("/v1/orders", "GET", {"token": stage.token()}), ("/v1/healthz", "GET", {}),
                                         ("/v1/orders", "OPTIONS", {})]:
                headers = forged + (preflight if method == "OPTIONS" else [])
                response = stage.haproxy.request(target, method, headers=headers, **more)
                assert response.status == 200, response
                left = [pair for pair in response.json()["headers"] if "forged" in pair[1]]
                assert not left, (target, method, left)
                assert set(identity(response)) <= {"x-scope-" + name.lower() for name in IDENTITY}, response
        # And they do not help a request that has no token, or too little.
        assert stage.haproxy.request("/v1/orders", headers=FORGED[:40]).status == 401
        assert stage.haproxy.request("/v1/orders/7", "DELETE", token=stage.token(), headers=FORGED[:40]).status == 403


def test_headers_of_the_application_stay_as_they_are():
    """Others' headers pass, names with `_` and several lines of one name too; the body passes; HEAD counts as GET."""
    with Proxied() as stage:
        headers = [("X-Custom", "1"), ("X_Under", "2"), ("X-Twice", "a"), ("X-Twice", "b"), ("Accept", "x/y"),
                   ("X-Scopes", "mine"), ("X-Scoped-Thing", "mine")]
        response = stage.haproxy.request("/v1/orders", token=stage.token(), headers=headers)
        seen = [(name.lower(), value) for name, value in response.json()["headers"]]
        for name, value in headers:
            assert (name.lower(), value) in seen, (name, seen)
        response = stage.haproxy.request("/v1/orders", "HEAD", token=stage.token())
        assert response.status == 200 and response.body == b"", response
        body = bytes(range(256)) * 1_000
        response = stage.haproxy.request("/v1/files/a", "PUT", token=stage.token("files:read"), body=body)
        assert response.json()["body"].encode("latin-1") == body


def test_kept_client_connections():
    """Requests of different verdicts in turn on one connection: each gets its own answer, nothing of the last one's
    stays."""
    with Proxied() as stage:
        good, bad = stage.token(), stage.token("files:read")
        turns = [(200, "/v1/orders", good), (401, "/v1/orders", None), (200, "/v1/healthz", None),
                 (403, "/v1/orders", bad), (200, "/v1/orders/9", good), (400, "/v1/orders", "a, Bearer b"),
                 (403, "/v1/nowhere", good)]
        with Connection(stage.haproxy.address) as connection:
            for number in range(210):
                status, target, token = turns[number % len(turns)]
                connection.send(head_bytes(target, token=token, close=False))
                response = connection.read()
                assert response.status == status, (number, response)
                if status == 200:
                    seen = identity(response)
                    assert response.json()["target"] == target, response
                    assert (seen.get("x-scope-subject") or "") == ("alice" if token else ""), (number, seen)
                elif token in (None, bad):
                    assert response.has("WWW-Authenticate"), response
                elif target == "/v1/nowhere":
                    assert not response.has("WWW-Authenticate"), response


def test_pipelined_requests():
    """Sent without waiting, allowed and denied in turn: the answers come in order, each its own."""
    with Proxied() as stage:
        with Connection(stage.haproxy.address) as connection:
            good, bad = stage.token(), stage.token("files:read")
            connection.send(b"".join(head_bytes(f"/v1/orders/{number}", token=(good, bad, None)[number % 3],
                                                close=False) for number in range(30)))
            statuses = [connection.read().status for _ in range(30)]
            assert statuses == [200, 403, 401] * 10, statuses


def test_many_clients_at_once():
    with Proxied() as stage:
        good, bad = stage.token(), stage.token("files:read")

        def each(number):
            with Connection(stage.haproxy.address) as connection:
                for turn in range(10):
                    allowed = (number + turn) % 2 == 0
                    connection.send(head_bytes("/v1/orders", token=good if allowed else bad, close=False))
                    response = connection.read()
                    if response.status != (200 if allowed else 403):
                        return f"{response}"

        with Load(each, threads=8) as load:
            wait_until(lambda: load.count > 300, "requests flow")
        assert not load.complaints, load.complaints[:3]


def test_a_new_policy_counts_at_once():
    with Proxied() as stage:
        text, token = stage.policy.read_text(), stage.token()
        narrow = text.replace("match: GET /orders, scopes: orders:read", "match: GET /orders, scopes: orders:admin")
        with Connection(stage.haproxy.address) as connection:
            for policy, status in ((narrow, 403), (text, 200)) * 2:
                label = stage.service.reload(policy)
                connection.send(head_bytes("/v1/orders", token=token, close=False))
                response = connection.read()
                assert response.status == status, response
                assert status != 200 or identity(response)["x-scope-policy"] == label, response


def test_websocket_upgrade_is_decided_once():
    policy = POLICY.replace("      - { match: GET /healthz, public: true }\n",
                            "      - { match: GET /socket, scopes: orders:read }\n")
    with Proxied(policy=policy) as stage:
        stage.application.answer = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                    b"Connection: Upgrade\r\n"
                                    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
        upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
                   ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
        for token, status in [(stage.token(), 101), (None, 401), (stage.token("files:read"), 403)]:
            with Connection(stage.haproxy.address) as connection:
                connection.send(head_bytes("/v1/socket", token=token, headers=upgrade, close=False))
                assert connection.read().status == status, status


def test_no_upgrade_but_to_websocket():
    """An upgrade to HTTP/2 would open a tunnel to the application in which nobody is asked any more."""
    with Proxied() as stage:
        for headers in UPGRADES:
            with Connection(stage.haproxy.address) as connection:
                connection.send(head_bytes("/v1/orders", token=stage.token(), headers=headers, close=False))
                response = connection.read()
            assert response.status in (200, 400), (headers, response)
            if response.status == 200:
                seen = {name.lower(): value for name, value in response.json()["headers"]}
                assert seen.get("upgrade", "websocket") == "websocket" and "http2-settings" not in seen, seen


def test_a_client_that_goes_away():
    """Requests given up at every place, half of them while they are decided: nothing is left, others are served."""
    with Proxied() as stage:
        data = head_bytes("/v1/orders", token=stage.token(), close=False)
        for length in range(0, len(data) + 1, 5):
            with Connection(stage.haproxy.address) as connection:
                connection.send(data[:length])
        for _ in range(200):
            with Connection(stage.haproxy.address) as connection:
                connection.send(data)
        assert stage.haproxy.request("/v1/orders", token=stage.token()).status == 200
        stage.service.alive()
