"""The listener that takes publications only: who may deliver there may do nothing else, and holds up nobody."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import issuer
from daemon import SERVE, cli, open_files
from harness import HERE, Settings, connect, connects, need, request, wait_until
from test_garbage import as_nobody, garbage, send_and_forget
from test_publish import CREATE, ROUTES, Publisher, body, signed, statement

CONFIG = f"policy: {{folder}}/policy.yaml\n{SERVE}" + """\
publications: {{ address: "unix:{folder}/publications.sock"MORE }}
"""
ONLY = "takes publications only"


class Apart(Publisher):
    """A daemon with a listener for publications, to which they go."""

    def __init__(self, more="", **options):
        super().__init__(config=CONFIG.replace("MORE", more), **options)
        self.publications = f"unix:{self.folder}/publications.sock"
        self.socket = pathlib.Path(self.publications.removeprefix("unix:"))

    def ready(self):
        self.served.wait_ready([*self.served.listeners(), self.publications])

    def log_of_changes(self):
        return cli("policy", "log", "--admin", self.served.admin, "--json", check=0)[1]


def test_publishing():
    with Apart() as stage:
        proposal = stage.publish(ROUTES + CREATE, check=3)[1]["proposal"]
        assert stage.reason() == "unknown_host" and [row["id"] for row in stage.proposals()] == [proposal["id"]]
        stage.approve(proposal)
        assert stage.reason("POST") == "granted"
        _, answer = stage.publish(ROUTES, check=0)
        assert answer["state"] == "active" and stage.reason("POST") == "method_not_allowed", answer
        stage.refused("bad_signature", key=stage.make_key("other")[0])
        stage.refused("outside_path", ROUTES.replace("/v1", "/v2"))
        older = signed(statement(serial=1), stage.signer[0])
        assert stage.post("/policy/publications", body(older))[1]["reason"] == "replayed"
        _, answer = stage.publish(None, "--withdraw", check=0)
        assert answer["state"] == "withdrawn" and stage.reason() == "publication_ended", answer
        # The admin socket takes them as before, and both count the same serials.
        stage.publish(ROUTES, "--address", stage.served.admin, check=0)
        cli("publish", "--service", "orders", "--key", stage.signer[0], "--admin", stage.publications,
            stage.write("published.yaml", ROUTES), check=0)
        _, _, err = cli("publish", "--service", "orders", "--key", stage.signer[0], "--admin", stage.publications,
                        "--address", stage.publications, stage.folder / "published.yaml", check=64)
        assert "not both" in err, err
        assert stage.reason() == "granted"
        listed = {row["protocol"]: row["address"] for row in stage.served.status()["listeners"]}
        assert listed["publications"] == stage.publications and "admin" in listed, listed


def test_nothing_else_is_answered():
    with Apart() as stage:
        stage.install()
        waiting = stage.publish(ROUTES + CREATE, check=3)[1]["proposal"]
        changes, label = stage.log_of_changes(), stage.served.policy_label()
        asked = ["--method", "GET", "--target", "/v1/orders", "--host", "orders.example.com"]
        for command in (["policy", "approve", waiting["id"], "-m", "x"], ["policy", "reject", waiting["id"], "-m", "x"],
                        ["policy", "rollback", "-m", "x"], ["policy", "apply", stage.policy, "-m", "x"],
                        ["policy", "proposals"], ["policy", "log"], ["policy", "show", "active"],
                        ["policy", "export", "active", "--to", "-"], ["policy", "shadow"],
                        ["policy", "shadow", "active"], ["policy", "plan", "active", stage.policy], ["status"],
                        ["explain", *asked], ["revocations"],
                        ["revoke", "--client", "c", "--issuer", issuer.ISSUER, "--reason", "x"]):
            status, out, err = cli(*command, "--admin", stage.publications)
            assert status == 2 and "give the daemon's admin address" in err and not out, (command, status, out, err)
            assert ONLY in err or command[0] == "explain", err
        for path in ("/", "/status", "/policy/log", "/policy/proposals", "/revocations", "/explain", "/jwks.json"):
            answer = request(stage.publications, path, host="localhost")
            assert answer.status == 404 and ONLY in answer.text, answer
        decision = json.dumps({"id": waiting["id"], "note": "x", "author": "root"}).encode()
        for path in ("/policy/proposals/approve", "/policy/proposals/reject", "/policy/rollback", "/policy/versions",
                     "/revocations", "/policy/publications/../proposals/approve", "/policy/publications?x",
                     "//policy/proposals/approve", "/policy/proposals/%61pprove"):
            status, answer = stage.post(path, decision)
            assert status == 404 and ONLY in answer["error"], (path, status, answer)
        # A large policy too is told where it belongs, not that it is large.
        status, answer = stage.post("/policy/versions", b"x" * (5 << 20))
        assert status == 404 and ONLY in answer["error"], answer
        assert stage.log_of_changes() == changes and stage.served.policy_label() == label
        assert [row["id"] for row in stage.proposals()] == [waiting["id"]]
        assert not stage.served.status()["revocations"]


def test_whoever_delivers_slowly_holds_up_no_command():
    with Apart() as stage:
        stage.install()
        waiting = stage.publish(ROUTES + CREATE, check=3)[1]["proposal"]
        # With a serial that nobody has used, so that each goes as far as its signature.
        ahead = int((time.time() + 3_600) * 1000)
        forged = body(signed(statement(serial=ahead), stage.make_key("forger")[0]))
        stop = threading.Event()
        head = ("POST /policy/publications HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n"
                f"Content-Length: {4 << 20}\r\n\r\n").encode()

        def flood(number):
            """Connections without a word, heads without a body, and forged publications, one after the other."""
            while not stop.is_set():
                try:
                    if number % 3 == 2:
                        stage.post("/policy/publications", forged)
                        continue
                    with connect(stage.publications, timeout=5) as peer:
                        if number % 3 == 1:
                            peer.sendall(head)
                        stop.wait(0.5)
                except OSError:
                    continue

        threads = [threading.Thread(target=flood, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                assert stage.approve(waiting)["state"] == "active" and stage.reason("POST") == "granted"
                cli("policy", "rollback", "--admin", stage.served.admin, "-m", "back", check=0)
                assert stage.reason("POST") == "method_not_allowed" and stage.served.status()
                waiting = stage.publish(ROUTES + CREATE, "--address", stage.served.admin, check=3)[1]["proposal"]
            assert stage.served.events("publication_refused"), "there was no flood"
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        wait_until(lambda: stage.post("/policy/publications", forged)[0] == 403, "publications are looked at again")
        stage.publish(ROUTES, check=0)
        assert stage.reason() == "granted"


def test_garbage():
    with Apart() as stage:
        stage.served.alive()
        assert stage.post("/policy/publications", b"x")[0] == 400
        before = open_files(stage.served.process.pid)
        for number, data in enumerate(garbage(11)):
            got = send_and_forget(stage.publications, data)
            assert b"HTTP/1.1 2" not in got, (number, data[:200], got[:200])
        wait_until(lambda: open_files(stage.served.process.pid) <= before + 4, "its connections are closed")
        stage.publish(check=3)


def test_who_may_deliver():
    """The socket's mode and group say it, and `peers` where it is given; the command says what is to be done."""
    need(os.geteuid() == 0, "only root can become another user")
    rows = [("", "forbidden"), (', mode: "0666"', "delivered"), (", group: nogroup", "delivered"),
            (', mode: "0666", peers: [0]', "closed"), (', mode: "0666", peers: ["65534"]', "delivered"),
            (', mode: "0600", peers: ["65534"]', "forbidden")]
    for more, expected in rows:
        with Apart(more) as stage:
            stage.ready()
            answered = as_nobody(lambda: request(stage.publications, "/status", host="localhost").status)
            assert answered in {"delivered": [404], "forbidden": ["PermissionError"],
                                "closed": ["Closed", "ConnectionResetError", "BrokenPipeError"]}[expected], (
                                    more, answered)
            stage.signer[0].chmod(0o644)
            result = subprocess.run(
                [Settings.binary, "publish", "--service", "orders", "--key", stage.signer[0], "--address",
                 stage.publications, stage.write("published.yaml", ROUTES)],
                user=65534, group=65534, extra_groups=[], text=True, capture_output=True)
            wanted = {"delivered": (3, "waits for approval"), "forbidden": (2, "added to the group"),
                      "closed": (2, "added to the `peers`")}[expected]
            assert result.returncode == wanted[0] and wanted[1] in result.stdout + result.stderr, (more, result)
            assert len(stage.proposals()) == (expected == "delivered"), more


def test_nobody_there():
    with Apart() as stage:
        status, _, err = cli("publish", "--service", "orders", "--key", stage.signer[0], "--address",
                             f"unix:{stage.folder}/none.sock", stage.write("published.yaml", ROUTES))
        assert status == 2 and "no daemon listens" in err and "nothing is known to be changed" in err, err
        status, _, err = cli("publish", "--service", "orders", "--key", stage.signer[0], "--address",
                             stage.served.http, stage.folder / "published.yaml")
        assert status == 2 and "give the address of the daemon's `publications`" in err, err


def test_it_comes_and_goes_with_the_daemon():
    with Apart(name="first") as stage:
        stage.ready()
        inode = stage.socket.stat().st_ino
        stage.served.process.signal(signal.SIGHUP)
        stage.served.reload(stage.policy_text() + "# changed\n", hangup=True)
        assert stage.socket.stat().st_ino == inode and connects(stage.publications)
        # Whoever has connected and says nothing does not keep the daemon.
        with connect(stage.publications):
            assert stage.served.terminate() == 0, stage.served.log_text()
        assert not stage.socket.exists()
        stage.served.start()
        stage.served.kill()
        assert stage.socket.exists()
        # One that nobody answers on is replaced.
        stage.served.start()
        stage.publish(check=3)


def test_without_the_setting_there_is_none():
    with Publisher() as stage:
        assert {row["protocol"] for row in stage.served.status()["listeners"]} == {"fastcgi", "http", "admin"}
        stage.publish(check=3)


def test_the_service_manager_may_hold_it():
    with Apart() as stage:
        stage.served.terminate()
        with socket.socket(socket.AF_UNIX) as held:
            held.bind(str(stage.socket))
            held.listen(16)
            stage.served = stage.daemon(
                name="held", config=CONFIG.replace("MORE", ""), pass_fds=[held.fileno()],
                launcher=(sys.executable, HERE / "activate.py", f"publications={held.fileno()}", "--"))
            assert stage.publish()[0] == 3
            assert not stage.served.events("socket_unused")
            assert stage.served.terminate() == 0
            assert stage.socket.exists(), "it is the service manager's"


def test_over_tcp_from_this_machine():
    with Apart() as stage:
        stage.served.terminate()
        config = CONFIG.replace("unix:{folder}/publications.sock", "127.0.0.1:0").replace("MORE", "")
        stage.served = stage.daemon(name="tcp", config=config)
        listed = {row["protocol"]: row["address"] for row in stage.served.status()["listeners"]}
        stage.publications = listed["publications"]
        stage.publish(check=3)
        # A page in a browser: whatever it sends, it says where it comes from.
        answer = request(stage.publications, "/policy/publications", method="POST", host="127.0.0.1", body=b"{}\nx",
                         headers=[("Origin", "https://evil.example"), ("Content-Type", "application/octet-stream")])
        assert answer.status == 403, answer
