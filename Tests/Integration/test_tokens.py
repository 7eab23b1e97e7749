"""Tokens of every algorithm by an issuer of the tests' own, and ones that must not be taken."""

import base64
import hashlib
import hmac
import json
import os
import time

import issuer
from cryptography.hazmat.primitives import serialization
from daemon import POLICY, Stage, resident_kilobytes
from harness import Load, wait_until

ALGORITHMS = [(name,) for name in issuer.ALGORITHMS]


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


def policy(algorithms, profile="rfc9068"):
    return POLICY.replace("algorithms: [ES256]", f"algorithms: [{', '.join(algorithms)}]").replace(
        "profile: rfc9068", f"profile: {profile}")


@table(ALGORITHMS)
def test_every_algorithm(algorithm):
    # EdDSA and Ed25519 are two names of one algorithm (RFC 9864).
    others = [name for name in ("RS256", "PS256", "ES256", "EdDSA")
              if name != algorithm and not (name == "EdDSA" and algorithm == "Ed25519")]
    with Stage(policy=policy([algorithm]), algorithm=algorithm) as stage:
        strangers = [issuer.Key(name, kid="stranger") for name in others]
        stage.write("jwks.json", issuer.jwks(stage.key, *strangers))
        daemon = stage.daemon()
        for kind in ("fastcgi", "http"):
            for _ in range(3):
                response = daemon.ask("/v1/orders", kind, token=stage.token())
                assert response.status == 200, response
        token = stage.token()
        # Changed anywhere, it is refused.
        for place in range(0, len(token), 7):
            changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1:]
            assert daemon.ask("/v1/orders", token=changed).status == 401, place
        # The key of another algorithm, however it is named.
        for stranger in strangers:
            for header in ({}, {"alg": algorithm}, {"kid": stage.key.kid}, {"kid": stage.key.kid, "alg": algorithm}):
                forged = issuer.mint(stranger, header=header)
                response = daemon.ask("/v1/orders", token=forged)
                assert response.status == 401, (header, response)
        # A cached token stays right beside all of that.
        assert daemon.ask("/v1/orders", token=token).status == 200


def forgeries(key, token):
    """(name, token, reason or None for any) of tokens made without the private key."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    public = key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for name in ("none", "None", "NONE", "nOnE", "none "):
        bare = issuer.compact({"alg": name, "typ": "at+jwt"}, claims, lambda _: b"")
        yield f"alg {name!r} without signature", bare, "token_malformed"
        yield f"alg {name!r} with one", bare + signature, "algorithm_not_allowed"
    secrets = {"PEM": public, "PEM stripped": public.strip(), "empty": b"", "JWK": json.dumps(key.jwk()).encode()}
    for name, secret in secrets.items():
        for digest, alg in ((hashlib.sha256, "HS256"), (hashlib.sha512, "HS512")):
            yield f"{alg} with {name}", issuer.compact(
                {"alg": alg, "typ": "at+jwt", "kid": key.kid}, claims,
                lambda message: hmac.new(secret, message, digest).digest()), "algorithm_not_allowed"
    evil = issuer.Key("ES256", kid="evil")
    for name, header in {
        "embedded jwk": {"jwk": evil.jwk()}, "embedded jwk, real kid": {"jwk": evil.jwk(), "kid": key.kid},
        "jku": {"jku": "http://127.0.0.1:9/jwks", "kid": key.kid},
        "x5u": {"x5u": "http://127.0.0.1:9/", "kid": key.kid},
        "path as kid": {"kid": "../../../../dev/null"}, "SQL as kid": {"kid": "' OR 1=1 --"},
        "NUL in kid": {"kid": key.kid + "\0"},
    }.items():
        yield name, issuer.mint(evil, claims, header), None
    wider = issuer.b64(json.dumps({**claims, "scope": "orders:admin"}).encode())
    yield "changed claims", f"{head}.{wider}.{signature}", "signature_invalid"
    yield "zero signature", f"{head}.{body}.{issuer.b64(bytes(64))}", "signature_invalid"
    yield "long signature", f"{head}.{body}.{signature}AAAA", "signature_invalid"
    yield "padded", token + "=", None
    yield "five parts", f"{head}.{body}.{signature}.{body}.{body}", "token_encrypted"
    yield "two tokens", f"{token}.{token}", None
    yield "JSON serialisation", base64.b64encode(json.dumps(
        {"protected": head, "payload": body, "signature": signature}).encode()).decode(), "token_malformed"
    yield "nothing but dots", "..", "token_malformed"
    yield "dots", "." * 5_000, "token_malformed"
    yield "large", "A" * 17_000, "token_too_large"


def test_forgeries():
    with Stage() as stage:
        daemon = stage.daemon()
        token = stage.token()
        wrong = []
        for name, forged, reason in forgeries(stage.key, token):
            response = daemon.ask("/v1/orders", token=forged)
            said = response.header("X-Scope-Reason")
            if response.status != 401 or (reason and said != reason):
                wrong.append(f"{name}: {response.status} {said}, not {reason}")
            assert "WWW-Authenticate" in dict(response.headers), response
        assert not wrong, "\n".join(wrong)
        assert daemon.ask("/v1/orders", token=token).status == 200


def test_expiry_is_checked_on_cached_tokens():
    with Stage() as stage:
        daemon = stage.daemon()
        token = stage.token(lifetime=3)
        assert daemon.ask("/v1/orders", token=token).status == 200
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 401, "the cached token expires")
        assert daemon.ask("/v1/orders", token=token).header("X-Scope-Reason") == "expired"


def test_not_before_is_checked_on_cached_tokens():
    with Stage() as stage:
        daemon = stage.daemon()
        token = stage.token(nbf=int(time.time()) + 2)
        assert daemon.ask("/v1/orders", token=token).header("X-Scope-Reason") == "not_yet_valid"
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 200, "its time comes")


def test_one_cached_token_does_not_answer_for_another_route():
    with Stage() as stage:
        daemon = stage.daemon()
        token = stage.token("orders:read")
        for _ in range(3):
            assert daemon.ask("/v1/orders", token=token).status == 200
            assert daemon.ask("/v1/orders", method="POST", token=token).header("X-Scope-Reason") == "insufficient_scope"
            assert daemon.ask("/v1/files/a", token=token).status == 403
            assert daemon.ask("/v1/users/alice/orders", token=token).status == 200
            assert daemon.ask("/v1/users/bob/orders", token=token).header("X-Scope-Reason") == "binding_mismatch"


def test_a_policy_change_takes_effect_on_cached_tokens_at_once():
    with Stage() as stage:
        daemon = stage.daemon()
        token = stage.token("orders:write")
        assert daemon.ask("/v1/orders", token=token).status == 200
        daemon.reload(POLICY.replace("Create and change orders, implies: [orders:read]", "Create and change orders"))
        assert daemon.ask("/v1/orders", token=token).header("X-Scope-Reason") == "insufficient_scope"
        daemon.reload(POLICY.replace("audience: [https://api.example.com]\n    keys",
                                     "audience: [https://b.example.com]\n    keys"))
        assert daemon.ask("/v1/orders", token=token).header("X-Scope-Reason") == "audience_mismatch"


def test_compat_profile():
    with Stage(policy=policy(["ES256"], "compat")) as stage:
        daemon = stage.daemon()
        for options, status in [
            ({"header": {"typ": "JWT"}}, 200), ({"header": {"typ": None}}, 200), ({}, 200),
            ({"header": {"typ": "JWT"}, "jti": None, "iat": None, "client_id": None, "sub": None}, 200),
            ({"header": {"typ": "dpop+jwt"}}, 401), ({"header": {"typ": "logout+jwt"}}, 401),
            ({"header": {"typ": "JWT"}, "aud": None}, 401), ({"header": {"typ": "JWT"}, "iss": None}, 401),
            ({"header": {"typ": "JWT"}, "exp": None}, 401),
            ({"header": {"typ": "JWT"}, "scope": ["orders:read"]}, 200),
        ]:
            response = daemon.ask("/v1/orders", token=stage.token(**options))
            assert response.status == status, (options, response)


def test_non_ascii_identity_is_escaped():
    with Stage() as stage:
        daemon = stage.daemon()
        for subject in ("jürgen", "a b", "x\r\nX-Evil: 1", "ü" * 300, "%41", "日本"):
            for kind in ("fastcgi", "http"):
                response = daemon.ask("/v1/orders", kind, token=stage.token(subject=subject))
                if response.status == 200:
                    value = response.header("X-Scope-Subject")
                    assert all(0x20 <= ord(one) < 0x7F for one in value), value
                    import urllib.parse
                    assert urllib.parse.unquote(value) == subject, (subject, value)
                assert not response.has("X-Evil"), response
        daemon.alive()


def test_a_flood_of_forged_tokens():
    """Cached tokens are answered all along, memory stays bounded, and no forged one passes. Counts, not times."""
    with Stage() as stage:
        daemon = stage.daemon()
        cached = [stage.token() for _ in range(20)]
        for token in cached:
            assert daemon.ask("/v1/orders", token=token).status == 200
        before = resident_kilobytes(daemon.process.pid)
        head, body, _ = cached[0].split(".")
        answered = {"forged": 0, "cached": 0}

        def each(number):
            if number < 3:
                # Each one new: another signature every time.
                response = daemon.ask("/v1/orders", token=f"{head}.{body}.{issuer.b64(os.urandom(64))}")
                answered["forged"] += 1
                return None if response.status in (401, 503) else f"{response}"
            response = daemon.ask("/v1/orders", token=cached[answered["cached"] % 20])
            answered["cached"] += 1
            return None if response.status == 200 else f"{response}"

        with Load(each, threads=5) as load:
            wait_until(lambda: answered["forged"] > 5_000 and answered["cached"] > 500, "both kinds are answered", 120)
        assert not load.complaints, load.complaints[:3]
        grown = resident_kilobytes(daemon.process.pid) - before
        assert grown < 32_768, f"{grown} kB for {answered['forged']} forged tokens"


def test_many_different_tokens_do_not_fill_the_memory():
    """The cache is bounded; what it forgot is verified again."""
    with Stage() as stage:
        daemon = stage.daemon()
        first = stage.token()
        assert daemon.ask("/v1/orders", token=first).status == 200
        for _ in range(3_000):
            assert daemon.ask("/v1/orders", token=stage.token()).status == 200
        assert daemon.ask("/v1/orders", token=first).status == 200
        assert resident_kilobytes(daemon.process.pid) < 262_144
