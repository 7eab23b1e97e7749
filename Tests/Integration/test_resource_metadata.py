"""Metadata of protected resources (RFC 9728): found by a client that knows nothing but a challenge, through nginx and
HAProxy as they are shipped."""

import json
import re

from daemon import cli
from harness import request
from independent_issuer import ISSUER, Signer, Site, table
from issuer import policy_head

FRONTS = [("http",), ("fastcgi",), ("haproxy",)]
WELL_KNOWN = "/.well-known/oauth-protected-resource"
POLICY = policy_head() + """\
    profile: rfc9068
    dpop: { algorithms: [ES256, Ed25519] }
scopes:
  orders:read: {}
  orders:write: { implies: [orders:read] }
  orders:admin: {}
  offline_access: {}
services:
  orders:
    issuers: [https://id.example.com]
    audience: https://api.example.com
    hosts: [api.example.com]
    base_path: /v1
    resource: https://api.example.com/v1
    routes:
      - { match: GET /orders, scopes: orders:read }
      - { match: POST /orders, scopes: { all: [orders:write, offline_access] } }
  root:
    issuers: [https://id.example.com]
    hosts: [root.example.com]
    resource: https://root.example.com/
    proof: dpop
    routes:
      - { match: GET /orders, scopes: orders:admin }
  silent:
    issuers: [https://id.example.com]
    hosts: [silent.example.com]
    routes:
      - { match: GET /orders, scopes: orders:read }
"""


class Published(Site):
    def __init__(self, *kinds):
        self.signer = Signer("ES256", kid="issuer-1")
        super().__init__(*kinds, signers=[self.signer], algorithms=["ES256"], policy=POLICY, documents=True)
        self.front = next(iter(self.proxies.values()), None)

    def named(self, response):
        """The URL in a challenge, None without one."""
        found = re.findall(r'resource_metadata="([^"]*)"', response.header("WWW-Authenticate"))
        assert len(found) <= 1, response
        return found[0] if found else None

    def discover(self, target, host, **options):
        """As a client does: ask, read the challenge, fetch what it names."""
        response = self.front.request(target, host=host, **options)
        url = self.named(response)
        assert url, response
        scheme, name, path = re.fullmatch(r"(https)://([^/]+)(/.*)", url).groups()
        assert name == host, url
        document = self.front.request(path, host=name)
        assert document.status == 200, document
        assert document.header("Content-Type").startswith("application/json"), document
        return url, document.json()


@table(FRONTS)
def test_discovered(front):
    with Published(front) as site:
        url, document = site.discover("/v1/orders", "api.example.com")
        assert url == "https://api.example.com" + WELL_KNOWN + "/v1", url
        # RFC 9728 §3.3: the client compares it with what it asked for.
        assert document["resource"] == "https://api.example.com/v1", document
        assert document["authorization_servers"] == [ISSUER], document
        assert document["scopes_supported"] == ["orders:read", "orders:write"], document
        assert document["bearer_methods_supported"] == ["header"], document
        assert sorted(document["dpop_signing_alg_values_supported"]) == ["ES256", "Ed25519"], document
        assert "dpop_bound_access_tokens_required" not in document, document
        # A wrong token, and one that holds too little.
        assert site.discover("/v1/orders", "api.example.com", token="x.y.z")[0] == url
        poor = site.front.request("/v1/orders", "POST", token=site.signer.token("orders:read"))
        assert poor.status == 403 and site.named(poor) == url, poor
        url, document = site.discover("/orders", "root.example.com")
        assert url == "https://root.example.com" + WELL_KNOWN, url
        assert document["resource"] == "https://root.example.com/", document
        assert document["dpop_bound_access_tokens_required"] is True, document
        assert document["scopes_supported"] == ["orders:admin"], document
        # The one without a resource names none.
        response = site.front.request("/orders", host="silent.example.com")
        assert response.status == 401 and site.named(response) is None, response


@table(FRONTS)
def test_nothing_else_is_public(front):
    """Exactly the paths of the policy are open, and no other host's documents are found there."""
    with Published(front) as site:
        before = site.application.requests
        assert site.front.request(WELL_KNOWN + "/v1").status == 200
        for host, path in (("api.example.com", WELL_KNOWN), ("api.example.com", WELL_KNOWN + "/"),
                           ("api.example.com", WELL_KNOWN + "/v1/"), ("api.example.com", WELL_KNOWN + "/v1/orders"),
                           ("api.example.com", WELL_KNOWN + "/%76%31"),
                           ("api.example.com", "/%2ewell-known/oauth-protected-resource/v1"),
                           ("api.example.com", "/.well-known/oauth-protected-resourc%65/v1"), ("api.example.com", WELL_KNOWN + "/../v1"),
                           ("api.example.com", WELL_KNOWN + "x"), ("root.example.com", WELL_KNOWN + "/v1"),
                           ("silent.example.com", WELL_KNOWN), ("silent.example.com", WELL_KNOWN + "/v1"),
                           ("unknown.example.com", WELL_KNOWN + "/v1"), ("api.example.com", "/.well-known/jwks.json"),
                           ("api.example.com", "/.well-known/oauth-protected-resource/v1/../../../v1/orders")):
            response = site.front.request(path, host=host)
            assert response.status in (400, 401, 403, 404), (host, path, response)
        for method in ("POST", "PUT", "DELETE"):
            response = site.front.request(WELL_KNOWN + "/v1", method)
            assert response.status in (401, 403, 404, 405), (method, response)
        assert site.front.request(WELL_KNOWN + "/v1", "HEAD").status == 200
        # Whatever else stands in the request, it is the daemon that answers.
        response = site.front.request(WELL_KNOWN + "/v1?x=1", token="secret",
                                      headers=[("Cookie", "a=b"), ("X-Forwarded-Host", "evil.example.com")])
        assert response.status == 200 and response.json()["resource"] == "https://api.example.com/v1", response
        assert site.application.requests == before


def test_the_same_from_the_command():
    with Published() as site:
        _, out, _ = cli("policy", "metadata", site.policy, check=0)
        served = [request(f"unix:{site.documents}", WELL_KNOWN + path, host=host).json()
                  for host, path in (("api.example.com", "/v1"), ("root.example.com", ""))]
        for document in served:
            assert f'"{document["resource"]}"' in out, out
        site.policy.write_text(site.policy.read_text())
        before = site.service.policy_label()
        site.service.reload(site.policy.read_text().replace("scopes: orders:read }\n      - { match: POST",
                                                            "scopes: orders:admin }\n      - { match: POST"))
        assert site.service.policy_label() != before
        document = request(f"unix:{site.documents}", WELL_KNOWN + "/v1", host="api.example.com").json()
        assert document["scopes_supported"] == ["orders:admin", "orders:write"], json.dumps(document)
