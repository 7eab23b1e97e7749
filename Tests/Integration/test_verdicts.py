"""Every kind of answer through nginx with the shipped configurations, over both transports and both engines."""

import signal
import time

import issuer
from attacks import UPGRADES
from backend import EchoBackend
from daemon import TRANSPORTS, Daemon, Stage
from harness import Connection, Load, Nginx, head_bytes, need, program, wait_until


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


class Proxied(Stage):
    """Daemon, nginx and echo backend."""

    def __init__(self, kind, engine, **options):
        super().__init__(**options)
        need(program("nginx"), "nginx is not installed")
        self.application = EchoBackend(self)
        self.service = Daemon(self, engine)
        self.kind = kind
        self.nginx = Nginx(self, kind, self.service.address(kind), self.application.address)

    def expect(self, status, reason, target, method="GET", **options):
        """Requests through nginx, checks status and the reason in nginx's own log; returns the response."""
        before = self.application.requests
        response = self.nginx.request(target, method, **options)
        assert response.status == status, (target, reason, response)
        reached = self.application.requests - before
        assert reached == (1 if status == 200 else 0), (target, reason, reached)
        if status == 200:
            headers = dict(response.json()["headers"])
            assert headers["X-Scope-Reason"] == reason, headers
            assert headers["X-Scope-Decision"] == "allow", headers
            return response
        line = self.nginx.log_of(response)
        assert line["reason"] == reason, line
        assert line["decision"] == "deny", line
        return response


@table(TRANSPORTS)
def test_every_kind_of_answer(kind, engine):
    with Proxied(kind, engine) as stage:
        read, write = stage.token(), stage.token("orders:write payments:charge")
        host = {"host": "api.example.com"}

        response = stage.expect(200, "granted", "/v1/orders", token=read)
        headers = dict(response.json()["headers"])
        assert headers["X-Scope-Subject"] == "alice" and headers["X-Scope-Client"] == "web-frontend", headers
        assert headers["X-Scope-Issuer"] == issuer.ISSUER, headers
        assert headers["X-Scope-Granted"] == "orders:read", headers
        assert headers["X-Scope-Route"] == "orders GET /orders", headers
        response = stage.expect(200, "granted", "/v1/orders", "POST", token=write, body=b"{}")
        assert dict(response.json()["headers"])["X-Scope-Granted"] == (
            "orders:read orders:write payments:charge"), response
        stage.expect(200, "granted", "/v1/orders/7", token=write)
        stage.expect(200, "granted", "/v1/orders/7", "DELETE", token=stage.token("support:admin"))
        stage.expect(200, "granted", "/v1/users/alice/orders", token=read)
        response = stage.expect(200, "public", "/v1/healthz")
        assert "X-Scope-Subject" not in dict(response.json()["headers"]), response
        stage.expect(200, "preflight", "/v1/orders", "OPTIONS", headers=[
            ("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "POST")])

        response = stage.expect(401, "no_token", "/v1/orders")
        challenge = response.header("WWW-Authenticate")
        assert challenge.startswith("Bearer realm=") and "error" not in challenge, response
        response = stage.expect(401, "unsupported_scheme", "/v1/orders", headers=[("Authorization", "Basic eA==")])
        assert "error" not in response.header("WWW-Authenticate"), response
        for reason, token in {
            "expired": stage.token(lifetime=-10),
            "not_yet_valid": stage.token(nbf=int(time.time()) + 3000),
            "token_malformed": "not.a.token!".replace("!", "%").replace("%", "~"),
            "signature_invalid": read[:-8] + ("AAAAAAAA" if read[-8:] != "AAAAAAAA" else "BBBBBBBB"),
            "unknown_issuer": stage.token(iss="https://other.example"),
            "audience_mismatch": stage.token(aud="https://other.example"),
            "token_type_mismatch": stage.token(header={"typ": "JWT"}),
        }.items():
            response = stage.expect(401, reason, "/v1/orders", token=token)
            assert 'error="invalid_token"' in response.header("WWW-Authenticate"), response
            assert response.json()["error"] == "invalid_token", response

        response = stage.expect(403, "insufficient_scope", "/v1/orders", "POST", token=read, body=b"{}")
        challenge = response.header("WWW-Authenticate")
        assert 'error="insufficient_scope"' in challenge, response
        assert 'scope="orders:write payments:charge"' in challenge, response
        response = stage.expect(403, "binding_mismatch", "/v1/users/bob/orders", token=read)
        assert response.has("WWW-Authenticate"), response
        for reason, target, method, options in [
            ("unknown_route", "/orders", "GET", host), ("unknown_route", "/", "GET", host),
            ("method_not_allowed", "/v1/orders", "PATCH", host),
            ("port_not_allowed", "/v1/metrics", "GET", host),
            ("unknown_host", "/v1/orders", "GET", {"host": "other.example.com"}),
            ("ambiguous_target", "/v1/orders/..%2f7", "GET", host),
        ]:
            response = stage.expect(403, reason, target, method, token=read, **options)
            assert not response.has("WWW-Authenticate"), response
            assert response.json()["error"] == "forbidden", response

        response = stage.expect(400, "malformed_authorization", "/v1/orders", headers=[
            ("Authorization", "Bearer " + read + ", Bearer " + read)])
        assert response.json()["error"] == "invalid_request", response
        # nginx refuses two Authorization lines by itself.
        twice = stage.nginx.request("/v1/orders", token=read, headers=[("Authorization", "Bearer " + read)])
        assert twice.status == 400, twice


@table(TRANSPORTS)
def test_head_counts_as_get(kind, engine):
    with Proxied(kind, engine) as stage:
        response = stage.nginx.request("/v1/orders", "HEAD", token=stage.token())
        assert response.status == 200 and response.body == b"", response
        assert stage.nginx.request("/v1/orders", "HEAD").status == 401
        assert stage.application.requests == 1


@table(TRANSPORTS)
def test_denials_are_logged_as_json_lines(kind, engine):
    with Proxied(kind, engine) as stage:
        response = stage.expect(403, "insufficient_scope", "/v1/orders", "POST", token=stage.token(), body=b"{}")
        # A line feed that a client hides in its target stays within its line.
        stage.nginx.request("/v1/%0aevil", token=stage.token())
        audit_id = response.header("X-Scope-Audit-Id")
        line = wait_until(lambda: next(
            (line for line in stage.service.events("denial") if audit_id in line.values()), None),
            "the denial is logged")
        assert line["reason"] == "insufficient_scope", line
        assert any("POST /orders" in str(value) for value in line.values()), line
        assert stage.token().split(".")[0] not in stage.service.log_text(), "a token got into the log"


@table(TRANSPORTS)
def test_outage_and_return(kind, engine):
    """Killed: 503 for everybody; started anew on the same paths, over the stale sockets: 200 again."""
    with Proxied(kind, engine) as stage:
        token = stage.token()
        assert stage.nginx.request("/v1/orders", token=token).status == 200
        stage.service.kill()
        for target in ("/v1/orders", "/v1/healthz"):
            response = stage.nginx.request(target, token=token)
            assert response.status == 503 and response.header("Retry-After") == "5", response
            assert response.json()["error"] == "temporarily_unavailable", response
        assert stage.application.requests == 1
        stage.service.start()
        assert stage.nginx.request("/v1/orders", token=token).status == 200


@table(TRANSPORTS)
def test_a_stopped_daemon_is_an_outage(kind, engine):
    with Proxied(kind, engine) as stage:
        token = stage.token()
        assert stage.nginx.request("/v1/orders", token=token).status == 200
        stage.service.process.signal(signal.SIGSTOP)
        state = lambda: open(f"/proc/{stage.service.process.pid}/stat").read().rsplit(")", 1)[1].split()[0]
        wait_until(lambda: state() == "T", "every thread has stopped")
        try:
            response = stage.nginx.request("/v1/orders", token=token)
            assert response.status == 503 and stage.application.requests == 1, response
        finally:
            stage.service.process.signal(signal.SIGCONT)
        wait_until(lambda: stage.nginx.request("/v1/orders", token=token).status == 200, "it answers again")


@table(TRANSPORTS)
def test_killed_and_restarted_under_load(kind, engine):
    """While the daemon comes and goes a good request is answered 200 or 503, a bad one never 200."""
    with Proxied(kind, engine) as stage:
        good, bad = stage.token(), stage.token("files:read")
        seen = {}

        def each(number):
            allowed = number % 2 == 0
            response = stage.nginx.request("/v1/orders", token=good if allowed else bad)
            seen[(allowed, response.status)] = seen.get((allowed, response.status), 0) + 1
            if response.status not in ((200, 503) if allowed else (403, 503)):
                return f"{response}"
            return None

        with Load(each) as load:
            for _ in range(3):
                wanted = load.count + 50
                wait_until(lambda: load.count > wanted, "requests flow")
                stage.service.kill()
                wanted = load.count + 20
                wait_until(lambda: load.count > wanted, "requests fail")
                stage.service.start()
            wanted = seen.get((True, 200), 0) + 20
            wait_until(lambda: seen.get((True, 200), 0) > wanted, "requests pass again")
        assert not load.complaints, load.complaints[:3]
        assert seen.get((True, 503)) and seen.get((False, 403)), seen


@table(TRANSPORTS)
def test_kept_client_connections(kind, engine):
    """Many requests on one client connection, allowed and denied in turn: each gets its own answer."""
    with Proxied(kind, engine) as stage:
        good, bad = stage.token(), stage.token("files:read")
        with Connection(stage.nginx.address) as connection:
            for number in range(100):
                allowed = number % 3 != 0
                connection.send(head_bytes(
                    f"/v1/orders/{number}", token=good if allowed else bad, close=False))
                response = connection.read()
                assert response.status == (200 if allowed else 403), (number, response)
                if allowed:
                    assert response.json()["target"] == f"/v1/orders/{number}", response


@table(TRANSPORTS)
def test_websocket_upgrade_is_decided_once(kind, engine):
    policy_route = "      - { match: GET /healthz, public: true }\n"
    from daemon import POLICY
    policy = POLICY.replace("base_path: /v1\n    routes:\n",
                            "routes:\n      - { match: GET /socket/feed, scopes: orders:read }\n").replace(
                                policy_route, policy_route.replace("/healthz", "/v1/healthz"))
    with Proxied(kind, engine, policy=policy) as stage:
        stage.application.answer = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                    b"Connection: Upgrade\r\n\r\n")
        upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
                   ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
        for token, status in [(stage.token(), 101), (None, 401), (stage.token("files:read"), 403)]:
            with Connection(stage.nginx.address) as connection:
                connection.send(head_bytes("/socket/feed", token=token, headers=upgrade, close=False))
                assert connection.read().status == status, status


@table(TRANSPORTS)
def test_no_upgrade_but_to_websocket(kind, engine):
    """An upgrade to HTTP/2 would open a tunnel to the application in which nobody is asked any more."""
    from daemon import POLICY
    policy = POLICY.replace("base_path: /v1\n    routes:\n",
                            "routes:\n      - { match: GET /socket/feed, scopes: orders:read }\n").replace(
                                "GET /healthz", "GET /v1/healthz")
    with Proxied(kind, engine, policy=policy) as stage:
        for headers in UPGRADES:
            with Connection(stage.nginx.address) as connection:
                connection.send(head_bytes("/socket/feed", token=stage.token(), headers=headers, close=False))
                response = connection.read()
            assert response.status in (200, 400), (headers, response)
            if response.status == 200:
                seen = {name.lower(): value for name, value in response.json()["headers"]}
                assert seen.get("upgrade", "websocket") == "websocket" and "http2-settings" not in seen, seen
