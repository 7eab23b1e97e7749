"""A policy of several files and for several environments, as a person and the daemon's child use it."""

import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import issuer
from daemon import Stage, cli
from harness import PATIENCE, Settings, wait_until

COMMON = """\
scopecheck: 1
issuers:
  - { issuer: https://id.example.com, audience: https://api.example.com, keys: { jwks_file: keys/jwks.json } }
scopes:
  orders:read: {}
environments:
  prod: { values: { host: api.example.com } }
  staging: { values: { host: api.example.org } }
"""
ORDERS = """\
scopecheck: 1
services:
  orders:
    hosts: ["${host}"]
    routes:
      - { match: GET /orders, scopes: orders:read }
tests:
  - { request: "GET https://${host}/orders", scopes: [orders:read], expect: allow }
"""


class Policies:
    """A folder with two teams' files."""

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="scopecheck-test-")
        self.folder = Path(self.temporary.name).resolve() / "policies"
        self.write("common.yaml", COMMON)
        self.write("orders/orders.yaml", ORDERS)
        self.write("keys/jwks.json", issuer.jwks(issuer.Key("ES256")))
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def store(self):
        return Path(tempfile.mkdtemp(dir=self.temporary.name))


def test_check_reads_every_environment():
    with Policies() as policies:
        _, out, _ = cli("policy", "check", policies.folder, check=0)
        assert "(prod): 2 files" in out and "(staging): 2 files" in out, out
        policies.write("common.yaml", COMMON.replace("api.example.org", "API.example.org"))
        _, out, _ = cli("policy", "check", policies.folder, check=1)
        assert f"{policies.folder}/orders/orders.yaml:4:13: error" in out and "(in `staging`)" in out, out
        assert f"note: {policies.folder}/common.yaml:8:30: the value is defined here" in out, out
        _, out, _ = cli("policy", "check", policies.folder, "--json", check=1)
        found = json.loads(out)["diagnostics"]
        assert {one["environments"][0] for one in found} == {"staging"}, found
        assert {one["file"] for one in found} == {f"{policies.folder}/orders/orders.yaml"}, found
        cli("policy", "check", policies.folder, "--environment", "prod", check=0)


def test_other_commands_want_one_environment():
    with Policies() as policies:
        for command in ("test", "show", "metadata"):
            _, out, _ = cli("policy", command, policies.folder, check=1)
            assert "--environment" in out and "`prod` and `staging`" in out, (command, out)
        _, out, _ = cli("policy", "test", policies.folder, "--environment", "staging", check=0)
        assert out == "1 passed, 0 failed\n", out
        # The files one by one are the same policy.
        files = [policies.folder / "orders/orders.yaml", policies.folder / "common.yaml"]
        _, out, _ = cli("policy", "show", *files, "--environment", "staging", check=0)
        assert "api.example.org" in out and "api.example.com" not in out, out
        _, out, _ = cli("policy", "test", policies.folder, "--environment", "stagign", check=1)
        assert "did you mean `staging`?" in out, out


def test_a_stored_version_is_of_one_environment():
    with Policies() as policies:
        place, plain = ["--store", policies.store()], ["--store", policies.store()]
        cli("policy", "apply", policies.folder, "--environment", "prod", "-m", "why", *place, check=0)
        whole = policies.write("../whole.yaml", "scopecheck: 1\nservices:\n  a:\n    hosts: [a.example]\n    routes:\n"
                               "      - { match: GET /, public: true }\n")
        cli("policy", "apply", whole, "-m", "why", *plain, check=0)
        for command in ("plan", "diff"):
            for pair in (["active", policies.folder], [policies.folder, "active"]):
                cli("policy", command, *pair, "--environment", "prod", *place, check=0)
                for stored, store in (("`prod`", place), ("no environment", plain)):
                    _, out, error = cli("policy", command, *pair, "--environment", "staging", *store, check=2)
                    assert f"`active` was read for {stored}, and --environment is `staging`; " in error, error
                    assert not out, out
            # Nothing would be read for it.
            _, out, error = cli("policy", command, "active", "1", "--environment", "prod", *place, check=64)
            assert "has been read for its environment; leave --environment out" in error and not out, error
            cli("policy", command, "active", "1", *place, check=0)
        signatures = policies.folder.parent / "change.sig"
        _, out, _ = cli("keys", "generate", "--algorithm", "EdDSA", "--output", policies.folder.parent / "key", "--json",
                        check=0)
        made = json.loads(out)
        key = ["--key", made["private_key"]]
        files = [policies.folder, "--environment", "prod"]
        for words in (files, ["active", *place]):
            _, out, _ = cli("policy", "sign", *words, *key, "--output", signatures, "--json", check=0)
            written = json.loads(out)
            assert (written["environment"], written["kid"]) == ("prod", made["kid"]), (written, made)
        verify = ["policy", "verify", signatures, "--trusted-keys", made["jwks"], *place]
        cli(*verify, *files, check=0)
        cli(*verify, "active", check=0)
        _, out, _ = cli(*verify, policies.folder, "--environment", "staging", "--json", check=1)
        assert json.loads(out)["reason"] == "wrong_version", out
        for words in (["show", "active", *place], ["sign", "active", *key, *place],
                      [*verify[1:], "active"]):
            _, out, error = cli("policy", *words, "--environment", "prod", check=64)
            assert "has been read for its environment; leave --environment out" in error and not out, (words, error)
        _, _, error = cli(*verify, "--environment", "prod", check=64)
        assert "--environment goes with policy files" in error, error


def test_two_teams_cannot_override_each_other():
    with Policies() as policies:
        policies.write("other/orders.yaml", ORDERS.replace("tests:", "# tests:").replace("  - { request", "# "))
        _, out, _ = cli("policy", "check", policies.folder, "--environment", "prod", check=1)
        first = f"{policies.folder}/orders/orders.yaml"
        assert out.startswith(f"{policies.folder}/other/orders.yaml:3:3: error: the key `orders` stands twice, first in "
                              f"line 3 of `{first}`"), out
        assert f"note: {first}:3:3: the first one" in out, out


def test_keys_are_looked_for_from_the_common_folder():
    with Policies() as policies:
        arguments = ["--environment", "prod", "--method", "GET", "--target", "/orders", "--host", "api.example.com"]
        status, out, err = cli("explain", "--policy", policies.folder, *arguments)
        assert status == 1 and "no_token" in out, (status, out, err)


def test_load_makes_the_same_version_of_files_and_of_their_bundle():
    with Policies() as policies:
        store = policies.store()
        _, version, _ = cli("policy", "load", policies.folder, "--environment=prod", "--store", store, check=0)
        files = sorted([("common.yaml", COMMON), ("orders/orders.yaml", ORDERS)])
        text = "scopecheck bundle 1\nenvironment prod\n"
        text += "".join(f"file {len(content)} {name}\n{content}\n" for name, content in files)
        bundle = policies.folder.parent / "bundle"
        bundle.write_text(text)
        arguments = ["--folder=" + str(policies.folder), "--author=-alice", "--note=why", "--parent=" + version.strip()]
        _, again, _ = cli("policy", "load", "--bundle", bundle, "--store", store, *arguments, check=0)
        assert again == version and len(version.strip()) == 64, (version, again)
        _, other, _ = cli("policy", "load", policies.folder, "--environment=staging", "--store", store, check=0)
        assert other != version
        for broken in (text[:-1], text.replace("environment prod", "environment p q"), text + "x"):
            bundle.write_text(broken)
            status, out, err = cli("policy", "load", "--bundle", bundle, "--store", store)
            assert status == 1 and "no bundle" in out, (status, out, err)
        bundle.write_text(text.replace("orders:read }", "orders:raed }"))
        _, out, _ = cli("policy", "load", "--bundle", bundle, "--store", store, check=1)
        assert out.startswith("orders/orders.yaml:6:39: error: unknown scope `orders:raed`"), out


def test_load_wants_files_or_a_bundle():
    with Policies() as policies:
        store = policies.store()
        for arguments in ([], [policies.folder, "--bundle", "x"], ["--bundle", "x", "--environment", "prod"],
                          [policies.folder, "--parent", "12"], [policies.folder, "--author", "a" * 257]):
            status, out, err = cli("policy", "load", "--store", store, *arguments)
            assert status == 64, (arguments, status, out, err)


def test_what_cannot_be_read_is_said():
    with Policies() as policies:
        os.symlink("/etc/passwd", policies.folder / "leak.yaml")
        status, out, err = cli("policy", "check", policies.folder)
        assert status == 2 and "leads out of the folder" in err and not out, (status, out, err)
        os.remove(policies.folder / "leak.yaml")
        status, _, err = cli("policy", "check", policies.folder, policies.folder / "common.yaml")
        assert status == 2 and "the same file" in err, (status, err)
        status, _, err = cli("policy", "check", policies.folder, "--environment", "a b")
        assert status == 2 and "no name of an environment" in err, (status, err)


def next_chunk(reader):
    try:
        return os.read(reader, 4_096).decode()
    except BlockingIOError:
        return ""


def test_progress_is_shown_on_a_terminal_only():
    with Policies() as policies:
        routes = "".join(f"      - {{ match: \"GET /r/{number}/{{id}}\", scopes: orders:read }}\n" for number in range(200_000))
        policies.write("big.yaml", ORDERS.split("tests:")[0].replace("  orders:\n", "  big:\n").replace(
            "      - { match: GET /orders, scopes: orders:read }\n", routes))
        _, _, err = cli("policy", "check", policies.folder, "--environment", "prod", check=0)
        assert err == "", err
        reader, writer = pty.openpty()
        try:
            out = subprocess.run([Settings.binary, "policy", "check", policies.folder, "--environment", "prod"], check=True,
                                 stdout=subprocess.PIPE, stderr=writer, text=True, timeout=PATIENCE * 2).stdout
            os.set_blocking(reader, False)
            shown = ""
            while chunk := next_chunk(reader):
                shown += chunk
        finally:
            os.close(reader)
            os.close(writer)
        assert "200001 routes" in out, out
        assert "checking" in shown and shown.endswith("\r\x1b[K"), shown[-200:]


CUSTOMERS = ORDERS.replace("orders:", "customers:", 1).replace("/orders", "/customers")


class Served:
    """A stage whose daemon reads a folder for one environment."""

    def __enter__(self):
        self.stage = Stage()
        self.stage.__enter__()
        self.stage.write("policies/common.yaml", COMMON)
        self.stage.write("policies/orders/orders.yaml", ORDERS)
        self.stage.write("policies/keys/jwks.json", (self.stage.folder / "jwks.json").read_text())
        return self

    def __exit__(self, *failure):
        self.stage.__exit__(*failure)

    def serve(self, *flags, policy="policies", environment="prod"):
        """`policy` None is a daemon whose policy comes in by commands."""
        config = "\n".join([
            "store: daemon-store", f"policy: {policy}" if policy else "", f"environment: {environment}",
            'http: {{ address: "{http}" }}', 'admin: {{ address: "{admin}" }}', 'fastcgi: {{ address: "{fastcgi}" }}'])
        return self.stage.daemon(config=config, flags=flags)

    def move_in(self, name, text):
        """As a deployment does: written elsewhere, then renamed into place."""
        beside = self.stage.write("beside", text)
        os.replace(beside, self.stage.folder / "policies" / name)

    def point(self, link, target):
        """Has a link lead elsewhere, at once."""
        link = self.stage.folder / link
        beside = link.with_name("..next")
        os.symlink(target, beside)
        os.rename(beside, link)

    def status(self, daemon, path, host="api.example.com"):
        return daemon.ask(path, host=host, token=self.stage.token()).status


def test_a_daemon_reads_a_folder_for_one_environment():
    with Served() as served:
        daemon = served.serve()
        assert served.status(daemon, "/orders") == 200
        assert served.status(daemon, "/orders", host="api.example.org") == 403
        assert daemon.status()["policy"]["environment"] == "prod", daemon.status()
        served.move_in("orders/more.yaml", CUSTOMERS)
        wait_until(lambda: served.status(daemon, "/customers") == 200, "a file that is renamed into a subfolder decides")
        os.unlink(served.stage.folder / "policies/orders/more.yaml")
        daemon.process.signal(signal.SIGHUP)
        wait_until(lambda: served.status(daemon, "/customers") == 403, "after SIGHUP a file that is gone is gone")
        # A subfolder that is moved in, and then a file into it.
        folder = served.stage.folder / "customers"
        folder.mkdir()
        os.rename(folder, served.stage.folder / "policies/customers")
        served.move_in("customers/all.yaml", CUSTOMERS)
        wait_until(lambda: served.status(daemon, "/customers") == 200, "a file in a folder that was moved in decides")
        # One that is made there.
        (served.stage.folder / "policies/customers/more").mkdir()
        served.move_in("customers/more/all.yaml", CUSTOMERS.replace("customers", "clients"))
        wait_until(lambda: served.status(daemon, "/clients") == 200, "a file in a folder that was made decides")
        # What is wrong in one file refuses all of them.
        served.move_in("orders/orders.yaml", ORDERS.replace("scopes: orders:read", "scopes: orders:raed", 1))
        refusal = wait_until(lambda: daemon.status().get("policy", {}).get("refused"), "the mistake is refused")
        assert "orders/orders.yaml:6" in refusal, refusal
        assert served.status(daemon, "/orders") == 200


def test_a_folder_of_files_is_exchanged_by_a_link():
    """A ConfigMap of several files: all of them are links through `..data`, which is renamed."""
    with Served() as served:
        folder = served.stage.folder / "map"
        for version, text in {"one": ORDERS, "two": CUSTOMERS}.items():
            served.stage.write(f"map/..{version}/common.yaml", COMMON.replace("keys/", "../keys/"))
            served.stage.write(f"map/..{version}/services.yaml", text)
        served.stage.write("keys/jwks.json", (served.stage.folder / "jwks.json").read_text())
        os.symlink("..one", folder / "..data")
        for name in ("common.yaml", "services.yaml"):
            os.symlink(f"..data/{name}", folder / name)
        daemon = served.serve(policy="map")
        assert served.status(daemon, "/orders") == 200
        served.point("map/..data", "..two")
        wait_until(lambda: served.status(daemon, "/customers") == 200, "the new files decide")
        assert served.status(daemon, "/orders") == 403


def test_a_folder_is_exchanged_itself():
    """Releases beside each other, and a link to the current one."""
    with Served() as served:
        folder = served.stage.folder
        for name in ("one", "two"):
            shutil.copytree(folder / "policies", folder / "releases" / name)
        os.symlink("releases/one", folder / "current")
        daemon = served.serve(policy="current/")
        assert served.status(daemon, "/orders") == 200
        (folder / "releases/two/customers.yaml").write_text(CUSTOMERS)
        served.point("current", "releases/two")
        wait_until(lambda: served.status(daemon, "/customers") == 200, "the release that the link names decides")
        # What changes in it counts from then on.
        beside = served.stage.write("beside", CUSTOMERS.replace("customers", "clients"))
        os.replace(beside, folder / "releases/two/customers.yaml")
        wait_until(lambda: served.status(daemon, "/clients") == 200, "a file of the new release decides")


def test_a_file_behind_a_link_that_is_exchanged():
    """The link is a folder on the way to the file."""
    with Served() as served:
        folder = served.stage.folder
        whole = COMMON.split("environments:")[0] + ORDERS.split("\n", 1)[1].replace("${host}", "api.example.com")
        for name, text in {"one": whole, "two": whole.replace("/orders", "/new")}.items():
            served.stage.write(f"releases/{name}/policy/policy.yaml", text)
            served.stage.write(f"releases/{name}/policy/keys/jwks.json", (folder / "jwks.json").read_text())
        os.symlink("releases/one", folder / "current")
        daemon = served.stage.daemon(flags=["--policy", folder / "current/policy/policy.yaml"], config=(
            'store: store\nhttp: {{ address: "{http}" }}\nfastcgi: {{ address: "{fastcgi}" }}\n'
            'admin: {{ address: "{admin}" }}\n'))
        assert served.status(daemon, "/orders") == 200
        served.point("current", "releases/two")
        wait_until(lambda: served.status(daemon, "/new") == 200, "the file of the other release decides")
        beside = served.stage.write("beside", whole.replace("/orders", "/newer"))
        os.replace(beside, folder / "releases/two/policy/policy.yaml")
        wait_until(lambda: served.status(daemon, "/newer") == 200, "and is followed there")


def test_flags_name_several_files():
    with Served() as served:
        files = [served.stage.folder / "policies" / name for name in ("common.yaml", "orders/orders.yaml")]
        flags = [part for file in files for part in ("--policy", file)] + ["--environment", "staging"]
        daemon = served.serve(*flags)
        assert served.status(daemon, "/orders", host="api.example.org") == 200
        # The same as the folder: a restart on it changes nothing.
        label = daemon.policy_label()
        assert daemon.terminate() == 0
        daemon = served.serve(environment="staging")
        assert daemon.policy_label() == label


def test_a_daemon_without_its_environment_does_not_start():
    with Served() as served:
        for environment, found in (("nowhere", "nowhere"), ('""', "refused.yaml:4")):
            daemon = served.stage.daemon(wait=False, name="refused", config=(
                "store: refused-store\npolicy: policies\nhttp: {{ address: \"{http}\" }}\n"
                + f"environment: {environment}\n"))
            assert daemon.process.wait() == 2 and found in daemon.log_text(), daemon.log_text()
        daemon = served.stage.daemon(
            wait=False, name="unnamed", config="store: unnamed-store\npolicy: policies\nhttp: {{ address: \"{http}\" }}\n")
        assert daemon.process.wait() == 2
        assert "`prod` and `staging`" in daemon.log_text() and "--environment" in daemon.log_text(), daemon.log_text()


def test_versions_of_other_environments_do_not_decide():
    with Served() as served:
        daemon = served.serve(policy=None)
        apply = ["policy", "apply", served.stage.folder / "policies", "-m", "why", "--admin", daemon.admin]
        code, _, error = cli(*apply, "--environment", "staging")
        assert code == 2 and "`prod`" in error and "`staging`" in error, (code, error)
        assert served.status(daemon, "/orders") == 503
        cli(*apply, "--environment", "prod", check=0)
        assert served.status(daemon, "/orders") == 200
        assert daemon.terminate() == 0
        # What another daemon has left in the store.
        daemon = served.serve(policy=None, environment="staging")
        assert served.status(daemon, "/orders") == 503 and daemon.events("policy_of_other_environment")
        cli(*apply, "--environment", "staging", check=0)
        assert served.status(daemon, "/orders", host="api.example.org") == 200
        # Not by going back either.
        code, _, error = cli("policy", "rollback", "-m", "back", "--admin", daemon.admin)
        assert code == 2 and "`staging`" in error, (code, error)
        assert daemon.status()["policy"]["environment"] == "staging"


def test_no_environment_takes_the_place_of_another():
    """By a daemon, and in the files of a store, that nobody has told which one they are for."""
    with Served() as served:
        stage = served.stage
        policies = stage.folder / "policies"
        unnamed = 'store: daemon-store\nhttp: {{ address: "{http}" }}\nadmin: {{ address: "{admin}" }}\n'
        unnamed += 'fastcgi: {{ address: "{fastcgi}" }}\n'
        daemon = stage.daemon(config=unnamed)
        place = ["--admin", daemon.admin]

        def apply(environment, *more, check=0, place=place):
            words = ["policy", "apply", policies, "-m", "why", "--environment", environment, *place, *more]
            _, out, error = cli(*words, check=check)
            return out + error

        assert " decides for prod\n" in apply("prod")
        label = daemon.policy_label()
        staged = json.loads(apply("staging", "--stage", "--json"))["version"]
        for error in (apply("staging", check=2),
                      cli("policy", "rollback", staged[:16], "-m", "why", *place, check=2)[2]):
            assert "`prod`" in error and "`environment: staging`" in error, error
            assert daemon.policy_label() == label and served.status(daemon, "/orders") == 200
        assert daemon.terminate() == 0
        store = ["--store", stage.folder / "daemon-store"]
        assert "`environment: staging`" in apply("staging", check=2, place=store)
        assert "`environment: staging`" in cli("policy", "rollback", staged[:16], "-m", "why", *store, check=2)[2]
        # What the message says to do: with a policy file, and without.
        daemon = served.serve(environment="staging")
        assert served.status(daemon, "/orders", host="api.example.org") == 200
        assert daemon.terminate() == 0
        daemon = served.serve(policy=None, environment="prod")
        assert served.status(daemon, "/orders") == 503
        assert "--environment prod" in daemon.events("policy_of_other_environment")[-1]["message"]
        out = apply("prod", "--json", place=["--admin", daemon.admin])
        changed = json.loads(out)
        assert (changed["environment"], changed["previous_environment"]) == ("prod", "staging"), changed
        assert daemon.status()["policy"]["environment"] == "prod"
        assert daemon.terminate() == 0
        daemon = served.serve(policy=None, environment="staging")
        out = apply("staging", place=["--admin", daemon.admin])
        assert " decides for staging, in place of " in out and out.endswith(" for prod\n"), out


def test_what_is_changed_in_place_is_told_once():
    with Served() as served:
        daemon = served.serve()
        orders = served.stage.folder / "policies/orders/orders.yaml"
        for text in (ORDERS.replace("/orders", "/new"), ORDERS.replace("/orders", "/newer")):
            orders.write_text(text)
        told = wait_until(lambda: daemon.events("policy_changed_in_place"), "it is told")
        assert len(told) == 1 and "SIGHUP" in told[0]["message"] and "orders.yaml" in told[0]["message"], told
        assert served.status(daemon, "/orders") == 200
        daemon.process.signal(signal.SIGHUP)
        wait_until(lambda: served.status(daemon, "/newer") == 200, "after SIGHUP it is read")
        os.unlink(served.stage.write("policies/more.yaml", "scopecheck: 1\n"))
        wait_until(lambda: len(daemon.events("policy_changed_in_place")) == 2, "the next one is told again")


def test_a_folder_that_was_rolled_back_is_held_back():
    with Served() as served:
        daemon = served.serve()
        served.move_in("orders/more.yaml", CUSTOMERS)
        wait_until(lambda: served.status(daemon, "/customers") == 200, "the second policy decides")
        cli("policy", "rollback", "-m", "no customers yet", "--admin", daemon.admin, check=0)
        assert served.status(daemon, "/customers") == 403
        assert daemon.terminate() == 0
        daemon = served.serve()
        assert served.status(daemon, "/customers") == 403 and daemon.status()["policy"]["held_back"]
        served.move_in("orders/more.yaml", CUSTOMERS + "# once more\n")
        wait_until(lambda: served.status(daemon, "/customers") == 200, "a file that was changed decides")
