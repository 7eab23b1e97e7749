"""`policy init`, `fmt`, `lint`, `schema`, and the reports of `policy test`, as people and build servers use them."""

import json
import os
import pty
import stat
import subprocess
import xml.etree.ElementTree as ElementTree

import jsonschema
import yaml

from daemon import POLICY, Stage, cli
from harness import Settings

FORMATTED = "scopecheck: 1\n\nservices:\n  a:\n    hosts: [a.example] # one\n    routes:\n      - { match: GET /, public: true }\n"
UNTIDY = "scopecheck: 1\nservices:\n    a:\n        hosts: [ a.example ] # one\n        routes:\n        - {match: GET /, public: true}"


def test_init_makes_a_policy_that_passes_everything():
    with Stage() as stage:
        path = stage.folder / "first.yaml"
        words = ["policy", "init", "--issuer", "https://id.example.com", "--host", "*.example.com", "--host", "a.example",
                 "--output", path]
        _, out, err = cli(*words, check=0)
        assert out == "" and "policy test" in err and "policy check" in err and "scopecheck serve" in err, (out, err)
        before = path.read_bytes()
        cli("policy", "check", path, check=0)
        cli("policy", "test", path, "--require-coverage", 100, check=0)
        cli("policy", "lint", path, "--strict", check=0)
        cli("policy", "fmt", path, "--check", check=0)
        _, _, err = cli(*words, check=2)
        assert "exists already" in err and path.read_bytes() == before, err
        _, out, _ = cli(*words[:-1], "-", check=0)
        assert out.encode() == before


def test_init_refuses_what_is_no_policy_and_asks_only_on_a_terminal():
    with Stage() as stage:
        path = stage.folder / "first.yaml"
        _, _, err = cli("policy", "init", "--output", path, stdin="https://id.example.com\na.example\n", check=2)
        assert "--issuer" in err and not path.exists(), err
        _, _, err = cli("policy", "init", "--issuer", "http://id.example.com", "--host", "a.example", "--output", path,
                        check=2)
        assert "https" in err and not path.exists(), err
        ours, theirs = pty.openpty()
        child = subprocess.Popen([str(Settings.binary), "policy", "init", "--output", str(path)], stdin=theirs,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        os.close(theirs)
        os.write(ours, b"https://id.example.com\napi.example.com www.example.com\n\n")
        _, err = child.communicate(timeout=60)
        os.close(ours)
        assert child.returncode == 0, err
        text = path.read_text()
        assert "hosts: [api.example.com, www.example.com]" in text and "[https://api.example.com]" in text, text


def test_fmt():
    with Stage() as stage:
        path = stage.write("untidy.yaml", UNTIDY)
        path.chmod(0o640)
        link = stage.folder / "link.yaml"
        link.symlink_to(path)
        _, out, _ = cli("policy", "fmt", path, "--check", check=1)
        assert out == f"{path}\n" and path.read_text() == UNTIDY
        _, out, _ = cli("policy", "fmt", path, "--diff", check=1)
        assert "-        hosts: [ a.example ] # one\n" in out and "+    hosts: [a.example]   # one\n" not in out, out
        assert path.read_text() == UNTIDY
        cli("policy", "fmt", link, check=0)
        assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o640
        once = path.read_text()
        cli("policy", "check", path, check=0)
        cli("policy", "fmt", path, "--check", check=0)
        _, out, _ = cli("policy", "fmt", "-", stdin=UNTIDY, check=0)
        assert out == once
        assert out.replace(" ", "") == FORMATTED.replace(" ", "")
        path.write_text("a: [\n")
        _, _, err = cli("policy", "fmt", path, check=1)
        assert "untidy.yaml:2:" in err and path.read_text() == "a: [\n", err
        cli("policy", "fmt", stage.folder / "missing.yaml", check=2)


def test_lint():
    with Stage() as stage:
        stage.policy.write_text(POLICY)
        status, out, _ = cli("policy", "lint", stage.policy)
        assert status in (0, 1), out
        status, out, _ = cli("policy", "lint", stage.policy, "--json")
        report = json.loads(out)
        assert report["errors"] == (1 if status == 1 else report["errors"]), report
        for finding in report["findings"]:
            assert finding["line"] >= 1 and finding["mend"] and finding["rule"], finding
        shadowed = FORMATTED + "".join(
            f"      - {{ match: \"GET /x/{path}\", public: true }}\n" for path in ("**", "", "{a}", "{a}/**"))
        path = stage.write("shadowed.yaml", shadowed)
        _, out, _ = cli("policy", "lint", path, check=1)
        assert "shadowed.yaml:8:" in out and "shadowed_route" in out, out
        allowed = shadowed.replace("      - { match: \"GET /x/**", "      # lint: allow shadowed_route kept for a week\n"
                                                                    "      - { match: \"GET /x/**")
        path.write_text(allowed)
        _, out, _ = cli("policy", "lint", path, check=0)
        assert "1 allowed by comments" in out, out
        cli("policy", "lint", path, "--strict", check=1)
        path.write_text(FORMATTED.replace("GET /,", "QWERTYUI /,"))
        _, out, _ = cli("policy", "check", path, check=0)
        assert "correct it, or leave it" in out and "lint:" not in out, out
        path.write_text("scopecheck: 1\n")
        cli("policy", "lint", path, check=1)
        cli("policy", "lint", stage.folder / "missing.yaml", check=2)


def test_schema_takes_good_policies_and_refuses_unknown_keys():
    _, out, _ = cli("policy", "schema", check=0)
    schema = json.loads(out)
    jsonschema.Draft7Validator.check_schema(schema)
    check = jsonschema.Draft7Validator(schema)
    _, first, _ = cli("policy", "init", "--issuer", "https://id.example.com", "--host", "*.example.com", "--output", "-",
                      check=0)

    class Texts(yaml.SafeLoader):
        """Dates stay texts, as in YAML 1.2."""

    Texts.yaml_implicit_resolvers = {
        key: [one for one in values if one[0] != "tag:yaml.org,2002:timestamp"]
        for key, values in yaml.SafeLoader.yaml_implicit_resolvers.items()}
    for text in (POLICY, FORMATTED, first):
        problems = [error.message for error in check.iter_errors(yaml.load(text, Texts))]
        assert not problems, problems
    for text in (POLICY.replace("hosts:", "host:"), FORMATTED.replace("public", "publik"), "scopecheck: 1\nextra: 1"):
        assert list(check.iter_errors(yaml.load(text, Texts))), text


def test_a_test_of_an_observed_route_says_so():
    with Stage() as stage:
        until = "2099-01-01T00:00:00Z"
        ask = "tests:\n  - { request: \"GET https://api.example.com/v1/orders\", scopes: [files:read], expect: %s }\n"
        text = POLICY.replace("match: GET /orders, scopes: orders:read",
                              f"match: GET /orders, scopes: orders:read, mode: observe, until: {until}")
        path = stage.write("observed.yaml", text + ask % "insufficient_scope")
        _, out, _ = cli("policy", "test", path, check=1)
        assert "got observed" in out and f"the route is in observe mode until {until}" in out, out
        assert "expect `observed`" in out and "`at`" in out, out
        _, out, _ = cli("policy", "test", path, "--json", check=1)
        assert until in json.loads(out)["results"][0]["mend"], out
        report = stage.folder / "observed.xml"
        cli("policy", "test", path, "--junit", report, check=1)
        assert until in report.read_text()
        path = stage.write("observed.yaml", text + ask % "observed")
        cli("policy", "test", path, check=0)
        client = "clients:\n  web: { client_id: w, issuer: https://id.example.com, scopes: [files:read], "
        client += "mode: observe, until: %s }\n"
        ask = ask.replace("scopes:", "client: web, scopes:")
        listing = POLICY.replace("    profile:", "    unknown_clients: deny\n    profile:")
        path = stage.write("observed.yaml", listing + client % until + ask % "insufficient_scope")
        _, out, _ = cli("policy", "test", path, check=1)
        assert f"the client `web` is in observe mode until {until}" in out, out


def test_reports_of_policy_test():
    tests = ("tests:\n  - { request: GET https://a.example/, expect: allow }\n"
             "  - { request: \"GET https://a.example/?<&\", expect: deny }\n")
    with Stage() as stage:
        path = stage.write("tested.yaml", FORMATTED + tests)
        results = stage.folder / "results.xml"
        _, out, _ = cli("policy", "test", path, "--coverage", "--junit", results, check=1)
        assert "coverage 100 %" in out and "1 passed, 1 failed" in out, out
        suite = ElementTree.parse(results).getroot().find("testsuite")
        assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
        assert [case.get("line") for case in suite] == ["9", "10"]
        assert "?<&" in suite[1].get("name") and suite[1].find("failure") is not None
        path.write_text(FORMATTED.replace("GET /,", "GET /a,") + tests.splitlines()[0] + "\n"
                        + "  - { request: GET https://a.example/b, expect: deny }\n")
        _, out, _ = cli("policy", "test", path, "--require-coverage", 1, check=1)
        assert "not tested: `GET /a` of `a` with allow" in out and "coverage 0 %" in out, out
        cli("policy", "test", path, "--require-coverage", 0, check=0)
        _, out, _ = cli("policy", "test", path, "--coverage", "--json", check=0)
        assert json.loads(out)["coverage"]["percent"] == 0, out
        assert cli("policy", "test", path, "--require-coverage", 101)[0] == 64
