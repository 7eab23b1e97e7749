"""`policy shadow` on live traffic and `policy replay` on recorded decisions: what a candidate would have decided."""

import json

from concurrent.futures import ThreadPoolExecutor

from daemon import POLICY, SERVE, Stage, cli
from harness import wait_until

READ = "match: GET /orders, scopes: orders:read"
NARROW = POLICY.replace(READ, "match: GET /orders, scopes: orders:admin")


class Shadowed(Stage):
    """A daemon that decides by POLICY and has stored NARROW."""

    def __init__(self):
        super().__init__()
        self.service = self.daemon(config=SERVE)
        self.wide = self.write("wide/policy.yaml", POLICY)
        self.narrow = self.write("narrow/policy.yaml", NARROW)
        for folder in ("wide", "narrow"):
            self.write(f"{folder}/jwks.json", (self.folder / "jwks.json").read_text())
        self.place = ["--admin", self.service.admin]
        cli("policy", "apply", self.wide, "-m", "wide", *self.place, check=0)
        _, out, _ = cli("policy", "apply", self.narrow, "-m", "candidate", "--stage", "--json", *self.place, check=0)
        self.candidate = json.loads(out)["version"]

    def shadow(self, *arguments, check=0):
        code, out, error = cli("policy", "shadow", *arguments, *self.place, "--json")
        assert check is None or code == check, (code, out, error)
        return json.loads(out) if out.strip() else error

    def ask(self, target="/v1/orders", **options):
        return self.service.ask(target, **options)


def test_differences_of_live_traffic():
    with Shadowed() as stage:
        assert stage.shadow(check=2) == {"version": None}
        token = stage.token()
        assert stage.ask(token=token).status == 200
        assert "shadow" not in stage.service.status()
        assert stage.shadow(stage.candidate[:12])["version"] == stage.candidate
        assert stage.service.status()["shadow"]["version"] == stage.candidate
        _, text, _ = cli("status", *stage.place, check=0)
        assert f"version {stage.candidate[:16]} is decided beside it since " in text, text
        for kind in ("http", "fastcgi"):
            for _ in range(3):
                # Nobody is answered by the candidate.
                assert stage.ask(token=token, kind=kind).status == 200
                assert stage.ask("/v1/orders/7", token=token, kind=kind).status == 200
                assert stage.ask("/none", token=token, kind=kind).status == 403
                assert stage.ask(kind=kind).status == 401
                assert stage.ask(token="garbage", kind=kind).status == 401
        report = stage.shadow()
        assert report["version"] == stage.candidate, report
        assert (report["closes"], report["opens"], report["unknown"]) == (6, 0, 0), report
        assert report["same"] == 24, report
        (row,) = report["differences"]
        assert (row["count"], row["before"], row["after"]) == (6, "granted", "insufficient_scope"), row
        assert row["example"].startswith("GET http") and row["example"].endswith("/v1/orders"), row
        _, text, _ = cli("policy", "shadow", *stage.place, check=0)
        assert "closes  6 ×" in text and "granted → insufficient_scope" in text, text
        assert stage.shadow("--stop") == {"ended": True}
        assert stage.shadow("--stop") == {"ended": False}
        assert stage.shadow(check=2) == {"version": None}
        events = [event["event"] for event in stage.service.log() if event["event"].startswith("shadow_")]
        assert events == ["shadow_started", "shadow_ended"], events
        stage.service.alive()


def test_a_wider_candidate_ends_with_3_and_becoming_active_ends_it():
    with Shadowed() as stage:
        cli("policy", "rollback", stage.candidate, "-m", "narrow first", *stage.place)
        _, out, _ = cli("policy", "apply", stage.narrow, "-m", "narrow", "--json", *stage.place, check=0)
        assert json.loads(out)["version"] == stage.candidate
        _, log, _ = cli("policy", "log", "--json", *stage.place, check=0)
        wide = next(json.loads(line)["version"] for line in log.splitlines() if stage.candidate not in line)
        token = stage.token()
        stage.shadow(wide)
        assert stage.ask(token=token).status == 403
        report = stage.shadow(check=3)
        assert (report["opens"], report["closes"]) == (1, 0), report
        cli("policy", "apply", stage.wide, "-m", "wide again", *stage.place, check=0)
        wait_until(lambda: stage.shadow(check=None) == {"version": None}, "the shadow has ended with the candidate active")
        assert stage.ask(token=token).status == 200


def test_what_is_not_verified_is_unknown():
    with Shadowed() as stage:
        claim = stage.write("claim/policy.yaml", POLICY.replace("profile: rfc9068", "scope_claim: scp"))
        stage.write("claim/jwks.json", (stage.folder / "jwks.json").read_text())
        _, out, _ = cli("policy", "apply", claim, "-m", "claim", "--stage", "--json", *stage.place, check=0)
        stage.shadow(json.loads(out)["version"])
        tokens = [stage.token(scope=5, scp="orders:read") for _ in range(400)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda token: stage.ask(token=token).status, tokens))
        assert set(answers) == {401}, set(answers)
        # The candidate would let all of them pass; those beyond its verifications of a second it knows nothing of.
        report = stage.shadow(check=3)
        assert report["same"] == 0 and report["opens"] + report["unknown"] == len(tokens), report


def test_requests_without_a_token_use_no_verification_up():
    with Shadowed() as stage:
        claim = stage.write("claim/policy.yaml", POLICY.replace("profile: rfc9068", "scope_claim: scp"))
        stage.write("claim/jwks.json", (stage.folder / "jwks.json").read_text())
        _, out, _ = cli("policy", "apply", claim, "-m", "claim", "--stage", "--json", *stage.place, check=0)
        stage.shadow(json.loads(out)["version"])
        for _ in range(3):
            for _ in range(120):
                assert stage.ask().status == 401
            assert stage.ask(token=stage.token(scope=5, scp="orders:read")).status == 401
        report = stage.shadow(check=3)
        assert (report["opens"], report["unknown"], report["same"]) == (3, 0, 360), report


def test_what_cannot_be_compared_is_refused():
    with Shadowed() as stage:
        code, _, error = cli("policy", "shadow", "0" * 64, *stage.place)
        assert code == 2 and "policy log" in error, error
        code, _, error = cli("policy", "shadow", "active", *stage.place)
        assert code == 2 and "compared with itself" in error, error
        assert stage.shadow(check=2) == {"version": None}
        code, _, error = cli("policy", "shadow", "--stop", stage.candidate, *stage.place)
        assert code == 64, (code, error)
        code, _, error = cli("policy", "shadow", "--store", str(stage.folder / "store"))
        assert code == 64 and "running daemon" in error, error


def test_replay_of_recorded_decisions():
    with Stage() as stage:
        path = stage.write("policy.yaml", POLICY)
        narrow = stage.write("narrow.yaml", NARROW)
        lines = []
        for token in (stage.token(), stage.token("orders:admin"), "garbage"):
            for target in ("/v1/orders?secret=1", "/v1/orders/7", "/none"):
                lines.append(
                    {"id": len(lines), "method": "GET", "target": target, "host": "api.example.com",
                     "authorization": [f"Bearer {token}"]})
        stdin = "\n".join(json.dumps(line) for line in lines) + "\n"
        _, recorded, _ = cli("decide", "--policy", path, "--record", stdin=stdin, check=0)
        assert "secret" not in recorded and stage.token() not in recorded
        record = stage.write("recorded.jsonl", recorded)
        _, out, _ = cli("policy", "replay", path, "--audit", record, "--json", check=0)
        assert json.loads(out)["same"] == 9, out
        _, out, _ = cli("policy", "replay", narrow, "--audit", record, "--json", check=0)
        report = json.loads(out)
        assert (report["same"], report["closes"], report["opens"]) == (8, 1, 0), report
        _, wider, _ = cli("decide", "--policy", narrow, "--record", stdin=stdin, check=0)
        code, out, _ = cli("policy", "replay", path, "--audit", "-", "--json", stdin=wider)
        assert code == 3 and json.loads(out)["opens"] == 1, (code, out)
        code, out, error = cli("policy", "replay", path, "--audit", "-", stdin="{}\nnothing\n")
        assert code == 1 and "line 1" in error and "line 2" in error and "2 lines are no records" in out, (out, error)
        code, _, error = cli("policy", "replay", path, "--audit", str(stage.folder / "absent"))
        assert code == 2 and "absent" in error, error
