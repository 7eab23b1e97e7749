"""What the clients talk to: an issuer over https, the daemon, both proxies from the shipped configurations, an
application that says what reached it; and the tokens that the clients carry."""

import random
import socket
import threading
import time
import urllib.parse

from measuring import settings  # noqa: F401  (puts the harness on the path)

import issuer  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from daemon import Stage  # noqa: E402
from harness import Nginx, free_port, program, wait_until  # noqa: E402
from haproxy import Haproxy  # noqa: E402
from independent_issuer import Endpoint  # noqa: E402
from proofs import ProofKey  # noqa: E402

from .model import AUDIENCE, DEAD_ISSUER, FRONTS, OPAQUE_ISSUER, Token, policy  # noqa: E402

# Tables are small, so that they are full before memory is judged.
CONFIGURATION = """\
policy: {folder}/policy.yaml
store: {folder}/store
workers: 2
admin: {{ address: "{admin}" }}
fastcgi: {{ address: "{fastcgi}" }}
http: {{ address: "{http}" }}
spop: {{ address: "{spop}" }}
limits: {{ proofs: 8192, introspections: 512 }}
keys: {{ cooldown: 1s, timeout: 1s }}
token_cache: {{ entries: 4096 }}
denial_log: {{ lines_per_second: 10000 }}
transaction_tokens: {{ issuer: "https://gateway.example.com" }}
"""

APPLICATION = """\
daemon off; worker_processes 1; pid application.pid; error_log application-error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path application-body; proxy_temp_path application-proxy;
    fastcgi_temp_path application-fastcgi; uwsgi_temp_path application-uwsgi; scgi_temp_path application-scgi;
    large_client_header_buffers 8 32k;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            set $told "$http_x_scope_policy\\n$http_x_scope_reason\\n$http_x_scope_subject\\n$http_x_scope_audit_id";
            return 200 "$told\\n$http_txn_token";
        }}
    }}
}}
"""

SCOPES = ["orders:read", "orders:read", "orders:write", "orders:write payments:charge", "orders:admin", "support:admin",
          "orders:read files:read", "read:metrics", "reports:read", "reports:audit orders:read",
          "orders:admin payments:charge files:read read:metrics reports:read reports:audit",
          "orders:read orders:write payments:charge files:read reports:read read:metrics support:admin", ""]
# Kinds of tokens and how many of a hundred.
KINDS = [("good", 52), ("short", 6), ("bound", 16), ("opaque", 6), ("expired", 4), ("forged", 4), ("not yet", 3),
         ("audience", 2), ("issuer", 2), ("stranger", 1), ("type", 2), ("dead", 1), ("garbage", 1)]
FLAWS = {"expired": "expired", "forged": "signature_invalid", "not yet": "not_yet_valid", "audience": "audience_mismatch",
         "issuer": "unknown_issuer", "stranger": "unknown_key", "type": "token_type_mismatch",
         "dead": "keys_unavailable", "garbage": "token_malformed"}
CLIENT_KEYS = 8
# Tokens of one subject, so that to revoke it ends several.
FAMILY = 4


class Issuer:
    """Keys that change, and opaque tokens that end."""

    def __init__(self, place):
        self.serial = 0
        self.fixed = [issuer.Key("RS256", "rsa"), issuer.Key("EdDSA", "edwards")]
        self.keys, self.published = [self.fresh()], []
        self.active, self.lock = {}, threading.Lock()
        self.publish(self.keys)
        self.endpoint = Endpoint(place, self._answer)
        (place.folder / "introspection.secret").write_text("secret\n")

    def fresh(self):
        self.serial += 1
        return issuer.Key("ES256", f"key-{self.serial}")

    def publish(self, keys):
        self.published = [*self.fixed, *keys]

    def forget(self, token):
        """An opaque token is no longer active."""
        with self.lock:
            self.active.pop(token.text, None)

    def _answer(self, exchange):
        self.endpoint.exchanges.clear()
        if exchange.path == "/jwks":
            exchange.reply(issuer.jwks(*self.published))
            return
        token = urllib.parse.parse_qs(exchange.body.decode())["token"][0]
        with self.lock:
            found = self.active.get(token, {"active": False})
        exchange.reply(found)


class Ground(Stage):
    """Everything that runs. `random` is the run's."""

    def __init__(self, seed):
        super().__init__(policy="")
        self.random = random.Random(seed)
        self.issuer = Issuer(self)
        self.stranger = issuer.Key("ES256", "stranger")
        self.client_keys = [ProofKey("ES256") for _ in range(CLIENT_KEYS)]
        # Bound and never listened on: nobody is there, and nobody else comes.
        self.dead = socket.socket()
        self.dead.bind(("127.0.0.1", 0))
        self.at_end(self.dead.close)
        self.numbers = iter(range(1, 1 << 40))
        self.port = 9443
        self.replace("policy.yaml", self.text("A"))
        self.service = self.daemon(config=CONFIGURATION, spop=True)
        self.proxies = {}

    def text(self, version, serial=None):
        return policy(version, serial, keys=self.issuer.endpoint.url, authority=self.issuer.endpoint.authority.path,
                      dead=f"https://localhost:{self.dead.getsockname()[1]}", port=self.port)

    def start_proxies(self):
        port = free_port()
        path = self.write("application.conf", APPLICATION.format(port=port))
        self.start([program("nginx"), "-e", "application-error.log", "-p", f"{self.folder}/", "-c", path], "application")
        address = f"127.0.0.1:{port}"
        for kind in FRONTS[:2]:
            self.proxies[kind] = Nginx(self, kind, self.service.address(kind), address, name=f"nginx-{kind}")
        self.proxies["haproxy"] = Haproxy(self, [self.service.spop], address)
        self.port = int(self.proxies["haproxy"].address.rsplit(":", 1)[1])

    def logs(self):
        """(name, file) of every log that says what was decided, and the daemon's."""
        return [("http", self.folder / "nginx-http/access.log"), ("fastcgi", self.folder / "nginx-fastcgi/access.log"),
                ("haproxy", self.proxies["haproxy"].process.output), ("daemon", self.service.process.output)]

    def client_key_texts(self):
        return [key.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption()).decode() for key in self.client_keys]

    # --- tokens --------------------------------------------------------------------------------------------------

    def family(self, kind=None):
        """`FAMILY` tokens of one new subject, of one kind."""
        kind = kind or self.random.choices([name for name, _ in KINDS], [weight for _, weight in KINDS])[0]
        subject = f"s{next(self.numbers)}"
        return [self.token_of(kind, subject) for _ in range(FAMILY)]

    def token_of(self, kind, subject):
        number, scope = next(self.numbers), self.random.choice(SCOPES)
        key = self.issuer.keys[-1]
        if kind == "kept" or self.random.random() < 0.25:
            key = self.random.choice(self.issuer.fixed)
        made = Token(number, "", kind, frozenset(scope.split()), subject, key=key.kid, flaw=FLAWS.get(kind))
        now, moment = int(time.time()), time.monotonic()
        lifetime, options = 7200, {"subject": subject, "scope": scope, "jti": f"j{number}"}
        header = {}
        if kind == "short":
            lifetime = self.random.randrange(5, 60)
        elif kind == "expired":
            options["now"], lifetime = now - 4000, 3600
        elif kind == "not yet":
            options["nbf"] = now + 100_000
        elif kind == "audience":
            options["aud"] = ["https://elsewhere.example.com"]
        elif kind == "issuer":
            options["iss"] = "https://nobody.example.com"
        elif kind == "type":
            header["typ"] = "JWT"
        elif kind == "dead":
            options["iss"], made.issuer, key = DEAD_ISSUER, DEAD_ISSUER, self.stranger
        elif kind == "stranger":
            key = self.stranger
        elif kind == "bound":
            made.proof_key = self.random.randrange(CLIENT_KEYS)
            options["cnf"] = self.client_keys[made.proof_key].confirmation
        if kind == "opaque":
            return self._opaque(made, scope, now)
        if kind == "garbage":
            made.text = self.random.choice(["x" * 150, "a.b", "a.b.c.d", "e30.e30", "!" * 40]) + f"~{number}"
            if made.text[0] == "!":
                made.flaw = "malformed_authorization"
            return made
        made.text = issuer.mint(key, header=header, lifetime=lifetime, **options)
        # A second of the clock, as the token says it.
        made.ends = moment + (now + lifetime - time.time()) if kind != "expired" else None
        if kind == "forged":
            other = issuer.mint(key, **options)
            made.text = made.text.rpartition(".")[0] + "." + other.rpartition(".")[2]
        return made

    def _opaque(self, made, scope, now):
        made.issuer, made.key = OPAQUE_ISSUER, None
        made.text = f"opaque-{made.number}-{self.random.getrandbits(128):032x}"
        with self.issuer.lock:
            self.issuer.active[made.text] = {
                "active": True, "iss": OPAQUE_ISSUER, "aud": AUDIENCE, "sub": made.subject, "client_id": "web-frontend",
                "scope": scope, "token_type": "Bearer", "iat": now, "exp": now + 7200}
        return made

    def good(self):
        """A token that opens `GET /v1/orders`, of the newest key."""
        return self.good_of(self.issuer.keys[-1])

    @staticmethod
    def good_of(key):
        return issuer.mint(key, scope="orders:read", lifetime=7200)

    def wait_keys(self):
        wait_until(lambda: self.service.ask("/v1/orders", token=self.good()).status == 200, "the keys were fetched")


def row(token):
    """A token as the clients are told."""
    kind = token.kind if token.kind in ("bound", "opaque", "kept") else "bearer"
    return [token.number, token.text, kind, token.proof_key, token.subject]
