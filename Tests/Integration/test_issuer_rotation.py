"""An issuer that changes its keys again and again while requests come in through nginx and HAProxy: every single answer
is compared with what must be said of its token at that moment."""

import threading
import time

from harness import Load, wait_until
from independent_issuer import Signer, Site, octets, unpadded

ROTATIONS = 11
# The daemon's cooldown, and what a clock of whole seconds adds to it.
COOLDOWN = 1.1
# One key is as good as another: different kinds follow one another.
KINDS = ["ES256", "Ed25519", "ES384", "RS256", "PS256", "ES512"]


class Given:
    """A token with the time from which on it is dead, and whether it ever lived."""

    def __init__(self, signer, lifetime, broken=False):
        token = signer.token(lifetime=lifetime, subject=signer.kid)
        # `exp` as it stands there is a second of the clock.
        self.ends = int(time.time()) + lifetime
        if broken:
            head, body, signature = token.split(".")
            data = bytearray(octets(signature))
            data[-1] ^= 1
            token = f"{head}.{body}.{unpadded(bytes(data))}"
        self.text, self.signer, self.broken = token, signer, broken
        # When the daemon had, at the latest, no key any more that verifies it.
        self.withdrawn = None


class Judged:
    """Asks through all proxies, and judges each answer by when it was asked and answered."""

    def __init__(self, site):
        self.site, self.pool, self.lock = site, [], threading.Lock()
        self.counts = {"allowed": 0, "refused": 0, "either": 0}
        self.subjects = set()
        self.turn = 0

    def add(self, *given):
        with self.lock:
            self.pool += given

    def drop(self, condition):
        with self.lock:
            self.pool = [one for one in self.pool if not condition(one)]

    def each(self, number):
        with self.lock:
            self.turn += 1
            one = self.pool[self.turn % len(self.pool)]
        proxy = list(self.site.proxies.values())[number % len(self.site.proxies)]
        withdrawn, asked = one.withdrawn, time.time()
        response = proxy.request("/v1/orders", token=one.text)
        answered = time.time()
        # The daemon's clock is one of whole seconds, and may be one behind.
        if one.broken or asked > one.ends + 1 or (withdrawn is not None and asked > withdrawn):
            must = {401}
            self.counts["refused"] += 1
        elif answered < one.ends - 1 and one.withdrawn is None:
            must = {200}
            self.counts["allowed"] += 1
            self.subjects.add(one.signer.kid)
        else:
            must = {200, 401}
            self.counts["either"] += 1
        if response.status not in must:
            return f"{one.signer.kid}, broken {one.broken}, ends {one.ends}: not {must} at {asked:.2f}: {response}"
        if response.status == 200:
            seen = dict(response.json()["headers"])
            subject = next(value for name, value in seen.items() if name.lower() == "x-scope-subject")
            if subject != one.signer.kid:
                return f"the subject of {one.signer.kid} is {subject}"
        elif 'error="invalid_token"' not in response.header("WWW-Authenticate"):
            return f"no challenge: {response}"
        return None


def signers(count):
    return [Signer(KINDS[number % len(KINDS)], kid=f"key-{number}") for number in range(count)]


def changes(site):
    return len(site.service.events("keys_changed"))


def test_announced_keys():
    """Each key is published before it is used, and taken away when its tokens are dead; tokens of keys long gone, and
    of gone keys that somebody stole, keep coming and make the daemon look as often as it may."""
    keys = signers(ROTATIONS + 2)
    with Site("http", "haproxy", signers=keys[:2]) as site:
        judged = Judged(site)
        judged.add(Given(keys[0], 600), Given(keys[0], 600, broken=True),
                   # Of nobody: the daemon looks for its key whenever it may.
                   Given(Signer("ES256", kid="stranger"), 600, broken=True))
        with Load(judged.each, threads=4) as load:
            for number in range(1, ROTATIONS + 1):
                # key `number` was published one turn ago, and is known.
                old, new, coming = keys[number - 1:number + 2]
                judged.add(Given(new, 600), Given(new, 2), Given(new, 600, broken=True))
                time.sleep(0.4)
                # The old one is stolen, which is noticed: from now on its tokens may fail, and soon they must.
                with judged.lock:
                    stolen = [one for one in judged.pool if one.signer is old and not one.broken]
                    for one in stolen:
                        one.withdrawn = float("inf")
                before = changes(site)
                site.endpoint.signers = [new, coming]
                wait_until(lambda: changes(site) > before, f"the set with {coming.kid} is in use")
                time.sleep(0.1)
                with judged.lock:
                    for one in stolen:
                        one.withdrawn = time.time()
                # Few of them are enough.
                judged.drop(lambda one: one.signer in keys[:max(0, number - 3)])
            time.sleep(0.5)
        assert not load.complaints, load.complaints[:3]
        assert site.endpoint.served[-1] == [keys[-2].kid, keys[-1].kid], site.endpoint.served
        assert judged.subjects == {one.kid for one in keys[:ROTATIONS + 1]}, judged.subjects
        assert judged.counts["allowed"] > 500 and judged.counts["refused"] > 500, judged.counts


def test_keys_used_at_once():
    """A key is used the moment it is published: the requests that come first wait for the fetch that they cause, one
    for all of them, and are allowed."""
    keys = signers(ROTATIONS + 1)
    with Site("http", "haproxy", signers=keys[:1]) as site:
        judged = Judged(site)
        judged.add(Given(keys[0], 600), Given(keys[0], 600, broken=True))
        with Load(judged.each, threads=4) as load:
            for number in range(1, ROTATIONS + 1):
                # The oldest key's tokens are dead before it is taken away. One that asked for it later would take the
                # one fetch that the cooldown allows.
                judged.drop(lambda one: one.signer not in keys[number - 1:number])
                time.sleep(COOLDOWN)
                before = site.endpoint.requests
                site.endpoint.signers = keys[number - 1:number + 1]
                judged.add(*(Given(keys[number], 600) for _ in range(8)), Given(keys[number], 600, broken=True))
                wait_until(lambda: site.endpoint.requests > before, "the new key was asked for")
                wait_until(lambda: keys[number].kid in judged.subjects, "it is in use")
                assert site.endpoint.requests == before + 1, (number, site.endpoint.requests - before)
            time.sleep(0.3)
        assert not load.complaints, (len(load.complaints), load.complaints[:3])
        assert site.endpoint.requests <= ROTATIONS + 2, site.endpoint.requests
        assert judged.subjects == {one.kid for one in keys}, judged.subjects
        assert judged.counts["allowed"] > 500 and judged.counts["refused"] > 50, judged.counts
