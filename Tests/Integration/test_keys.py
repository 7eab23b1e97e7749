"""Key sets over https: fetched, rotated, lost and found again."""

import time

import issuer
from daemon import POLICY, Stage
from harness import wait_until

COOLDOWN = 60  # generous: how long a test waits for the daemon to fetch again by itself

# The daemon looks for new keys every second at the most, so that a rotation needs no half minute.
EAGER = """\
policy: {folder}/policy.yaml
store: {folder}/store
workers: 2
admin: {{ address: "{admin}" }}
fastcgi: {{ address: "{fastcgi}" }}
http: {{ address: "{http}" }}
keys: {{ cooldown: 1s }}
"""


def policy(server, keys=None):
    keys = keys or f"{{ jwks_uri: {server.jwks_uri}, ca_file: ca.pem }}"
    return POLICY.replace("keys: { jwks_file: jwks.json }", f"keys: {keys}")


class Remote(Stage):
    def __init__(self, **certificate_options):
        super().__init__()
        self.server = issuer.KeyServer(self, [self.key], **certificate_options)
        self.policy.write_text(policy(self.server))

    def reason(self, daemon, token):
        return daemon.ask("/v1/orders", token=token).header("X-Scope-Reason")


def test_fetched_over_https():
    with Remote() as stage:
        daemon = stage.daemon()
        token = stage.token()
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 200, "the keys were fetched")
        for kind in ("fastcgi", "http"):
            assert daemon.ask("/v1/orders", kind, token=stage.token()).status == 200
        assert stage.server.requests <= 3, stage.server.paths


def test_discovery():
    with Remote() as stage:
        text = policy(stage.server, "{ discovery: true, ca_file: ca.pem }").replace(
            "https://id.example.com", stage.server.url)
        stage.policy.write_text(text)
        daemon = stage.daemon()
        token = stage.token(iss=stage.server.url)
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 200, "the keys were discovered")
        assert any("/.well-known/" in path for path in stage.server.paths), stage.server.paths


def test_an_unknown_authority_is_not_trusted():
    with Remote() as stage:
        stage.policy.write_text(policy(stage.server, f"{{ jwks_uri: {stage.server.jwks_uri} }}"))
        daemon = stage.daemon()
        token = stage.token()
        for _ in range(20):
            response = daemon.ask("/v1/orders", token=token)
            assert (response.status, response.header("X-Scope-Reason")) == (503, "keys_unavailable"), response
            time.sleep(0.05)
        assert stage.server.requests == 0
        assert daemon.ask("/v1/healthz").status == 200


def refused(stage):
    """Nothing but 503 for tokens, while routes that need none are served."""
    daemon = stage.daemon(config=EAGER)
    token = stage.token()
    for _ in range(20):
        response = daemon.ask("/v1/orders", token=token)
        assert (response.status, response.header("X-Scope-Reason")) == (503, "keys_unavailable"), response
        time.sleep(0.1)
    assert daemon.ask("/v1/healthz").status == 200
    return daemon


def test_a_certificate_of_another_name_is_not_trusted():
    with Remote(names=("other.example",)) as stage:
        daemon = refused(stage)
        assert stage.server.requests == 0
        assert stage.server.url in daemon.log_text(), daemon.log_text()[-1000:]


def test_an_expired_certificate_is_not_trusted():
    with Remote(days=-1) as stage:
        refused(stage)
        assert stage.server.requests == 0


def test_redirects_are_not_followed():
    with Remote() as stage:
        from backend import EchoBackend
        elsewhere = EchoBackend(stage)
        for location in (f"http://{elsewhere.address}/jwks", "/elsewhere"):
            stage.server.status, stage.server.body, stage.server.location = 302, "", location
            daemon = refused(stage)
            assert daemon.terminate() == 0
        assert elsewhere.requests == 0 and "/elsewhere" not in stage.server.paths, stage.server.paths


def test_discovery_must_name_the_issuer_itself():
    """A document that says another issuer is not of this one (RFC 8414 section 3.3)."""
    with Remote() as stage:
        stage.policy.write_text(policy(stage.server, "{ discovery: true, ca_file: ca.pem }").replace(
            "https://id.example.com", stage.server.url + "/realm"))
        daemon = stage.daemon(config=EAGER)
        token = stage.token(iss=stage.server.url + "/realm")
        for _ in range(20):
            assert daemon.ask("/v1/orders", token=token).status == 503
            time.sleep(0.1)
        assert stage.server.requests > 0 and "/jwks" not in stage.server.paths, stage.server.paths


def test_rotation():
    """A new key is fetched when a token names it; a removed one stops working after that fetch."""
    with Remote() as stage:
        daemon = stage.daemon(config=EAGER)
        old = stage.token()
        wait_until(lambda: daemon.ask("/v1/orders", token=old).status == 200, "the keys were fetched")
        second = issuer.Key("ES256", "second")
        stage.server.keys = [stage.key, second]
        new = issuer.mint(second)
        wait_until(lambda: daemon.ask("/v1/orders", token=new).status == 200, "the new key was fetched", COOLDOWN)
        assert daemon.ask("/v1/orders", token=old).status == 200
        # The old key is withdrawn; a third one makes the daemon look.
        third = issuer.Key("ES256", "third")
        stage.server.keys = [second, third]
        newest = issuer.mint(third)
        wait_until(lambda: daemon.ask("/v1/orders", token=newest).status == 200, "the third was fetched", COOLDOWN)
        for kind in ("fastcgi", "http"):
            response = daemon.ask("/v1/orders", kind, token=old)
            assert response.header("X-Scope-Reason") == "unknown_key", response
        assert daemon.ask("/v1/orders", token=new).status == 200


def test_unknown_kids_do_not_flood_the_issuer():
    with Remote() as stage:
        daemon = stage.daemon()
        token = stage.token()
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 200, "the keys were fetched")
        before = stage.server.requests
        for number in range(200):
            forged = issuer.mint(stage.key, header={"kid": f"unknown-{number}"})
            assert stage.reason(daemon, forged) == "unknown_key"
        assert stage.server.requests - before <= 5, stage.server.requests - before
        assert daemon.ask("/v1/orders", token=token).status == 200


def test_issuer_down():
    """Keys once fetched stay in use, over a restart of the daemon too; without any, 503 until they come."""
    with Remote() as stage:
        stage.server.stop()
        daemon = stage.daemon(config=EAGER)
        token = stage.token()
        response = daemon.ask("/v1/orders", token=token)
        assert (response.status, response.header("X-Scope-Reason")) == (503, "keys_unavailable"), response
        assert daemon.ask("/v1/healthz").status == 200
        stage.server.start()
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 200, "the issuer is back", COOLDOWN)
        stage.server.stop()
        assert daemon.ask("/v1/orders", token=stage.token()).status == 200
        assert daemon.terminate() == 0
        daemon.start()
        wait_until(lambda: daemon.ask("/v1/orders", token=stage.token()).status == 200, "the kept keys are used")


def test_bad_answers_keep_the_last_good_set():
    with Remote() as stage:
        daemon = stage.daemon(config=EAGER)
        token = stage.token()
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 200, "the keys were fetched")
        for status, body in [(500, "x"), (200, "{}"), (200, '{"keys": []}'), (200, "not JSON"), (302, ""),
                             (200, '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'), (200, "x" * 3_000_000)]:
            stage.server.status, stage.server.body = status, body
            # A token with an unknown key makes the daemon look, as soon as it may.
            before, stranger = stage.server.requests, issuer.mint(stage.key, header={"kid": "new"})
            wait_until(lambda: stage.reason(daemon, stranger) == "unknown_key" and stage.server.requests > before,
                       f"the daemon has looked and seen {status} {body[:20]}", COOLDOWN)
            assert daemon.ask("/v1/orders", token=stage.token()).status == 200, (status, body[:30])
        stage.server.status, stage.server.body = 200, None
        assert daemon.ask("/v1/orders", token=stage.token()).status == 200


def test_a_slow_issuer_holds_nobody_else():
    with Remote() as stage:
        stage.server.delay = 3
        daemon = stage.daemon(config=EAGER)
        for _ in range(50):
            assert daemon.ask("/v1/healthz").status == 200
        token = stage.token()
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 200, "the slow answer came", COOLDOWN)


def test_key_file_is_read_again_with_the_policy():
    """Keys from a file: a new set counts from the next reload on, and the removed key at once."""
    from harness import wait_until as wait
    import signal
    with Stage() as stage:
        daemon = stage.daemon()
        old = stage.token()
        assert daemon.ask("/v1/orders", token=old).status == 200
        second = issuer.Key("ES256", "second")
        stage.replace("jwks.json", issuer.jwks(second))
        daemon.process.signal(signal.SIGHUP)
        wait(lambda: daemon.ask("/v1/orders", token=issuer.mint(second)).status == 200, "the new file is read")
        assert daemon.ask("/v1/orders", token=old).header("X-Scope-Reason") == "unknown_key"
