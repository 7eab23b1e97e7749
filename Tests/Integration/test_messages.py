"""What is said when something is not as it should be: who, where, and what to do next."""

import os
import pty
import pwd
import shutil
import subprocess

from daemon import POLICY, SERVE, Stage, cli
from harness import Settings, ask, facts, need, wait_until
from test_garbage import as_nobody

NOBODY = 65_534
WITH_DOCUMENTS = SERVE + 'documents: {{ address: "unix:{folder}/d.sock" }}\npolicy: {folder}/policy.yaml\n'


def only_root(cases=1):
    need(os.geteuid() == 0, "only root can become another user", cases)


def for_everybody(stage):
    """A copy of the program that every user may run."""
    program = stage.folder / "scopecheck"
    if not program.exists():
        shutil.copy(Settings.binary, program)
        program.chmod(0o755)
    return program


def cli_as_nobody(stage, *arguments, check):
    result = subprocess.run([str(for_everybody(stage)), *map(str, arguments)], text=True, capture_output=True,
                            timeout=60, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
    assert result.returncode == check, (arguments, result)
    return result.stdout, result.stderr


def test_root_leaves_no_files_in_the_store_of_another_user():
    only_root()
    try:
        name = pwd.getpwuid(NOBODY).pw_name
    except KeyError:
        name = "'#65534'"
    with Stage() as stage:
        store = stage.folder / "store"
        store.mkdir()
        os.chown(store, NOBODY, NOBODY)
        for words in (["policy", "apply", stage.policy, "-m", "first"], ["policy", "log"], ["policy", "rollback", "-m", "x"],
                      ["policy", "show", "active"], ["revocations"],
                      ["revoke", "--issuer", "https://id.example.com", "--key", "k"]):
            _, out, err = cli(*words, "--store", store, check=2)
            assert "belongs to" in err and f"sudo -u {name} scopecheck" in err and out == "", (words, out, err)
            assert list(store.iterdir()) == [], (words, list(store.iterdir()))
        # What the message says to do works, and the daemon's user can go on.
        stage.folder.joinpath("jwks.json").chmod(0o644)
        cli_as_nobody(stage, "policy", "apply", stage.policy, "-m", "first", "--store", store, check=0)
        cli_as_nobody(stage, "policy", "log", "--store", store, check=0)
        assert all(path.stat().st_uid == NOBODY for path in store.iterdir())
        # A store of root's own is root's to open.
        own = stage.folder / "own"
        own.mkdir()
        cli("policy", "apply", stage.policy, "-m", "first", "--store", own, check=0)


def converse(path, lines, *options):
    """`policy init` on a terminal: (exit status, what it said)."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([str(Settings.binary), "policy", "init", "--output", str(path), *options], stdin=theirs,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    os.write(ours, lines.encode())
    _, err = child.communicate(timeout=60)
    os.close(ours)
    return child.returncode, err


def test_init_looks_at_each_answer_at_once():
    with Stage() as stage:
        path = stage.folder / "first.yaml"
        status, err = converse(path, "id.example.com\nhttps://id.example.com\nhttps://api.example.com/x\n"
                               "api.example.com\n\n")
        assert status == 0 and "is no https URL" in err, err
        assert "is a URL; give its host alone, `api.example.com`" in err, err
        assert "[https://api.example.com]" in err and "https://https" not in err, err
        assert "hosts: [api.example.com]" in path.read_text()
        # Nothing is asked for a file that cannot be written.
        status, err = converse(path, "")
        assert status == 2 and "choose another name with `--output FILE`" in err and "Who issues" not in err, err
        # What was given beside it is looked at before anything is asked.
        other = stage.folder / "other.yaml"
        status, err = converse(other, "", "--issuer", "id.example.com")
        assert status == 2 and "is no https URL" in err and "hosts" not in err, err
        # It does not ask for ever.
        status, err = converse(other, "id.example.com\n" * 5)
        assert status == 2 and err.count("Who issues") == 5 and "nothing was written" in err, err
        status, err = converse(other, "https://id.example.com\n\x04")
        assert status == 2 and "the answers ended; nothing was written" in err and not other.exists(), err


def test_the_log_names_who_was_refused_and_where():
    only_root()
    with Stage() as stage:
        daemon = stage.daemon(config=SERVE.replace('"{http}"', '"{http}", mode: "0666"') + "policy: {folder}/policy.yaml\n")
        assert ask(daemon.http, "http", facts("/v1/healthz")).status == 200
        as_nobody(lambda: ask(daemon.http, "http", facts("/v1/healthz")).status)
        wait_until(lambda: "peers_refused" in daemon.process.text(), "the refusal is logged")
        line = next(line for line in daemon.process.text().splitlines() if "peers_refused" in line)
        assert f"1 connection to `{daemon.http}` was closed" in line and "uid 65534" in line, line
        assert "peers" in line and '"uid":"65534"' in line, line


def test_the_admin_socket_is_for_the_daemons_user_and_root():
    only_root()
    with Stage() as stage:
        daemon = stage.daemon()
        for words in (["status"], ["policy", "log"], ["policy", "shadow"]):
            _, err = cli_as_nobody(stage, *words, "--admin", daemon.admin, check=2)
            assert "for the daemon's user and root; run it as one of them (sudo)" in err, err
            assert "give this user access" not in err, err
        os.chmod(daemon.admin[5:], 0o666)
        _, err = cli_as_nobody(stage, "status", "--admin", daemon.admin, check=2)
        assert "for the daemon's user and root; run it as one of them (sudo)" in err, err


def test_folders_and_groups_that_are_not_there():
    with Stage() as stage:
        missing = stage.folder / "none"
        _, _, err = cli("serve", "--policy", stage.policy, "--store", stage.folder / "store", "--http", "127.0.0.1:0",
                        "--admin", f"unix:{missing}/a.sock", check=2)
        assert f"the folder `{missing}` is not there; make it, owned by this user" in err, err
        result = subprocess.run([str(Settings.binary), "decide", "--policy", str(stage.policy)], input="", text=True,
                                capture_output=True, env={**os.environ, "TMPDIR": str(missing)}, timeout=60)
        assert result.returncode == 2 and "set TMPDIR to a folder that this user may write" in result.stderr, result
        assert f"no temporary folder can be made in `{missing}`" in result.stderr, result


def test_a_group_that_the_user_is_no_member_of():
    only_root()
    with Stage() as stage:
        folder = stage.folder / "run"
        folder.mkdir()
        os.chown(folder, NOBODY, NOBODY)
        config = stage.write("d.yaml", f'store: {folder}/store\nhttp: {{ address: "unix:{folder}/h.sock", group: "0" }}\n')
        _, err = cli_as_nobody(stage, "serve", "--config", config, check=2)
        assert "this user is no member of group `root`: `usermod -aG root" in err and "then start again" in err, err


def test_health_of_what_does_not_decide():
    with Stage() as stage:
        stage.daemon(config=WITH_DOCUMENTS)
        _, _, err = cli("health", "--address", f"unix:{stage.folder}/d.sock", check=1)
        assert "that address answers (HTTP 404), but not as a listener that decides" in err, err


def test_a_token_that_is_the_name_of_a_file():
    with Stage() as stage:
        path = stage.write("r2.token", stage.token())
        for words in (["token", "decode"], ["token", "verify", "--policy", stage.policy]):
            _, _, err = cli(*words, path, check=1)
            assert err == f"scopecheck: `{path}` is a file that is there; give `--token-file {path}`\n", err
            assert cli(*words, "a.b.c", check=1)[2] == ""
            cli(*words, "--token-file", path, check=0)


def test_how_long_a_revocation_is_kept():
    with Stage() as stage:
        daemon = stage.daemon()
        words = ["revoke", "--issuer", "https://id.example.com"]
        _, out, _ = cli(*words, "--subject", "alice", "--admin", daemon.admin, check=0)
        assert "kept: for ever, since the policy sets no `max_lifetime` for the issuer; `--until TIME` ends it" in out, out
        _, out, _ = cli(*words, "--key", "k", "--admin", daemon.admin, check=0)
        assert "kept: for ever, as all of `--key` are\n" in out, out
        daemon.terminate()
        _, out, err = cli(*words, "--subject", "bob", "--store", stage.folder / "daemon-store", check=0)
        assert "kept: for ever, since no policy is read with `--store`; `--until TIME` ends it" in out, out
        assert err == "", err


def test_versions_that_are_not_there():
    with Stage() as stage:
        daemon = stage.daemon()
        place = ["--admin", daemon.admin]
        _, _, err = cli("policy", "rollback", "42", "-m", "x", *place, check=2)
        assert "there was no activation 42; see `scopecheck policy log`" in err, err
        _, out, _ = cli("policy", "shadow", *place, check=2)
        assert out == "No candidate is compared; start with `scopecheck policy shadow VERSION`.\n", out
        _, out, _ = cli("policy", "shadow", "--help", check=0)
        assert "--store" not in out and "--admin" in out, out
        _, _, err = cli("policy", "show", stage.policy, "--source", check=64)
        assert "only of a stored version" in err and "scopecheck policy show" in err, err
        _, _, err = cli("policy", "show", "active", stage.policy, check=64)
        assert "Usage: scopecheck policy show" in err, err


def test_slips_on_the_command_line():
    with Stage() as stage:
        for command in (["apply", stage.policy], ["rollback"]):
            _, _, err = cli("policy", *command, "--mesage", "x", check=64)
            assert err == "Error: unknown option `--mesage`; did you mean `--message`?\n", err
            _, _, err = cli("policy", *command, check=64)
            assert "Missing" in err and "--message" in err and f"scopecheck policy {command[0]}" in err, err
        for words, name in ((["--admin", "unix:/a.sock", "policy", "log"], "policy"),
                            (["policy", "--admin", "unix:/a.sock", "log"], "policy log")):
            _, _, err = cli(*words, check=64)
            assert "options come behind the command" in err and f"scopecheck {name}" in err, err
        cli("--version", check=0)
        cli("policy", "--help", check=0)
        _, _, err = cli("explain", "GET", "https://api.example.com/v1/orders?a=1", check=64)
        assert "--method GET --host api.example.com --target '/v1/orders?a=1'" in err, err
        assert "--method" in cli("explain", "GET", check=64)[2]


def test_slips_in_files():
    with Stage() as stage:
        quoted = stage.write("quoted.yaml", POLICY.replace("scopecheck: 1", 'scopecheck: "1"'))
        _, out, _ = cli("policy", "check", quoted, check=1)
        assert "`1` stands in quotes" in out and "mend: write `scopecheck: 1`" in out, out
        broken = stage.write("broken.yaml", "scopecheck: 1\nservices: [a\nroles: {}\n")
        _, _, err = cli("policy", "fmt", broken, check=1)
        assert "^" in err and "mend: " in err, err
        _, _, err = cli("decide", "--policy", stage.policy, stdin='{"id": 1, "token": "x"}\n', check=0)
        assert "did you mean `authorization`, as `[\"Bearer …\"]`?" in err, err
