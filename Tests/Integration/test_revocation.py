"""`scopecheck revoke` while tokens are in use through nginx over HTTP, nginx over FastCGI and HAProxy at once: when the
command has ended, no request that is made from then on is allowed."""

import json
import threading
import time

from daemon import cli
from harness import Load, request, wait_until
from independent_issuer import ISSUER, Signer, Site

FRONTS = ("http", "fastcgi", "haproxy")
LIFETIME = [("    profile: rfc9068\n", "    profile: rfc9068\n    max_lifetime: 1h\n")]


class Revoked(Site):
    """Two keys of one issuer, and everything that can be revoked."""

    def __init__(self, *kinds, **options):
        self.first, self.second = Signer("ES256", kid="first"), Signer("Ed25519", kid="second")
        super().__init__(*kinds, signers=[self.first, self.second], more_policy=LIFETIME, **options)

    def revoke(self, *arguments):
        _, out, _ = cli("revoke", *arguments, "--address", self.service.admin, "--json", check=0)
        return json.loads(out)

    def listed(self):
        _, out, _ = cli("revocations", "list", "--address", self.service.admin, "--json", check=0)
        return [json.loads(line) for line in out.splitlines() if line.strip()]

    def reason(self, token, kind="http"):
        return self.service.ask("/v1/orders", kind, token=token).header("X-Scope-Reason")

    def file(self, token):
        return self.write("token", token)


class Watched:
    """Tokens in use; each may get a time from which on it must be refused."""

    def __init__(self, site, tokens):
        self.site, self.tokens, self.ends = site, dict(tokens), {}
        self.turns, self.counts = iter(range(1 << 40)), {}
        self.lock = threading.Lock()

    def each(self, number):
        front = FRONTS[number % len(FRONTS)]
        with self.lock:
            names = list(self.tokens)
            name = names[next(self.turns) % len(names)]
            end = self.ends.get(name)
        asked = time.monotonic()
        response = self.site.proxies[front].request("/v1/orders", token=self.tokens[name])
        with self.lock:
            key = (front, name, response.status)
            self.counts[key] = self.counts.get(key, 0) + 1
        if end is not None and asked > end:
            return None if response.status == 401 else f"{name} through {front} after it was revoked: {response}"
        if name in self.ends or name in self.revoking:
            return None if response.status in (200, 401) else f"{name} through {front}: {response}"
        return None if response.status == 200 else f"{name} through {front}: {response}"

    revoking = ()

    def revoke(self, names, *arguments):
        self.revoking = names
        before = self.snapshot()
        wait_until(lambda: all(self.seen(front, name, 200) > before.get((front, name, 200), 0)
                               for front in FRONTS for name in names), f"{names} are in use everywhere")
        found = self.site.revoke(*arguments)
        end = time.monotonic()
        with self.lock:
            self.ends.update((name, end) for name in names)
        wait_until(lambda: all(self.seen(front, name, 401) >= 2 for front in FRONTS for name in names),
                   f"{names} are refused everywhere")
        self.revoking = ()
        return found

    def seen(self, *key):
        with self.lock:
            return self.counts.get(key, 0)

    def snapshot(self):
        with self.lock:
            return dict(self.counts)


def test_every_selector_under_load():
    with Revoked(*FRONTS) as site:
        first, second = site.first, site.second
        watched = Watched(site, {
            "token": first.token(), "its neighbour": first.token(), "jti": first.token(jti="the one"),
            "subject": first.token(subject="carol"), "subject's other": second.token(subject="carol"),
            "client": first.token(client_id="mobile"), "actor": first.token(subject="dora", act={"sub": "robot"}),
            "key": second.token(subject="eve"), "nobody's": first.token(subject="frank")})
        with Load(watched.each, threads=6) as load:
            watched.revoke(["token"], "--token-file", site.file(watched.tokens["token"]))
            watched.revoke(["jti"], "--issuer", ISSUER, "--jti", "the one")
            watched.revoke(["subject", "subject's other"], "--issuer", ISSUER, "--subject", "carol")
            watched.revoke(["client"], "--issuer", ISSUER, "--client", "mobile")
            watched.revoke(["actor"], "--issuer", ISSUER, "--subject", "robot")
            watched.revoke(["key"], "--issuer", ISSUER, "--key", "second")
            watched.revoke(["its neighbour", "nobody's"], "--issuer", ISSUER, "--issuer-wide")
        assert not load.complaints, (len(load.complaints), load.complaints[:3])
        for name, token in watched.tokens.items():
            for kind in ("http", "fastcgi"):
                assert site.reason(token, kind) == "revoked", (name, kind)
        assert len(site.listed()) == 7, site.listed()


def test_tokens_issued_later_are_good():
    with Revoked() as site:
        before = site.first.token(subject="carol")
        cached = site.first.token(subject="carol")
        assert site.reason(cached) == "granted"
        site.revoke("--issuer", ISSUER, "--subject", "carol")
        assert site.reason(before) == site.reason(cached) == "revoked"
        # Another issuer's carol, and another subject, are others.
        assert site.reason(site.first.token(subject="caroline")) == "granted"
        now = int(time.time())
        # An issuer's clock may be ahead of ours: what it had signed by now may say so up to a minute later.
        assert site.reason(site.first.token(subject="carol", iat=now + 30)) == "revoked"
        assert site.reason(site.first.token(subject="carol", iat=now + 70)) == "granted"
        assert site.reason(cached) == "revoked"
        # `--all` means those as well; tokens that do not say when they were issued are older than everything.
        site.revoke("--issuer", ISSUER, "--subject", "gina", "--all")
        assert site.reason(site.first.token(subject="gina", iat=now + 200)) == "revoked"
        site.revoke("--issuer", ISSUER, "--client", "old", "--issued-before", str(now - 100))
        assert site.reason(site.first.token(client_id="old", iat=now - 100, lifetime=600)) == "revoked"
        assert site.reason(site.first.token(client_id="old", iat=now - 99, lifetime=600)) == "granted"


def test_over_restarts_and_taken_back():
    with Revoked("http") as site:
        tokens = {name: site.first.token(subject=name) for name in ("carol", "dora", "eve")}
        for name, token in tokens.items():
            assert site.reason(token) == "granted"
        site.revoke("--issuer", ISSUER, "--subject", "carol", "--reason", "lost her phone")
        site.revoke("--token-file", site.file(tokens["dora"]))
        # One that is killed the moment after has not forgotten.
        site.service.kill()
        site.service.start()
        wait_until(lambda: site.reason(tokens["eve"]) == "granted", "the daemon is back with its keys")
        assert [site.reason(tokens[name]) for name in ("carol", "dora")] == ["revoked", "revoked"]
        assert site.proxies["http"].request("/v1/orders", token=tokens["carol"]).status == 401
        listed = site.listed()
        assert sorted(one["kind"] for one in listed) == ["subject", "token"], listed
        carol = next(one for one in listed if one["kind"] == "subject")
        assert (carol["issuer"], carol["value"], carol["reason"]) == (ISSUER, "carol", "lost her phone"), carol
        # The token itself is nowhere.
        assert tokens["dora"].split(".")[2] not in json.dumps(listed), listed
        cli("revocations", "remove", carol["id"], "--address", site.service.admin, check=0)
        assert site.reason(tokens["carol"]) == "granted" and site.reason(tokens["dora"]) == "revoked"
        assert [one["kind"] for one in site.listed()] == ["token"]
        code, _, _ = cli("revocations", "remove", carol["id"], "--address", site.service.admin)
        assert code != 0
        assert site.service.terminate() == 0
        site.service.start()
        wait_until(lambda: site.reason(tokens["carol"]) == "granted", "the daemon is back with its keys")
        assert site.reason(tokens["dora"]) == "revoked"


def test_without_a_daemon():
    """The command takes the store itself while nobody runs on it; and says so where nobody answers."""
    with Revoked() as site:
        token = site.first.token(subject="carol")
        assert site.reason(token) == "granted"
        assert site.service.terminate() == 0
        code, out, error = cli("revoke", "--issuer", ISSUER, "--subject", "carol", "--address", site.service.admin)
        assert code == 2, (out, error)
        store = site.folder / "store"
        _, out, _ = cli("revoke", "--issuer", ISSUER, "--subject", "carol", "--store", store, check=0)
        assert out.endswith(f" --store {store}\n") and "scopecheck revocations remove " in out, out
        site.service.start()
        wait_until(lambda: site.reason(site.first.token()) == "granted", "the daemon is back with its keys")
        assert site.reason(token) == "revoked"


def test_the_longest_lifetime():
    """`max_lifetime` bounds what is kept: a token that would live longer is refused."""
    with Revoked("http") as site:
        assert site.reason(site.first.token(lifetime=3_600)) == "granted"
        assert site.reason(site.first.token(lifetime=3_700)) == "lifetime_too_long"
        assert site.reason(site.first.token(iat=None)) in ("missing_claim", "lifetime_too_long")
        assert site.proxies["http"].request("/v1/orders", token=site.first.token(lifetime=3_700)).status == 401


def test_bad_requests_revoke_nothing():
    with Revoked() as site:
        token = site.first.token(subject="carol")
        for arguments in ([], ["--subject", "carol"], ["--issuer", ISSUER], ["--issuer", ISSUER, "--subject", ""],
                          ["--issuer", ISSUER, "--subject", "carol", "--client", "mobile"],
                          ["--issuer", ISSUER, "--subject", "carol", "--all", "--issued-before", "1"],
                          ["--issuer", ISSUER, "--subject", "carol", "--until", "yesterday"]):
            code, out, _ = cli("revoke", *arguments, "--address", site.service.admin)
            assert code != 0, (arguments, out)
        for body, headers in (
                (b"{", ()), (b"[]", ()),
                (b'{"revocations":[{"kind":"everything","issuer":"%b"}]}' % ISSUER.encode(), ()),
                (b'{"revocations":[{"kind":"subject","value":"carol"}]}', ()),
                (b'{"revocations":[{"kind":"subject","issuer":"%b","value":"carol"}]}' % ISSUER.encode(),
                 [("Origin", "https://evil.example.com")])):
            response = request(site.service.admin, "/revocations", "POST", "localhost",
                               headers=[("Content-Type", "application/json"), *headers], body=body)
            assert 400 <= response.status < 500, (body, response)
        assert site.reason(token) == "granted" and site.listed() == []
        site.service.alive()
