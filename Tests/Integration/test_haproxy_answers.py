"""HAProxy with the shipped configuration before an agent that can answer anything, or nothing: what is not an explicit
allow never reaches the application, every denial looks as documented, and the facts are HAProxy's own."""

import threading
import time

from backend import EchoBackend
from haproxy import Haproxy
from harness import Connection, Workplace, head_bytes, need, wait_until
from spop import CREDENTIALS
from spop_agent import CHALLENGE, WRONG_ANSWERS, WRONG_GREETINGS, FakeAgent, verdict
from test_haproxy import identity


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


def allowing(question):
    return [question.ack(verdict())]


class Staged(Workplace):
    """HAProxy, a fake agent that allows everything at first, and an echo backend."""

    def __init__(self, script=allowing, edits=(), greet=None):
        super().__init__()
        self.application = EchoBackend(self)
        self.agent = FakeAgent(self, script, greet)
        self.haproxy = Haproxy(self, [self.agent.address], self.application.address, edits)

    def passes(self):
        """The agent allows again, and service is back."""
        self.agent.script, self.agent.greet = allowing, None
        wait_until(lambda: self.haproxy.request("/v1/orders").status == 200, "requests pass again")


def test_allow():
    with Staged() as stage:
        response = stage.haproxy.request("/v1/orders/7?x=1", token="t")
        assert response.status == 200 and response.json()["target"] == "/v1/orders/7?x=1", response
        seen = identity(response)
        assert seen["x-scope-decision"] == "allow" and seen["x-scope-subject"] == "alice", seen
        assert seen["x-scope-granted"] == "orders:read", seen


def test_denials():
    answers = {
        "no_token": (401, 'Bearer realm="scopecheck"', 401, "unauthorized"),
        "expired": (401, 'Bearer realm="scopecheck", error="invalid_token"', 401, "invalid_token"),
        "multiple_credentials": (400, "", 400, "invalid_request"),
        "malformed_authorization": (400, "", 400, "invalid_request"),
        "insufficient_scope": (403, CHALLENGE, 403, "insufficient_scope"),
        "unknown_route": (403, "", 403, "forbidden"),
        "no_policy": (503, "", 503, "temporarily_unavailable"),
    }

    def script(question):
        reason = question.arguments["target"].decode()[1:]
        return [question.ack(verdict(answers[reason][0], reason, answers[reason][1]))]

    with Staged(script) as stage:
        for reason, (_, challenge, status, error) in answers.items():
            response = stage.haproxy.request("/" + reason, token="t")
            assert response.status == status, (reason, response)
            assert response.header("Content-Type") == "application/json", response
            assert response.json()["error"] == error, (reason, response)
            assert response.header("WWW-Authenticate") == challenge, (reason, response)
            assert response.header("X-Scope-Audit-Id").startswith("fake-"), response
            assert response.has("Retry-After") == (status == 503), response
        assert stage.application.requests == 0


def test_wrong_answers():
    """Each on a connection that has just been allowed, so that nothing stale can serve either."""
    with Staged() as stage:
        stage.passes()
        failures = []
        for name, script in WRONG_ANSWERS.items():
            before = stage.application.requests
            with Connection(stage.haproxy.address) as connection:
                connection.send(head_bytes("/v1/orders", close=False))
                assert connection.read().status == 200, name
                stage.agent.script = script
                for _ in range(2):
                    connection.send(head_bytes("/v1/orders", close=False))
                    response = connection.read()
                    if response.status not in (400, 401, 403, 503):
                        failures.append(f"{name}: {response}")
                    if response.has("X-Evil"):
                        failures.append(f"{name}: a header by a line end")
                    if response.header("Connection").lower() == "close":
                        break
            stage.passes()
            if stage.application.requests <= before:
                failures.append(f"{name}: not back")
        assert not failures, "\n".join(failures)


def test_wrong_answers_reach_no_application():
    with Staged() as stage:
        for name, script in WRONG_ANSWERS.items():
            stage.passes()
            before = stage.application.requests
            stage.agent.script = script
            response = stage.haproxy.request("/v1/orders")
            assert response.status != 200 and stage.application.requests == before, (name, response)


def test_an_outage_is_503():
    """Silence, a closed connection, garbage: the client may come back, so 503 with Retry-After and JSON."""
    with Staged() as stage:
        for name in ("silence", "garbage", "end of stream", "AGENT-DISCONNECT", "another stream", "no FIN"):
            stage.passes()
            stage.agent.script = WRONG_ANSWERS[name]
            began = time.monotonic()
            response = stage.haproxy.request("/v1/orders")
            assert response.status == 503, (name, response)
            assert response.header("Retry-After").isdigit(), (name, response)
            assert response.json()["error"] == "temporarily_unavailable", (name, response)
            assert time.monotonic() - began < 15, "a client waits for that long"


def test_wrong_greetings():
    with Staged(greet=WRONG_GREETINGS["silence"]) as stage:
        for name, greet in WRONG_GREETINGS.items():
            stage.agent.greet = greet
            for _ in range(2):
                response = stage.haproxy.request("/v1/orders")
                assert response.status == 503, (name, response)
            assert stage.application.requests == 0, name
        stage.passes()


def test_slow_answers():
    """Within the time that the configuration gives: an allow. Beyond it: a denial, also when the allow comes late."""
    with Staged() as stage:
        stage.passes()
        allowed = stage.haproxy.processing_milliseconds / 1_000
        stage.agent.script = lambda question: [allowed / 5, question.ack(verdict())]
        assert stage.haproxy.request("/v1/orders").status == 200
        stage.agent.script = lambda question: [allowed * 2.5, question.ack(verdict())]
        before = stage.application.requests
        for _ in range(4):
            assert stage.haproxy.request("/v1/orders").status == 503
        # The late allows arrive while denials are asked for: they belong to nobody.
        stage.agent.script = lambda question: [question.ack(verdict(403, "unknown_route"))]
        end = time.monotonic() + allowed * 3 + 1
        while time.monotonic() < end:
            assert stage.haproxy.request("/v1/orders").status == 403
        assert stage.application.requests == before


def test_answers_that_are_reordered():
    """Many in flight on few connections, answered in any order: each client gets its own."""
    def script(question):
        target = question.arguments["target"].decode()
        number = int(target.rpartition("/")[2])
        return [(number * 7 % 5) / 50, question.ack(
            verdict(subject=f"subject-{number}") if number % 2 else verdict(403, "unknown_route"))]

    with Staged(script) as stage:
        complaints = []

        def run(first):
            with Connection(stage.haproxy.address) as connection:
                for number in range(first, first + 20):
                    connection.send(head_bytes(f"/v1/orders/{number}", close=False))
                    response = connection.read()
                    if response.status != (200 if number % 2 else 403):
                        complaints.append((number, response))
                    elif number % 2 and identity(response)["x-scope-subject"] != f"subject-{number}":
                        complaints.append((number, identity(response)))

        threads = [threading.Thread(target=run, args=(first * 100,)) for first in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not complaints, complaints[:3]
        assert stage.agent.connections < 100, stage.agent.connections


def test_the_facts_are_what_haproxy_saw():
    with Staged() as stage:
        port = int(stage.haproxy.address.rpartition(":")[2])
        response = stage.haproxy.request("/v1/a%20b?x=/y", "DELETE", host="API.example.com:1", token="t", headers=[
            ("Cookie", "a=b"), ("Origin", "https://a.example"), ("DPoP", "proof"),
            ("Access-Control-Request-Method", "PUT"), ("Sec-WebSocket-Protocol", "p, q"),
            ("method", "forged"), ("target", "forged"), ("SC-Target", "forged")])
        assert response.status == 200, response
        asked = stage.agent.questions[-1]
        assert [name for name, _ in asked.messages] == ["scopecheck-http"], asked.messages
        names = [name for name, _ in asked.messages[0][1]]
        assert len(names) == len(set(names)), names
        facts = asked.arguments
        assert b"forged" not in facts.values()
        wanted = {"method": b"DELETE", "target": b"/v1/a%20b?x=/y", "path": b"/v1/a%20b", "host": b"API.example.com:1",
                  "host_count": 1, "scheme": b"http", "port": port, "authorization": b"Bearer t", "dpop": b"proof",
                  "origin": b"https://a.example", "access_control_request_method": b"PUT", "cookie": b"a=b",
                  "websocket_protocol": b"p, q"} | {name + "_count": 1 for name in CREDENTIALS}
        for name, value in wanted.items():
            assert facts.get(name) == value, (name, facts.get(name))
        assert str(facts["client_address"]) == "127.0.0.1" and facts["request_id"], facts
        # Absent ones are NULL with a count of 0, and a second one is counted.
        stage.haproxy.request("/v1/orders", headers=[("DPoP", "one"), ("DPoP", "two"), ("Authorization", "a, b"),
                                                     ("Authorization", "c")])
        facts = stage.agent.questions[-1].arguments
        assert facts["dpop_count"] == 2 and facts["authorization_count"] == 2, facts
        for name in ("origin", "cookie", "access_control_request_method", "websocket_protocol"):
            assert facts[name] is None and facts[name + "_count"] == 0, (name, facts)
        # What is asked is what the application gets: an absolute target is made one of this host first.
        response = stage.haproxy.request("http://api.example.com/v1/orders?x")
        facts = stage.agent.questions[-1].arguments
        assert facts["target"].decode() == response.json()["target"] == "/v1/orders?x", (facts, response)
        assert facts["path"] == b"/v1/orders" and facts["host"] == b"api.example.com", facts


def test_two_answers_for_one_question():
    """HAProxy 2.6 takes the first; 3.1 and later let the second win, so that the daemon must never send one."""
    with Staged() as stage:
        need(stage.haproxy.version() < (3, 1), "this HAProxy applies every answer")
        stage.passes()
        denied = verdict(403, "insufficient_scope", CHALLENGE)
        stage.agent.script = lambda question: [question.ack(denied), question.ack(verdict())]
        with Connection(stage.haproxy.address) as connection:
            for _ in range(20):
                connection.send(head_bytes("/v1/orders", close=False))
                assert connection.read().status == 403
        stage.passes()


def test_one_question_for_each_request():
    with Staged() as stage:
        stage.passes()
        before = len(stage.agent.questions)
        with Connection(stage.haproxy.address) as connection:
            for number in range(50):
                connection.send(head_bytes("/v1/orders", close=False))
                assert connection.read().status == 200
        assert len(stage.agent.questions) - before == 50
        assert len({question.arguments["request_id"] for question in stage.agent.questions[before:]}) == 50


def test_values_of_any_kind_in_headers():
    """What an agent sends as identity is set as it is, or not at all; it never becomes a header of its own."""
    with Staged() as stage:
        for value in ("a b", "x" * 2_000, "%41%0d%0a", "a,b; c", "a\r\nX-Evil: 1", "\"q\"", ""):
            stage.agent.script = lambda question: [question.ack(verdict(subject=value))]
            response = stage.haproxy.request("/v1/orders", headers=[("X-Scope-Subject", "forged")])
            if response.status == 200:
                names = [name.lower() for name, _ in response.json()["headers"]]
                assert "x-evil" not in names and "forged" not in identity(response).get("x-scope-subject", ""), response
                if "\r" not in value:
                    assert identity(response).get("x-scope-subject", "") == value, response
            else:
                assert "\r" in value, (value, response)
