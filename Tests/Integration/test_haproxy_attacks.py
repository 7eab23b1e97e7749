"""The attack corpus through HAProxy: denied, or the path that was authorised is the path the application saw. Then the
same corpus through nginx and HAProxy: the same verdict, or a difference that is listed with its reason."""

import json

from attacks import ATTACKS, legitimate_targets
from harness import Connection, Nginx, Response, head_bytes, need, program
from test_attacks import complaint_about, send
from test_haproxy import Proxied

SCOPES = "orders:write payments:charge support:charge read:metrics files:read"


def as_read(response):
    """The response with the host as the application reads it: HAProxy passes the client's spelling on."""
    if response is None or response.status != 200:
        return response
    seen = response.json()
    for pair in seen["headers"]:
        if pair[0].lower() == "host":
            name, colon, port = pair[1].lower().partition(":")
            pair[1] = name.removesuffix(".") if not colon or port.isdigit() else pair[1]
    return Response(200, response.headers, json.dumps(seen).encode())


def test_attacks():
    with Proxied() as stage:
        token = stage.token(SCOPES)
        breaches, denied = [], 0
        for attack in ATTACKS:
            name = f"{attack.number} {attack.name}"
            before = stage.application.requests
            response = as_read(send(stage.haproxy, attack.request, token))
            complaint = complaint_about(response, stage, attack.request, before)
            if complaint:
                breaches.append(f"{name}: {complaint}")
            elif attack.must_deny and response is not None and response.status == 200:
                breaches.append(f"{name}: allowed")
            denied += response is None or response.status != 200
            before = stage.application.requests
            response = as_read(send(stage.haproxy, attack.neighbour, token))
            if response is None or response.status != 200:
                breaches.append(f"{name}: its benign neighbour `{attack.neighbour.target[:80]}` was denied: {response}")
            else:
                complaint = complaint_about(response, stage, attack.neighbour, before)
                if complaint:
                    breaches.append(f"{name}: the neighbour: {complaint}")
        assert not breaches, "\n".join(breaches)
        assert denied > 60, denied
        stage.service.alive()


def test_legitimate_targets():
    with Proxied() as stage:
        token, complaints = stage.token("files:read"), []
        with Connection(stage.haproxy.address) as connection:
            for target in legitimate_targets():
                connection.send(head_bytes(target, token=token, close=False))
                response = connection.read()
                if response.status != 200:
                    complaints.append(f"{target[:100]}: {response.status} {response.text}")
                    continue
                seen = response.json()
                headers = {name.lower(): value for name, value in seen["headers"]}
                if seen["target"] != target or headers["x-scope-route"] != "orders GET /files/**":
                    complaints.append(f"{target[:100]}: seen as {seen['target'][:100]}")
        assert not complaints, f"{len(complaints)}\n" + "\n".join(complaints[:20])


# --- nginx and HAProxy ---------------------------------------------------------------------------------------

# Attack, or its neighbour, whose outcome differs: what nginx and what HAProxy answer, and why. None: closed.
_BY_NGINX = "nginx refuses it before it asks; HAProxy asks, and the daemon denies"
_BY_HAPROXY = "HAProxy refuses it before it asks; nginx asks, and the daemon denies"
DIFFERENCES = {
    "7 encoded NUL": (400, 403, _BY_NGINX),
    "8 fragment": (403, 400, _BY_HAPROXY),
    "8 fragment hides a tree": (403, 400, _BY_HAPROXY),
    "8 fragment in the query": (403, 400, _BY_HAPROXY),
    "10 bad escape": (400, 403, _BY_NGINX),
    "10 cut escape": (400, 403, _BY_NGINX),
    "10 lone percent": (400, 403, _BY_NGINX),
    "10 unicode escape": (400, 403, _BY_NGINX),
    "10 raw byte": (403, 400, _BY_HAPROXY),
    "10 asterisk": (400, 403, _BY_NGINX),
    "12 lower-case method": (400, 403, _BY_NGINX),
    "12 TRACE": (405, 403, _BY_NGINX),
    "12 CONNECT": (405, 400, "both refuse it themselves"),
    "13 another authority than Host": (403, 400, _BY_HAPROXY),
    "13 Host of another service": (
        200, 400, "nginx takes the target's authority and drops the Host; HAProxy refuses two that differ"),
    "13 another scheme": (400, 403, _BY_NGINX),
    "15 no Host": (400, 403, _BY_NGINX),
    "21 folded line": (400, 401, "HAProxy joins the lines, and then there is no Authorization"),
    "21 no colon": (401, 400, "nginx leaves the line out, and then there is no Authorization"),
    "24 long header": (400, 200, "nginx takes a line of 8 KB, the shipped HAProxy a head of 16 KB"),
    "24 long target": (414, 403, _BY_NGINX),
}


def outcome(proxy, request, token):
    response = send(proxy, request, token)
    return None if response is None else response.status


def test_the_same_verdicts_through_nginx_and_haproxy():
    need(program("nginx"), "nginx is not installed")
    with Proxied() as stage:
        nginx = Nginx(stage, "http", stage.service.http, stage.application.address)
        token, found, complaints = stage.token(SCOPES), {}, []
        for attack in ATTACKS:
            for kind, request in (("", attack.request), (" (neighbour)", attack.neighbour)):
                name = f"{attack.number} {attack.name}{kind}"
                pair = outcome(nginx, request, token), outcome(stage.haproxy, request, token)
                if pair[0] != pair[1]:
                    found[name] = pair
        for name, pair in found.items():
            if name not in DIFFERENCES:
                complaints.append(f"`{name}`: nginx {pair[0]}, HAProxy {pair[1]}; it is not listed")
            elif DIFFERENCES[name][:2] != pair:
                complaints.append(f"`{name}`: nginx {pair[0]}, HAProxy {pair[1]}; listed are {DIFFERENCES[name][:2]}")
        complaints += [f"`{name}` is listed and differs no more" for name in DIFFERENCES if name not in found]
        assert not complaints, "\n".join(complaints)
