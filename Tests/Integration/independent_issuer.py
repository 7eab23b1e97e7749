"""An issuer and its clients made with joserfc: tokens and key sets come from another implementation of the RFCs than
the daemon's, and than issuer.py's.

joserfc is not among Debian's packages: `Tests/install.sh pypi:joserfc` puts it into .build/python. Without it the
tests are skipped.
"""

import base64
import json
import socket
import ssl
import struct
import sys
import threading
import time
import warnings

from backend import EchoBackend
from certificates import Authority
from daemon import POLICY, Stage
from haproxy import Haproxy
from harness import ROOT, Nginx, end_listening, exchange, need, program, wait_until

# Behind the system's packages: joserfc uses Debian's cryptography.
sys.path.append(str(ROOT / ".build/python"))
try:
    from joserfc import errors, jwk, jws, jwt
    # Of Ed25519 as `EdDSA`, of `none` and of public keys as secrets: that is what the tests are about.
    warnings.filterwarnings("ignore", module="joserfc")
    warnings.filterwarnings("ignore", category=errors.SecurityWarning)
except ImportError:
    errors = jwk = jws = jwt = None

ISSUER, AUDIENCE, HOST = "https://id.example.com", "https://api.example.com", "api.example.com"
# EdDSA is last: a policy lists it under one of its two names.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"]
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

# Keys are looked for every second at the most, so that a rotation needs no half minute; a request waits for them as
# long as a busy machine may need.
EAGER = """\
policy: {folder}/policy.yaml
store: {folder}/store
workers: 2
admin: {{ address: "{admin}" }}
fastcgi: {{ address: "{fastcgi}" }}
http: {{ address: "{http}" }}
limits: {{ park_timeout: 5s }}
keys: {{ cooldown: 1s, timeout: 1s }}
"""
SPOP = 'spop: {{ address: "{spop}" }}\n'


def table(rows):
    def mark(function):
        function.table = rows
        return function
    return mark


def need_library(cases=1):
    need(jws, "joserfc is not installed; `Tests/install.sh pypi:joserfc` does it", cases)


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def octets(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# --- keys and tokens -----------------------------------------------------------------------------------------

_serial = iter(range(1, 1 << 60))


class Signer:
    """A signing key of joserfc, with its name and the algorithm that it is for."""

    def __init__(self, algorithm="ES256", kid=None):
        need_library()
        self.algorithm = algorithm
        self.kid = kid or f"{algorithm.lower()}-{next(_serial)}"
        if algorithm[0] in "RP":
            key = jwk.RSAKey.generate_key(2048)
        elif algorithm in _CURVES:
            key = jwk.ECKey.generate_key(_CURVES[algorithm])
        else:
            key = jwk.OKPKey.generate_key("Ed25519")
        self.key = key

    def public(self, **members):
        """The JWK; `members` are added, None takes one away."""
        found = {**self.key.as_dict(private=False), "kid": self.kid, "alg": self.algorithm, "use": "sig", **members}
        return {name: value for name, value in found.items() if value is not None}

    def token(self, scope="orders:read", lifetime=3600, subject="alice", header=None, key=None, **changes):
        """An access token (RFC 9068); `header` members and claims are put over the usual ones, None removes one."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": [AUDIENCE], "sub": subject, "client_id": "web-frontend", "iat": now,
                  "exp": now + lifetime, "jti": f"j{next(_serial)}", "scope": scope, **changes}
        members = {"alg": self.algorithm, "typ": "at+jwt", "kid": self.kid, **(header or {})}
        members, claims = ({name: value for name, value in part.items() if value is not None}
                           for part in (members, claims))
        return jws.serialize_compact(members, json.dumps(claims).encode(), key or self.key,
                                     algorithms=[members["alg"]])

    def verifies(self, token):
        """What joserfc says of it, with this key and algorithm alone."""
        try:
            jwt.decode(token, self.key, algorithms=[self.algorithm])
            return True
        except (errors.JoseError, ValueError):
            return False


def key_set(*signers):
    """The JWK set as joserfc writes it, with `alg` and `use` beside each key."""
    whole = jwk.KeySet([one.key for one in signers]).as_dict(private=False)
    return {"keys": [{**found, "kid": one.kid, "alg": one.algorithm, "use": "sig"}
                     for found, one in zip(whole["keys"], signers)]}


# --- endpoints over https ------------------------------------------------------------------------------------

class Exchange:
    """One request that reached an endpoint, and the connection that waits for the answer."""

    def __init__(self, connection, method, path, headers, body, certificate):
        self.connection, self.method, self.path = connection, method, path
        self.headers, self.body, self.certificate = headers, body, certificate
        self.closes = False
        self.has_ended = False

    def reply(self, body, status=200, content_type="application/json", headers=()):
        data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        lines = [f"HTTP/1.1 {status} Answer", f"Content-Type: {content_type}", f"Content-Length: {len(data)}",
                 *(f"{name}: {value}" for name, value in headers)]
        self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + data, closes=False)

    def raw(self, data, closes=True):
        self.closes = closes
        self.connection.sendall(data)

    def trickle(self, data, pause=0.02):
        for place in range(len(data)):
            self.raw(data[place:place + 1])
            time.sleep(pause)

    def endless(self, head, part):
        """Sends `part` for as long as it is taken; ends with the connection."""
        self.raw(head)
        while True:
            self.raw(part)

    def reset(self):
        """Ends the connection with RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.closes = True


class Endpoint:
    """A server over https on localhost that answers with whatever bytes a test wants.

    `answer(exchange)` is called for every request in a thread of its own. `requests` counts them, `connections`
    whoever connected.
    """

    def __init__(self, place, answer, authority=None, client_authority=None, plain=False):
        self.answer, self.plain = answer, plain
        self.authority = authority or Authority(place, f"authority-{next(_serial)}")
        self.requests = self.connections = 0
        self.exchanges = []
        self.client_authority = client_authority
        self.trust(self.authority)
        self.listener, self.port = None, 0
        self._lock = threading.Lock()
        self.start()
        place.at_end(self.stop)

    @property
    def url(self):
        return f"{'http' if self.plain else 'https'}://localhost:{self.port}"

    def trust(self, authority):
        """Presents a certificate of this authority from now on, also to those who are connected already."""
        certificate = authority.issue(f"endpoint-{next(_serial)}", dns=["localhost"], server=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.path)
        if self.client_authority is not None:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self.client_authority.path)
        self.context = context

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        if self.listener is not None:
            end_listening(self.listener)
            self.listener = None

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(listener, client), daemon=True).start()

    def _serve(self, listener, client):
        client.settimeout(60)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if not self.plain:
                client = self.context.wrap_socket(client, server_side=True)
            data, closes, context = b"", False, self.context
            while not closes:
                exchange, data = self._read(client, data)
                # Whoever was connected before the endpoint went down, or became another, finds it so.
                if exchange is None or self.listener is not listener or self.context is not context:
                    return
                with self._lock:
                    self.requests += 1
                    self.exchanges.append(exchange)
                try:
                    self.answer(exchange)
                finally:
                    exchange.has_ended = True
                closes = exchange.closes
        except (OSError, ValueError):
            pass
        finally:
            client.close()

    def _read(self, client, data):
        while b"\r\n\r\n" not in data:
            more = client.recv(65_536)
            if not more:
                return None, b""
            data += more
        head, data = data.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines}
        count = int(headers.get("content-length", "0"))
        while len(data) < count:
            more = client.recv(65_536)
            if not more:
                return None, b""
            data += more
        method, path, _ = first.split(" ", 2)
        certificate = None if self.plain else client.getpeercert(binary_form=True)
        return Exchange(client, method, path, headers, data[:count], certificate), data[count:]


class KeyEndpoint(Endpoint):
    """Serves the key set of `signers`, or `document` where a test writes its own; `fault(exchange)` answers instead
    while it is set."""

    def __init__(self, place, *signers, **options):
        self.signers, self.document, self.fault = list(signers), None, None
        # The kids of the sets that went out, in order.
        self.served = []
        super().__init__(place, self._answer, **options)

    def _answer(self, exchange):
        if self.fault is not None:
            self.fault(exchange)
            return
        signers = list(self.signers)
        exchange.reply(key_set(*signers) if self.document is None else self.document)
        self.served.append([one.kid for one in signers])


# --- the stage -----------------------------------------------------------------------------------------------

class Site(Stage):
    """The endpoint of the keys, the daemon, an echo backend and the proxies `kinds` with their shipped
    configurations; `kinds` of http, fastcgi and haproxy. `more_policy` are (old, new) pairs, or a function that makes
    them. With `documents` the proxies find the daemon's listener for public documents."""

    def __init__(self, *kinds, signers=(), algorithms=ALGORITHMS[:-1], config=EAGER, policy=POLICY, more_policy=(),
                 waits=True, documents=False):
        need_library()
        super().__init__()
        try:
            self.documents = f"{self.folder}/documents.sock" if documents else None
            if documents:
                config += f'documents: {{{{ address: "unix:{self.documents}" }}}}\n'
            self._build(kinds, list(signers), algorithms, config, policy, more_policy, waits)
        except BaseException:
            # What was started ends here: nobody entered it.
            self.__exit__(*sys.exc_info())
            raise

    def _build(self, kinds, signers, algorithms, config, policy, more_policy, waits):
        self.endpoint = KeyEndpoint(self, *signers)
        keys = f"keys: {{ jwks_uri: {self.endpoint.url}/jwks, ca_file: {self.endpoint.authority.path} }}"
        text = policy.replace("keys: { jwks_file: jwks.json }", keys)
        text = text.replace("algorithms: [ES256]", f"algorithms: [{', '.join(algorithms)}]")
        # What needs the folder, or an address that is known only now.
        edits = more_policy(self) if callable(more_policy) else more_policy
        for old, new in edits:
            text = exchange(text, old, new)
        self.policy.write_text(text)
        self.application = EchoBackend(self)
        self.service = self.daemon(config=config + (SPOP if "haproxy" in kinds else ""), spop="haproxy" in kinds)
        self.proxies = {kind: self._proxy(kind) for kind in kinds}
        if signers and waits:
            first = signers[0].token()
            wait_until(lambda: self.service.ask("/v1/orders", token=first).status == 200, "the keys were fetched")

    def _proxy(self, kind):
        if kind == "haproxy":
            edits = [("unix@./scopecheck-documents.sock", f"unix@{self.documents}")] if self.documents else []
            proxy = Haproxy(self, [self.service.spop], self.application.address, edits)
            # Until its health checks are done it answers 503.
            wait_until(lambda: proxy.request("/v1/orders").status == 401, "HAProxy's agent is up")
            return proxy
        need(program("nginx"), "nginx is not installed")
        edits = [("unix:scopecheck-documents.sock", f"unix:{self.documents}")] if self.documents else []
        return Nginx(self, kind, self.service.address(kind), self.application.address, edits, name=f"nginx-{kind}")

    def issuer_status(self):
        return self.service.status()["issuers"][0]
