"""Agents that are killed, stopped, restarted, lost or away, and HAProxy that is reloaded: never an unauthorised request
through, and service back in the time that the configuration says."""

import contextlib
import os
import signal
import threading
import time

from backend import EchoBackend
from daemon import Stage
from haproxy import Haproxy
from harness import Closed, Connection, Load, head_bytes, wait_until
from test_haproxy import Proxied

# A loaded machine, and a health check that has just begun.
SLACK_SECONDS = 10


class Traffic(Load):
    """Good and bad requests in turn. A good one may be 200 or, while `outage` is True, 503; a bad one never 200."""

    def __init__(self, stage, threads=4):
        self.stage, self.outage = stage, False
        self.good, self.bad = stage.token(), stage.token("files:read")
        self.seen, self._seen_lock = {}, threading.Lock()
        super().__init__(self._request, threads=threads)

    def _request(self, number):
        allowed = number % 2 == 0
        outage_before = self.outage
        response = self.stage.haproxy.request("/v1/orders", token=self.good if allowed else self.bad)
        with self._seen_lock:
            key = (allowed, response.status)
            self.seen[key] = self.seen.get(key, 0) + 1
        wanted = {200 if allowed else 403} | ({503} if outage_before or self.outage else set())
        return None if response.status in wanted else f"{(allowed, sorted(wanted))} {response}"

    def count_of(self, allowed, status):
        return self.seen.get((allowed, status), 0)

    def wait_for(self, allowed, status, more, what):
        wanted = self.count_of(allowed, status) + more
        wait_until(lambda: self.count_of(allowed, status) >= wanted, what, 60)

    def failures(self):
        return sum(count for (_, status), count in self.seen.items() if status == 503)

    @contextlib.contextmanager
    def losing_at_most_what_is_in_flight(self):
        """One agent of two goes: what it had been asked and not answered fails, nothing else."""
        before, self.outage = self.failures(), True
        yield
        self.outage = False
        # A request that began before this line may still fail after it. Beyond what was asked already, each thread of
        # HAProxy may hand one question to a kept connection whose end it has not read yet.
        lost, most = self.failures() - before, len(self._threads) + os.cpu_count()
        assert lost <= most, f"{lost} requests failed, {most} were in flight at the most"

    def check(self):
        assert not self.complaints, (len(self.complaints), self.count, self.complaints[:3])
        assert not self.seen.get((False, 200)), self.seen


def back_in_time(stage, token):
    """Waits until requests pass; fails when that takes longer than the checks need."""
    limit = stage.haproxy.rise_milliseconds / 1_000 + SLACK_SECONDS
    began = time.monotonic()
    wait_until(lambda: stage.haproxy.request("/v1/orders", token=token).status == 200, "service is back", limit)
    return time.monotonic() - began


def test_killed_and_started_again():
    with Proxied() as stage:
        token = stage.token()
        stage.expect(200, "granted", "/v1/orders", token=token)
        stage.service.kill()
        before = stage.application.requests
        for _ in range(5):
            for target in ("/v1/orders", "/v1/healthz"):
                response = stage.haproxy.request(target, token=token)
                assert response.status == 503 and response.has("Retry-After"), response
                assert response.json()["error"] == "temporarily_unavailable", response
        assert stage.application.requests == before
        stage.haproxy.wait_agent(1, up=False)
        assert stage.haproxy.request("/v1/orders", token=token).status == 503
        stage.service.start()
        back_in_time(stage, token)
        stage.haproxy.wait_agent(1, up=True)


def test_stopped():
    """SIGSTOP: every request costs at most the processing time, none passes; then all is as before."""
    with Proxied() as stage:
        token = stage.token()
        stage.expect(200, "granted", "/v1/orders", token=token)
        stage.service.process.signal(signal.SIGSTOP)
        state = lambda: open(f"/proc/{stage.service.process.pid}/stat").read().rsplit(")", 1)[1].split()[0]
        wait_until(lambda: state() == "T", "every thread has stopped")
        try:
            before, began = stage.application.requests, time.monotonic()
            for _ in range(3):
                response = stage.haproxy.request("/v1/orders", token=token)
                assert response.status == 503, response
            assert time.monotonic() - began < 3 * stage.haproxy.processing_milliseconds / 1_000 + SLACK_SECONDS
            stage.haproxy.wait_agent(1, up=False)
            assert stage.haproxy.request("/v1/orders", token=token).status == 503
            assert stage.application.requests == before
        finally:
            stage.service.process.signal(signal.SIGCONT)
        back_in_time(stage, token)
        # What was asked while it stood still is answered late, to nobody.
        for _ in range(20):
            assert stage.haproxy.request("/v1/orders").status == 401


def test_killed_and_restarted_under_load():
    with Proxied() as stage:
        with Traffic(stage) as traffic:
            for _ in range(3):
                traffic.wait_for(True, 200, 50, "requests pass")
                traffic.outage = True
                stage.service.kill()
                traffic.wait_for(True, 503, 10, "requests fail")
                traffic.wait_for(False, 503, 1, "bad requests fail too")
                stage.service.start()
                back_in_time(stage, traffic.good)
                traffic.wait_for(True, 200, 50, "requests pass again")
            traffic.outage = False
        traffic.check()
        assert traffic.seen.get((False, 403)), traffic.seen


def test_stopped_under_load():
    with Proxied() as stage:
        with Traffic(stage) as traffic:
            traffic.wait_for(True, 200, 50, "requests pass")
            for _ in range(2):
                traffic.outage = True
                stage.service.process.signal(signal.SIGSTOP)
                traffic.wait_for(True, 503, 4, "requests fail")
                stage.service.process.signal(signal.SIGCONT)
                back_in_time(stage, traffic.good)
                traffic.wait_for(True, 200, 50, "requests pass again")
        traffic.check()


def test_no_agent_at_all():
    """HAProxy starts before any agent is there: 503 for everybody, until one comes."""
    with Stage() as stage:
        stage.application = EchoBackend(stage)
        stage.haproxy = Haproxy(stage, [f"unix:{stage.folder}/daemon-p.sock"], stage.application.address)
        token = stage.token()
        for _ in range(3):
            for target in ("/v1/orders", "/v1/healthz"):
                assert stage.haproxy.request(target, token=token).status == 503
        stage.haproxy.wait_agent(1, up=False)
        assert stage.haproxy.request("/v1/orders", token=token).status == 503
        assert stage.application.requests == 0
        stage.daemon(spop=True)
        back_in_time(stage, token)


# --- two agents ----------------------------------------------------------------------------------------------

class Paired(Stage):
    """Two daemons on the same policy behind one HAProxy, as shipped."""

    def __init__(self, **options):
        super().__init__()
        self.application = EchoBackend(self)
        self.services = [self.daemon(spop=True, name=f"agent{number}") for number in (1, 2)]
        self.haproxy = Haproxy(self, [service.spop for service in self.services], self.application.address, **options)
        # HAProxy keeps its connections to agents, so one request after the other goes to the same one.
        with Traffic(self, threads=8):
            wait_until(lambda: all(int(self.haproxy.agent(number)["stot"]) for number in (1, 2)),
                       "both agents are asked")


def test_two_agents_one_killed():
    """No request fails but those that were in flight at the one that died."""
    with Paired() as stage:
        with Traffic(stage) as traffic:
            for victim in (stage.services[0], stage.services[1]):
                number = stage.services.index(victim) + 1
                traffic.wait_for(True, 200, 100, "requests pass")
                with traffic.losing_at_most_what_is_in_flight():
                    victim.kill()
                    stage.haproxy.wait_agent(number, up=False)
                traffic.wait_for(True, 200, 100, "requests pass with one agent")
                victim.start()
                stage.haproxy.wait_agent(number, up=True)
        traffic.check()


def test_two_agents_one_stopped():
    """SIGSTOP: what is asked of it fails after the processing time, until the checks take it out."""
    with Paired() as stage:
        with Traffic(stage) as traffic:
            traffic.wait_for(True, 200, 100, "requests pass")
            traffic.outage = True
            stage.services[0].process.signal(signal.SIGSTOP)
            try:
                stage.haproxy.wait_agent(1, up=False)
                # What it still had is lost with the processing time.
                time.sleep(stage.haproxy.processing_milliseconds / 1_000 * 2)
                traffic.outage = False
                traffic.wait_for(True, 200, 200, "requests pass with one agent")
            finally:
                stage.services[0].process.signal(signal.SIGCONT)
            stage.haproxy.wait_agent(1, up=True)
        traffic.check()


def test_two_agents_upgraded_one_after_the_other():
    """SIGTERM: health fails first, decisions go on meanwhile. Only a question that crosses the DISCONNECT is lost."""
    with Paired() as stage:
        with Traffic(stage) as traffic:
            for service in stage.services:
                number = stage.services.index(service) + 1
                traffic.wait_for(True, 200, 100, "requests pass")
                with traffic.losing_at_most_what_is_in_flight():
                    assert service.terminate() == 0
                    traffic.wait_for(True, 200, 100, "requests pass with one agent")
                service.start()
                stage.haproxy.wait_agent(number, up=True)
        traffic.check()


def test_as_shipped_with_one_daemon():
    """The second agent of the shipped file is not there: the first answers everything, from the first request on."""
    with Stage() as stage:
        stage.application = EchoBackend(stage)
        service = stage.daemon(spop=True)
        stage.haproxy = Haproxy(stage, [service.spop, f"unix:{stage.folder}/nobody.sock"], stage.application.address)
        token = stage.token()
        for number in range(100):
            response = stage.haproxy.request("/v1/orders", token=token)
            assert response.status == 200, (number, response)
        stage.haproxy.wait_agent(2, up=False)
        for _ in range(20):
            assert stage.haproxy.request("/v1/orders", token=token).status == 200
            assert stage.haproxy.request("/v1/orders").status == 401


# --- HAProxy's own reload ------------------------------------------------------------------------------------

def test_haproxy_reloaded_under_load():
    """Not one request fails, and the agent is left with no connection of the old workers."""
    with Proxied() as stage:
        with Traffic(stage) as traffic:
            for _ in range(5):
                traffic.wait_for(True, 200, 50, "requests pass")
                stage.haproxy.reload()
            traffic.wait_for(True, 200, 50, "requests pass at the end")
        traffic.check()
        stage.service.alive()
        used = len(os.listdir(f"/proc/{stage.service.process.pid}/fd"))
        assert used < 200, used


def test_a_kept_connection_over_a_restart_of_the_agent():
    """One client connection all the time: 200, then 503 or a closed connection, then 200; 401 never turns into 200."""
    with Proxied() as stage:
        token, seen = stage.token(), []

        def ask(connection, good):
            connection.send(head_bytes("/v1/orders", token=token if good else None, close=False))
            response = connection.read()
            seen.append((good, response.status))
            return response.status

        with Connection(stage.haproxy.address) as connection:
            for _ in range(10):
                assert ask(connection, True) == 200 and ask(connection, False) == 401
            stage.service.kill()
            for turn in range(10):
                try:
                    assert ask(connection, turn % 2 == 0) == 503
                except (Closed, OSError):
                    connection.close()
                    connection.__init__(stage.haproxy.address)
            stage.service.start()
            back_in_time(stage, token)
            connection.close()
            connection.__init__(stage.haproxy.address)
            for _ in range(10):
                assert ask(connection, True) == 200 and ask(connection, False) == 401
        assert (False, 200) not in seen
