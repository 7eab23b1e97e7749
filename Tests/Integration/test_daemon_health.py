"""scopecheck-health where it runs: in HAProxy's jail, with odd standard streams, and beside the daemon."""

import itertools
import os
import re
import resource
import shutil
import signal
import subprocess
import time

from daemon import POLICY, Stage
from haproxy import HEALTH
from harness import Workplace, connects, free_port, need, wait_until
from health_agent import HOLD, LABEL, TAKE, GREETING, Peer, answer, check, ends, four, said
from spop_client import dial
from test_health import has_ipv6
from test_spop import config

NOT_WELL = answer(status=503, reason="draining", healthy=None)
# A user of whom there is no other process, so that a limit on them counts ours alone.
LONE_USER = 61_234


class Jail(Workplace):
    """A folder with nothing in it but the program and a peer's socket, where it runs as HAProxy runs it."""

    def __init__(self):
        super().__init__()
        need(os.geteuid() == 0, "only root can chroot", 5)
        need(HEALTH.exists(), f"`{HEALTH}` does not exist", 5)
        self.root = self.folder / "jail"
        self.root.mkdir()
        shutil.copy(HEALTH, self.root / "scopecheck-health")
        self.peer = Peer(self, address=f"unix:{self.root}/agent.sock")
        assert sorted(os.listdir(self.root)) == ["agent.sock", "scopecheck-health"]

    def enter_it(self, user=65_534, processes=None):
        os.chroot(self.root)
        os.chdir("/")
        os.setgroups([])
        if processes:
            resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
        os.setgid(user)
        os.setuid(user)

    def check(self, *arguments, **options):
        return check(*arguments, binary="/scopecheck-health", preexec_fn=lambda: self.enter_it(**options))


def test_in_an_empty_chroot():
    with Jail() as jail:
        outcome = jail.check("NOT_USED", "NOT_USED", "/agent.sock", "NOT_USED", "--verbose")
        assert (outcome.status, outcome.out) == (0, f"healthy {LABEL}\n"), outcome
        other = Peer(jail, address="127.0.0.1")
        assert jail.check(*four(other.address)).status == 0
        for heard in jail.peer.quiet() + other.quiet():
            said(heard)
        # It sees its arguments: each of these ends otherwise without them.
        for status, words, arguments in [
                (64, "there is no address", []), (64, "`--no` is no option", ["--no"]),
                (1, "number 13 or later", ["--address", "unix:/agent.sock", "--strict-version", "13"]),
                (2, "`unix:/none`: nobody accepts connections there: No such file", ["--address", "unix:/none"]),
                (2, "Connection refused", ["--address", f"127.0.0.1:{free_port()}"])]:
            outcome = jail.check(*arguments)
            assert outcome.status == status and words in outcome.err, outcome
        jail.peer.steps = [TAKE, GREETING, TAKE, NOT_WELL, HOLD]
        outcome = jail.check("--address", "unix:/agent.sock")
        assert outcome.status == 1 and "reason `draining`" in outcome.err, outcome
        jail.peer.steps = [TAKE, HOLD]
        outcome = jail.check("--address", "unix:/agent.sock", "--timeout", "200")
        assert outcome.status == 2 and "no answer in time" in outcome.err, outcome
        os.chmod(jail.root / "agent.sock", 0o600)
        outcome = jail.check("--address", "unix:/agent.sock")
        assert outcome.status == 2 and "Permission denied" in outcome.err, outcome


def test_no_children():
    """Where it may not have any: a shell cannot do its work there, the checker can."""
    with Jail() as jail:
        def alone():
            resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
            os.setgid(LONE_USER)
            os.setuid(LONE_USER)

        shell = subprocess.run(["/bin/sh", "-c", "/bin/true; /bin/true"], preexec_fn=alone, capture_output=True)
        assert shell.returncode != 0 and b"fork" in shell.stderr, shell
        outcome = jail.check("--address", "unix:/agent.sock", user=LONE_USER, processes=1)
        assert outcome.status == 0, outcome
        outcome = jail.check("--address", "unix:/none", user=LONE_USER, processes=1)
        assert outcome.status == 2, outcome


def test_needs_no_library():
    """A static executable: no interpreter is named in it."""
    need(HEALTH.exists(), f"`{HEALTH}` does not exist")
    data = HEALTH.read_bytes()
    start, size, count = (int.from_bytes(data[at:at + width], "little") for at, width in ((32, 8), (54, 2), (56, 2)))
    kinds = [int.from_bytes(data[start + index * size:][:4], "little") for index in range(count)]
    assert data[:4] == b"\x7fELF" and 1 in kinds and 3 not in kinds, kinds
    assert len(data) < 2_000_000, len(data)


# --- standard streams ----------------------------------------------------------------------------------------

def streams(arguments, closed=(), **given):
    """Its exit status with these standard streams closed or others in their place."""
    began = time.monotonic()
    given = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")} | given
    process = subprocess.Popen([str(HEALTH), *arguments], env={}, **given,
                               preexec_fn=lambda: [os.close(each) for each in closed])
    try:
        status = process.wait(20)
    finally:
        process.kill()
        process.wait()
    assert time.monotonic() - began < 10
    return status


def situations(place):
    """(exit status, arguments) of each kind, and the peers that were asked."""
    well, ill = Peer(place, name="well"), Peer(place, [TAKE, GREETING, TAKE, NOT_WELL, HOLD], name="ill")
    return [(0, ["--verbose", "--address", well.address]), (1, four(ill.address)), (0, ["--help"]), (64, ["--no"]),
            (2, ["--address", f"unix:{place.folder}/none"]), (0, ["--verbose", *four(well.address)])], (well, ill)


def test_closed_streams():
    """The socket takes the place of none of them: no message of ours goes to the agent."""
    with Workplace() as place:
        need(HEALTH.exists(), f"`{HEALTH}` does not exist")
        rows, peers = situations(place)
        for number in range(4):
            for closed in itertools.combinations((0, 1, 2), number):
                for status, arguments in rows:
                    assert streams(arguments, closed) == status, (closed, arguments)
        for peer in peers:
            heard = peer.quiet()
            assert len(heard) == 8 * (2 if peer is peers[0] else 1)
            for each in heard:
                said(each)


def test_streams_that_take_nothing():
    """A pipe that is full, a pipe without a reader, a full disk: the exit status is the answer, in time."""
    with Workplace() as place:
        need(HEALTH.exists(), f"`{HEALTH}` does not exist")
        reader, full = os.pipe()
        place.at_end(os.close, reader)
        place.at_end(os.close, full)
        os.set_blocking(full, False)
        try:
            while True:
                os.write(full, b"x" * 4_096)
        except BlockingIOError:
            os.set_blocking(full, True)
        gone, broken = os.pipe()
        os.close(gone)
        place.at_end(os.close, broken)
        no_room = os.open("/dev/full", os.O_WRONLY)
        place.at_end(os.close, no_room)
        for status, arguments in situations(place)[0]:
            for sink in (full, broken, no_room):
                assert streams(arguments, stdout=sink, stderr=sink) == status, (arguments, sink)


def test_many_at_once():
    with Workplace() as place:
        need(HEALTH.exists(), f"`{HEALTH}` does not exist")
        peer = Peer(place)
        running = [subprocess.Popen([str(HEALTH), "--timeout", "30000", "--address", peer.address], env={})
                   for _ in range(100)]
        assert {process.wait(60) for process in running} == {0}


# --- the daemon ----------------------------------------------------------------------------------------------

def test_a_daemon_that_is_well():
    with Stage() as stage:
        daemon = stage.daemon(spop=True)
        label = daemon.policy_label()
        for form in (("--address", daemon.spop), four(daemon.spop)):
            assert check(*form, "--verbose").out == f"healthy {label}\n"
        number = int(label.split(".")[0])
        assert check("--address", daemon.spop, "--strict-version", str(number)).status == 0
        ends(1, f"it serves policy `{label}`", "--address", daemon.spop, "--strict-version", str(number + 1))
        later = daemon.reload(POLICY.replace("Read orders", "See orders"))
        assert check("--address", daemon.spop, "--strict-version", str(number + 1), "--verbose").out == (
            f"healthy {later}\n")
        # Another listener of it is no agent; its answer, or its silence, is not taken for one.
        for address in (daemon.http, daemon.fastcgi, daemon.admin):
            assert check("--address", address).status == 2, address
        ends(2, "No such file", "--address", daemon.spop + "x")
        daemon.alive()
        daemon.kill()
        ends(2, "Connection refused", *four(daemon.spop))


def test_a_daemon_on_tcp():
    with Stage() as stage:
        address = f"127.0.0.1:{free_port()}"
        daemon = stage.daemon(flags=("--spop", address))
        wait_until(lambda: connects(address), "it listens")
        assert check("--address", address).status == check(*four(address)).status == 0
        daemon.kill()
        ends(2, "Connection refused", *four(address))
        if has_ipv6():
            address = f"[::1]:{free_port()}"
            daemon = stage.daemon(flags=("--spop", address), name="six")
            wait_until(lambda: connects(address), "it listens")
            assert check("--address", address).status == check(*four(address)).status == 0
            daemon.kill()


def test_a_daemon_without_a_policy():
    with Stage() as stage:
        text = re.sub(r"^policy: .*\n", "", config(), flags=re.M)
        daemon = stage.daemon(spop=True, config=text)
        for form in (("--address", daemon.spop), four(daemon.spop)):
            ends(1, "status 503; reason `no_policy`", *form)
        assert daemon.process.running()


def test_a_daemon_that_drains():
    """SIGTERM: unhealthy at once, while decisions go on; not reachable once it is gone."""
    with Stage() as stage:
        daemon = stage.daemon(spop=True, config=config("drain_delay: 4s"))
        token = stage.token()
        assert check("--address", daemon.spop).status == 0
        with dial(daemon.spop) as client:
            daemon.process.signal(signal.SIGTERM)
            began, seen = time.monotonic(), []
            wait_until(lambda: daemon.events("draining"), "it drains")
            while time.monotonic() - began < 3:
                ends(1, "reason `draining`", *four(daemon.spop))
                assert client.ask(token=token).allow
                seen.append(daemon.process.running())
            assert len(seen) > 2 and all(seen), "this machine is too slow for this test"
        assert daemon.process.wait() == 0
        ends(2, "nobody accepts connections there", *four(daemon.spop))


def test_a_daemon_that_is_stopped():
    """Frozen, it still accepts: the time is what ends the check."""
    with Stage() as stage:
        daemon = stage.daemon(spop=True)
        daemon.process.signal(signal.SIGSTOP)
        try:
            wait_until(lambda: check("--address", daemon.spop, "--timeout", "200").status == 2, "it is stopped")
            outcome = ends(2, "no answer in time while waiting for the agent's hello", *four(daemon.spop))
            assert outcome.seconds >= 0.8, outcome
        finally:
            daemon.process.signal(signal.SIGCONT)
        wait_until(lambda: check("--address", daemon.spop).status == 0, "it is well again")


def test_another_user_is_no_peer():
    """The daemon closes without a word, and the message says what to look at."""
    need(os.geteuid() == 0, "only root can become another user")
    need(HEALTH.exists(), f"`{HEALTH}` does not exist")
    with Stage() as stage:
        daemon = stage.daemon(spop=True, config=config(more='mode: "0666", peers: [0]'))

        def become():
            os.setgroups([])
            os.setgid(65_534)
            os.setuid(65_534)

        program = stage.folder / "scopecheck-health"
        shutil.copy(HEALTH, program)
        for _ in range(20):
            ends(2, "that this user may ask it", *four(daemon.spop), binary=program, preexec_fn=become)
        assert check(*four(daemon.spop)).status == 0
