"""The shipped nginx configurations against a checker that can give any answer: what is not an explicit 200 never
reaches the application, every denial looks as documented, and only facts that nginx sets are sent as facts."""

import re

import harness
from backend import EchoBackend
from fake_checker import CHALLENGE, GRANTED, FakeChecker
from harness import Connection, Nginx, Workplace, head_bytes, need, program

KINDS = [("fastcgi",), ("http",)]
SCOPE_NAMES = ["Decision", "Reason", "Route", "Policy", "Audit-Id", "Subject", "Client", "Issuer", "Granted",
               "Challenge"]


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


class Stage(Workplace):
    """nginx, a fake checker and an echo backend."""

    def __init__(self, kind, script, edits=()):
        super().__init__()
        need(program("nginx"), "nginx is not installed")
        self.application = EchoBackend(self)
        self.checker = FakeChecker(self, kind, script)
        self.nginx = Nginx(self, kind, self.checker.address, self.application.address, edits)


def value(names, wanted):
    """The values that a fact was sent with, under its FastCGI or HTTP spelling."""
    return [text for name, text in names if name.upper().replace("-", "_") == wanted]


@table(KINDS)
def test_allow(kind):
    with Stage(kind, lambda names: GRANTED) as stage:
        response = stage.nginx.request("/v1/orders/7?x=1", token="t")
        assert response.status == 200, response
        seen = response.json()
        assert seen["target"] == "/v1/orders/7?x=1", seen
        headers = dict(seen["headers"])
        assert headers["X-Scope-Decision"] == "allow" and headers["X-Scope-Subject"] == "alice", headers
        assert headers["X-Scope-Granted"] == "orders:read" and headers["Host"] == "api.example.com", headers
        line = harness.wait_until(stage.nginx.log, "the request is logged")[-1]
        assert line["reason"] == "granted" and line["route"] == "GET /orders/{order}", line
        assert line["audit_id"].startswith("fake-") and line["checker_status"] == "200", line


@table(KINDS)
def test_denials(kind):
    answers = {
        "no_token": (401, "no_token", 'Bearer realm="scopecheck"'),
        "expired": (401, "expired", 'Bearer realm="scopecheck", error="invalid_token"'),
        "multiple_credentials": (401, "multiple_credentials", 'Bearer error="invalid_request"'),
        "malformed_authorization": (401, "malformed_authorization", 'Bearer error="invalid_request"'),
        "insufficient_scope": (403, "insufficient_scope", CHALLENGE),
        "unknown_route": (403, "unknown_route", ""),
        "no_policy": (503, "no_policy", ""),
    }
    expected = {
        "no_token": (401, "unauthorized"), "expired": (401, "invalid_token"),
        "multiple_credentials": (400, "invalid_request"),
        "malformed_authorization": (400, "invalid_request"),
        "insufficient_scope": (403, "insufficient_scope"), "unknown_route": (403, "forbidden"),
        "no_policy": (503, "temporarily_unavailable"),
    }
    with Stage(kind, lambda names: answers[value(names, "SC_TARGET")[0][1:]]) as stage:
        for reason, (status, error) in expected.items():
            response = stage.nginx.request("/" + reason, token="t")
            assert response.status == status, (reason, response)
            assert response.header("Content-Type") == "application/json", response
            assert response.json()["error"] == error, (reason, response)
            assert response.json()["audit_id"] == response.header("X-Scope-Audit-Id") != "", response
            leaked = [name for name in SCOPE_NAMES
                      if name != "Audit-Id" and response.has("X-Scope-" + name)]
            assert not leaked, (reason, leaked)
            challenge = answers[reason][2]
            assert response.header("WWW-Authenticate") == challenge, (reason, response)
            assert response.has("Retry-After") == (status == 503), (reason, response)
            line = stage.nginx.log_of(response)
            assert line["reason"] == reason and line["status"] == str(status), line
            assert line["checker_status"] == str(answers[reason][0]), line
        assert stage.application.requests == 0, "a denied request reached the application"


@table(KINDS)
def test_any_other_answer_is_no_allow(kind):
    """What is neither 2xx nor 401 nor 403 is 500 to nginx, hence 503 at the client."""
    codes = [100, 103, 300, 301, 302, 304, 400, 402, 404, 405, 407, 409, 418, 429, 500, 502, 503, 504, 599]
    odd = ["close", "garbage", "end", "silent"]

    def script(names):
        word = value(names, "SC_TARGET")[0][1:]
        if word in odd:
            return word
        location = "Location: /elsewhere\r\n" if word in ("301", "302") else ""
        if kind == "fastcgi":
            return f"Status: {word} X\r\n{location}\r\n".encode()
        return f"HTTP/1.1 {word} X\r\n{location}Content-Length: 0\r\n\r\n".encode()

    with Stage(kind, script) as stage:
        for word in [str(code) for code in codes] + odd:
            response = stage.nginx.request("/" + word, token="t")
            assert response.status == 503 and response.header("Retry-After") == "5", (word, response)
        assert stage.application.requests == 0
        assert stage.nginx.request("/200", token="t").status == 200


@table(KINDS)
def test_no_checker_at_all(kind):
    with Stage(kind, lambda names: GRANTED) as stage:
        assert stage.nginx.request("/a", token="t").status == 200
        stage.checker.listener.close()
        import os
        os.unlink(stage.checker.address[5:])
        # A kept connection may outlive its listener; each worker finds out by itself.
        before = stage.application.requests
        if kind == "fastcgi":
            response = stage.nginx.request("/a", token="t")
            assert response.status == 503 and response.header("Retry-After") == "5", response
            assert stage.application.requests == before


@table(KINDS)
def test_facts_are_nginx_own(kind):
    """Every fact is sent once, whatever the client sends under the same names; its own credentials pass."""
    lies = [("SC-Method", "GET"), ("SC-Target", "/public"), ("SC-Host", "evil"), ("SC-Path", "/public"),
            ("SC-Port", "1"), ("SC-Client-Certificate", "forged"), ("SC_TARGET", "/public"),
            ("SC_METHOD", "GET"), ("X-Original-URI", "/public"), ("X-Forwarded-Uri", "/public"),
            ("X-Forwarded-Method", "GET"), ("X-Original-Method", "GET")]
    with Stage(kind, lambda names: GRANTED) as stage:
        response = stage.nginx.request("/v1/caf%C3%A9?q=%2F", method="DELETE", token="abc", headers=lies)
        assert response.status == 200, response
        names = stage.checker.questions[-1]
        truth = {"SC_METHOD": "DELETE", "SC_TARGET": "/v1/caf%C3%A9?q=%2F", "SC_HOST": "api.example.com",
                 "SC_SCHEME": "http", "SC_PORT": str(stage.nginx.port), "SC_CLIENT_ADDRESS": "127.0.0.1"}
        for fact, expected in truth.items():
            assert value(names, fact) == [expected], (fact, value(names, fact))
        assert value(names, "SC_PATH")[0].encode("latin-1").decode() == "/v1/café", names
        assert re.fullmatch("[0-9a-f]{32}", value(names, "SC_REQUEST_ID")[0])
        # HTTP sends no header for an empty value; FastCGI an empty param. Neither the client's.
        assert value(names, "SC_CLIENT_CERTIFICATE") in ([], [""]), names
        authorization = "HTTP_AUTHORIZATION" if kind == "fastcgi" else "AUTHORIZATION"
        assert value(names, authorization) == ["Bearer abc"], names
        # Two DPoP headers must be visible as two, or joined.
        stage.nginx.request("/a", token="abc", headers=[("DPoP", "one"), ("DPoP", "two")])
        dpop = value(stage.checker.questions[-1], "HTTP_DPOP" if kind == "fastcgi" else "DPOP")
        assert dpop in (["one", "two"], ["one, two"]), dpop


@table(KINDS)
def test_a_line_end_in_the_path_is_no_line_end_of_the_question(kind):
    """nginx's $uri holds the CR and LF of %0d%0a; as a header's value they would end it, and the rest would be
    headers or a second question on the kept connection, whose answer another client would get."""
    with Stage(kind, lambda names: (403, "ambiguous_target", "")) as stage:
        smuggled = "%0d%0a%0d%0aGET%20/%20HTTP/1.1%0d%0aHost:%20a%0d%0a%0d%0a"
        for target in ["/v1/x%0d%0aSC-Injected:%20yes", "/v1/x%0aSC-Injected:%20yes", "/x" + smuggled,
                       "/x%0d%0aSC-Injected:%20yes" + smuggled, "/x%09y", "/x%7fy", "/x%1by"]:
            before = len(stage.checker.questions)
            assert stage.nginx.request(target, token="t").status == 403
            assert len(stage.checker.questions) == before + 1, target
            names = stage.checker.questions[-1]
            assert not value(names, "SC_INJECTED"), names
            assert value(names, "SC_TARGET") == [target] and value(names, "SC_PORT"), names
            path = value(names, "SC_PATH")[0]
            assert path == "control character", (target, path)


@table(KINDS)
def test_client_copies_never_reach_the_application(kind):
    spellings = [f"X-Scope-{name}" for name in SCOPE_NAMES]
    spellings += [name.replace("-", "_") for name in spellings] + [name.lower() for name in spellings]
    overrides = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method",
                 "X-Forwarded-Method", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-Uri",
                 "X-Forwarded-Path", "X-Forwarded-Prefix", "Forwarded", "X-Forwarded-Host", "X-Forwarded-For",
                 "X-Real-IP"]
    headers = [(name, "forged") for name in spellings + overrides]
    # `identity` is what an allow on a public route looks like: all identity headers empty.
    public = (b"Status: 200\r\nX-Scope-Decision: allow\r\nX-Scope-Reason: public\r\nX-Scope-Subject: \r\n\r\n"
              if kind == "fastcgi" else
              b"HTTP/1.1 200 OK\r\nX-Scope-Decision: allow\r\nX-Scope-Subject: \r\nContent-Length: 0\r\n\r\n")
    bare = (b"Status: 200\r\n\r\n" if kind == "fastcgi"
            else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    answers = {"/granted": GRANTED, "/public": public, "/bare": bare, "/socket/x": public}
    # With `underscores_in_headers on` the underscore spellings get as far as proxy_set_header.
    for edits in [(), [("underscores_in_headers off;", "underscores_in_headers on;")]]:
        with Stage(kind, lambda names: answers[value(names, "SC_TARGET")[0]], edits) as stage:
            for target in answers:
                response = stage.nginx.request(target, token="t", headers=headers)
                assert response.status == 200, response
                forged = [name for name, text in response.json()["headers"] if "forged" in text]
                assert not forged, (target, forged)


@table(KINDS)
def test_auth_location_is_internal(kind):
    with Stage(kind, lambda names: GRANTED) as stage:
        for target in ["/_scopecheck", "/_scopecheck?x", "//_scopecheck", "/%5Fscopecheck", "/a/../_scopecheck"]:
            before = stage.application.requests
            response = stage.nginx.request(target, token="t")
            assert response.status in (404, 200), response
            if response.status == 200:  # an ordinary path of the application, decided as such
                assert stage.application.requests == before + 1
        assert stage.nginx.request("/_scopecheck", token="t").status == 404
        assert all(value(names, "SC_TARGET")[0] != "/_scopecheck" for names in stage.checker.questions)


@table(KINDS)
def test_error_pages_do_not_turn_a_denial_into_an_allow(kind):
    """Inherited interception and an error page that ends 2xx (attack 23)."""
    edits = [("server_tokens off;",
              "server_tokens off; proxy_intercept_errors on; fastcgi_intercept_errors on; "
              "error_page 403 =200 /fine; error_page 401 =200 /fine;")]
    with Stage(kind, lambda names: (403, "insufficient_scope", CHALLENGE), edits) as stage:
        assert stage.nginx.request("/a", token="t").status == 403
        assert stage.application.requests == 0


@table(KINDS)
def test_the_applications_own_errors_pass(kind):
    """A 401, 403 or 500 of the application is its own affair; nothing of ours is put on it."""
    with Stage(kind, lambda names: GRANTED) as stage:
        for status in (401, 403, 500):
            stage.application.answer = (
                b"HTTP/1.1 %d X\r\nContent-Length: 4\r\nWWW-Authenticate: Own\r\n\r\nmine" % status)
            response = stage.nginx.request("/a", token="t")
            assert (response.status, response.body) == (status, b"mine"), response
            assert response.header("WWW-Authenticate") == "Own", response


@table(KINDS)
def test_cors_callers_may_read_a_denial(kind):
    with Stage(kind, lambda names: (403, "insufficient_scope", CHALLENGE)) as stage:
        known = stage.nginx.request("/a", token="t", headers=[("Origin", "https://app.example.com")])
        assert known.header("Access-Control-Allow-Origin") == "https://app.example.com", known
        exposed = known.header("Access-Control-Expose-Headers")
        assert "WWW-Authenticate" in exposed and "DPoP-Nonce" in exposed, known
        assert known.header("Vary") == "Origin", known
        other = stage.nginx.request("/a", token="t", headers=[("Origin", "https://evil.example")])
        assert not other.has("Access-Control-Allow-Origin"), other


@table(KINDS)
def test_a_denied_body_never_reaches_the_application(kind):
    """The question is asked on the head alone: the denial comes while the body has not been sent."""
    with Stage(kind, lambda names: (403, "unknown_route", "")) as stage:
        for expect in ([], [("Expect", "100-continue")]):
            with Connection(stage.nginx.address) as connection:
                connection.send(head_bytes("/a", "POST", token="t", close=False,
                                           headers=[("Content-Length", "1000000")] + expect))
                response = connection.read()
                # A JSON body makes nginx say 100 first; it throws away what then comes.
                response = connection.read() if response.status == 100 else response
                assert response.status == 403, response
        assert stage.application.requests == 0


@table(KINDS)
def test_bodies_do_not_disturb_the_question(kind):
    """A length or chunks of the client's body are not announced to the checker, which is sent none."""
    with Stage(kind, lambda names: GRANTED) as stage:
        response = stage.nginx.request("/a", "POST", token="t", body=b"x" * 5000)
        assert response.status == 200 and response.json()["body"] == "x" * 5000, response
        with Connection(stage.nginx.address) as connection:
            connection.send(head_bytes("/a", "POST", token="t", headers=[("Transfer-Encoding", "chunked")])
                            + b"5\r\nhello\r\n0\r\n\r\n")
            response = connection.read()
        assert response.status == 200 and response.json()["body"] == "hello", response
        for names in stage.checker.questions:
            if kind == "http":
                assert value(names, "CONTENT_LENGTH") in ([], ["0"]), names
                assert not value(names, "TRANSFER_ENCODING"), names


def test_http_connections_are_kept():
    with Stage("http", lambda names: GRANTED) as stage:
        with Connection(stage.nginx.address) as connection:
            for _ in range(50):
                connection.send(head_bytes("/a", token="t", close=False))
                assert connection.read().status == 200
        assert stage.checker.connections == 1, stage.checker.connections


@table(KINDS)
def test_two_checkers_one_dead(kind):
    """The second checker answers when the first is gone, for a POST too."""
    edits = [("upstream scopecheck {", "upstream scopecheck {\n server unix:/nonexistent/scopecheck.sock max_fails=0;")]
    with Stage(kind, lambda names: GRANTED, edits) as stage:
        for _ in range(10):
            assert stage.nginx.request("/a", "POST", token="t", body=b"{}").status == 200


@table(KINDS)
def test_a_mistyped_question_is_noticed(kind):
    """The lint of the README: with another URI the application would answer the question itself."""
    edits = [("auth_request /_scopecheck;", "auth_request /_scopechek;")]
    with Stage(kind, lambda names: (403, "unknown_route", ""), edits) as stage:
        # Shown once, so that the warning in the files stays true: nginx lets the application decide.
        assert stage.nginx.request("/a").status == 200
    for path in harness.NGINX_FOLDER.glob("*.conf"):
        for uri in re.findall(r"^\s*auth_request\s+(/\S*);", path.read_text(), re.M):
            assert uri == "/_scopecheck", (path, uri)


@table(KINDS)
def test_locations_that_somebody_adds_are_protected(kind):
    """`auth_request` stands in the server: a regex sibling, a static folder or a redirect inside is asked about."""
    edits = [("location /socket/ {", "location ~ \\.css$ { proxy_pass http://application; }\n"
              "location /static/ { alias ./; }\nlocation = /hop { try_files /nothing /target; }\n"
              "location = /target { proxy_pass http://application; }\nlocation /socket/ {")]
    verdicts = {"/hop": GRANTED}

    def script(names):
        return verdicts.get(value(names, "SC_TARGET")[0], (403, "unknown_route", ""))

    with Stage(kind, script, edits) as stage:
        for target in ("/v1/x.css", "/static/nginx.pid", "/target", "/socket/x"):
            assert stage.nginx.request(target, token="t").status == 403, target
        assert stage.application.requests == 0
        asked = len(stage.checker.questions)
        assert stage.nginx.request("/hop", token="t").status == 200
        assert len(stage.checker.questions) == asked + 2, "the place redirected to was not asked about"


def test_lint_of_the_shipped_files():
    """What must not be changed in the shipped files, looked for in their text."""
    for kind in ("fastcgi", "http"):
        text = (harness.NGINX_FOLDER / f"scopecheck-ask-{kind}.conf").read_text()
        assert re.search(r"location = /_scopecheck \{[^}]*\binternal;", text)
        module = "fastcgi" if kind == "fastcgi" else "proxy"
        assert f"{module}_intercept_errors off;" in text
        assert f"{module}_pass_request_body off;" in text
        shipped = (harness.NGINX_FOLDER / f"scopecheck-{kind}.conf").read_text()
        first, _, _ = shipped.partition("# A stand-in for your application")
        code = re.sub(r"#.*", "", first)
        assert not re.search(r"\breturn\b", code), "a `return` answers before the question is asked"
        assert not re.search(r"location\s+~", code), "a regex location wins over a protected prefix"
        assert "auth_request off" not in code
        # Every location that hands on a request strips first.
        locations = re.findall(r"location [^{]+\{([^}]*)\}", code)
        assert locations
        for block in locations:
            assert "include scopecheck-strip.conf;" in block and "set $sc_path $uri;" in block, block
            assert re.search(r"proxy_pass http://application;", block), block
        assert not re.search(r"^\s*set ", re.sub(r"location [^{]+\{[^}]*\}", "", code), re.M)
