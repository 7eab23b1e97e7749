"""What must be answered: the policies of the run, the questions, and a small model of both that shares nothing with the
daemon. It is written from the README: an answer is a set of reasons, and a reason has one status."""

import dataclasses

ISSUER, DEAD_ISSUER, OPAQUE_ISSUER = "https://id.example.com", "https://dead.example.com", "https://opaque.example.com"
AUDIENCE = "https://api.example.com"
PUBLIC_PORT = 8443
FRONTS = ("http", "fastcgi", "haproxy")
VERSIONS = ("A", "B")
# The daemon's clock is one of whole seconds, the machine is busy: so far from `exp` either answer is right.
CLOCK_SECONDS = 2.0
# A nonce is good for the five-minute period that it was given in, and for the next.
NONCE_SECONDS = 290.0
# A proof that took so long may have come when it was too old (max_age: 60 s).
PROOF_SECONDS = 50.0
# max_age and ahead of proofs, and a little: for so long after a start every proof must carry a nonce.
UNKNOWING_SECONDS = 85.0

FORBIDDEN = {"insufficient_scope", "binding_mismatch", "unknown_host", "unknown_route", "method_not_allowed",
             "port_not_allowed", "ambiguous_target"}
UNAVAILABLE = {"keys_unavailable", "keys_stale", "overloaded", "introspection_unavailable", "replay_cache_full",
               "signing_unavailable", "policy_unreadable", "no_policy"}

IMPLIED = {"orders:write": {"orders:read"}, "orders:admin": {"orders:read", "orders:write"}}


def status_of(reason):
    """The status that a client gets for the reason of a denial."""
    if reason in FORBIDDEN:
        return 403
    if reason in UNAVAILABLE:
        return 503
    return 400 if reason in ("multiple_credentials", "malformed_authorization") else 401


# --- routes ------------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Refused:
    """Nobody gets in, whatever the credential."""
    reason: str


@dataclasses.dataclass(frozen=True)
class Open:
    """Everybody gets in, whatever the credential."""
    reason: str


@dataclasses.dataclass(frozen=True)
class Scopes:
    """All of `every`, and one of `one` where there are any; `own` if the path names the token's subject; `proof` if only
    tokens that are bound to a key are good; `issuers` whose tokens are."""
    every: tuple = ()
    one: tuple = ()
    own: bool = False
    proof: bool = False
    issuers: tuple = (ISSUER, DEAD_ISSUER)
    transaction: bool = False


@dataclasses.dataclass(frozen=True)
class Case:
    """A question: `target` may hold {number} and {subject}. `rules` is what each version says of it, or one for both;
    `only` the fronts whose port has the route."""
    name: str
    weight: int
    method: str
    target: str
    rules: object
    host: str = "api.example.com"
    only: tuple = FRONTS
    headers: tuple = ()
    tokens: str = "bearer"

    def rule(self, version, front):
        if front not in self.only:
            return Refused("port_not_allowed")
        return self.rules[version] if isinstance(self.rules, dict) else self.rules


READ = Scopes(every=("orders:read",))
OPAQUE = Scopes(every=("orders:read",), issuers=(OPAQUE_ISSUER,))
CASES = [
    Case("orders", 20, "GET", "/v1/orders?page={number}", READ),
    Case("order", 16, "GET", "/v1/orders/{number}", READ),
    Case("new order", 6, "POST", "/v1/orders", Scopes(every=("orders:write", "payments:charge"))),
    Case("delete order", 5, "DELETE", "/v1/orders/{number}", Scopes(one=("orders:admin", "support:admin"))),
    Case("own orders", 5, "GET", "/v1/users/{subject}/orders", Scopes(every=("orders:read",), own=True)),
    Case("metrics", 4, "GET", "/v1/metrics", Scopes(every=("read:metrics",)), only=("haproxy",)),
    Case("preflight", 3, "OPTIONS", "/v1/orders", Open("preflight"), headers=(
        ("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "POST"))),
    Case("health", 4, "GET", "/v1/healthz", Open("public")),
    Case("files", 5, "GET", "/v1/files/a/{number}/c", Scopes(every=("files:read",))),
    Case("unknown route", 3, "GET", "/v1/nothing/{number}", Refused("unknown_route")),
    Case("unknown method", 3, "PATCH", "/v1/orders/{number}", Refused("method_not_allowed")),
    Case("unknown host", 2, "GET", "/v1/orders", Refused("unknown_host"), host="other.example.com"),
    Case("ambiguous", 2, "GET", "/v1/files/a%2f{number}", Refused("ambiguous_target")),
    Case("reports", 8, "GET", "/v1/reports/{number}", {
        "A": Scopes(every=("reports:read",)), "B": Scopes(every=("reports:audit",))}),
    Case("preview", 4, "GET", "/v1/preview/{number}", {"A": READ, "B": Refused("unknown_route")}),
    Case("notices", 5, "GET", "/v1/notices", {"A": Open("public"), "B": READ}),
    Case("admin", 4, "GET", "/tools/{number}", Scopes(every=("orders:admin",), transaction=True, issuers=(ISSUER,)),
         host="admin.example.com", tokens="kept"),
    Case("vault", 10, "GET", "/keys/{number}", Scopes(every=("orders:read",), proof=True, issuers=(ISSUER,)),
         host="vault.example.com", tokens="bound"),
    Case("opaque", 6, "GET", "/opaque/{number}", OPAQUE, host="opaque.example.com", tokens="opaque"),
]

POLICY = """\
scopecheck: 1
issuers:
  - issuer: {issuer}
    audience: [{audience}]
    keys: {{ jwks_uri: {keys}/jwks, ca_file: {authority} }}
    algorithms: [ES256, EdDSA, RS256]
    profile: rfc9068
    max_lifetime: 3h
  - issuer: {dead_issuer}
    audience: [{audience}]
    keys: {{ jwks_uri: "{dead}/jwks", ca_file: {authority} }}
    algorithms: [ES256]
  - issuer: {opaque_issuer}
    audience: [{audience}]
    introspection:
      endpoint: {keys}/introspect
      ca_file: {authority}
      tokens: opaque
      client_id: scopecheck
      auth: basic
      secret_file: introspection.secret
      replies: json
      cache: 3s
      negative_cache: 1s
      timeout: 800ms
scopes:
  orders:read:     {{ description: Read orders }}
  orders:write:    {{ implies: [orders:read] }}
  orders:admin:    {{ implies: ["orders:*"] }}
  payments:charge: {{}}
  support:admin:   {{}}
  read:metrics:    {{}}
  files:read:      {{}}
  reports:read:    {{}}
  reports:audit:   {{}}
services:
  orders:
    issuers: [{issuer}, {dead_issuer}]
    audience: {audience}
    hosts: [api.example.com]
    public_port: {public_port}
    base_path: /v1
    routes:
      - {{ match: GET /orders, scopes: orders:read }}
      - {{ match: "GET /orders/{{order}}", scopes: orders:read }}
      - {{ match: POST /orders, scopes: {{ all: [orders:write, payments:charge] }} }}
      - {{ match: "DELETE /orders/{{order}}", scopes: {{ any: [orders:admin, support:admin] }} }}
      - {{ match: "GET /users/{{user}}/orders", scopes: orders:read, where: {{ user: sub }} }}
      - {{ match: GET /metrics, scopes: read:metrics, ports: [{port}] }}
      - {{ match: OPTIONS /orders, preflight: true }}
      - {{ match: GET /healthz, public: true }}
      - {{ match: GET /files/**, scopes: files:read }}
{routes}
  admin:
    issuers: [{issuer}]
    audience: {audience}
    hosts: [admin.example.com]
    public_port: {public_port}
    transaction_token: true
    routes:
      - {{ match: GET /**, scopes: orders:admin }}
  vault:
    issuers: [{issuer}]
    audience: {audience}
    hosts: [vault.example.com]
    public_port: {public_port}
    proof: dpop
    routes:
      - {{ match: "GET /keys/{{key}}", scopes: orders:read }}
  opaque:
    issuers: [{opaque_issuer}]
    audience: {audience}
    hosts: [opaque.example.com]
    public_port: {public_port}
    routes:
      - {{ match: "GET /opaque/{{item}}", scopes: orders:read }}
"""
ROUTES = {
    "A": """\
      - { match: "GET /reports/{report}", scopes: reports:read }
      - { match: "GET /preview/{item}", scopes: orders:read }
      - { match: GET /notices, public: true }""",
    "B": """\
      - { match: "GET /reports/{report}", scopes: reports:audit }
      - { match: GET /notices, scopes: orders:read }"""}


def policy(version, serial=None, **places):
    """The text of a version; with `serial` it is one that never was before, though it means the same."""
    text = POLICY.format(routes=ROUTES[version], issuer=ISSUER, dead_issuer=DEAD_ISSUER, opaque_issuer=OPAQUE_ISSUER,
                         audience=AUDIENCE, public_port=PUBLIC_PORT, **places)
    return text if serial is None else f"# {serial}\n{text}"


# --- tokens ------------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Span:
    """From `may` on a token may be refused for `reason`, from `must` on it must be; from `may_end` on it may be good
    again, from `end` on it must be. Monotonic seconds; None: not yet."""
    reason: str
    may: float
    must: float = None
    may_end: float = None
    end: float = None


@dataclasses.dataclass
class Token:
    """`flaw` is why it is never good, None for one that is. `begins` and `ends` are monotonic seconds. `key` is the kid
    of its signer, `proof_key` the number of the client's key that it is bound to."""
    number: int
    text: str
    kind: str
    scope: frozenset = frozenset()
    subject: str = ""
    issuer: str = ISSUER
    flaw: str = None
    ends: float = None
    key: str = None
    proof_key: int = None
    spans: list = dataclasses.field(default_factory=list)

    def granted(self):
        return self.scope.union(*(IMPLIED.get(one, ()) for one in self.scope))

    def failures(self, sent, received):
        """(reasons for which it must be refused, reasons for which it may be)"""
        must, may = set(), set()
        if self.flaw:
            must.add(self.flaw)
        if self.ends is not None:
            if sent > self.ends + CLOCK_SECONDS:
                must.add("expired")
            elif received > self.ends - CLOCK_SECONDS:
                may.add("expired")
        for span in self.spans:
            if received < span.may or (span.end is not None and sent > span.end):
                continue
            firm = span.must is not None and sent > span.must and (span.may_end is None or received < span.may_end)
            (must if firm else may).add(span.reason)
        return must, may


# --- answers -----------------------------------------------------------------------------------------------------

def expected(rule, token, question):
    """(whether an allow is right, its reason, the reasons with which a denial is right). `question` has how, sent,
    received, own (whether the path names the token's subject) and nonce_doubt (whether a nonce may be asked for)."""
    if isinstance(rule, Refused):
        return False, None, {rule.reason}
    if isinstance(rule, Open):
        return True, rule.reason, set()
    how = question.how
    bare = {"none": "no_token", "basic": "unsupported_scheme", "double": "multiple_credentials"}.get(how)
    if bare:
        return False, None, {bare}
    must, may = token.failures(question.sent, question.received)
    if how == "forged":
        must = must | {"signature_invalid"}
    if how in ("proof", "replay", "wrong proof") and question.nonce_doubt:
        may = may | {"use_dpop_nonce"}
    if how == "proof" and question.received - question.sent > PROOF_SECONDS:
        may = may | {"invalid_dpop_proof"}
    late = _late(rule, token, question)
    if must or late:
        # Which of several reasons comes first is not a promise; that there is no allow is.
        return False, None, must | may | late
    return True, "granted", may


def _late(rule, token, question):
    """Why a token that is good is not enough here."""
    if token.issuer not in rule.issuers:
        # What is no JWT is of nobody here, or for its issuer to say; one that an issuer knew before may be told to be of
        # another service.
        if token.kind == "garbage" and OPAQUE_ISSUER in rule.issuers:
            return {"token_inactive"}
        return {"issuer_not_allowed", "token_malformed"} if token.kind == "opaque" else {"issuer_not_allowed"}
    if token.proof_key is not None and question.how == "bearer":
        return {"proof_required"}
    if token.proof_key is None and rule.proof:
        return {"proof_required", "token_not_bound"}
    if question.how == "wrong proof":
        return {"invalid_dpop_proof"}
    granted = token.granted()
    if not granted.issuperset(rule.every) or (rule.one and not granted.intersection(rule.one)):
        return {"insufficient_scope"}
    if rule.own and not question.own:
        return {"binding_mismatch"}
    if question.how == "replay":
        return {"proof_replayed", "use_dpop_nonce"}
    return set()
