"""Policies from OpenAPI documents, and what services publish held against the policy in force."""

import http.server
import json
import pathlib
import tempfile
import threading
import time

from daemon import Stage, cli
from harness import wait_until

DOCUMENTS = pathlib.Path(__file__).resolve().parent.parent / "OpenAPITests" / "Documents"
ISSUER = "https://id.example.com"


class Folder:
    """A folder with a policy that was imported from JupyterHub's document."""

    def __enter__(self):
        self.handle = tempfile.TemporaryDirectory(prefix="scopecheck-drift-")
        self.path = pathlib.Path(self.handle.name)
        self.policy = self.path / "hub.yaml"
        self.document = DOCUMENTS / "jupyterhub.yaml"
        cli("policy", "import", "openapi", self.document, "--service", "hub", "--host", "hub.example.com",
            "--default-scope", "hub", "--issuer", ISSUER, "--output", self.policy, check=3)
        return self

    def __exit__(self, *_):
        self.handle.cleanup()


def serve(answers):
    """A server on a loopback address; `answers` is path → (status, body, headers)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body, headers = answers.get(self.path, (404, b"", {}))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except ConnectionError:
                pass  # who has had enough hangs up

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


def test_import_exit_statuses():
    with Folder() as folder:
        cli("policy", "check", folder.policy, check=0)
        _, _, err = cli("policy", "import", "openapi", folder.document, "--host", "a.example", "--output",
                        folder.policy, check=2)
        assert "is there already" in err, err
        exact = folder.path / "exact.yaml"
        exact.write_text("openapi: 3.1.0\ninfo: {title: A, version: '1'}\nservers: [{url: https://a.example}]\n"
                         "paths: {/a: {get: {security: []}}}\n")
        _, out, err = cli("policy", "import", "openapi", exact, check=0)
        assert "- { match: GET /a, public: true }" in out and err == "", (out, err)
        _, _, err = cli("policy", "import", "openapi", folder.policy, check=1)
        assert "does not say `openapi" in err, err
        cli("policy", "import", "openapi", folder.path / "missing.yaml", check=2)


def test_what_import_leaves_out_is_no_drift():
    with tempfile.TemporaryDirectory(prefix="scopecheck-drift-") as folder:
        folder = pathlib.Path(folder)
        document = folder / "api.yaml"
        document.write_text(
            "openapi: 3.1.0\ninfo: {title: A, version: '1'}\nservers: [{url: https://a.example}]\n"
            "components:\n  securitySchemes:\n    key: {type: apiKey, in: header, name: X-Key}\n"
            "    oauth: {type: oauth2, flows: {clientCredentials: "
            "{tokenUrl: https://id.example.com/t, scopes: {read: r}}}}\n"
            "paths:\n  /a: {get: {security: [{oauth: [read]}]}}\n  /k: {get: {security: [{key: []}]}}\n")
        policy = folder / "a.yaml"
        cli("policy", "import", "openapi", document, "--service", "a", "--issuer", ISSUER, "--output", policy, check=3)
        words = ["policy", "drift", "--service", "a", "--openapi", document, policy]
        _, out, _ = cli(*words, check=0)
        assert "not_comparable: GET /k" in out and "`key`" in out and "stays denied" in out, out
        text = policy.read_text()
        assert "match: GET /a," in text, text
        line = next(line for line in text.splitlines() if "match: GET /a," in line)
        public = line[:line.index("-")] + "- { match: GET /k, public: true }"
        policy.write_text(text.replace(line, line + "\n" + public))
        _, out, _ = cli(*words, check=1)
        assert "policy_looser: GET /k" in out, out


def test_drift_of_files():
    with Folder() as folder:
        words = ["policy", "drift", "--service", "hub", "--openapi", folder.document]
        cli(*words, folder.policy, check=0)
        text = folder.policy.read_text()
        folder.policy.write_text(text.replace("scopes: shutdown }", "scopes: proxy }")
                                 .replace("match: GET /proxy,", "match: GET /proxies,"))
        _, out, _ = cli(*words, folder.policy, "--json", check=1)
        found = {(one["kind"], one["subject"]) for one in json.loads(out)["findings"]}
        assert found == {("operation_denied", "GET /proxy"), ("route_stale", "GET /proxies"),
                         ("requirement_differs", "POST /shutdown")}, found
        _, _, err = cli("policy", "drift", "--service", "hob", "--openapi", folder.document, folder.policy, check=2)
        assert err == "scopecheck: the policy has no service `hob`; did you mean `hub`?\n", err
        cli("policy", "drift", "--service", "hub", folder.policy, check=64)


def test_drift_of_servers_with_variables():
    with Folder() as folder:
        document = folder.path / "variables.yaml"
        document.write_text(
            "openapi: 3.1.0\ninfo: {title: A, version: '1'}\n"
            "servers: [{url: 'https://a.example/{v}', variables: {v: {default: v1, enum: [v1, v2]}}}]\n"
            "paths: {/a: {get: {security: []}}}\n")
        policy = folder.path / "variables-policy.yaml"
        cli("policy", "import", "openapi", document, "--service", "a", "--server-variable", "v=v2", "--issuer", ISSUER,
            "--output", policy, check=0)
        words = ["policy", "drift", "--service", "a", policy]
        _, out, _ = cli(*words, "--openapi", document, check=1)
        assert "operation_denied: GET /a" in out, out
        cli(*words, "--openapi", document, "--server-variable", "v=v2", check=0)
        _, _, err = cli(*words, "--openapi", document, "--server-variable", "w=v2", check=2)
        assert "no server variable `w`; it has `v`" in err, err
        for more in (["--openapi", document, "--server-variable", "v"], ["--manifest", policy, "--server-variable", "v=v2"]):
            cli(*words, *more, check=64)


def test_drift_of_a_manifest_key_by_key():
    """What the language has for services and routes is compared, each key of it, or is one that need not be."""
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 30 * 86400))
    observe = {"observe": {"until": until}}
    services = {
        "hosts": {"hosts": ["api.example.com", "b.example.com"]}, "ports": {"ports": [443]},
        "base_path": {"base_path": "/v2"}, "issuers": {"issuers": [ISSUER, "https://b.example.com"]},
        "audience": {"audience": "https://z.example.com"}, "token_from": {"token_from": {"cookie": "session"}},
        "mode": {"mode": observe}, "until": {"mode": "observe", "until": until}, "public_port": {"public_port": 8443},
        "proof": {"proof": "mtls"}, "resource": {"resource": "https://api.example.com"},
        "forward_token": {"forward_token": "never"}, "transaction_token": {"transaction_token": True},
        "ends": {"ends": until}, "routes": {"routes": [{"match": "GET /b", "public": True}]},
    }
    routes = {
        "match": {"match": "POST /a/{x}"}, "scopes": {"scopes": "w"}, "public": {"scopes": None, "public": True},
        "preflight": {"match": "OPTIONS /a/{x}", "scopes": None, "preflight": True}, "where": {"where": {"x": "sub"}},
        "ports": {"ports": [443]}, "mode": {"mode": observe}, "until": {"mode": "observe", "until": until},
        "proof": {"proof": "mtls"}, "dpop_nonce": {"dpop_nonce": "required"}, "acr": {"acr": "mfa"},
        "max_age": {"max_age": "5m"}, "authorization_details": {"authorization_details": {"type": "pay"}},
    }
    _, out, _ = cli("policy", "schema", check=0)
    known = json.loads(out)["definitions"]
    # A manifest is of a service with HTTP.
    assert set(known["service"]["properties"]) - {"kind", "scopes"} == set(services), known["service"]["properties"]
    assert set(known["route"]["properties"]) == set(routes), known["route"]["properties"]

    def policy(service, route):
        one = {"match": "GET /a/{x}", "scopes": "r", **route}
        second = [{"issuer": "https://b.example.com", "audience": "b", "keys": {"discovery": True}}]
        return json.dumps({
            "scopecheck": 1,
            "issuers": [{"issuer": ISSUER, "audience": "a", "keys": {"discovery": True}}]
                       + (second if "issuers" in service else []),
            "scopes": {"r": {}, "w": {}},
            "services": {"orders": {
                "hosts": ["api.example.com"], "base_path": "/v1",
                "routes": [{k: v for k, v in one.items() if v is not None}, {"match": "PUT /a/{x}", "scopes": "w"}],
                **service}},
        })

    with tempfile.TemporaryDirectory(prefix="scopecheck-drift-") as folder:
        plain, other = pathlib.Path(folder) / "plain.yaml", pathlib.Path(folder) / "other.yaml"
        plain.write_text(policy({}, {}))
        for service, route in [(one, {}) for one in services.values()] + [({}, one) for one in routes.values()]:
            other.write_text(policy(service, route))
            words = ["policy", "drift", "--service", "orders", "--manifest"]
            cli(*words, plain, other, check=1)
            cli(*words, other, plain, check=1)
            cli(*words, other, other, check=0)


def test_drift_of_a_url():
    with Folder() as folder:
        document = folder.document.read_bytes()
        server, url = serve({
            "/openapi.yaml": (200, document, {}),
            "/moved": (302, b"", {"Location": "/openapi.yaml"}),
            "/huge": (200, b"#" * (9 << 20), {}),
        })
        try:
            words = ["policy", "drift", "--service", "hub", "--openapi"]
            cli(*words, f"{url}/openapi.yaml", folder.policy, check=0)
            for path, message in (("/moved", "redirects are not followed"), ("/huge", "more than"),
                                  ("/nothing", "404")):
                _, _, err = cli(*words, url + path, folder.policy, check=2)
                assert message in err, (path, err)
            _, _, err = cli(*words, "http://a.example/openapi.yaml", folder.policy, check=2)
            assert "https only" in err, err
        finally:
            server.shutdown()
            server.server_close()


def test_the_daemons_job():
    """It looks as soon as it has started, says when the two differ, and does not hold up the end."""
    with Stage() as stage:
        stage.write("published.json", json.dumps({
            "resource": "https://api.example.com", "scopes_supported": ["orders:read", "orders:erase"]}))
        daemon = stage.daemon(config=(
            "policy: policy.yaml\nstore: {folder}/store\nworkers: 1\n"
            'admin: {{ address: "{admin}" }}\nfastcgi: {{ address: "{fastcgi}" }}\nhttp: {{ address: "{http}" }}\n'
            "drift: {{ every: 1h, services: {{ orders: {{ metadata: published.json }}, nobody: {{ metadata: absent.json }} }} }}\n"))
        told = wait_until(lambda: daemon.events("policy_drift"), "the drift is told")
        assert told[0]["service"] == "orders" and int(told[0]["differences"]) > 0, told
        away = wait_until(lambda: daemon.events("drift_unavailable"), "what cannot be told is said")
        assert away[0]["service"] == "nobody", away
        assert daemon.terminate() == 0
