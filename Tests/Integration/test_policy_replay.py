"""`policy replay`: what no record holds is counted as unknown, never as the same."""

import json
from xml.etree import ElementTree

import issuer
import proofs
from daemon import Stage, cli

NOW = 1_800_000_000
BASE = """\
scopecheck: 1
issuers:
  - issuer: https://id.example.com
    audience: https://api.example.com
    keys: {{ jwks_file: {keys} }}
    algorithms: [ES256]
{issuer}scopes: {{ "a:read": {{}}, "b:x": {{}} }}
services:
  one:
    hosts: [api.example.com]
{service}    routes:
      - {{ match: "GET /a/{{t}}", scopes: a:read{route} }}
      - {{ match: GET /open, public: true }}
"""
COOKIE = "    token_from: { cookie: t }\n"
SOCKET = "    token_from: { websocket_protocol: bearer }\n"
OTHER_CLAIM = "    scope_claim: scp\n"
INTROSPECTION = ('    introspection: {{ endpoint: "https://id.example.com/i", tokens: {}, client_id: s, auth: basic, '
                 'secret_file: secret }}\n')


class Replayed(Stage):
    """Two key sets, and policies that differ from each other in one thing."""

    def __init__(self):
        super().__init__()
        self.other_key = issuer.Key(self.key.algorithm, "other")
        self.write("other.json", issuer.jwks(self.other_key))
        self.write("copy.json", (self.folder / "jwks.json").read_text())
        self.write("secret", "s")
        self.count = 0

    def written(self, keys="jwks.json", **parts):
        self.count += 1
        parts = {"issuer": "", "service": "", "route": "", **parts}
        return self.write(f"policy{self.count}.yaml", BASE.format(keys=keys, **parts))

    def minted(self, scope="a:read", typ="at+jwt", key=None, **claims):
        return issuer.mint(key or self.key, header={"typ": typ}, scope=scope, now=NOW - 60, **claims)

    def line(self, token=None, target="/a/x", **facts):
        return {"method": "GET", "target": target, "host": "api.example.com", "at": NOW,
                **({"authorization": [f"Bearer {token}"]} if token else {}), **facts}

    def decided(self, policy, *lines):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        code, out, _ = cli("decide", "--policy", policy, "--record", stdin=text)
        assert code in (0, 1), code
        return out

    def replay(self, policy, record, *flags, check=None):
        path = self.write("record.jsonl", record)
        code, out, error = cli("policy", "replay", policy, "--audit", path, "--json", *flags)
        assert check is None or code == check, (code, out, error)
        return code, json.loads(out), error

    def compare(self, old, new, line):
        """(reason under the old policy, under the new one, what `replay` says of the record)."""
        recorded = self.decided(old, line)
        _, report, error = self.replay(new, recorded)
        assert report["refused_lines"] == 0, error
        said = [name for name in ("same", "opens", "closes", "shifts", "unknown") if report[name]]
        assert len(said) == 1, report
        return [json.loads(text)["reason"] for text in (recorded, self.decided(new, line))] + said


def test_what_no_record_holds_is_unknown():
    with Replayed() as stage:
        token = stage.minted()
        plain = stage.written()
        cookie = stage.written(service=COOKIE)
        claim = stage.written(issuer=OTHER_CLAIM)
        compat = stage.written(issuer="    profile: compat\n")
        status = {"status_list": {"idx": 1, "uri": "https://s.example.com/1"}}
        cases = [
            (plain, cookie, stage.line(cookie=[f"t={token}"]), "no_token", "granted"),
            (plain, stage.written(service=SOCKET), stage.line(sec_websocket_protocol=[f"bearer, {token}"]),
             "no_token", "granted"),
            (cookie, plain, stage.line(token, cookie=[f"t={token}"]), "multiple_credentials", "granted"),
            (claim, plain, stage.line(stage.minted(scp=5)), "claims_malformed", "granted"),
            (claim, plain, stage.line(stage.minted(scp="b:x")), "insufficient_scope", "granted"),
            (plain, claim, stage.line(token), "granted", "insufficient_scope"),
            (plain, stage.written(issuer="    client_claim: azp\n"), stage.line(token), "granted", "missing_claim"),
            (compat, plain, stage.line(stage.minted(typ="JWT")), "granted", "token_type_mismatch"),
            (plain, stage.written(keys="other.json"), stage.line(token), "granted", "unknown_key"),
            (plain, stage.written(keys="other.json"), stage.line(stage.minted(key=stage.other_key)),
             "unknown_key", "granted"),
            (plain, stage.written(issuer=INTROSPECTION.format("opaque")), stage.line("opaque"),
             "token_malformed", None),
            (plain, stage.written(issuer=INTROSPECTION.format("all")), stage.line(token), "granted", None),
            (plain, stage.written(issuer='    status_lists: ["https://s.example.com/"]\n'),
             stage.line(stage.minted(status=status)), "granted", None),
            (stage.written(issuer="    leeway: 0s\n"), stage.written(issuer="    leeway: 120s\n"),
             stage.line(stage.minted(lifetime=10)), "expired", "granted"),
            (plain, stage.written(route=", where: { t: tenant }"), stage.line(token), "granted", None),
        ]
        for number, (old, new, line, before, after) in enumerate(cases):
            was, is_now, said = stage.compare(old, new, line)
            assert was == before and is_now == (after or is_now), (number, was, is_now)
            assert said == "unknown", (number, was, is_now, said)


def test_what_a_record_settles_is_decided():
    with Replayed() as stage:
        token = stage.minted()
        plain = stage.written()
        cookie = stage.written(service=COOKIE)
        short = stage.written(issuer="    max_lifetime: 5m\n")
        cases = [
            (plain, short, stage.line(token), "closes"),
            (plain, short, stage.line(stage.minted(lifetime=240)), "same"),
            (stage.written(issuer="    leeway: 60s\n"), stage.written(issuer="    leeway: 0s\n"),
             stage.line(stage.minted(lifetime=40)), "closes"),
            # The same keys in another file.
            (plain, stage.written(keys="copy.json"), stage.line(token), "same"),
            # Nothing was sent in any place, or in none but the one that every service looks at.
            (plain, cookie, stage.line(), "same"),
            (plain, cookie, stage.line(token), "same"),
            (plain, cookie, stage.line(authorization=["Basic eA=="]), "same"),
            (plain, cookie, stage.line(authorization=["Bearer a", "Bearer b"]), "same"),
            # Whatever it carries.
            (stage.written(issuer=OTHER_CLAIM), plain, stage.line(token, "/open"), "same"),
            (stage.written(issuer=OTHER_CLAIM), plain, stage.line(token, "/none"), "same"),
            (plain, stage.written(keys="other.json"), stage.line(stage.minted() * 20), "same"),
        ]
        for number, (old, new, line, expected) in enumerate(cases):
            was, is_now, said = stage.compare(old, new, line)
            assert said == expected, (number, was, is_now, said)
            assert (was == is_now) == (said == "same"), (number, was, is_now)


def test_a_policy_is_the_same_as_itself():
    holder = proofs.ProofKey()
    with Replayed() as stage:
        bound = stage.minted(cnf=holder.confirmation)

        def proved(token):
            proof = proofs.proof(holder, token, "GET", "https://api.example.com/a/x", iat=NOW)
            return stage.line(authorization=[f"DPoP {token}"], dpop=[proof])

        lines = [
            stage.line(), stage.line("opaque"), stage.line(stage.minted()), stage.line(stage.minted("b:x")),
            stage.line(stage.minted(lifetime=30)), stage.line(stage.minted(aud="https://q.example")),
            stage.line(stage.minted(key=stage.other_key)), stage.line(stage.minted(iss="https://q.example")),
            stage.line(stage.minted(scope=5)), stage.line(stage.minted(client_id=None)),
            stage.line(stage.minted(), cookie=["a=b"]), stage.line(authorization=["Bearer a", "Bearer b"]),
            stage.line(stage.minted(), "/none"), stage.line(stage.minted(), "/open"),
            stage.line(stage.minted(), normalized_path="/other"), stage.line(stage.minted(), "/a/%2e%2e/b?c"),
            proved(bound), proved(stage.minted()), stage.line(bound), stage.line(bound, authorization=[f"DPoP {bound}"]),
            stage.line(method=""), stage.line(host=""), stage.line(scheme="HTTPS"), stage.line(scheme="ftp"),
            stage.line(port=70000), stage.line(port=0), {"at": NOW},
        ]
        for policy in (stage.written(), stage.written(service=COOKIE), stage.written(route=", proof: any"),
                       stage.written(route=", where: { t: tenant }"), stage.written(issuer="    profile: compat\n"),
                       stage.written(route=", mode: observe, until: 2030-01-01T00:00:00Z")):
            code, report, error = stage.replay(policy, stage.decided(policy, *lines))
            assert (code, report["same"]) == (0, len(lines)), (policy.read_text(), report, error)


def test_whatever_decide_records_can_be_read():
    with Replayed() as stage:
        plain = stage.written()
        token = stage.minted(lifetime=2**52, auth_time=2**53)
        lines = [
            {"connect": 9443, "at": NOW}, stage.line(at=2**62), stage.line(token, at=-5), stage.line(token),
            stage.line(at=NOW * 1000),
        ]
        record = stage.decided(plain, *lines)
        _, report, error = stage.replay(plain, record, check=0)
        assert report["refused_lines"] == 0 and report["same"] + report["unknown"] == len(lines), (report, error)
        _, report, _ = stage.replay(plain, record, "--strict", check=3)
        assert report["unknown"] == 4 and report["opens"] == 0, report
        assert sum(row["count"] for row in report["unknown_reasons"]) == 4, report
        _, text, _ = cli("policy", "replay", plain, "--audit", stage.folder / "record.jsonl", check=0)
        assert "4 could not be compared" in text.splitlines()[-1], text
        stage.replay(plain, stage.decided(plain, stage.line()), "--strict", check=0)


def test_records_without_the_newer_members():
    with Replayed() as stage:
        plain = stage.written()
        lines = [stage.line(), stage.line("opaque"), stage.line(stage.minted()), stage.line(stage.minted(), "/none")]
        old = []
        for text in stage.decided(plain, *lines).splitlines():
            record = json.loads(text)
            for name in ("settings", "token_from", "credentials"):
                record.pop(name, None)
            for name in ("settings", "iat", "exp"):
                (record["token"] or {}).pop(name, None)
            old.append(json.dumps(record))
        _, report, _ = stage.replay(plain, "\n".join(old) + "\n", check=0)
        assert (report["same"], report["unknown"]) == (1, 3), report


def test_errors_of_a_policy_are_no_data():
    with Replayed() as stage:
        bad = stage.write("bad.yaml", "scopecheck: 1\nissuers: 5\n")
        line = json.dumps(stage.line()) + "\n"
        code, out, error = cli("decide", "--policy", bad, stdin=line)
        assert code == 1 and out == "" and "bad.yaml" in error, (code, out, error)
        code, out, error = cli("token", "verify", "--policy", bad, stdin=stage.minted())
        assert code == 1 and out == "" and "bad.yaml" in error, (code, out, error)
        results = stage.write("results.xml", "of another day")
        for path, status in ((bad, 1), (stage.folder / "absent.yaml", 2)):
            results.write_text("of another day")
            cli("policy", "test", path, "--junit", results, check=status)
            suite = ElementTree.parse(results).getroot().find("testsuite")
            assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("1", "1", "0"), suite.attrib
            error = suite[0].find("error")
            assert error is not None and path.name in error.get("message"), results.read_text()
