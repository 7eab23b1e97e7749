"""`scopecheck-tcp` over SPOP: the identity in a client's certificate, and every way not to have one."""

import os
import random

from certificates import Authority
from daemon import POLICY
from spop import int32, tcp_arguments, uint32
from test_haproxy_ports import ADMIN, MONITORING, PORTS
from test_spop import HTTP, Asked, http_arguments

METRICS_PORT, ADMIN_PORT = 9443, 9444
TCP = "scopecheck-tcp"


class Ported(Asked):
    def __init__(self, policy=POLICY + PORTS.format(METRICS_PORT, ADMIN_PORT)):
        super().__init__(policy=policy)
        self.authority = Authority(self)

    def der(self, *uris, authority=None, **options):
        return (authority or self.authority).issue("certificate", uris=uris, **options).der


def test_the_identity_of_a_certificate():
    with Ported() as stage:
        client = stage.client()

        def ask(**options):
            return client.ask_with((TCP, tcp_arguments(**options)))

        verdict = ask(certificate=stage.der(MONITORING))
        assert (verdict.status, verdict.reason, verdict.route) == (
            200, "granted", f"metrics-port tcp/{METRICS_PORT}"), verdict
        assert (verdict.subject, verdict.client, verdict.issuer, verdict.granted) == (
            MONITORING, "prometheus", "", "read:metrics"), verdict
        assert verdict.policy == stage.service.policy_label() and not verdict.challenge, verdict
        verdict = ask(certificate=stage.der(ADMIN), port=ADMIN_PORT)
        assert verdict.allow and verdict.client == "admin", verdict
        assert verdict.granted == "orders:admin orders:read orders:write read:metrics", verdict
        for client_name, certificate in {
            "collector": stage.der(dns=["x.example.org", "COLLECTOR.example.org"]),
            "probe": stage.der(name="probe"), "prometheus": stage.der(MONITORING, name="x", dns=["y.example.org"]),
        }.items():
            verdict = ask(certificate=certificate)
            assert verdict.allow and verdict.client == client_name, (client_name, verdict)
        # Other types for the numbers, as other versions of HAProxy may send them.
        good = stage.der(MONITORING)
        for options in ({"used": 1}, {"verify": int32(0)}, {"verify": uint32(0)}, {"port": uint32(METRICS_PORT)},
                        {"client_address": None, "request_id": None}, {"stranger": "x"}):
            assert ask(certificate=good, **options).allow, options


def test_everything_else_is_denied():
    with Ported() as stage:
        client = stage.client()
        good = stage.der(MONITORING)

        def expect(reason, **options):
            verdict = client.ask_with((TCP, tcp_arguments(**{"certificate": good, **options})))
            assert (verdict.status, verdict.reason) == (403, reason), (options.keys(), reason, verdict)
            return verdict

        for port in (9442, 9445, 65_535, 443):
            expect("port_not_allowed", port=port)
        expect("no_certificate", certificate=None)
        expect("no_certificate", certificate=None, used=True)
        expect("no_certificate", certificate=b"", used=True)
        expect("no_certificate", used=False)
        for verify in (1, 10, 18, 19, 20, 21, 26, 2**31, 2**62):
            expect("certificate_not_verified", verify=verify)
        expect("certificate_expired", certificate=stage.der(MONITORING, ends_in_days=-1))
        expect("certificate_not_yet_valid", certificate=stage.der(MONITORING, begins_days_ago=-1))
        # Cut, prolonged, another form, too long.
        for certificate in (good[:-1], good[:40], good + b"\0", b"\0" + good, b"x" * 800, good * 2, b"\x30\x80\0\0",
                            good + b"\0" * 15_000):
            expect("certificate_malformed", certificate=certificate)
        for uris, options in (((MONITORING + "/",), {}), ((MONITORING[:-1],), {}), ((MONITORING.upper(),), {}),
                              ((MONITORING, ADMIN), {}), ((MONITORING, MONITORING), {}),
                              ((), {"name": MONITORING}), ((), {"dns": ["*.example.org"]}), ((), {"dns": ["probe"]}),
                              ((), {"dns": ["collector.example.org.evil.example"]}), ((), {"name": "Probe"}),
                              ((), {"name": "probe\0x"}), ((), {"name": "x"}), ((), {})):
            certificate = stage.der(*uris, **options)
            verdict = client.ask_with((TCP, tcp_arguments(certificate=certificate)))
            assert verdict.status == 403 and verdict.reason in (
                "unknown_certificate", "ambiguous_certificate", "certificate_malformed"), (uris, options, verdict)
        expect("ambiguous_certificate", certificate=stage.der(MONITORING, dns=["collector.example.org"]))
        expect("ambiguous_certificate", certificate=stage.der(MONITORING, name="probe"))
        expect("insufficient_scope", port=ADMIN_PORT)
        # Whose names cannot be compared.
        for options in ({"dns": ["collector.example.org\0.evil.example"]}, {"dns": [f"n{n}.example.org"
                                                                                    for n in range(100)]}):
            expect("certificate_malformed", certificate=stage.der(**options))
        stage.service.alive()


def test_arguments_missing_twice_or_of_another_type():
    with Ported() as stage:
        client = stage.client()
        good = tcp_arguments(certificate=stage.der(MONITORING))

        def ask(arguments):
            return client.ask_with((TCP, arguments))

        assert ask(good).allow and ask(good[::-1]).allow
        for name in ("port", "certificate_used", "certificate_verify"):
            for value in (..., None):
                changed = [(key, value if key == name else old) for key, old in good]
                verdict = ask([pair for pair in changed if pair[1] is not ...])
                assert (verdict.status, verdict.reason) == (403, "missing_fact"), (name, value, verdict)
        for pair in good:
            assert ask(good + [pair]).reason == "conflicting_facts", pair
        for name, value in [("port", "9443x"), ("port", -1), ("port", 65_536 + METRICS_PORT), ("port", 0),
                            ("port", 2**32 + METRICS_PORT), ("certificate_used", "1"), ("certificate_used", 2),
                            ("certificate_used", -1), ("certificate_verify", "0"), ("certificate_verify", -1),
                            ("certificate", True), ("certificate", 7), ("client_address", 7), ("request_id", 7)]:
            verdict = ask([(key, value if key == name else old) for key, old in good])
            assert verdict.status == 403 and verdict.reason in (
                "conflicting_facts", "missing_fact", "port_not_allowed"), (name, value, verdict)


def test_both_kinds_on_one_connection():
    """In turn, 20 in flight: a TCP question's certificate helps no HTTP request and the other way round."""
    with Ported() as stage:
        client = stage.client()
        token, good = stage.token(), stage.der(MONITORING)
        kinds = [(TCP, tcp_arguments(certificate=good), "granted"), (HTTP, http_arguments(), "no_token"),
                 (TCP, tcp_arguments(), "no_certificate"), (HTTP, http_arguments(token=token), "granted"),
                 (HTTP, http_arguments(certificate=good, certificate_used=True, certificate_verify=0), "no_token")]
        for _ in range(20):
            wanted = {client.notify((name, arguments)): reason for name, arguments, reason in kinds * 4}
            for _ in range(20):
                ids, verdict = client.ack()
                assert verdict.reason == wanted[ids], (ids, verdict)


def test_certificates_at_random():
    """A good certificate with bytes changed: never another client, and the daemon stays."""
    pick = random.Random(11)
    with Ported() as stage:
        client, good = stage.client(), stage.der(MONITORING)
        place = good.find(MONITORING.encode())
        for _ in range(1_500):
            spoiled = bytearray(good)
            for _ in range(pick.choice((1, 1, 3, 10))):
                spoiled[pick.randrange(len(spoiled))] = pick.randrange(256)
            verdict = client.ask_with((TCP, tcp_arguments(certificate=bytes(spoiled))))
            if verdict.allow:
                # Whether the signature holds is for HAProxy to say; the name must be the same.
                assert verdict.client == "prometheus" and spoiled[place:place + len(MONITORING)] == (
                    MONITORING.encode()), (spoiled.hex(), verdict)
        for length in (0, 1, 100, 4_000, 12_000):
            assert not client.ask_with((TCP, tcp_arguments(certificate=os.urandom(length), used=True))).allow
        stage.service.alive()
