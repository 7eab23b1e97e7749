"""`policy plan` and `policy diff`: what they say of two policies, and that every request they show comes out so."""

import json
import time
import urllib.parse

from certificates import Authority
from daemon import POLICY, Stage, cli
from proofs import ProofKey, certificate_confirmation, proof

# Each change of the policy with the kinds of what is wider then, and the other way round.
CHANGES = [
    ("match: GET /orders, scopes: orders:read", "match: GET /orders, scopes: orders:write", [], ["scopes"]),
    ("match: GET /orders, scopes: orders:read", "match: GET /orders, public: true", ["became_public"], []),
    ("      - { match: GET /files/**, scopes: files:read }\n", "", [], ["preflight_opened", "route_opened"]),
    ('implies: ["orders:*"]', 'implies: ["orders:*", "files:*"]', ["scopes"], []),
    ("ports: [9443]", "ports: [9443, 9444]", ["preflight_opened", "route_opened"], []),
    # `DELETE /orders/{order}` is more specific than `**`, and does not list GET.
    ('"GET /orders/{order}", scopes', 'GET /orders/**, scopes', ["preflight_opened", "route_opened"],
     ["preflight_opened", "route_opened"]),
    (", where: { user: sub }", "", ["binding"], []),
    ("algorithms: [ES256]", "algorithms: [ES256, RS256]", ["algorithms"], []),
    ("hosts: [admin.example.com]", 'hosts: ["*.example.com"]', ["route_opened"], []),
]


DEMANDING = "proof: any, acr: mfa, max_age: 5m, authorization_details: { type: orders, actions: read }"
CLIENTS = "clients:\n  web: { scopes: [orders:read, files:read] }\n"


def demanding(demands="", scope="orders:read", unknown="deny", audience="https://api.example.com"):
    """The policy with demands on `GET /orders/{order}`, and a client."""
    text = POLICY.replace("profile: rfc9068", f"profile: rfc9068\n    unknown_clients: {unknown}", 1)
    text = text.replace("    audience: https://api.example.com", f"    audience: {audience}", 1)
    return text.replace('"GET /orders/{order}", scopes: orders:read',
                        f'"GET /orders/{{order}}", scopes: {scope}' + (f", {demands}" if demands else ""), 1) + CLIENTS


# Pairs of policies with the kinds of what is wider, beside which the new route demands more than scopes.
DEMANDS = [
    (demanding(DEMANDING), demanding(DEMANDING, unknown="allow"), ["client_admitted"]),
    (demanding(DEMANDING, scope="files:read"), demanding(DEMANDING), ["scopes"]),
    (demanding(DEMANDING, scope="files:read", audience="https://o.example.com"),
     demanding(DEMANDING, audience="https://o.example.com"), ["scopes"]),
    (demanding("proof: mtls", scope="files:read"), demanding("proof: any"), ["proof", "scopes"]),
    (demanding("acr: mfa, max_age: 5m"), demanding("acr: [mfa, pin], max_age: 10m"),
     ["authentication_age", "authentication_context"]),
    (demanding("authorization_details: { type: orders, actions: [read, list] }"),
     demanding("authorization_details: { type: orders, actions: read }"), ["authorization_details"]),
    (demanding(scope="files:read"), demanding("where: { order: client_id }"), ["scopes"]),
    (demanding(scope="files:read", unknown="allow"), demanding("where: { order: client_id }", unknown="allow"),
     ["scopes"]),
    (demanding("where: { order: client_id }"), demanding(), ["binding"]),
    # No path can name this issuer.
    (demanding(scope="files:read"), demanding("where: { order: iss }"), []),
]


def plan(stage, old, new, check):
    one, other = stage.write("old.yaml", old), stage.write("new.yaml", new)
    _, out, _ = cli("policy", "plan", one, other, "--json", check=check)
    return one, other, json.loads(out)


def explain(stage, policy, example):
    """The reason of the policy's answer to an example's request."""
    url = urllib.parse.urlsplit(example["url"])
    words = ["explain", "--policy", policy, "--json", "--method", example["method"], "--target", url.path,
             "--host", url.netloc, "--port", example["port"]]
    if token := example.get("token"):
        words += credential(stage, token, example["method"], f"https://{url.netloc}:{example['port']}{url.path}")
    if requested := example.get("requested_method"):
        words += ["--origin", "https://app.example.com", "--request-method", requested]
    _, out, _ = cli(*words)
    return json.loads(out)["reason"]


def credential(stage, token, method, target):
    """The token that an example tells of, with whatever proves whose it is."""
    claims = {"sub": "alice", **token.get("claims", {})}
    for name, claim in (("client", "client_id"), ("audience", "aud"), ("acr", "acr"),
                        ("authorization_details", "authorization_details")):
        if name in token:
            claims[claim] = token[name]
    if "auth_age" in token:
        claims["auth_time"] = int(time.time()) - token["auth_age"]
    options = {"subject": claims.pop("sub"), **claims}
    words = []
    if token.get("proof") == "mtls":
        certificate = Authority(stage).issue("client", "client")
        options["cnf"] = certificate_confirmation(certificate)
        words = ["--certificate", certificate.path]
    if token.get("proof") == "dpop":
        key = ProofKey()
        options["cnf"] = key.confirmation
    text = stage.token(" ".join(token["scopes"]), **options)
    if token.get("proof") == "dpop":
        words = ["--proof-file", stage.write("proof", proof(key, text, method, target))]
    return ["--token-file", stage.write("token", text), *words]


def test_policy_plan_same():
    with Stage() as stage:
        _, out, _ = cli("policy", "plan", stage.policy, stage.policy, check=0)
        assert "nothing is wider" in out, out
        assert json.loads(cli("policy", "plan", stage.policy, stage.policy, "--json", check=0)[1])["findings"] == []
        assert cli("policy", "diff", stage.policy, stage.policy, check=0)[1] == "no difference\n"


def test_policy_plan_of_changes():
    for old, new, forth, back in CHANGES:
        assert old in POLICY, old
        with Stage() as stage:
            for (one, other), kinds in (((POLICY, POLICY.replace(old, new, 1)), forth),
                                        ((POLICY.replace(old, new, 1), POLICY), back)):
                before, now, found = plan(stage, one, other, check=3 if kinds else 0)
                assert sorted({finding["kind"] for finding in found["findings"]}) == kinds, (old, new, found)
                for finding in found["findings"]:
                    assert finding["basis"] == "example" and finding["examples"], finding
                    if finding["kind"] == "algorithms":
                        continue
                    for example in finding["examples"]:
                        reasons = explain(stage, before, example), explain(stage, now, example)
                        assert reasons == (example["was"], example["becomes"]), (example, reasons)


def test_policy_plan_of_demands():
    for old, new, kinds in DEMANDS:
        with Stage() as stage:
            before, now, found = plan(stage, old, new, check=3 if kinds else 0)
            assert sorted({finding["kind"] for finding in found["findings"]}) == kinds, (new, found)
            for example in (example for finding in found["findings"] for example in finding["examples"]):
                reasons = explain(stage, before, example), explain(stage, now, example)
                assert reasons == (example["was"], example["becomes"]), (example, reasons)


def test_policy_plan_of_forwarded_tokens():
    new = POLICY.replace("GET /healthz", "GET /health")
    old = new.replace("    base_path: /v1\n", "    base_path: /v1\n    forward_token: never\n", 1)
    only = "    routes:\n      - { match: GET /health, public: true }\n"
    for text in (old, old.partition("    routes:\n")[0] + only):
        with Stage() as stage:
            _, _, found = plan(stage, text, text.replace("    forward_token: never\n", ""), check=3)
            assert [finding["kind"] for finding in found["findings"]] == ["forwarded_token"], found
            assert found["findings"][0]["basis"] == "unordered" and found["findings"][0]["examples"], found
            plan(stage, text.replace("    forward_token: never\n", ""), text, check=0)


def test_policy_plan_refusals():
    with Stage() as stage:
        bad = stage.write("bad.yaml", POLICY.replace("scopes: files:read", "scopes: files:reed", 1))
        _, out, _ = cli("policy", "plan", stage.policy, bad, check=1)
        assert "files:reed" in out, out
        _, out, err = cli("policy", "diff", bad, stage.policy, check=2)
        assert out == "" and "files:reed" in err, (out, err)
        for command in ("plan", "diff"):
            cli("policy", command, stage.policy, stage.folder / "missing.yaml", check=2)
            assert cli("policy", command, "-", "-")[0] not in (0, 1, 3)
            _, out, _ = cli("policy", command, "-", stage.policy, stdin=POLICY, check=0)
            _, out, err = cli("policy", command, stage.policy, "more.yaml", "active", check=64)
            assert "`active` is a third policy" in err and "in one folder" in err and "stored version" in err, err
            assert not out and "<more>" not in err + cli("policy", command, "--help")[1], (out, err)


def test_policy_diff():
    with Stage() as stage:
        new = stage.write("new.yaml", POLICY.replace("GET /orders, scopes: orders:read", "GET /orders, scopes: files:read"))
        _, out, _ = cli("policy", "diff", stage.policy, new, check=1)
        assert "all of: orders:read -> files:read" in out and "new.yaml:" in out, out
        found = json.loads(cli("policy", "diff", stage.policy, new, "--json", check=1)[1])
        assert [change["kind"] for change in found["changes"]] == ["changed"], found
        reaches = {reach["scope"]: reach for reach in found["reaches"]}
        assert reaches["files:read"]["gained"]["count"] == 1 and reaches["orders:read"]["lost"]["count"] == 1, found


def test_diff_of_a_baseline():
    """Who is not listed may hold anything where the issuer's unknown clients are let in: a baseline takes away."""
    with Stage() as stage:
        kept = stage.write("kept.yaml", POLICY)
        listed = stage.write("listed.yaml", POLICY.replace("    profile: rfc9068\n",
                                                           "    profile: rfc9068\n    unknown_clients: deny\n")
                             + "clients:\n  web: { client_id: web-frontend, issuer: https://id.example.com, "
                             + "scopes: [orders:read] }\n")
        for old, new, what, other in ((listed, kept, "gained", "lost"), (kept, listed, "lost", "gained")):
            found = json.loads(cli("policy", "diff", old, new, "--json", check=1)[1])
            reach = next(reach for reach in found["reaches"] if reach.get("client") == "web")
            assert reach[other]["count"] == 0, reach
            assert "GET https://api.example.com/v1/orders" not in reach[what]["routes"], reach
            assert "POST https://api.example.com/v1/orders" in reach[what]["routes"], reach


def test_diff_names_the_stored_version():
    with Stage() as stage:
        store = stage.folder / "offline"
        store.mkdir()
        cli("policy", "apply", stage.policy, "-m", "first", "--store", store, check=0)
        new = stage.write("new.yaml", POLICY.replace("GET /orders, scopes: orders:read", "GET /orders, scopes: files:read"))
        _, out, _ = cli("policy", "diff", "active", new, "--store", store, check=1)
        assert "active:" in out and "policy:" not in out and "new.yaml:" in out, out
