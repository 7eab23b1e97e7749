"""The two FastCGI engines, given the same bytes, decide the same; where they do not, the reason stands here."""

import independent_issuer
from daemon import Daemon, Stage
from harness import Closed, connect, facts, fastcgi_request, name_value, read_fastcgi, record, wait_until

BEGIN = record(1, b"\0\x01\0\0\0\0\0\0")


def streams(token):
    """(name, bytes) of whole conversations."""
    good = facts("/v1/orders", token=token)

    def request(params, **options):
        return fastcgi_request(params, **options)

    for target in ("/v1/orders", "/v1/orders/7", "/v1/healthz", "/v1/nowhere", "/nowhere", "/v1//orders",
                   "/v1/files/a%2Fb",
                   "/v1/files/caf%C3%A9", "http://api.example.com/v1/orders", "", "*", "/v1/files/" + "a" * 8_100,
                   "/v1/files/" + "a" * 9_000, "/v1/users/alice/orders", "/v1/users/bob/orders"):
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS", ""):
            for credential in (token, None, "x.y.z"):
                yield f"{method} {target[:40]} {str(credential)[:8]}", request(facts(target, method, token=credential))
    yield "path that differs", request(facts("/v1/orders", token=token, path="/v1/other"))
    yield "path that agrees", request(facts("/v1/orders", token=token, path="/v1/orders"))
    for missing in range(6):
        yield f"without {good[missing][0]}", request(good[:missing] + good[missing + 1:])
    for twice in range(len(good)):
        yield f"twice {good[twice][0]}", request(good + [good[twice]])
        yield f"twice {good[twice][0]}, another value", request(good + [(good[twice][0], "other")])
    yield "facts in another order", request(good[::-1])
    yield "many other params", request([(f"HTTP_X_{number}", "v") for number in range(60)] + good)
    yield "long other param", request([("HTTP_X_LONG", "v" * 20_000)] + good)
    yield "empty name", request([("", "")] + good)
    yield "empty value", request([("HTTP_X", "")] + good)
    yield "name that hides another", request([("SC_TARGET=/v1/healthz", "x")] + good)
    yield "name that hides a header", request([("HTTP_AUTHORIZATION=Bearer", "x")] + good)
    yield "NUL in a name", request([("SC_TARGET\0x", "/v1/healthz")] + good)
    yield "lower-case name", request([("sc_target", "/v1/healthz")] + good)
    yield "preflight", request(facts("/v1/orders", "OPTIONS", more=[
        ("HTTP_ORIGIN", "https://a.example"), ("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "GET")]))
    yield "preflight, two origins", request(facts("/v1/orders", "OPTIONS", more=[
        ("HTTP_ORIGIN", "https://a.example"), ("HTTP_ORIGIN", "https://b.example"),
        ("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "GET")]))
    yield "two authorizations", request(good + [("HTTP_AUTHORIZATION", "Bearer x")])
    yield "keep connection", request(good, keep=True)
    for identifier in (1, 2, 255, 256, 65_535):
        yield f"id {identifier}", request(good, identifier=identifier)
    pairs = b"".join(name_value(*pair) for pair in good)
    for size in (1, 7, 100, 65_535):
        yield f"params in records of {size}", BEGIN + b"".join(
            record(4, pairs[start:start + size]) for start in range(0, len(pairs), size)) + record(4) + record(5)
    for padding in (1, 7, 8, 255):
        yield f"padding {padding}", BEGIN + record(4, pairs, padding=padding) + record(4) + record(5)
    yield "a body", BEGIN + record(4, pairs) + record(4) + record(5, b"x" * 1_000) + record(5)
    yield "value cut by the end", BEGIN + record(4, pairs[:-1]) + record(4) + record(5)
    yield "length beyond the end", BEGIN + record(4, pairs + b"\x05\x85") + record(4) + record(5)
    yield "long form of short lengths", BEGIN + record(4, b"".join(
        (len(name) | 0x80000000).to_bytes(4, "big") + (len(value) | 0x80000000).to_bytes(4, "big")
        + name.encode() + value.encode() for name, value in good)) + record(4) + record(5)


# What differs, and why. libfcgi joins name and value with `=` into one C string, so a NUL ends it, and its public
# interface cannot tell some broken streams from whole ones; the native engine is the stricter of the two each time.
LISTED = {
    "NUL in a name": "libfcgi cuts at the NUL: what stands before it is the name of a fact, and comes twice",
    "empty name": "libfcgi keeps `=`, the native engine a pair without a name",
    "name that hides a header": "libfcgi joins name and value, and takes it for the header it hides",
    "value cut by the end": "libfcgi ends such a request itself",
    "length beyond the end": "libfcgi ends such a request itself",
}


def outcome(address, data):
    identifier = int.from_bytes(data[2:4], "big")
    client = connect(address)
    try:
        client.sendall(data)
        response, protocol = read_fastcgi(client, identifier)
        headers = {name.lower(): value for name, value in response.headers if name.lower() != "x-scope-audit-id"}
        return (response.status, protocol, tuple(sorted(headers.items())))
    except (Closed, OSError):
        return "closed"
    finally:
        client.close()


def test_the_same_bytes_are_decided_the_same():
    with Stage() as stage:
        native = Daemon(stage, "native", name="native")
        reference = Daemon(stage, "libfcgi", name="libfcgi")
        token = stage.token()
        differing, allowed, count, listed = [], 0, 0, set()
        for name, data in streams(token):
            ours, theirs = outcome(native.fastcgi, data), outcome(reference.fastcgi, data)
            count += 1
            allowed += ours != "closed" and ours[0] == 200
            if ours == theirs:
                continue
            if name in LISTED:
                # Listed or not: none may be an allow on one side only.
                assert not any(one != "closed" and one[0] == 200 for one in (ours, theirs)), (name, ours, theirs)
                listed.add(name)
            else:
                differing.append(f"{name}: {ours} and {theirs}")
        assert not differing, f"{len(differing)} of {count}\n" + "\n".join(differing[:10])
        assert allowed > 20, allowed
        native.alive()
        reference.alive()


def test_a_repeated_value_name_does_not_end_the_native_engine():
    """libfcgi's own parser overruns its stack on this record; its users are told. Ours answers it."""
    with Stage() as stage:
        daemon = stage.daemon()
        client = connect(daemon.fastcgi)
        client.sendall(record(9, name_value("FCGI_MAX_CONNS", "") * 8, identifier=0))
        answer = client.recv(65536)
        assert answer[1] == 10 and b"FCGI_MAX_CONNS" in answer, answer
        client.close()
        daemon.alive()


def test_get_values_and_unknown_types():
    with Stage() as stage:
        daemon = stage.daemon()
        client = connect(daemon.fastcgi)
        client.sendall(record(9, b"".join(name_value(name, "") for name in (
            "FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS", "FCGI_UNKNOWN")), identifier=0))
        answer = client.recv(65536)
        assert answer[1] == 10 and b"FCGI_UNKNOWN" not in answer, answer
        client.sendall(record(77, b"", identifier=0))
        answer = client.recv(65536)
        assert answer[1] == 11 and answer[8] == 77, answer
        # The connection still serves.
        client.sendall(fastcgi_request(facts("/v1/orders", token=stage.token())))
        assert read_fastcgi(client)[0].status == 200
        client.close()


def test_abort():
    with Stage() as stage:
        daemon = stage.daemon()
        client = connect(daemon.fastcgi)
        client.sendall(record(1, b"\0\x01\x01\0\0\0\0\0") + record(2))
        # The caller has no use for an answer, and an end without one is an allow at lighttpd: the connection closes.
        assert client.recv(65536) == b""
        client.close()
        assert daemon.ask("/v1/orders", "fastcgi", token=stage.token()).status == 200


def test_the_reference_library_lives_on_when_keys_come():
    """New keys and reloads wake the workers; its threads take a wake for the end, so none may reach them."""
    config = independent_issuer.EAGER.replace('fastcgi: {{ address: "{fastcgi}" }}',
                                              'fastcgi: {{ address: "{fastcgi}", engine: libfcgi }}')
    signer = independent_issuer.Signer("ES256", kid="first")
    with independent_issuer.Site(signers=[signer], config=config) as site:
        for number in range(3):
            assert site.service.ask("/v1/healthz", "fastcgi").status == 200
            late = independent_issuer.Signer("ES256", kid=f"late-{number}")
            site.endpoint.signers = [signer, late]
            wait_until(lambda: site.service.ask("/v1/orders", "fastcgi", token=late.token()).status == 200,
                       "the new key is in use")
