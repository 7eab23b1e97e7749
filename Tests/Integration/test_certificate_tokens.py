"""Tokens that are bound to the client's certificate (RFC 8705) through nginx and HAProxy, over real TLS."""

import ssl

import issuer
from certificates import client_context
from harness import Connection, head_bytes
from proofs import FRONTS, Client, ProofKey, Proving, certificate_confirmation, check_denial, table


class Clients(Proving):
    """A proxy with TLS and clients with certificates: two of the proxy's authority, one of another."""

    def __init__(self, kind):
        super().__init__(kind, tls=True)
        self.kind = kind
        self.alice, self.mallory = (self.authority.issue(name, name) for name in ("alice", "mallory"))
        self.token_of = {name: self.token(cnf=certificate_confirmation(certificate))
                         for name, certificate in (("alice", self.alice), ("mallory", self.mallory))}

    def client(self, certificate, token, **options):
        client = Client(self, self.kind, context=client_context(self.authority, certificate), **options)
        client.token = token
        return client

    def send(self, certificate, token, target="/v1/orders", authorization="Bearer", **options):
        return self.client(certificate, token).send(target, authorization=authorization, **options)


@table(FRONTS)
def test_right_wrong_and_no_certificate(kind):
    with Clients(kind) as stage:
        token = stage.token_of["alice"]
        for target, method in (("/v1/orders", "GET"), ("/v1/orders/7", "GET"), ("/v1/orders/7", "PUT")):
            response = stage.send(stage.alice, token, target, method=method)
            assert response.status == 200, (target, response)
            seen = {name.lower(): value for name, value in response.json()["headers"]}
            assert seen["x-scope-subject"] == "alice" and seen["x-forwarded-proto"] == "https", seen
        before = stage.application.requests
        check_denial(stage, stage.send(stage.mallory, token), "certificate_mismatch", "Bearer")
        check_denial(stage, stage.send(None, token), "certificate_required", "Bearer")
        # Whoever has a certificate still needs a token, and one without a binding stays one.
        response = stage.client(stage.alice, token).send(authorization=None)
        assert response.status == 401 and response.json()["error"] == "unauthorized", response
        response = stage.send(stage.alice, stage.token(), "/v1/orders/7", method="PUT")
        assert response.status == 401 and stage.denial(response)["reason"] == "proof_required", response
        assert stage.application.requests == before
        assert stage.send(stage.alice, stage.token()).status == 200
        assert stage.send(None, stage.token()).status == 200
        # One connection, one certificate, the tokens of two clients.
        with stage.client(stage.alice, token).connection() as connection:
            for number in range(10):
                name = ("alice", "mallory")[number % 2]
                connection.send(head_bytes("/v1/orders", token=stage.token_of[name], close=False))
                assert connection.read().status == (401 if number % 2 else 200), number


@table(FRONTS)
def test_the_chain_does_not_matter(kind):
    """The token names the certificate, whoever signed it (RFC 8705 §4 has self-signed ones): no authority is asked."""
    with Clients(kind) as stage:
        foreign = type(stage.authority)(stage, "elsewhere").issue("foreign", "alice")
        token = stage.token(cnf=certificate_confirmation(foreign))
        assert stage.send(foreign, token).status == 200
        # It does not become alice's by its name.
        check_denial(stage, stage.send(foreign, stage.token_of["alice"]), "certificate_mismatch", "Bearer")
        # Expired: HAProxy lets it through, nginx has a 400 of its own.
        old = stage.authority.issue("old", "alice", begins_days_ago=50, ends_in_days=-20)
        response = stage.send(old, stage.token(cnf=certificate_confirmation(old)))
        assert response.status == (200 if kind == "haproxy" else 400), response


@table(FRONTS)
def test_resumed_sessions(kind):
    """A resumed session shows no certificate again: it has the one that it began with."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with Clients(kind) as stage:
            context = client_context(stage.authority, stage.alice, version)
            session, resumed = None, 0
            for number in range(8):
                connection = Connection(stage.tls_addresses[kind])
                with connection:
                    connection.socket = context.wrap_socket(connection.socket, session=session)
                    name = ("alice", "mallory")[number % 2]
                    connection.send(head_bytes("/v1/orders", token=stage.token_of[name]))
                    response = connection.read()
                    assert response.status == (401 if number % 2 else 200), (version, number, response)
                    resumed += connection.socket.session_reused
                    session = connection.socket.session
            assert resumed > 0, (kind, version)


@table(FRONTS)
def test_a_certificate_that_the_client_only_tells_of(kind):
    """In headers, under every name that the checker or a proxy might read."""
    with Clients(kind) as stage:
        pem = ssl.DER_cert_to_PEM_cert(stage.alice.der)
        escaped = pem.replace("\n", "%0A").replace(" ", "%20").replace("+", "%2B")
        headers = [(name, escaped) for name in (
            "SC-Client-Certificate", "SC_Client_Certificate", "X-SSL-Client-Cert", "Client-Cert", "certificate",
            "X-Client-Certificate", "SSL-Client-Escaped-Cert")]
        before = stage.application.requests
        plain = Client(stage, kind)
        plain.token = stage.token_of["alice"]
        for sent in ([], headers, *([header] for header in headers)):
            check_denial(stage, plain.send(authorization="Bearer", headers=sent), "certificate_required", "Bearer")
            check_denial(stage, stage.send(None, plain.token, headers=sent), "certificate_required", "Bearer")
            check_denial(stage, stage.send(stage.mallory, plain.token, headers=sent), "certificate_mismatch", "Bearer")
        assert stage.application.requests == before
        assert stage.send(stage.alice, plain.token, headers=headers).status == 200


@table(FRONTS)
def test_key_and_certificate_do_not_stand_for_each_other(kind):
    with Clients(kind) as stage:
        bound = stage.client(stage.alice, stage.token_of["alice"])
        # Sent as DPoP, with a proof by whatever key.
        check_denial(stage, bound.send(proofs=[bound.proof()]), "token_not_bound")
        check_denial(stage, bound.send(), "token_not_bound")
        # A route that wants a key.
        response = bound.send(method="POST", authorization="Bearer", proofs=[bound.proof(method="POST")])
        assert response.status == 401 and stage.denial(response)["reason"] == "proof_required", response
        # A key's token where a certificate is wanted, though there is one.
        proven = Client(stage, kind, context=client_context(stage.authority, stage.alice)).warmed()
        check_denial(stage, proven.ask("/v1/orders/7", "PUT"), "proof_required")
        assert proven.ask("/v1/orders/7").status == 200
        # Bound to both, or to something unknown beside: nobody can say that all of it was checked.
        key, both = ProofKey(), certificate_confirmation(stage.alice)
        for confirmation in ({**both, **key.confirmation}, {**both, "kid": "x"}, {"x5t": both["x5t#S256"]},
                             {"x5t#S256": both["x5t#S256"] + "="}, {"x5t#S256": ""}, {"jwk": key.public()}, {}):
            token = stage.token(cnf=confirmation)
            for authorization in ("Bearer", "DPoP"):
                client = stage.client(stage.alice, token, key=key)
                client.nonce = proven.nonce
                response = client.send(authorization=authorization, proofs=[client.proof()])
                assert response.status == 401 and response.json()["error"] == "invalid_token", (confirmation, response)


@table(FRONTS)
def test_damaged_thumbprints(kind):
    with Clients(kind) as stage:
        right = certificate_confirmation(stage.alice)["x5t#S256"]
        for wrong in (right[:-1], right.swapcase(), right[::-1], "A" * 43, right + "A", issuer.b64(bytes(20)),
                      " " + right):
            response = stage.send(stage.alice, stage.token(cnf={"x5t#S256": wrong}))
            assert response.status == 401 and response.json()["error"] == "invalid_token", (wrong, response)
        assert stage.send(stage.alice, stage.token_of["alice"]).status == 200
