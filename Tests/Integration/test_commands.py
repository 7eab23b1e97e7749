"""The commands as a person uses them: exit statuses, JSON, and messages that say where and what to do."""

import json
import os
import time

import issuer
from daemon import POLICY, Stage, cli
from harness import wait_until

BAD = POLICY.replace("match: GET /orders, scopes: orders:read", "match: GET /orders, scopes: orders:reed")
TESTS = """\
tests:
  - { request: GET https://api.example.com/v1/orders, scopes: ["orders:read"], expect: allow }
  - { request: POST https://api.example.com/v1/orders, scopes: ["orders:read"], expect: insufficient_scope }
  - { request: GET https://api.example.com/v1/nothing/here, scopes: ["orders:read"], expect: deny }
"""


def test_help():
    for words in ([], ["serve"], ["policy"], ["policy", "check"], ["policy", "test"], ["policy", "show"], ["explain"],
                  ["decide"], ["token"], ["token", "verify"], ["token", "signature"], ["token", "decode"],
                  ["token", "mint"], ["keys"], ["keys", "generate"], ["health"], ["status"]):
        _, out, _ = cli(*words, "--help", check=0)
        assert "USAGE" in out, (words, out)


def test_mistyped_commands_and_addresses():
    rows = [
        (["polciy", "check", "x"], "did you mean `scopecheck policy`?"),
        (["policy", "chek", "x"], "did you mean `scopecheck policy check`?"),
        (["help", "tokn"], "did you mean `scopecheck token`?"),
        (["policy", "import", "opnapi"], "did you mean `scopecheck policy import openapi`?"),
        (["revocations", "lst"], "did you mean `scopecheck revocations list`?"),
        (["check", "policy.yaml"], "did you mean `scopecheck policy check`?"),
        (["verify"], "did you mean `scopecheck policy verify` or `scopecheck token verify`?"),
        (["nonsense"], "there are serve, status, "),
        (["policy", "\x1b[2J" + "x" * 500], "`\ufffd[2Jxxx"),
        (["status", "--admin", "unix//run/x.sock"], "did you mean `unix:/run/x.sock`?"),
        (["policy", "log", "--admin", "/run/x.sock"], "did you mean `unix:/run/x.sock`?"),
        (["health", "--address", "nowhere"], "addresses are `unix:/run/scopecheck/admin.sock` and `127.0.0.1:8080`"),
    ]
    for words, expected in rows:
        status, out, err = cli(*words)
        assert status == 64 and expected in err and not out, (words, status, out, err)
    _, _, err = cli("status", "--admin", "unix:no.sock", check=2)
    assert "a whole one is written as `unix:/run/scopecheck/admin.sock`" in err, err


def test_every_command_takes_the_admin_address_under_both_names():
    with Stage() as stage:
        daemon = stage.daemon()
        request = ["--method", "GET", "--target", "/v1/healthz", "--host", "api.example.com"]
        # No version is compared: `policy shadow` answers, and ends with 2 for want of anything to say.
        answered = {("policy", "shadow"): 2}
        for command in (["status"], ["explain", *request], ["revocations"], ["policy", "log"], ["policy", "proposals"],
                        ["policy", "shadow"], ["policy", "export", "active", "--to", "-"]):
            expected = answered.get(tuple(command), 0)
            one, other = (cli(*command, name, daemon.admin, "--json" if "active" not in command else "--force",
                              check=expected) for name in ("--admin", "--address"))
            assert one[0] == other[0] == expected, (command, one, other)
            assert command == ["status"] or one == other, (command, one, other)
            status, _, err = cli(*command, "--admin", f"unix:{stage.folder}/none.sock")
            assert status == 2 and "no daemon listens" in err, (command, status, err)


def test_status_says_when_a_refusal_is_over():
    with Stage() as stage:
        daemon = stage.daemon()
        stage.replace("policy.yaml", BAD)
        refused = wait_until(lambda: daemon.status()["policy"].get("refused"), "the file is refused")
        assert "refused_before" not in daemon.status()["policy"]
        _, text, _ = cli("status", "--admin", daemon.admin, check=0)
        assert "was refused at 20" in text and "is over since" not in text, text
        # What is applied in a later second is the latest word.
        time.sleep(1.1)
        other = stage.write("other.yaml", POLICY + TESTS)
        cli("policy", "apply", other, "-m", "mended", "--admin", daemon.admin, check=0)
        policy = daemon.status()["policy"]
        assert "refused" not in policy and policy["refused_before"]["refused"] == refused, policy
        assert policy["refused_before"]["over_since"] == policy["activated_at"], policy
        _, text, _ = cli("status", "--admin", daemon.admin, check=0)
        assert "which is over since " + policy["activated_at"] in text, text


def test_policy_check():
    with Stage() as stage:
        cli("policy", "check", stage.policy, check=0)
        stage.policy.write_text(BAD)
        _, out, err = cli("policy", "check", stage.policy, check=1)
        line = next(n for n, text in enumerate(BAD.splitlines(), 1) if "orders:reed" in text)
        assert f"policy.yaml:{line}:" in out + err and "orders:read" in out + err, out + err
        _, out, _ = cli("policy", "check", stage.policy, "--json", check=1)
        assert "orders:reed" in json.dumps(json.loads(out)), out
        assert cli("policy", "check", stage.folder / "missing.yaml")[0] not in (0, 139)


def test_policy_check_finds_several_at_once():
    with Stage() as stage:
        stage.policy.write_text(BAD.replace("hosts: [admin.example.com]", "hosts: [ADMIN.example.com]")
                                .replace("profile: rfc9068", "profile: lax"))
        _, out, err = cli("policy", "check", stage.policy, check=1)
        for word in ("orders:reed", "ADMIN.example.com", "lax"):
            assert word in out + err, (word, out + err)


def test_policy_test():
    with Stage() as stage:
        stage.policy.write_text(POLICY + TESTS)
        cli("policy", "test", stage.policy, check=0)
        stage.policy.write_text(POLICY + TESTS.replace("expect: insufficient_scope", "expect: allow"))
        _, out, err = cli("policy", "test", stage.policy, check=1)
        assert "insufficient_scope" in out + err, out + err
        cli("policy", "test", stage.policy, "--json", check=1)


def test_policy_show():
    with Stage() as stage:
        _, out, _ = cli("policy", "show", stage.policy, check=0)
        for word in ("/v1/orders/{order}", "payments:charge", "api.example.com", "DELETE"):
            assert word in out, (word, out)
        _, out, _ = cli("policy", "show", stage.policy, "--json", check=0)
        assert "payments:charge" in json.dumps(json.loads(out))


def test_explain_offline_and_the_running_daemon():
    with Stage() as stage:
        token = stage.write("token", stage.token())
        arguments = ["--method", "POST", "--target", "/v1/orders", "--host", "api.example.com", "--token-file", token]
        _, out, _ = cli("explain", "--policy", stage.policy, *arguments, check=None)
        assert "insufficient_scope" in out and "payments:charge" in out, out
        assert "  scopes: denied here\n" in out and "  not made here: introspection, revocation, status\n" in out, out
        daemon = stage.daemon()
        _, out, _ = cli("explain", "--address", daemon.admin, *arguments, check=None)
        assert "insufficient_scope" in out and "payments:charge" in out, out
        assert stage.token().split(".")[2] not in out
        arguments[1] = "GET"
        status, out, _ = cli("explain", "--address", daemon.admin, *arguments)
        assert status == 0 and "granted" in out, (status, out)
        assert "  possession: passed" not in out and "  revocation: passed\n" in out, out
        _, out, _ = cli("explain", "--address", daemon.admin, *arguments, "--json", check=0)
        checks = {check["check"]: check["result"] for check in json.loads(out)["checks"]}
        assert checks["scopes"] == "passed" and checks["possession"] == "does_not_apply", checks


def test_explain_a_connection():
    policy = ("scopecheck: 1\nscopes: { read: {} }\nservices: { door: { kind: tcp, ports: [9443], scopes: read } }\n"
              "clients: { c: { certificate: { uri: spiffe://example.org/c }, scopes: [read] } }\n")
    with Stage(policy=policy) as stage:
        _, out, _ = cli("explain", "--policy", stage.policy, "--connect", "9443", "--json", check=1)
        results = [check["result"] for check in json.loads(out)["checks"]]
        assert results == ["passed"] * 3 + ["denied_here"] + ["not_reached"] * 5, out
        _, out, _ = cli("explain", "--policy", stage.policy, "--connect", "9443", check=1)
        assert "  certificate presented: denied here\n  not reached: certificate chain, " in out, out


def test_decide():
    with Stage() as stage:
        now = int(time.time())
        lines = [
            {"id": "1", "method": "GET", "target": "/v1/orders", "host": "api.example.com", "scheme": "https",
             "port": 443, "authorization": ["Bearer " + stage.token()]},
            {"id": "2", "method": "POST", "target": "/v1/orders", "host": "api.example.com", "scheme": "https",
             "port": 443, "authorization": ["Bearer " + stage.token()]},
            {"id": "3", "method": "GET", "target": "/v1/orders", "host": "api.example.com", "scheme": "https",
             "port": 443, "authorization": []},
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        _, out, _ = cli("decide", "--policy", stage.policy, "--at", now, stdin=text, check=0)
        answers = [json.loads(line) for line in out.splitlines()]
        assert [(answer["id"], answer["verdict"], answer["status"], answer["reason"]) for answer in answers] == [
            ("1", "allow", 200, "granted"), ("2", "deny", 403, "insufficient_scope"), ("3", "deny", 401, "no_token")]
        for answer in answers:
            for field in ("service", "route", "policy", "issuer", "subject", "client", "granted", "required",
                          "challenge"):
                assert field in answer, (field, answer)
        assert answers[0]["granted"] == ["orders:read"] and answers[0]["subject"] == "alice", answers[0]
        # A bad line is an answer of its own or an end with a message, never silence.
        status, out, err = cli("decide", "--policy", stage.policy, stdin='{"id": "x"}\nnot json\n' + text)
        assert status != 0 or len(out.splitlines()) == 5, (status, out, err)
        assert '"verdict":"allow"' not in (out.splitlines() or [""])[0].replace(" ", "")


def test_generated_keys_and_minted_tokens_work():
    """The commands for development, against the daemon and against the tests' own issuer library."""
    for algorithm in issuer.ALGORITHMS:
        with Stage(policy=POLICY.replace("algorithms: [ES256]", f"algorithms: [{algorithm}]")) as stage:
            folder = stage.folder / "keys"
            cli("keys", "generate", "--algorithm", algorithm, "--kid", "dev", "--output", folder, check=0)
            _, out, _ = cli("keys", "generate", "--algorithm", algorithm, "--output", f"{folder}/slash/", check=0)
            assert "//" not in out, out
            assert os.stat(folder / "private.jwk").st_mode & 0o777 == 0o600
            public = json.loads((folder / "jwks.json").read_text())
            assert public["keys"][0]["kid"] == "dev" and "d" not in public["keys"][0], public
            claims = issuer.claims()
            _, out, _ = cli("token", "mint", "--key", folder / "private.jwk", "--claims", json.dumps(claims), check=0)
            token = out.strip()
            stage.replace("jwks.json", (folder / "jwks.json").read_text())
            _, out, _ = cli("token", "verify", "--policy", stage.policy, stdin=token, check=None)
            answer = json.loads(out)
            assert answer["valid"] is True, (algorithm, answer)
            _, out, _ = cli("token", "verify", "--jwks", folder / "jwks.json", "--issuer", issuer.ISSUER, "--audience",
                            issuer.AUDIENCE, "--algorithm", algorithm, stdin=token)
            assert json.loads(out)["valid"] is True, (algorithm, out)
            _, out, _ = cli("token", "signature", "--jwks", folder / "jwks.json", stdin=token)
            assert json.loads(out)["valid"] is True, (algorithm, out)
            _, out, _ = cli("token", "signature", "--jwks", folder / "jwks.json", stdin=token[:-8] + "AAAAAAAA")
            assert json.loads(out)["valid"] is False, (algorithm, out)
            _, out, _ = cli("token", "decode", stdin=token, check=0)
            assert "alice" in out, out
        # and the other way about: tokens of the tests' issuer
        policy = POLICY.replace("algorithms: [ES256]", f"algorithms: [{algorithm}]")
        with Stage(policy=policy, algorithm=algorithm) as stage:
            lines = "\n".join([stage.token(), stage.token(lifetime=-5), "x"]) + "\n"
            _, out, _ = cli("token", "verify", "--policy", stage.policy, "--lines", stdin=lines)
            answers = [json.loads(line) for line in out.splitlines()]
            assert [(answer["valid"], answer.get("reason")) for answer in answers][1:] == [
                (False, "expired"), (False, "token_malformed")], answers
            assert answers[0]["valid"] is True


def test_a_changed_policy_is_judged_by_the_running_daemon():
    """explain --address speaks of what is served, not of what lies on disk."""
    with Stage() as stage:
        daemon = stage.daemon()
        token = stage.write("token", stage.token("orders:admin"))
        arguments = ["--method", "GET", "--target", "/v1/files/a", "--host", "api.example.com", "--token-file", token]
        _, out, _ = cli("explain", "--address", daemon.admin, *arguments)
        assert "insufficient_scope" in out, out
        daemon.reload(POLICY.replace("GET /files/**, scopes: files:read", "GET /files/**, scopes: orders:admin"))
        _, out, _ = cli("explain", "--address", daemon.admin, *arguments)
        assert "granted" in out, out


def test_usage_that_would_be_misunderstood_is_refused():
    request = ["--method", "GET", "--target", "/v1/orders", "--host", "api.example.com"]
    with Stage() as stage:
        rows = [
            (["decide", "--policy", stage.policy, "--policy", stage.policy],
             "--policy is given twice; give it once, with the folder that holds all files"),
            (["explain", "--policy", "a", "--policy=b", *request], "--policy is given twice"),
            (["decide", "--policy", "a", "b", "c"], "`b` is one argument too many: --policy takes one file"),
            (["explain", "--policy", "a", "b", *request], "`b` is one argument too many: --policy takes one file"),
            (["policy", "check", "--environment", "prod", "--environment", "dev", "a"], "--environment is given twice"),
            (["explain", "--policy", stage.policy, "--admin", "unix:/x", *request], "give one of them"),
            (["explain", "--environment", "prod", *request], "--environment goes with --policy"),
            (["policy", "show", "9", "--environment", "prod"], "leave --environment out"),
            (["policy", "show", "active", stage.policy], "`active` is no file that is there"),
            (["policy", "import", "openapi", "https://a.example/api.json"], "the document is a file; fetch it first"),
            (["policy", "import", "openapi", "x.yaml", "--issuer", "id.example.com"], "--issuer is the URL"),
            (["serve", "--policy", "a.yaml,b.yaml", "--store", stage.folder / "s"], "give --policy once for each file"),
        ]
        for words, expected in rows:
            status, out, err = cli(*words)
            assert status == 64 and expected in err and not out, (words, status, out, err)
        _, _, err = cli("explain", *request, check=2)
        assert "/run/scopecheck/admin.sock" in err and "or --policy FILE" in err, err
        _, _, err = cli("token", "mint", "--key", stage.folder / "jwks.json", "--claims", "{}", check=2)
        assert "is a set of keys" in err and "private.jwk" in err, err


def test_a_folder_that_is_not_there_is_named():
    with Stage() as stage:
        for words in (["policy", "init", "--issuer", "https://id.example.com", "--host", "a.example", "--output"],
                      ["policy", "test", stage.policy, "--junit"]):
            _, _, err = cli(*words, stage.folder / "no" / "x", check=2)
            assert f"`{stage.folder}/no` is no folder that is there" in err and ".tmp" not in err, (words, err)


def test_a_listener_for_proxies_is_no_admin_address():
    request = ["--method", "GET", "--target", "/v1/healthz", "--host", "api.example.com"]
    with Stage() as stage:
        daemon = stage.daemon()
        for command in (["status"], ["explain", *request], ["revocations"], ["policy", "log"], ["policy", "proposals"],
                        ["policy", "rollback", "-m", "x"], ["policy", "apply", stage.policy, "-m", "x"],
                        ["policy", "export", "active", "--to", "-"],
                        ["revoke", "--client", "c", "--issuer", issuer.ISSUER, "--reason", "x"]):
            status, out, err = cli(*command, "--admin", daemon.http)
            assert status == 2 and "give the daemon's admin address" in err and not out, (command, status, out, err)


def test_keys_that_only_the_daemon_fetches():
    network = POLICY.replace("jwks_file: jwks.json", "jwks_uri: https://id.example.com/jwks")
    with Stage(policy=network) as stage:
        assert network != POLICY
        token = stage.write("token", stage.token())
        words = ["--method", "GET", "--target", "/v1/orders", "--host", "api.example.com", "--token-file", token]
        _, out, _ = cli("explain", "--policy", stage.policy, *words, check=2)
        assert "  not made here: key" in out and "key: denied here" not in out and "with --admin" in out, out
        line = {"method": "GET", "target": "/v1/orders", "host": "api.example.com",
                "authorization": "Bearer " + stage.token()}
        _, out, err = cli("decide", "--policy", stage.policy, stdin=f"{json.dumps(line)}\n" * 2, check=0)
        assert out.count("keys_unavailable") == 2 and err.count("with `explain --admin`") == 1, (out, err)


def test_decide_names_what_a_line_lacks_and_what_is_no_fact():
    with Stage() as stage:
        lines = '{"methd": "GET", "target": "/", "host": "api.example.com"}\n{"methd": "GET", "x\\u001b": 1}\n'
        _, out, err = cli("decide", "--policy", stage.policy, stdin=lines, check=0)
        answers = [json.loads(line) for line in out.splitlines()]
        assert [(answer["reason"], answer["missing"]) for answer in answers] == [
            ("missing_fact", ["method"]), ("missing_fact", ["method", "target", "host"])], out
        assert err.count("line 1: `methd` is no fact") == 1 and "did you mean `method`?" in err, err
        assert "line 2: " in err and "\x1b" not in err, err
