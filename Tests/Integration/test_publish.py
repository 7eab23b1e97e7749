"""A service publishes its own routes and scopes: what only tightens decides at once, the rest waits for a person, and
nothing goes beyond the limits that the policy in force sets for the service's key."""

import base64
import hashlib
import http.client
import json
import socket
import threading
import time

import issuer
from daemon import Stage, cli
from harness import wait_until

POLICY = """\
scopes:
  orders:read:     {{ description: Read orders }}
  orders:write:    {{ description: Create and change orders }}
  payments:charge: {{}}
services:
  platform:
    hosts: [api.example.com]
    routes:
      - {{ match: GET /v1/healthz, public: true }}
  payments:
    hosts: [pay.example.com]
    audience: https://api.example.com
    routes:
      - {{ match: POST /charges, scopes: payments:charge }}
publishers:
  orders:
    keys: [{key}]
    hosts: [orders.example.com, api.example.com]
    base_path: /v1
    scopes: ["orders:*"]
{more}"""

ROUTES = """\
scopecheck: 1
services:
  orders:
    hosts: [orders.example.com]
    audience: https://api.example.com
    base_path: /v1
    routes:
      - { match: GET /orders, scopes: orders:read }
"""
CREATE = "      - { match: POST /orders, scopes: orders:write }\n"


class Publisher(Stage):
    """A daemon whose policy lets the service `orders` publish itself."""

    def __init__(self, more="", **options):
        super().__init__()
        self.signer = self.make_key("ci")
        self.more = more
        # Where publications go, when not to the admin socket.
        self.publications = None
        self.policy.write_text(self.policy_text())
        self.options = options

    def __enter__(self):
        super().__enter__()
        self.served = self.daemon(**self.options)
        return self

    def policy_text(self, more=""):
        return issuer.policy_head() + POLICY.format(key=json.dumps(self.signer[1]), more=self.more + more)

    def make_key(self, name, kid="ci-2026", algorithm="EdDSA"):
        """(path of the private JWK, public JWK)"""
        _, out, _ = cli("keys", "generate", "--algorithm", algorithm, "--kid", kid, check=0)
        made = json.loads(out)
        return self.write(f"{name}.jwk", json.dumps(made["private"])), made["jwks"]["keys"][0]

    def publish(self, text=ROUTES, *flags, service="orders", key=None, check=None):
        """(exit status, the daemon's answer)"""
        arguments = ["publish", "--service", service, "--key", key or self.signer[0],
                     "--address", self.publications or self.served.admin, "--json", *flags]
        if text is not None:
            arguments.append(self.write("published.yaml", text))
        status, out, err = cli(*arguments)
        assert check is None or status == check, (status, out, err)
        return status, json.loads(out) if out.strip() else err

    def refused(self, reason, text=ROUTES, *flags, **options):
        label = self.served.policy_label()
        status, answer = self.publish(text, *flags, **options)
        assert status == 1 and answer["reason"] == reason, (reason, status, answer)
        assert self.served.policy_label() == label, "the policy has changed"
        return answer["error"]

    def proposals(self):
        _, out, _ = cli("policy", "proposals", "--admin", self.served.admin, "--json", check=0)
        return [json.loads(line) for line in out.splitlines()]

    def approve(self, proposal, *flags, check=0):
        _, out, _ = cli("policy", "approve", proposal["id"], "-m", "looked at", "--admin", self.served.admin, "--json",
                        *flags, check=check)
        return json.loads(out)

    def install(self, text=ROUTES, *flags):
        _, answer = self.publish(text, *flags, check=3)
        return self.approve(answer["proposal"])

    def reason(self, method="GET", path="/v1/orders", scope="orders:read orders:write", host="orders.example.com"):
        answer = self.served.ask(path, method=method, host=host, token=self.token(scope))
        return answer.header("X-Scope-Reason")

    def post(self, path, body):
        """Sends exact bytes to where publications go: (status, answer)."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect((self.publications or self.served.admin).removeprefix("unix:"))
        connection.request("POST", path, body, {"Content-Type": "application/octet-stream"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def statement(text=ROUTES, serial=None, ttl=0, service="orders"):
    digest = hashlib.sha256(text.encode()).hexdigest()
    serial = serial if serial is not None else int(time.time() * 1000)
    return ("scopecheck publication statement 1\naction publish\n"
            f"service {service}\nsha256 {digest}\nserial {serial}\nttl {ttl}\n")


def signed(stated, key, text=ROUTES, kid="ci-2026"):
    """A publication that shares no code with the command."""
    from cryptography.hazmat.primitives.asymmetric import ed25519
    secret = json.loads(key.read_text())["d"]
    private = ed25519.Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(secret + "=="))
    return {"statement": stated, "kid": kid, "signature": b64(private.sign(stated.encode())), "file": b64(text.encode())}


def body(publication, line="{}"):
    return line.encode() + b"\n" + json.dumps(publication).encode()


def test_a_new_service_waits_for_a_person():
    with Publisher() as stage:
        assert stage.reason() == "unknown_host"
        before = stage.served.policy_label()
        _, answer = stage.publish(check=3)
        proposal = answer["proposal"]
        assert answer["state"] == "proposed" and proposal["service"] == "orders" and proposal["kid"] == "ci-2026", answer
        assert proposal["widenings"], proposal
        assert stage.reason() == "unknown_host" and stage.served.policy_label() == before
        assert [row["id"] for row in stage.proposals()] == [proposal["id"]]
        assert proposal["version"] == proposal["id"]
        _, text, _ = cli("policy", "proposals", "--admin", stage.served.admin, check=0)
        assert f"policy plan active {proposal['id']} --admin {stage.served.admin}\n" in text, text
        cli("policy", "approve", "0" * 64, "-m", "no", "--admin", stage.served.admin, check=1)
        cli("policy", "approve", proposal["id"][:16], "-m", "no", "--admin", stage.served.admin, check=64)
        approved = stage.approve(proposal)
        assert approved["state"] == "active" and approved["version"] == proposal["version"], approved
        assert stage.served.policy_label() == approved["label"]
        assert stage.reason() == "granted" and stage.reason(scope="payments:charge") == "insufficient_scope"
        assert stage.reason("POST") == "method_not_allowed", stage.reason("POST")
        assert stage.proposals() == []
        # The same once more changes nothing.
        _, answer = stage.publish(check=0)
        assert answer["state"] == "unchanged" and answer["label"] == approved["label"], answer
        active = stage.served.events("policy_active")[-1]
        assert active["kind"] == "publish" and "service orders, key ci-2026" in active["author"], active


def test_how_much_more_a_proposal_would_allow():
    with Publisher() as stage:
        for count, kept, more in ((3, 3, None), (4, 4, 1), (20, 20, 17), (30, 20, 27)):
            # What needs the same is one finding, so each route has a scope of its own.
            scopes = "scopes:\n" + "".join(f"  orders:r{number}: {{}}\n" for number in range(count))
            routes = "".join(f"      - {{ match: GET /r{number}, scopes: orders:r{number} }}\n" for number in range(count))
            _, answer = stage.publish(ROUTES.split("      - ")[0].replace("services:", scopes + "services:") + routes,
                                      check=3)
            widenings = answer["proposal"]["widenings"]
            assert len(widenings) == kept, widenings
            assert answer["proposal"].get("widenings_omitted") == (10 if count == 30 else None), answer["proposal"]
            _, text, _ = cli("policy", "proposals", "--admin", stage.served.admin, check=0)
            assert text.count("would allow: ") == 3, text
            assert (f"\n  and {more} more\n" in text) if more else " more\n" not in text, text


def test_what_tightens_decides_at_once():
    with Publisher() as stage:
        stage.install(ROUTES + CREATE)
        assert stage.reason("POST") == "granted"
        _, answer = stage.publish(ROUTES, check=0)
        assert answer["state"] == "active", answer
        assert stage.reason("POST") == "method_not_allowed" and stage.reason() == "granted"
        # And back again would be more.
        _, answer = stage.publish(ROUTES + CREATE, check=3)
        assert stage.reason("POST") == "method_not_allowed"
        # A newer one that tightens overtakes what waits.
        assert len(stage.proposals()) == 1
        stage.publish(ROUTES, check=0)
        assert stage.proposals() == []


def test_a_newer_proposal_replaces_the_older_one():
    with Publisher() as stage:
        _, first = stage.publish(ROUTES, check=3)
        _, second = stage.publish(ROUTES + CREATE, check=3)
        assert [row["id"] for row in stage.proposals()] == [second["proposal"]["id"]]
        cli("policy", "approve", first["proposal"]["id"], "-m", "too late", "--admin", stage.served.admin, check=1)
        cli("policy", "reject", second["proposal"]["id"], "-m", "no", "--admin", stage.served.admin, check=0)
        assert stage.proposals() == [] and stage.reason() == "unknown_host"
        cli("policy", "reject", second["proposal"]["id"], "-m", "no", "--admin", stage.served.admin, check=1)


def test_a_key_speaks_for_its_service_only():
    with Publisher() as stage:
        other, _ = stage.make_key("other")
        stranger, _ = stage.make_key("stranger", kid="stranger")
        stage.refused("bad_signature", key=other)
        stage.refused("unknown_key", key=stranger)
        stage.refused("unknown_publisher", ROUTES.replace("  orders:\n", "  payments:\n"), service="payments")
        stage.refused("outside_file", ROUTES.replace("  orders:\n", "  payments:\n"))
        both = ROUTES + "  payments:\n    hosts: [orders.example.com]\n    routes: [{ match: GET /v1/x, scopes: orders:read }]\n"
        stage.refused("outside_file", both)
        for more in ("issuers: []\n", "clients: {}\n", "roles: {}\n", "environments: {}\n", "publishers: {}\n",
                     "publications: { payments: { ends: 2020-01-01T00:00:00Z } }\n"):
            stage.refused("outside_file", ROUTES + more)
        assert not stage.proposals()


def test_limits():
    with Publisher() as stage:
        def changed(old, new):
            assert old in ROUTES
            return ROUTES.replace(old, new)

        stage.refused("outside_hosts", changed("[orders.example.com]", "[pay.example.com]"))
        stage.refused("outside_hosts", changed("[orders.example.com]", '["*.example.com"]'))
        stage.refused("outside_path", changed("base_path: /v1", "base_path: /v2"))
        stage.refused("outside_path", changed("    base_path: /v1\n", ""))
        stage.refused("outside_scopes", changed("scopes: orders:read", "scopes: payments:charge"))
        stage.refused("public_route", changed("scopes: orders:read", "public: true"))
        stage.refused("observe_mode", changed(
            "scopes: orders:read", "scopes: orders:read, mode: observe, until: 2099-01-01T00:00:00Z"))
        for key in ("mode: observe", "until: 2099-01-01T00:00:00Z", "ends: 2099-01-01T00:00:00Z", "kind: tcp"):
            stage.refused("outside_file", changed("    base_path: /v1\n", f"    base_path: /v1\n    {key}\n"))
        # A scope of its own must not open what others protect.
        stage.refused("outside_scopes", ROUTES + "scopes: { orders:all: { implies: payments:charge } }\n")
        stage.refused("outside_scopes", ROUTES + "scopes: { orders:all: { implies: \"*\" } }\n")
        stage.refused("outside_scopes", ROUTES + "scopes: { payments:all: {} }\n")
        # Its tests are about itself.
        test = "tests: [{ request: POST https://pay.example.com/charges, scopes: [], expect: deny }]\n"
        stage.refused("outside_hosts", ROUTES + test)
        own = "tests: [{ request: GET https://orders.example.com/v1/orders, scopes: [orders:read], expect: deny }]\n"
        error = stage.refused("tests_failed", ROUTES + own)
        assert "orders.example.com/v1/orders" in error, error
        # On a host of both it keeps away from what is another service's.
        stage.refused("overlaps", changed("[orders.example.com]", "[api.example.com]").replace(
            "GET /orders,", "\"GET /{anything}\","))
        error = stage.refused("policy_errors", changed("GET /orders", "GET orders"))
        assert "published/orders/routes.yaml:8:" in error and "mend:" in error, error
        stage.refused("policy_errors", "scopecheck: 1\nservices: [\n")
        stage.refused("outside_file", "scopecheck: 1\nscopes: { orders:x: {} }\n")


def test_a_service_of_the_policy_s_own_is_not_published():
    with Publisher() as stage:
        own = ROUTES.split("services:\n")[1]
        stage.served.reload(stage.policy_text().replace("services:\n", "services:\n" + own))
        error = stage.refused("defined_elsewhere")
        assert "stands in" in error and "line" in error, error


def test_nothing_is_taken_twice():
    with Publisher() as stage:
        first = signed(statement(ROUTES + CREATE, serial=1000), stage.signer[0], ROUTES + CREATE)
        status, answer = stage.post("/policy/publications", body(first))
        assert status == 202, answer
        stage.approve(answer["proposal"])
        status, answer = stage.post("/policy/publications", body(first))
        assert status == 403 and answer["reason"] == "replayed", answer
        older = signed(statement(ROUTES, serial=999), stage.signer[0])
        assert stage.post("/policy/publications", body(older))[1]["reason"] == "replayed"
        assert stage.post("/policy/publications", body(signed(statement(serial=1001), stage.signer[0])))[0] == 200
        # Also by a daemon that was killed and started again.
        stage.served.kill()
        stage.served.start()
        assert stage.post("/policy/publications", body(first))[1]["reason"] == "replayed"
        assert stage.reason() == "granted" and stage.reason("POST") == "method_not_allowed"
        ahead = signed(statement(serial=int((time.time() + 200_000) * 1000)), stage.signer[0])
        assert stage.post("/policy/publications", body(ahead))[1]["reason"] == "serial_ahead"
        # What was refused has used no serial.
        bad = signed(statement(ROUTES.replace("/v1", "/v2"), serial=1002), stage.signer[0], ROUTES.replace("/v1", "/v2"))
        assert stage.post("/policy/publications", body(bad))[1]["reason"] == "outside_path"
        forged = signed(statement(serial=1003), stage.make_key("forger")[0])
        assert stage.post("/policy/publications", body(forged))[1]["reason"] == "bad_signature"
        assert stage.post("/policy/publications", body(signed(statement(serial=1002), stage.signer[0])))[0] == 200


def test_what_was_signed_is_what_is_taken():
    with Publisher() as stage:
        good = signed(statement(), stage.signer[0])

        def reason(publication, **options):
            status, answer = stage.post("/policy/publications", body(publication, **options))
            assert 400 <= status < 500, (status, answer)
            return answer["reason"]

        assert reason({**good, "file": b64((ROUTES + CREATE).encode())}) == "wrong_file"
        assert reason({**good, "statement": good["statement"].replace("ttl 0", "ttl 60")}) == "bad_signature"
        assert reason({**good, "signature": b64(b"\0" * 64)}) == "bad_signature"
        assert reason({**good, "signature": ""}) == "bad_signature"
        assert reason({**good, "signature": good["signature"] + "=="}) == "malformed"
        assert reason({**good, "statement": good["statement"] + "\n"}) == "malformed"
        assert reason({**good, "statement": good["statement"].replace("ttl 0", "ttl +0")}) == "malformed"
        assert reason({**good, "statement": good["statement"].replace("statement 1", "statement 2")}) == "malformed"
        assert reason({**good, "statement": good["statement"].replace("orders", "../orders")}) == "malformed"
        assert reason({**good, "extra": "x"}) == "malformed"
        assert reason({key: good[key] for key in ("statement", "kid", "signature")}) == "malformed"
        assert reason({**good, "kid": ""}) == "malformed"
        assert reason([]) == "malformed"
        assert reason(good, line='{"note":"x","admin":true}') == "malformed"
        assert reason(good, line='["x"]') == "malformed"
        for bytes_ in (b"{}", b"\n", b"\0" * 100, b"{}\n" + b"{" * 1000, b"{}\n\xff\xfe"):
            assert stage.post("/policy/publications", bytes_)[1]["reason"] == "malformed", bytes_
        assert reason(signed("scopecheck policy statement 1\n" + good["statement"].split("\n", 1)[1],
                             stage.signer[0])) == "malformed"
        status, _ = stage.post("/policy/publications", b"{}\n" + b"x" * (5 << 20))
        assert status == 413
        assert stage.post("/policy/publications", body(good))[0] == 202


def test_another_policy_in_between():
    with Publisher() as stage:
        _, answer = stage.publish(check=3)
        old = answer["proposal"]
        stage.served.reload(stage.policy_text().replace("payments:charge: {}", "payments:charge: { description: Charge }"))
        rebuilt = stage.approve(old, check=1)
        assert rebuilt["reason"] == "rebuilt" and rebuilt["proposal"]["id"] != old["id"], rebuilt
        assert stage.reason() == "unknown_host"
        assert stage.approve(old, check=1)["reason"] == "not_published"
        assert stage.approve(rebuilt["proposal"])["version"] == rebuilt["proposal"]["version"]
        assert stage.reason() == "granted"


def test_limits_that_have_changed_since_hold_for_what_waits():
    with Publisher() as stage:
        _, answer = stage.publish(check=3)
        stage.signer = stage.make_key("next", kid="ci-2027")
        stage.served.reload(stage.policy_text())
        assert stage.approve(answer["proposal"], check=1)["reason"] == "unknown_key"
        assert stage.reason() == "unknown_host"


def test_a_publisher_that_may_not_widen():
    with Publisher(more="    widening: refuse\n") as stage:
        error = stage.refused("widens")
        assert "would allow" in error, error
        assert stage.proposals() == []


def test_messages_name_the_file_that_was_given():
    with Publisher() as stage:
        def say(text, check):
            file = stage.write("mine.yaml", text)
            status, out, err = cli("publish", "--service", "orders", "--key", stage.signer[0], "--admin",
                                   stage.served.admin, file, check=check)
            assert "published/orders" not in out + err, (out, err)
            return (out + err), str(file)
        text, file = say(ROUTES + "      - { match: GET /x, scopes: orders:none }\n", 1)
        assert f"{file}:9:" in text, text
        text, file = say(ROUTES + "      - { match: GTE /orders, scopes: orders:read }\n", 3)
        assert f"{file}:9:" in text and "warning: " in text and "GTE" in text, text
        stage.install(ROUTES + CREATE)
        _, answer = stage.publish(ROUTES.replace("GET", "GTE") , check=3)
        assert any("GTE" in warning for warning in answer["warnings"]), answer


def test_an_es256_key():
    with Publisher() as stage:
        stage.signer = stage.make_key("es", algorithm="ES256")
        stage.served.reload(stage.policy_text())
        stage.install()
        assert stage.reason() == "granted"


def test_time():
    with Publisher(more="    max_ttl: 1h\n") as stage:
        stage.refused("time_limit")
        stage.refused("time_limit", ROUTES, "--ttl", "2h")
        stage.install(ROUTES, "--ttl", "1h")
        assert stage.reason() == "granted"
        # A longer time is no widening.
        _, answer = stage.publish(ROUTES, "--ttl", "50m", check=0)
        assert answer["ends"], answer
        _, answer = stage.publish(ROUTES, "--ttl", "4s", check=0)
        wait_until(lambda: stage.reason() == "publication_ended", "the publication ends")
        # Its end means deny, never the rule before it; what comes after it is held against what was published.
        stage.publish(ROUTES + CREATE, "--ttl", "1h", check=3)
        assert stage.reason() == "publication_ended"
        stage.publish(ROUTES, "--ttl", "1h", check=0)
        assert stage.reason() == "granted"


def test_withdrawing():
    with Publisher() as stage:
        assert stage.publish(None, "--withdraw")[1]["reason"] == "not_published"
        stage.install()
        _, waiting = stage.publish(ROUTES + CREATE, check=3)
        _, answer = stage.publish(None, "--withdraw", check=0)
        assert answer["state"] == "withdrawn" and answer["ends"], answer
        assert answer["dropped_proposal"] == waiting["proposal"]["id"], answer
        (event,) = stage.served.events("publication_withdrawn")
        assert "withdrawn" in event["message"] and event["dropped"] == answer["dropped_proposal"], event
        assert stage.reason() == "publication_ended" and stage.proposals() == []
        stage.publish(ROUTES, check=0)
        assert stage.reason() == "granted"


def test_publications_stay_when_the_policy_file_changes():
    with Publisher() as stage:
        stage.install()
        stage.served.reload(stage.policy_text().replace("payments:charge: {}", "payments:charge: { description: Charge }"))
        assert stage.reason() == "granted"
        # Without a publisher there is nothing to keep.
        stage.served.reload(stage.policy_text().split("publishers:\n")[0])
        assert stage.reason() == "unknown_host"


def test_with_required_signatures_no_service_changes_anything():
    with Publisher() as stage:
        stage.served.terminate()
        one, first = stage.make_key("one", kid="one")
        two, second = stage.make_key("two", kid="two")
        trusted = stage.write("trusted.json", json.dumps({"keys": [first, second]}))
        stage.served = Signed(stage, trusted)
        status, answer = stage.publish()
        assert status == 1 and answer["reason"] == "signatures_required", answer


class Signed:
    """A daemon that takes signed versions only."""

    def __new__(cls, stage, trusted):
        config = """\
store: {folder}/signed-store
workers: 2
admin: {{ address: "{admin}" }}
fastcgi: {{ address: "{fastcgi}" }}
http: {{ address: "{http}" }}
"""
        return stage.daemon(name="signed", config=config, flags=(
            "--require-signatures", "2", "--trusted-keys", str(trusted)))


def test_publications_stay_when_a_policy_is_applied():
    with Publisher() as stage:
        stage.install()
        changed = stage.policy_text().replace("payments:charge: {}", "payments:charge: { description: Charge }")
        stage.write("new/jwks.json", (stage.folder / "jwks.json").read_text())
        cli("policy", "apply", stage.write("new/policy.yaml", changed), "-m", "words", "--admin", stage.served.admin,
            check=0)
        assert stage.reason() == "granted"
        # A limit that is narrower than what is published keeps to: one of both has to give way.
        narrow = changed.replace("base_path: /v1", "base_path: /v2")
        _, out, err = cli("policy", "apply", stage.write("new/policy.yaml", narrow), "-m", "narrow",
                          "--admin", stage.served.admin, check=1)
        assert "beyond its publisher's limits" in out + err, out + err
        assert stage.reason() == "granted"
        gone = changed.split("publishers:\n")[0]
        cli("policy", "apply", stage.write("new/policy.yaml", gone), "-m", "gone", "--admin", stage.served.admin, check=0)
        assert stage.reason() == "unknown_host"


def test_files_and_publications_at_the_same_time_lose_nothing():
    with Publisher() as stage:
        stage.install()
        failures, rounds = [], 12

        def publish():
            for number in range(rounds):
                arguments = ["publish", "--service", "orders", "--key", stage.signer[0], "--admin", stage.served.admin,
                             "--ttl", f"{1000 + number}s", stage.write(f"p{number}.yaml", ROUTES), "--json"]
                status, out, err = cli(*arguments)
                if status != 0:
                    failures.append((out, err))

        thread = threading.Thread(target=publish)
        thread.start()
        for number in range(rounds):
            stage.replace("policy.yaml", stage.policy_text().replace(
                "payments:charge: {}", f"payments:charge: {{ description: Round {number} }}"))
            time.sleep(0.1)
        thread.join()
        assert not failures, failures

        def source():
            return cli("policy", "show", "active", "--source", "--admin", stage.served.admin, check=0)[1]

        wait_until(lambda: f"Round {rounds - 1}" in source(), "the last file decides")
        assert "published/orders/routes.yaml" in source() and "published/orders/end.yaml" in source()
        assert stage.reason() == "granted"


def test_publications_stay_in_the_files_of_a_store():
    with Publisher() as stage:
        stage.install()
        stage.served.terminate()
        changed = stage.policy_text().replace("payments:charge: {}", "payments:charge: { description: Charge }")
        stage.policy.write_text(changed)
        store = stage.folder / "daemon-store"
        cli("policy", "apply", stage.policy, "-m", "words", "--store", store, check=0)
        stage.served.start()
        assert stage.reason() == "granted"
        assert "published/orders/routes.yaml" in cli(
            "policy", "show", "active", "--source", "--admin", stage.served.admin, check=0)[1]


def test_tests_that_were_published_hold_nobody_up():
    """They passed when they were published; what fails of them later is the service's own affair."""
    with Publisher() as stage:
        stage.install()
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4))
        text = ROUTES.replace("services:", f"scopes:\n  orders:once: {{ until: {until} }}\nservices:").replace(
            "scopes: orders:read }", "scopes: { all: [orders:read, orders:once] } }") + (
            'tests:\n  - { request: "GET https://orders.example.com/v1/orders", scopes: [orders:read, orders:once], '
            "expect: allow }\n")
        _, answer = stage.publish(text)
        assert answer.get("state") == "active", answer
        wait_until(lambda: stage.reason(scope="orders:read orders:once") == "insufficient_scope", "the scope has ended")
        stage.served.reload(stage.policy_text() + "# changed\n")
        cli("policy", "apply", stage.write("more.yaml", stage.policy_text() + "# applied\n"), "-m", "why", "--admin",
            stage.served.admin, check=0)
        # What the service itself publishes must pass its tests.
        stage.refused("tests_failed", text + "# again\n")


def test_a_service_that_publishes_all_the_time_keeps_nobody_from_changing_the_policy():
    with Publisher() as stage:
        stage.install()
        ended, published, failures = threading.Event(), [], []

        def flood():
            while not ended.is_set():
                status, answer = stage.publish(ROUTES + f"# {len(published)}\n")
                published.append(status)
                if status:
                    failures.append(answer)

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            for number in range(6):
                wait_until(lambda: len(published) > number, "it publishes")
                text = stage.policy_text(f"# change {number}\n")
                cli("policy", "apply", stage.write("other.yaml", text), "-m", f"change {number}",
                    "--admin", stage.served.admin, check=0)
        finally:
            ended.set()
            thread.join()
        assert not failures, failures
        _, out, _ = cli("policy", "log", "-n", "1000", "--json", "--admin", stage.served.admin, check=0)
        entries = [json.loads(line) for line in out.splitlines()]
        notes = [entry["note"] for entry in entries if entry.get("kind") == "apply"]
        assert notes[::-1] == [f"change {number}" for number in range(6)], entries
