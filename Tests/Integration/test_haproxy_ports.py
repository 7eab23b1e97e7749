"""Ports without HTTP: opened by the client's certificate, closed before one byte reaches the server, and denials with
their reason in the daemon's log."""

import contextlib
import socket
import ssl
import threading

from certificates import Authority, client_context
from daemon import POLICY, Stage
from haproxy import Haproxy, free_addresses
from harness import PATIENCE, Workplace, connect, end_listening, wait_until
from spop_agent import WRONG_ANSWERS, FakeAgent, verdict

MONITORING = "spiffe://example.org/monitoring/prometheus"
ADMIN = "spiffe://example.org/operations/admin"

PORTS = """\
  metrics-port:
    kind: tcp
    ports: [{0}]
    scopes: read:metrics
  admin-port:
    kind: tcp
    ports: [{1}]
    scopes: orders:admin
clients:
  prometheus:
    certificate: {{ uri: "spiffe://example.org/monitoring/prometheus" }}
    scopes: [read:metrics]
  admin:
    certificate: {{ uri: "spiffe://example.org/operations/admin" }}
    scopes: ["orders:*", read:metrics]
  collector:
    certificate: {{ dns: collector.example.org }}
    scopes: [read:metrics]
  probe:
    certificate: {{ subject: "CN=probe" }}
    scopes: [read:metrics]
"""


class TcpServer:
    """Greets whoever connects and sends back what it gets; tells how many connected and what they sent."""

    def __init__(self, place):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.connections, self.received = 0, b""
        threading.Thread(target=self._accept, daemon=True).start()
        place.at_end(lambda: end_listening(self.listener))

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            client.sendall(b"hello\n")
            while data := client.recv(65_536):
                self.received += data
                client.sendall(data)
        except OSError:
            pass
        finally:
            client.close()


class Guarded(Stage):
    """The daemon, HAProxy with two TCP ports of the policy and one that it does not know, and a server."""

    def __init__(self, agents=None, **options):
        self.addresses = free_addresses(3)
        self.metrics, self.admin, self.unknown = self.addresses
        ports = [address.rpartition(":")[2] for address in self.addresses]
        super().__init__(policy=POLICY + PORTS.format(*ports))
        self.server = TcpServer(self)
        self.service = self.daemon(spop=True)
        self.authority = Authority(self)
        self.haproxy = Haproxy(self, [self.service.spop], tcp_server=self.server.address, authority=self.authority,
                               tcp_addresses=self.addresses, **options)

    def certificate(self, file, *uris, authority=None, **options):
        return (authority or self.authority).issue(file, uris=uris, **options)

    def talk(self, address, certificate, **options):
        return talk(self.haproxy, address, certificate, **options)

    def expect_closed(self, address, certificate, *reasons, **options):
        """Closed, no connection to the server, and a denial in the daemon's log with one of the reasons."""
        before, connections = len(self.service.events("denial")), self.server.connections
        got = self.talk(address, certificate, **options)
        assert got == b"", got
        lines = wait_until(lambda: self.service.events("denial")[before:], "the denial is logged")
        assert len(lines) == 1 and lines[0]["reason"] in reasons, (reasons, lines)
        assert self.server.connections == connections, "the server was connected to"
        return lines[0]


def talk(haproxy, address, certificate, version=None, context=None, session=None):
    """What comes back when a client says `ping`: b"" when the connection is closed without a byte."""
    context = context or client_context(haproxy.authority, certificate, version)
    got = b""
    try:
        with context.wrap_socket(connect(address), session=session) as client:
            assert session is None or client.session_reused
            client.settimeout(PATIENCE)
            client.sendall(b"ping\n")
            while not got.endswith(b"ping\n"):
                more = client.recv(65_536)
                if not more:
                    break
                got += more
    except (ssl.SSLError, ConnectionError):
        pass
    return got


OPEN = b"hello\nping\n"


def test_the_right_identity_passes():
    with Guarded() as stage:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for name, certificate in {
                "uri": stage.certificate("uri", MONITORING), "uri and more": stage.certificate(
                    "more", MONITORING, name="anything", dns=["other.example.org"]),
                "dns": stage.certificate("dns", dns=["other.example.org", "Collector.Example.ORG"]),
                "subject": stage.certificate("subject", name="probe"),
            }.items():
                assert stage.talk(stage.metrics, certificate, version=version) == OPEN, (name, version)
        assert stage.server.connections == 8
        admin = stage.certificate("admin", ADMIN)
        assert stage.talk(stage.admin, admin) == OPEN and stage.talk(stage.metrics, admin) == OPEN


def test_everybody_else_is_closed_out():
    with Guarded() as stage:
        stranger = Authority(stage, "stranger")
        trusted = Authority(stage, "authority-2")
        metrics = stage.metrics
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            def closed(address, certificate, *reasons):
                return stage.expect_closed(address, certificate, *reasons, version=version)

            closed(metrics, None, "no_certificate")
            closed(metrics, stage.certificate("wrong", MONITORING + "2"), "unknown_certificate")
            closed(metrics, stage.certificate("case", MONITORING.upper()), "unknown_certificate")
            closed(metrics, stage.certificate("two", MONITORING, ADMIN), "ambiguous_certificate")
            closed(metrics, stage.certificate("twice", MONITORING, MONITORING), "ambiguous_certificate")
            closed(metrics, stage.certificate("wildcard", dns=["*.example.org"]), "unknown_certificate")
            closed(metrics, stage.certificate("as-dns", dns=["probe"]), "unknown_certificate")
            closed(metrics, stage.certificate("as-name", name=MONITORING), "unknown_certificate")
            closed(metrics, stage.certificate("both", MONITORING, dns=["collector.example.org"]),
                   "ambiguous_certificate")
            closed(metrics, stage.certificate("old", MONITORING, ends_in_days=-1),
                   "certificate_not_verified", "certificate_expired")
            closed(metrics, stage.certificate("young", MONITORING, begins_days_ago=-1),
                   "certificate_not_verified", "certificate_not_yet_valid")
            closed(metrics, stage.certificate("foreign", MONITORING, authority=stranger), "certificate_not_verified")
            closed(metrics, trusted.issue("foreign-2", uris=[MONITORING]), "certificate_not_verified")
            # One that holds only read:metrics, at the port that needs more; and nobody at a port of no policy.
            line = closed(stage.admin, stage.certificate("reader", MONITORING), "insufficient_scope")
            assert any("admin-port" in str(value) for value in line.values()), line
            closed(stage.admin, None, "no_certificate")
            closed(stage.unknown, stage.certificate("admin", ADMIN), "port_not_allowed")
        assert stage.server.connections == 0 and stage.server.received == b""
        assert stage.talk(metrics, stage.certificate("good", MONITORING)) == OPEN


def test_a_resumed_session_has_the_identity_of_its_first():
    """The certificate is not sent again on a resumed session: it is decided as on the first."""
    with Guarded() as stage:
        for name, certificate, allowed in [("good", stage.certificate("good", MONITORING), True),
                                           ("none", None, False),
                                           ("wrong", stage.certificate("wrong", "spiffe://other"), False),
                                           ("old", stage.certificate("old", MONITORING, ends_in_days=-1), False)]:
            context = client_context(stage.authority, certificate, ssl.TLSVersion.TLSv1_2)
            with context.wrap_socket(connect(stage.metrics)) as client:
                session = client.session
                with contextlib.suppress(OSError):
                    client.recv(100)  # the server's greeting, or the end
            assert session is not None
            for _ in range(3):
                before = stage.server.connections
                got = stage.talk(stage.metrics, certificate, context=context, session=session)
                assert got == (OPEN if allowed else b""), (name, got)
                assert stage.server.connections - before == allowed, name


def test_a_client_that_does_not_speak_tls():
    with Guarded() as stage:
        for data in (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01", b"\0" * 500, b""):
            with connect(stage.metrics) as client:
                client.settimeout(PATIENCE)
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                try:
                    while client.recv(65_536):
                        pass
                except ConnectionError:
                    pass
        assert stage.server.connections == 0


def test_no_agent_no_connection():
    """The daemon killed or stopped: closed; back: open again."""
    with Guarded() as stage:
        certificate = stage.certificate("good", MONITORING)
        assert stage.talk(stage.metrics, certificate) == OPEN
        stage.service.kill()
        for _ in range(5):
            got = stage.talk(stage.metrics, certificate)
            assert got == b"", (got, stage.server.connections, stage.haproxy.text()[-2_000:])
        assert stage.server.connections == 1
        stage.service.start()
        wait_until(lambda: stage.talk(stage.metrics, certificate) == OPEN, "it is open again")


def test_a_new_policy_counts_for_the_next_connection():
    with Guarded() as stage:
        text = stage.policy.read_text()
        certificate = stage.certificate("good", MONITORING)
        assert stage.talk(stage.metrics, certificate) == OPEN
        stage.service.reload(text.replace(MONITORING, MONITORING + "-new"))
        stage.expect_closed(stage.metrics, certificate, "unknown_certificate")
        stage.service.reload(text)
        assert stage.talk(stage.metrics, certificate) == OPEN


def test_wrong_answers_open_no_port():
    """The same agents that let no request through let no connection through."""
    with Workplace() as place:
        server, authority = TcpServer(place), Authority(place)
        agent = FakeAgent(place, lambda question: [question.ack(verdict())])
        haproxy = Haproxy(place, [agent.address], tcp_server=server.address, authority=authority)
        address, certificate = haproxy.tcp_addresses[0], authority.issue("client", uris=[MONITORING])
        assert talk(haproxy, address, certificate) == OPEN
        question = agent.questions[-1]
        assert [name for name, _ in question.messages] == ["scopecheck-tcp"], question.messages
        facts = question.arguments
        assert facts["port"] == int(address.rpartition(":")[2]) and facts["certificate_verify"] == 0, facts
        assert facts["certificate_used"] in (True, 1) and facts["certificate"] == certificate.der, facts
        assert str(facts["client_address"]) == "127.0.0.1" and facts["request_id"], facts
        for name, script in WRONG_ANSWERS.items():
            agent.script = script
            before = server.connections
            assert talk(haproxy, address, certificate) == b"", name
            assert server.connections == before, name
            agent.script = lambda question: [question.ack(verdict())]
            wait_until(lambda: talk(haproxy, address, certificate) == OPEN, f"it is open again after: {name}")
