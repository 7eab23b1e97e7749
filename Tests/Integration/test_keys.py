"""Key sets over https: fetched, rotated, lost and found again."""

import time

import issuer
from daemon import POLICY, Stage
from harness import wait_until

COOLDOWN = 60  # generous: how long a test waits for the daemon to fetch again by itself


def policy(server, keys=None):
    keys = keys or f"{{ jwks_uri: {server.jwks_uri}, ca_file: ca.pem }}"
    return POLICY.replace("keys: { jwks_file: jwks.json }", f"keys: {keys}")


class Remote(Stage):
    def __init__(self, keys=("ES256",)):
        super().__init__()
        self.server = issuer.KeyServer(self, [self.key])
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


def test_rotation():
    """A new key is fetched when a token names it; a removed one stops working after that fetch."""
    with Remote() as stage:
        daemon = stage.daemon()
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
        daemon = stage.daemon()
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
        daemon = stage.daemon()
        token = stage.token()
        wait_until(lambda: daemon.ask("/v1/orders", token=token).status == 200, "the keys were fetched")
        for status, body in [(500, "x"), (200, "{}"), (200, '{"keys": []}'), (200, "not JSON"), (302, ""),
                             (200, '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'), (200, "x" * 3_000_000)]:
            stage.server.status, stage.server.body = status, body
            # A token with an unknown key makes the daemon look, when it may.
            assert stage.reason(daemon, issuer.mint(stage.key, header={"kid": "new"})) == "unknown_key"
            assert daemon.ask("/v1/orders", token=stage.token()).status == 200, (status, body[:30])
        stage.server.status, stage.server.body = 200, None
        assert daemon.ask("/v1/orders", token=stage.token()).status == 200


def test_a_slow_issuer_holds_nobody_else():
    with Remote() as stage:
        stage.server.delay = 3
        daemon = stage.daemon()
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
