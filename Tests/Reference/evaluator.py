"""A second opinion: the rules of the policy language and of access tokens, written to be read and not to be fast.

Shares no code with `Sources/`: YAML by PyYAML, signatures by python3-cryptography, JSON and percent-decoding by the
standard library, routes by trying every template. It takes a policy that is known to be good; judging bad policies is
not its business.

    Evaluator(policy_text, folder).decide(line, now) -> dict

`line` and the result have the fields of `scopecheck decide`.
"""

import base64
import datetime
import decimal
import json
import os
import re

import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

STATUS = {
    "granted": 200, "public": 200, "preflight": 200, "observed": 200,
    "missing_fact": 403, "conflicting_facts": 403, "ambiguous_target": 403, "path_mismatch": 403,
    "unknown_host": 403, "unknown_route": 403, "method_not_allowed": 403, "port_not_allowed": 403,
    "multiple_credentials": 401, "malformed_authorization": 401, "no_token": 401, "unsupported_scheme": 401,
    "token_too_large": 401, "token_malformed": 401, "token_encrypted": 401, "header_malformed": 401,
    "token_type_mismatch": 401, "algorithm_not_allowed": 401, "critical_header": 401, "claims_malformed": 401,
    "unknown_issuer": 401, "issuer_not_allowed": 401, "unknown_key": 401, "signature_invalid": 401,
    "missing_claim": 401, "expired": 401, "not_yet_valid": 401, "audience_mismatch": 401, "proof_required": 401, "token_not_bound": 401,
    "insufficient_scope": 403, "binding_mismatch": 403,
    "publication_ended": 403, "over_scoped": 403, "unknown_client": 403,
}
# What observe mode of a client lets through.
OBSERVED_OF_CLIENTS = {"over_scoped", "insufficient_scope", "binding_mismatch"}


class Denied(Exception):
    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


# --- the request's target ------------------------------------------------------------------------------------

# Printable ASCII without what ends a path (`?`), what ends a segment (`/`) and what is never taken: # % ; \
_PATH = re.compile(rb"(?:/(?:[!-\"$&-.0-:<->@-\[\]-~]|%[0-9A-Fa-f]{2})*)+")
_QUERY = re.compile(rb"[!-\"$-~\x80-\xff]*")
_ABSOLUTE = re.compile(rb"https?://([^/]+)(/.*)", re.I | re.S)
_HOST = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([1-9][0-9]{0,4}))?")


def read_target(target):
    """(authority or None, decoded segments) of a target's bytes; Denied when it could be read in two ways."""
    if not 1 <= len(target) <= 8192:
        raise Denied("ambiguous_target")
    authority = None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute:
        authority, target = absolute.groups()
    path, _, query = target.partition(b"?")
    if not _PATH.fullmatch(path) or not _QUERY.fullmatch(query):
        raise Denied("ambiguous_target")
    for escape in re.findall(rb"%(..)", path):
        if int(escape, 16) < 0x20 or int(escape, 16) in b"\x7f/\\%":
            raise Denied("ambiguous_target")
    segments = [re.sub(rb"%(..)", lambda escape: bytes([int(escape[1], 16)]), segment)
                for segment in path.split(b"/")[1:]]
    if len(segments) > 64:
        raise Denied("ambiguous_target")
    for number, segment in enumerate(segments):
        if segment == b"" and number != len(segments) - 1:
            raise Denied("ambiguous_target")
        if segment.split(b";")[0] in (b".", b".."):
            raise Denied("ambiguous_target")
        try:
            segment.decode("utf-8")
        except UnicodeDecodeError:
            raise Denied("ambiguous_target") from None
    # The same segments to a reader that does not take `%40` for `@`: what is escaped without need stays apart.
    spelled = [re.sub(rb"%(..)", lambda escape: keep_apart(int(escape[1], 16)), segment)
               for segment in path.split(b"/")[1:]]
    return authority, segments, spelled


def keep_apart(byte):
    return b"\0" + bytes([byte]) if byte in b"!$&'()*+,=:@;" else bytes([byte])


def read_host(host):
    """Lower case, no port, no trailing dot; None when it is no host."""
    if len(host) > 261:
        return None
    match = _HOST.fullmatch(host)
    if not match or (match[2] and int(match[2]) > 65535):
        return None
    name = match[1].lower()
    if name.endswith(b".") and len(name) > 1:
        name = name[:-1]
    return name.decode() if len(name) <= 255 else None


# --- the policy ----------------------------------------------------------------------------------------------

class Route:
    def __init__(self, service, method, path, rule):
        self.service, self.method = service, method
        self.label = f"{method} {path}"
        base = service.base_path if service.base_path != "/" else ""
        self.template = [_literal(segment) for segment in (base + path).split("/")[1:]]
        self.ports = rule.get("ports", [])
        self.public, self.preflight = rule.get("public", False), rule.get("preflight", False)
        scopes = rule.get("scopes", [])
        if isinstance(scopes, dict):
            self.all, self.any = _list(scopes.get("all", [])), _list(scopes.get("any", []))
        else:
            self.all, self.any = _list(scopes), []
        self.where = {}
        for parameter, claim in rule.get("where", {}).items():
            number = next(n for n, segment in enumerate(self.template) if segment == ("parameter", parameter))
            self.where[number] = claim
        self.observe_until = _observe(rule, service.observe_until)

    def covers(self, segments):
        for number, (kind, text) in enumerate(self.template):
            if kind == "rest":
                return len(segments) > number
            if number >= len(segments):
                return False
            if kind == "literal" and segments[number] != text:
                return False
            if kind == "parameter" and segments[number] == b"":
                return False
        return len(segments) == len(self.template)

    def shape(self):
        """How specific the template is: compared from the left, literal before parameter before rest."""
        return [{"literal": 0, "parameter": 1, "rest": 2}[kind] for kind, _ in self.template]


def _literal(segment):
    if segment == "**":
        return ("rest", None)
    if re.fullmatch(r"\{[A-Za-z0-9_.-]+\}", segment):
        return ("parameter", segment[1:-1])
    return ("literal", re.sub(rb"%(..)", lambda escape: bytes([int(escape[1], 16)]), segment.encode()))


def _list(value):
    return value if isinstance(value, list) else [value]


def _observe(holder, inherited):
    mode = holder.get("mode")
    if mode is None:
        return inherited
    if mode == "enforce":
        return 0
    return _time(mode["observe"]["until"] if isinstance(mode, dict) else holder["until"])


def _time(text):
    """Unix seconds; None without a time."""
    return None if text is None else int(datetime.datetime.fromisoformat(text).timestamp())


class _Loader(yaml.SafeLoader):
    """Times stay text: PyYAML would lose their zone."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


class Service:
    def __init__(self, name, holder, issuers):
        self.name = name
        self.hosts = holder["hosts"]
        self.ports = holder.get("ports", [])
        self.base_path = holder.get("base_path", "")
        self.audience = holder.get("audience")
        self.token_from = holder.get("token_from", "header")
        self.issuers = holder.get("issuers", list(issuers) if len(issuers) == 1 else [])
        self.observe_until = _observe(holder, 0)
        self.ends = _time(holder.get("ends"))
        self.routes = []
        for rule in holder["routes"]:
            methods, path = rule["match"].split(" ", 1)
            for method in methods.split(","):
                self.routes.append(Route(self, method, path.strip(), rule))


def closures(scopes):
    """For each scope the set of scopes that holding it grants, itself included."""
    direct = {}
    for name, holder in scopes.items():
        implied = set()
        for one in _list((holder or {}).get("implies", [])):
            if "*" in one:
                implied |= {other for other in scopes if other.startswith(one[:-1])}
            else:
                implied.add(one)
        direct[name] = implied | {name}
    while True:
        wider = {name: set().union(*(direct[other] for other in implied)) for name, implied in direct.items()}
        if wider == direct:
            break
        direct = wider
    # An old name is a scope of its own, which nothing else implies, and stands for all that replace it.
    for name, holder in scopes.items():
        for old in _list((holder or {}).get("replaces", [])):
            direct[old] = direct.get(old, {old}) | direct[name]
    return direct


def scope_ends(scopes):
    """When scopes and old names of scopes end, and which of them are old names."""
    ends, old_names = {}, set()
    for name, holder in scopes.items():
        holder = holder or {}
        if "replaces" in holder:
            for old in _list(holder["replaces"]):
                ends[old] = _time(holder["until"])
                old_names.add(old)
        elif "until" in holder:
            ends[name] = _time(holder["until"])
    return ends, old_names


class Client:
    def __init__(self, name, holder, policy):
        self.name, self.id = name, holder.get("client_id", name)
        self.issuer = holder.get("issuer") or next(iter(policy.issuers))
        self.on_excess = holder.get("on_excess", "deny")
        self.observe_until = _observe(holder, 0)
        self.approved = policy.approved(holder.get("scopes", []))
        for role in _list(holder.get("roles", [])):
            self.approved |= policy.roles[role]
        self.grants = [(_time(grant["until"]), policy.approved(grant.get("scope") or grant["scopes"]))
                       for grant in holder.get("grants", [])]

    def approved_at(self, now):
        return self.approved.union(*(scopes for until, scopes in self.grants if now < until))


# --- tokens --------------------------------------------------------------------------------------------------

_HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
_CURVES = {"P-256": ("ES256", ec.SECP256R1, 32), "P-384": ("ES384", ec.SECP384R1, 48),
           "P-521": ("ES512", ec.SECP521R1, 66)}
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]


def same_algorithm(name):
    return "Ed25519" if name == "EdDSA" else name


def decode64(text):
    """Unpadded base64url with one spelling only; Denied otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise Denied("token_malformed")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise Denied("token_malformed")
    return data


def _depth(value):
    if isinstance(value, dict):
        return 1 + max([_depth(item) for item in value.values()], default=0)
    if isinstance(value, list):
        return 1 + max([_depth(item) for item in value], default=0)
    return 0


class Number:
    """A JSON number as it is spelled."""

    def __init__(self, text):
        self.text = text


def read_json(data, depth_max):
    """A JSON object without duplicate names; None when it is none."""
    def unique(pairs):
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise ValueError("duplicate name")
        return dict(pairs)

    def refuse(_):
        raise ValueError("not JSON")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse,
                           parse_int=Number, parse_float=Number)
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")  # lone surrogates
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _depth(value) <= depth_max else None


def numeric_date(value, round_up):
    """Whole seconds of a NumericDate from 1 to 2**53; Denied for anything else."""
    if not isinstance(value, Number):
        raise Denied("claims_malformed")
    try:
        exact = decimal.Decimal(value.text)
        if not 1 <= exact <= 2 ** 53:
            raise Denied("claims_malformed")
    except decimal.DecimalException:
        raise Denied("claims_malformed") from None
    whole = int(exact)
    return whole + 1 if round_up and exact != whole else whole


class Issuer:
    def __init__(self, holder, folder):
        self.name = holder["issuer"]
        self.audiences = _list(holder["audience"])
        listed = holder.get("algorithms", ["ES256", "RS256", "PS256", "Ed25519"])
        self.algorithms = [same_algorithm(name) for name in listed]
        self.strict = holder.get("profile", "rfc9068") == "rfc9068"
        self.scope_claim = holder.get("scope_claim", "scope")
        self.client_claim = holder.get("client_claim", "client_id")
        self.refuses_unknown = holder.get("unknown_clients") == "deny"
        leeway = str(holder.get("leeway", "0s"))
        self.leeway = int(leeway[:-1]) * {"s": 1, "m": 60}[leeway[-1]]
        with open(os.path.join(folder, holder["keys"]["jwks_file"])) as source:
            self.keys = self._usable(json.load(source)["keys"])

    def _usable(self, keys):
        usable = []
        for jwk in keys:
            if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
                continue
            if jwk["kty"] == "oct" or "d" in jwk:
                continue
            natural = {"OKP": "Ed25519"}.get(jwk["kty"]) or _CURVES.get(jwk.get("crv"), ("RSA",))[0]
            algorithm = same_algorithm(jwk.get("alg", natural))
            if algorithm not in self.algorithms:
                continue
            usable.append((jwk.get("kid"), algorithm, jwk))
        # Two keys with one name and one algorithm: nobody can say which is meant.
        names = [(kid, algorithm) for kid, algorithm, _ in usable if kid is not None]
        return [key for key in usable if key[0] is None or names.count((key[0], key[1])) == 1]

    def key(self, header, algorithm):
        kid = header.get("kid")
        fitting = [jwk for name, fixed, jwk in self.keys
                   if fixed == algorithm and (kid is None or name == kid)]
        if len(fitting) == 1:
            return fitting[0]
        if kid is not None and any(name == kid for name, _, _ in self.keys):
            raise Denied("algorithm_not_allowed")
        raise Denied("unknown_key")


def _number(text):
    return int.from_bytes(decode64(text), "big")


def signature_holds(jwk, algorithm, message, signature):
    try:
        if algorithm[:2] in ("RS", "PS"):
            key = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
            digest = _HASHES[algorithm[2:]]()
            scheme = (padding.PKCS1v15() if algorithm[0] == "R"
                      else padding.PSS(padding.MGF1(digest), digest.digest_size))
            key.verify(signature, message, scheme, digest)
        elif algorithm == "Ed25519":
            ed25519.Ed25519PublicKey.from_public_bytes(decode64(jwk["x"])).verify(signature, message)
        else:
            _, curve, length = _CURVES[jwk["crv"]]
            if len(signature) != 2 * length:
                return False
            key = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), curve()).public_key()
            der = utils.encode_dss_signature(int.from_bytes(signature[:length], "big"),
                                             int.from_bytes(signature[length:], "big"))
            key.verify(der, message, ec.ECDSA(_HASHES[algorithm[2:]]()))
        return True
    except (InvalidSignature, ValueError):
        return False


def scope_names(value):
    """The scope-tokens of a scope claim (RFC 6749 §3.3); none where it is not of that form."""
    if value is None:
        return []
    if isinstance(value, str):
        names = value.split(" ")
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        names = value
    else:
        raise Denied("claims_malformed")
    if not all(re.fullmatch(r"[!#-\[\]-~]+", name) for name in names):
        return []
    if len(names) > 1024:
        raise Denied("claims_malformed")
    return names


# --- the decision --------------------------------------------------------------------------------------------

class Evaluator:
    def __init__(self, policy_text, folder):
        policy = yaml.load(policy_text, _Loader)
        self.issuers = {holder["issuer"]: Issuer(holder, folder) for holder in policy.get("issuers", [])}
        scopes = policy.get("scopes") or {}
        self.declared, self.closures = list(scopes), closures(scopes)
        self.ends, self.old_names = scope_ends(scopes)
        self.roles = {name: self.approved(role["scopes"]) for name, role in (policy.get("roles") or {}).items()}
        listed = [Client(name, holder, self) for name, holder in (policy.get("clients") or {}).items()]
        self.clients = {(client.issuer, client.id): client for client in listed}
        self.services = [Service(name, holder, self.issuers) for name, holder in policy["services"].items()]
        self._signatures = {}

    def approved(self, names):
        """What a list of a role, a client or a grant approves, whatever has ended."""
        approved = set()
        for name in _list(names):
            members = ([other for other in self.declared if other.startswith(name[:-1])] if "*" in name else [name])
            approved = approved.union(*(self.closures[member] for member in members))
        return approved

    def decide(self, line, now):
        """The verdict on one request; `now` in Unix seconds."""
        found = {"route": None, "token": None, "granted": [], "client": None, "excess": set(), "old": set()}
        try:
            reason = self._judge(line, now, found)
        except Denied as denied:
            reason = denied.reason
            route = found["route"]
            if reason != "publication_ended" and route is not None and route.observe_until > now:
                reason = "observed"
            client = found["client"]
            if client and reason in OBSERVED_OF_CLIENTS and client.observe_until > now:
                reason = "observed"
        status = STATUS[reason]
        route, result = found["route"], {"reason": reason, "status": status}
        result["verdict"] = "allow" if status == 200 else "deny"
        result["service"] = route.service.name if route else ""
        result["route"] = route.label if route else ""
        # Who it was is said for a denial too, once the token was verified.
        token = found["token"]
        result["issuer"] = token["iss"] if token else ""
        result["subject"] = token["sub"] if token else ""
        result["client"] = token["client"] if token else ""
        result["granted"] = sorted(found["granted"], key=str.encode)
        result["client_name"] = found["client"].name if found["client"] else ""
        result["excess"] = sorted(found["excess"], key=str.encode)
        result["old_scopes"] = sorted(found["old"], key=str.encode)
        result["required"] = ({"all": sorted(route.all), "any": sorted(route.any)}
                              if route and not route.public and not route.preflight else {"all": [], "any": []})
        result["error"] = self._error(reason)
        return result

    def _error(self, reason):
        """The `error` of the challenge: None for no challenge at all, "" for one without `error`."""
        if reason in ("no_token", "unsupported_scheme"):
            return ""
        if reason in ("multiple_credentials", "malformed_authorization"):
            return "invalid_request"
        if reason in ("insufficient_scope", "binding_mismatch", "over_scoped", "unknown_client"):
            return "insufficient_scope"
        return "invalid_token" if STATUS[reason] == 401 else None

    def _judge(self, line, now, found):
        # A line of `decide` may leave these two out; a proxy may not.
        scheme = "https" if line.get("scheme") is None else line["scheme"]
        port = line.get("port")
        port = ("80" if scheme.lower() == "http" else "443") if port is None else str(port)
        if not all((line.get("method"), line.get("target"), line.get("host"), scheme, port)):
            raise Denied("missing_fact")
        if not re.fullmatch("[1-9][0-9]{0,4}", port) or int(port) > 65535:
            raise Denied("conflicting_facts")
        if scheme.lower() not in ("http", "https"):
            raise Denied("conflicting_facts")
        authority, segments, spelled = read_target(line["target"].encode())
        host = read_host(line["host"].encode())
        if host is None:
            raise Denied("unknown_host")
        if authority is not None and read_host(authority) != host:
            raise Denied("ambiguous_target")
        normalized = line.get("normalized_path")
        if normalized and normalized.encode() != b"/" + b"/".join(segments):
            raise Denied("path_mismatch")
        readings = [self._reading(line, host, int(port), reading) for reading in (segments, spelled)]
        if readings[0] != readings[1]:
            raise Denied("ambiguous_target")
        if isinstance(readings[0], str):
            raise Denied(readings[0])
        route = found["route"] = readings[0]
        if route.service.ends is not None and route.service.ends <= now:
            raise Denied("publication_ended")
        if route.public:
            return "public"
        if route.preflight:
            return "preflight"
        text, is_dpop = self._credential(line, route.service)
        token = found["token"] = self._token(text, now)
        if token["iss"] not in route.service.issuers:
            raise Denied("issuer_not_allowed")
        if route.service.audience is not None and route.service.audience not in token["aud"]:
            raise Denied("audience_mismatch")
        # Tokens that are bound do not get here: this evaluator checks no proofs, and none are generated.
        if is_dpop:
            raise Denied("token_not_bound")
        granted = self._granted_to_client(token, found, now)
        if not granted.issuperset(route.all) or (route.any and granted.isdisjoint(route.any)):
            raise Denied("insufficient_scope")
        for number, claim in route.where.items():
            value = token["claims"].get(claim)
            if not isinstance(value, str) or value.encode() != segments[number] or value == "":
                raise Denied("binding_mismatch")
        return "granted"

    def _granted_to_client(self, token, found, now):
        """What the token amounts to within what is approved for its client."""
        granted = found["granted"] = self._granted(token, now)
        found["old"] = {name for name in token["scopes"] if name in self.old_names and not self._has_ended(name, now)}
        client = found["client"] = self.clients.get((token["iss"], token["client"]))
        if client is None:
            if self.issuers[token["iss"]].refuses_unknown:
                raise Denied("unknown_client")
            return granted
        approved = client.approved_at(now)
        found["excess"] = granted - approved - self.old_names
        if found["excess"]:
            if client.on_excess == "deny":
                raise Denied("over_scoped")
            if client.on_excess == "narrow":
                granted = found["granted"] = granted & approved
        return granted

    def _granted(self, token, now):
        granted = set()
        for name in token["scopes"]:
            if not self._has_ended(name, now):
                granted |= self.closures.get(name, set())
        return {name for name in granted if not self._has_ended(name, now)}

    def _has_ended(self, name, now):
        return self.ends.get(name) is not None and self.ends[name] <= now

    # --- routes

    def _reading(self, line, host, port, segments):
        """The route for one way of reading the path, or the reason why there is none."""
        try:
            return self._route(line, host, port, segments)
        except Denied as denied:
            return denied.reason

    def _route(self, line, host, port, segments):
        services = [service for service in self.services if host in service.hosts]
        if not services:
            wildcard = "*." + host.partition(".")[2]
            services = [service for service in self.services if wildcard in service.hosts and "." in host]
        if not services:
            raise Denied("unknown_host")
        services = [service for service in services if not service.ports or port in service.ports]
        if not services:
            raise Denied("port_not_allowed")
        covering = [route for service in services for route in service.routes if route.covers(segments)]
        if not covering:
            raise Denied("unknown_route")
        preflight = self._preflight(line, covering, port)
        if preflight:
            return preflight
        best = min(route.shape() for route in covering)
        there = [route for route in covering if route.shape() == best]
        fitting = self._listed(there, line["method"])
        if not fitting:
            raise Denied("method_not_allowed")
        open_here = [route for route in fitting if not route.ports or port in route.ports]
        if not open_here:
            raise Denied("port_not_allowed")
        if open_here[0].preflight:
            raise Denied("method_not_allowed")
        return open_here[0]

    def _listed(self, routes, method):
        """Routes for a method; GET stands for HEAD where HEAD itself is not listed."""
        fitting = [route for route in routes if route.method == method]
        return fitting or ([route for route in routes if route.method == "GET"] if method == "HEAD" else [])

    def _preflight(self, line, covering, port):
        """The route that answers a CORS preflight, or None where the request is an OPTIONS like any other.

        The most specific path must list the requested method on this port. Of the paths that list OPTIONS, the
        most specific one decides: where that is an ordinary route, it is no preflight.
        """
        origin, wanted = line.get("origin"), line.get("access_control_request_method")
        if line["method"] != "OPTIONS" or not origin or not wanted:
            return None
        best = min(route.shape() for route in covering)
        requested = [route for route in self._listed([route for route in covering if route.shape() == best], wanted)
                     if not route.ports or port in route.ports]
        if not requested or requested[0].preflight:
            return None
        options = [route for route in covering if route.method == "OPTIONS"]
        if not options:
            return None
        nearest = min(route.shape() for route in options)
        answering = [route for route in options
                     if route.shape() == nearest and (not route.ports or port in route.ports)]
        return answering[0] if answering and answering[0].preflight else None

    # --- tokens

    def _credential(self, line, service):
        """The one access token and whether it was sent as DPoP; Denied without one, or with several ways of sending."""
        headers = line.get("authorization") or []
        if len(headers) > 1:
            raise Denied("multiple_credentials")
        has_header = bool(headers) and headers[0] != ""
        candidates = []
        if isinstance(service.token_from, dict):
            try:
                candidates = (self._cookies(line, service.token_from["cookie"]) if "cookie" in service.token_from
                              else self._subprotocols(line, service.token_from["websocket_protocol"]))
            except Denied as denied:
                # Something of the kind was sent, whatever is wrong with it.
                raise Denied("multiple_credentials") if has_header else denied
        if len(candidates) > 1 or (candidates and has_header):
            raise Denied("multiple_credentials")
        if candidates:
            if not re.fullmatch("[A-Za-z0-9._~+/-]+=*", candidates[0]):
                raise Denied("malformed_authorization")
            return candidates[0], False
        if not has_header:
            raise Denied("no_token")
        known = re.fullmatch(r"(Bearer|DPoP) ([A-Za-z0-9._~+/-]+=*)", headers[0], re.I | re.A)
        if known:
            is_dpop = known[1].lower() == "dpop"
            if is_dpop and len(line.get("dpop") or []) > 1:
                raise Denied("multiple_credentials")
            return known[2], is_dpop
        scheme = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)( .*)?", headers[0], re.S | re.A)
        if scheme and scheme[1].lower() not in ("bearer", "dpop"):
            raise Denied("unsupported_scheme")
        raise Denied("malformed_authorization")

    def _cookies(self, line, name):
        lines = line.get("cookie") or []
        if len(lines) > 1:
            raise Denied("multiple_credentials")
        pairs = [pair.lstrip(" \t") for text in lines for pair in text.split(";")]
        return [pair[len(name) + 1:] for pair in pairs if pair.startswith(name + "=")]

    def _subprotocols(self, line, marker):
        lines = line.get("sec_websocket_protocol") or []
        if len(lines) > 1:
            raise Denied("multiple_credentials")
        members = [member.strip(" \t") for text in lines for member in text.split(",")]
        found = []
        while members:
            member = members.pop(0)
            if member == marker:
                if not members:
                    raise Denied("malformed_authorization")
                found.append(members.pop(0))
        return found

    def _token(self, text, now):
        if len(text) > 16384:
            raise Denied("token_too_large")
        parts = text.split(".")
        if len(parts) == 5:
            raise Denied("token_encrypted")
        if len(parts) != 3 or "" in parts:
            raise Denied("token_malformed")
        header_bytes, payload, signature = [decode64(part) for part in parts]
        header = self._header(read_json(header_bytes, 8))
        claims = read_json(payload, 32)
        if claims is None:
            raise Denied("claims_malformed")
        if "iss" not in claims:
            raise Denied("missing_claim")
        if not isinstance(claims["iss"], str):
            raise Denied("claims_malformed")
        issuer = self.issuers.get(claims["iss"])
        if issuer is None:
            raise Denied("unknown_issuer")
        if issuer.strict and header["type"] != "access":
            raise Denied("token_type_mismatch")
        algorithm = same_algorithm(header["alg"])
        if algorithm not in issuer.algorithms:
            raise Denied("algorithm_not_allowed")
        jwk = issuer.key(header, algorithm)
        if text not in self._signatures:
            message = f"{parts[0]}.{parts[1]}".encode()
            self._signatures[text] = signature_holds(jwk, algorithm, message, signature)
        if not self._signatures[text]:
            raise Denied("signature_invalid")
        return self._claims(claims, header, issuer, now)

    def _header(self, header):
        if header is None or not isinstance(header.get("alg"), str):
            raise Denied("header_malformed")
        for name in ("kid", "typ", "cty"):
            if name in header and not isinstance(header[name], str):
                raise Denied("header_malformed")
        if len(header.get("kid", "").encode()) > 1024:
            raise Denied("header_malformed")
        if same_algorithm(header["alg"]) not in ALGORITHMS:
            raise Denied("algorithm_not_allowed")
        kind = header.get("typ", "JWT").lower()
        header["type"] = {"at+jwt": "access", "application/at+jwt": "access", "jwt": "plain"}.get(kind, "other")
        if header["type"] == "other":
            raise Denied("token_type_mismatch")
        if "crit" in header:
            raise Denied("critical_header")
        if header.get("cty", "").lower() in ("jwt", "application/jwt"):
            raise Denied("token_type_mismatch")
        return header

    def _claims(self, claims, header, issuer, now):
        times = {name: numeric_date(claims[name], name != "exp") for name in ("exp", "nbf", "iat") if name in claims}
        audience = claims.get("aud")
        if "aud" in claims:
            audience = [audience] if isinstance(audience, str) else audience
            if not isinstance(audience, list) or not audience or not all(isinstance(one, str) for one in audience):
                raise Denied("claims_malformed")
        for name in ("sub", "jti", issuer.client_claim):
            if name in claims and not isinstance(claims[name], str):
                raise Denied("claims_malformed")
        if issuer.scope_claim in claims and not isinstance(claims[issuer.scope_claim], (str, list)):
            raise Denied("claims_malformed")
        if isinstance(claims.get(issuer.scope_claim), list):
            scope_names(claims[issuer.scope_claim])
        if "cnf" in claims and not isinstance(claims["cnf"], dict):
            raise Denied("claims_malformed")
        if header["type"] != "access" and {"events", "token_introspection", "status_list"} & set(claims):
            raise Denied("token_type_mismatch")
        required = ["exp", "aud"]
        if issuer.strict:
            required += ["iat", "sub", "jti", issuer.client_claim]
        for name in required:
            if claims.get(name, "") == "" or name not in claims:
                raise Denied("missing_claim")
        if now >= times["exp"] + issuer.leeway:
            raise Denied("expired")
        if now < times.get("nbf", 0) - issuer.leeway or now < times.get("iat", 0) - 300:
            raise Denied("not_yet_valid")
        if not set(audience) & set(issuer.audiences):
            raise Denied("audience_mismatch")
        if "cnf" in claims:
            # No generated token is bound to anything well-formed.
            raise Denied("proof_required")
        return {"iss": claims["iss"], "sub": claims.get("sub", ""), "client": claims.get(issuer.client_claim, ""),
                "aud": audience, "scopes": scope_names(claims.get(issuer.scope_claim)), "claims": claims}
