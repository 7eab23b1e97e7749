"""The attack corpus: ways to make the path that is authorised differ from the path that is served, or to bring a
client's word into the decision. Numbers are those of the usual list of canonicalisation and spoofing vectors.

Each attack stands with a benign neighbour, a request that looks alike and must be allowed: a checker that denies
everything would pass every attack.

`Request` holds what `harness.head_bytes` takes. TOKEN stands for a token that holds every scope but orders:admin,
so that the service of admin.example.com, and DELETE, are what an attacker wants.
"""

import dataclasses
import urllib.parse

TOKEN = "TOKEN"


@dataclasses.dataclass
class Request:
    target: str
    method: str = "GET"
    host: str = "api.example.com"
    token: str | None = TOKEN
    headers: tuple = ()
    body: bytes | None = None
    # bytes of a whole request, `{token}` to be replaced; instead of all of the above
    raw: bytes | None = None


@dataclasses.dataclass
class Attack:
    number: int
    name: str
    request: Request
    neighbour: Request
    # The attack itself may be allowed, when what the application sees is what was authorised. Where that cannot
    # be, it must be denied.
    must_deny: bool = False


def _path(number, name, target, neighbour, must_deny=True):
    return Attack(number, name, Request(target), Request(neighbour), must_deny)


def _headers(number, name, headers, neighbour_headers=(), target="/v1/orders", **more):
    return Attack(number, name, Request(target, headers=tuple(headers), **more),
                  Request(target, headers=tuple(neighbour_headers)))


def _raw(number, name, text, neighbour="/v1/orders", must_deny=True):
    return Attack(number, name, Request("", raw=text), Request(neighbour), must_deny)


OK = b"Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
ORDER = "/v1/files/report"

ATTACKS = [
    # 1 empty segments
    _path(1, "leading double slash", "//v1/orders", "/v1/orders"),
    _path(1, "inner double slash", "/v1//orders", "/v1/orders"),
    _path(1, "double slash to an authority", "//admin.example.com/v1/orders", "/v1/orders"),
    _path(1, "double slash below a tree", "/v1/files//a", "/v1/files/a"),
    _path(1, "trailing double slash", "/v1/files/a//", "/v1/files/a/"),
    # 2 dot segments
    _path(2, "raw parent", "/v1/files/../orders", "/v1/files/..a"),
    _path(2, "raw parent at the end", "/v1/files/a/..", "/v1/files/a.."),
    _path(2, "encoded parent", "/v1/files/%2e%2e/orders", "/v1/files/%2e%2ea"),
    _path(2, "half encoded parent", "/v1/files/.%2E/orders", "/v1/files/.%2Ex"),
    _path(2, "raw current", "/v1/./orders", "/v1/files/.a"),
    _path(2, "encoded current", "/v1/files/%2e", "/v1/files/%2ea"),
    _path(2, "three dots stay", "/v1/files/.../a", "/v1/files/.../b", must_deny=False),
    # 3 encoded slash
    _path(3, "encoded slash", "/v1/files%2Forders", "/v1/files/orders"),
    _path(3, "parent by encoded slash", "/v1/files/..%2f..%2fadmin", "/v1/files/admin"),
    _path(3, "lower case encoded slash", "/v1/files/a%2fb", "/v1/files/a-b"),
    # 4 double encoding
    _path(4, "doubly encoded slash", "/v1/files/a%252Fb", "/v1/files/a%20b"),
    _path(4, "doubly encoded parent", "/v1/files/%252e%252e/admin", "/v1/files/%2e.%2eadmin"),
    _path(4, "encoded percent", "/v1/files/100%25", "/v1/files/100%20"),
    # 5 path parameters
    _path(5, "parameter on a parent", "/v1/files/..;/orders", "/v1/files/..,/orders"),
    _path(5, "parameter", "/v1/files/a;v=1", "/v1/files/a,v=1"),
    _path(5, "session parameter", "/v1/orders;jsessionid=1", "/v1/orders"),
    _path(5, "encoded parameter on a parent", "/v1/files/%2e%2e%3b/orders", "/v1/files/a%3bb"),
    # 6 backslash
    _path(6, "raw backslash", "/v1/files\\..\\orders", "/v1/files/orders"),
    _path(6, "encoded backslash", "/v1/files/..%5c..%5cadmin", "/v1/files/admin"),
    _path(6, "leading backslash", "/\\admin.example.com/v1", "/v1/orders"),
    # 7 NUL
    _path(7, "encoded NUL", "/v1/files/a%00.png", "/v1/files/a.png"),
    _raw(7, "NUL in a header", b"GET /v1/orders HTTP/1.1\r\nHost: api.example.com\r\nX-A: a\0b\r\n" + OK),
    _raw(7, "NUL in the target", b"GET /v1/orders\0x HTTP/1.1\r\nHost: api.example.com\r\n" + OK),
    # 8 fragment
    _path(8, "fragment", "/v1/orders#/../admin", "/v1/orders"),
    _path(8, "fragment hides a tree", "/v1/files/a#b", "/v1/files/a%23b"),
    _path(8, "fragment in the query", "/v1/orders?a#b", "/v1/orders?a%23b"),
    # 9 question mark
    _path(9, "encoded question mark before a parent", "/v1/files/a%3F/../../admin", "/v1/files/a%3Fb"),
    _path(9, "encoded question mark", "/v1/orders%3Fx", "/v1/orders?x"),
    _path(9, "path in the query", "/v1/orders?/../../admin", "/v1/orders?x=/a/b", must_deny=False),
    # 10 malformed
    _path(10, "bad escape", "/v1/files/%zz", "/v1/files/zz"),
    _path(10, "cut escape", "/v1/files/a%2", "/v1/files/a2"),
    _path(10, "lone percent", "/v1/files/%", "/v1/files/p"),
    _path(10, "unicode escape", "/v1/files/%u002e", "/v1/files/u002e"),
    _path(10, "overlong slash", "/v1/files/%c0%af", "/v1/files/%c3%a9"),
    _path(10, "overlong dot", "/v1/files/%c0%ae%c0%ae/x", "/v1/files/%c3%a9/x"),
    _path(10, "bad UTF-8", "/v1/files/%ff", "/v1/files/%C3%BF"),
    _path(10, "surrogate", "/v1/files/%ED%A0%80", "/v1/files/%EE%80%80"),
    _raw(10, "raw byte", b"GET /v1/files/\xc3\xa9 HTTP/1.1\r\nHost: api.example.com\r\n" + OK,
         "/v1/files/%C3%A9"),
    _raw(10, "no slash", b"GET v1/orders HTTP/1.1\r\nHost: api.example.com\r\n" + OK),
    _raw(10, "asterisk", b"GET * HTTP/1.1\r\nHost: api.example.com\r\n" + OK),
    # 11 case
    _path(11, "upper-case path", "/V1/ORDERS", "/v1/orders"),
    _path(11, "upper-case segment", "/v1/Orders", "/v1/orders"),
    # 12 method
    Attack(12, "lower-case method", Request("/v1/orders", method="get"), Request("/v1/orders"), True),
    Attack(12, "unknown method", Request("/v1/orders", method="GETX"), Request("/v1/orders"), True),
    Attack(12, "TRACE", Request("/v1/orders", method="TRACE"), Request("/v1/orders"), True),
    Attack(12, "CONNECT", Request("/v1/orders", method="CONNECT"), Request("/v1/orders"), True),
    Attack(12, "override header", Request("/v1/orders/7", headers=(("X-HTTP-Method-Override", "DELETE"),)),
           Request("/v1/orders/7")),
    Attack(12, "override header, underscores", Request("/v1/orders/7", headers=(
        ("X_HTTP_Method_Override", "DELETE"), ("x-method-override", "DELETE"), ("X-Http-Method", "DELETE"))),
        Request("/v1/orders/7")),
    Attack(12, "preflight that is none", Request("/v1/orders", method="OPTIONS", token=None),
           Request("/v1/orders", method="OPTIONS", token=None, headers=(
               ("Origin", "https://a.example"), ("Access-Control-Request-Method", "GET"))), True),
    Attack(12, "preflight for a method that is not listed", Request(
        "/v1/orders", method="OPTIONS", token=None,
        headers=(("Origin", "https://a.example"), ("Access-Control-Request-Method", "PATCH"))),
        Request("/v1/orders", method="OPTIONS", token=None, headers=(
            ("Origin", "https://a.example"), ("Access-Control-Request-Method", "POST"))), True),
    # 13 absolute form
    Attack(13, "another authority than Host", Request("http://admin.example.com/v1/orders"),
           Request("http://api.example.com/v1/orders"), True),
    Attack(13, "Host of another service", Request("http://api.example.com/v1/orders", host="admin.example.com"),
           Request("http://api.example.com/v1/orders")),
    Attack(13, "user information", Request("http://api.example.com@admin.example.com/v1/orders"),
           Request("http://api.example.com/v1/orders"), True),
    Attack(13, "another scheme", Request("file:///v1/orders"), Request("/v1/orders"), True),
    # 14 spellings of Host
    Attack(14, "suffix", Request("/v1/orders", host="api.example.com.evil.example"), Request("/v1/orders"), True),
    Attack(14, "prefix", Request("/v1/orders", host="xapi.example.com"), Request("/v1/orders"), True),
    Attack(14, "upper case", Request("/v1/orders", host="ADMIN.EXAMPLE.COM"),
           Request("/v1/orders", host="API.Example.COM"), True),
    Attack(14, "trailing dot", Request("/v1/orders", host="admin.example.com."),
           Request("/v1/orders", host="api.example.com."), True),
    Attack(14, "port", Request("/v1/orders", host="admin.example.com:80"),
           Request("/v1/orders", host="api.example.com:80"), True),
    Attack(14, "no port after the colon", Request("/v1/metrics", host="api.example.com:9443"),
           Request("/v1/orders", host="api.example.com:9443"), True),
    # 15 two hosts
    _raw(15, "two Host lines", b"GET /v1/orders HTTP/1.1\r\nHost: api.example.com\r\nHost: admin.example.com\r\n" + OK),
    _raw(15, "comma in Host", b"GET /v1/orders HTTP/1.1\r\nHost: api.example.com,admin.example.com\r\n" + OK),
    _raw(15, "no Host", b"GET /v1/orders HTTP/1.1\r\n" + OK),
    # 16 two credentials
    _headers(16, "two Authorization lines", [("Authorization", "Bearer x")]),
    Attack(16, "comma in the credential", Request("/v1/orders", token=None, headers=(
        ("Authorization", "Bearer {token}, Bearer {token}"),)), Request("/v1/orders"), True),
    Attack(16, "two schemes in one line", Request("/v1/orders", token=None, headers=(
        ("Authorization", "Basic eDp5, Bearer {token}"),)), Request("/v1/orders"), True),
    Attack(16, "tab after the scheme", Request("/v1/orders", token=None, headers=(
        ("Authorization", "Bearer\t{token}"),)), Request("/v1/orders"), True),
    Attack(16, "token in the query", Request("/v1/orders?access_token={token}", token=None),
           Request("/v1/orders?access_token=x"), True),
    Attack(16, "token in a cookie", Request("/v1/orders", token=None, headers=(("Cookie", "token={token}"),)),
           Request("/v1/orders", headers=(("Cookie", "token=x"),)), True),
    Attack(16, "scheme in another case", Request("/v1/orders", token=None, headers=(
        ("authorization", "bEaReR {token}"),)), Request("/v1/orders")),
    # 17 other names for the facts
    _headers(17, "X-Original-URI", [("X-Original-URI", "/v1/healthz")], target="/v1/orders"),
    Attack(17, "X-Original-URL to a public route", Request("/v1/orders", token=None, headers=(
        ("X-Original-URL", "/v1/healthz"), ("X-Rewrite-URL", "/v1/healthz"))), Request("/v1/orders"), True),
    Attack(17, "X-Forwarded-*", Request("/v1/orders", token=None, headers=(
        ("X-Forwarded-Uri", "/v1/healthz"), ("X-Forwarded-Method", "OPTIONS"),
        ("X-Forwarded-Host", "admin.example.com"), ("X-Forwarded-Port", "9443"))), Request("/v1/orders"), True),
    Attack(17, "our own fact names", Request("/v1/orders", token=None, headers=(
        ("SC-Target", "/v1/healthz"), ("SC-Method", "GET"), ("SC-Path", "/v1/healthz"))),
        Request("/v1/orders", headers=(("SC-Target", "/v1/nowhere"),)), True),
    Attack(17, "a port by header", Request("/v1/metrics", headers=(("SC-Port", "9443"), ("X-Forwarded-Port", "9443"))),
           Request("/v1/orders", headers=(("SC-Port", "9443"),)), True),
    # 18 underscores
    Attack(18, "underscored fact names", Request("/v1/orders", token=None, headers=(
        ("SC_TARGET", "/v1/healthz"), ("SC_METHOD", "GET"), ("HTTP_AUTHORIZATION", "Bearer {token}"))),
        Request("/v1/orders", headers=(("SC_TARGET", "/v1/nowhere"),)), True),
    _headers(18, "underscored identity", [("X_Scope_Subject", "forged"), ("X_SCOPE_CLIENT", "forged")]),
    # 19 hop-by-hop
    _headers(19, "identity named in Connection", [("Connection", "X-Scope-Subject, X-Scope-Client, X-Scope-Issuer")]),
    _headers(19, "facts named in Connection", [("Connection", "close, SC-Target, SC-Method, SC-Host, Authorization")]),
    # 20 identity that passes
    Attack(20, "identity on a public route", Request("/v1/healthz", token=None, headers=(
        ("X-Scope-Subject", "forged"), ("X-Scope-Granted", "forged"), ("X-Scope-Issuer", "forged"))),
        Request("/v1/healthz", token=None)),
    _headers(20, "identity beside a token", [("X-Scope-Subject", "forged"), ("X-Scope-Granted", "forged")]),
    # 21 header names
    _raw(21, "empty header name", b"GET /v1/orders HTTP/1.1\r\nHost: api.example.com\r\n: x\r\n"
         b"Connection: close\r\n\r\n"),
    _raw(21, "space before the colon", b"GET /v1/orders HTTP/1.1\r\nHost: api.example.com\r\n"
         b"Authorization : Bearer {token}\r\nConnection: close\r\n\r\n"),
    _raw(21, "folded line", b"GET /v1/orders HTTP/1.1\r\nHost: api.example.com\r\nX-A: b\r\n"
         b" Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"),
    _raw(21, "no colon", b"GET /v1/orders HTTP/1.1\r\nHost: api.example.com\r\nAuthorization\r\n"
         b"Connection: close\r\n\r\n"),
    # 22 line ends
    _path(22, "line feed", "/v1/files/a%0ab", "/v1/files/a%20b"),
    _path(22, "header by line ends", "/v1/files/a%0d%0aSC-Method:%20GET", "/v1/files/a%20SC-Method:%20GET"),
    _path(22, "question by line ends",
          "/v1/files/a%0d%0a%0d%0aGET%20/%20HTTP/1.1%0d%0aHost:%20a%0d%0aSC-Method:%20GET%0d%0a"
          "SC-Target:%20/v1/healthz%0d%0aSC-Host:%20api.example.com%0d%0aSC-Scheme:%20http%0d%0a"
          "SC-Port:%208080%0d%0a%0d%0a", "/v1/files/a%20b%20c"),
    _path(22, "delete character", "/v1/files/a%7fb", "/v1/files/a~b"),
    # 23 error pages: in test_configuration.py and test_attacks.py, with a changed configuration
    # 24 sizes
    _headers(24, "long header", [("X-Long", "a" * 9_000)], [("X-Long", "a" * 7_000)]),
    Attack(24, "long target", Request("/v1/files/" + "a" * 8_300), Request("/v1/files/" + "a" * 6_000), True),
    Attack(24, "deep target", Request("/v1/files" + "/a" * 80), Request("/v1/files" + "/a" * 50), True),
    Attack(24, "padded token", Request("/v1/orders", token=None, headers=(
        ("Authorization", "Bearer {token}" + "A" * 6_000),)), Request("/v1/orders"), True),
    _headers(24, "many headers", [(f"X-Many-{number}", "a" * 7_000) for number in range(6)],
             [(f"X-Many-{number}", "a" * 6_000) for number in range(2)]),
]


def legitimate_targets():
    """Targets below /v1/files/ that people have: each must be allowed and reach the application as it was sent."""
    names = [
        "a", "A", "0", "report.pdf", "report-2024_final~1.txt", "a.b.c", ".hidden", "..hidden", "...", "a..b", "a.",
        "~user", "user@example.com", "@me", "10:30", "a:b:c", "1+1=2", "a+b", "a=b", "a,b,c", "a&b", "$price",
        "(draft)", "it's", "wow!", "*", "**", "a*b", "!$&'()*+,=:@", "-", "_", "~", "-._~", "x-y_z.~", "a%20b",
        "%20", "%20%20", "a%20", "a%21b", "%22quoted%22", "a%23b", "a%24b", "a%26b", "a%27b", "%28a%29", "a%2Ab",
        "a%2Bb", "a%2Cb", "a%2Db", "a%2Eb", "%41%42%43", "a%3Ab", "a%3Db", "a%3Fb", "a%40b", "%5Bx%5D", "a%5Eb",
        "a%5Fb", "a%60b", "%7Bid%7D", "a%7Cb", "a%7Eb", "%7euser", "%3Ctag%3E", "a%3Bb", "[1]", "a|b", "a^b",
        "{id}", "\"q\"", "<a>", "`x`", "%c3%a9", "%C3%A9", "caf%C3%A9", "na%C3%AFve", "%C3%BC%C3%B6%C3%A4",
        "%E6%97%A5%E6%9C%AC", "%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82", "%D7%A9%D7%9C%D7%95%D7%9D",
        "%D9%85%D8%B1%D8%AD%D8%A8%D8%A7", "%E0%A4%A8%E0%A4%AE", "%F0%9F%98%80", "a%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB",
        "e%CC%81", "%EF%BF%BD", "%EF%BB%BFbom", "%F4%8F%BF%BF", "%C2%A0", "%E2%80%8B", "%C2%80",
        "2024-01-31T10:00:00Z", "urn:isbn:0451450523", "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "sha256:e3b0c44298fc1c14", "v1.2.3-rc.1+build.5", "a=1&b=2", "key=value,key2=value2", "0x1F", "1e10",
        "null", "undefined", "true", "NaN", "con", "index.html", "index.php", "web.config", "favicon.ico",
        "xn--bcher-kva", "a--b", "__proto__", "%2Ehidden", "a%2E%2Eb", "%2E%2E%2E", "x%2e", "jsmith%40example.com",
    ]
    targets = ["/v1/files/" + name for name in names]
    # the same names deeper, and as folders
    targets += [f"/v1/files/folder/{name}" for name in names[:40]]
    targets += [f"/v1/files/{name}/" for name in names[:20]]
    targets += ["/v1/files/" + urllib.parse.quote(text) for text in (
        "Bücher & Zeitschriften", "日本語 ファイル", "Ελληνικά", "emoji 🎉 party", "tab-less name", "100 percent",
        "(1) copy of a file.tar.gz", "o'clock", "naïve café", "Ünïcödé")]
    targets += ["/v1/files/" + "/".join("abcdefgh"[:count]) for count in range(1, 9)]
    targets += ["/v1/files/" + "/".join(["d"] * depth) for depth in (10, 20, 40, 60)]
    targets += ["/v1/files/" + "n" * length for length in (100, 255, 1_000, 4_000, 7_000)]
    targets += ["/v1/files/" + "%C3%A9" * count for count in (50, 500, 1_000)]
    targets += ["/v1/files/a" + query for query in (
        "?", "?a", "?a=1", "?a=1&b=2", "?q=a+b", "?q=%20", "?q=%2F..%2F", "?/../..", "??", "?a=b?c", "?a[]=1",
        "?next=https://example.com/x", "?x=;y", "?x=%00", "?x=\\", "?q=%E6%97%A5", "?" + "x" * 2_000)]
    return targets


# Upgrades that an application could take for a tunnel in which the proxy sees no further request. Each as headers.
UPGRADES = [
    [("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")],
    [("Upgrade", "websocket, h2c"), ("Connection", "Upgrade"), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")],
    [("Upgrade", "h2c"), ("Upgrade", "websocket"), ("Connection", "Upgrade")],
    [("Upgrade", "websocket"), ("Upgrade", "h2c"), ("Connection", "Upgrade")],
    [("Upgrade", "TLS/1.0, HTTP/1.1"), ("Connection", "upgrade")],
    [("Upgrade", "h2c")],
]
