"""What a service publishes stays what it was let publish: by its names, by its numbers, beside files of other people's
that only look like it, and when dates have passed."""

import json
import shutil
import signal
import time

from daemon import SERVE, cli
from harness import wait_until
from test_publish import CREATE, ROUTES, Publisher, Signed

EXTRA = """\
scopecheck: 1
services:
  debug:
    hosts: [debug.example.com]
    routes:
      - { match: GET /, public: true }
"""
BASELINE = """\
clients:
  job: {{ scopes: [orders:read], grants: [{{ scope: payments:charge, until: {until}, reason: INC-42 }}] }}
tests:
  - {{ request: "POST https://pay.example.com/charges", scopes: [payments:charge], expect: allow }}
"""


def apply(stage, path, *flags, check=0):
    """Both outputs of `policy apply`."""
    _, out, err = cli("policy", "apply", path, "-m", "words", "--admin", stage.served.admin, *flags, check=check)
    return out + err


def serving(name):
    """The configuration of a daemon of its own that reads its policy from a folder of the stage."""
    return f"policy: {{folder}}/{name}\n" + SERVE.replace("{folder}/store", "{folder}/own-store")


def folder(stage, name, files):
    """A policy's folder of the stage's policy and more."""
    stage.write(f"{name}/jwks.json", (stage.folder / "jwks.json").read_text())
    for file, text in {"policy.yaml": stage.policy_text(), **files}.items():
        (stage.folder / name / file).parent.mkdir(parents=True, exist_ok=True)
        stage.write(f"{name}/{file}", text)
    return stage.folder / name


def source(stage):
    return cli("policy", "show", "active", "--source", "--admin", stage.served.admin, check=0)[1]


def test_a_sign_in_a_scope_opens_nothing():
    with Publisher() as stage:
        god = ROUTES + 'scopes: { orders:s1: {}, "orders:%s": { implies: ["payments:*"] } }\n'
        stage.refused("outside_scopes", god % "god")
        error = stage.refused("outside_scopes", god % "$${god}")
        assert "payments:charge" in error, error


def test_one_service_does_not_use_up_what_all_share():
    with Publisher() as stage:
        scopes = "".join(f"  orders:s{number}: {{}}\n" for number in range(65_000))
        error = stage.refused("outside_bounds", ROUTES + "scopes:\n" + scopes)
        assert "`orders`" in error and "65000 scopes" in error and "1024 is the most" in error, error


def test_files_in_the_folder_of_publications_are_refused():
    with Publisher() as stage:
        stage.install()
        label = stage.served.policy_label()
        for name in ("published/debug.yaml", "published/orders/extra.yaml", "published/docs/x.yaml",
                     "published/docs/routes.yaml"):
            path = folder(stage, "given", {name: EXTRA})
            for text in (apply(stage, path, check=1), "".join(cli("policy", "check", path, check=1)[1:])):
                assert name in text and "another name" in text, text
            shutil.rmtree(path)
            assert stage.served.policy_label() == label
        # Another name it is.
        apply(stage, folder(stage, "given", {"public/docs/x.yaml": EXTRA}))
        assert stage.reason(path="/", host="debug.example.com") == "public" and stage.reason() == "granted"


def test_a_policy_folder_of_the_daemon_s_own():
    with Publisher() as stage:
        path = folder(stage, "given", {"public/debug.yaml": EXTRA})
        stage.served = stage.daemon(name="own", config=serving("given"))
        stage.install()
        assert stage.reason(path="/", host="debug.example.com") == "public"
        # Renamed it is refused, and what decided goes on; removed it is gone.
        (path / "public").rename(path / "published")
        stage.served.terminate()
        stage.served.start()
        assert any("published/debug.yaml" in str(line) for line in stage.served.log()), stage.served.log_text()
        assert stage.reason(path="/", host="debug.example.com") == "public" and stage.reason() == "granted"
        shutil.rmtree(path / "published")
        stage.served.terminate()
        stage.served.start()
        assert stage.reason(path="/", host="debug.example.com") == "unknown_host" and stage.reason() == "granted"


def test_an_exported_policy_is_applied_with_its_publications():
    with Publisher() as stage:
        stage.install(ROUTES, "--ttl", "1h")
        out = stage.folder / "exported"
        cli("policy", "export", "active", "--to", out, "--admin", stage.served.admin, check=0)
        shutil.copy(stage.folder / "jwks.json", out)
        # Into a store that has nothing of it.
        copy = stage.daemon(name="copy", config=SERVE)
        cli("policy", "apply", out, "-m", "restored", "--admin", copy.admin, check=0)
        assert cli("policy", "show", "active", "--admin", copy.admin, "--source", check=0)[1].count("published/orders/") == 2
        # What was published since stays.
        stage.publish(None, "--withdraw", check=0)
        assert stage.reason() == "publication_ended"
        text = apply(stage, out)
        assert "gives way to what the service has published since" in text, text
        assert stage.reason() == "publication_ended"
        end = out / "published/orders/end.yaml"
        end.write_text(end.read_text() + "# mine\n")
        text = apply(stage, out, check=1)
        assert "as the daemon writes" in text, text


def test_an_exported_folder_that_is_served_undoes_no_publication():
    with Publisher() as stage:
        stage.install()
        out = stage.folder / "exported"
        cli("policy", "export", "active", "--to", out, "--admin", stage.served.admin, check=0)
        shutil.copy(stage.folder / "jwks.json", out)
        stage.served = stage.daemon(name="own", config=serving("exported"))
        assert stage.reason(scope="orders:read") == "granted"
        tighter = ROUTES.replace("scopes: orders:read", "scopes: [orders:read, orders:write]")
        stage.publish(tighter, check=0)
        for _ in range(2):
            assert stage.reason(scope="orders:read") == "insufficient_scope"
            label = stage.served.policy_label()
            stage.served.process.signal(signal.SIGHUP)
            wait_until(lambda: "policy_unchanged" in stage.served.log_text(), "the folder is read again")
            assert stage.served.policy_label() == label
            stage.served.terminate()
            stage.served.start()
        stage.publish(None, "--withdraw", check=0)
        stage.served.terminate()
        stage.served.start()
        assert stage.reason() == "publication_ended"


def test_signatures_that_nobody_requires_drop_no_publication():
    with Publisher() as stage:
        stage.install()
        changed = stage.policy_text().replace("payments:charge: {}", "payments:charge: { description: Charge }")
        path = folder(stage, "given", {"policy.yaml": changed}) / "policy.yaml"
        text = apply(stage, path, "--signatures", stage.write("signed", "not even read"))
        assert "were not looked at" in text, text
        assert stage.reason() == "granted" and "description: Charge" in source(stage)


def test_a_proposal_is_approved_and_not_rolled_back_to():
    with Publisher() as stage:
        _, answer = stage.publish(check=3)
        proposal = answer["proposal"]
        for name in (proposal["id"], proposal["id"][:16]):
            _, out, err = cli("policy", "rollback", name, "-m", "words", "--admin", stage.served.admin, check=2)
            assert f"policy approve {proposal['id']}" in out + err, out + err
        assert stage.reason() == "unknown_host"
        approved = stage.approve(proposal)
        stage.publish(None, "--withdraw", check=0)
        # It has decided once.
        cli("policy", "rollback", approved["version"][:16], "-m", "words", "--admin", stage.served.admin, check=0)
        assert stage.reason() == "granted"


def ending(stage):
    """The policy with a test that only a grant lets pass, and when that ends: late enough for a slow machine."""
    end = time.time() + 20
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    text = stage.policy_text().replace("algorithms: [ES256]", "algorithms: [ES256]\n    unknown_clients: deny")
    return text + BASELINE.format(until=until), end + 1


def test_the_end_of_a_grant_stops_no_publication():
    with Publisher() as stage:
        text, end = ending(stage)
        stage.served.reload(text)
        stage.install()
        time.sleep(max(0, end - time.time()))
        stage.publish(ROUTES, "--ttl", "1h", check=0)
        stage.refused("tests_failed", ROUTES + (
            'tests:\n  - { request: "GET https://orders.example.com/v1/orders", scopes: [orders:none], '
            "expect: allow }\n"))
        stage.publish(None, "--withdraw", check=0)
        # The owner is told, and can mend it.
        text = apply(stage, stage.write("later.yaml", text + "# later\n"), check=1)
        assert "unknown_client" in text, text


def test_the_end_of_a_grant_does_not_stop_a_signed_daemon():
    with Publisher() as stage:
        stage.served.terminate()
        keys = [stage.make_key(name, kid=name) for name in ("one", "two")]
        trusted = stage.write("trusted.json", '{"keys": [%s]}' % ", ".join(
            json.dumps(public) for _, public in keys))
        stage.served = Signed(stage, trusted)
        text, end = ending(stage)
        path = stage.write("own.yaml", text)
        signed = stage.folder / "signed.sigs"
        for private, _ in keys:
            cli("policy", "sign", path, "--serial", "1", "--key", private, "--output", signed, check=0)
        apply(stage, path, "--signatures", signed)
        time.sleep(max(0, end - time.time()))
        stage.served.terminate()
        stage.served.start()
        assert stage.reason(path="/v1/healthz", host="api.example.com") == "public", stage.served.log_text()


def test_a_published_test_does_not_hold_up_its_owners():
    with Publisher() as stage:
        text = stage.policy_text().replace("algorithms: [ES256]", "algorithms: [ES256]\n    unknown_clients: deny")
        stage.served.reload(text + "clients:\n  job: { scopes: [\"*\"] }\n")
        stage.install(ROUTES + CREATE + (
            'tests:\n  - { request: "GET https://orders.example.com/v1/orders", scopes: [orders:read], '
            "expect: allow }\n"))
        apply(stage, stage.write("tighter.yaml", text + "clients:\n  job: { scopes: [payments:charge] }\n"))
        assert stage.reason() == "unknown_client"
        # It fails now, and the service can be withdrawn all the same.
        stage.publish(None, "--withdraw", check=0)
