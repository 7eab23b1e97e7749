"""`scopecheck policy apply`, `log`, `show`, `rollback` and `export` against a running daemon, and what a policy file
may still do beside them."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import threading
import time

from backend import EchoBackend
from daemon import POLICY, SERVE, Stage, cli
from haproxy import Haproxy
from harness import Connection, Load, Nginx, connect, need, program, request, wait_until
from lmdb_files import activate_again, logged

READ = "match: GET /orders, scopes: orders:read"
NARROW = POLICY.replace(READ, "match: GET /orders, scopes: orders:admin")
SPOP = 'spop: {{ address: "{spop}" }}\n'
# Applies under load; each is durable, so that a slow disk makes many of them long.
APPLIES = int(os.environ.get("SCOPECHECK_APPLIES", "1000"))


def digest(label):
    return label.split(".")[1]


class Versions(Stage):
    """A daemon without a policy file, and files to be applied."""

    def __init__(self, config=SERVE, **options):
        super().__init__()
        self.service = self.daemon(config=config, **options)
        self.wide = self.write("wide/policy.yaml", POLICY)
        self.narrow = self.write("narrow/policy.yaml", NARROW)
        for folder in ("wide", "narrow"):
            self.write(f"{folder}/jwks.json", (self.folder / "jwks.json").read_text())

    def place(self):
        return ["--admin", self.service.admin]

    def apply(self, path, *arguments, note="because", check=0):
        code, out, error = cli("policy", "apply", path, "-m", note, *self.place(), "--json", *arguments)
        assert code == check, (code, out, error)
        return json.loads(out) if code == 0 else out + error

    def rollback(self, *arguments, check=0):
        code, out, error = cli("policy", "rollback", *arguments, "-m", "it was wrong", *self.place(), "--json")
        assert code == check, (code, out, error)
        return json.loads(out) if code == 0 else out + error

    def log(self, *arguments):
        _, out, _ = cli("policy", "log", *self.place(), "--json", *arguments, check=0)
        return [json.loads(line) for line in out.splitlines()]

    def status_of(self, token=None):
        return self.service.ask("/v1/orders", token=token or self.token()).status


def test_apply_log_show_and_rollback():
    with Versions() as stage:
        assert stage.status_of() == 503
        first = stage.apply(stage.wide, note="the first one")
        assert (first["number"], first["unchanged"]) == (1, False) and "previous" not in first, first
        assert first["label"] == stage.service.policy_label() == f"1.{first['version'][:16]}"
        # The keys lie beside the policy that was applied, not beside the daemon's own files.
        assert stage.status_of() == 200
        second = stage.apply(stage.narrow, "--author", "bo", note="narrower")
        assert (second["number"], second["previous"]) == (2, first["version"]), second
        assert stage.status_of() == 403
        # The same once more changes nothing.
        assert stage.apply(stage.narrow) == {**second, "unchanged": True}
        back = stage.rollback()
        assert (back["number"], back["version"], back["previous"]) == (3, first["version"], second["version"]), back
        assert stage.service.policy_label() == back["label"] and stage.status_of() == 200
        # Once more must not bring the version back that was left.
        assert "policy log" in stage.rollback(check=2)
        forth = stage.rollback("2")
        assert forth["version"] == second["version"] and stage.status_of() == 403
        assert stage.rollback("1")["version"] == first["version"] and stage.status_of() == 200
        assert stage.rollback(second["version"][:8])["version"] == second["version"]
        assert stage.rollback(first["label"])["number"] == 7
        assert "decides already" in stage.rollback("active", check=2)
        entries = stage.log()
        assert [one["number"] for one in entries] == [7, 6, 5, 4, 3, 2, 1], entries
        assert [one["kind"] for one in entries] == ["rollback"] * 5 + ["apply"] * 2, entries
        assert entries[-1]["note"] == "the first one" and entries[-2]["note"] == "narrower", entries
        assert entries[-2]["author"] == f"bo (uid {os.geteuid()})", entries
        assert entries[0]["active"] and not entries[1]["active"], entries
        assert [one["number"] for one in stage.log("-n", "2")] == [7, 6]
        _, text, _ = cli("policy", "log", *stage.place(), check=0)
        assert "narrower" in text and "(decides)" in text.splitlines()[0], text
        _, out, _ = cli("policy", "show", "2", *stage.place(), "--json", check=0)
        shown = json.loads(out)
        assert shown["version"] == second["version"] and shown["parent"] == first["version"], shown
        assert shown["note"] == "narrower" and shown["folder"] == str(stage.folder / "narrow"), shown
        _, out, _ = cli("policy", "show", first["label"], "--source", *stage.place(), check=0)
        assert out == POLICY
        for operand in ("77", "1." + "0" * 16, "0" * 64, "abc", "nothing"):
            code, _, error = cli("policy", "show", operand, *stage.place())
            assert code == 2 and "policy log" in error, (operand, error)
        stage.service.alive()


def test_no_file_takes_the_place_of_a_version():
    with Versions() as stage:
        made = stage.apply(stage.narrow)
        here = stage.folder / "checkout"
        for name in ("active", "1", made["label"], made["version"], made["version"][:8]):
            (here / name).mkdir(parents=True)
            (here / name / "policy.yaml").write_text(POLICY)
            cli("policy", "plan", name, f"./{name}", *stage.place(), check=3, folder=here)
            cli("policy", "plan", f"./{name}", f"./{name}", *stage.place(), check=0, folder=here)


def test_a_log_whose_oldest_entries_are_gone():
    """The newest 10,000 stay, and of older ones what a rollback needs; numbers go on."""
    with Versions() as stage:
        first = stage.apply(stage.wide, note="the first one")
        stage.apply(stage.narrow)
        assert stage.service.terminate() == 0
        activate_again(stage.folder / "store", 11_200)
        stage.service.start()
        assert stage.service.policy_label().startswith("11202.") and stage.status_of() == 403
        _, _, error = cli("policy", "log", "-n", "12000", *stage.place(), check=0)
        assert error == "", error
        # That change is what the oldest go with.
        third = stage.apply(stage.write("wide/policy.yaml", POLICY + "# third\n"))
        assert third["number"] == 11_203
        assert [one["number"] for one in stage.log("-n", "12000")] == [*range(11_203, 1_203, -1), 1]
        _, out, error = cli("policy", "log", "-n", "12000", *stage.place(), "--json", check=0)
        assert "1202 activations are not in the log any more" in error and "not in the log" not in out, error
        # Whoever does not look that far back is not told.
        _, out, error = cli("policy", "log", "-n", "2", *stage.place(), check=0)
        assert error == "" and len(out.splitlines()) == 2, (out, error)
        page = request(stage.service.admin, "/policy/log?before=1205", "GET", "localhost").json()
        assert [one["number"] for one in page["activations"]] == [1204, 1], page
        assert page["dropped"] == 1_202 and "next" not in page and "staged" not in page, page
        page = request(stage.service.admin, "/policy/log?limit=2", "GET", "localhost").json()
        assert "dropped" not in page and page["next"] == 11_202 and page["staged"] == [], page
        code, _, error = cli("policy", "show", "5", *stage.place())
        assert code == 2 and "policy log" in error, error
        # Back, and further back, over a restart.
        assert stage.rollback()["number"] == 11_204 and stage.status_of() == 403
        stage.service.kill()
        stage.service.start()
        back = stage.rollback()
        assert (back["number"], back["version"]) == (11_205, first["version"]) and stage.status_of() == 200
        assert "policy log" in stage.rollback(check=2)
        assert stage.service.terminate() == 0
        numbers = logged(stage.folder / "store")
        assert numbers[0] == 1 and numbers[-1] == 11_205 and len(numbers) == 10_003, (numbers[:3], len(numbers))


def test_export():
    with Versions() as stage:
        stage.apply(stage.narrow)
        _, out, _ = cli("policy", "export", "active", "--to", "-", *stage.place(), check=0)
        assert out == NARROW
        target = stage.folder / "out/below"
        cli("policy", "export", "1", "--to", f"{target}/", *stage.place(), check=0)
        _, _, error = cli("policy", "export", "1", "--to", f"{target}/", *stage.place(), check=2)
        assert f"`{target}/policy.yaml` is there already" in error, error
        assert (target / "policy.yaml").read_text() == NARROW
        (target / "policy.yaml").write_text("mine")
        code, _, error = cli("policy", "export", "1", "--to", target, *stage.place())
        assert code == 2 and "--force" in error, error
        assert (target / "policy.yaml").read_text() == "mine"
        cli("policy", "export", "1", "--to", target, "--force", *stage.place(), check=0)
        assert (target / "policy.yaml").read_text() == NARROW


def test_a_bad_policy_changes_nothing():
    with Versions() as stage:
        label = stage.apply(stage.wide)["label"]
        for text in (POLICY + "\nsurprise: 1\n", POLICY.replace(READ, READ.replace("read", "reed")),
                     POLICY + "\n  - [", ""):
            stage.write("bad.yaml", text)
            code, out, error = cli("policy", "apply", stage.folder / "bad.yaml", "-m", "bad", *stage.place())
            assert code == 1 and "bad.yaml" in out, (code, out, error)
        # Whoever goes round the command meets the same checks in the daemon.
        line = json.dumps({"folder": str(stage.folder), "note": "x"}).encode() + b"\n"
        for body, status in (
                (line + b"scopecheck: 1\nsurprise: 1\n", 422), (line + b"scopecheck bundle 1\nfile 9999 a.yaml\n", 422),
                (line, 422), (b"{}\n" + POLICY.encode(), 400), (b"[]\n", 400), (b"no line end", 400),
                (b'{"folder":"relative"}\n' + POLICY.encode(), 400), (b'{"folder":"/a","else":1}\n', 400),
                (b"x" * 300_000, 400)):
            response = post(stage, "/policy/versions", body)
            assert response.status == status, (body[:60], response)
            assert "error" in response.json(), response
        assert stage.service.policy_label() == label and stage.status_of() == 200
        # A policy's own tests count.
        stage.write("failing.yaml", POLICY + (
            "tests:\n  - { request: GET https://api.example.com/v1/orders, scopes: [files:read], expect: allow }\n"))
        code, out, _ = cli("policy", "apply", stage.folder / "failing.yaml", "-m", "bad", *stage.place())
        assert code == 1 and "insufficient_scope" in out, out
        assert not (stage.folder / "store/apply.spool").exists()


def post(stage, path, body, headers=(), kind="application/octet-stream"):
    return request(stage.service.admin, path, "POST", "localhost",
                   headers=[("Content-Type", kind), *headers], body=body)


def test_hostile_requests():
    with Versions() as stage:
        label = stage.apply(stage.wide)["label"]
        line = json.dumps({"folder": str(stage.folder)}).encode() + b"\n"
        good = line + NARROW.encode()
        assert post(stage, "/policy/versions", good, [("Origin", "https://evil.example.com")]).status == 403
        assert post(stage, "/policy/versions", good, kind="text/plain").status == 415
        assert post(stage, "/policy/rollback", b"{}" + b" " * 300_000).status == 413
        assert post(stage, "/policy/versions", b"").status == 411
        assert post(stage, "/policy/elsewhere", good).status in (404, 405)
        # Every head that does not say one plain length.
        head = b"POST /policy/versions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
        for more in (b"Content-Length: 5\r\nContent-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
                     b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: +5\r\n",
                     b"Content-Length: 999999999\r\n", b"Content-Length: 9999999999\r\n"):
            with Connection(stage.service.admin) as connection:
                connection.send(head + more + b"\r\n")
                assert 400 <= connection.read().status < 600, more
        # One that says more than it sends, and one that sends more than it says.
        with Connection(stage.service.admin) as connection:
            connection.send(head + b"Content-Length: 100\r\n\r\n" + line[:20])
            connection.socket.shutdown(socket.SHUT_WR)
            assert connection.read().status == 400
        with Connection(stage.service.admin) as connection:
            connection.send(head + b"Content-Length: 3\r\n\r\n" + line)
            assert connection.read().status == 400
        wait_until(lambda: not (stage.folder / "store/apply.spool").exists(), "the spool file is gone")
        assert stage.service.policy_label() == label and len(stage.log()) == 1
        stage.service.alive()


def test_one_at_a_time():
    """A second bundle is told so at once, a rollback is not held up, and a slow sender holds nobody up for long."""
    with Versions() as stage:
        first, second = stage.apply(stage.wide), stage.apply(stage.narrow)
        head = (b"POST /policy/versions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Length: 5000\r\n\r\n")
        with Connection(stage.service.admin) as slow:
            slow.send(head + b'{"folder":"/tmp"')
            wait_until(lambda: (stage.folder / "store/apply.spool").exists(), "the first is being taken in")
            refused = post(stage, "/policy/versions", b'{"folder":"/tmp"}\n' + POLICY.encode())
            assert refused.status == 409 and refused.json()["reason"] == "busy", refused
            assert stage.rollback()["version"] == first["version"]
            assert stage.service.status()["policy"]["number"] == 3
            # It says nothing more: a few seconds, and its place is free again.
            assert slow.read().status == 408
        assert stage.apply(stage.narrow)["version"] == second["version"]
        assert not (stage.folder / "store/apply.spool").exists()


def test_bodies_that_trickle_in_hold_nobody_up():
    """Each byte comes in time, and all of them would take hours."""
    with Versions() as stage:
        first, _ = stage.apply(stage.wide), stage.apply(stage.narrow)
        head = (b"POST /policy/rollback HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Length: 4000\r\n\r\n")
        ended = threading.Event()
        slow = [stage.enter(Connection(stage.service.admin)) for _ in range(4)]
        for one in slow:
            one.send(head)

        def trickle():
            while not ended.wait(0.3):
                for one in slow:
                    with contextlib.suppress(OSError):  # it has been answered by now
                        one.send(b" ")

        sender = threading.Thread(target=trickle)
        sender.start()
        try:
            wait_until(lambda: cli("policy", "rollback", "-m", "held up", *stage.place())[0] == 0, "a rollback has its turn")
            assert all(one.read().status == 408 for one in slow)
        finally:
            ended.set()
            sender.join()
        assert stage.service.policy_label().endswith(first["version"][:16])


def test_a_large_body_does_not_stand_in_memory():
    with Versions() as stage:
        stage.apply(stage.wide)
        peak = lambda: int(next(line.split()[1] for line in open(f"/proc/{stage.service.process.pid}/status")
                                if line.startswith("VmHWM:")))
        before = peak()
        # Comments: large to take in, and nothing to compile; then a line that is no YAML.
        filler = b"# " + b"x" * 98 + b"\n"
        body = json.dumps({"folder": "/tmp"}).encode() + b"\n" + POLICY.encode() + filler * 1_000_000 + b"\t- [\n"
        response = post(stage, "/policy/versions", body)
        assert response.status in (422, 503), response
        grown = peak() - before
        assert grown < 30_000, f"{grown} kB more for a body of {len(body) >> 10} kB"
        assert not (stage.folder / "store/apply.spool").exists()
        stage.service.alive()


def test_leftover_spool_files_are_removed():
    with Versions() as stage:
        assert stage.service.terminate() == 0
        (stage.folder / "store/apply.spool").write_text("left behind")
        stage.service.start()
        assert not (stage.folder / "store/apply.spool").exists()


def test_without_a_daemon():
    with Versions() as stage:
        first = stage.apply(stage.wide)
        store = ["--store", stage.folder / "store"]
        code, _, error = cli("policy", "apply", stage.narrow, "-m", "no", *store)
        assert code == 2 and "daemon" in error, error
        assert stage.service.terminate() == 0
        code, _, error = cli("policy", "apply", stage.narrow, "-m", "no", *stage.place())
        assert code == 2 and "no daemon listens" in error, error
        _, out, _ = cli("policy", "apply", stage.narrow, "-m", "in the files", *store, "--json", check=0)
        second = json.loads(out)
        assert (second["number"], second["previous"]) == (2, first["version"]), second
        _, out, _ = cli("policy", "log", *store, check=0)
        assert "in the files" in out.splitlines()[0], out
        stage.service.start()
        assert stage.service.policy_label() == second["label"] and stage.status_of() == 403
        assert stage.service.terminate() == 0
        cli("policy", "rollback", "-m", "back", *store, check=0)
        stage.service.start()
        assert digest(stage.service.policy_label()) == first["version"][:16] and stage.status_of() == 200
        code, _, error = cli("policy", "log", "--store", stage.folder / "nowhere")
        assert code == 2 and "nowhere" in error, error


def test_staged_versions_do_not_decide():
    with Versions() as stage:
        label = stage.apply(stage.wide)["label"]
        staged = stage.apply(stage.narrow, "--stage")
        assert staged["staged"] and not staged["active"] and stage.service.policy_label() == label
        first, kept = stage.log()
        assert first["label"] == label and kept["staged"] and kept["version"] == staged["version"], kept
        assert kept["note"] == "because", kept
        _, text, _ = cli("policy", "log", *stage.place(), check=0)
        assert text.splitlines()[1].startswith(f"staged  {staged['version'][:16]}  "), text
        _, out, _ = cli("policy", "show", staged["version"][:12], "--source", *stage.place(), check=0)
        assert out == NARROW
        _, text, _ = cli("policy", "apply", stage.narrow, "-m", "again", "--stage", *stage.place(), check=0)
        assert f"scopecheck policy rollback {staged['version'][:16]} --admin {stage.service.admin} -m WHY" in text, text
        assert f"scopecheck policy shadow {staged['version'][:16]} --admin {stage.service.admin}\n" in text, text
        assert stage.rollback(staged["version"][:16])["number"] == 2
        assert stage.status_of() == 403 and not any("staged" in entry for entry in stage.log())
        # What decides is not staged.
        assert stage.apply(stage.narrow, "--stage")["active"]
        _, text, _ = cli("policy", "apply", stage.narrow, "-m", "again", "--stage", *stage.place(), check=0)
        assert "decides already" in text and "not in force" not in text, text


def test_staged_versions_in_the_files_of_a_store():
    with Versions() as stage:
        stage.apply(stage.wide)
        assert stage.service.terminate() == 0
        store = ["--store", stage.folder / "store"]
        _, out, _ = cli("policy", "apply", stage.narrow, "-m", "later", "--stage", "--json", *store, check=0)
        version = json.loads(out)["version"]
        os.symlink(stage.folder / "store", stage.folder / "it's here")
        quoted = str(stage.folder / "it's here").replace("'", "'\\''")
        _, out, _ = cli("policy", "apply", stage.narrow, "-m", "later", "--stage",
                        "--store", stage.folder / "it's here", check=0)
        assert f"rollback {version[:16]} --store '{quoted}' -m WHY" in out and "policy shadow" not in out, out
        _, out, _ = cli("policy", "log", *store, check=0)
        assert out.splitlines()[1].startswith(f"staged  {version[:16]}  "), out
        _, out, _ = cli("policy", "apply", stage.wide, "-m", "w", "--stage", *store, check=0)
        assert "decides already" in out, out
        cli("policy", "rollback", version[:16], "-m", "now", *store, check=0)
        stage.service.start()
        assert digest(stage.service.policy_label()) == version[:16] and stage.status_of() == 403


def test_signatures_that_nobody_asked_for():
    with Versions() as stage:
        signed = stage.write("signed", "not even read")
        assert stage.apply(stage.wide, "--signatures", signed)["signatures"] == "ignored"
        _, out, _ = cli("policy", "apply", stage.narrow, "-m", "w", "--signatures", signed, *stage.place(), check=0)
        assert "were not looked at" in out, out
        assert "signatures" not in stage.apply(stage.wide)


# --- the policy file beside them -----------------------------------------------------------------------------

def test_every_reload_has_an_outcome():
    with Stage() as stage:
        daemon = stage.daemon()
        daemon.process.signal(signal.SIGHUP)
        wait_until(lambda: daemon.events("policy_unchanged"), "nothing has changed, and the log says so")
        assert "over" not in daemon.events("policy_unchanged")[-1]["message"]
        stage.replace("policy.yaml", POLICY + "nonsense: 1\nmore: 2\n")
        wait_until(lambda: "refused" in daemon.status()["policy"], "the file is refused")
        _, text, _ = cli("status", "--address", daemon.admin, check=0)
        lines = text.splitlines()
        place = next(number for number, line in enumerate(lines) if "the policy `" in line and "was refused" in line)
        assert lines[place + 1].startswith("             ") and lines[place + 2].startswith("             "), text
        stage.replace("policy.yaml", POLICY)
        wait_until(lambda: "is over" in daemon.events("policy_unchanged")[-1]["message"], "the refusal is over")
        assert "refused" not in daemon.status()["policy"]


def test_a_second_daemon_says_that_it_waits():
    with Stage() as stage:
        first = stage.daemon()
        second = stage.start(first.command, "second")
        wait_until(lambda: "waiting up to 10 s" in second.text(), "the second daemon says what it waits for")
        second.signal(signal.SIGKILL)
        first.alive()


def test_a_file_that_was_rolled_back_stays_away():
    with Stage() as stage:
        daemon = stage.daemon()
        place = ["--admin", daemon.admin]
        wide = daemon.policy_label()
        narrow = daemon.reload(NARROW)
        cli("policy", "rollback", "-m", "wrong", *place, check=0)
        back = daemon.policy_label()
        assert digest(back) == digest(wide) and daemon.ask("/v1/orders", token=stage.token()).status == 200

        def held(why):
            assert daemon.policy_label() == back, why
            assert daemon.status()["policy"]["held_back"].startswith(digest(narrow)), daemon.status()["policy"]

        # SIGHUP, the same file renamed into place, and a restart.
        for why in ("SIGHUP", "rename"):
            count = len(daemon.events("policy_file_held_back"))
            if why == "rename":
                stage.replace("policy.yaml", NARROW)
            else:
                daemon.process.signal(signal.SIGHUP)
            wait_until(lambda: len(daemon.events("policy_file_held_back")) > count, why)
            held(why)
        _, text, _ = cli("status", *place, check=0)
        assert "is held back" in text and "was refused at" not in text, text
        for clean in (True, False):
            count = len(daemon.events("policy_file_held_back"))
            daemon.terminate() if clean else daemon.kill()
            daemon.start()
            assert len(daemon.events("policy_file_held_back")) > count
            held("restart")
        assert "policy apply" in daemon.events("policy_file_held_back")[-1]["message"]
        # A change releases it, and then its old content is a change too.
        other = daemon.reload(NARROW + "# changed\n")
        assert "held_back" not in daemon.status()["policy"]
        assert digest(daemon.reload(NARROW)) == digest(narrow) != digest(other)


def test_apply_beside_a_file():
    with Stage() as stage:
        daemon = stage.daemon()
        place = ["--admin", daemon.admin]
        narrow = stage.write("narrow.yaml", NARROW)
        cli("policy", "apply", narrow, "-m", "by hand", *place, check=0)
        applied = daemon.policy_label()
        assert daemon.ask("/v1/orders", token=stage.token()).status == 403
        daemon.kill()
        daemon.start()
        # A restart does not bring the file's version back.
        assert daemon.policy_label() == applied
        # Applying what the file holds releases it.
        cli("policy", "apply", stage.policy, "-m", "as the file", *place, check=0)
        assert "held_back" not in daemon.status()["policy"]
        label = daemon.policy_label()
        daemon.kill()
        daemon.start()
        assert daemon.policy_label() == label


def test_changes_from_all_sides_at_once():
    """Each caller is told exactly the activation that it made, and numbers have no gap."""
    with Stage() as stage:
        daemon = stage.daemon()
        place = ["--admin", daemon.admin]
        files = [stage.write(f"p{number}.yaml", POLICY + f"# {number}\n") for number in range(3)]
        answers, lock = [], threading.Lock()

        def one(number):
            for turn in range(6):
                if number == 3:
                    code, out, error = cli("policy", "rollback", "-m", "x", *place, "--json")
                else:
                    code, out, error = cli("policy", "apply", files[number], "-m", f"{number}", *place, "--json")
                with lock:
                    answers.append((code, json.loads(out) if code == 0 else error))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for turn in range(6):
            stage.replace("policy.yaml", POLICY + f"# file {turn}\n")
            time.sleep(0.2)
        for thread in threads:
            thread.join()
        odd = [answer for code, answer in answers
               if code and "another policy is being applied" not in answer and "decides already" not in answer
               and "no other version decided" not in answer
               # A rollback is a step back from what decided when it was asked for.
               and "another policy came into force meanwhile" not in answer]
        assert not odd, odd
        _, out, _ = cli("policy", "log", *place, "--json", "-n", "500", check=0)
        # A version that was overtaken is stored, and has no number.
        log = {one["number"]: one for one in map(json.loads, out.splitlines()) if "number" in one}
        assert sorted(log) == list(range(1, max(log) + 1)), sorted(log)
        made = [answer for code, answer in answers if code == 0 and not answer["unchanged"]]
        assert len({answer["number"] for answer in made}) == len(made), made
        for answer in made:
            entry = log[answer["number"]]
            assert (entry["version"], entry.get("previous")) == (answer["version"], answer.get("previous")), answer
            assert entry["kind"] in ("apply", "rollback"), entry
        for number, entry in log.items():
            assert number == 1 or entry["previous"] == log[number - 1]["version"], entry
        daemon.alive()


# --- load ----------------------------------------------------------------------------------------------------

def test_a_thousand_applies_under_load():
    """nginx and HAProxy ask while versions change; every answer must be right for the version that it names."""
    need(program("nginx") and program("haproxy"), "nginx and HAProxy are needed")
    with Versions(config=SERVE + SPOP, spop=True) as stage:
        # Which of three routes is open differs from version to version.
        paths = ["/v1/orders", "/v1/orders/7", "/v1/files/a"]
        rules = ["GET /orders, scopes: orders:read", "\"GET /orders/{order}\", scopes: orders:read",
                 "GET /files/**, scopes: files:read"]
        right = {}
        for pattern in range(8):
            text = POLICY
            for bit, rule in enumerate(rules):
                if not pattern >> bit & 1:
                    text = text.replace(f"match: {rule} ", f"match: {rule.split(' scopes:')[0]} scopes: support:admin ")
            path = stage.write(f"v{pattern}/policy.yaml", text)
            stage.write(f"v{pattern}/jwks.json", (stage.folder / "jwks.json").read_text())
            right[stage.apply(path)["version"][:16]] = pattern
        assert len(right) == 8
        labels = {pattern: version for version, pattern in right.items()}
        token = stage.token("orders:read files:read")
        echo = EchoBackend(stage)
        haproxy = Haproxy(stage, [stage.service.spop], echo.address)
        fronts = [Nginx(stage, "http", stage.service.http, echo.address, name="n1"),
                  Nginx(stage, "fastcgi", stage.service.fastcgi, echo.address, name="n2"), haproxy]
        wait_until(lambda: haproxy.request("/v1/orders").status == 401, "HAProxy's agent is up")
        turns = iter(range(1 << 40))

        def each(number):
            response = fronts[number % 3].request(paths[next(turns) % 3], token=token)
            return None if response.status in (200, 403) else f"{number % 3}: {response}"

        started = time.monotonic()
        with Load(each, threads=3) as load:
            for turn in range(APPLIES):
                # The bundle is known after the first time: what is measured is the change, not the compiler.
                pattern = (turn * 5 + 3) % 8
                line = json.dumps({"folder": str(stage.folder / f"v{pattern}"), "note": f"{turn}"}).encode() + b"\n"
                source = (stage.folder / f"v{pattern}/policy.yaml").read_bytes()
                response = post(stage, "/policy/versions", line + source)
                assert response.status == 200, response
                answer = response.json()
                assert answer["version"].startswith(labels[pattern]), answer
        seconds = time.monotonic() - started
        assert not load.complaints, (len(load.complaints), load.complaints[:5])
        # The proxies' own logs say which version each answer names.
        def decided():
            """Without those that were asked before the load; a proxy logs an answer after it was sent."""
            return [(number, line) for number, front in enumerate(fronts) for line in front.log()
                    if line["target"] in paths and line["policy"] not in ("", "-") and int(line["status"]) != 401]

        wait_until(lambda: len(decided()) >= load.count, "all requests are in the logs")
        seen = {}
        for number, line in decided():
            pattern = right[digest(line["policy"])]
            wanted = 200 if pattern >> paths.index(line["target"]) & 1 else 403
            assert int(line["status"]) == wanted, line
            seen[number, wanted] = seen.get((number, wanted), 0) + 1
        assert load.count <= sum(seen.values()) <= load.count + 6, (load.count, seen)
        for number in range(3):
            for status in (200, 403):
                assert seen.get((number, status), 0) > 20, seen
        versions = {line["policy"] for front in fronts for line in front.log()}
        assert len(versions) > min(APPLIES, 50) // 2, versions
        print(f"{APPLIES} applies in {seconds:.0f} s, {load.count} requests … ", end="", flush=True)
