"""Tokens that only their issuer can read (RFC 7662, RFC 9701), with an endpoint that is made with joserfc, through
nginx: every way to authenticate, replies good and bad, one question for one token, and an endpoint that fails."""

import base64
import json
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from certificates import Authority
from daemon import resident_kilobytes
from harness import wait_until
from independent_issuer import AUDIENCE, ISSUER, Endpoint, Signer, Site, errors, jwk, jws, jwt, table
from test_issuer_faults import GROWN_KILOBYTES, http

_names = iter(range(1 << 30))
UNAVAILABLE = (503, "introspection_unavailable")


class Introspector(Endpoint):
    """An introspection endpoint (RFC 7662) for one client.

    `replies` are the members of the replies by token; of others it says that they are not active. `asked` are the
    tokens in the order in which they came, `wrong` what was wrong with requests. `fault(exchange)` answers instead
    while set.
    """

    CLIENT = "scopecheck"
    # Form-encoding matters.
    SECRET = "p+s %:&=/\u00fc?"

    def __init__(self, place, auth="basic", signer=None, signed=False, **options):
        self.auth, self.signer, self.signed = auth, signer, signed
        self.replies, self.asked, self.wrong, self.assertions = {}, [], [], set()
        self.delay, self.fault, self.envelope, self.header = 0.0, None, {}, {}
        # Of private_key_jwt and mtls.
        self.client_key = jwk.ECKey.generate_key("P-256", {"kid": "client-1"})
        clients = Authority(place, f"clients-{next(_names)}")
        self.client_certificate = clients.issue(f"client-{next(_names)}", "scopecheck")
        super().__init__(place, self._answer, client_authority=clients, **options)

    def active(self, token, **members):
        """From now on the token is active; None takes one of the usual members away."""
        now = int(time.time())
        found = {"active": True, "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "web-frontend",
                 "scope": "orders:read", "token_type": "Bearer", "iat": now, "exp": now + 600, **members}
        self.replies[token] = {name: value for name, value in found.items() if value is not None}
        return token

    def policy(self, folder, tokens="opaque", cache="60s", negative="1s", timeout="1s"):
        """What stands under `introspection`; writes the files that it names."""
        lines = {"endpoint": f"{self.url}/introspect", "tokens": tokens, "client_id": self.CLIENT, "auth": self.auth,
                 "ca_file": self.authority.path, "replies": "jwt" if self.signed else "json", "cache": cache,
                 "negative_cache": negative, "timeout": timeout}
        if self.auth in ("basic", "post"):
            lines["secret_file"] = "introspection.secret"
            (folder / "introspection.secret").write_text(self.SECRET + "\n")
        elif self.auth == "private_key_jwt":
            lines["key_file"] = "client.jwk"
            (folder / "client.jwk").write_text(json.dumps(
                {**self.client_key.as_dict(private=True), "kid": "client-1", "alg": "ES256"}))
        else:
            # One file has both.
            lines["certificate_file"] = lines["key_file"] = self.client_certificate.path
        return "    introspection:\n" + "".join(f"      {name}: {value}\n" for name, value in lines.items())

    def _answer(self, exchange):
        if self.fault is not None:
            self.fault(exchange)
            return
        form = urllib.parse.parse_qs(exchange.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        problem = self._problem(exchange, form)
        if problem:
            self.wrong.append(problem)
            exchange.reply({"error": "invalid_client"}, status=401)
            return
        token = form["token"][0]
        with self._lock:
            self.asked.append(token)
        time.sleep(self.delay)
        found = self.replies.get(token, {"active": False})
        if not self.signed:
            exchange.reply(found)
            return
        claims = {"iss": ISSUER, "aud": self.CLIENT, "iat": int(time.time()), "token_introspection": found,
                  **self.envelope}
        members = {"alg": self.signer.algorithm, "typ": "token-introspection+jwt", "kid": self.signer.kid,
                   **self.header}
        text = jws.serialize_compact(members, json.dumps({
            name: value for name, value in claims.items() if value is not None}).encode(), self.signer.key,
            algorithms=[members["alg"]])
        exchange.reply(text, content_type="application/token-introspection+jwt")

    def _problem(self, exchange, form):
        """What is wrong with the request, or None."""
        if exchange.method != "POST" or exchange.headers.get("content-type") != "application/x-www-form-urlencoded":
            return f"{exchange.method} {exchange.headers}"
        if any(len(values) != 1 for values in form.values()) or "token" not in form:
            return f"form {form}"
        if self.auth == "basic":
            kind, _, pair = exchange.headers.get("authorization", "").partition(" ")
            name, _, secret = base64.b64decode(pair).decode().partition(":")
            given = kind, urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(secret)
            return None if given == ("Basic", self.CLIENT, self.SECRET) else f"basic {given}"
        if "authorization" in exchange.headers or form.get("client_id") != [self.CLIENT]:
            return f"client_id {form} {exchange.headers}"
        if self.auth == "post":
            return None if form.get("client_secret") == [self.SECRET] else f"post {form}"
        if self.auth == "mtls":
            return None if exchange.certificate == self.client_certificate.der else "no certificate"
        if form.get("client_assertion_type") != ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]:
            return f"assertion type {form}"
        try:
            claims = jwt.decode(form["client_assertion"][0], self.client_key, algorithms=["ES256"]).claims
        except errors.JoseError as error:
            return f"assertion {error}"
        now = time.time()
        if (claims["iss"], claims["sub"]) != (self.CLIENT, self.CLIENT) or claims["jti"] in self.assertions \
                or not now < claims["exp"] < now + 600 \
                or not {ISSUER, f"{self.url}/introspect"}.intersection(
                    [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]):
            return f"claims {claims}"
        self.assertions.add(claims["jti"])
        return None


class Asked(Site):
    """A site whose issuer is asked about opaque tokens, or all."""

    def __init__(self, *kinds, auth="basic", signed=False, with_keys=True, plain_keys=False, **settings):
        self.signer = Signer("ES256", kid="issuer-1")

        def edits(site):
            site.server = Introspector(site, auth, self.signer, signed)
            more = [("    profile: rfc9068\n", "    profile: rfc9068\n" + site.server.policy(site.folder, **settings))]
            return more
        super().__init__(*(kinds or ("http",)), signers=[self.signer], more_policy=edits,
                         waits=settings.get("tokens") != "all")
        self.serial = iter(range(1 << 30))
        if settings.get("tokens") == "all":
            self.active_jwt()

    def active_jwt(self):
        """A JWT that its issuer knows, when the keys have come."""
        token = self.server.active(self.signer.token())
        wait_until(lambda: self.service.ask("/v1/orders", token=token).status == 200, "the keys were fetched")
        return token

    def opaque(self):
        return f"opaque.{next(self.serial)}-{time.monotonic_ns():x}~+/="

    def said(self, token, method="GET"):
        """(status, reason) of the daemon itself."""
        response = self.service.ask("/v1/orders", token=token, method=method)
        return response.status, response.header("X-Scope-Reason")

    def ask(self, token):
        return next(iter(self.proxies.values())).request("/v1/orders", token=token)


@table([("basic",), ("post",), ("private_key_jwt",), ("mtls",)])
def test_client_authentication(auth):
    with Asked("http", auth=auth) as site:
        for _ in range(3):
            token = site.server.active(site.opaque(), sub="bob", client_id="mobile")
            for _ in range(3):
                response = site.ask(token)
                assert response.status == 200, (response, site.server.wrong, site.service.log_text()[-500:])
                seen = {name.lower(): value for name, value in response.json()["headers"]}
                assert (seen["x-scope-subject"], seen["x-scope-client"]) == ("bob", "mobile"), seen
            # What follows comes from the cache, in the other worker too.
            assert site.server.asked.count(token) == 1
        before, unknown = site.application.requests, site.opaque()
        response = site.ask(unknown)
        assert response.status == 401 and 'error="invalid_token"' in response.header("WWW-Authenticate"), response
        assert site.said(unknown) == (401, "token_inactive")
        assert site.application.requests == before and not site.server.wrong, site.server.wrong


def test_a_wrong_secret_lets_nothing_through():
    with Asked("http") as site:
        site.server.SECRET = "another"
        for _ in range(3):
            assert site.said(site.server.active(site.opaque())) == UNAVAILABLE
        assert len(site.server.wrong) == 3 and not site.server.asked
        # The file is read again when it has changed.
        site.replace("introspection.secret", "another")
        wait_until(lambda: site.said(site.server.active(site.opaque()))[0] == 200, "the new secret is used")
        assert site.application.requests == 0


def replies():
    """(members of the reply, status, reason or None for any)"""
    now = int(time.time())
    yield {}, 200, "granted"
    yield {"iss": None, "token_type": None, "iat": None, "exp": None, "sub": None, "client_id": None}, 200, "granted"
    yield {"token_type": "bearer"}, 200, "granted"
    yield {"aud": ["https://other.example.com", "https://api.example.com"]}, 200, "granted"
    yield {"unknown": {"a": [1, None]}}, 200, "granted"
    yield {"active": False}, 401, "token_inactive"
    yield {"active": "true"}, *UNAVAILABLE
    yield {"active": 1}, *UNAVAILABLE
    yield {"active": None}, *UNAVAILABLE
    yield {"iss": "https://evil.example.com"}, 401, None
    yield {"aud": None}, 401, "missing_claim"
    yield {"aud": "https://other.example.com"}, 401, "audience_mismatch"
    yield {"aud": []}, 401, None
    yield {"exp": now - 5}, 401, "expired"
    yield {"exp": "soon"}, 401, "claims_malformed"
    yield {"nbf": now + 600}, 401, "not_yet_valid"
    yield {"scope": "orders:write payments:charge"}, 200, "granted"
    yield {"scope": "files:read"}, 403, "insufficient_scope"
    yield {"scope": None}, 403, "insufficient_scope"
    yield {"token_type": "N_A"}, 401, "token_type_mismatch"
    yield {"token_type": "DPoP"}, 401, None
    yield {"cnf": {"jkt": "0" * 43}}, 401, None
    yield {"cnf": {"x5t#S256": "0" * 43}}, 401, None
    yield {"cnf": {"kid": "a"}}, 401, "proof_required"
    yield {"sub": 7}, 401, "claims_malformed"
    yield {"filler": "x" * 66_000}, *UNAVAILABLE


def test_replies():
    with Asked("http") as site:
        wrong = []
        for members, status, reason in replies():
            token = site.server.active(site.opaque(), **members)
            before = site.application.requests
            response, said = site.ask(token), site.said(token)
            if (response.status != status or said[0] != status or reason not in (None, said[1])
                    or (site.application.requests > before) != (status == 200)):
                wrong.append(f"{str(members)[:60]}: {response.status} {said} instead of {status} {reason}")
        assert not wrong, "\n".join(wrong)


def envelopes(signer):
    """(members of the envelope, members of the header, whether it is believed)"""
    now = int(time.time())
    yield {}, {}, True
    yield {"aud": ["other", "scopecheck"]}, {}, True
    yield {"iat": now - 200}, {}, True
    yield {"iat": now - 400}, {}, False
    yield {"iat": None}, {}, False
    yield {"iss": "https://evil.example.com"}, {}, False
    yield {"iss": None}, {}, False
    yield {"aud": "other"}, {}, False
    yield {"aud": None}, {}, False
    yield {"exp": now - 10}, {}, False
    yield {"token_introspection": None}, {}, False
    yield {"token_introspection": "active"}, {}, False
    yield {"token_introspection": [{"active": True}]}, {}, False
    yield {}, {"typ": "JWT"}, False
    yield {}, {"typ": "at+jwt"}, False
    yield {}, {"kid": "nobody"}, False
    yield {}, {"alg": "none"}, False


def test_signed_replies():
    with Asked("http", signed=True) as site:
        wrong = []
        for number, (envelope, header, is_good) in enumerate(envelopes(site.signer)):
            if not is_good:
                # A good one in between: what fails in a row would pause the questions.
                site.server.envelope, site.server.header = {}, {}
                assert site.said(site.server.active(site.opaque())) == (200, "granted")
            site.server.envelope, site.server.header = envelope, header
            said = site.said(site.server.active(site.opaque()))
            if said != ((200, "granted") if is_good else UNAVAILABLE):
                wrong.append(f"{number} {envelope} {header}: {said}")
        assert not wrong, "\n".join(wrong)
        site.server.envelope, site.server.header = {}, {}
        right, site.server.signer = site.server.signer, Signer("ES256", kid="issuer-1")
        assert site.said(site.server.active(site.opaque())) == UNAVAILABLE, "a stranger's signature"
        site.server.signer, site.server.signed = right, False
        assert site.said(site.server.active(site.opaque())) == UNAVAILABLE, "not signed"
        site.server.signed = True
        assert site.said(site.server.active(site.opaque())) == (200, "granted")


def test_one_exchange_for_one_token():
    with Asked("http", timeout="5s") as site:
        # nginx waits for a second.
        site.server.delay = 0.3
        tokens = [site.server.active(site.opaque()) for _ in range(3)]
        with ThreadPoolExecutor(60) as pool:
            statuses = list(pool.map(lambda number: site.ask(tokens[number % 3]).status, range(120)))
        assert statuses == [200] * 120, statuses
        assert sorted(site.server.asked) == sorted(tokens), site.server.asked


def test_how_long_replies_are_believed():
    with Asked("http", cache="3s", negative="1s") as site:
        token, short = site.server.active(site.opaque()), site.opaque()
        site.server.active(short, exp=int(time.time()) + 2)
        ends = site.server.replies[short]["exp"]
        late = site.opaque()
        started = time.monotonic()
        assert [site.said(one)[0] for one in (token, short, late)] == [200, 200, 401]
        for one in (token, late):
            site.server.replies[one] = {"active": one is late}
        site.server.active(late)
        wait_until(lambda: site.said(late)[0] == 200, "the inactive one is asked about again", 10)
        # It is believed for 3 s of a clock that knows whole seconds.
        while time.monotonic() - started < 1.8:
            assert site.said(token)[0] == 200
        wait_until(lambda: site.said(token) == (401, "token_inactive"), "the active one is asked about again", 10)
        assert time.monotonic() - started < 6
        wait_until(lambda: time.time() > ends + 1, "the short one ends")
        assert site.said(short)[0] == 401
        assert site.server.asked.count(token) <= 5, site.server.asked.count(token)


def test_tokens_that_are_verified_here_are_asked_about_too():
    with Asked("http", tokens="all", cache="1s") as site:
        good = site.active_jwt()
        assert site.ask(good).status == 200
        silent = site.signer.token()
        assert site.said(silent) == (401, "token_inactive")
        # The reply may narrow what the token says, and nothing else.
        narrow = site.signer.token("orders:read files:read")
        site.server.active(narrow, scope="files:read")
        assert site.said(narrow) == (403, "insufficient_scope")
        wide = site.signer.token("files:read")
        site.server.active(wide, scope="files:read orders:read")
        assert site.said(wide) == (403, "insufficient_scope")
        # What its issuer has not signed is not sent to it.
        before = len(site.server.asked)
        stranger = Signer("ES256", kid="issuer-1").token()
        expired = site.signer.token(lifetime=-10)
        for token in (stranger, expired):
            site.server.active(token)
            assert site.said(token)[0] == 401
        assert len(site.server.asked) == before
        site.server.replies[good] = {"active": False}
        wait_until(lambda: site.said(good) == (401, "token_inactive"), "the revoked one is noticed", 10)


def faults(site):
    elsewhere = site.elsewhere
    yield "silence", lambda exchange: time.sleep(2)
    yield "reset", lambda exchange: exchange.reset()
    yield "closed", lambda exchange: exchange.raw(b"")
    yield "noise", lambda exchange: exchange.raw(bytes(range(256)) * 16)
    yield "byte by byte", lambda exchange: exchange.trickle(http(b'{"active":true}', "Content-Length: 15\r\n"), 0.1)
    yield "endless", lambda exchange: exchange.endless(
        http(b'{"active":true', "Content-Type: application/json\r\n"), b" " * 32_768)
    yield "endless head", lambda exchange: exchange.endless(b"HTTP/1.1 200 OK\r\n", b"X-Filler: a\r\n" * 2_048)
    yield "a page", lambda exchange: exchange.reply("<html>", content_type="text/html")
    for status in (204, 302, 307, 308, 401, 403, 404, 429, 500, 503):
        yield f"status {status}", lambda exchange: exchange.reply(
            {"active": True, "aud": "https://api.example.com", "scope": "orders:read"}, status=status,
            headers=[("Location", elsewhere.url + "/introspect")])
    for body in ("", "{}", "[]", "null", "true", '{"active":true', '{"active":true}{}',
                 '{"active":true,"active":false}', "[" * 50_000):
        yield f"body {body[:20]}", lambda exchange: exchange.reply(body)


@table([(0,), (1,)])
def test_an_endpoint_that_fails(part):
    """503 for what it is asked about, nothing gets through, and everybody else is answered."""
    with Asked("http", timeout="500ms") as site:
        site.elsewhere = Endpoint(site, lambda exchange: exchange.reply({"active": True}),
                                  authority=site.server.authority)
        before = resident_kilobytes(site.service.process.pid)
        known = site.server.active(site.opaque())
        assert site.ask(known).status == 200
        for name, fault in list(faults(site))[part::2]:
            reached = site.application.requests
            site.server.fault = fault
            token = site.server.active(site.opaque())
            response = site.ask(token)
            assert response.status == 503, (name, response)
            assert site.application.requests == reached, name
            # Known tokens, JWTs and public routes.
            assert site.ask(known).status == 200, name
            assert site.ask(site.signer.token()).status == 200, name
            # A good exchange in between: failures in a row would pause the questions.
            site.server.fault = None
            wait_until(lambda: site.said(site.server.active(site.opaque()))[0] == 200, f"it is well after {name}", 15)
        assert site.elsewhere.connections == 0
        assert resident_kilobytes(site.service.process.pid) - before < GROWN_KILOBYTES
        site.service.alive()


def test_an_endpoint_that_is_down_is_left_alone():
    """After five failures in a row it is asked no more for 5 s, then once; then it is well again."""
    with Asked("http", timeout="2s") as site:
        site.server.fault = lambda exchange: exchange.reply("", status=500)
        started, asked = time.monotonic(), site.server.requests
        while time.monotonic() - started < 3:
            assert site.said(site.opaque()) == UNAVAILABLE
        assert site.server.requests - asked == 5, site.server.requests - asked
        wait_until(lambda: site.said(site.opaque()) == UNAVAILABLE and site.server.requests > asked + 5,
                   "the trial", 10)
        assert time.monotonic() - started > 4.5
        # The trial failed: twice as long.
        paused = time.monotonic()
        while time.monotonic() - paused < 2:
            assert site.said(site.opaque()) == UNAVAILABLE
        assert site.server.requests == asked + 6, site.server.requests - asked
        site.server.fault = None
        token = site.server.active(site.opaque())
        wait_until(lambda: site.said(token) == (200, "granted"), "it is asked again", 15)
        assert time.monotonic() - paused > 7, time.monotonic() - paused
        assert [site.said(site.server.active(site.opaque()))[0] for _ in range(5)] == [200] * 5
