"""How SPOP connections end: by a DISCONNECT of either side, by time, by who asks, and by the daemon's own end."""

import os
import pathlib
import signal
import threading
import time

from daemon import Stage, open_files, resident_kilobytes
from harness import Closed, connect, connects, free_port, need, wait_until
from spop import AGENT_DISCONNECT, AGENT_HELLO, DISCONNECT, NOTIFY, Frame, disconnect_frame, hello_frame
from spop_client import SpopClient, dial
from test_garbage import as_nobody, processor_seconds
from test_spop import Asked, config
from test_spop_connections import question


def test_disconnect_of_haproxy():
    """Answered with AGENT-DISCONNECT, then closed; what was asked before it is answered first."""
    with Asked() as stage:
        token = stage.token()
        for status in (0, 1, 2, 4, 10, 99):
            client = stage.client()
            assert client.ask(token=token).allow
            assert client.disconnect(status)[0] == 0
        client = stage.client()
        client.expect((1, 1))
        client.expect((2, 1))
        client.send(question(token, 1), question(None, 2), disconnect_frame())
        assert client.read_disconnect()[0] == 0 and not client.outstanding, client.outstanding
        # Before the handshake, and without anything in it.
        for frame in (disconnect_frame(), Frame(DISCONNECT, b"")):
            with SpopClient(stage.service.spop) as client:
                client.send(frame)
                assert client.read_disconnect()[0] == 0


def test_connections_that_stay_idle_after_the_handshake():
    """HAProxy keeps them for its own `timeout idle`, 30 s and more: they are there when it asks."""
    with Asked(config("receive_timeout: 500ms")) as stage:
        clients = [stage.client() for _ in range(10)]
        time.sleep(2.5)
        for client in clients:
            assert client.ask(token=stage.token()).allow


def test_connections_that_stay_idle_for_too_long():
    with Asked(config("idle_timeout: 1s, receive_timeout: 1s")) as stage:
        client = stage.client()
        assert client.ask(token=stage.token()).allow
        try:
            status, _ = client.read_disconnect()
            assert status in (0, 2), status
        except Closed:
            pass
        assert stage.client().ask(token=stage.token()).allow


def test_busy_connections_are_not_late():
    """A connection on which some part of the next question has always come already is not one that dawdles."""
    with Asked(config("receive_timeout: 500ms")) as stage:
        client, token = stage.client(), stage.token()
        whole = question(token, 1).encoded()
        client.socket.sendall(whole[:50])
        end = time.monotonic() + 1.5
        stream = 1
        while time.monotonic() < end:
            following = question(token, stream + 1).encoded()
            client.expect((stream, 1))
            client.socket.sendall(whole[50:] + following[:50])
            ids, verdict = client.ack()
            assert ids == (stream, 1) and verdict.allow, verdict
            whole, stream = following, stream + 1
            time.sleep(0.01)


def test_peers_that_stall_are_dropped():
    """Silent before HELLO, or within a frame, or within a fragmented question; others are answered meanwhile."""
    with Asked(config("receive_timeout: 1s")) as stage:
        token = stage.token()
        hello, asked = hello_frame().encoded(), question(token).encoded()
        first = question(token).payload[:100]
        stalled = [b"", hello[:3], hello[:-1], hello + asked[:2], hello + asked[:-1],
                   hello + Frame(NOTIFY, first, 1, 1, 0).encoded()]
        clients = []
        for data in stalled * 3:
            client = stage.raw()
            client.send(data)
            clients.append((client, data))
        other = stage.client()
        for _ in range(50):
            assert other.ask(token=token).allow
        for client, data in clients:
            try:
                while True:
                    assert client.frame().kind in (AGENT_HELLO, AGENT_DISCONNECT), data
            except Closed:
                pass
        assert other.ask(token=token).allow
        stage.service.alive()


def test_peers_that_do_not_read_are_dropped():
    with Asked(config("send_timeout: 2s")) as stage:
        token = stage.token()
        client = stage.client()
        before = resident_kilobytes(stage.service.process.pid)
        client.socket.settimeout(3)
        asked = b"".join(question(token, stream).encoded() for stream in range(1, 51))
        try:
            for _ in range(400):
                client.send(asked)
        except OSError:
            pass
        other = stage.client()
        for _ in range(50):
            assert other.ask(token=token).allow
        assert resident_kilobytes(stage.service.process.pid) < before + 32_768
        stage.service.alive()


def test_more_connections_than_there_may_be():
    with Asked(config("connections: 50, receive_timeout: 1s")) as stage:
        clients = [connect(stage.service.spop) for _ in range(200)]
        before = processor_seconds(stage.service.process.pid)
        time.sleep(1)
        assert processor_seconds(stage.service.process.pid) - before < 0.5, "it spins"
        assert open_files(stage.service.process.pid) < 150
        for client in clients:
            client.close()

        def answers():
            try:
                with dial(stage.service.spop) as client:
                    return client.ask(token=stage.token()).allow
            except (OSError, Closed):
                return False

        wait_until(answers, "it answers again")


def test_another_user_is_refused():
    """SO_PEERCRED: a uid that is not listed gets no word, even where the file's mode lets it connect."""
    need(os.geteuid() == 0, "only root can become another user", 3)
    for peers, expected in [("", False), (", peers: [0]", False), (", peers: [0, 65534]", True)]:
        with Asked(config(more='mode: "0666"' + peers)) as stage:
            assert stage.client().ask(target="/v1/healthz").allow
            address = stage.service.spop
            answered = as_nobody(lambda: dial(address).ask(target="/v1/healthz").status)
            assert (answered == 200) == expected, (peers, answered)
            stage.service.alive()


def test_the_socket_is_closed_to_strangers():
    need(os.geteuid() == 0, "only root can become another user")
    with Asked() as stage:
        path = stage.service.spop[5:]
        assert os.stat(path).st_mode & 0o777 == 0o660, oct(os.stat(path).st_mode)
        assert as_nobody(lambda: connect(stage.service.spop)) == "PermissionError"
        stage.service.terminate()
        assert not pathlib.Path(path).exists(), "the socket was left behind"


def test_tcp_listener():
    with Stage() as stage:
        port = free_port()
        daemon = stage.daemon(flags=("--spop", f"127.0.0.1:{port}"))
        wait_until(lambda: connects(f"127.0.0.1:{port}"), "it listens")
        with dial(f"127.0.0.1:{port}") as client:
            assert client.ask(token=stage.token()).allow and not client.ask().allow
            assert client.disconnect()[0] == 0
        daemon.alive()


# --- the daemon's end ----------------------------------------------------------------------------------------

def health_check(address):
    """What a health check's HELLO gets: "ok", or the status of a DISCONNECT, or "closed"."""
    with SpopClient(address) as client:
        client.send(hello_frame(healthcheck=True))
        try:
            frame = client.frame()
        except Closed:
            return "closed"
        return "ok" if frame.kind == AGENT_HELLO else frame.items()["status-code"][1]


def test_the_order_of_the_end():
    """SIGTERM: health fails at once, decisions go on for the delay, on old connections and on new ones; then the
    listener closes, every connection gets DISCONNECT with status 0, and the process ends with 0."""
    with Asked(config("drain_delay: 4s")) as stage:
        token, address = stage.token(), stage.service.spop
        client, idle = stage.client(), stage.client()
        assert client.health().healthy and health_check(address) == "ok"
        began = time.monotonic()
        stage.service.process.signal(signal.SIGTERM)
        health = wait_until(lambda: (health := client.health()).status == 503 and health, "health fails")
        assert not health.healthy and health.reason, health
        assert health_check(address) not in ("ok", "closed"), health_check(address)
        assert time.monotonic() - began < 3.5, "this machine is too slow for the rest"
        asked = 0
        with dial(address) as new:
            while time.monotonic() - began < 3:
                assert client.ask(token=token).allow and not client.ask().allow
                assert new.ask(token=token).allow
                assert health_check(address) != "ok"
                asked += 1
        assert asked > 10, asked
        for each in (client, idle):
            assert each.read_disconnect()[0] == 0
        assert stage.service.process.wait() == 0
        assert time.monotonic() - began > 3.9, "the delay was cut short"
        assert not connects(address)


def test_the_end_under_load_loses_no_question():
    """20 questions at a time in flight until the DISCONNECT comes: each that was sent before it has its answer."""
    with Asked(config("drain_delay: 1s")) as stage:
        token = stage.token()
        complaints, answered = [], []

        def run():
            client = dial(stage.service.spop)
            try:
                while True:
                    batch = [client.next_ids() for _ in range(20)]
                    for ids in batch:
                        client.expect(ids)
                    client.send(*[question(token, *ids) for ids in batch])
                    for _ in batch:
                        frame = client.frame()
                        if frame.kind == AGENT_DISCONNECT:
                            # What crosses the DISCONNECT is lost, whole batches or their ends.
                            if frame.items()["status-code"][1] != 0:
                                complaints.append(f"{frame}")
                            return
                        ids = (frame.stream, frame.number)
                        if not client.outstanding.pop(ids)(frame).allow:
                            complaints.append(f"{ids}")
                        answered.append(1)
            except BrokenPipeError:
                return
            except Exception as error:
                complaints.append(f"{type(error).__name__}: {error}")
            finally:
                client.socket.close()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answered) > 400 or complaints, "questions flow")
        assert stage.service.terminate() == 0
        for thread in threads:
            thread.join(30)
        assert not complaints and len(answered) > 400, complaints[:3]


def test_the_delay_is_for_haproxy_only():
    """Without a listener for SPOP the daemon ends at once; with one it takes the default of three seconds."""
    with Stage() as stage:
        for spop, at_least, at_most in ((False, 0, 2.5), (True, 2.5, 20)):
            daemon = stage.daemon(spop=spop, name=f"daemon-{spop}")
            daemon.alive()
            began = time.monotonic()
            assert daemon.terminate() == 0
            assert at_least <= time.monotonic() - began <= at_most, (spop, time.monotonic() - began)


def test_killed_and_started_again():
    with Asked() as stage:
        client = stage.client()
        stage.service.kill()
        client.ended()
        stage.service.start()
        assert stage.client().ask(token=stage.token()).allow


def test_connections_over_a_reload_of_the_policy():
    """The very next question on a kept connection is decided on the new policy."""
    with Asked() as stage:
        text, token, client = stage.policy.read_text(), stage.token(), stage.client()
        narrow = text.replace("match: GET /orders, scopes: orders:read", "match: GET /orders, scopes: orders:admin")
        for policy, wanted in ((narrow, False), (text, True)) * 3:
            label = stage.service.reload(policy)
            verdict = client.ask(token=token)
            assert verdict.allow == wanted and verdict.policy == label, (verdict, label)
            assert client.health().policy == label
