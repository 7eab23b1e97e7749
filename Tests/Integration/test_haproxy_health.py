"""How HAProxy learns of an agent's health: by HELLO over SPOP (spop-check), and by scopecheck-health (external-check),
in the shipped form and inside a chroot."""

import os
import shutil
import signal
import subprocess
import time

from backend import EchoBackend
from daemon import Stage
from haproxy import HEALTH, Haproxy
from harness import need, wait_until
from spop_agent import FakeAgent, disconnect, greeting, health, verdict
from test_haproxy_agents import Traffic, back_in_time

CHECKS = [("spop-check",), ("external-check",), ("external-check in a chroot",)]
SHIPPED_COMMAND = "external-check command /usr/local/bin/scopecheck-health"


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


class Checked(Stage):
    """One daemon or two, and HAProxy that checks them in one of the three ways."""

    def __init__(self, way, agents=1, fake=None, policy=None):
        super().__init__(**({"policy": policy} if policy else {}))
        self.application = EchoBackend(self)
        check, _, jailed = way.partition(" in ")
        edits, addresses = [], [f"unix:{self.folder}/agent{number}-p.sock" for number in range(1, agents + 1)]
        if check == "external-check":
            need(HEALTH.exists(), f"`{HEALTH}` does not exist")
            edits.append((SHIPPED_COMMAND, f"external-check command {HEALTH}"))
        if jailed:
            need(os.geteuid() == 0, "only root can chroot")
            # Nothing in it but the program and the agents' sockets: no /proc, no shell, no library.
            jail = self.folder / "jail"
            jail.mkdir()
            shutil.copy(HEALTH, jail / "scopecheck-health")
            edits = [(SHIPPED_COMMAND, "external-check command /scopecheck-health"),
                     ("    maxconn 2000\n", f"    maxconn 2000\n    chroot {jail}\n")]
            outside = [f"unix:{jail}/agent{number}.sock" for number in range(1, agents + 1)]
            addresses = [f"unix:/agent{number}.sock" for number in range(1, agents + 1)]
        if fake:
            self.agent = fake(self, "jail/agent1" if jailed else "agent1-p")
        else:
            self.services = []
            for number in range(1, agents + 1):
                service = self.daemon(spop=True, name=f"agent{number}", wait=False)
                self.services.append(service)
                if jailed:
                    # The same daemon, its socket where the jail sees it.
                    service.kill()
                    service.spop = outside[number - 1]
                    service.command[service.command.index("--spop") + 1] = service.spop
                    service.start(wait=False)
                service.wait_ready()
        self.haproxy = Haproxy(self, addresses, self.application.address, edits, check=check)

    def passes(self):
        return self.haproxy.request("/v1/orders", token=self.token()).status == 200


@table(CHECKS)
def test_up_and_down(way):
    with Checked(way) as stage:
        assert stage.passes()
        # Longer than it takes to fall: the check succeeds, it is not just that none has been made.
        checks = lambda: int(stage.haproxy.agent(1)["check_duration"] or -1) >= 0
        wait_until(checks, "a check has been made")
        time.sleep(3)
        assert stage.haproxy.agent(1)["status"] == "UP", stage.haproxy.agent(1)
        stage.services[0].kill()
        stage.haproxy.wait_agent(1, up=False)
        assert not stage.passes()
        stage.services[0].start()
        stage.haproxy.wait_agent(1, up=True)
        assert stage.passes()
        stage.services[0].process.signal(signal.SIGSTOP)
        try:
            stage.haproxy.wait_agent(1, up=False)
            assert not stage.passes()
        finally:
            stage.services[0].process.signal(signal.SIGCONT)
        stage.haproxy.wait_agent(1, up=True)
        wait_until(stage.passes, "requests pass again")


@table(CHECKS)
def test_health_fails_first(way):
    """SIGTERM: HAProxy marks the agent down while it still decides; with a second agent nothing is lost but what
    crosses the DISCONNECT."""
    with Checked(way, agents=2) as stage:
        with Traffic(stage) as traffic:
            for number, service in enumerate(stage.services, start=1):
                traffic.wait_for(True, 200, 100, "requests pass")
                with traffic.losing_at_most_what_is_in_flight():
                    service.process.signal(signal.SIGTERM)
                    stage.haproxy.wait_agent(number, up=False)
                    running = service.process.running()
                    assert service.process.wait() == 0
                    assert running, "it was gone before HAProxy knew"
                    traffic.wait_for(True, 200, 100, "requests pass with one agent")
                service.start()
                stage.haproxy.wait_agent(number, up=True)
        traffic.check()


@table(CHECKS[:2])
def test_agents_that_are_ill(way):
    """What answers a check wrongly, or not at all, is down: no client waits for it."""
    ill = {
        "silence": lambda: [], "garbage": lambda: [b"HTTP/1.1 200 OK\r\n\r\n"], "end of stream": lambda: ["close"],
        "AGENT-DISCONNECT": lambda: [disconnect(99, "no"), "close"], "another version": lambda: [greeting("9.0")],
        "half": lambda: [greeting().encoded()[:20]],
    }
    answers = {
        "no answer": lambda question: [],
        "not healthy": lambda question: [question.ack(health(503, "no_policy", "", None))],
        "healthy is false": lambda question: [question.ack(health(healthy=False))],
        "healthy and 503": lambda question: [question.ack(health(503, "draining"))],
        "another stream": lambda question: [question.ack(health(), stream=1)],
        "an empty answer": lambda question: [question.ack(b"")],
    }

    def well(question):
        return [question.ack(health() if question.messages[0][0] == "scopecheck-health" else verdict())]

    with Checked(way, fake=lambda stage, name: FakeAgent(stage, well, name=name)) as stage:
        def expect_down(name):
            stage.haproxy.wait_agent(1, up=False)
            began = time.monotonic()
            assert not stage.passes(), name
            assert time.monotonic() - began < 5, name
            stage.agent.greet, stage.agent.script = None, well
            stage.haproxy.wait_agent(1, up=True)

        stage.haproxy.wait_agent(1, up=True)
        assert stage.passes()
        for name, greet in ill.items():
            stage.agent.greet = greet
            expect_down(name)
        if way == "external-check":
            # scopecheck-health asks further than a HELLO.
            for name, script in answers.items():
                stage.agent.script = script
                expect_down(name)


def test_the_command_lines_of_haproxy():
    """As HAProxy 2.6 calls it for a server in a backend: no environment, a unix path with NOT_USED for its port."""
    need(HEALTH.exists(), f"`{HEALTH}` does not exist")
    with Stage() as stage:
        daemon = stage.daemon(spop=True)

        def run(*arguments):
            began = time.monotonic()
            result = subprocess.run([str(HEALTH), *arguments], env={}, cwd="/", timeout=30, close_fds=True,
                                    stdin=subprocess.DEVNULL, capture_output=True)
            assert time.monotonic() - began < 5
            return result.returncode

        arguments = ("NOT_USED", "NOT_USED", daemon.spop[5:], "NOT_USED")
        assert run(*arguments) == 0
        daemon.process.signal(signal.SIGSTOP)
        wait_until(lambda: run(*arguments) not in (0, None), "it stands still")
        daemon.process.signal(signal.SIGCONT)
        wait_until(lambda: run(*arguments) == 0, "it is well again")
        daemon.process.signal(signal.SIGTERM)
        wait_until(lambda: run(*arguments) != 0, "it drains")
        daemon.process.wait()
        assert run(*arguments) != 0


def test_a_dead_agent_costs_nobody_time():
    """Once it is down a request is denied at once, not after the processing time."""
    with Checked("spop-check") as stage:
        stage.services[0].process.signal(signal.SIGSTOP)
        try:
            stage.haproxy.wait_agent(1, up=False)
            began = time.monotonic()
            for _ in range(20):
                assert stage.haproxy.request("/v1/orders").status == 503
            assert time.monotonic() - began < 20 * stage.haproxy.processing_milliseconds / 1_000 / 2
        finally:
            stage.services[0].process.signal(signal.SIGCONT)
        back_in_time(stage, stage.token())
