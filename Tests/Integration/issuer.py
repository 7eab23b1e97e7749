"""An issuer that shares nothing with the daemon: keys and tokens by python3-cryptography, JWK sets over https."""

import base64
import datetime
import http.server
import json
import ssl
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.x509.oid import NameOID

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
_CURVES = {"ES256": (ec.SECP256R1, "P-256", 32), "ES384": (ec.SECP384R1, "P-384", 48),
           "ES512": (ec.SECP521R1, "P-521", 66)}
_HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}

ISSUER = "https://id.example.com"
AUDIENCE = "https://api.example.com"


def policy_head(*algorithms):
    """The beginning of a policy whose one issuer this is; more settings of the issuer may follow, then the sections."""
    return f"""\
scopecheck: 1
issuers:
  - issuer: {ISSUER}
    audience: [{AUDIENCE}]
    keys: {{ jwks_file: jwks.json }}
    algorithms: [{", ".join(algorithms or ["ES256"])}]
"""


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _integer(value, length=None):
    return b64(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


class Key:
    """One signing key with its `kid` and algorithm."""

    _rsa = {}

    def __init__(self, algorithm="ES256", kid=None, fresh=False):
        self.algorithm = algorithm
        self.kid = kid or f"{algorithm.lower()}-1"
        if algorithm[:2] in ("RS", "PS"):
            # Making RSA keys is slow; tests that do not care which one share one for each kid.
            if fresh or self.kid not in Key._rsa:
                Key._rsa[self.kid] = rsa.generate_private_key(65537, 2048)
            self.private = Key._rsa[self.kid]
        elif algorithm in _CURVES:
            self.private = ec.generate_private_key(_CURVES[algorithm][0]())
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()

    def sign(self, message):
        if self.algorithm[:2] == "RS":
            return self.private.sign(message, padding.PKCS1v15(), _HASHES[self.algorithm[2:]]())
        if self.algorithm[:2] == "PS":
            digest = _HASHES[self.algorithm[2:]]()
            return self.private.sign(
                message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        if self.algorithm in _CURVES:
            r, s = utils.decode_dss_signature(
                self.private.sign(message, ec.ECDSA(_HASHES[self.algorithm[2:]]())))
            length = _CURVES[self.algorithm][2]
            return r.to_bytes(length, "big") + s.to_bytes(length, "big")
        return self.private.sign(message)

    def jwk(self):
        public = self.private.public_key()
        base = {"kid": self.kid, "use": "sig", "alg": self.algorithm}
        if self.algorithm[:2] in ("RS", "PS"):
            numbers = public.public_numbers()
            return {"kty": "RSA", "n": _integer(numbers.n), "e": _integer(numbers.e), **base}
        if self.algorithm in _CURVES:
            numbers = public.public_numbers()
            _, name, length = _CURVES[self.algorithm]
            return {"kty": "EC", "crv": name, "x": _integer(numbers.x, length),
                    "y": _integer(numbers.y, length), **base}
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), **base}


def jwks(*keys):
    return json.dumps({"keys": [key.jwk() for key in keys]})


def compact(header, payload, signature_of):
    """A JWS of exactly these bytes; `signature_of(message)` makes the signature."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    message = f"{b64(header)}.{b64(payload)}".encode()
    return f"{message.decode()}.{b64(signature_of(message))}"


_serial = iter(range(1, 1 << 60))


def claims(scope="orders:read", subject="alice", now=None, lifetime=3600, **more):
    """RFC 9068 claims; a value of None leaves the claim out."""
    now = int(time.time()) if now is None else now
    all_claims = {"iss": ISSUER, "aud": [AUDIENCE], "sub": subject, "client_id": "web-frontend", "iat": now,
                  "exp": now + lifetime, "jti": f"t{next(_serial)}", "scope": scope, **more}
    return {name: value for name, value in all_claims.items() if value is not None}


def mint(key, payload=None, header=None, **claim_options):
    """A signed access token. `header` members are put over the usual ones; None removes one."""
    members = {"alg": key.algorithm, "typ": "at+jwt", "kid": key.kid, **(header or {})}
    members = {name: value for name, value in members.items() if value is not None}
    return compact(members, claims(**claim_options) if payload is None else payload, key.sign)


# --- the key set over https ----------------------------------------------------------------------------------

def make_certificates(folder, names=("localhost",), days=30):
    """A certificate authority of its own and a server certificate for `names` that ends in `days` from now, or
    ended: (ca, cert, key)."""
    now = datetime.datetime.utcnow()

    def build(name, public, issuer_name, issuer_key, authority):
        builder = (x509.CertificateBuilder()
                   .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
                   .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer_name)]))
                   .public_key(public).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=60))
                   .not_valid_after(now + datetime.timedelta(days=30 if authority else days))
                   .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                       issuer_key.public_key()), critical=False))
        if authority:
            builder = builder.add_extension(x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False), critical=True)
        else:
            builder = (builder
                       .add_extension(x509.SubjectAlternativeName(
                           [x509.DNSName(name) for name in names]),
                           critical=False)
                       .add_extension(x509.ExtendedKeyUsage(
                           [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False))
        return builder.sign(issuer_key, hashes.SHA256())

    authority_key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    authority = build("Test CA", authority_key.public_key(), "Test CA", authority_key, True)
    server = build("localhost", server_key.public_key(), "Test CA", authority_key, False)
    pem = serialization.Encoding.PEM
    paths = [folder / "ca.pem", folder / "server.pem", folder / "server.key"]
    paths[0].write_bytes(authority.public_bytes(pem))
    paths[1].write_bytes(server.public_bytes(pem))
    paths[2].write_bytes(server_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths


class KeyServer:
    """Serves a JWK set and the discovery documents over https on localhost."""

    def __init__(self, place, keys, port=0, **certificate_options):
        self.keys, self.requests, self.paths = list(keys), 0, []
        self.status, self.body, self.delay, self.location = 200, None, 0.0, None
        self.authority, certificate, private = make_certificates(place.folder, **certificate_options)
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.requests += 1
                server.paths.append(self.path)
                time.sleep(server.delay)
                body = server.body if server.body is not None else jwks(*server.keys)
                if "/.well-known/" in self.path:
                    body = json.dumps({"issuer": server.url, "jwks_uri": server.jwks_uri})
                data = body.encode() if isinstance(body, str) else body
                self.send_response(server.status)
                if server.location:
                    self.send_header("Location", server.location)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._handler = Handler
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, private)
        self._server, self.port = None, port
        self.start()
        place.at_end(self.stop)

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    @property
    def jwks_uri(self):
        return self.url + "/jwks"

    def start(self):
        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", self.port), self._handler)
        self.port = self._server.server_address[1]
        # The handshake happens in each connection's own thread: one that stalls must not stop the others.
        self._server.socket = self._context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
