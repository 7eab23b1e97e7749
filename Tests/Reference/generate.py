"""Seeded policies, tokens and requests for the differential test. The same seed gives the same cases, but for the
keys and signatures, which are random."""

import datetime
import json
import os
import random
import sys
import urllib.parse
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Integration"))
import issuer as minting  # noqa: E402  (the tests' own token issuer; shares nothing with Sources/ either)

# Tests with a running daemon set this to the time of day before anything is made.
NOW = int(os.environ.get("SCOPECHECK_TEST_NOW", 1_800_000_000))
CURVES_AND_EDWARDS = ["ES256", "ES256", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
RSA = ["RS256", "PS256", "RS384", "RS512", "PS384", "PS512"]

WORDS = ["orders", "users", "items", "a", "b", "c", "me", "list", "files", "café", "x y", "10:30", "@me", "v1", "a+b"]
METHODS = ["GET", "GET", "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "QUERY"]
SUBJECTS = ["alice", "bob", "jürgen", "user 1", "a+b", "10:30", "me"]
RESOURCES = ["orders", "payments", "users", "reports"]
ACTIONS = ["read", "write", "admin", "charge", "list", "list:all"]

# The first is what most tokens name.
CLIENTS = ["client-1", "client-2", "jürgen 1"]

_rsa_keys = {}


def _time(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _list(value):
    return value if isinstance(value, list) else [value]


class Case:
    """One policy with its key sets, and what requests are made of."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.files = {}
        self.issuers, self.services, self.scopes = [], {}, {}
        self._make_issuers()
        self._make_scopes()
        self._make_services()
        self._make_clients()
        self.policy = yaml.safe_dump(
            {"scopecheck": 1, "issuers": [one["source"] for one in self.issuers], "scopes": self.scopes,
             "services": self.services, **self.approvals}, allow_unicode=True, sort_keys=False, width=1000)
        self._make_tokens()

    # --- the policy

    def _make_issuers(self):
        pick = self.random
        for number in range(pick.choice([1, 1, 2, 3])):
            algorithms = sorted(set(pick.sample(CURVES_AND_EDWARDS, 2) + pick.sample(RSA, pick.choice([0, 0, 1]))))
            if {"EdDSA", "Ed25519"} <= set(algorithms):
                algorithms.remove("EdDSA")
            keys = []
            for algorithm in algorithms:
                for copy in range(pick.choice([1, 1, 2])):
                    # The same names at every issuer: a key is found by issuer and name, never by name alone.
                    keys.append(self._key(algorithm, f"{algorithm.lower()}-{copy}"))
            source = {
                "issuer": f"https://id{number}.example.com" + pick.choice(["", "/", "/realms/a"]),
                "audience": pick.sample(["https://api.example.com", "https://b.example.com", "urn:x"],
                                        pick.choice([1, 2, 3])),
                "keys": {"jwks_file": f"jwks{number}.json"}, "algorithms": algorithms,
                "profile": pick.choice(["rfc9068", "rfc9068", "compat"]),
            }
            if pick.random() < 0.3:
                source["scope_claim"] = pick.choice(["scp", "permissions"])
            if pick.random() < 0.3:
                source["client_claim"] = pick.choice(["azp", "cid"])
            if pick.random() < 0.4:
                source["leeway"] = pick.choice(["0s", "30s", "2m", "300s"])
            published = [key.jwk() for key in keys]
            for jwk in published:
                if pick.random() < 0.2 and jwk["kty"] != "RSA":
                    del jwk["alg"]
            # What a set may hold besides, and what is not for access tokens.
            stranger = self._key("ES256", "es256-enc").jwk()
            stranger["use"] = "enc"
            published.append(stranger)
            self.files[f"jwks{number}.json"] = json.dumps({"keys": published})
            self.issuers.append({"source": source, "keys": keys})

    def _key(self, algorithm, kid):
        if algorithm in RSA:
            # Made once for all policies: an RSA key takes longer than everything else here.
            if algorithm not in _rsa_keys:
                _rsa_keys[algorithm] = minting.Key(algorithm, kid)
            key = minting.Key.__new__(minting.Key)
            key.algorithm, key.kid, key.private = algorithm, kid, _rsa_keys[algorithm].private
            return key
        return minting.Key(algorithm, kid)

    def _make_scopes(self):
        pick = self.random
        names = sorted({f"{pick.choice(RESOURCES)}:{pick.choice(ACTIONS)}" for _ in range(pick.randint(6, 20))})
        names += ["profile", "a.b.c", "x/y"][:pick.randint(0, 3)]
        pick.shuffle(names)
        # A scope implies only scopes that stand behind it, so that there is no circle.
        for rank, name in enumerate(names):
            later, implied = names[rank + 1:], []
            if later and pick.random() < 0.4:
                implied += pick.sample(later, min(len(later), pick.choice([1, 1, 2])))
            prefix = name.split(":")[0] + ":"
            others = [other for other in names if other.startswith(prefix) and other != name]
            if others and set(others) <= set(later) and pick.random() < 0.7:
                implied.append(prefix + "*")
            holder = {"description": f"About {name}"} if pick.random() < 0.3 else {}
            if implied:
                holder["implies"] = implied
            self.scopes[name] = holder
        self._make_changes(names)

    def _make_changes(self, names):
        """Scopes that end, and old names that tokens may still carry."""
        pick, self.old_names = self.random, []
        if pick.random() < 0.4:
            return
        for name in names:
            roll = pick.random()
            if {"replaces", "until"} & set(self.scopes[name]):
                continue
            if roll < 0.08:
                self.scopes[name]["until"] = self._moment()
            elif roll < 0.2:
                old = f"{pick.choice(RESOURCES)}.old{len(self.old_names)}"
                self.old_names.append(old)
                until = self._moment()
                # One new scope, or several that the old one was split into.
                for new in dict.fromkeys([name] + (pick.sample(names, 2) if pick.random() < 0.3 else [])):
                    if not {"replaces", "until"} & set(self.scopes[new]):
                        self.scopes[new].update(replaces=old if pick.random() < 0.5 else [old], until=until)

    def _moment(self):
        return _time(NOW + self.random.choice([-1, 0, 1, 86_400, 86_400, 86_400, -86_400]))

    def _make_clients(self):
        """Baselines of every rule for some of the clients that tokens name."""
        pick, self.approvals = self.random, {}
        if pick.random() < 0.5:
            return
        names = list(self.scopes)
        replaced = sorted({old for holder in self.scopes.values() for old in _list(holder.get("replaces", []))})

        def approved(most):
            chosen = list(names) if pick.random() < most else pick.sample(names, pick.randint(1, len(names)))
            if pick.random() < 0.3:
                chosen.append(pick.choice(names).split(":")[0] + ":*")
                if not any(name.startswith(chosen[-1][:-1]) for name in names):
                    chosen.pop()
            if replaced and pick.random() < 0.3:
                chosen.append(pick.choice(replaced))
            return chosen if len(chosen) > 1 or pick.random() < 0.5 else chosen[0]

        roles = {f"role{number}": {"scopes": approved(0)} for number in range(pick.choice([0, 1, 2]))}
        clients = {}
        for number, one in enumerate(self.issuers):
            source = one["source"]
            if pick.random() < 0.2:
                continue
            source["unknown_clients"] = pick.choice(["deny", "allow", "allow"])
            for identifier in CLIENTS:
                if pick.random() < 0.3:
                    continue
                client = {"scopes": approved(0.8 if identifier == CLIENTS[0] else 0.3)}
                name = f"c{number}-{len(clients)}"
                if identifier in clients or not identifier.isascii() or " " in identifier or pick.random() < 0.7:
                    client["client_id"] = identifier
                else:
                    name = identifier
                if len(self.issuers) > 1 or pick.random() < 0.5:
                    client["issuer"] = source["issuer"]
                if roles and pick.random() < 0.3:
                    client["roles"] = [pick.choice(list(roles))]
                if pick.random() < 0.3:
                    client["grants"] = [
                        {pick.choice(["scope", "scopes"]): pick.choice(names), "until": self._moment(), "reason": "INC-1"}
                        for _ in range(pick.choice([1, 1, 2]))]
                if pick.random() < 0.7:
                    client["on_excess"] = pick.choice(["deny", "narrow", "narrow", "alert"])
                if pick.random() < 0.2:
                    client.update(mode="observe", until=self._moment())
                clients[name] = client
        if clients:
            self.approvals["clients"] = clients
        if roles:
            self.approvals["roles"] = roles

    def _make_services(self):
        pick = self.random
        taken = set()
        for number in range(pick.randint(1, 4)):
            hosts = [pick.choice([f"api{number}.example.com", "shared.example.com", f"*.s{number}.example.com"])]
            if pick.random() < 0.3:
                hosts.append(f"alt{number}.example.com")
            service = {"hosts": hosts}
            names = [one["source"]["issuer"] for one in self.issuers]
            chosen = pick.sample(names, pick.randint(1, len(names)))
            if len(names) > 1 or pick.random() < 0.7:
                service["issuers"] = chosen
            if pick.random() < 0.6:
                service["audience"] = pick.choice(["https://api.example.com", "https://b.example.com"])
            if pick.random() < 0.3:
                service["ports"] = sorted(pick.sample([443, 8080, 8443, 9443], pick.choice([1, 2])))
            base = pick.choice(["", "", "/v1", "/api/v2", "/caf%C3%A9"])
            if base:
                service["base_path"] = base
            if pick.random() < 0.15:
                service.update(self._mode())
            if pick.random() < 0.05:
                service["ends"] = self._moment()
            if pick.random() < 0.25:
                service["token_from"] = pick.choice([{"cookie": "session"}, {"websocket_protocol": "bearer"}, "header"])
            service["routes"] = self._make_routes(service, base, taken)
            self.services[f"service{number}"] = service

    def _mode(self):
        until = _time(NOW + self.random.choice([-1, 0, 1, 86_400, -86_400]))
        if self.random.random() < 0.5:
            return {"mode": "observe", "until": until}
        return {"mode": {"observe": {"until": until}}}

    def _make_routes(self, service, base, taken):
        pick, routes = self.random, []
        for _ in range(pick.randint(4, 24)):
            path = self._template()
            methods = sorted(set(pick.choices(METHODS, k=pick.choice([1, 1, 1, 2, 3]))))
            shape = (base + path).replace("é", "%C3%A9")
            shape = "/".join("{}" if part.startswith("{") else part for part in shape.split("/"))
            methods = [method for method in methods if (shape, method) not in taken]
            if not methods:
                continue
            taken |= {(shape, method) for method in methods}
            route = {"match": f"{','.join(methods)} {path}"}
            roll = pick.random()
            if roll < 0.1:
                route["public"] = True
            else:
                names = list(self.scopes)
                one, two = pick.choice(names), pick.sample(names, 2)
                route["scopes"] = pick.choice(
                    [one, one, [one], two, {"any": two}, {"all": [one]}, {"all": two[:1], "any": two}])
                parameters = [part[1:-1] for part in path.split("/") if part.startswith("{")]
                if parameters and pick.random() < 0.5:
                    route["where"] = {pick.choice(parameters): pick.choice(["sub", "sub", "tenant", "num"])}
                if pick.random() < 0.1:
                    route.update(self._mode())
                elif pick.random() < 0.05:
                    route["mode"] = "enforce"
            if pick.random() < 0.15:
                route["ports"] = sorted(pick.sample(service.get("ports", [443, 8080, 8443, 9443]), 1))
            routes.append(route)
        if not routes:
            routes.append({"match": f"GET /only{len(taken)}", "public": True})
        if pick.random() < 0.7:
            path = pick.choice(["/**"] + [route["match"].split(" ")[1] for route in routes])
            shape = "/".join("{}" if part.startswith("{") else part for part in
                             (base + path).replace("é", "%C3%A9").split("/"))
            if (shape, "OPTIONS") not in taken:
                taken.add((shape, "OPTIONS"))
                routes.append({"match": f"OPTIONS {path}", "preflight": True})
        pick.shuffle(routes)
        return routes

    def _template(self):
        pick = self.random
        if pick.random() < 0.03:
            return "/"
        parts = []
        for number in range(pick.choice([1, 1, 2, 2, 3, 4])):
            roll = pick.random()
            if roll < 0.35:
                parts.append("{%s}" % ["p", "q", "r", "s"][number])
            else:
                # Few words, so that templates overlap and the search has to turn back.
                word = pick.choice(WORDS[:6] if pick.random() < 0.7 else WORDS)
                parts.append(urllib.parse.quote(word, safe="@:+") if pick.random() < 0.8 or " " in word else word)
        roll = pick.random()
        if roll < 0.12:
            parts.append("**")
        elif roll < 0.2 and parts:
            parts.append("")
        return "/" + "/".join(parts)

    # --- tokens

    def _make_tokens(self):
        self.good = [self._good_token() for _ in range(40)]
        self.bad = [self._bad_token() for _ in range(70)]

    def _ingredients(self):
        pick = self.random
        one = pick.choice(self.issuers)
        source, key = one["source"], pick.choice(one["keys"])
        scopes = pick.sample(list(self.scopes), pick.randint(1, min(5, len(self.scopes))))
        if pick.random() < 0.3:
            scopes = list(self.scopes)
        if pick.random() < 0.1:
            scopes.append(pick.choice(["unknown:scope", "*", "orders:*"]))
        if self.old_names and pick.random() < 0.4:
            scopes += pick.sample(self.old_names, 1)
        scope = " ".join(scopes) if pick.random() < 0.7 else scopes
        audience = pick.choice([["https://api.example.com", "https://b.example.com", "urn:x"],
                                source["audience"], source["audience"][0]])
        claims = {"iss": source["issuer"], "aud": audience, "sub": pick.choice(SUBJECTS),
                  source.get("client_claim", "client_id"): pick.choice(CLIENTS + CLIENTS[:1] * 3), "iat": NOW - 10,
                  "exp": NOW + pick.choice([1, 100, 100, 100, 3600]), "jti": "j",
                  source.get("scope_claim", "scope"): scope}
        if pick.random() < 0.6:
            claims["tenant"] = pick.choice(SUBJECTS)
        if pick.random() < 0.3:
            claims["num"] = pick.choice([7, True, None, ["a"], "a"])
        if pick.random() < 0.3:
            claims["nbf"] = NOW - pick.choice([0, 1, 100])
        typ = "at+jwt" if source["profile"] == "rfc9068" else pick.choice(["at+jwt", "JWT", None])
        typ = pick.choice([typ, "application/at+jwt"]) if typ == "at+jwt" else typ
        header = {"alg": key.algorithm, "kid": key.kid, "typ": typ}
        if pick.random() < 0.1:
            del header["kid"]
        return one, key, {name: value for name, value in header.items() if value is not None}, claims

    def _good_token(self):
        _, key, header, claims = self._ingredients()
        return minting.compact(header, claims, key.sign), claims

    def _bad_token(self):
        pick = self.random
        one, key, header, claims = self._ingredients()
        source = one["source"]
        common = ["alg", "exp", "exp", "nbf", "cnf", "signature", "five parts", "too large"]
        final = pick.choice(sorted(SPELLINGS) + common) if pick.random() < 0.35 else None
        for flaw in pick.sample(sorted(FLAWS) + common[:5], pick.choice([1, 1, 1, 2]) if final is None else 0):
            FLAWS[flaw](pick, source, header, claims)
        if final in FLAWS:
            FLAWS[final](pick, source, header, claims)
            final = None
        token = minting.compact(header, claims, key.sign)
        if final:
            token = SPELLINGS[final](pick, token, header, claims, key)
        return token, claims

    # --- requests

    def requests(self, count):
        return [self._request(number) for number in range(count)]

    def _request(self, number):
        pick = self.random
        name, service = pick.choice(list(self.services.items()))
        route = pick.choice(service["routes"])
        methods, path = route["match"].split(" ", 1)
        method = pick.choice(methods.split(","))
        if method == "GET" and pick.random() < 0.2:
            method = "HEAD"
        token, claims = pick.choice(self.good)
        authorization = ["Bearer " + token]
        where = {parameter: claim for parameter, claim in route.get("where", {}).items()}
        segments = []
        for part in path.split("/")[1:]:
            if part == "**":
                segments += [self._encode(pick.choice(WORDS)) for _ in range(pick.randint(1, 3))]
            elif part.startswith("{"):
                value = claims.get(where.get(part[1:-1]))
                segments.append(self._encode(value if isinstance(value, str) and pick.random() < 0.8
                                             else pick.choice(WORDS + SUBJECTS)))
            else:
                segments.append(self._encode(urllib.parse.unquote(part)))
        base = urllib.parse.quote(urllib.parse.unquote(service.get("base_path", "")), safe="/")
        target = base + "/" + "/".join(segments)
        host = pick.choice(service["hosts"]).replace("*", pick.choice(["a", "b-1", "x_y"]))
        ports = route.get("ports") or service.get("ports") or [443, 8080]
        line = {"id": str(number), "method": method, "target": target, "host": host, "scheme": "https",
                "port": pick.choice(ports), "authorization": authorization, "client_address": "127.0.0.1"}
        if pick.random() < 0.3:
            line["normalized_path"] = urllib.parse.unquote(target)
        if pick.random() < 0.2:
            line["target"] += pick.choice(["?", "?a=1", "?x=/../y", "?%zz", "?é"])
        if "preflight" in route and pick.random() < 0.8:
            line["origin"] = "https://app.example.com"
            line["access_control_request_method"] = pick.choice(
                [one for other in service["routes"] for one in other["match"].split(" ")[0].split(",")])
            line["target"] = self._somewhere(service)
            line["authorization"] = []
            line.pop("normalized_path", None)
        elsewhere = service.get("token_from", "header")
        if elsewhere != "header" and line["authorization"] and pick.random() < 0.7:
            line["authorization"] = []
            if "cookie" in elsewhere:
                line["cookie"] = [pick.choice(["", "a=b; "]) + f"session={token}" + pick.choice(["", "; xsession=1"])]
            else:
                line["sec_websocket_protocol"] = [
                    pick.choice(["", "chat, "]) + "bearer," + pick.choice([" ", ""]) + token]
        # A little less than half is left as it is.
        while pick.random() < 0.37:
            pick.choice(CHANGES)(self, pick, line, service)
        if pick.random() < 0.05:
            line["dpop"] = ["x"]
        return line

    def _somewhere(self, service):
        """A path that some route of the service might have."""
        path = self.random.choice(service["routes"])["match"].split(" ", 1)[1]
        parts = [self._encode(self.random.choice(WORDS)) if part.startswith("{") or part == "**" else part
                 for part in path.split("/")]
        return service.get("base_path", "") + "/".join(parts)

    def _encode(self, text):
        """Percent-encodes what must be, and at random what may be, in either case."""
        pick, out = self.random, ""
        for byte in text.encode():
            character = chr(byte)
            must = byte >= 0x80 or character in " /\\%;?#" or byte < 0x20
            if must or pick.random() < 0.04:
                out += ("%%%02X" if pick.random() < 0.7 else "%%%02x") % byte
            else:
                out += character
        return out


# --- what can be wrong with a token --------------------------------------------------------------------------

def _set(part, name, values):
    """A flaw that sets one member of the header or the claims; None removes it."""
    def flaw(pick, source, header, claims):
        holder = header if part == "header" else claims
        real = {"scope": source.get("scope_claim", "scope"),
                "client_id": source.get("client_claim", "client_id")}.get(name, name)
        value = pick.choice(values)
        if value is None:
            holder.pop(real, None)
        else:
            holder[real] = value
    return flaw


FLAWS = {
    "typ": _set("header", "typ", ["JWT", None, "dpop+jwt", "logout+jwt", "AT+JWT", "application/at+JWT", 5, ""]),
    "crit": _set("header", "crit", [["exp"], [], ["b64"], "x"]),
    "cty": _set("header", "cty", ["JWT", "jwt", "json", 1]),
    "alg": _set("header", "alg", ["none", "HS256", "RS256", "ES256", "es256", "PS512", "", 1, None, "ES256K"]),
    "kid": _set("header", "kid", ["unknown", "es256-enc", "", "es256-0", "eddsa-0", "k" * 1025, 7, None]),
    "iss": _set("claims", "iss", ["https://evil.example", "https://id0.example.com/x", None, 5, "",
                                  ["https://id0.example.com"]]),
    "other issuer": _set("claims", "iss", ["https://id0.example.com", "https://id1.example.com",
                                           "https://id0.example.com/"]),
    "aud": _set("claims", "aud", ["https://evil.example", [], None, 5, ["x", 5], "https://api.example.com/", {"a": 1}]),
    "exp": _set("claims", "exp", [NOW, NOW - 1, NOW - 29, NOW - 31, NOW - 299, NOW - 301, 1, 0, -5, None, "1900000000",
                                  True, 2 ** 53, 2 ** 53 + 1, NOW + 0.5]),
    "nbf": _set("claims", "nbf", [NOW + 1, NOW + 29, NOW + 31, NOW + 500, "0", 0, NOW + 0.5]),
    "iat": _set("claims", "iat", [NOW + 299, NOW + 300, NOW + 301, NOW + 3600, None, "x", False]),
    "sub": _set("claims", "sub", [None, "", 5, ["alice"]]),
    "jti": _set("claims", "jti", [None, "", 5]),
    "client": _set("claims", "client_id", [None, "", 5]),
    "scope": _set("claims", "scope", [None, "", " ", 5, {"a": 1}, ["orders:read", 5], "orders:read  orders:write",
                                      " orders:read", "orders:read\torders:write", ["orders:read orders:write"], [],
                                      "orders:*", "*", "ORDERS:READ"]),
    "cnf": _set("claims", "cnf", [{"jkt": "x"}, {}, "x", {"x5t#S256": "y"}]),
    "kind": _set("claims", "events", [{"x": {}}]),
    "status": _set("claims", "status_list", [{"bits": 1}]),
}


def _flip(pick, text):
    """Changes one character of the signature to another."""
    place = pick.randrange(len(text) - 4)
    other = pick.choice([one for one in "ABCDxyz019-_" if one != text[place]])
    return text[:place] + other + text[place + 1:]


def _parts(token):
    return token.split(".")


def _with_json(text_of):
    """Signs bytes that json.dumps would not make."""
    def spelling(pick, token, header, claims, key):
        head, body = text_of(pick, json.dumps(header), json.dumps(claims))
        return minting.compact(head.encode("utf-8", "surrogatepass"), body.encode("utf-8", "surrogatepass"), key.sign)
    return spelling


SPELLINGS = {
    "signature": lambda pick, token, *_: ".".join(_parts(token)[:2] + [_flip(pick, _parts(token)[2])]),
    "other signature": lambda pick, token, header, claims, key: ".".join(
        _parts(token)[:2] + _parts(minting.compact(header, {**claims, "z": 1}, key.sign))[2:]),
    "short signature": lambda pick, token, *_: token[:-4],
    "no signature": lambda pick, token, *_: ".".join(_parts(token)[:2]) + ".",
    "four parts": lambda pick, token, *_: token + ".x",
    "five parts": lambda pick, token, *_: token + ".eA.eA",
    "two parts": lambda pick, token, *_: ".".join(_parts(token)[:2]),
    "six parts": lambda pick, token, *_: token + ".a.b.c",
    "empty payload": lambda pick, token, *_: _parts(token)[0] + ".." + _parts(token)[2],
    "plus": lambda pick, token, *_: "+" + token[1:],
    "length": lambda pick, token, *_: ".".join(
        [_parts(token)[0] + "A" * (5 - len(_parts(token)[0]) % 4)] + _parts(token)[1:]),
    "too large": lambda pick, token, header, claims, key: minting.compact(
        header, {**claims, "pad": "p" * 12_400}, key.sign),
    "nearly too large": lambda pick, token, header, claims, key: minting.compact(
        header, {**claims, "pad": "p" * 11_000}, key.sign),
    "duplicate claim": _with_json(lambda pick, head, body: (head, body[:-1] + ', "scope": "profile", "scope": "x"}')),
    "duplicate nested": _with_json(lambda pick, head, body: (head, body[:-1] + ', "n": {"a": 1, "a": 1}}')),
    "escaped duplicate": _with_json(
        lambda pick, head, body: (head, body[:-1] + ', "s\\u0075b": "mallory", "sub": "x"}')),
    "duplicate header": _with_json(lambda pick, head, body: (head[:-1] + ', "alg": "ES256", "alg": "none"}', body)),
    "trailing bytes": _with_json(lambda pick, head, body: (head, body + pick.choice(["x", "{}", ","]))),
    "trailing space": _with_json(lambda pick, head, body: (head + " \n", " " + body + "\t")),
    "byte order mark": _with_json(lambda pick, head, body: (head, "\ufeff" + body)),
    "lone surrogate": _with_json(lambda pick, head, body: (head, body[:-1] + ', "s": "\\ud800"}')),
    "raw surrogate": _with_json(lambda pick, head, body: (head, body[:-1] + ', "s": "\ud800"}')),
    "control": _with_json(lambda pick, head, body: (head, body[:-1] + ', "s": "a\nb"}')),
    "deep claims": _with_json(lambda pick, head, body: (head, body[:-1] + ', "d": ' + "[" * 40 + "]" * 40 + "}")),
    "deep header": _with_json(lambda pick, head, body: (head[:-1] + ', "d": ' + "[" * 10 + "]" * 10 + "}", body)),
    "not an object": _with_json(lambda pick, head, body: (head, pick.choice(["[]", "1", '"x"', "null", ""]) or "{")),
    "header no object": _with_json(lambda pick, head, body: (pick.choice(["[]", "1", "{", "null"]), body)),
    "not a number": _with_json(lambda pick, head, body: (head, body[:-1] + ', "n": ' + pick.choice(
        ["NaN", "Infinity", "01", "1.", ".5", "+1", "0x1", "1e"]) + "}")),
    "exponent": _with_json(lambda pick, head, body: (head, body.replace('"jti"', '"x": 1e3, "jti"'))),
}


# --- what can be different in a request ----------------------------------------------------------------------

def _fact(name, values):
    def change(case, pick, line, service):
        value = pick.choice(values)
        if value is None:
            line.pop(name, None)
        else:
            line[name] = value
    return change


def _bad_token(case, pick, line, service):
    line["authorization"] = ["Bearer " + pick.choice(case.bad)[0]]


def _other_token(case, pick, line, service):
    line["authorization"] = [pick.choice(["Bearer ", "bearer ", "BEARER "]) + pick.choice(case.good)[0]]


def _normalized(case, pick, line, service):
    """nginx's reading of the path, and readings that differ from it in a little."""
    path = urllib.parse.unquote(line.get("target", "/").partition("?")[0])
    line["normalized_path"] = pick.choice(
        [path, path, path.upper(), path.lower(), path + "/", path.rstrip("/"), path[1:], path.replace("//", "/"),
         path + " ", urllib.parse.quote(path)])


def _credential(case, pick, line, service):
    token = pick.choice(case.good)[0]
    line["authorization"] = pick.choice([
        [], [], [""], ["Basic eDp5"], ["Negotiate"], *[["DPoP " + token]] * 5, ["dpop " + token],
        ["DPoP"], ["DPoP  " + token], ["Bearer"], ["Bearer "], ["Bearer  " + token],
        ["Bearer\t" + token], ["Bearer " + token + " "], ["Bearer " + token + ", Bearer " + token], [token],
        ["Bearer " + token, "Bearer " + token], ["Bearer " + token, ""], ["Bearer =="], [" Bearer " + token],
        ["Bearer " + token + "\n"], ["Bearér " + token], ["Basic\t" + token]])


def _twist_target(case, pick, line, service):
    target = line.get("target", "/")
    place = pick.randrange(len(target) + 1)
    if pick.random() < 0.15:
        # A whole segment, so that it begins where a dot segment would.
        place = target.rfind("/", 0, place) + 1
    twist = pick.choice(["/", "//", "/.", "/..", "..%3bx/", ".%3B/", "%2e%2e;/", "..a/", "...%3b/", "/%2e%2e", "%2F",
                         "%5C", "%00", "%25", "%7f", "\\", ";x", "%3B", "#", " ", "\n", "é", "%ff", "%C0%AF", "%",
                         "%z1", "%1", "/./", "/../", "..", ".", "%2e", "?", "%3F",
                         "\u0000", "\"", "|", "[", "^", "%C3%A9", "+"])
    line["target"] = target[:place] + twist + target[place:]


def _replace_target(case, pick, line, service):
    target = line.get("target", "/")
    line["target"] = pick.choice([
        "", "*", "orders", "/", "//", "/" + "a" * 9_000, "/a" * 65, "/a" * 64, "/x/y/z/nowhere",
        "http://" + line.get("host", "h") + target, "https://" + line.get("host", "h") + ":8080" + target,
        "HTTP://evil.example" + target, "ftp://h/x", "http://", "http:///x", target.upper(), target + "/",
        target.rstrip("/"), case._somewhere(service), case._somewhere(service), case._somewhere(service)])


def _host(case, pick, line, service):
    host = line.get("host", "h")
    line["host"] = pick.choice([
        host.upper(), host + ".", host + ":8080", host + ":0", host + ":x", host + ":", "evil.example", "x." + host,
        host + "..", "", "shared.example.com", host + "," + host, "a b", "user@" + host, "[::1]", "[::1]:80", "[", "-",
        host.split(".", 1)[1] if "." in host else host, "127.0.0.1", "h" * 300, "é.example.com", "*." + host])


def _to_preflight(case, pick, line, service):
    line.update(method="OPTIONS", origin=pick.choice(["https://a.example", "null", ""]),
                access_control_request_method=pick.choice(METHODS + ["", "get"]))
    line["target"] = case._somewhere(service)
    line.pop("normalized_path", None)


def _elsewhere(case, pick, line, service):
    token = pick.choice(case.good)[0]
    line[pick.choice(["cookie", "sec_websocket_protocol"])] = pick.choice([
        [f"session={token}"], [f"session={token}; session={token}"], [f"session={token}", "a=b"], ["session="],
        [f"Session={token}"], [f'session="{token}"'], [f"a=b;\tsession={token}"], [f"bearer, {token}"],
        [f"bearer, {token}, bearer, {token}"], ["bearer"], [f"bearer,{token},chat"], [f"Bearer, {token}"], ["bearer, "],
        [f"chat, {token}"], ["bearer, bearer"], [""], [f"bearer, {token}", "chat"]])


CHANGES = [
    *[_bad_token] * 9, _other_token, _other_token, _credential, _credential, _elsewhere, _normalized, _twist_target,
    _twist_target, _replace_target, _replace_target, _host, _to_preflight, _to_preflight,
    _fact("method", METHODS + ["get", "FOO", "", None, "TRACE"]),
    _fact("port", [1, 80, 443, 8080, 8443, 9443, 65535, 0, 65536, -1, "", "x", None, "08080", "443"]),
    _fact("port", [443, 8080, 8443, 9443]),
    _fact("scheme", ["http", "HTTPS", "ftp", "", None, "https "]),
    _fact("normalized_path", ["/", "/v1", "", None, "/orders", "x"]),
]
