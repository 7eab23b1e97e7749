"""Kills at every step of a write, a full disk and a full map: the store is whole, old or new, never between, and can be
written to again.

The failpoints are in debug builds only: SCOPECHECK_DEBUG_BINARY, or .build/debug/scopecheck."""

import json
import os
import pathlib
import resource
import signal
import subprocess

from daemon import POLICY, SERVE, Stage, cli
from harness import ROOT, Settings, need, request, wait_until
from lmdb_files import activate_again, logged

DEBUG = pathlib.Path(os.environ.get("SCOPECHECK_DEBUG_BINARY", ROOT / ".build/debug/scopecheck"))
NARROW = POLICY.replace("match: GET /orders, scopes: orders:read", "match: GET /orders, scopes: orders:admin")
STAGES = ("before", "inside", "after")
ADD = [f"{step}.{stage}" for step in ("add-begin", "add-source", "add-tables", "add-record") for stage in STAGES]
ACTIVATE = [f"activate.{stage}" for stage in STAGES] + ["activate-pointer.before", "activate-pointer.after"]
ROLLBACK = [f"rollback.{stage}" for stage in STAGES]
PRUNE = [f"{step}.{stage}" for step in ("prune-record", "prune-source", "prune-tables") for stage in STAGES]


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


class Crashes(Stage):
    def __init__(self):
        super().__init__()
        need(DEBUG.exists(), f"`{DEBUG}` does not exist; `swift build` makes it", cases=1)
        self.store = self.folder / "store"
        self.store.mkdir()
        self.wide = self.write("wide.yaml", POLICY)
        self.narrow = self.write("narrow.yaml", NARROW)

    def run(self, *arguments, failpoint=None, limit=None, check=0):
        environment = {**os.environ, **({"SCOPECHECK_FAILPOINT": failpoint} if failpoint else {})}
        prepare = None
        if limit is not None:
            # What a full disk does at a byte of one's choosing.
            def prepare():
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        result = subprocess.run([str(DEBUG), "policy", *map(str, arguments), "--store", str(self.store)], text=True,
                                capture_output=True, env=environment, preexec_fn=prepare, timeout=120)
        assert result.returncode == check, (arguments, failpoint, result)
        return result.stdout + result.stderr

    def apply(self, path, **options):
        return self.run("apply", path, "-m", "x", **options)

    def log(self):
        """What has decided; a version that was stored and then not activated stands in the log as staged."""
        lines = [json.loads(line) for line in self.run("log", "--json").splitlines()]
        return [line for line in lines if "staged" not in line]

    def whole(self):
        """Opens the store anew: what decides can be shown and is what its source says; numbers have no gap."""
        log = self.log()
        assert [one["number"] for one in log] == list(range(len(log), 0, -1)), log
        for number, one in enumerate(reversed(log)):
            assert number == 0 or one["previous"] == log[len(log) - number]["version"], log
        if log:
            shown = json.loads(self.run("show", log[0]["version"], "--json"))
            assert shown["active"] and shown["stored"], shown
            self.run("remake", log[0]["version"])
            assert self.run("show", "active", "--source") in (POLICY, NARROW) or len(log) > 2
        return log


@table([(name,) for name in ADD + ACTIVATE])
def test_apply_is_killed(name):
    with Crashes() as stage:
        stage.apply(stage.wide)
        before = stage.whole()
        stage.apply(stage.narrow, failpoint=name, check=-signal.SIGKILL)
        after = stage.whole()
        # Durable exactly when the write that moves the pointer has returned.
        assert len(after) == (2 if name == "activate.after" else 1), (name, after)
        assert after[-1] == {**before[0], "active": len(after) == 1}
        stage.apply(stage.narrow)
        assert len(stage.whole()) == 2 and stage.run("show", "active", "--source") == NARROW


@table([(name,) for name in ADD + ACTIVATE])
def test_the_first_apply_is_killed(name):
    with Crashes() as stage:
        stage.apply(stage.narrow, failpoint=name, check=-signal.SIGKILL)
        assert len(stage.whole()) == (1 if name == "activate.after" else 0)
        stage.apply(stage.narrow)
        assert len(stage.whole()) == 1


@table([(name,) for name in ROLLBACK])
def test_rollback_is_killed(name):
    with Crashes() as stage:
        stage.apply(stage.wide)
        stage.apply(stage.narrow)
        stage.run("rollback", "-m", "x", failpoint=name, check=-signal.SIGKILL)
        moved = name == "rollback.after"
        assert len(stage.whole()) == (3 if moved else 2)
        assert stage.run("show", "active", "--source") == (POLICY if moved else NARROW)
        # A rollback that has happened is not undone by another one, but by name.
        stage.run("rollback", *(["2"] if moved else []), "-m", "x")
        assert stage.run("show", "active", "--source") == (NARROW if moved else POLICY)


@table([(name,) for name in PRUNE])
def test_a_daemon_is_killed_while_it_prunes(name):
    """After a change it removes the oldest versions; and with them what unfinished ones have left."""
    with Crashes() as stage:
        for number in range(18):
            stage.apply(stage.write("more.yaml", POLICY + f"# {number}\n"))
        # One that is cut off on its way leaves source and tables behind.
        stage.apply(stage.write("cut.yaml", POLICY + "# cut\n"), failpoint="add-record.before", check=-signal.SIGKILL)
        Settings.binary, kept = DEBUG, Settings.binary
        try:
            daemon = stage.daemon(config=SERVE, environment={"SCOPECHECK_FAILPOINT": name})
        finally:
            Settings.binary = kept
        body = json.dumps({"folder": str(stage.folder)}).encode() + b"\n" + NARROW.encode()
        try:
            answer = request(daemon.admin, "/policy/versions", "POST", "localhost",
                    headers=[("Content-Type", "application/octet-stream")], body=body)
        except Exception:
            answer = None  # it is killed before it answers
        assert answer is None, answer
        assert daemon.process.wait() == -signal.SIGKILL, daemon.log_text()
        log = stage.whole()
        assert len(log) == 19 and stage.run("show", "active", "--source") == NARROW
        # What it did not finish, the next one does.
        daemon.command[0] = DEBUG
        daemon.environment = None
        daemon.start()
        assert daemon.ask("/v1/orders", token=stage.token()).status == 403
        answer = request(daemon.admin, "/policy/versions", "POST", "localhost",
                         headers=[("Content-Type", "application/octet-stream")],
                         body=body.replace(NARROW.encode(), POLICY.encode()))
        assert answer.status == 200, answer
        assert daemon.ask("/v1/orders", token=stage.token()).status == 200
        assert daemon.terminate() == 0
        assert len(stage.whole()) == 20


@table([(f"prune-log.{stage}",) for stage in STAGES])
def test_a_daemon_is_killed_while_it_shortens_the_log(name):
    with Crashes() as stage:
        for path in (stage.wide, stage.narrow):
            stage.apply(path)
        activate_again(stage.store, 11_500)
        Settings.binary, kept = DEBUG, Settings.binary
        try:
            daemon = stage.daemon(config=SERVE, environment={"SCOPECHECK_FAILPOINT": name})
        finally:
            Settings.binary = kept
        daemon.command[0] = DEBUG

        def apply(text):
            body = json.dumps({"folder": str(stage.folder)}).encode() + b"\n" + text.encode()
            return request(daemon.admin, "/policy/versions", "POST", "localhost",
                           headers=[("Content-Type", "application/octet-stream")], body=body)

        try:
            answer = apply(NARROW + "# another\n")
        except Exception:
            answer = None  # it is killed before it answers
        assert answer is None and daemon.process.wait() == -signal.SIGKILL, daemon.log_text()
        numbers = logged(stage.store)
        # The oldest but the one that says when the wide one decided, as many as go at once; or all are there still.
        gone = [one for one in range(1, 11_504) if one not in set(numbers)]
        assert gone == (list(range(2, 1_002)) if name.endswith("after") else []), (len(gone), gone[:3])
        daemon.environment = None
        daemon.start()
        assert daemon.ask("/v1/orders", token=stage.token()).status == 403
        answer = apply(NARROW + "# third\n")
        assert answer.status == 200 and answer.json()["number"] == 11_504, answer
        assert daemon.terminate() == 0
        # What is left of it is less than what the log is looked through for.
        oldest = 1_002 if name.endswith("after") else 1_505
        assert logged(stage.store) == [1, *range(oldest, 11_505)]


@table([("activate.before",), ("activate.inside",), ("activate.after",), ("rollback.before",), ("rollback.inside",),
        ("rollback.after",)])
def test_a_daemon_is_killed_at_the_pointer(name):
    """With the policy file of the daemon: what is held back belongs to the same write as the pointer."""
    with Crashes() as stage:
        stage.policy.write_text(POLICY)
        Settings.binary, kept = DEBUG, Settings.binary
        try:
            daemon = stage.daemon()
            daemon.reload(NARROW)
            assert daemon.terminate() == 0
            daemon.environment = {"SCOPECHECK_FAILPOINT": name}
            daemon.start()
            if name.startswith("activate"):
                change = ["apply", stage.wide]
            else:
                change = ["rollback"]
            cli("policy", *change, "-m", "x", "--admin", daemon.admin, check=2)
            assert daemon.process.wait() == -signal.SIGKILL, daemon.log_text()
            daemon.environment = None
            daemon.start()
            moved = name.endswith(".after")
            assert daemon.ask("/v1/orders", token=stage.token()).status == (200 if moved else 403)
            # The file holds the narrow one still.
            assert ("held_back" in daemon.status()["policy"]) == moved, daemon.status()["policy"]
            assert int(daemon.policy_label().split(".")[0]) == (3 if moved else 2)
        finally:
            Settings.binary = kept


# --- no more room --------------------------------------------------------------------------------------------

def test_a_full_disk():
    with Crashes() as stage:
        stage.apply(stage.wide)
        before = stage.whole()
        size = (stage.store / "data.mdb").stat().st_size
        large = stage.write("large.yaml", POLICY + "# filler\n" * 100_000)
        refused = 0
        for more in (0, 4_096, 65_536, 300_000):
            text = stage.apply(large, limit=size + more, check=2)
            assert "nothing was changed" in text or "no space" in text.lower() or "file too large" in text.lower(), text
            assert stage.whole() == before
            refused += 1
        assert refused == 4
        stage.apply(large)
        assert len(stage.log()) == 2


def test_a_full_disk_under_a_daemon():
    """The daemon's own write and the file that a policy comes in by."""
    with Crashes() as stage:
        launcher = ["sh", "-c", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""]
        daemon = stage.daemon(config=SERVE, launcher=launcher)
        place = ["--admin", daemon.admin]
        cli("policy", "apply", stage.wide, "-m", "x", *place, check=0)
        label = daemon.policy_label()
        # 2 MiB is the limit.
        large = stage.write("large.yaml", POLICY + "# filler\n" * 700_000)
        code, _, error = cli("policy", "apply", large, "-m", "x", *place)
        assert code == 2 and ("file too large" in error.lower() or "make room" in error), (code, error)
        assert not (stage.store / "apply.spool").exists()
        assert daemon.policy_label() == label and daemon.ask("/v1/orders", token=stage.token()).status == 200
        middle = stage.write("middle.yaml", POLICY + "# filler\n" * 200_000)
        code, _, error = cli("policy", "apply", middle, "-m", "x", *place)
        assert code in (0, 2) and daemon.ask("/v1/orders", token=stage.token()).status == 200, error
        daemon.alive()


def test_a_full_map():
    with Crashes() as stage:
        daemon = stage.daemon(config=SERVE + "store_map_bytes: 2MiB\n")
        place = ["--admin", daemon.admin]
        cli("policy", "apply", stage.wide, "-m", "x", *place, check=0)
        label = daemon.policy_label()
        large = stage.write("large.yaml", POLICY + "# filler\n" * 300_000)
        code, _, error = cli("policy", "apply", large, "-m", "x", *place)
        assert code == 2 and "map is full" in error and "larger map size" in error, (code, error)
        assert daemon.policy_label() == label and daemon.ask("/v1/orders", token=stage.token()).status == 200
        # There is room for a small one still.
        cli("policy", "apply", stage.narrow, "-m", "x", *place, check=0)
        wait_until(lambda: daemon.ask("/v1/orders", token=stage.token()).status == 403, "the small one decides")
        daemon.alive()
