"""The Authorizer role with the servers that speak it: Debian's lighttpd and Apache, profile `cgi`."""

import re

from backend import EchoBackend
from daemon import Stage
from harness import (HERE, PATIENCE, Process, connects, fastcgi_request, free_port, need, program, read_fastcgi,
                     request, connect, wait_until, exchange)

CONFIG = """\
policy: {folder}/policy.yaml
store: {folder}/store
workers: 2
admin: {{ address: "{admin}" }}
fastcgi: {{ address: "ADDRESS", profile: cgi, engine: ENGINE }}
"""
ENGINES = [("native",), ("libfcgi",)]


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


class Authorizing(Stage):
    """A daemon with the cgi profile; a subclass starts the server in front of it."""

    def __init__(self, engine, address=None):
        super().__init__()
        self.application = EchoBackend(self)
        config = CONFIG.replace("ADDRESS", address or "{fastcgi}").replace("ENGINE", engine)
        self.service = self.daemon(config=config, wait=False)
        self.fastcgi = address or self.service.fastcgi
        self.service.wait_ready([self.fastcgi])
        self.port = free_port()

    def request(self, target, method="GET", **options):
        return request(f"127.0.0.1:{self.port}", target, method, **options)

    def wait_for(self, process):
        wait_until(lambda: connects(f"127.0.0.1:{self.port}") or not process.running(), "the server listens")
        assert process.running(), process.text()


class Lighttpd(Authorizing):
    def __init__(self, engine):
        need(program("lighttpd"), "lighttpd is not installed")
        super().__init__(engine)
        text = (HERE / "lighttpd.conf").read_text()
        text = exchange(text, "server.port = 8080", f"server.port = {self.port}")
        text = exchange(text, '"/run/scopecheck/authorizer.sock"', f'"{self.fastcgi[5:]}"')
        text = exchange(text, '"port" => 8081', f'"port" => {self.application.address.split(":")[1]}')
        text = exchange(text, '"/var/www/html"', f'"{self.folder}"')
        self.wait_for(self.start([program("lighttpd"), "-D", "-f", self.write("lighttpd.conf", text)], "lighttpd"))


class Apache(Authorizing):
    def __init__(self, engine):
        need(program("apache2"), "apache2 is not installed")
        address = f"127.0.0.1:{free_port()}"
        super().__init__(engine, address)
        text = (HERE / "apache.conf").read_text()
        text = exchange(text, "Listen 8080", f"Listen 127.0.0.1:{self.port}")
        text = exchange(text, "<VirtualHost *:8080>", f"<VirtualHost *:{self.port}>")
        text = exchange(text, "fcgi://127.0.0.1:9010/", f"fcgi://{address}/")
        text = text.replace("http://127.0.0.1:8081/", f"http://{self.application.address}/")
        text = exchange(text, "ServerRoot /etc/apache2", f"ServerRoot {self.folder}")
        import os
        if os.geteuid() == 0:
            text += "\nUser nobody\nGroup nogroup\n"
        self.wait_for(self.start([program("apache2"), "-X", "-f", self.write("apache.conf", text)], "apache"))


def check_everything(stage, has_identity, refusals=(403,)):
    """`refusals`: what the server itself may answer to a target that is ambiguous."""
    token = stage.token()
    response = stage.request("/v1/orders?x=1", token=token)
    assert response.status == 200, (response, stage.service.log_text()[-2000:])
    seen = response.json()
    headers = {name.lower(): value for name, value in seen["headers"]}
    assert headers.get("x-scope-subject") == ("alice" if has_identity else None), seen
    assert not any(name.lower().startswith(("variable-", "x-scope")) for name, _ in response.headers), response
    # A client's own word about itself does not reach the application.
    response = stage.request("/v1/orders", token=token, headers=[("X-Scope-Subject", "forged")])
    headers = {name.lower(): value for name, value in response.json()["headers"]}
    assert headers.get("x-scope-subject") == ("alice" if has_identity else None), response
    before = stage.application.requests
    for status, target, method, options in [
        (401, "/v1/orders", "GET", {}), (403, "/v1/orders", "DELETE", {"token": token}),
        (403, "/nowhere", "POST", {"token": token, "body": b"{}"}),
        (403, "/v1/orders", "GET", {"token": token, "host": "other.example"}),
        (401, "/v1/orders", "GET", {"token": token[:-6] + "AAAAAA"}),
    ]:
        response = stage.request(target, method, **options)
        assert response.status == status, (target, method, response)
        if status == 401:
            # Apache puts its own Basic challenge beside ours.
            assert "Bearer " in response.header("WWW-Authenticate"), response
    for target in ("/v1/files/../orders", "/v1/files/a;b", "/v1/files/..%2forders", "/v1//orders",
                   "/v1/files/%2e%2e/x"):
        response = stage.request(target, token=token)
        assert response.status in (*refusals, 403), (target, response)
    response = stage.request("/v1/orders/7", "DELETE", token=token)
    assert 'error="insufficient_scope"' in response.header("WWW-Authenticate"), response
    assert stage.application.requests == before, "a denied request reached the application"
    assert stage.request("/v1/healthz").status == 200
    # Gone: nobody gets in.
    stage.service.kill()
    response = stage.request("/v1/orders", token=token)
    assert response.status in (500, 502, 503), response
    assert stage.application.requests == before + 1


@table(ENGINES)
def test_lighttpd(engine):
    with Lighttpd(engine) as stage:
        check_everything(stage, has_identity=False, refusals=(400,))


@table(ENGINES)
def test_apache(engine):
    with Apache(engine) as stage:
        check_everything(stage, has_identity=True, refusals=(400, 404))


@table(ENGINES)
def test_answers_to_an_authorizer(engine):
    """A 200 carries `Variable-*` and nothing else besides its status; it comes without any STDIN."""
    with Authorizing(engine) as stage:
        def ask(target, token=None, method="GET"):
            params = [("FCGI_ROLE", "AUTHORIZER"), ("REQUEST_METHOD", method), ("REQUEST_URI", target),
                      ("SERVER_NAME", "api.example.com"), ("SERVER_PORT", "80"), ("REQUEST_SCHEME", "http"),
                      ("REMOTE_ADDR", "127.0.0.1"), ("HTTP_HOST", "api.example.com")]
            params += [("HTTP_AUTHORIZATION", "Bearer " + token)] if token else []
            client = connect(stage.fastcgi)
            client.sendall(fastcgi_request(params, role=2, stdin=False))
            response, protocol = read_fastcgi(client)
            client.close()
            assert protocol == 0
            return response

        response = ask("/v1/orders", stage.token())
        assert response.status == 200 and response.body == b"", response
        names = [name for name, _ in response.headers]
        odd = [name for name in names if name != "Status" and not name.startswith("Variable-")]
        assert not odd, odd
        variables = {name[9:].upper(): value for name, value in response.headers if name.startswith("Variable-")}
        assert any("SUBJECT" in name and value == "alice" for name, value in variables.items()), variables
        response = ask("/v1/orders")
        assert response.status == 401 and response.has("WWW-Authenticate"), response
        assert not any(name.startswith("Variable-") for name, _ in response.headers), response
        # The reason phrase is what Apache sends on.
        status = next(value for name, value in response.headers if name == "Status")
        assert re.fullmatch(r"401 [A-Za-z ]+", status), status
        assert ask("/v1/orders", stage.token(), "DELETE").status == 403


def test_params_without_the_end_of_the_answer():
    """lighttpd takes an empty answer for an allow: there must be none, whatever the request."""
    with Authorizing("native") as stage:
        for params in ([], [("REQUEST_METHOD", "GET")], [("REQUEST_URI", "/v1/healthz")], [("", "")],
                       [("REQUEST_METHOD", "GET")] * 2):
            for role in (1, 2, 3):
                client = connect(stage.fastcgi)
                client.sendall(fastcgi_request(params, role=role, stdin=True))
                try:
                    response, protocol = read_fastcgi(client)
                    assert protocol != 0 or response.status not in (None, 200), (params, role, response)
                except Exception as error:
                    assert type(error).__name__ == "Closed", error
                client.close()
