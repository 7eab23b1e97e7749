"""Step-up authentication (RFC 9470) through nginx and HAProxy: what a client is asked for, and passes with."""

import re
import time

from proofs import FRONTS, Client, Proving, check_denial, table

GOLD, SILVER = "urn:example:gold", "urn:example:silver"
ERROR = "insufficient_user_authentication"


class Asking(Proving):
    def __init__(self, kind):
        super().__init__(kind)
        self.kind = kind

    def send(self, target, method="GET", scope="orders:read orders:write", **claims):
        client = Client(self, self.kind, scope=scope, cnf=None, **claims)
        return client.send(target, method=method, authorization="Bearer")

    def check(self, response, acr_values=None, max_age=None, scheme="Bearer"):
        """The challenge asks for this and for nothing else."""
        challenge = check_denial(self, response, ERROR, scheme, ERROR)
        found = re.findall(r'(acr_values|max_age)="([^"]*)"', challenge)
        wanted = [("acr_values", acr_values)] * bool(acr_values) + [("max_age", max_age)] * bool(max_age)
        assert found == wanted, (challenge, wanted)


@table(FRONTS)
def test_acr(kind):
    with Asking(kind) as stage:
        for acr in (None, "urn:example:bronze", GOLD + "x", GOLD[:-1], GOLD.upper(), f"{GOLD} {SILVER}", " " + GOLD,
                    ""):
            stage.check(stage.send("/v1/transfers", acr=acr), f"{GOLD} {SILVER}")
        for acr in ([GOLD], 1, {"value": GOLD}, True):
            response = stage.send("/v1/transfers", acr=acr)
            assert response.status == 401, (acr, response)
        assert stage.application.requests == 0
        for acr in (GOLD, SILVER):
            assert stage.send("/v1/transfers", acr=acr).status == 200, acr
        # Nowhere else is it looked at.
        assert stage.send("/v1/orders").status == 200


@table(FRONTS)
def test_max_age(kind):
    with Asking(kind) as stage:
        now = int(time.time())
        for auth_time in (None, now - 400, 1, now + 3_000):
            stage.check(stage.send("/v1/recent", auth_time=auth_time), max_age="300")
        for auth_time in (str(now), -1, [now]):
            response = stage.send("/v1/recent", auth_time=auth_time)
            assert response.status == 401, (auth_time, response)
        assert stage.application.requests == 0
        for auth_time in (now, now - 200, now + 10, now - 100.5):
            response = stage.send("/v1/recent", auth_time=auth_time)
            assert response.status == 200, (auth_time, response)


@table(FRONTS)
def test_both(kind):
    with Asking(kind) as stage:
        now = int(time.time())
        for claims in ({}, {"acr": GOLD}, {"auth_time": now}, {"acr": SILVER, "auth_time": now},
                       {"acr": GOLD, "auth_time": now - 400}):
            stage.check(stage.send("/v1/transfers", "POST", **claims), GOLD, "300")
        # A token that is not enough anyway: no authentication would mend it.
        response = stage.send("/v1/transfers", "POST", scope="orders:read")
        check_denial(stage, response, "insufficient_scope", "Bearer", "insufficient_scope", status=403)
        assert stage.application.requests == 0
        assert stage.send("/v1/transfers", "POST", acr=GOLD, auth_time=now).status == 200


@table(FRONTS)
def test_a_cached_token_gets_old(kind):
    with Asking(kind) as stage:
        # It has the time of 5 minutes, less a few seconds.
        token = stage.token(auth_time=int(time.time()) - 296)
        proxy, seen = stage.proxies[kind], set()
        end = time.monotonic() + 30
        while 401 not in seen and time.monotonic() < end:
            response = proxy.request("/v1/recent", token=token)
            # Once too old it stays so.
            assert not (401 in seen and response.status == 200), response
            seen.add(response.status)
        assert seen == {200, 401}, seen
        stage.check(proxy.request("/v1/recent", token=token), max_age="300")


@table(FRONTS)
def test_with_a_proof(kind):
    with Asking(kind) as stage:
        client = Client(stage, kind).warmed()
        before, one = stage.application.requests, client.proof("/v1/transfers")
        # In the scheme that was used; and the proof is not used up by it.
        for _ in range(2):
            stage.check(client.send("/v1/transfers", proofs=[one]), f"{GOLD} {SILVER}", scheme="DPoP")
        assert stage.application.requests == before
        stronger = Client(stage, kind, client.key, acr=GOLD)
        assert stronger.ask("/v1/transfers").status == 200
        assert stronger.token != client.token
