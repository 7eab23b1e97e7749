"""The attack corpus through nginx: denied, or the path that was authorised is the path the application saw."""

import re

import readings
from attacks import ATTACKS, TOKEN, legitimate_targets
from daemon import POLICY, TRANSPORTS
from harness import Closed, Connection, head_bytes
from test_verdicts import Proxied

# What follows `base_path` in a route's label; the label itself is without it.
BASE = {"orders": "/v1", "admin": ""}
SCOPES = "orders:write payments:charge support:charge read:metrics files:read"


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


def send(nginx, request, token):
    """The response, or None when nginx closed the connection without one."""
    def fill(text):
        return text.replace("{token}", token)

    if request.raw is not None:
        data = request.raw.replace(b"{token}", token.encode())
    else:
        data = head_bytes(fill(request.target), request.method, request.host,
                          token if request.token == TOKEN else None,
                          [(name, fill(value)) for name, value in request.headers], request.body)
    with Connection(nginx.address) as connection:
        connection.send(data)
        try:
            return connection.read(bodiless=request.method == "HEAD")
        except Closed:
            return None


def complaint_about(response, stage, request, before):
    """Why an answer is a breach, or None: what the application saw must be what was authorised."""
    reached = stage.application.requests - before
    if response is None or response.status != 200:
        return None if reached == 0 else f"denied with {response} and the application was asked"
    if reached != 1:
        return f"allowed and the application was asked {reached} times"
    seen = response.json()
    headers = {}
    for name, value in seen["headers"]:
        if name.lower() in headers and name.lower().startswith(("x-scope", "host")):
            return f"the application got `{name}` twice"
        headers[name.lower()] = value
    if any("forged" in value for value in headers.values()):
        return f"the application got a forged header: {headers}"
    overriding = re.compile("override|x.http.method|original|rewrite|forwarded.(uri|method)")
    override = [name for name in headers if overriding.search(name)]
    if override:
        return f"the application got {override}"
    service, method, template = headers["x-scope-route"].split(" ")
    if method != seen["method"] and not (method == "GET" and seen["method"] == "HEAD"):
        return f"`{method}` was authorised and the application saw `{seen['method']}`"
    hosts = {"orders": "api.example.com", "admin": "admin.example.com"}
    if headers["host"] != hosts[service]:
        return f"service `{service}` was authorised and the application saw host `{headers['host']}`"
    for reading in readings.ALL:
        path = reading(seen["target"])
        if not readings.matches(BASE[service] + template, path):
            return (f"`{template}` was authorised, the application saw `{seen['target']}`, "
                    f"which `{reading.__name__}` reads as `{path}`")
    return None


@table(TRANSPORTS)
def test_attacks(kind, engine):
    with Proxied(kind, engine) as stage:
        token = stage.token(SCOPES)
        breaches, denied = [], 0
        for attack in ATTACKS:
            name = f"{attack.number} {attack.name}"
            before = stage.application.requests
            response = send(stage.nginx, attack.request, token)
            complaint = complaint_about(response, stage, attack.request, before)
            if complaint:
                breaches.append(f"{name}: {complaint}")
            elif attack.must_deny and response is not None and response.status == 200:
                breaches.append(f"{name}: allowed")
            denied += response is None or response.status != 200
            before = stage.application.requests
            response = send(stage.nginx, attack.neighbour, token)
            if response is None or response.status != 200:
                reason = stage.nginx.log()[-1]["reason"] if response is not None else "closed"
                breaches.append(f"{name}: its benign neighbour `{attack.neighbour.target[:80]}` "
                                f"was denied: {reason} {response}")
            else:
                complaint = complaint_about(response, stage, attack.neighbour, before)
                if complaint:
                    breaches.append(f"{name}: the neighbour: {complaint}")
        assert not breaches, "\n".join(breaches)
        assert {attack.number for attack in ATTACKS} >= set(range(1, 25)) - {23}
        assert denied > 60, denied
        stage.service.alive()


@table(TRANSPORTS)
def test_legitimate_targets(kind, engine):
    targets = legitimate_targets()
    assert len(set(targets)) >= 200, len(set(targets))
    with Proxied(kind, engine) as stage:
        token = stage.token("files:read")
        complaints = []
        with Connection(stage.nginx.address) as connection:
            for target in targets:
                connection.send(head_bytes(target, token=token, close=False))
                response = connection.read()
                if response.status != 200:
                    complaints.append(f"{target[:100]}: {response.status} {stage.nginx.log()[-1]['reason']}")
                    if response.header("Connection") == "close":
                        connection.close()
                        connection.__init__(stage.nginx.address)
                    continue
                seen = response.json()
                headers = dict(seen["headers"])
                if seen["target"] != target or headers["X-Scope-Route"] != "orders GET /files/**":
                    complaints.append(f"{target[:100]}: seen as {seen['target'][:100]}, {headers['X-Scope-Route']}")
        assert not complaints, f"{len(complaints)} of {len(targets)}\n" + "\n".join(complaints[:20])


@table(TRANSPORTS)
def test_error_interception_with_the_real_daemon(kind, engine):
    """Attack 23: interception inherited from outside, and an error page that ends 2xx."""
    from harness import Nginx
    with Proxied(kind, engine) as stage:
        edits = [("server_tokens off;",
                  "server_tokens off; proxy_intercept_errors on; fastcgi_intercept_errors on; "
                  "error_page 403 =200 /v1/healthz; error_page 401 =200 /v1/healthz;")]
        nginx = Nginx(stage, kind, stage.service.address(kind), stage.application.address, edits, name="edited")
        assert nginx.request("/v1/orders").status == 401
        assert nginx.request("/v1/nowhere", token=stage.token()).status == 403
        assert stage.application.requests == 0
        assert nginx.request("/v1/orders", token=stage.token()).status == 200


@table(TRANSPORTS)
def test_more_headers_than_a_question_holds(kind, engine):
    """Attack 24: nginx told to take far more than one FastCGI record or our head limit can carry."""
    from harness import Nginx
    with Proxied(kind, engine) as stage:
        edits = [("server_tokens off;", "server_tokens off; large_client_header_buffers 64 16k;")]
        nginx = Nginx(stage, kind, stage.service.address(kind), stage.application.address, edits, name="edited")
        token = stage.token()
        for count in (1, 3, 8, 20, 60):
            headers = [(f"X-Many-{number}", "a" * 8_000) for number in range(count)]
            good = nginx.request("/v1/orders", token=token, headers=headers)
            bad = nginx.request("/v1/orders", "DELETE", token=token, headers=headers)
            assert good.status in (200, 503) and bad.status in (403, 503), (count, good.status, bad.status)
            assert good.status == 200 if count == 1 else True, good
        stage.service.alive()
        assert nginx.request("/v1/orders", token=token).status == 200


@table([("http", "native")])
def test_smuggled_questions_with_a_careless_configuration(kind, engine):
    """Somebody's own configuration that passes $uri unfiltered: line ends in the path become a second question on
    the kept connection. Its answer must never be taken for another request's."""
    from harness import Nginx
    with Proxied(kind, engine) as stage:
        edits = [("$sc_path_fact;", "$sc_path;")]
        nginx = Nginx(stage, kind, stage.service.address(kind), stage.application.address, edits, name="careless")
        smuggled = ("/v1/files/a%0d%0a%0d%0aGET%20/%20HTTP/1.1%0d%0aHost:%20a%0d%0aSC-Method:%20GET%0d%0a"
                    "SC-Target:%20/v1/healthz%0d%0aSC-Host:%20api.example.com%0d%0aSC-Scheme:%20http%0d%0a"
                    "SC-Port:%208080%0d%0a%0d%0a")
        wrong = 0
        with Connection(nginx.address) as attacker, Connection(nginx.address) as victim:
            for _ in range(300):
                attacker.send(head_bytes(smuggled, token=stage.token(), close=False))
                victim.send(head_bytes("/v1/orders", "DELETE", close=False))
                assert attacker.read().status in (400, 403, 503)
                wrong += victim.read().status == 200
        assert wrong == 0, f"{wrong} of 300 requests got the verdict of a smuggled question"
