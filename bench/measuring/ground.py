"""A policy, tokens and questions that all contenders of a run are given."""

from . import settings  # noqa: F401  (puts the harness on the path)

import issuer  # noqa: E402
from daemon import Stage  # noqa: E402
from harness import request  # noqa: E402


def policy(routes, hosts=10, algorithms=("ES256",)):
    """`routes` routes over `hosts` hosts, all of the shape `GET /v1/cN/rN/{id}`, each of which needs `a:read`."""
    lines = ["scopes:", "  a:read: {}", "services:"]
    for host in range(hosts):
        lines += [f"  s{host}:", f"    hosts: [h{host}.example.com]", "    routes:"]
        lines += [f'      - {{ match: "GET /v1/c{route % 50}/r{route}/{{id}}", scopes: a:read }}'
                  for route in range(routes // hosts)]
    return issuer.policy_head(*algorithms) + "\n".join(lines) + "\n"


class Ground(Stage):
    def __init__(self, routes, algorithm="ES256"):
        super().__init__(policy(routes, algorithms=(algorithm,)), algorithm)
        self.routes = routes
        self.good = self.token("a:read")

    def requests(self, count, tokens=None, status=200, name="requests"):
        """A file for load.c: questions that must be answered with `status`, with `tokens` in turn."""
        tokens = tokens or [self.good]
        chunks = []
        for number in range(count):
            host, route = number % 10, (number * 7919) % (self.routes // 10)
            head = (f"GET /v1/c{route % 50}/r{route}/{number} HTTP/1.1\r\nHost: h{host}.example.com\r\n"
                    f"Authorization: Bearer {tokens[number % len(tokens)]}\r\n\r\n")
            chunks.append(f"{status} {len(head)}\n{head}")
        return self.write(name, "".join(chunks))

    def verdicts(self):
        """(what, token, status) that every checker of tokens must give on a route that needs `a:read`."""
        head, claims, _ = self.good.split(".")
        forged = ".".join([head, claims, issuer.b64(b"\1" * 64)])
        return [("good", self.good, 200), ("missing scope", self.token("b:read"), 403),
                ("expired", self.token("a:read", lifetime=-60), 401), ("bad signature", forged, 401), ("none", None, 401)]


def check(contender, ground, but=()):
    """What must hold before anything is timed. `but`: statuses that a peer gives instead, as (what, status)."""
    for what, token, status in ground.verdicts():
        status = dict(but).get(what, status)
        got = request(contender.address, "/v1/c0/r0/1", host="h0.example.com", token=token).status
        if got != status:
            raise SystemExit(f"{contender.name} answers {got} instead of {status} to a token that is: {what}")
