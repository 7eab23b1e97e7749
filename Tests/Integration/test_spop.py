"""The daemon over SPOP: the handshake, the verdicts and every argument, asked as HAProxy asks."""

import ipaddress
import time

import issuer
from daemon import Stage
from harness import Closed, wait_until
from spop import FRAME_BYTES_MAX, Frame, HELLO, Raw, hello_frame, http_arguments, int32, pairs, uint32, uint64
from spop_client import SpopClient, VARIABLES, dial

HTTP = "scopecheck-http"

CONFIG = """\
policy: {folder}/policy.yaml
store: {folder}/store
workers: 2
admin: {{ address: "{admin}" }}
fastcgi: {{ address: "{fastcgi}" }}
http: {{ address: "{http}" }}
spop: {{ address: "{spop}" MORE }}
"""


def config(limits="", more="", keys=""):
    """A daemon's configuration; `more` goes into the section `spop`."""
    text = CONFIG.replace(" MORE ", (", " + more if more else "") + " ")
    text += f"limits: {{{{ {limits} }}}}\n" if limits else ""
    return text + (f"keys: {{{{ {keys} }}}}\n" if keys else "")


class Asked(Stage):
    """A daemon that listens for SPOP, and connections to it."""

    def __init__(self, config=None, **options):
        super().__init__(**options)
        self.service = self.daemon(spop=True, config=config)

    def client(self, **options):
        return self.enter(dial(self.service.spop, **options))

    def raw(self):
        return self.enter(SpopClient(self.service.spop))


# --- the handshake -------------------------------------------------------------------------------------------

def test_handshake():
    with Asked() as stage:
        token = stage.token()
        for offered, answered in [(FRAME_BYTES_MAX, FRAME_BYTES_MAX), (256, 256), (4_096, 4_096), (32_764, 32_764),
                                  (65_536, 65_536), (1 << 20, 65_536)]:
            client = stage.client(frame_bytes_max=offered)
            assert client.hello_answer == {"version": "2.0", "max-frame-size": answered,
                                           "capabilities": "pipelining,fragmentation"}, client.hello_answer
            if offered > 4_000:
                assert client.ask(token=token).allow
        # 3.1 and later offer pipelining alone; a list of versions may have others, and spaces.
        for options in [{"capabilities": "pipelining"}, {"capabilities": ""}, {"engine": None},
                        {"versions": "1.0,2.0"}, {"versions": "2.0, 3.0"}, {"more": [("x-unknown", uint64(7))]},
                        {"capabilities": "pipelining,async,fragmentation,x-unknown"}]:
            client = stage.client(**options)
            assert client.hello_answer["capabilities"] == "pipelining,fragmentation", options
            assert client.ask(token=token).allow, options


def test_hello_of_a_health_check():
    """No capabilities, no engine: answered, then closed without a DISCONNECT."""
    with Asked() as stage:
        for _ in range(50):
            client = stage.raw()
            assert client.hello(healthcheck=True)["version"] == "2.0"
            client.ended()
        client = stage.raw()
        client.send(Frame(HELLO, pairs([("supported-versions", "2.0"), ("max-frame-size", uint32(16_380)),
                                        ("healthcheck", True)])))
        client.read_hello()
        client.ended()
        stage.service.alive()


def test_a_handshake_that_cannot_be():
    """Answered with AGENT-DISCONNECT and the status that SPOE.txt has for it, then closed."""
    wrong = {
        "version": (hello_frame(versions="1.0"), 8), "no version": (hello_frame(versions=None), 5),
        "version 20": (hello_frame(versions="20"), 8), "an empty version": (hello_frame(versions=""), 8),
        "no size": (Frame(HELLO, pairs([("supported-versions", "2.0"), ("capabilities", "")])), 6),
        "small size": (hello_frame(frame_bytes_max=255), 9), "no size at all": (hello_frame(frame_bytes_max=0), 9),
        "no capabilities": (hello_frame(capabilities=None), 7),
        "no FIN": (Frame(HELLO, hello_frame().payload, flags=0), 4),
        "a stream": (Frame(HELLO, hello_frame().payload, stream=1, number=1), 4),
        "cut": (Frame(HELLO, hello_frame().payload[:-3]), 4),
    }
    with Asked() as stage:
        for name, (frame, status) in wrong.items():
            client = stage.raw()
            client.send(frame)
            try:
                said, text = client.read_disconnect()
            except Closed:
                raise AssertionError(f"{name}: closed without a word") from None
            assert said == status and text, (name, said, text)
        stage.service.alive()


# --- verdicts ------------------------------------------------------------------------------------------------

def test_every_kind_of_verdict():
    with Asked() as stage:
        read = stage.token()
        client = stage.client()

        def expect(status, reason, challenge="", **options):
            verdict = client.ask(**options)
            assert (verdict.status, verdict.reason) == (status, reason), verdict
            assert set(verdict) == {"allow", *VARIABLES}
            assert verdict.policy == stage.service.policy_label(), verdict
            assert challenge in verdict.challenge and bool(challenge) == bool(verdict.challenge), verdict
            return verdict

        verdict = expect(200, "granted", token=read)
        assert (verdict.route, verdict.subject, verdict.client, verdict.issuer, verdict.granted) == (
            "orders GET /orders", "alice", "web-frontend", issuer.ISSUER, "orders:read"), verdict
        # Nothing stale: after an allow come denials on the same connection, each with every variable anew.
        expect(401, "no_token", "Bearer realm=")
        expect(401, "unsupported_scheme", "Bearer realm=", authorization="Basic eA==")
        for reason, token in {
            "expired": stage.token(lifetime=-10), "token_malformed": "not.a.token~",
            "signature_invalid": read[:-8] + ("AAAAAAAA" if read[-8:] != "AAAAAAAA" else "BBBBBBBB"),
            "unknown_issuer": stage.token(iss="https://other.example"),
            "audience_mismatch": stage.token(aud="https://other.example"),
            "not_yet_valid": stage.token(nbf=int(time.time()) + 3_000),
        }.items():
            expect(401, reason, 'error="invalid_token"', token=token)
        expect(403, "insufficient_scope", 'scope="orders:write payments:charge"', token=read, method="POST")
        expect(403, "binding_mismatch", "Bearer realm=", token=read, target="/v1/users/bob/orders")
        for reason, options in {
            "unknown_route": {"target": "/orders"}, "method_not_allowed": {"method": "PATCH"},
            "port_not_allowed": {"target": "/v1/metrics"}, "unknown_host": {"host": "other.example.com"},
            "ambiguous_target": {"target": "/v1/orders/..%2f7"}, "path_mismatch": {"path": "/v1/other"},
        }.items():
            expect(403, reason, token=read, **options)
        for reason, options in {
            "malformed_authorization": {"authorization": f"Bearer {read}, Bearer {read}"},
            "multiple_credentials": {"token": read, "authorization_count": 2},
        }.items():
            verdict = client.ask(**options)
            assert (verdict.status, verdict.reason) == (400, reason), verdict
        verdict = expect(200, "public", target="/v1/healthz")
        assert not (verdict.subject or verdict.granted), verdict
        expect(200, "preflight", method="OPTIONS", origin="https://app.example.com",
               access_control_request_method="POST")
        expect(200, "granted", token=stage.token("read:metrics"), target="/v1/metrics", port=9443)
        expect(200, "granted", token=read, method="HEAD")
        # One audit id for each answer, and the one of the log.
        denial = expect(403, "unknown_route", token=read, target="/nowhere")
        line = wait_until(lambda: next((line for line in stage.service.events("denial")
                                        if denial.audit_id in line.values()), None), "the denial is logged")
        assert line["reason"] == "unknown_route", line
        assert len({client.ask(token=read).audit_id for _ in range(50)}) == 50
        assert read.split(".")[0] not in stage.service.log_text(), "a token got into the log"


def test_what_cannot_be_answered_is_503():
    with Asked() as stage:
        assert stage.client().health().healthy
        stage.service.terminate()
        (stage.folder / "jwks.json").unlink()
        # The same store with another policy, whose keys never come.
        stage.replace("policy.yaml", stage.policy.read_text().replace(
            "jwks_file: jwks.json", "jwks_uri: https://localhost:1/jwks"))
        stage.service.start()
        verdict = stage.client().ask(token=stage.token())
        assert (verdict.status, verdict.reason, verdict.challenge) == (503, "keys_unavailable", ""), verdict
        assert stage.client().ask(target="/v1/healthz").allow


def test_health():
    with Asked() as stage:
        client = stage.client()
        health = client.health()
        assert health == {"healthy": True, "status": 200, "policy": stage.service.policy_label(),
                          "reason": health.reason}, health
        # Its arguments do not matter.
        assert client.ask_with(("scopecheck-health", [("x", 1)]), kind=type(health)).healthy


# --- what a question may hold --------------------------------------------------------------------------------

def test_messages_in_one_question():
    with Asked() as stage:
        client = stage.client()
        ours = (HTTP, http_arguments(token=stage.token()))
        tcp = ("scopecheck-tcp", [("port", 9443), ("certificate_used", False), ("certificate_verify", 0)])
        other = ("other", [("x", 1), ("y", None), ("authorization", "Bearer x"), ("method", b"\0")])
        for messages in ([ours], [other, ours], [ours, other], [other, ours, other, ("x", [])],
                         [("", []), ours], [(HTTP.upper(), http_arguments()), ours]):
            assert client.ask_with(*messages).reason == "granted", messages
        for messages, reason in [
            ([ours, ours], "conflicting_facts"), ([ours, other, ours], "conflicting_facts"),
            ([ours, tcp], "conflicting_facts"), ([tcp, ours], "conflicting_facts"),
            ([ours, ("scopecheck-health", [])], "conflicting_facts"),
            ([("scopecheck-health", []), ours], "conflicting_facts"), ([ours] * 3, "conflicting_facts"),
            ([other], "missing_fact"), ([], "missing_fact"), ([(HTTP + "x", ours[1])], "missing_fact"),
            ([(HTTP, [])], "missing_fact"),
        ]:
            verdict = client.ask_with(*messages)
            assert (verdict.status, verdict.reason) == (403, reason), (messages, verdict)


def test_arguments_that_are_missing_or_null():
    with Asked() as stage:
        token = stage.token()
        client = stage.client()
        for name in ("method", "target", "host", "scheme", "port", "authorization_count"):
            for value in (..., None):
                verdict = client.ask(**{"target": "/v1/healthz", name: value})
                assert (verdict.status, verdict.reason) == (403, "missing_fact"), (name, value, verdict)
        # All others may be away, and NULL is being away.
        optional = [name for name, _ in http_arguments() if name not in (
            "method", "target", "host", "scheme", "port", "authorization", "authorization_count")]
        assert len(optional) > 10, optional
        for value in (..., None):
            for name in optional:
                assert client.ask(token=token, **{name: value}).allow, (name, value)
            assert client.ask(token=token, **dict.fromkeys(optional, value)).allow
        # A proxy's own reading of the path, also of an absolute target (`path` is then its path).
        assert client.ask(token=token, target="http://api.example.com/v1/orders?x=1", path="/v1/orders").allow
        for path in ("/v1/orders?x=1", "/v1/orders/", "v1/orders", ""):
            assert client.ask(token=token, path=path).reason == "path_mismatch", path


def test_arguments_in_any_order_with_strangers_between():
    with Asked() as stage:
        client = stage.client()
        arguments = http_arguments(token=stage.token())
        assert client.ask_with((HTTP, arguments[::-1])).allow
        strangers = [("x", 1), ("", "empty"), ("METHOD", "DELETE"), ("methods", b"x"), ("portx", True),
                     ("authorizatio", None), ("y", ipaddress.ip_address("::1")), ("z", uint64(2**64 - 1)),
                     ("w", int32(-1)), ("certificate_chain", b"x"), ("long" * 60, "v" * 500)]
        mixed = [item for number, pair in enumerate(arguments)
                 for item in (pair, strangers[number % len(strangers)])]
        assert client.ask_with((HTTP, mixed)).allow
        # The count is one byte: 255 of them.
        many = arguments + [(f"stranger-{number}", number) for number in range(255 - len(arguments))]
        assert len(many) == 255 and client.ask_with((HTTP, many)).allow


def test_arguments_given_twice():
    with Asked() as stage:
        client = stage.client()
        arguments = http_arguments(token=stage.token(), cookie="a=b", origin="https://a.example", dpop="x",
                                   websocket_protocol="x", access_control_request_method="GET",
                                   certificate=b"x", certificate_used=True, certificate_verify=0)
        for name, value in arguments:
            verdict = client.ask_with((HTTP, arguments + [(name, value)]))
            assert (verdict.status, verdict.reason) == (403, "conflicting_facts"), (name, verdict)
        # NULL is not there: beside a value it is no second one, in either order, and says nothing against it.
        plain = http_arguments(token=stage.token())
        for name in ("target", "authorization_count", "port", "method", "host"):
            for both in (plain + [(name, None)], [(name, None)] + plain):
                assert client.ask_with((HTTP, both)).reason in ("granted", "conflicting_facts"), (name, both)


def test_arguments_of_another_type():
    text = ["method", "target", "path", "host", "scheme", "request_id", "authorization", "cookie"]
    number = ["host_count", "authorization_count", "dpop_count", "cookie_count"]
    wrong = [(name, value) for name in text for value in (1, True, ipaddress.ip_address("127.0.0.1"))]
    wrong += [(name, value) for name in number for value in ("1", b"\x01", -1, ipaddress.ip_address("::1"))]
    wrong += [("port", value) for value in (-1, 65_536, 2**63 - 1, uint64(2**64 - 1), "80x", "", "65536", "+80", " 80",
                                            "99999999999999999999", ipaddress.ip_address("0.0.0.80"))]
    wrong += [("client_address", 1), ("client_address", True), ("host_count", 0), ("host_count", 2)]
    with Asked() as stage:
        client = stage.client()
        for name, value in wrong:
            verdict = client.ask(**{"target": "/v1/healthz", name: value})
            assert verdict.status == 403 and verdict.reason in ("conflicting_facts", "missing_fact"), (
                name, value, verdict)
        # Every integer type and a decimal string will do, and binary for a string.
        token = stage.token()
        for value in (8080, int32(8080), uint32(8080), uint64(8080), "8080", b"8080", 1, 65_535):
            assert client.ask(token=token, port=value).allow, value
        for value in ("10.0.0.1", ipaddress.ip_address("2001:db8::1"), None):
            assert client.ask(token=token, client_address=value).allow, value
        assert client.ask(token=token, method=b"GET", host=b"api.example.com").allow


def test_credentials_and_their_counts():
    """A value without its count may hide a second one, a count without its value hides the first."""
    with Asked() as stage:
        token = stage.token()
        client = stage.client()
        for name in ("authorization", "dpop", "origin", "access_control_request_method", "cookie",
                     "websocket_protocol"):
            count = name + "_count"
            given = {"target": "/v1/healthz", name: "Bearer x"}
            for options in ({**given, count: ...}, {**given, count: None}, {**given, count: 0},
                            {name: ..., count: 1}, {name: None, count: 1}, {name: None, count: 2}):
                verdict = client.ask(**options)
                assert verdict.status == 403, (options, verdict)
                assert verdict.reason == "conflicting_facts" or (
                    name == "authorization" and verdict.reason == "missing_fact"), (options, verdict)
        for count in (2, 3, 65_535, 65_536, 65_537, 2**32 + 1, 2**62):
            verdict = client.ask(token=token, authorization_count=count)
            assert (verdict.status, verdict.reason) == (400, "multiple_credentials"), (count, verdict)
        assert client.ask(token=token, authorization_count=1).allow
        # Empty is there, and is no credential.
        assert client.ask(authorization="").status in (400, 401)


def test_values_that_are_hostile():
    """Whatever is in a fact, the answer's strings are printable ASCII (`Verdict` checks it) and the log is JSON."""
    with Asked() as stage:
        client = stage.client()
        token = stage.token(subject="al\r\nice é\"%")
        assert client.ask(token=token).subject.lower() == "al%0d%0aice%20%c3%a9\"%25", client.ask(token=token)
        for value in (b"\0", b"\r\n\r\n", b"\xff\xfe", b"\"\\", b"%0d%0a", b"x" * 9_000, "é".encode(), b" ", b""):
            for name in ("method", "target", "host", "scheme", "request_id", "authorization", "path"):
                verdict = client.ask(**{"token": token, "target": "/v1/nowhere", "path": None,
                                        name: value.decode("latin-1")})
                assert not verdict.allow, (name, value, verdict)
        stage.service.log()
        stage.service.alive()


def test_values_that_cannot_be_read():
    """Types that do not exist, lengths past the end: the frame is no NOTIFY and the connection ends."""
    with Asked() as stage:
        token = stage.token()
        arguments = http_arguments(token=token)
        for data in (b"\x0a", b"\x0f", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x08\xf0\xff\xff\xff\x0f",
                     b"\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x04\xf0\xff\xff\xff", b"\x06\x01",
                     b"\x07" + b"\0" * 15, b"\x09\x7f", b"\x08"):
            client = stage.client()
            client.notify((HTTP, arguments + [("x", Raw(data))]))
            try:
                status, _ = client.read_disconnect()
                assert status == 4, (data, status)
            except Closed:
                raise AssertionError(f"{data.hex(' ')}: closed without a word") from None
        assert stage.client().ask(token=token).allow
        stage.service.alive()
