"""What the shipped configurations do with a checker's answers about proofs: the challenge, the error and the nonce
reach the client, with an allow as with a denial, and a browser of a listed origin may read them. The checker is a
fake."""

from backend import EchoBackend
from fake_checker import FakeChecker
from haproxy import Haproxy
from harness import Nginx, Workplace, need, program, wait_until
from spop_agent import FakeAgent, verdict

KINDS = [("http",), ("fastcgi",), ("haproxy",)]
NONCE = "eyJ7S_zG.eyJH0-Z.HX4w-7v"
ORIGIN = "https://app.example.com"
# reason: status, error in the challenge, error in the body
DENIALS = {
    "use_dpop_nonce": (401, "use_dpop_nonce", "use_dpop_nonce"),
    "invalid_dpop_proof": (401, "invalid_dpop_proof", "invalid_dpop_proof"),
    "proof_replayed": (401, "invalid_dpop_proof", "invalid_dpop_proof"),
    "insufficient_user_authentication": (401, "insufficient_user_authentication", "insufficient_user_authentication"),
    "proof_required": (401, "invalid_token", "invalid_token"),
    "token_not_bound": (401, "invalid_token", "invalid_token"),
    "certificate_required": (401, "invalid_token", "invalid_token"),
    "certificate_mismatch": (401, "invalid_token", "invalid_token"),
    "expired": (401, "invalid_token", "invalid_token"),
    "no_token": (401, "", "unauthorized"),
    "insufficient_scope": (403, "insufficient_scope", "insufficient_scope"),
    "replay_cache_full": (503, "", "temporarily_unavailable"),
}


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


class Staged(Workplace):
    """A proxy, and a checker that answers with the reason that the target names, and with a nonce if that says so."""

    def __init__(self, kind):
        super().__init__()
        self.application = EchoBackend(self)
        if kind == "haproxy":
            agent = FakeAgent(self, lambda question: [
                question.ack(self._verdict(question.arguments["target"].decode()))])
            self.proxy = Haproxy(self, [agent.address], self.application.address)
            # The agent's health check comes first.
            wait_until(lambda: self.proxy.request("/granted").status == 200, "requests pass")
        else:
            need(program("nginx"), "nginx is not installed")
            checker = FakeChecker(self, kind, lambda names: self._answer(next(
                value for name, value in names if name.upper().replace("-", "_") == "SC_TARGET")))
            self.proxy = Nginx(self, kind, checker.address, self.application.address)

    def _answer(self, target):
        reason, _, nonce = target[1:].partition("?")
        status, error, _ = DENIALS.get(reason, (200, "", ""))
        return status, reason, challenge(error) if status in (401, 403) else "", NONCE if nonce else ""

    def _verdict(self, target):
        status, reason, value, nonce = self._answer(target)
        return verdict(status, reason, value, dpop_nonce=nonce)


def challenge(error):
    return 'DPoP realm="orders", algs="ES256 EdDSA"' + (f', error="{error}"' if error else "")


@table(KINDS)
def test_denials(kind):
    with Staged(kind) as stage:
        before = stage.application.requests
        for reason, (status, error, body) in DENIALS.items():
            for query, nonce in (("", ""), ("?nonce", NONCE)):
                response = stage.proxy.request(f"/{reason}{query}", token="t")
                assert response.status == status, (reason, response)
                assert response.json()["error"] == body, (reason, response)
                assert response.header("WWW-Authenticate") == (challenge(error) if status < 500 else ""), response
                assert response.header("DPoP-Nonce") == nonce, (reason, response)
                assert response.header("Cache-Control") == "no-store", response
                assert response.has("X-Scope-Audit-Id") and not response.has("Access-Control-Allow-Origin"), response
        assert stage.application.requests == before


@table(KINDS)
def test_a_nonce_with_an_allow(kind):
    with Staged(kind) as stage:
        response = stage.proxy.request("/granted?nonce", token="t")
        assert response.status == 200 and response.header("DPoP-Nonce") == NONCE, response
        assert response.header("Cache-Control") == "no-store", response
        assert not response.has("Access-Control-Expose-Headers"), response
        # Without one nothing is added to what the application says.
        response = stage.proxy.request("/granted", token="t", headers=[("Origin", ORIGIN)])
        assert response.status == 200, response
        for name in ("DPoP-Nonce", "Cache-Control", "Access-Control-Expose-Headers", "Access-Control-Allow-Origin"):
            assert not response.has(name), (name, response)
        # One request's nonce is not the next one's.
        for number in range(20):
            response = stage.proxy.request("/granted" + ("?nonce" if number % 3 == 0 else ""), token="t")
            assert response.header("DPoP-Nonce") == (NONCE if number % 3 == 0 else ""), (number, response)


@table(KINDS)
def test_a_nonce_with_any_answer_of_the_application(kind):
    for status in ("200 OK", "201 Created", "304 Not Modified", "404 Not Found", "500 Oops"):
        answer = (f"HTTP/1.1 {status}\r\nCache-Control: public, max-age=60\r\nAccess-Control-Expose-Headers: ETag\r\n"
                  "Access-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n").encode()
        with Staged(kind) as stage:
            stage.application.answer = answer
            response = stage.proxy.request("/granted?nonce", token="t", headers=[("Origin", ORIGIN)])
            assert response.status == int(status[:3]), response
            assert response.header("DPoP-Nonce") == NONCE, response
            # However many lines: whoever reads them takes the strictest.
            assert "no-store" in response.header("Cache-Control"), response
            exposed = response.header("Access-Control-Expose-Headers").replace(" | ", ", ").split(", ")
            assert sorted(exposed) == ["DPoP-Nonce", "ETag"], response
            assert response.header("Access-Control-Allow-Origin") == "*", response
            response = stage.proxy.request("/granted", token="t", headers=[("Origin", ORIGIN)])
            assert response.header("Cache-Control") == "public, max-age=60", response
            assert response.header("Access-Control-Expose-Headers") == "ETag", response


@table(KINDS)
def test_browsers_of_listed_origins_may_read_it(kind):
    with Staged(kind) as stage:
        for target, status in (("/use_dpop_nonce?nonce", 401), ("/granted?nonce", 200)):
            response = stage.proxy.request(target, token="t", headers=[("Origin", ORIGIN)])
            assert response.status == status and response.header("DPoP-Nonce") == NONCE, response
            exposed = response.header("Access-Control-Expose-Headers").split(", ")
            assert "DPoP-Nonce" in exposed and ("WWW-Authenticate" in exposed) == (status == 401), response
            # An application's answer is for the origins that the application names.
            assert response.has("Access-Control-Allow-Origin") == (status == 401), response
            for origin in ("https://evil.example", "null", ORIGIN + ".evil.example"):
                response = stage.proxy.request(target, token="t", headers=[("Origin", origin)])
                assert response.status == status, response
                assert not response.has("Access-Control-Expose-Headers"), (origin, response)
                assert not response.has("Access-Control-Allow-Origin"), (origin, response)


@table(KINDS)
def test_the_application_gets_the_proof_as_it_came(kind):
    with Staged(kind) as stage:
        response = stage.proxy.request("/granted", token="t", headers=[("DPoP", "a.b.c"), ("DPoP-Nonce", "forged")])
        assert response.status == 200, response
        seen = [(name.lower(), value) for name, value in response.json()["headers"]]
        assert [value for name, value in seen if name == "dpop"] == ["a.b.c"], seen
        # A client's own nonce is no answer's.
        assert not response.has("DPoP-Nonce"), response
