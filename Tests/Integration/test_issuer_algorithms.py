"""Tokens and key sets of another implementation (joserfc), through nginx: every algorithm, keys as issuers publish
them, and what must not pass."""

import json

from harness import wait_until
from independent_issuer import ALGORITHMS, Signer, Site, jwk, jws, octets, table, unpadded

# Of one key: RSA keys fit six algorithms, and each is for the one that its set names.
RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]


def changed(token, part, change):
    """The token with one part decoded, changed and encoded again."""
    parts = token.split(".")
    parts[part] = unpadded(change(octets(parts[part])))
    return ".".join(parts)


def flipped(place):
    def change(data):
        data = bytearray(data)
        data[place] ^= 1
        return bytes(data)
    return change


def neighbours(signer, token):
    """(name, token) of what is nearly the token."""
    yield "one more scope", changed(token, 1, lambda data: data.replace(b"orders:read", b"orders:read orders:admin"))
    yield "another subject", changed(token, 1, lambda data: data.replace(b'"alice"', b'"mallory"'))
    yield "the same claims written otherwise", changed(token, 1, lambda data: data.replace(b'", "', b'","'))
    yield "another typ of header", changed(token, 0, lambda data: data.replace(b"at+jwt", b"AT+JWT"))
    for place in (0, -1):
        yield f"bit {place} of the signature", changed(token, 2, flipped(place))
    yield "half of the signature", changed(token, 2, lambda data: data[:len(data) // 2])
    yield "a longer signature", changed(token, 2, lambda data: data + b"\0")
    yield "no signature", changed(token, 2, lambda data: b"")
    yield "zeros as signature", changed(token, 2, lambda data: bytes(len(data)))
    yield "the signature of another token", ".".join(
        token.split(".")[:2] + signer.token(scope="orders:write").split(".")[2:])
    yield "another key of the same name", Signer(signer.algorithm, kid=signer.kid).token()
    if signer.algorithm in RSA:
        for other in RSA:
            if other != signer.algorithm:
                yield f"the right key with {other}", signer.token(header={"alg": other})
                yield f"{other} in the header alone", changed(
                    token, 0, lambda data: data.replace(signer.algorithm.encode(), other.encode()))


@table([(name,) for name in ALGORITHMS])
def test_every_algorithm_through_nginx(algorithm):
    signer = Signer(algorithm)
    with Site("http", signers=[signer]) as site:
        nginx = site.proxies["http"]
        for _ in range(3):
            token = signer.token()
            # The second answer comes from the cache.
            for _ in range(2):
                response = nginx.request("/v1/orders", token=token)
                assert response.status == 200, response
                seen = {name.lower(): value for name, value in response.json()["headers"]}
                assert (seen["x-scope-subject"], seen["x-scope-client"]) == ("alice", "web-frontend"), seen
        before = site.application.requests
        for name, wrong in neighbours(signer, token):
            assert not signer.verifies(wrong), name
            response = nginx.request("/v1/orders", token=wrong)
            assert response.status == 401, (name, response)
            assert 'error="invalid_token"' in response.header("WWW-Authenticate"), (name, response)
        assert site.application.requests == before
        assert nginx.request("/v1/orders", token=token).status == 200


def test_eddsa_and_ed25519_name_one_algorithm():
    """RFC 9864: a key published under either name verifies tokens under either."""
    published = {"EdDSA": Signer("EdDSA"), "Ed25519": Signer("Ed25519")}
    with Site("http", signers=published.values(), algorithms=["EdDSA"]) as site:
        for name, signer in published.items():
            for alg in published:
                response = site.proxies["http"].request("/v1/orders", token=signer.token(header={"alg": alg}))
                assert response.status == 200, (name, alg, response)


def test_keys_without_alg():
    """EC and OKP keys are for the algorithm of their curve, RSA keys for the first one that the policy lists."""
    signers = [Signer(name) for name in ("PS384", "ES256", "ES384", "ES512", "Ed25519")]
    with Site("http", algorithms=["ES512", "ES384", "ES256", "PS384", "RS256", "Ed25519"]) as site:
        site.endpoint.document = {"keys": [
            one.public(alg=None, use="sig" if number % 2 else None) for number, one in enumerate(signers)]}
        ask = lambda token: site.proxies["http"].request("/v1/orders", token=token).status
        wait_until(lambda: ask(signers[0].token()) == 200, "the keys were fetched")
        for signer in signers:
            assert ask(signer.token()) == 200, signer.algorithm
            assert ask(changed(signer.token(), 2, flipped(3))) == 401, signer.algorithm
        for other in RSA:
            if other != "PS384":
                assert ask(signers[0].token(header={"alg": other})) == 401, other


def members():
    """(name, members of the JWK, whether its tokens are good)"""
    yield "nothing but the key", {"alg": None, "use": None}, True
    yield "use sig", {}, True
    yield "use enc", {"use": "enc"}, False
    yield "use of a private kind", {"use": "urn:example:other"}, False
    yield "verify", {"key_ops": ["verify"]}, True
    yield "verify without use", {"use": None, "key_ops": ["verify"]}, True
    yield "verify among others", {"key_ops": ["sign", "verify"]}, True
    yield "sign", {"use": None, "key_ops": ["sign"]}, False
    yield "encrypt", {"use": None, "key_ops": ["encrypt", "wrapKey"]}, False
    yield "no operation", {"use": None, "key_ops": []}, False
    yield "verify twice", {"use": None, "key_ops": ["verify", "verify"]}, False
    yield "use sig and other operations", {"key_ops": ["deriveKey"]}, False
    yield "use enc and verify", {"use": "enc", "key_ops": ["verify"]}, False
    yield "operations as text", {"use": None, "key_ops": "verify"}, False
    yield "use as a list", {"use": ["sig"]}, False
    yield "alg of encryption", {"alg": "ECDH-ES"}, False
    yield "alg of another curve", {"alg": "ES384"}, False
    yield "alg HS256", {"alg": "HS256"}, False
    yield "alg none", {"alg": "none"}, False
    yield "alg of a kind nobody knows", {"alg": "XS256"}, False
    yield "more members", {"x5t": "dGVzdA", "x5t#S256": "dGVzdA", "x5u": "http://127.0.0.1:9/", "ext": True,
                           "iat": 1_700_000_000, "exp": 1_700_000_001, "nbf": 1.5, "revoked": None,
                           "vendor": {"a": [1, {"b": "\u00fc"}]}, "x5c": ["MIIB"]}, True
    yield "padded coordinates", {"padded": True}, False


def test_members_of_keys():
    """Keys beside each other in one set: each counts or not by what its own members say."""
    cases = [(name, Signer("ES256", kid=f"case-{number}"), extra, good)
             for number, (name, extra, good) in enumerate(members())]
    # Two more that only a whole JWK can say.
    private = Signer("ES256", kid="private")
    twin = Signer("ES256", kid="twin")
    with Site("http", algorithms=["ES256", "ES384"]) as site:
        keys = []
        for _, signer, extra, _ in cases:
            key = signer.public(**{name: value for name, value in extra.items() if name != "padded"})
            # None stands for a member that is left out; one that is null is another thing.
            key.update({name: None for name, value in extra.items() if name == "revoked"})
            if "padded" in extra:
                key["x"] += "="
            keys.append(key)
        keys.append({**private.key.as_dict(private=True), "kid": "private", "alg": "ES256", "use": "sig"})
        keys += [twin.public(), Signer("ES256").public(kid="twin")]
        site.endpoint.document = {"keys": keys, "more": {"of": "the issuer's"}}
        ask = lambda token: site.proxies["http"].request("/v1/orders", token=token)
        wait_until(lambda: ask(cases[0][1].token()).status == 200, "the keys were fetched")
        wrong = []
        for name, signer, good in [*((name, signer, good) for name, signer, _, good in cases),
                                   ("private half published", private, False), ("kid of two keys", twin, False)]:
            response = ask(signer.token())
            if (response.status == 200) != good or response.status not in (200, 401):
                wrong.append(f"{name}: {response.status} {response.header('X-Scope-Reason')}")
        assert not wrong, wrong
        assert site.issuer_status()["keys"] == sum(good for _, _, _, good in cases), site.issuer_status()


def test_symmetric_and_unsigned_tokens():
    """HS256 with what an attacker knows or what an issuer published by mistake, and `none`."""
    signers = [Signer("RS256", kid="rsa"), Signer("ES256", kid="ec")]
    secret = jwk.OctKey.import_key(b"a secret that the issuer published by mistake", {"kid": "shared"})
    with Site("http", signers=signers) as site:
        site.endpoint.document = {"keys": [
            *(one.public() for one in signers), {**secret.as_dict(), "alg": "HS256", "use": "sig"},
            {**secret.as_dict(), "kid": "plain"}]}
        nginx = site.proxies["http"]
        third = Signer("ES256", kid="late")
        site.endpoint.document["keys"].append(third.public())
        wait_until(lambda: nginx.request("/v1/orders", token=third.token()).status == 200, "the set was fetched")
        before = site.application.requests
        forged = []
        for alg in ("HS256", "HS384", "HS512"):
            for kid in ("shared", "plain", "rsa", None):
                token = signers[0].token(header={"alg": alg, "kid": kid}, key=secret)
                forged.append((f"{alg} {kid} shared secret", token))
            for signer in signers:
                public = {"PEM": signer.key.as_pem(private=False), "DER": signer.key.as_der(private=False),
                          "JWK": json.dumps(signer.public()).encode()}
                for name, data in public.items():
                    # Not imported: joserfc would see what it is, and refuse.
                    key = jwk.OctKey(data, data)
                    forged.append((f"{alg} {signer.kid} {name}", signer.token(header={"alg": alg}, key=key)))
        for signer in signers:
            unsigned = signer.token(header={"alg": "none"})
            assert unsigned.endswith("."), unsigned
            forged += [("none", unsigned),
                       ("none with the signature of another", unsigned + signer.token().split(".")[2]),
                       ("none without kid", signer.token(header={"alg": "none", "kid": None}))]
        for name, token in forged:
            response = nginx.request("/v1/orders", token=token)
            assert response.status == 401, (name, response)
            assert 'error="invalid_token"' in response.header("WWW-Authenticate"), (name, response)
        assert site.application.requests == before
        for signer in (*signers, third):
            assert nginx.request("/v1/orders", token=signer.token()).status == 200
        # joserfc takes one of them for good where it is told to: they are what they say.
        assert jws.deserialize_compact(forged[0][1], secret, algorithms=["HS256"]).payload
