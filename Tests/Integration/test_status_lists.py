"""Status lists made by Python's zlib and joserfc: what each value means, lists that must not be believed, and lists
that cannot be had."""

import json
import os
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

from daemon import resident_kilobytes
from harness import wait_until
from independent_issuer import Endpoint, Signer, Site, jws, table, unpadded
from test_issuer_faults import GROWN_KILOBYTES

UNAVAILABLE = (503, "status_unavailable")
COUNT = 1_000


def packed(bits, statuses, count=COUNT):
    """The statuses as bytes, the first in the lowest bits."""
    data = bytearray(count * bits // 8)
    for index, status in statuses.items():
        data[index * bits // 8] |= status << (index * bits % 8)
    return bytes(data)


class ListServer(Endpoint):
    """Status lists by path; `list(name, …)` makes one, `change` spoils the next ones."""

    def __init__(self, place, signer, **options):
        self.signer, self.texts, self.fault, self.delay = signer, {}, None, 0.0
        self.media_type = "application/statuslist+jwt"
        super().__init__(place, self._answer, **options)

    def uri(self, name):
        return f"{self.url}/lists/{name}"

    def list(self, name, statuses=None, bits=1, data=None, compressed=None, header=None, signer=None, **changes):
        now = int(time.time())
        data = packed(bits, statuses or {}) if data is None else data
        compressed = zlib.compress(data, 9) if compressed is None else compressed
        claims = {"sub": self.uri(name), "iat": now, "exp": now + 600, "ttl": 300,
                  "status_list": {"bits": bits, "lst": unpadded(compressed)}, **changes}
        signer = signer or self.signer
        members = {"alg": signer.algorithm, "typ": "statuslist+jwt", "kid": signer.kid, **(header or {})}
        members, claims = ({key: value for key, value in part.items() if value is not None}
                           for part in (members, claims))
        self.texts["/lists/" + name] = jws.serialize_compact(
            members, json.dumps(claims).encode(), signer.key, algorithms=[members["alg"]])
        return self.uri(name)

    def _answer(self, exchange):
        time.sleep(self.delay)
        if self.fault is not None:
            self.fault(exchange)
        elif exchange.path in self.texts:
            exchange.reply(self.texts[exchange.path], content_type=self.media_type)
        else:
            exchange.reply("", status=404)

    def fetched(self, name):
        return sum(exchange.path == "/lists/" + name for exchange in self.exchanges)


class Listed(Site):
    def __init__(self, *kinds, **options):
        self.signer = Signer("ES256", kid="issuer-1")

        def edits(site):
            # The same authority: the issuer's `ca_file`.
            site.lists = ListServer(site, self.signer, authority=site.endpoint.authority)
            return [("    profile: rfc9068\n",
                     f"    profile: rfc9068\n    status_lists: [{site.lists.url}/lists/]\n")]
        super().__init__(*kinds, signers=[self.signer], more_policy=edits, **options)

    def token(self, uri, index, **changes):
        return self.signer.token(status={"status_list": {"idx": index, "uri": uri}}, **changes)

    def said(self, token):
        response = self.service.ask("/v1/orders", token=token)
        return response.status, response.header("X-Scope-Reason")


@table([(1,), (2,), (4,), (8,)])
def test_statuses(bits):
    """Every value at places in every part of a byte, through nginx; a neighbour never counts."""
    statuses = {index: (index * 7 + 1) % (1 << bits) for index in range(32)}
    statuses.update({COUNT - 1: 1, COUNT - 2: 0})
    means = {0: (200, "granted"), 1: (401, "status_invalid"), 2: (401, "status_suspended")}
    with Listed("http") as site:
        uri = site.lists.list("a", statuses, bits)
        wrong = []
        for index, status in statuses.items():
            must = means.get(status, (401, "status_invalid"))
            token = site.token(uri, index)
            said = site.said(token)
            response = site.proxies["http"].request("/v1/orders", token=token)
            if said != must or response.status != must[0]:
                wrong.append(f"{index}: {status} is {said} {response.status}")
        assert not wrong, wrong
        for index in (COUNT, COUNT + 7, 1 << 30, (1 << 31) - 1):
            assert site.said(site.token(uri, index)) == (401, "status_invalid"), index
        for index in (-1, 1 << 31, 1 << 64, 1.5, "3", None, True):
            assert site.said(site.token(uri, index)) == (401, "claims_malformed"), index
        # One fetch for all of them, and tokens without status need none.
        assert site.lists.fetched("a") == 1
        assert site.said(site.signer.token()) == (200, "granted")


def test_references_that_are_refused():
    with Listed() as site:
        before = site.lists.requests
        for uri in ("https://elsewhere.example/lists/a", site.lists.url + "/other/a", site.lists.url + "/lists",
                    "http" + site.lists.url[5:] + "/lists/a", "", 7, None, site.lists.url + "/lists/" + "a" * 2_100):
            assert site.said(site.token(uri, 0)) == (401, "claims_malformed"), uri
        for status in (7, "x", [], {"status_list": 3}, {"status_list": {"idx": 1}}):
            assert site.said(site.signer.token(status=status)) == (401, "claims_malformed"), status
        assert site.lists.requests == before


def lies(site):
    """(name, what is made of it) of lists that must not be believed."""
    now = int(time.time())
    stranger = Signer("ES256", kid="issuer-1")
    make = site.lists.list
    yield "sub of another list", lambda name: make(name, sub=site.lists.uri("other"))
    yield "no sub", lambda name: make(name, sub=None)
    yield "expired", lambda name: make(name, exp=now - 10)
    yield "of the future", lambda name: make(name, iat=now + 3_600)
    yield "no iat", lambda name: make(name, iat=None)
    yield "signed by a stranger", lambda name: make(name, signer=stranger)
    yield "not signed", lambda name: make(name, header={"alg": "none"})
    yield "an access token's type", lambda name: make(name, header={"typ": "at+jwt"})
    yield "no type", lambda name: make(name, header={"typ": None})
    yield "three bits", lambda name: make(name, status_list={"bits": 3, "lst": unpadded(zlib.compress(bytes(100)))})
    yield "no bits", lambda name: make(name, status_list={"lst": unpadded(zlib.compress(bytes(100)))})
    yield "bits as text", lambda name: make(name, status_list={"bits": "1", "lst": unpadded(zlib.compress(bytes(9)))})
    yield "no list", lambda name: make(name, status_list={"bits": 1})
    yield "not compressed", lambda name: make(name, compressed=bytes(100))
    yield "raw deflate", lambda name: make(name, compressed=zlib.compress(bytes(100))[2:-4])
    yield "cut", lambda name: make(name, compressed=zlib.compress(os.urandom(100))[:-6])
    yield "wrong checksum", lambda name: make(name, compressed=zlib.compress(bytes(100))[:-1] + b"\0")
    yield "a bomb", lambda name: make(name, compressed=zlib.compress(bytes(512 << 20), 9))
    yield "no JWT", lambda name: site.lists.texts.update({f"/lists/{name}": "<html>"})
    yield "nothing there", lambda name: None


def test_lists_that_are_not_believed():
    with Listed() as site:
        before = resident_kilobytes(site.service.process.pid)
        wrong = []
        for number, (name, make) in enumerate(lies(site)):
            make(f"list-{number}")
            said = site.said(site.token(site.lists.uri(f"list-{number}"), 0))
            if said != UNAVAILABLE or site.lists.fetched(f"list-{number}") < 1:
                wrong.append(f"{name}: {said}")
        assert not wrong, "\n".join(wrong)
        assert resident_kilobytes(site.service.process.pid) - before < GROWN_KILOBYTES
        assert site.said(site.token(site.lists.list("good", {1: 1}), 0)) == (200, "granted")
        assert site.said(site.token(site.lists.uri("good"), 1)) == (401, "status_invalid")
        site.service.alive()


def test_a_list_that_cannot_be_had():
    """503 through nginx until it can, and nothing reaches the application; a list once fetched stays in use."""
    with Listed("http") as site:
        nginx = site.proxies["http"]
        known = site.lists.list("known", {1: 1})
        assert site.said(site.token(known, 0)) == (200, "granted")
        site.lists.stop()
        before = site.application.requests
        token = site.token(site.lists.list("late", {1: 1}), 0)
        for _ in range(5):
            response = nginx.request("/v1/orders", token=token)
            assert response.status == 503, response
            assert site.said(token) == UNAVAILABLE
        assert site.application.requests == before
        assert site.said(site.token(known, 0)) == (200, "granted")
        assert site.said(site.token(known, 1)) == (401, "status_invalid")
        assert nginx.request("/v1/orders", token=site.signer.token()).status == 200
        site.lists.start()
        wait_until(lambda: site.said(token) == (200, "granted"), "the list is fetched", 45)


def test_an_old_list_is_not_believed():
    """Beyond `exp` it says nothing any more, also of tokens that were allowed a moment ago."""
    with Listed() as site:
        now = int(time.time())
        uri = site.lists.list("short", {1: 1}, exp=now + 4, ttl=600)
        token = site.token(uri, 0)
        assert site.said(token) == (200, "granted")
        site.lists.stop()
        wait_until(lambda: site.said(token) == UNAVAILABLE, "the list has ended", 10)
        assert time.time() >= now + 3, time.time() - now


def test_a_status_that_changes():
    """The list is fetched again when its `ttl` is over; a token that is known is refused from then on."""
    with Listed() as site:
        uri = site.lists.list("moving", {}, ttl=1)
        token = site.token(uri, 5)
        assert site.said(token) == (200, "granted")
        site.lists.list("moving", {5: 1}, ttl=1)
        wait_until(lambda: site.said(token) == (401, "status_invalid"), "the new list is used", 75)


def test_one_fetch_for_all_who_wait():
    with Listed("http") as site:
        site.lists.delay = 0.5
        uri = site.lists.list("slow", {7: 1})
        with ThreadPoolExecutor(40) as pool:
            statuses = list(pool.map(lambda number: site.proxies["http"].request(
                "/v1/orders", token=site.token(uri, number % 8)).status, range(80)))
        assert statuses == [401 if number % 8 == 7 else 200 for number in range(80)], statuses
        assert site.lists.fetched("slow") == 1


def test_lists_that_come_at_different_times():
    """Whoever waits for the slower list is not refused because the faster one came."""
    with Listed("http") as site:
        fast, slow = site.lists.list("fast"), site.lists.list("slow")

        def answer(exchange):
            time.sleep(0.1 if exchange.path.endswith("fast") else 0.4)
            exchange.reply(site.lists.texts[exchange.path], content_type=site.lists.media_type)
        site.lists.fault = answer
        with ThreadPoolExecutor(20) as pool:
            statuses = list(pool.map(lambda number: site.proxies["http"].request(
                "/v1/orders", token=site.token((fast, slow)[number % 2], 3)).status, range(20)))
        assert statuses == [200] * 20, statuses
