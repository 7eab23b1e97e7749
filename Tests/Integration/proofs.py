"""A client that proves whose its tokens are, and shares nothing with the daemon: keys and DPoP proofs (RFC 9449),
tokens bound to a key or to a certificate (RFC 8705), and the proxies that all stand before one address."""

import hashlib
import hmac
import json
import re
import time
import uuid

import issuer
from backend import EchoBackend
from certificates import Authority
from daemon import Stage
from haproxy import Haproxy, free_addresses
from harness import Connection, Nginx, head_bytes, need, program, wait_until

FRONTS = [("http",), ("fastcgi",), ("haproxy",)]
HOST = "api.example.com"
# What clients write in URLs; no listener has it.
PUBLIC_PORT = 8443
PROOF_ALGORITHMS = ["ES256", "ES384", "Ed25519", "PS256", "RS256"]
# RFC 9449 §8.1: 1*NQCHAR. The length is ours.
NONCE = re.compile(r"[!#-\[\]-~]{22,}")

POLICY = issuer.policy_head() + """\
    profile: rfc9068
    dpop: { algorithms: [ES256, ES384, Ed25519, PS256, RS256], max_age: 60s, ahead: 10s, nonce: optional }
scopes:
  orders:read:  { description: Read orders }
  orders:write: { description: Change orders }
services:
  orders:
    issuers: [https://id.example.com]
    audience: https://api.example.com
    hosts: [api.example.com]
    public_port: 8443
    base_path: /v1
    routes:
      - { match: GET /orders, scopes: orders:read }
      - { match: "GET /orders/{order}", scopes: orders:read, proof: any }
      - { match: POST /orders, scopes: orders:write, proof: dpop }
      - { match: "PUT /orders/{order}", scopes: orders:read, proof: mtls }
      - { match: "DELETE /orders/{order}", scopes: orders:read, proof: dpop, dpop_nonce: required }
      - { match: GET /transfers, scopes: orders:read, acr: ["urn:example:gold", "urn:example:silver"] }
      - { match: GET /recent, scopes: orders:read, max_age: 5m }
      - { match: POST /transfers, scopes: orders:write, acr: "urn:example:gold", max_age: 5m }
  vault:
    issuers: [https://id.example.com]
    audience: https://api.example.com
    hosts: [vault.example.com]
    proof: dpop
    routes:
      - { match: GET /keys, scopes: orders:read }
      - { match: GET /hints, scopes: orders:read, proof: none }
"""


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


# --- keys and proofs ---------------------------------------------------------------------------------------------

class ProofKey(issuer.Key):
    """A client's key."""

    def __init__(self, algorithm="ES256"):
        super().__init__(algorithm, fresh=True)

    def public(self):
        """The JWK as a proof carries it: what RFC 7638 §3.2 names, and nothing else."""
        return {name: value for name, value in self.jwk().items() if name in ("kty", "crv", "x", "y", "n", "e")}

    def thumbprint(self):
        """RFC 7638 §3."""
        text = json.dumps(self.public(), sort_keys=True, separators=(",", ":"))
        return issuer.b64(hashlib.sha256(text.encode()).digest())

    @property
    def confirmation(self):
        return {"jkt": self.thumbprint()}


def certificate_confirmation(certificate):
    """RFC 8705 §3.1, of DER."""
    return {"x5t#S256": issuer.b64(hashlib.sha256(certificate.der).digest())}


def hash_of(token):
    """`ath`."""
    return issuer.b64(hashlib.sha256(token.encode()).digest())


def url(path, scheme="http", host=HOST, port=PUBLIC_PORT):
    return f"{scheme}://{host}:{port}{path.partition('?')[0]}"


def proof(key, token, method, target_url, header=None, sign=None, **changes):
    """One proof. `header` members and claims are put over the usual ones; None removes one."""
    members = {"typ": "dpop+jwt", "alg": key.algorithm, "jwk": key.public(), **(header or {})}
    claims = {"jti": str(uuid.uuid4()), "htm": method, "htu": target_url, "iat": int(time.time()),
              "ath": hash_of(token), **changes}
    return issuer.compact(*({name: value for name, value in part.items() if value is not None}
                            for part in (members, claims)), sign or key.sign)


def hmac_signature(secret):
    return lambda message: hmac.new(secret, message, hashlib.sha256).digest()


# --- the stage ---------------------------------------------------------------------------------------------------

class Proving(Stage):
    """Daemon, echo backend and the proxies `kinds`; with `tls` they also have a TLS address that asks for a client's
    certificate, as the READMEs say."""

    def __init__(self, *kinds, policy=POLICY, tls=False, **daemon_options):
        super().__init__(policy=policy)
        self.application = EchoBackend(self)
        self.service = self.daemon(spop="haproxy" in kinds, **daemon_options)
        self.authority = Authority(self)
        self.proxies, self.tls_addresses = {}, {}
        for kind in kinds:
            self.proxies[kind] = self._haproxy(tls) if kind == "haproxy" else self._nginx(kind, tls)

    def _nginx(self, kind, tls):
        need(program("nginx"), "nginx is not installed")
        edits = []
        if tls:
            server = self.authority.issue(f"{kind}-server", dns=[HOST], server=True)
            self.tls_addresses[kind], = free_addresses(1, self.tls_addresses.values())
            edits = [("# listen 8443 ssl;", f"listen {self.tls_addresses[kind]} ssl;"),
                     ("# ssl_protocols ", "ssl_protocols "),
                     ("# ssl_certificate     server.pem;", f"ssl_certificate {server.path};"),
                     ("# ssl_certificate_key server.pem;", f"ssl_certificate_key {server.path};"),
                     ("# ssl_verify_client   optional_no_ca;", "ssl_verify_client optional_no_ca;")]
        return Nginx(self, kind, self.service.address(kind), self.application.address, edits, name=f"nginx-{kind}")

    def _haproxy(self, tls):
        edits = [("alpn h2,http/1.1", "alpn h2,http/1.1 ca-file client-ca.pem verify optional crt-ignore-err all "
                  "ca-ignore-err all")] if tls else []
        haproxy = Haproxy(self, [self.service.spop], self.application.address, edits, authority=self.authority)
        self.tls_addresses["haproxy"] = haproxy.tls_address
        # Until its health checks are done it answers 503.
        wait_until(lambda: haproxy.request("/v1/orders").status == 401, "HAProxy's agent is up")
        return haproxy

    def address(self, kind):
        return self.proxies[kind].address

    def denial(self, response):
        """The daemon's log line of a denied request."""
        wanted = response.header("X-Scope-Audit-Id")
        assert wanted, response
        return wait_until(lambda: next((line for line in self.service.events("denial") if wanted in line.values()),
                                       None), f"the daemon's log has the line of {wanted}")


class Client:
    """A client before one proxy, with a key of its own and the last nonce that it was given."""

    def __init__(self, stage, kind, key=None, scope="orders:read", context=None, **claims):
        self.stage, self.kind, self.key, self.context = stage, kind, key or ProofKey(), context
        self.token = stage.token(scope, **{"cnf": self.key.confirmation, **claims})
        self.nonce = None

    @property
    def scheme(self):
        return "https" if self.context else "http"

    def proof(self, target="/v1/orders", method="GET", key=None, token=None, host=HOST, port=PUBLIC_PORT, **changes):
        changes = {"nonce": self.nonce, **changes}
        return proof(key or self.key, token or self.token, method,
                     changes.pop("htu", url(target, self.scheme, host, port)), **{"htm": method, **changes})

    def bytes(self, target="/v1/orders", method="GET", authorization="DPoP", proofs=(), token=None, host=HOST,
              headers=(), body=None, close=True):
        """The request; `authorization` is the scheme, None leaves it all out."""
        more = [("Authorization", f"{authorization} {token or self.token}")] if authorization else []
        more += [("DPoP", one) for one in proofs]
        return head_bytes(target, method, host, None, [*more, *headers], body, close)

    def connection(self):
        if self.context is None:
            return Connection(self.stage.address(self.kind))
        connection = Connection(self.stage.tls_addresses[self.kind])
        connection.socket = self.context.wrap_socket(connection.socket)
        return connection

    def send(self, *arguments, method="GET", **options):
        """One request with the proofs given, none unless said."""
        with self.connection() as connection:
            connection.send(self.bytes(*arguments, method=method, **options))
            response = connection.read(bodiless=method == "HEAD")
        # RFC 9449 §8.2: a nonce on any answer is the one to use from then on.
        self.nonce = response.header("DPoP-Nonce") or self.nonce
        return response

    def ask(self, target="/v1/orders", method="GET", host=HOST, port=PUBLIC_PORT, **options):
        """One request with a right proof, with the nonce that the server asks for."""
        for _ in range(2):
            one = self.proof(target, method, host=host, port=port)
            response = self.send(target, method=method, proofs=[one], host=host, **options)
            if 'error="use_dpop_nonce"' not in response.header("WWW-Authenticate"):
                break
        return response

    def warmed(self):
        """Itself, with a nonce if the server wants one."""
        response = self.ask()
        assert response.status == 200, response
        return self


def check_denial(stage, response, reason, scheme="DPoP", error="invalid_token", body=None, refusal=None, status=401):
    """A denial as RFC 6750, 9449 and 9470 want it, with `reason` in the log; returns the challenge."""
    assert response.status == status, (reason, response)
    challenge = response.header("WWW-Authenticate")
    assert challenge.startswith(scheme + " "), (reason, response)
    assert re.findall(r'error="([^"]*)"', challenge) == ([error] if error else []), (reason, response)
    assert response.json()["error"] == (body or error), (reason, response)
    assert response.header("Cache-Control") == "no-store", response
    line = stage.denial(response)
    assert line["reason"] == reason, (reason, line)
    if refusal:
        assert line.get("proof") == refusal, (refusal, line)
    return challenge
