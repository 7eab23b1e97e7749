"""Nonces for DPoP proofs (RFC 9449 §8 and §9) through nginx and HAProxy: the client is told, comes back, and passes."""

import time

from daemon import Daemon
from haproxy import Haproxy
from harness import wait_until
from proofs import FRONTS, NONCE, POLICY, Client, Proving, check_denial, table

# After the start of a daemon every proof must have a nonce for as long as a proof may be old.
BRIEF = POLICY.replace("max_age: 60s, ahead: 10s", "max_age: 2s, ahead: 1s")
# The smallest memory that a daemon may have.
FORGETFUL = """\
policy: {folder}/policy.yaml
store: {folder}/store
workers: 2
admin: {{ address: "{admin}" }}
fastcgi: {{ address: "{fastcgi}" }}
http: {{ address: "{http}" }}
limits: {{ proofs: 256 }}
"""


def ask_without(client, target="/v1/orders", method="GET", **options):
    """One request with a right proof that has no nonce."""
    return client.send(target, method=method, proofs=[client.proof(target, method, nonce=None)], **options)


@table(FRONTS)
def test_round_trip(kind):
    with Proving(kind) as stage:
        client = Client(stage, kind)
        first = ask_without(client)
        challenge = check_denial(stage, first, "use_dpop_nonce", error="use_dpop_nonce", refusal="proof_nonce_missing")
        assert 'algs="ES256' in challenge, challenge
        nonce = first.header("DPoP-Nonce")
        # One header with one value: two would be joined with ` | `, which is no NQCHAR.
        assert NONCE.fullmatch(nonce), first
        assert stage.application.requests == 0
        for number in range(3):
            response = client.send(proofs=[client.proof(nonce=nonce)])
            assert response.status == 200, (number, response)
            # It is still the newest.
            assert not response.has("DPoP-Nonce"), response
        for made_up in ("", "x", nonce[:-1], nonce + "A", nonce.swapcase(), nonce[::-1], "A" * len(nonce), 7, None):
            response = client.send(proofs=[client.proof(nonce=made_up)])
            check_denial(stage, response, "use_dpop_nonce", error="use_dpop_nonce")
            assert response.header("DPoP-Nonce") == nonce, (made_up, response)
        # A wrong proof is a wrong proof, with a nonce or without.
        for claims in ({"nonce": nonce}, {"nonce": None}):
            response = client.send(proofs=[client.proof(htm="POST", **claims)])
            check_denial(stage, response, "invalid_dpop_proof", error="invalid_dpop_proof")
        # Browsers may read what they need.
        response = ask_without(client, headers=[("Origin", "https://app.example.com")])
        assert "DPoP-Nonce" in response.header("Access-Control-Expose-Headers"), response


def test_nonces_are_a_daemons_own():
    with Proving("http") as stage:
        client = Client(stage, "http")
        nonce = ask_without(client).header("DPoP-Nonce")
        other = Daemon(stage, name="other")
        response = other.ask("/v1/orders", port="8080", more=[
            ("HTTP_AUTHORIZATION", "DPoP " + client.token), ("HTTP_DPOP", client.proof(nonce=nonce))])
        assert response.header("X-Scope-Reason") == "use_dpop_nonce", response
        assert NONCE.fullmatch(response.header("DPoP-Nonce")) and response.header("DPoP-Nonce") != nonce, response
        # Every worker of one daemon has the same.
        assert {ask_without(client).header("DPoP-Nonce") for _ in range(20)} == {nonce}


@table(FRONTS)
def test_where_the_policy_demands_them(kind):
    """After the time that follows a start: on routes and for issuers that say so, and nowhere else."""
    with Proving(kind, policy=BRIEF) as stage:
        client = Client(stage, kind)
        wait_until(lambda: ask_without(client).status == 200, "a nonce is no longer needed")
        response = ask_without(client, "/v1/orders/7", "DELETE")
        check_denial(stage, response, "use_dpop_nonce", error="use_dpop_nonce")
        assert NONCE.fullmatch(response.header("DPoP-Nonce")), response
        assert client.ask("/v1/orders/7", "DELETE").status == 200
        assert ask_without(client).status == 200
        # One that nobody asked for does no harm.
        assert client.send(proofs=[client.proof(nonce="made up")]).status == 200
        stage.service.reload(BRIEF.replace("nonce: optional", "nonce: required"))
        check_denial(stage, ask_without(client), "use_dpop_nonce", error="use_dpop_nonce")
        assert client.ask().status == 200


def test_a_proof_from_before_a_restart():
    """The daemon has forgotten which proofs were used, and so takes none that was made for the daemon before it."""
    with Proving("http") as stage:
        client = Client(stage, "http").warmed()
        used = client.proof()
        assert client.send(proofs=[used]).status == 200
        before = stage.application.requests
        stage.service.kill()
        stage.service.start()
        wait_until(lambda: stage.proxies["http"].request("/v1/orders").status == 401, "the daemon answers again")
        for _ in range(3):
            response = client.send(proofs=[used])
            check_denial(stage, response, "use_dpop_nonce", error="use_dpop_nonce")
        assert stage.application.requests == before
        assert client.ask().status == 200


def test_proofs_age():
    """A proof that was good is too old later, used or not, and its place is free again: memory is for a window."""
    with Proving("http", policy=BRIEF) as stage:
        client = Client(stage, "http").warmed()
        used, unused = client.proof(), client.proof()
        assert client.send(proofs=[used]).status == 200
        made = time.time()
        wait_until(lambda: time.time() > made + 4, "the proofs are old")
        for one in (used, unused):
            check_denial(stage, client.send(proofs=[one]), "invalid_dpop_proof", error="invalid_dpop_proof",
                         refusal="proof_iat_too_old")


def test_two_agents_one_of_them_a_backup():
    """As haproxy/README.md says: one agent has the nonces and the memory, the other takes over when it is gone."""
    with Proving() as stage:
        agents = [Daemon(stage, name=name, spop=True) for name in ("first", "second")]
        stage.proxies["haproxy"] = haproxy = Haproxy(
            stage, [agent.spop for agent in agents], stage.application.address,
            [(f"server agent2 unix@{agents[1].spop[5:]}", f"server agent2 unix@{agents[1].spop[5:]} backup")])
        for number in (1, 2):
            haproxy.wait_agent(number, up=True)
        client = Client(stage, "haproxy").warmed()
        nonce = client.nonce
        for number in range(20):
            assert client.send(proofs=[client.proof()]).status == 200, number
        used = client.proof()
        assert [client.send(proofs=[used]).status for _ in range(4)] == [200, 401, 401, 401]
        agents[0].kill()
        haproxy.wait_agent(1, up=False)
        # The other one has not been up for long: nothing that was made for the first is good.
        assert client.send(proofs=[used]).json()["error"] == "use_dpop_nonce"
        assert client.ask().status == 200 and client.nonce != nonce
        for number in range(20):
            assert client.send(proofs=[client.proof()]).status == 200, number


@table(FRONTS)
def test_a_full_memory(kind):
    """Nothing is forgotten before its time: proofs that cannot be remembered are not taken, and the client is told to
    come back."""
    config = FORGETFUL + ('spop: {{ address: "{spop}" }}\n' if kind == "haproxy" else "")
    policy = POLICY.replace("max_age: 60s, ahead: 10s", "max_age: 8s, ahead: 1s")
    with Proving(kind, policy=policy, config=config) as stage:
        client = Client(stage, kind).warmed()
        first, passed = client.proof(), 0
        assert client.send(proofs=[first]).status == 200
        with client.connection() as connection:
            while passed < 1_000:
                connection.send(client.bytes(proofs=[client.proof()], close=False))
                response = connection.read()
                if response.status != 200:
                    break
                passed += 1
        assert response.status == 503 and response.json()["error"] == "temporarily_unavailable", (passed, response)
        assert response.has("Retry-After") and stage.denial(response)["reason"] == "replay_cache_full", response
        assert 200 <= passed <= 300, passed
        # What it knows it still knows, and what needs no memory passes.
        check_denial(stage, client.send(proofs=[first]), "proof_replayed", error="invalid_dpop_proof")
        assert client.send(token=stage.token(), authorization="Bearer").status == 200
        wait_until(lambda: client.send(proofs=[client.proof()]).status == 200, "old proofs make room")
