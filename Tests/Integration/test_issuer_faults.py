"""What an issuer may do wrong while its keys are in use: the last good set stays, nothing else is taken, the daemon
stays alive and small. The first fetches and the plainest faults are in test_keys.py."""

import gzip
import json
import threading
import time

from certificates import Authority
from daemon import resident_kilobytes
from harness import Load, wait_until
from independent_issuer import EAGER, Endpoint, Signer, Site, key_set, table

KEY_SET_BYTES = 1 << 20
KEYS = 256
GROWN_KILOBYTES = 32_768


class Attacked(Site):
    """A site with one good signer, and an intruder whose key stands in every wrong answer."""

    def __init__(self, *kinds, **options):
        self.good, self.intruder = Signer("ES256", kid="good"), Signer("ES256", kid="intruder")
        super().__init__(*kinds, signers=[self.good], **options)
        # The set that must never be taken.
        self.bait = json.dumps(key_set(self.good, self.intruder)).encode()

    def outlast(self, name, fault):
        """One fetch sees the fault, and what comes of it is seen."""
        self.endpoint.fault = fault
        connections, requests = self.endpoint.connections, self.endpoint.requests
        end = time.monotonic() + 30

        def is_over():
            exchanges = self.endpoint.exchanges[requests:]
            # The second fetch begins when the first has ended.
            return len(exchanges) > 1 or (
                exchanges[0].has_ended if exchanges else self.endpoint.connections > connections)
        # An unknown kid makes the daemon look, as soon as it may.
        while not is_over():
            assert time.monotonic() < end, f"{name}: no fetch"
            self.check(name)
        # Time for what must not happen.
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            self.check(name)
        status = self.issuer_status()
        assert status["state"] == "usable" and status["keys"] == 1 and status["last_error"], (name, status)

    def check(self, name):
        """The intruder's tokens are refused, and good ones never seen before are allowed."""
        reason = lambda token: self.service.ask("/v1/orders", token=token).header("X-Scope-Reason")
        assert reason(self.good.token()) == "granted", name
        said = reason(self.intruder.token())
        assert said in ("unknown_key", "keys_unavailable"), (name, said)
        assert reason(self.good.token()) == "granted", name

    def recover(self):
        """The next good set is taken, and status has forgotten the error."""
        self.endpoint.fault = None
        late = Signer("ES256", kid="late")
        self.endpoint.signers = [self.good, late]
        wait_until(lambda: self.service.ask("/v1/orders", token=late.token()).status == 200, "the issuer is well again")
        status = self.issuer_status()
        assert "last_error" not in status and status["keys"] == 2, status
        self.service.alive()


def padded(data, count):
    """The same JSON with spaces, `count` bytes long."""
    return data + b" " * (count - len(data))


def http(body, head="", status=200):
    return f"HTTP/1.1 {status} Answer\r\n{head}\r\n".encode() + body


def documents(bait):
    """(name, what a bad issuer replies): whole answers that are no key set to be taken."""
    text = bait.decode()
    reply = lambda *arguments, **options: lambda exchange: exchange.reply(*arguments, **options)
    yield "a page", reply(b"<html><body>Sign in</body></html>", content_type="text/html")
    yield "an array", reply([json.loads(text)])
    yield "keys as object", reply({"keys": {"0": json.loads(text)["keys"][1]}})
    yield "keys that are null", reply({"keys": None})
    yield "keys twice", reply(text[:-1] + ', "keys": []}')
    yield "cut", reply(bait[:-1])
    yield "more behind", reply(bait + b"{}")
    yield "a comma too many", reply(text[:-2] + ",]}")
    yield "a comment", reply("/* */" + text)
    yield "a byte order mark", reply(b"\xef\xbb\xbf" + bait)
    yield "UTF-16", reply(text.encode("utf-16"))
    yield "wrong UTF-8", reply(bait[:-1] + b', "a": "\xff"}')
    yield "deep", reply(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"," + bait[1:])
    yield "many members", reply("{" + "".join(f'"m{n}": 0, ' for n in range(5_000)) + text[1:])
    yield "one byte too large", reply(padded(bait, KEY_SET_BYTES + 1))
    yield "257 keys", reply({"keys": json.loads(text)["keys"][1:] * (KEYS + 1)})
    yield "compressed", reply(gzip.compress(bait), headers=[("Content-Encoding", "gzip")])
    for status in (201, 203, 206, 300, 303, 307, 308, 401, 404, 429, 500, 503):
        yield f"status {status}", reply(bait, status=status, headers=[("Location", "/elsewhere")])
    yield "status 204", lambda exchange: exchange.raw(http(b"", status=204))
    yield "status 304", lambda exchange: exchange.raw(http(b"", status=304))


def wires(bait):
    """(name, fault): what is no whole HTTP answer."""
    length = f"Content-Length: {len(bait)}\r\n"
    yield "closed at once", lambda exchange: exchange.raw(b"")
    yield "reset at once", lambda exchange: exchange.reset()
    yield "noise", lambda exchange: exchange.raw(bytes(range(256)) * 64)
    yield "half a head", lambda exchange: exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Le")
    yield "half a body", lambda exchange: exchange.raw(http(bait[:50], length))

    def resets(exchange):
        exchange.raw(http(bait[:50], length))
        exchange.reset()
    yield "reset within the body", resets
    yield "two lengths", lambda exchange: exchange.raw(http(bait, length + "Content-Length: 3\r\n"))
    yield "a negative length", lambda exchange: exchange.raw(http(bait, "Content-Length: -1\r\n"))
    yield "a bad chunk", lambda exchange: exchange.raw(
        http(b"%x\r\n%b\r\nzz\r\n" % (len(bait), bait), "Transfer-Encoding: chunked\r\n"))
    yield "no last chunk", lambda exchange: exchange.raw(
        http(b"%x\r\n%b\r\n" % (len(bait), bait), "Transfer-Encoding: chunked\r\n"))
    yield "another protocol", lambda exchange: exchange.raw(b"SSH-2.0-OpenSSH_9.2\r\n")


def slow(bait):
    """(name, fault): answers that never end, or too late."""
    length = f"Content-Length: {len(bait)}\r\n"
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    yield "silence", lambda exchange: time.sleep(2)
    yield "a head byte by byte", lambda exchange: exchange.trickle(http(b"", length), 0.1)
    yield "a body byte by byte", lambda exchange: (
        exchange.raw(http(b"", length)), exchange.trickle(bait, 0.1))
    yield "an endless body", lambda exchange: exchange.endless(http(bait, ""), b" " * 32_768)
    yield "an endless body in chunks", lambda exchange: exchange.endless(
        http(b"", "Transfer-Encoding: chunked\r\n"), chunk)
    yield "a body of one-byte chunks", lambda exchange: exchange.endless(
        http(b"", "Transfer-Encoding: chunked\r\n"), b"1\r\n \r\n" * 4_096)
    yield "a huge length", lambda exchange: exchange.endless(
        http(b"", "Content-Length: 9223372036854775807\r\n"), b" " * 32_768)
    yield "an endless head", lambda exchange: exchange.endless(b"HTTP/1.1 200 OK\r\n", b"X-Filler: a\r\n" * 2_048)
    yield "an endless line", lambda exchange: exchange.endless(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 32_768)
    yield "endless interim answers", lambda exchange: exchange.endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1_024)


# Enough for all; a row with nothing to do would fail.
PARTS = 3


def parts(cases, part):
    cases = list(cases)
    return cases[part * len(cases) // PARTS:(part + 1) * len(cases) // PARTS]


@table([(part,) for part in range(PARTS)])
def test_documents_that_are_not_taken(part):
    with Attacked() as site:
        for name, fault in parts(documents(site.bait), part):
            site.outlast(name, fault)
        assert all("/elsewhere" not in exchange.path for exchange in site.endpoint.exchanges)
        site.recover()


@table([(0,), (1,)])
def test_answers_that_break_off(part):
    with Attacked() as site:
        before = resident_kilobytes(site.service.process.pid)
        cases = list(wires(site.bait))
        for name, fault in cases[part::2]:
            site.outlast(name, fault)
        assert resident_kilobytes(site.service.process.pid) - before < GROWN_KILOBYTES
        site.recover()


@table([(0,), (1,)])
def test_answers_that_do_not_end(part):
    with Attacked() as site:
        before = resident_kilobytes(site.service.process.pid)
        for name, fault in list(slow(site.bait))[part::2]:
            site.outlast(name, fault)
            grown = resident_kilobytes(site.service.process.pid) - before
            assert grown < GROWN_KILOBYTES, (name, grown)
        # The daemon hangs up; TLS may wait for the other side's goodbye.
        wait_until(lambda: all(exchange.has_ended for exchange in site.endpoint.exchanges), "all connections ended", 15)
        site.recover()


def test_a_redirect_is_not_followed_once_keys_are_known():
    with Attacked() as site:
        elsewhere = Endpoint(site, lambda exchange: exchange.reply(site.bait), authority=site.endpoint.authority)
        for status in (301, 302, 303, 307, 308):
            site.outlast(f"{status}", lambda exchange: exchange.reply(
                b"", status=status, headers=[("Location", elsewhere.url + "/jwks")]))
        assert elsewhere.connections == 0
        site.recover()


def test_another_authority_is_not_trusted_once_keys_are_known():
    """Somebody else behind the issuer's name, with a certificate of another authority, or with none."""
    with Attacked() as site:
        right = site.endpoint.context
        requests = site.endpoint.requests
        bait = lambda exchange: exchange.reply(site.bait)
        site.endpoint.trust(Authority(site, "stranger"))
        site.outlast("another authority", bait)
        # Its own certificate, signed by nobody but itself.
        site.endpoint.plain = True
        site.outlast("no TLS", bait)
        site.endpoint.plain = False
        assert site.endpoint.requests == requests
        site.endpoint.context = right
        site.recover()


def test_the_largest_set():
    """1 MiB to the byte is read, and 256 keys are all of use."""
    signers = [Signer("ES256", kid=f"key-{number}") for number in range(KEYS)]
    with Attacked() as site:
        whole = json.dumps(key_set(*signers)).encode()
        site.endpoint.document = padded(whole, KEY_SET_BYTES)
        ask = lambda token: site.service.ask("/v1/orders", token=token)
        wait_until(lambda: ask(signers[0].token()).status == 200, "the set is taken")
        for signer in signers:
            response = ask(signer.token())
            assert response.status == 200, (signer.kid, response)
            assert ask(site.intruder.token(header={"kid": signer.kid})).header("X-Scope-Reason") == "signature_invalid"
        assert ask(site.good.token()).header("X-Scope-Reason") == "unknown_key"
        assert site.issuer_status()["keys"] == KEYS
        # One key more and nothing is taken, the keys before stay.
        site.endpoint.document = json.dumps(key_set(*signers, site.intruder))
        before = site.endpoint.requests
        wait_until(lambda: ask(site.intruder.token()).status == 401 and site.endpoint.requests >= before + 2,
                   "the larger one was seen")
        assert site.issuer_status()["keys"] == KEYS
        assert ask(signers[-1].token()).status == 200


def test_one_bad_key_spoils_no_other():
    """Every key of the set stands for itself; the bad ones verify nothing."""
    good = {name: Signer(name) for name in ("ES256", "RS256", "Ed25519")}
    spoilt = {}

    def spoil(name, algorithm, **members):
        signer = spoilt[name] = Signer(algorithm, kid=name)
        return signer.public(**members)
    weak = {"kty": "RSA", "kid": "weak", "n": "wVQ", "e": "AQAB", "alg": "RS256", "use": "sig"}
    keys = [7, None, "key", [], {}, {"kty": "unknown", "kid": "a"}, weak,
            spoil("off the curve", "ES256", y="A" * 43), spoil("short", "ES256", x="AAAA"),
            spoil("another curve", "ES256", crv="P-384"), spoil("secp256k1", "ES256", crv="secp256k1"),
            spoil("no x", "Ed25519", x=None), spoil("X25519", "Ed25519", crv="X25519"),
            spoil("even exponent", "RS256", e="Ag"), spoil("exponent 1", "RS256", e="AQ"),
            spoil("zero", "RS256", n="AA"), spoil("kid as number", "ES256", kid=7)]
    with Site() as site:
        site.endpoint.document = {"keys": [*keys[:8], *(one.public() for one in good.values()), *keys[8:]]}
        ask = lambda token: site.service.ask("/v1/orders", token=token)
        wait_until(lambda: ask(good["ES256"].token()).status == 200, "the set is taken")
        for signer in good.values():
            assert ask(signer.token()).status == 200, signer.algorithm
        for name, signer in spoilt.items():
            response = ask(signer.token())
            assert (response.status, response.header("X-Scope-Reason")) == (401, "unknown_key"), (name, response)
        status = site.issuer_status()
        assert (status["state"], status["keys"]) == ("usable", len(good)), status


def test_down_for_longer_than_the_keys_may_be_used():
    """Fetched anew all along, the keys never grow old. Without an issuer they are used until `max_stale`, then every
    token is answered 503, over a restart too, until the issuer is back."""
    config = EAGER.replace("cooldown: 1s", "cooldown: 1s, refresh: 1s, max_stale: 4s")
    with Attacked("http", config=config) as site:
        nginx = site.proxies["http"]
        token = site.good.token()
        ask = lambda: nginx.request("/v1/orders", token=token)
        ended = time.monotonic() + 6
        while time.monotonic() < ended:
            assert ask().status == 200 and nginx.request("/v1/orders", token=site.good.token()).status == 200
            time.sleep(0.05)
        site.endpoint.stop()
        stopped = time.monotonic()
        while ask().status == 200:
            assert time.monotonic() - stopped < 15, "the keys do not grow old"
            time.sleep(0.02)
        # Not before their time: the last fetch may be a second old, and so may the daemon's clock.
        assert time.monotonic() - stopped > 1.5, time.monotonic() - stopped
        before = site.application.requests

        def stale():
            for _ in range(5):
                for one in (token, site.good.token(), site.intruder.token()):
                    response = nginx.request("/v1/orders", token=one)
                    assert response.status == 503, response
                    assert site.service.ask("/v1/orders", token=one).header("X-Scope-Reason") == "keys_stale"
            assert nginx.request("/v1/healthz").status == 200
        stale()
        assert site.issuer_status()["state"] == "stale", site.issuer_status()
        assert site.service.terminate() == 0
        site.service.start()
        stale()
        assert site.application.requests == before + 2, "only the public route reached the application"
        site.endpoint.start()
        wait_until(lambda: ask().status == 200, "the issuer is back")
        assert site.issuer_status()["state"] == "usable"


def test_a_flood_of_unknown_kids():
    """Thousands of tokens with names of keys that nobody has cost the issuer one request for each cooldown, and good
    tokens are answered all along; a new key is found in the midst of it."""
    config = EAGER.replace("cooldown: 1s", "cooldown: 2s")
    with Attacked("http", config=config) as site:
        nginx, known = site.proxies["http"], [site.good.token() for _ in range(20)]
        counts = {"unknown": 0, "good": 0}
        lock, serial = threading.Lock(), iter(range(1 << 30))

        def each(number):
            if number == 0:
                response = nginx.request("/v1/orders", token=known[counts["good"] % len(known)])
                counts["good"] += 1
                return None if response.status == 200 else f"a good token: {response}"
            with lock:
                name = next(serial)
                counts["unknown"] += 1
            forged = site.intruder.token(header={"kid": f"unknown-{name}"})
            response = site.service.ask("/v1/orders", "fastcgi" if number % 2 else "http", token=forged)
            said = response.header("X-Scope-Reason")
            return None if (response.status, said) == (401, "unknown_key") else f"an unknown kid: {response}"

        before, started = site.endpoint.requests, time.monotonic()
        with Load(each, threads=5) as load:
            wait_until(lambda: counts["unknown"] > 4_000 and counts["good"] > 200
                       and time.monotonic() - started > 5, "both kinds are answered", 120)
            fetches, seconds = site.endpoint.requests - before, time.monotonic() - started
            late = Signer("ES256", kid="late")
            site.endpoint.signers = [site.good, late]
            wait_until(lambda: site.service.ask("/v1/orders", token=late.token()).status == 200, "the new key is found")
        assert not load.complaints, load.complaints[:3]
        # Seconds are counted whole there, so the first cooldown may be shorter.
        assert 2 <= fetches <= seconds / 2 + 2, (fetches, seconds)
        site.service.alive()
