"""DPoP (RFC 9449) through nginx and HAProxy with the shipped configurations: a bound token passes with a right proof
and with nothing else."""

import threading
import time

import issuer
from harness import need, wait_until
from proofs import (FRONTS, HOST, PROOF_ALGORITHMS, PUBLIC_PORT, Client, ProofKey, Proving, check_denial, hash_of,
                    hmac_signature, table, url)
from test_haproxy_tls import curl


@table(FRONTS)
def test_right_proofs(kind):
    with Proving(kind) as stage:
        for algorithm in PROOF_ALGORITHMS:
            client = Client(stage, kind, ProofKey(algorithm), "orders:read orders:write")
            for method, target, body in (("GET", "/v1/orders", None), ("GET", "/v1/orders?x=/y", None),
                                         ("GET", "/v1/orders/7", None), ("HEAD", "/v1/orders", None),
                                         ("POST", "/v1/orders", b"{}")):
                before = stage.application.requests
                response = client.ask(target, method, body=body)
                assert response.status == 200, (algorithm, method, target, response)
                assert stage.application.requests == before + 1, (algorithm, method, target)
                if method != "HEAD":
                    seen = {name.lower(): value for name, value in response.json()["headers"]}
                    assert seen["x-scope-subject"] == "alice" and seen["x-scope-reason"] == "granted", seen
                    assert seen["authorization"] == "DPoP " + client.token and "dpop" in seen, seen
        client = Client(stage, kind).warmed()
        # The scheme in any case (RFC 9110 §11.1), and whatever spelling of the same URI.
        for scheme in ("dpop", "DPOP", "dPoP"):
            assert client.send(authorization=scheme, proofs=[client.proof()]).status == 200, scheme
        for htu in (f"HTTP://API.Example.COM:{PUBLIC_PORT}/v1/orders", url("/v1/%6frders"), url("/v1/orders") + "?a=b",
                    url("/v1/orders") + "#top", f"http://{HOST}.:{PUBLIC_PORT}/v1/orders"):
            response = client.send(proofs=[client.proof(htu=htu)])
            assert response.status == 200, (htu, response)
        now = int(time.time())
        for iat in (now - 40, now + 5, now + 0.5):
            response = client.send(proofs=[client.proof(iat=iat)])
            assert response.status == 200, (iat, response)


@table(FRONTS)
def test_the_listeners_port_where_no_public_port_is_given(kind):
    with Proving(kind) as stage:
        client = Client(stage, kind)
        port = int(stage.address(kind).rpartition(":")[2])
        response = client.ask("/keys", host="vault.example.com", port=port)
        assert response.status == 200, response
        for wrong in (PUBLIC_PORT, 80, 443):
            response = client.ask("/keys", host="vault.example.com", port=wrong)
            check_denial(stage, response, "invalid_dpop_proof", error="invalid_dpop_proof",
                         refusal="proof_htu_mismatch")


def wrong_proofs(client):
    """(name, the proof, its refusal or None for any); all have the nonce that is wanted."""
    key, other, token, now = client.key, ProofKey(), client.token, int(time.time())
    for name, method in {"another method": "POST", "in lower case": "get", "empty": "", "of HEAD": "HEAD"}.items():
        yield f"htm {name}", client.proof(htm=method), "proof_htm_mismatch"
    yield "no htm", client.proof(htm=None), "proof_htm_missing"
    for name, htu in {
        "another path": url("/v1/orders/7"), "a slash more": url("/v1/orders/"), "another case": url("/v1/Orders"),
        "another host": url("/v1/orders", host="vault.example.com"), "another scheme": url("/v1/orders", "https"),
        "another port": url("/v1/orders", port=PUBLIC_PORT + 1), "no port": f"http://{HOST}/v1/orders",
        "the listener's port": url("/v1/orders", port=client.stage.address(client.kind).rpartition(":")[2]),
        "an escaped slash": url("/v1%2Forders"), "a longer host": url("/v1/orders", host=HOST + ".evil.example"),
    }.items():
        yield f"htu {name}", client.proof(htu=htu), "proof_htu_mismatch"
    for name, htu in {
        "a path only": "/v1/orders", "dot segments": url("/v1/x/../orders"), "empty": "",
        "user information": f"http://{HOST}@evil.example:{PUBLIC_PORT}/v1/orders", "a list": [url("/v1/orders")],
    }.items():
        yield f"htu {name}", client.proof(htu=htu), "proof_htu_malformed"
    yield "no htu", client.proof(htu=None), "proof_htu_missing"
    yield "iat stale", client.proof(iat=now - 90), "proof_iat_too_old"
    yield "iat of 1970", client.proof(iat=1), "proof_iat_too_old"
    yield "iat ahead", client.proof(iat=now + 60), "proof_iat_too_far_ahead"
    yield "iat as text", client.proof(iat=str(now)), "proof_iat_malformed"
    yield "no iat", client.proof(iat=None), "proof_iat_missing"
    yield "no ath", client.proof(ath=None), "proof_ath_missing"
    another = client.stage.token(cnf=key.confirmation)
    yield "ath of another token", client.proof(ath=hash_of(another)), "proof_ath_mismatch"
    yield "ath padded", client.proof(ath=hash_of(token) + "="), "proof_ath_mismatch"
    yield "ath is the token", client.proof(ath=token[:43]), "proof_ath_mismatch"
    yield "no jti", client.proof(jti=None), "proof_jti_missing"
    yield "jti empty", client.proof(jti=""), "proof_jti_empty"
    yield "jti long", client.proof(jti="j" * 129), "proof_jti_too_long"
    yield "jti a number", client.proof(jti=7), "proof_jti_malformed"
    yield "another key", client.proof(key=other), "proof_key_not_bound"
    yield "signed by another key", client.proof(sign=other.sign), "proof_signature_invalid"
    yield "another key's jwk", client.proof(header={"jwk": other.public()}), "proof_key_not_bound"
    yield "zero signature", client.proof(sign=lambda _: bytes(64)), "proof_signature_invalid"
    yield "no signature", client.proof(sign=lambda _: b""), None
    yield "typ JWT", client.proof(header={"typ": "JWT"}), "proof_type_mismatch"
    yield "typ at+jwt", client.proof(header={"typ": "at+jwt"}), "proof_type_mismatch"
    yield "no typ", client.proof(header={"typ": None}), "proof_type_mismatch"
    yield "alg none", client.proof(header={"alg": "none"}, sign=lambda _: b""), None
    yield "alg not allowed", client.proof(key=ProofKey("ES512")), "proof_algorithm_not_allowed"
    secret = {"kty": "oct", "k": issuer.b64(b"secret")}
    yield "HMAC", client.proof(header={"alg": "HS256", "jwk": secret}, sign=hmac_signature(b"secret")), None
    yield "oct key", client.proof(header={"jwk": secret}), "proof_key_symmetric"
    private = key.public() | {"d": issuer.b64(key.private.private_numbers().private_value.to_bytes(32, "big"))}
    yield "private key", client.proof(header={"jwk": private}), "proof_key_private"
    yield "no jwk", client.proof(header={"jwk": None}), "proof_key_missing"
    yield "jwk off the curve", client.proof(header={"jwk": key.public() | {"y": issuer.b64(bytes(32))}}), None
    yield "crit", client.proof(header={"crit": ["exp"]}), "proof_critical_header"
    right = client.proof()
    yield "two in one header", f"{right}, {client.proof()}", "proof_malformed"
    yield "padded", right + "=", "proof_malformed"
    yield "four parts", right + ".AA", "proof_malformed"
    yield "the token itself", token, "proof_type_mismatch"
    yield "quoted", f'"{right}"', "proof_malformed"
    yield "with a scheme", "DPoP " + right, "proof_malformed"
    yield "a word", "x", "proof_malformed"
    yield "large", "A" * 5_000, "proof_too_large"
    yield "empty header", "", None


@table(FRONTS)
def test_wrong_proofs(kind):
    with Proving(kind) as stage:
        client = Client(stage, kind).warmed()
        before, wrong, count = stage.application.requests, [], 0
        for name, one, refusal in wrong_proofs(client):
            count += 1
            # Each worker logs 50 denials in a second, and each one here is looked for.
            time.sleep(0.03)
            try:
                check_denial(stage, client.send(proofs=[one]), "invalid_dpop_proof", error="invalid_dpop_proof",
                             refusal=refusal)
            except AssertionError as error:
                wrong.append(f"{name}: {error}")
        try:
            check_denial(stage, client.send(), "invalid_dpop_proof", error="invalid_dpop_proof")
        except AssertionError as error:
            wrong.append(f"none: {error}")
        assert stage.application.requests == before, "a wrong proof reached the application"
        assert not wrong, f"{len(wrong)} of {count}\n" + "\n".join(wrong)
        assert count > 55, count
        assert client.send(proofs=[client.proof()]).status == 200


@table(FRONTS)
def test_downgrades(kind):
    with Proving(kind) as stage:
        client = Client(stage, kind, scope="orders:read orders:write").warmed()
        unbound = stage.token("orders:read orders:write")
        before = stage.application.requests
        # A stolen bound token as Bearer, even with a proof beside it.
        for proofs in ([], [client.proof()]):
            check_denial(stage, client.send(authorization="Bearer", proofs=proofs), "proof_required")
        # A token that is bound to nothing, as DPoP.
        for proofs in ([], [client.proof(token=unbound)]):
            check_denial(stage, client.send(token=unbound, proofs=proofs), "token_not_bound")
        # ... or as what it is, where the route wants more.
        for method, target, host in (("GET", "/v1/orders/7", HOST), ("POST", "/v1/orders", HOST),
                                     ("GET", "/keys", "vault.example.com")):
            response = client.send(target, method=method, token=unbound, authorization="Bearer", host=host)
            assert response.status == 401 and response.json()["error"] == "invalid_token", response
            assert stage.denial(response)["reason"] == "proof_required", (target, response)
        check_denial(stage, client.send("/v1/orders/7", method="PUT", proofs=[client.proof("/v1/orders/7", "PUT")]),
                     "proof_required")
        # Two proofs, and two credentials.
        response = client.send(proofs=[client.proof(), client.proof()])
        assert response.status == 400 and response.json()["error"] == "invalid_request", response
        one = client.proof()
        assert client.send(proofs=[one, one]).status == 400
        assert client.send(proofs=[one], headers=[("Authorization", "Bearer " + unbound)]).status == 400
        assert stage.application.requests == before
        # None of these used the proof up.
        assert client.send(proofs=[one]).status == 200
        # Where nothing is demanded an unbound token is a Bearer token as ever, whatever stands in DPoP.
        for proofs in ([], [client.proof(token=unbound)], ["rubbish"], ["a", "b"]):
            assert client.send(token=unbound, authorization="Bearer", proofs=proofs).status == 200, proofs
        assert client.send("/hints", token=unbound, authorization="Bearer", host="vault.example.com").status == 200


@table(FRONTS)
def test_challenges_without_a_token(kind):
    with Proving(kind) as stage:
        client = Client(stage, kind)
        for target, method, host in (("/v1/orders", "POST", HOST), ("/keys", "GET", "vault.example.com")):
            challenge = check_denial(stage, client.send(target, method=method, authorization=None, host=host),
                                     "no_token", error=None, body="unauthorized")
            assert 'algs="ES256 ES384 ' in challenge and "PS256 RS256" in challenge, challenge
        # Where both are taken both are offered, in one line: nginx before 1.23 passes one only.
        response = client.send(authorization=None)
        challenge = check_denial(stage, response, "no_token", "Bearer", None, body="unauthorized")
        assert ", DPoP " in challenge and 'algs="ES256 ES384 ' in challenge, challenge
        assert len([name for name, _ in response.headers if name.lower() == "www-authenticate"]) == 1, response
        # A good proof and a token that is not enough: refused in the scheme that was used.
        client.warmed()
        response = client.ask("/v1/orders", "POST")
        check_denial(stage, response, "insufficient_scope", error="insufficient_scope", status=403)
        client.token = stage.token(cnf=client.key.confirmation, lifetime=-10)
        check_denial(stage, client.send(proofs=[client.proof()]), "expired")


@table(FRONTS)
def test_a_proof_is_good_once(kind):
    with Proving(kind) as stage:
        client = Client(stage, kind).warmed()
        other = Client(stage, kind).warmed()
        one = client.proof(jti="one")
        before = stage.application.requests
        assert client.send(proofs=[one]).status == 200
        # The very same, the same with a new signature, and on a kept connection.
        for again in (one, client.proof(jti="one"), one):
            check_denial(stage, client.send(proofs=[again]), "proof_replayed", error="invalid_dpop_proof")
        with client.connection() as connection:
            for number in range(6):
                connection.send(client.bytes(proofs=[client.proof(jti=f"kept-{number // 2}")], close=False))
                response = connection.read()
                assert response.status == (401 if number % 2 else 200), (number, response)
        # Somebody else's identifiers are somebody else's.
        assert other.send(proofs=[other.proof(jti="one")]).status == 200
        assert stage.application.requests == before + 5
        # What is denied for another reason uses nothing up.
        one = client.proof("/v1/orders", "POST")
        for _ in range(2):
            check_denial(stage, client.send(method="POST", proofs=[one]), "insufficient_scope",
                         error="insufficient_scope", status=403)


def test_one_of_many():
    """The same proof from many connections at once, through every proxy and so to every worker: one passes."""
    kinds = [kind for kind, in FRONTS]
    with Proving(*kinds) as stage:
        clients = [Client(stage, kind) for kind in kinds]
        for client in clients:
            client.key, client.token = clients[0].key, clients[0].token
            client.warmed()
        threads_each, rounds = 8, 12
        for round_number in range(rounds):
            one, before = clients[0].proof(), stage.application.requests
            barrier, responses = threading.Barrier(threads_each * len(clients)), []

            def run(client):
                with client.connection() as connection:
                    barrier.wait(30)
                    connection.send(client.bytes(proofs=[one]))
                    responses.append((client.kind, connection.read()))

            threads = [threading.Thread(target=run, args=(client,)) for client in clients * threads_each]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert len(responses) == len(threads), (round_number, len(responses))
            passed = [kind for kind, response in responses if response.status == 200]
            assert len(passed) == 1, (round_number, passed)
            assert stage.application.requests == before + 1, round_number
            for _, response in responses:
                if response.status != 200:
                    assert response.status == 401 and response.json()["error"] == "invalid_dpop_proof", response
        wait_until(lambda: len([line for line in stage.service.events("denial") if line["reason"] == "proof_replayed"])
                   or None, "replays are in the log")
        assert stage.service.process.running()


def test_the_libfcgi_engine():
    """The other engine of the daemon: several workers, one memory."""
    with Proving("fastcgi", engine="libfcgi") as stage:
        client = Client(stage, "fastcgi").warmed()
        for number in range(10):
            one = client.proof()
            assert [client.send(proofs=[one]).status for _ in range(4)] == [200, 401, 401, 401], number
        assert client.send(proofs=[client.proof(), client.proof()]).status == 400
        check_denial(stage, client.send(), "invalid_dpop_proof", error="invalid_dpop_proof")
        check_denial(stage, client.send(proofs=[client.proof(htm="POST")]), "invalid_dpop_proof",
                     error="invalid_dpop_proof", refusal="proof_htm_mismatch")


def test_http2():
    with Proving("haproxy") as stage:
        client = Client(stage, "haproxy").warmed()

        def send(*proofs):
            headers = [("Authorization", "DPoP " + client.token), *(("DPoP", one) for one in proofs)]
            status, version, _ = curl(stage.proxies["haproxy"], "/v1/orders?x", headers=headers)
            need(version == "2", "this curl has no HTTP/2")
            return status

        one, two = (client.proof(htu=url("/v1/orders", "https")) for _ in range(2))
        assert send(two, one) == 400
        assert send(client.proof()) == 401, "a proof for http passed over https"
        assert [send(one), send(one), send(two)] == [200, 401, 200]
