"""Transaction tokens, verified by joserfc with the keys that the daemon publishes, and what reaches an application of a
client's own token, through nginx and HAProxy as they are shipped."""

import time

from harness import Connection, Nginx, head_bytes, request, wait_until
from independent_issuer import EAGER, ISSUER, Signer, Site, errors, jwk, jwt, table
from issuer import policy_head

FRONTS = [("http",), ("fastcgi",), ("haproxy",)]
GATEWAY = "https://gateway.example.com"
CONFIG = EAGER + f"transaction_tokens: {{{{ issuer: {GATEWAY}, lifetime: 30s }}}}\n"
POLICY = policy_head() + """\
    profile: rfc9068
scopes:
  orders:read: {}
  orders:write: {}
  orders:admin: {}
  profile: {}
services:
  orders:
    issuers: [https://id.example.com]
    audience: https://api.example.com
    hosts: [api.example.com]
    base_path: /v1
    transaction_token: true
    forward_token: never
    routes:
      - { match: GET /orders, scopes: orders:read }
      - { match: POST /orders, scopes: { any: [orders:write, orders:admin] } }
      - { match: GET /healthz, public: true }
  plain:
    issuers: [https://id.example.com]
    audience: https://api.example.com
    hosts: [plain.example.com]
    routes:
      - { match: GET /orders, scopes: orders:read }
      - { match: GET /healthz, public: true }
  kept:
    issuers: [https://id.example.com]
    hosts: [kept.example.com]
    transaction_token: true
    forward_token: always
    routes:
      - { match: GET /orders, scopes: orders:read }
"""
# As a client may spell it for applications that see no difference.
SPELLINGS = ["Txn-Token", "txn-token", "TXN-TOKEN", "Txn_Token", "TXN_TOKEN"]


class Signing(Site):
    def __init__(self, *kinds, **options):
        self.signer = Signer("ES256", kid="issuer-1")
        super().__init__(*kinds, signers=[self.signer], algorithms=["ES256"], config=CONFIG, policy=POLICY,
                         documents=True, **options)
        self.front = next(iter(self.proxies.values()), None)

    def keys(self):
        response = request(f"unix:{self.documents}", "/.well-known/jwks.json", host="gateway.example.com")
        assert response.status == 200, response
        return jwk.KeySet.import_key_set(response.json())

    def verified(self, token):
        """Header and claims, as joserfc takes them with the published keys."""
        return jwt.decode(token, self.keys(), algorithms=["ES256", "Ed25519", "EdDSA", "PS256", "RS256"])

    def send(self, target="/v1/orders", method="GET", host="api.example.com", token=None, headers=()):
        """What the application saw: (response, its headers in lower case with their values)."""
        response = self.front.request(target, method, host, token, headers)
        seen = {}
        if response.status == 200:
            for name, value in response.json()["headers"]:
                seen.setdefault(name.lower().replace("_", "-"), []).append(value)
        return response, seen


@table(FRONTS)
def test_verified_by_another_implementation(front):
    with Signing(front) as site:
        token = site.signer.token("profile orders:read orders:admin", act={"sub": "robot", "client_id": "cron"})
        response, seen = site.send(token=token)
        assert response.status == 200, response
        now, found = int(time.time()), site.verified(seen["txn-token"][0])
        assert found.header["typ"] == "txntoken+jwt" and found.header["kid"], found.header
        claims = found.claims
        # What the route required, and nothing else of what the client's token holds.
        must = {"iss": GATEWAY, "aud": "https://api.example.com", "sub": "alice", "client_id": "web-frontend",
                "scope": "orders:read", "token_issuer": ISSUER, "act": {"sub": "robot", "client_id": "cron"}}
        assert {name: claims.get(name) for name in must} == must, claims
        assert now - 2 <= claims["iat"] <= now + 1 and claims["exp"] - claims["iat"] <= 30, claims
        assert len(claims["txn"]) == 32 and not set(claims) & {"jti", "req_wl"}, claims
        # Of `any` those that are held.
        _, seen = site.send(method="POST", token=token)
        assert site.verified(seen["txn-token"][0]).claims["scope"] == "orders:admin"
        # Without an audience the service's name; here the client's token goes on too.
        response, seen = site.send("/orders", host="kept.example.com", token=token)
        claims = site.verified(seen["txn-token"][0]).claims
        assert claims["aud"] == "kept" and seen["authorization"] == [f"Bearer {token}"], (claims, seen)
        # A token that ends sooner ends its transaction token.
        short = site.signer.token(lifetime=10)
        _, seen = site.send(token=short)
        assert site.verified(seen["txn-token"][0]).claims["exp"] <= int(time.time()) + 10
        # joserfc would have seen a change.
        head, body, signature = seen["txn-token"][0].split(".")
        try:
            site.verified(f"{head}.{body}.{'A' * len(signature)}")
        except errors.JoseError:
            pass
        else:
            raise AssertionError("joserfc takes every signature")


@table(FRONTS)
def test_a_clients_own_copy_never_arrives(front):
    with Signing(front) as site:
        good = site.signer.token()
        for target, host, token, carries in (
                ("/v1/orders", "api.example.com", good, True), ("/v1/healthz", "api.example.com", None, False),
                ("/v1/healthz", "api.example.com", good, False), ("/orders", "plain.example.com", good, False),
                ("/healthz", "plain.example.com", None, False), ("/orders", "kept.example.com", good, True)):
            for spelling in SPELLINGS:
                copies = [(spelling, "forged-1"), ("X-Other", "kept"), (spelling, "forged-2")]
                response, seen = site.send(target, host=host, token=token, headers=copies)
                # A proxy may refuse such a name altogether.
                if response.status != 200:
                    assert response.status == 400, (target, host, spelling, response)
                    continue
                assert seen["x-other"] == ["kept"], seen
                assert "forged" not in str(seen), (target, host, spelling, seen)
                values = [value for value in seen.get("txn-token", []) if value]
                assert len(values) == (1 if carries else 0), (target, host, spelling, seen)
                if carries:
                    assert site.verified(values[0]).claims["iss"] == GATEWAY
        # Neither the answer to the client nor a denial carries one.
        for token in (None, good):
            response, _ = site.send(token=token)
            assert not response.header("Txn-Token") and not response.header("X-Scope-Forward-Token"), response


@table(FRONTS)
def test_forward_token(front):
    with Signing(front) as site:
        token = site.signer.token()
        proofs = [("DPoP", "a.b.c")]
        response, seen = site.send(token=token, headers=proofs + [("X-Scope-Forward-Token", "yes")])
        assert response.status == 200, response
        assert not any(seen.get("authorization", [])) and not any(seen.get("dpop", [])), seen
        assert token not in str(seen), seen
        assert not any(seen.get("x-scope-forward-token", [])), seen
        response, seen = site.send("/orders", host="plain.example.com", token=token,
                                   headers=proofs + [("X-Scope-Forward-Token", "no")])
        assert response.status == 200, response
        assert seen["authorization"] == [f"Bearer {token}"] and seen["dpop"] == ["a.b.c"], seen
        # On a kept connection one request's answer says nothing of the next.
        with Connection(site.front.address) as connection:
            for _ in range(5):
                for host, target, forwards in (("api.example.com", "/v1/orders", False),
                                               ("plain.example.com", "/orders", True)):
                    connection.send(head_bytes(target, host=host, token=token, close=False))
                    response = connection.read()
                    assert response.status == 200, response
                    assert (token in response.text) == forwards, (host, response)


FALLBACK = """\
        location /falls-back/ {
            set $sc_path $uri;
            include scopecheck-strip.conf;
            client_max_body_size 1k;
            error_page 413 500 = @fallback;
            proxy_pass http://application;
        }
        location @fallback {
            internal;
            auth_request off;
            include scopecheck-strip.conf;
            proxy_pass http://application;
        }

        location / {
            # In the location"""


@table([("http",), ("fastcgi",)])
def test_nobody_was_asked(kind):
    """Where nginx goes on by itself, because the checker is gone or was never asked, nothing of the client's goes along."""
    with Signing() as site:
        front = Nginx(site, kind, site.service.address(kind), site.application.address,
                      [("        location / {\n            # In the location", FALLBACK)], name="falls-back")
        token = site.signer.token()
        headers = [("DPoP", "a.b.c"), ("Txn-Token", "forged")]
        response = front.request("/falls-back/x", "POST", token=token, headers=headers, body=b"x" * 2_000)
        assert response.status == 200, response
        assert all(each not in response.text for each in (token, "a.b.c", "forged")), response
        site.service.kill()
        response = front.request("/falls-back/x", token=token, headers=headers)
        assert response.status == 200, response
        assert all(each not in response.text for each in (token, "a.b.c", "forged")), response


def test_a_signature_serves_many_requests():
    """The same token on the same route gets the same transaction token for a while; another one gets another."""
    with Signing("http") as site:
        first, second = site.signer.token(), site.signer.token()
        given = {site.send(token=first)[1]["txn-token"][0] for _ in range(50)}
        # One for each worker.
        assert 1 <= len(given) <= 2, given
        other = site.send(token=second)[1]["txn-token"][0]
        written = site.signer.token("orders:write orders:read")
        read, write = (site.send(method=method, token=written)[1]["txn-token"][0] for method in ("GET", "POST"))
        numbers = [site.verified(one).claims["txn"] for one in (*given, other, read, write)]
        assert len(set(numbers)) == len(numbers), numbers
        assert [site.verified(one).claims["scope"] for one in (read, write)] == ["orders:read", "orders:write"]


def test_keys_outlive_a_restart():
    with Signing("http") as site:
        token = site.signer.token()
        before = site.send(token=token)[1]["txn-token"][0]
        assert site.service.terminate() == 0
        site.service.start()
        site.verified(before)
        assert site.verified(site.send(token=token)[1]["txn-token"][0]).claims["sub"] == "alice"
        # No private half is ever published.
        response = request(f"unix:{site.documents}", "/.well-known/jwks.json", host="x")
        assert not any({"d", "p", "q", "k"} & set(key) for key in response.json()["keys"]), response


def test_without_a_signer():
    with Site("http", signers=[signer := Signer("ES256")], algorithms=["ES256"], policy=POLICY, waits=False) as site:
        token = signer.token()
        said = lambda host, target: site.service.ask(target, host=host, token=token).header("X-Scope-Reason")
        wait_until(lambda: said("plain.example.com", "/orders") == "granted", "the keys were fetched")
        assert said("api.example.com", "/v1/orders") == "signing_unavailable"
        before = site.application.requests
        assert site.proxies["http"].request("/v1/orders", token=token).status == 503
        assert site.application.requests == before
        assert site.proxies["http"].request("/v1/healthz").status == 200
