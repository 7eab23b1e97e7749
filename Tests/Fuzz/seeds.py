#!/usr/bin/env python3
"""Writes the first inputs of every fuzz target to a folder: good examples of each format and the nearest bad ones.

    seeds.py FOLDER [TARGET…]        FOLDER/<target>/seed-<number>

They are where fuzzing starts. They stay in the corpora beside what libFuzzer made of them: it drops an input that
reaches no new code, and some of these are there for what must come out.
"""
import base64
import hashlib
import hmac
import json
import os
import struct
import sys
import zlib


# What is larger is not worth its place in the corpora.
BYTES_MAX = 6_144


def record(kind, content=b"", identifier=1, padding=0, version=1):
    return bytes([version, kind, identifier >> 8, identifier & 255, len(content) >> 8, len(content) & 255,
                  padding, 0]) + content + b"\xaa" * padding


def begin(identifier=1, role=1, flags=0):
    return record(1, bytes([role >> 8, role & 255, flags, 0, 0, 0, 0, 0]), identifier)


def pair(name, value):
    def length(text):
        return bytes([len(text)]) if len(text) < 128 else (0x80000000 | len(text)).to_bytes(4, "big")
    name, value = name.encode(), value.encode()
    return length(name) + length(value) + name + value


def pairs(**values):
    return b"".join(pair(name, value) for name, value in values.items())


SCOPECHECK = pairs(SC_METHOD="GET", SC_TARGET="/v1/orders/7?x=%41", SC_PATH="/v1/orders/7", SC_HOST="api.example.com",
                   SC_PORT="443", SC_SCHEME="https", SC_CLIENT_ADDRESS="192.0.2.7", SC_REQUEST_ID="6f1e",
                   SC_CLIENT_CERTIFICATE="", HTTP_AUTHORIZATION="Bearer abc.def.ghi", HTTP_DPOP="x",
                   HTTP_ORIGIN="https://a", HTTP_ACCESS_CONTROL_REQUEST_METHOD="PUT", HTTP_COOKIE="t=abc",
                   HTTP_SEC_WEBSOCKET_PROTOCOL="bearer, abc")
CGI = pairs(REQUEST_METHOD="GET", REQUEST_URI="/a", SERVER_NAME="h", SERVER_PORT="80", REQUEST_SCHEME="http",
            HTTPS="off", REMOTE_ADDR="::1", HTTP_AUTHORIZATION="Bearer a")
CGI_TLS = pairs(HTTPS="on", REQUEST_METHOD="GET", REQUEST_SCHEME="https", HTTP_COOKIE="a=b") + pair("HTTPS", "on")
HIDING = pair("HTTP_AUTHORIZATION=x", "y") + pair("http_dpop", "z") + pair("SC_METHOD\0", "GET") \
    + pair("SC_METHODS", "GET") + pair("HTTP_COOKIE", "") + pair("HTTP_COOKIE", "b") + pair("HTTPS", "on") \
    + pair("REQUEST_SCHEME", "http") + pair("SC_PORT", "1") + pair("SC_PORT", "2") + pair("SC_x", "") + pair("", "")


def request(content, identifier=1, role=1, flags=0, size=65535, padding=0):
    text = begin(identifier, role, flags)
    for start in range(0, len(content), size):
        text += record(4, content[start:start + size], identifier, padding)
    return text + record(4, b"", identifier) + (record(5, b"", identifier) if role == 1 else b"")


def fastcgi():
    streams = [
        request(SCOPECHECK), request(SCOPECHECK, flags=1) + request(CGI, 2, role=2, flags=1) + request(HIDING, 3, flags=1),
        request(CGI_TLS, role=2), request(SCOPECHECK, size=50, padding=3, flags=1), request(b"", flags=1) * 12,
        request(pair("A" * 200, "B" * 300), flags=1),
        record(9, pairs(FCGI_MAX_CONNS="", FCGI_MAX_REQS="", FCGI_MPXS_CONNS="", OTHER=""), 0) + request(CGI),
        record(9, b"\x05\x00FCGI", 0), record(77, b"abc", 0, padding=5) + request(CGI),
        begin(flags=1, role=3) + request(CGI), begin(role=9), begin(1) + begin(2, flags=1) + record(4, b"", 1),
        begin(1) + begin(1), begin(1) + record(2), begin(1) + record(5), begin(1) + record(4, b"\x7f\x00ab") + record(4),
        begin(1) + record(4, CGI) + record(4) + record(5, b"body") + record(5), begin(1) + record(8),
        begin(1) + record(4, b"\xff\xff\xff\xff\x00"), record(1, b"abc"), record(4, version=2), record(4, CGI, 9) * 3,
        begin(1) + record(4, b"\x00\x00" * 20) + record(4), begin(1) + record(4) + record(4, b"ab"),
        record(9, b"a" * 5000, 0), request(pair("SC_METHOD", "a" * 4200)), request(CGI, flags=1)[:-3],
        record(9, b"", 0) * 30, record(50, b"", 0) * 30 + request(CGI),
        begin(1) + record(4, b"x" * 0xfff0) + record(4, b"x" * 0x20), request(pair("A", "B"), flags=1) * 3,
    ]
    for options in (0, 1, 2, 3, 4, 8):
        for stream in streams if options == 0 else streams[:8]:
            yield bytes([options, options * 7]) + stream


HEAD = (b"GET /check HTTP/1.1\r\nHost: scopecheck\r\nSC-Method: GET\r\nSC-Target: /v1/orders/7\r\nSC-Path: /v1/orders/7\r\n"
        b"SC-Host: api.example.com\r\nSC-Scheme: https\r\nSC-Port: 443\r\nSC-Client-Address: ::1\r\nSC-Request-Id: 7\r\n"
        b"SC-Client-Certificate:\r\nAuthorization: Bearer a.b.c\r\nDPoP: x\r\nOrigin: https://a\r\nCookie: a=b; c=d\r\n"
        b"Access-Control-Request-Method: PUT\r\nSec-WebSocket-Protocol: bearer, a\r\nX:\t v \t\r\n\r\n")


def http():
    def head(*lines, first=b"GET / HTTP/1.1"):
        return b"\r\n".join((first, b"Host: a") + lines) + b"\r\n\r\n"
    streams = [
        HEAD, HEAD + head() + head(b"Connection: close") + head(), b"\r\n" + head(), b"\r\n\r\n" + head(), b"\rX",
        head(first=b"OPTIONS * HTTP/1.1"), head(first=b"GET * HTTP/1.1"), head(first=b"GET http://a/b HTTP/1.1"),
        head(first=b"GET https://a/b HTTP/1.1"), head(first=b"GET a HTTP/1.1"), head(first=b"GET /a HTTP/1.0"),
        head(b"Connection: keep-alive, x", first=b"GET / HTTP/1.0") * 2, b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n", head(first=b"GET / HTTP/2.0"), head(first=b"GET / HTTQ/1.1"), b"GET / HT",
        b"GET / HTx", head(first=b"GET  / HTTP/1.1"), head(first=b"GET / HTTP/1.1 "), head(first=b" GET / HTTP/1.1"),
        head(first=b"G\x00T / HTTP/1.1"), head(first=b"GET /\x80 HTTP/1.1"), b"GET / HTTP/1.1\n\n", b"GET / HTTP/1.1\rX",
        head(b"Host: b"), head(b"Content-Length: 0"), head(b"Content-Length: 1"), head(b"Content-Length: 00"),
        head(b"Content-Length:"), head(b"Content-Length: 0", b"Content-Length: 0"), head(b"Content-Length: x"),
        head(b"Content_Length: 0"), head(b"Transfer_Encoding: x"), head(b"Transfer-Encoding: chunked"),
        head(b"Transfer-Encoding: chunked", b"Content-Length: 0"), head(b"Expect: 100-continue"), head(b" fold"),
        head(b"X : 1"), head(b": 1"), head(b"X: 1\n"), head(b"X: a\rb"), head(b"X: \x7f"), head(b"X: \x80\xff"),
        b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", head(b"SC_Method: x", b"SC-Method: y"),
        head(b"authorization: a", b"AUTHORIZATION: b"), head(b"Sec_WebSocket_Protocol: x"), head(*[b"X: y"] * 110),
        head(b"Authorizatio_: a"), head(b"sc-p: 1", b"sc-pat: 1", b"sc-x: 1", b"sc-c: 1"), head(b"x: " + b"a" * 400),
        b"GET /" + b"a" * 300, head(b"X: 1")[:-1] + b"X", head() + b"GARBAGE\r\n\r\n",
    ]
    for byte in (b"\0", b"\x01", b"\x0b", b"\x7f", b"", b"\r\r"):
        streams += [head(b"X: a" + byte + b"\nY: b"), head(b"X" + byte + b"\n: b"), head(first=b"GET / HTTP/1.1" + byte + b"\nX: a"),
                    head(b"X: 1")[:-2] + byte + b"\n"]
    for options in (0, 1, 2, 3, 4, 8):
        for stream in streams if options in (0, 2) else streams[:4]:
            yield bytes([options, options * 7]) + stream


def varint(number):
    if number < 240:
        return bytes([number])
    text, number = bytes([number & 15 | 240]), (number - 240) >> 4
    while number >= 128:
        text, number = text + bytes([number & 127 | 128]), (number - 128) >> 7
    return text + bytes([number])


def counted(text):
    text = text.encode() if isinstance(text, str) else text
    return varint(len(text)) + text


def frame(kind, payload=b"", stream=2, identifier=1, flags=1):
    content = bytes([kind]) + flags.to_bytes(4, "big") + varint(stream) + varint(identifier) + payload
    return len(content).to_bytes(4, "big") + content


def typed(value):
    """None, bool, int (int64), str, bytes (binary), or a pair of a type and its bytes."""
    if value is None:
        return b"\0"
    if isinstance(value, bool):
        return b"\x11" if value else b"\x01"
    if isinstance(value, int):
        return b"\x04" + varint(value % 2**64)
    if isinstance(value, tuple):
        return bytes([value[0]]) + value[1]
    return (b"\x08" if isinstance(value, str) else b"\x09") + counted(value)


def arguments(**values):
    return b"".join(counted(name.removesuffix("2")) + typed(value) for name, value in values.items())


def message(name, **values):
    return counted(name) + bytes([len(values)]) + arguments(**values)


def greeting(size=16380, version="2.0", capabilities="pipelining", **more):
    fields = {"supported-versions": version, "max-frame-size": (3, varint(size)), "capabilities": capabilities, **more}
    return frame(1, b"".join(counted(name) + typed(value) for name, value in fields.items() if value is not None), 0, 0)


ORDINARY = dict(method="GET", target="/v1/orders/7?x=%41", path="/v1/orders/7", host="api.example.com", host_count=1,
                scheme="https", port=443, client_address=(6, b"\xc0\0\2\7"), request_id="6f1e",
                authorization="Bearer a.b.c", authorization_count=1)
HEADERS = dict(dpop="x", dpop_count=1, origin="https://a", origin_count=1, access_control_request_method="PUT",
               access_control_request_method_count=1, cookie="t=abc", cookie_count=2, websocket_protocol="bearer, abc",
               websocket_protocol_count=1)
ABSENT = dict(dpop=None, dpop_count=0, origin=None, origin_count=0, cookie=None, cookie_count=0,
              client_address=(7, bytes(16)))
CERTIFICATE = dict(certificate=b"\x30\x82\1\2abc", certificate_used=True, certificate_verify=0)


def spop():
    http = message("scopecheck-http", **ORDINARY)
    tcp = message("scopecheck-tcp", port=9443, client_address="::1", request_id="7", **CERTIFICATE)
    health = message("scopecheck-health")
    payloads = [
        http, tcp, health, b"", message("other", x=1), message("other", x=None) + http + message("y"), http + health, tcp + tcp,
        message("scopecheck-http", **{**ORDINARY, **HEADERS}), message("scopecheck-http", **{**ORDINARY, **ABSENT}),
        message("scopecheck-http", **ORDINARY, **CERTIFICATE), message("scopecheck-http", **ORDINARY, path2="/"),
        message("scopecheck-http", **ORDINARY, cookie="a"), message("scopecheck-http", **ORDINARY, cookie_count=1),
        message("scopecheck-http", **{**ORDINARY, "port": "443"}, port2=443), message("scopecheck-http", method=None),
        message("scopecheck-http", **{**ORDINARY, "client_address": 7}), message("scopecheck-http", authorization_count=-1),
        message("scopecheck-http", authorization_count=2**63 - 1, authorization="a"), tcp[:-1], http + b"\1",
        message("scopecheck-tcp", port=True), message("scopecheck-tcp", certificate_used=2, port=1, certificate_verify=20),
        message("scopecheck-tcp", x=(10, b"")), counted("scopecheck-http") + b"\xff", message("o") * 65,
        message("scopecheck-health", x=(2, varint(2**64 - 1)), y=(3, varint(2**32)), z=(5, b"\xf0" + b"\xff" * 9)),
    ]
    for number, payload in enumerate(payloads):
        yield bytes([0x40, number]) + payload
    greetings = [
        greeting(capabilities="pipelining,async", **{"engine-id": "0e1f4f1c"}), greeting(**{"engine-id": "c1d7"}),
        greeting(capabilities="", healthcheck=True), greeting(capabilities=None, healthcheck=True), greeting(size=256),
        greeting(size=255), greeting(size=2**64 - 1), greeting(version="1.0, 2.0"), greeting(version="3.0"),
        greeting(version=None), greeting(version=2), greeting(capabilities=None), greeting(capabilities=None, healthcheck=1),
        frame(1, b"", 0, 0), frame(1, b"\1x", 0, 0), frame(1, b"", 1, 0), frame(1, b"", 0, 0, 0), greeting()[:-2],
        frame(3, http), frame(2, counted("status-code") + b"\3\0", 0, 0), frame(77, b"", 0, 0), b"GET / HTTP/1.1\r\n\r\n",
    ]
    for options in (0, 8):
        for hello in greetings:
            yield bytes([options, 3]) + hello + frame(3, http)
    cut = [http[:20], http[20:90], http[90:]]
    parts = frame(3, cut[0], flags=0) + frame(0, cut[1], flags=0)
    streams = [
        frame(3, http), frame(3, http) * 5 + frame(3, tcp, 300, 70000) + frame(3, health, 2**64 - 1, 2**64 - 1),
        parts + frame(0, cut[2]), parts + frame(0, b"", flags=3) + frame(3, http, 4), parts + frame(0, cut[2], 3),
        parts + frame(3, http, 3), parts + frame(0, b"", flags=0) + frame(77, b"x") + frame(0, cut[2]), frame(0, http),
        frame(3, b"", flags=3) + frame(3, b"", flags=2) + frame(3, tcp), frame(3, b"", flags=0) + frame(0, b""),
        frame(2, counted("status-code") + b"\3\2", 0, 0) + frame(3, http), frame(2), greeting() + frame(3, http),
        frame(101), frame(102), frame(103), frame(200, b"abc") + frame(3, health), b"\0\0\0\6\3\0\0\0\1\0",
        b"\0\0\0\7\3\0\0\0\1\xf0\x80", b"\0\1\0\1", b"\0\0\x3f\xfd", frame(3, http)[:-1],
        frame(3, b"a" * 90, flags=0) + frame(0, b"b" * 90, flags=0) + frame(0, b"c" * 90) + frame(3, http, 4),
        frame(3, http, 1) + frame(3, b"\1") + frame(3, http, 2),
    ]
    for options in (0x80, 0x81, 0x82, 0x83, 0x84, 0x88):
        for stream in streams:
            yield bytes([options, options * 7 & 255]) + stream


KEYS = (b'{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"o1","x":"ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ"},'
        b'{"kty":"EC","crv":"P-256","kid":"e1","use":"sig","key_ops":["verify"],'
        b'"x":"UVw9brnjlrkE0_7Kf1T9zQzB6Ze_N13KUVrQpsO0A18","y":"RTa-OlDzGPv5pUdZAqIhUCvvDVfgjFOyzApW8X2fk1Q"}]}')
MODULUS = ("3K38HokGg-yKcxEIO-yEZ2cCO8uu_LKVDfam3N41zEBZYhO-Ion2J-HaebeRB7eNWSIjFRJUMrzXG18U_qGeUdagEB93lYaB5y6EdoIsqX"
           "RVrgSUro7jPHiD04lWuitVdeimtmSOuXcQ5LWnffHOYSrXG21PDtMSFLA_l2Cphkdk3RkUWGWAZDADx1TT7o7qYt1Ex5l7wv_HL3MrhKfYAk"
           "KNaQC2DnCAMYLvSNrUIzZhCMaU6HvdNyPbRL33gAI9zg5xYbqbfUa8WgfcjbmXgaSUKuLzDivvCiT7v5TUNteHrXSZzpreYhjlYhLzG_DrR7"
           "wI1maZ-LaUDO86mbQspQ")
CLAIMS = {"iss": "https://id.example.com", "sub": "ann", "client_id": "web", "aud": "https://api.example.com",
          "iat": 1699999990, "exp": 1700000300, "jti": "1", "scope": "orders:read", "tenant": "t1"}


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def signed(header, claims):
    """A token of the fixed key, as FixedKeys.swift has it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    text = base64url(header) + b"." + base64url(claims)
    return text + b"." + base64url(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))).sign(text))


def token():
    return signed(compact({"alg": "EdDSA", "typ": "at+jwt", "kid": "o1"}), compact(CLAIMS))


def claims_sets():
    yield CLAIMS
    for name in CLAIMS:
        yield {key: value for key, value in CLAIMS.items() if key != name}
        yield {**CLAIMS, name: 5 if isinstance(CLAIMS[name], str) else "5"}
        yield {**CLAIMS, name: ["a", "b"]}
    for changes in (
            {"aud": ["x", "second"]}, {"aud": []}, {"aud": [1]}, {"aud": "other"}, {"exp": 1700000000.5}, {"exp": 1e9},
            {"exp": -1}, {"exp": 1 << 60}, {"nbf": 1700000100}, {"nbf": 1699999999.5}, {"iat": 1700000400}, {"cnf": {}},
            {"cnf": {"jkt": "a"}}, {"cnf": 1}, {"scope": "a  b"}, {"scope": ["orders:read", "b"]}, {"scope": ["a b"]},
            {"scope": [1]}, {"scope": []}, {"scope": ""}, {"events": {}}, {"token_introspection": {}}, {"status_list": {}},
            {"iss": "https://old.example.com"}, {"iss": "https://none.example.com"}, {"iss": "https://x.example.com"},
            {"iss": "https://compat.example.com", "azp": "web", "scp": ["a", "b"]}, {"team": "\u00e9\U0001F600"},
            {"team": ["a"]}, {"sub": ""}, {"scope": " ".join("s%d" % n for n in range(1100))},
            {"scope": ["s%d" % n for n in range(1100)]}):
        yield {**CLAIMS, **changes}
    yield {"iss": "https://compat.example.com", "aud": "second", "exp": 1700000300}


JSON_TEXTS = [
    b'{"a":[1,"x",{"b":null}],"c":true,"d":false}', b"[]", b"{}", b'"a"', b"12", b"-0.5e+7", b"1E2", b"01", b"1.", b"-",
    b"1e", b"tru", b"nul1", b" { } ", b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"a" 1}', b'{"a":1,}', b"[1,]", b"[1 2]",
    b'"\\ud83d\\ude00\\n\\"\\/\\b\\f\\r\\t\\\\"', b'"\\ud83d"', b'"\\udc00"', b'"\\ud83d\\u0061"', b'"\\u0000"', b'"\\x"', b'"\\u00g0"',
    b'"\\', b'"\\ud83d\\uzzzz"', '"\u00e9\u20ac\U0001F600\U0010FFFF"'.encode(), b'"\xc0\xaf"', b'"\xed\xa0\x80"',
    b'"\xf4\x90\x80\x80"', b'"\xe0\x80\x80"', b'"\xf0\x80\x80\x80"', b'"\xf1\x80"', b'"a\x01"', b"\xef\xbb\xbf{}", b"", b"  ", b"{} x",
    b"[" * 70 + b"]" * 70, b'{"a":' * 9 + b"1" + b"}" * 9, b'"abcdefghijklmnopqrstuvwxyz"', b"@", b"{1:2}", b'{"a":1}}',
    b'{"a', b'{"a"', b'{"a":', b'{"a":1', b"{,}", b'{"\\u00e9\\ud83d\\ude00\\t\\b\\f\\n\\r":1}',
    compact({"n%d" % n: n for n in range(20)}), compact({"n%d" % n: n for n in range(300)}),
    b'{"a1":1,"a2":1,"a3":1,"a4":1,"a5":1,"a6":1,"a7":1,"a8":1,"a9":1,"b1":1,"b2":1,"b3":1,"b4":1,"b5":1,"b6":1,"b7":1,'
    b'"b8":1,"\\u0062\\u0038":2}', compact([[{"m%d" % n: 1} for n in range(60)] for _ in range(80)]),
    compact({"n%d" % n: n for n in range(20)})[:-1] + b',"n7":1}', compact([1] * 17000),
]


def key_sets():
    import copy
    ed = {"kty": "OKP", "crv": "Ed25519", "kid": "o1", "x": "ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ"}
    ec = {"kty": "EC", "crv": "P-256", "kid": "e1", "x": "UVw9brnjlrkE0_7Kf1T9zQzB6Ze_N13KUVrQpsO0A18",
          "y": "RTa-OlDzGPv5pUdZAqIhUCvvDVfgjFOyzApW8X2fk1Q"}
    rsa = {"kty": "RSA", "kid": "r1", "n": MODULUS, "e": "AQAB"}
    oct_key = {"kty": "oct", "kid": "h1", "k": "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"}
    for keys in ([ed, ec, rsa], [], [1], [ec, ec], [rsa, {**rsa, "alg": "PS256"}], [{**ed, "x": "AAAA"}], [oct_key]):
        yield compact({"keys": keys})
    for key in (ed, ec, rsa):
        for name in key:
            yield compact({"keys": [{k: v for k, v in key.items() if k != name}]})
            yield compact({"keys": [{**key, name: 1}, ed]})
            yield compact({"keys": [{**key, name: "A"}]})
        for change in ({"alg": "none"}, {"alg": "ES384"}, {"alg": "RS256"}, {"alg": "PS256"}, {"use": "enc"}, {"use": "sig"},
                       {"key_ops": ["sign"]}, {"key_ops": ["verify", "verify"]}, {"key_ops": "verify"}, {"key_ops": [1]},
                       {"key_ops": ["verify"]}, {"d": "AQ"}, {"kid": "k" * 1100}, {"kid": "a\u0001\u00e9"}, {"crv": "P-384"},
                       {"crv": "P-521"}, {"kty": "XX"}, {"n": "AQAB"}, {"e": "AQ"}, {"e": "Ag"}, {"x": "A=="}, {"crv": "X"}):
            yield compact({"keys": [{**copy.deepcopy(key), **change}]})
    yield compact({"keys": {}})
    yield compact([])
    yield compact(ed)
    yield compact({"keys": [ed] * 300})
    yield compact({"keys": [{**oct_key, "k": "AQ"}, {**oct_key, "alg": "HS512"}, {**oct_key, "alg": "HS256"}]})


PRIVATE = {"kty": "OKP", "crv": "Ed25519", "kid": "o1", "x": "ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ",
           "d": "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"}
PRIVATE_EC = {"kty": "EC", "crv": "P-256", "d": "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA",
              "x": "UVw9brnjlrkE0_7Kf1T9zQzB6Ze_N13KUVrQpsO0A18", "y": "RTa-OlDzGPv5pUdZAqIhUCvvDVfgjFOyzApW8X2fk1Q"}
PRIVATE_RSA = {"kty": "RSA", "n": MODULUS, "e": "AQAB", "d": """F1XGfSwcJkMS-MvqRPvjnFOGJvCI1mvD2zAjwOM2aRy81uQjjN9tyhXV
1l0U1u4P4kb70rSXdq4FSP2q6KoKZbj-P_Yz3PnWLq36j9WAB4MntDkDx9mQKcrMlcfGBfWjGc66IjtL5Ey02ppi1ayGGDxBdsL-QyEKnmlssAMmqe4cahNH
1i9Bzy8Fd6qEXQ-KTK5NOh3mdGKf9oEAzmrlXgKDQQp_bjhgqqRLxu-mCGpgF2yhK2TEb_Vumj1Lkk23Uw7cK4wl-Bnemhg5dvAgBtCRDbg5r0wg-_zZGWTN
chFG1_UA4ijgvtFRRB1Xp_xBwUA8zwkURfy_aXZDbzvVGQ""".replace("\n", ""), "p": """-BjgVbGogHjAeyfC7tRobeqP2JBm1ChaeHI4wxygP5GXRe
XsabBEUm0ENY6fWqatz58O2cDgwPpIqtR4IGNS6h7EshLwQ6uySUei3R9J2tfc072Ag55Qi_gt6En6S9S2RCh7_uLl6nmJHnJclnuwRIdLAjphsDpjZOWarxvt
v-c""".replace("\n", ""), "q": """47WHzSbh8NTe_0B8GUc4wjTAm47tevgQ8LhQ95xGZyCo3lItxSNLxHLR-YQGPnPfzbUyuN0PxpUAeo3USoexHSGmb
GXBfr6--rhNXzaF8JE6ylEdTdaiHkgzUsRdebj89EXO1LokHHsRESJyU0SRj7gE70oplXqckiW3g2IFzZM""".replace("\n", ""),
               "dp": """GWe6uSu7HITA-RuGO5ymoPLPDhcjYIBNW14e7-PjiP7opbC4t83kASjGsJFNQiQlUkhwZd35Zel7PXsKXg6ts-m4rJ-B2PwhAp4
CUHBeyLkoFMqn-VJh3yNn2AyTQ-ahT3Nx1xT3BD6zytldH8_Eqg_Mn4rI7Bneibt1To8mlms""".replace("\n", ""),
               "dq": """fzyUIWI0pemMoXxa25UcdggcB9AZirjKXnffZjyAamepdHDe-mT6lU7DXXUUOBlvWPaC3SFJC2F-3vwZP3wKz4haAf_p2vSiql4
JfcZtmTrNavdgNHpWJC2b4AexY66mSagoJl3Mh82Mf9KLp1ONMo1U1JDQI6Jbkp5YqKVBMNk""".replace("\n", ""),
               "qi": """SsG0ePMyf4Q9k0Qq-OKsdbwQeeIUCekEkihaadz1N1zI48wjcCjlp0rlhi-S_3AQzWRW1Q9rdpjc0BLOfUgAyZ0F4LYiXigU8Tj
sNWBG1dvmmalK7BCV7r3dnwm8V6g_l3t6NUpF18Pd4rmNq3-YFTGlJHRfTTCgRaWA7fIfnV8""".replace("\n", "")}


def private_keys():
    for key in (PRIVATE, PRIVATE_EC, PRIVATE_RSA):
        yield compact(key)
        for name in key:
            yield compact({k: v for k, v in key.items() if k != name})
        for change in ({"d": "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyE"}, {"alg": "RS256"}, {"alg": "none"}, {"crv": "P-384"},
                       {"kid": 1}, {"alg": "PS512"}, {"d": "A"}, {"d": 1}, {"kty": "oct"}, {"crv": "X"}, {"d": "AQ"}):
            yield compact({**key, **change})
    yield b"{"


def tokens():
    for text in JSON_TEXTS:
        yield b"\x20" + text
        yield b"\x88" + text
    good = token()
    header = compact({"alg": "EdDSA", "typ": "at+jwt", "kid": "o1"})
    for text in (good, good[:-2], good + b"=", good.replace(b".", b"..", 1), b"a.b", b"a.b.c.d", b"a.b.c.d.e", b"a.b.c.d.e.f", b"..",
                 b"a.b.c", good[:-1] + b"!", b"x" * 17000, b"e30.e30.AA", b"eyJhbGciOiJub25lIn0.e30.AA"):
        yield b"\x01" + text
    for change in ({"alg": "none"}, {"alg": "HS256"}, {"alg": 1}, {"alg": "Ed25519"}, {"alg": "RS256", "kid": "r1"}, {"alg": "ES256"},
                   {"typ": "JWT"}, {"typ": "application/at+jwt"}, {"typ": "dpop+jwt"}, {"typ": 1}, {"crit": ["exp"]}, {"cty": "JWT"},
                   {"cty": "x"}, {"cty": 1}, {"kid": "x"}, {"kid": 1}, {"kid": "k" * 1100}, {"typ": "AT+JWT"}, {"zip": "DEF"}):
        for claims in (CLAIMS, {**CLAIMS, "iss": "https://compat.example.com", "azp": "w"}):
            yield b"\x02" + compact({**json.loads(header), **change}) + b"\0" + compact(claims)
            yield b"\x02" + compact({**json.loads(header), **change}).replace(b"E", b"\\u0045") + b"\0" + compact(claims)
    for drop in ("alg", "typ", "kid"):
        yield b"\x02" + compact({k: v for k, v in json.loads(header).items() if k != drop}) + b"\0" + compact(CLAIMS)
    yield b"\x02[]\0{}"
    yield b"\x02" + header + b"\0" + compact(CLAIMS).replace(b'"iss"', b'"\\u0069ss"').replace(b'"ann"', b'"\\u0061nn"')
    yield b"\x02" + header + b"\0[" + compact(CLAIMS) + b"]"
    yield b"\x02" + header + b"\0" + compact({**CLAIMS, "\u0069" * 30: 1}).replace(b"iiii", b"\\u0069iii")
    for claims in claims_sets():
        yield b"\x07" + compact(claims)
        yield b"\x0f" + compact({**claims, "iss": "https://compat.example.com"})
    for document in key_sets():
        yield b"\x03" + document
        yield b"\x05" + document + b"\0" + good
    for document in private_keys():
        yield b"\x04" + document
    secret = compact({"keys": [{"kty": "oct", "kid": "h1", "k": "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"}]})
    for name in ("h1", "h2"):
        text = base64url(compact({"alg": "HS256", "kid": name})) + b".e30"
        mac = hmac.new(bytes(range(1, 33)), text, "sha256").digest()
        yield b"\x05" + secret + b"\0" + text + b"." + base64url(mac)
        yield b"\x05" + secret + b"\0" + text + b"." + base64url(mac[:-1] + b"x")
    yield b"\x05\0" + good
    yield b"\x05\0" + signed(compact({"alg": "EdDSA"}), b"x")
    yield b"\x05\0" + signed(compact({"alg": "ES256", "kid": "o1"}), b"x")
    yield b"\x05\0" + signed(compact({"alg": "EdDSA", "crit": []}), b"x")
    yield b"\x05\0" + signed(compact({"alg": "none"}), b"x")
    for text in (b"1700000000", b"1.5", b"1.7e9", b"17e-1", b"0.5", b"9007199254740992", b"9007199254740993", b"9007199254740992.5",
                 b"1e999", b"1e-999", b"0", b"-5", b"1e99999999", b"1.e", b"1e+", b"x", b"1x", b"1e1x", b"a b c", b"a  b", b"a ", b"\"",
                 b"AAAA", b"8J8", b"8J9", b"AQ", b"AR", b"A", b"AAAAAAAAAAAA-_", b"AAAA=", b"AAA+", b"AAAAAAA!AAAAAAAA"):
        yield b"\x06" + text


POLICY = """scopecheck: 1
issuers:
  - issuer: https://id.example.com
    audience: [https://api.example.com]
    keys: { jwks_uri: https://id.example.com/jwks }
    algorithms: [ES256, RS256]
    profile: rfc9068
    leeway: 30s
  - { issuer: https://b.example.com, audience: b, keys: { jwks_file: b.json }, profile: compat, scope_claim: scp, client_claim: azp }
scopes:
  orders:read: { description: Read orders }
  orders:write: { description: Change orders, implies: [orders:read] }
  orders:admin: { implies: ["orders:*"] }
services:
  orders:
    issuers: [https://id.example.com, https://b.example.com]
    audience: https://api.example.com
    hosts: [api.example.com, "*.example.org", "[::1]"]
    base_path: /v1
    ports: [443, 8443]
    token_from: { cookie: session }
    routes:
      - { match: GET /orders, scopes: orders:read }
      - { match: "GET,PUT /orders/{order}", scopes: { all: [orders:write], any: [orders:admin, orders:read] } }
      - { match: "GET /users/{user}/caf%C3%A9", scopes: orders:read, where: { user: sub }, ports: [443] }
      - { match: "OPTIONS /**", preflight: true }
      - { match: GET /healthz, public: true }
      - match: PUT /old/**
        scopes: orders:write
        mode: observe
        until: 2027-12-01T00:00:00Z
tests:
  - { request: GET https://api.example.com/v1/orders, client: web, scopes: [orders:read], expect: allow }
  - { request: GET https://api.example.com/v1/orders, expect: no_token }
"""


# Who may hold what, what changes over time, and who may publish.
HOLDERS = """scopecheck: 1
issuers:
  - { issuer: https://id.example.com, audience: a, keys: { discovery: true }, unknown_clients: deny }
scopes:
  orders:read: {}
  orders:write: { implies: orders:read, replaces: [orders:change, orders:edit], until: 2027-12-01T00:00:00Z }
  orders:bulk: { until: 2027-12-01T00:00:00Z }
roles:
  clerk: { scopes: ["orders:*"] }
clients:
  web: { scopes: [orders:read], on_excess: narrow, mode: observe, until: 2027-12-01T00:00:00Z }
  job:
    client_id: 0oa1b2c3
    roles: [clerk]
    grants: [{ scope: orders:write, until: 2027-12-01T00:00:00Z, reason: INC-42 }]
services:
  a: { hosts: [a.example.com], routes: [{ match: GET /a, scopes: orders:read }] }
publishers:
  orders:
    keys:
      - { kty: OKP, crv: Ed25519, kid: o1, x: ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ }
      - { kty: EC, crv: P-256, kid: e1, alg: ES256, use: sig, x: UVw9brnjlrkE0_7Kf1T9zQzB6Ze_N13KUVrQpsO0A18, y: RTa-OlDzGPv5pUdZAqIhUCvvDVfgjFOyzApW8X2fk1Q }
    hosts: [orders.example.com, "*.example.org"]
    base_path: /v1
    scopes: ["orders:*", other]
    issuers: [https://id.example.com]
    public: true
    max_ttl: 24h
    widening: refuse
"""


def one_line_more_or_less(policy):
    yield policy.encode()
    lines = policy.splitlines(keepends=True)
    for place in range(len(lines)):
        yield "".join(lines[:place] + lines[place + 1:]).encode()
        yield "".join(lines[:place] + [lines[place]] + lines[place:]).encode()


def policies():
    yield from one_line_more_or_less(POLICY)
    # More services with one path than are compared in pairs.
    many = "scopecheck: 1\nservices:\n"
    for port in range(1, 71):
        many += "  s%d: { hosts: [h.example], ports: [%d], routes: [{ match: GET /a, public: true }] }\n" % (port, port)
    yield many.encode()
    yield many.replace("ports: [70]", "ports: [3]").encode()
    yield from one_line_more_or_less(HOLDERS)


def tables():
    for path, method in ((b"/", b"GET"), (b"/a/7", b"PUT"), (b"/u/b", b"GET"), (b"/v2/item3", b"HEAD"), (b"/a/b", b"DELETE"),
                         (b"/zzz", b"OPTIONS"), (b"/a/b/c", b"GET"), (b"/caf%C3%A9", b"SUBSCRIBE-LONG"), (b"/socket", b"GET"),
                         (b"a", b"GET"), (b"/" * 70, b"GET"), (b"/a/" + b"b/" * 70, b"GET")):
        for port in (443, 80, 9443, 1):
            yield b"\x02" + path + b"\n" + method + b"\n" + port.to_bytes(2, "big")
        for place in range(0, 1600, 67):
            yield b"\x02" + path + b"\n" + method + b"\n\x01\xbb" + place.to_bytes(2, "big") + b"\xff"
        for place in range(8, 32):
            yield b"\x02" + path + b"\n" + method + b"\n\x01\xbb" + place.to_bytes(2, "big") + b"\x01"
    yield b"\x03"
    for place in range(0, 900, 3):
        yield b"\x03" + place.to_bytes(2, "big") + b"\xff"
    # `GET /a` for one scope, as TableLayout.swift shows it.
    layout = (b"SCHT\1\0\0\0" + (146).to_bytes(4, "little") + b"\0\0\0\0" + b"".join(
        number.to_bytes(4, "little") for number in (32, 114, 2, 1)) + b"\0" * 8 + b"\0" * 7 + b"\x80\0\3" + b"\6\0\1\0\0\0\0\0"
        b"\0\0\3\0GETGET /a" + b"\1\0\0\0GET\0\0\0\0\0" + (32).to_bytes(4, "little") + b"\1\0\0\0" + b"\0" * 12
        + (71).to_bytes(4, "little") + b"\0\0\0\0" + b"\1\0a" + b"\1\0\0\0" + b"\0" * 16 + (0x5e02c8ca).to_bytes(4, "little")
        + (91).to_bytes(4, "little") + (111).to_bytes(4, "little"))
    assert len(layout) == 146
    yield b"\x00/a\nGET\n" + layout
    yield b"\x00/a\nGET\n" + layout[:-1]
    yield b"\x04/a\nGET\n" + layout
    yield b"\x01SCCA\1\0\0\0\x3c\0\0\0" + b"\0" * 48
    for start in range(24):
        yield b"\x05" + bytes((start * 37 + place * (11 + start)) & 255 for place in range(160))


POLICY_REQUEST = ["SC_METHOD=GET", "SC_TARGET=/orders/7", "SC_HOST=api.example.com", "SC_SCHEME=https", "SC_PORT=443", "SC_PATH=/orders/7"]


def requests():
    for target in ("/", "/v1/caf%c3%a9/%7Eann?x=1", "/a//b", "/a/../b", "/a/%2e%2E/b", "/a/.;x/b", "/a;b", "/a%2Fb", "/a%5cb", "/a%00",
                   "/a%25", "/%", "/%4", "/%zz", "/a/.", "/...", "/.a", "/a|b^c`{}\"<>", "/%C0%AF", "/\u00e9", "http://h/a", "https://h:1/a",
                   "http://h", "http:///a", "*", "a", "", "/a#b", "/a?b#c", "/a?\x7f", "/a b", "/%3B%2F", "/" + "a/" * 70, "/a/%3b/..%3bx",
                   "/%E2%82%AC/%F0%9F%98%80", "/%ED%A0%80", "/%40%3A%21%24", "/a?b?c", "HTTP://H/", "ftp://a/", "/%1f", "/%20", "/a/"):
        yield b"\x00" + target.encode()
    for host in ("a", "API.Example.COM.", "a:443", "a:0", "a:65536", "a:", "[::1]", "[::1]:80", "[::g]", "[", "[]", "a,b", "u@a", ".", "..",
                 "a..", "a" * 255, "a" * 256, "a" * 300, "_a-b.c", "a:04", "[::1]x", "[FE80::1]"):
        yield b"\x02" + host.encode()
    for source in (0x03, 0x0b, 0x13):
        for lines in (b"session\nBearer a.b.c\n\n", b"session\n\nsession=a.b.c; x=y\n", b"session\nBearer a\nsession=b\n", b"bearer\n\n\nbearer, a.b",
                      b"bearer\n\n\nbearer", b"bearer\n\n\na, bearer,\tb==, c", b"bearer\n\n\nbearer, a, bearer, b", b"session\n\nsession=a; session=b\n",
                      b"x\nBasic a\n", b"x\nBearer\n", b"x\nBearer  a\n", b"x\nbearer a=\n", b"x\n@\n", b"x\nBearer \n", b"x\nBearer a b\n", b"x\nBasic@\n",
                      b"session\n\nsession=\"a\"\n", b"session\n\nother=1\n", b"x\nBearer =\n", b"bearer\n\n\nother"):
            yield bytes([source]) + lines
    good = token().decode()

    def facts(*lines, kind=0x06):
        return bytes([kind]) + "\n".join(lines).encode()

    plain = POLICY_REQUEST + ["HTTP_AUTHORIZATION=Bearer " + good]
    yield facts(*plain)
    for place in range(len(plain)):
        yield facts(*(plain[:place] + plain[place + 1:]))
        yield facts(*(plain + [plain[place]]))
        yield facts(*(plain[:place] + [plain[place].split("=")[0] + "="] + plain[place + 1:]))

    def changed(line, *more, kind=0x06):
        name = line.split("=")[0]
        return facts(*([line] + [one for one in plain if not one.startswith(name + "=")] + list(more)), kind=kind)

    for line in ("SC_METHOD=PUT", "SC_METHOD=DELETE", "SC_TARGET=/nothing", "SC_HOST=x.apps.example.com", "SC_HOST=other", "SC_HOST=a,b",
                 "SC_PORT=x", "SC_SCHEME=ftp", "SC_PATH=/other", "SC_TARGET=//", "HTTP_AUTHORIZATION=Bearer a.b.c", "HTTP_AUTHORIZATION=Basic x",
                 "SC_TARGET=http://api.example.com/orders/7", "SC_TARGET=http://b/orders/7", "SC_TARGET=http://a,b/orders/7"):
        yield changed(line)
    rest = [line for line in plain if not line.startswith(("SC_TARGET", "SC_PATH", "SC_METHOD", "SC_HOST"))]
    for target, method, host, more in (
            ("/tenants/t1/x", "GET", "api.example.com", []), ("/tenants/t2/x", "GET", "api.example.com", []),
            ("/metrics", "GET", "api.example.com", []), ("/healthz", "GET", "api.example.com", []),
            ("/x", "OPTIONS", "api.example.com", ["HTTP_ORIGIN=https://a", "HTTP_ACCESS_CONTROL_REQUEST_METHOD=GET"]),
            ("/orders/7", "OPTIONS", "api.example.com", ["HTTP_ORIGIN=https://a", "HTTP_ACCESS_CONTROL_REQUEST_METHOD=GET"]),
            ("/orders/7", "OPTIONS", "api.example.com", []), ("/healthz", "HEAD", "[::1]", [])):
        yield facts("SC_TARGET=" + target, "SC_METHOD=" + method, "SC_HOST=" + host, *rest, *more)
    cookie = [line for line in rest if not line.startswith("HTTP_AUTH")] + ["SC_METHOD=GET", "SC_TARGET=/x"]
    yield facts("SC_HOST=cookies.example.com", "HTTP_COOKIE=a=b; session=" + good, *cookie)
    yield facts("SC_HOST=sockets.example.com", "HTTP_SEC_WEBSOCKET_PROTOCOL=bearer, " + good, *cookie)
    yield facts("HTTPS=on", "REQUEST_METHOD=GET", "REQUEST_URI=/orders/7", "SERVER_NAME=api.example.com", "SERVER_PORT=443",
                "REMOTE_ADDR=::1", "HTTP_AUTHORIZATION=Bearer " + good, kind=0x04)
    for scheme in (["HTTPS=on", "REQUEST_SCHEME=https"], ["REQUEST_SCHEME=https", "HTTPS=on"], ["REQUEST_SCHEME=http", "HTTPS=on"],
                   ["HTTPS=on", "REQUEST_SCHEME=http"], ["HTTPS=off", "REQUEST_SCHEME=http"], ["HTTPS=on", "HTTPS=on"], ["HTTPS="],
                   ["REQUEST_SCHEME=http", "REQUEST_SCHEME=http"], ["https=on"], ["HTTPSX=1"], ["REQUEST_X=1"], ["HTTP_PROXY=1"]):
        yield facts(*scheme, "REQUEST_METHOD=GET", "REQUEST_URI=/healthz", "SERVER_NAME=api.example.com", "SERVER_PORT=443", kind=0x04)
    headers = ["SC-Method=GET", "SC-Target=/orders/7", "SC-Host=api.example.com", "SC-Scheme=https", "SC-Port=443", "SC-Path=/orders/7",
               "SC-Client-Address=::1", "SC-Request-Id=1", "SC-Client-Certificate=", "authorization=Bearer " + good, "dpop=x", "origin=a",
               "cookie=a=b", "access-control-request-method=PUT", "sec-websocket-protocol=x"]
    for kind in (0x05, 0x0d):
        yield facts(*headers, kind=kind)
        for extra in ("SC_Method=x", "Sec_WebSocket_Protocol=x", "authorizatiom=x", "sc-c=1", "sc-p=1", "sc-x=1", "s=1", "sc-zzz=1", "DPOP=2"):
            yield facts(*headers, extra, kind=kind)
    for name in ("http_dpop=1", "SC_METHOD=1", "HTTP_AUTHORIZATION\u00e9=1", "SC_CLIENT_=1", "SC_CLIENT_ADDRESS=1", "SC_REQUEST_ID=1",
                 "SC_CLIENT_CERTIFICATE=1", "SC_CLIENT_CERT=1", "HTTP_=1", "HTTP_DPOP=1", "HTTP_COOKIE=1", "HTTP_ORIGIN=1", "SC_XXX=1", "SC_PXX=1"):
        yield facts(*plain, name)


def proof_claims():
    """Pairs of what is demanded (ProofDemand.init) and claims that meet it, then the nearest that do not."""
    ath = base64url(hashlib.sha256(b"an access token").digest()).decode()
    good = {"jti": "p1", "htm": "GET", "htu": "https://api.example.com/orders/7", "iat": 1700000000, "ath": ath}
    for demand, method, uris in (
            (0, "GET", ("https://api.example.com/orders/7", "HTTPS://API.Example.COM:443/orders/7?x=1#y", "https://api.example.com.:/order%73/%37",
                        "https://api.example.com/orders/7/", "https://api.example.com/orders/./7", "http://api.example.com:443/orders/7",
                        "https://a@api.example.com/orders/7", "https://api.example.com", "https://api.example.com/orders\\7",
                        "https://api.example.com/orders%2f7", "https://api.example.com/orders/%2e", "https://api.example.com:0443/orders/7",
                        "https://api%2eexample.com/orders/7", "https:/api.example.com/orders/7", "/orders/7", "https://api.example.com/orders/7%",
                        "https://api.example.com/orders/7 ", "https://api.example.com/orders/7\u00e9", "https://api.example.com:99999/orders/7")),
            (1, "POST", ("http://[::1]:8080/caf%C3%A9/a%2Fb", "http://[::1]:8080/caf%c3%a9/%61%2fb", "http://[::1]/caf%C3%A9/a%2Fb",
                         "http://[::1]:8080/caf\u00e9/a%2Fb", "http://[::1:8080/caf%C3%A9/a%2Fb", "http://[]:8080/caf%C3%A9/a/b")),
            (2, "DELETE", ("https://h", "https://h/", "https://h?", "https://h//", "https://H:443#")),
            (3, "get", ("https://a.b/~x/;y=1/a...", "https://a.b/%7Ex/;y=1/a...", "https://a.b/~x/%3By=1/a...", "https://a.b/~x/;y=1/%61%2e%2E."))):
        for uri in uris:
            yield demand, {**good, "htm": method, "htu": uri}
    for name in good:
        yield 0, {key: value for key, value in good.items() if key != name}
        yield 0, {**good, name: 5 if isinstance(good[name], str) else "5"}
        yield 0, {**good, name: ""}
    for changes in ({"htm": "get"}, {"htm": "G"}, {"jti": "j" * 128}, {"jti": "j" * 129}, {"jti": "\u0001\u00e9"}, {"iat": 1699999940}, {"iat": 1699999939},
                    {"iat": 1700000010}, {"iat": 1700000010.5}, {"iat": 1699999939.5}, {"iat": -1}, {"iat": 1e300}, {"ath": ath[:-1] + "A"},
                    {"ath": ath + "="}, {"exp": 1}, {"nbf": 1 << 62}, {"nonce": 1}):
        yield 0, {**good, **changes}
    for demand in (4, 8, 12):
        for nonce in ("n1", "n2", "n3", "", 1):
            yield demand, {**good, "nonce": nonce}
        yield demand, good


def proofs():
    edwards = {"kty": "OKP", "crv": "Ed25519", "x": PRIVATE["x"]}
    curve = {"kty": "EC", "crv": "P-256", "x": PRIVATE_EC["x"], "y": PRIVATE_EC["y"]}
    header = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": edwards}

    for number, (demand, claims) in enumerate(proof_claims()):
        yield bytes([1 | (number & 1) << 2 | (number & 2) << 2, demand]) + compact(claims)
    demand, claims = next(proof_claims())
    claims = compact(claims)
    whole = signed(compact(header), claims)
    yield bytes([0, 0]) + whole
    yield bytes([8, 0]) + whole
    yield bytes([4, 0]) + whole
    for text in (whole[:-1], whole + b".", whole.replace(b".", b"..", 1), b"a.b.c", b"", b"." * 5000, whole + b"A" * 4096):
        yield bytes([0, 0]) + text
    rsa = {"kty": "RSA", "n": MODULUS, "e": "AQAB"}
    for key in (edwards, curve, rsa):
        for changes in ({}, {"d": "AQ"}, {"k": "AQ"}, {"alg": "EdDSA"}, {"alg": "ES256"}, {"alg": 1}, {"use": "sig"}, {"use": "enc"},
                        {"key_ops": ["verify"]}, {"key_ops": ["sign"]}, {"kty": "oct"}, {"kty": "X"}, {"crv": "P-521"}, {"crv": 1}, {"x": "AA"},
                        {"x": ""}, {"y": "AA"}, {"n": "AA"}, {"e": "AAAAAAEAAQ"}, {"e": "AQ"}, {"e": "AQAAAAAB"}, {"kid": "a"}):
            yield bytes([10, 0]) + compact({**header, "jwk": {**key, **changes}}) + b"\0" + claims
        yield bytes([10, 0]) + compact({**header, "alg": "ES256", "jwk": key}) + b"\0" + claims
        yield bytes([14, 0]) + compact({**header, "alg": "ES256", "jwk": key}) + b"\0" + claims
        yield bytes([10, 0]) + compact({**header, "alg": "RS256", "jwk": key}) + b"\0" + claims
    for changes in ({"typ": "JWT"}, {"typ": 1}, {"typ": "application/DPoP+jwt"}, {"alg": "none"}, {"alg": "HS256"}, {"alg": 1}, {"alg": "Ed25519"},
                    {"crit": []}, {"jwk": 1}, {"jwk": []}, {"kid": "o1"}, {"cty": 1}):
        yield bytes([2, 0]) + compact({**header, **changes}) + b"\0" + claims
    for name in header:
        yield bytes([2, 0]) + compact({key: value for key, value in header.items() if key != name}) + b"\0" + claims
    for target, uri in (
            ("/orders/7", "/orders/7"), ("/caf%c3%a9", "/caf%C3%A9"), ("/a%2Fb", "/a%2fb"), ("/a%2Fb", "/a/b"), ("/a.../b", "/a.../b"), ("/", ""),
            ("/a/../b", "/b"), ("/b", "/a/../b"), ("/a", "/a?b"), ("/a?b", "/a#b/../"), ("/%7ea", "/~a"), ("/a'b", "/a%27b"), ("/a\"b", "/a%22b"),
            ("/a|b", "/a|b"), ("/a%7Cb", "/a|b"), ("/a^`{}", "/a%5E%60%7B%7D"), ("/%e2%82%ac/", "/\u20ac/")):
        yield bytes([3, 0]) + target.encode() + b"\nhttps://api.example.com" + uri.encode()


def claims_of_tokens():
    def status(index, uri, **more):
        return {"status": {"status_list": {"idx": index, "uri": uri}, **more}}

    text = "ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ"
    uri = "https://status.example.com/1"
    for claims in claims_sets():
        yield b"\0" + compact(claims)
    for changes in (
            {"cnf": {"jkt": text}}, {"cnf": {"x5t#S256": text}}, {"cnf": {"jkt": text, "x": 1}}, {"cnf": {"jkt": text[:-1]}}, {"cnf": {"jkt": 1}},
            {"cnf": {"jwk": {}}}, {"cnf": {"jk\u0074": text}}, {"cnf": None}, {"act": {"sub": "b"}}, {"act": {"sub": "b", "client_id": "c"}},
            {"act": {"sub": 1}}, {"act": "b"}, {"act": {"act": {"sub": "c"}}}, {"acr": "gold"}, {"acr": 1}, {"auth_time": 1699999000},
            {"auth_time": 1699999000.5}, {"auth_time": "1"}, {"auth_time": 0}, {"exp": 1700000590}, {"exp": 1700000591}, {"exp": 1700000590.5},
            {"iat": 1699999990.5, "exp": 1700000590}, {"tenant": ""}, {"team": "", "tenant": "\u0000"}, {"jti": ""}, {"client_id": ""},
            status(0, uri), status(1 << 31, uri), status((1 << 31) - 1, uri), status(-1, uri), status(1.5, uri), status("1", uri), status(1, 1),
            status(1, "https://status.example.com/"), status(1, "https://id.example.com/one"), status(1, "https://id.example.com/one/2"),
            status(1, "https://other.example.com/"), status(1, "https://status.example.com/" + "a" * 2100), status(1, uri, other=1),
            {"status": {}}, {"status": 1}, {"status": []}, {"status": {"status_list": {}}}, {"status": {"status_list": 1}}, {"status": {"other": {}}},
            {"status": {"status_list": {"idx": 1}}}, {"status": {"status_list": {"uri": uri}}}):
        yield b"\0" + compact({**CLAIMS, **changes})
        if "status" not in changes:
            yield b"\7" + compact({**CLAIMS, "iss": "https://compat.example.com", **changes})
    pay = {"type": "pay", "actions": ["start", "stop"], "locations": ["https://a"]}
    for details in ([pay], [{"type": "pay"}], [{"type": "read", "actions": ["see"], "locations": ["https://b"]}], [], [1], {}, [{}], [pay, {}], [pay, 1],
                    [{"type": 1}], [{"type": "pay", "actions": ["start"]}, {"type": "pay", "actions": ["stop"]}], [{"type": "read", "actions": ["see"]}],
                    [{"type": "pay", "actions": ["start", "stop", 1]}], [{"type": "pay", "actions": "start"}], [{"type": "pay", "locations": {}}],
                    [{"type": "read", "actions": ["s\u0065e"], "locations": ["https://c", "https://a"]}, {"type": "\u0070ay"}], [[pay]], "x"):
        yield b"\0" + compact({**CLAIMS, "authorization_details": details})
        yield b"\2" + compact({**CLAIMS, "authorization_details": details}).replace(b"pay", b"p\\u0061y")
    yield b"\0" + compact(CLAIMS)[:-1] + b',"a":1,"a":2}'
    for bound in range(8):
        yield bytes([bound]) + compact({**CLAIMS, "cnf": {"jkt": text}})
        yield bytes([bound]) + compact({**CLAIMS, "iss": "https://compat.example.com", "events": {}})


def deflate_streams():
    """ZLIB data of each kind of block and code, then the nearest that are none."""
    texts = [b"", b"a", b"\xb9\xa3", bytes(300), b"abc" * 100, bytes(range(256)) * 3, b"ab" * 20000, hashlib.sha512(b"x").digest() * 20,
             b"".join(hashlib.sha256(bytes([n])).digest() for n in range(60))]
    for text in texts:
        for level in (0, 9):
            yield zlib.compress(text, level)
    for strategy in (zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FILTERED):
        for window in (9, 15):
            made = zlib.compressobj(9, zlib.DEFLATED, window, 1, strategy)
            yield made.compress(texts[4] + texts[5]) + made.flush(zlib.Z_FULL_FLUSH) + made.compress(texts[1]) + made.flush()

    def stream(bits, text=b""):
        """Bits as they stand in the data, lowest first, behind a good header and before a good checksum."""
        bits += "0" * (-len(bits) % 8)
        return b"\x78\x9c" + bytes(int(bits[at:at + 8][::-1], 2) for at in range(0, len(bits), 8)) + zlib.adler32(text).to_bytes(4, "big")

    def number(value, count):
        return "".join(str(value >> bit & 1) for bit in range(count))

    fixed_end, fixed_a = "0000000", "10010001"
    yield stream("110" + fixed_end)
    yield stream("110" + fixed_a + fixed_end, b"a")
    yield stream("110" + fixed_a + "0000001" + "00000" + fixed_end, b"aaaa")
    yield stream("110" + fixed_a + "0000001" + "00001" + fixed_end, b"aaaa")
    yield stream("110" + fixed_a + "0000001" + "11110" + fixed_end, b"a")
    yield stream("110" + "11000110" + fixed_end)
    yield stream("110" + "11000101" + "00000" + fixed_end)
    yield stream("111" + fixed_end)
    yield stream("100" + "00000" + number(1, 16) + number(0xFFFE, 16) + number(0x61, 8), b"a")
    yield stream("100" + "00000" + number(1, 16) + number(0xFFFF, 16) + number(0x61, 8), b"a")
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)

    def dynamic(literals, distances, lengths, symbols):
        text = "101" + number(literals - 257, 5) + number(distances - 1, 5) + number(15, 4)
        return text + "".join(number(lengths.get(symbol, 0), 3) for symbol in order) + symbols

    # Codes of the lengths: 18 is 0, 1 is 10, 0 is 11; then 256 zeros, one length 1, and no or one distance.
    zeros = "0" + number(127, 7) + "0" + number(107, 7)
    lengths = {18: 1, 0: 2, 1: 2}
    for tail in ("11" + "10", "11" + "11", "10" + "10", "10" + "11"):
        yield stream(dynamic(257, 1, lengths, zeros + tail + "0"))
        yield stream(dynamic(257, 1, lengths, zeros + tail + "1"))
    yield stream(dynamic(257, 1, {}, "0" * 40))
    yield stream(dynamic(257, 1, {18: 1}, "0" * 40))
    yield stream(dynamic(257, 1, {18: 1, 16: 1}, "1" * 40))
    yield stream(dynamic(288, 1, lengths, zeros))
    yield stream(dynamic(257, 31, lengths, zeros))
    yield stream(dynamic(257, 1, {n: 1 for n in range(19)}, zeros))
    good = zlib.compress(b"abcabc")
    for data in (good[:-1], good + b"\0", good[:-1] + b"\0", b"\x79" + good[1:], b"\x88\x1c" + good[2:], b"\x78\xbb" + good[2:], b"\x08\x1d" + good[2:], b"",
                 b"\x78", b"\x78\x9c", good[:2] + b"\0" * 20):
        yield data
    for at in range(2, len(good)):
        yield good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]


def statuses():
    for number, data in enumerate(deflate_streams()):
        yield b"\0" + data
        if number % 4 == 0:
            yield b"\x08\x00\x05" + data
            yield bytes([3 | number % 64 >> 2 << 4 & 0x30]) + data
    for level in (0, 1, 6, 9):
        for text in (b"", b"a", b"abcabcabc", bytes(range(200))):
            yield bytes([2 | level << 4]) + text
    lst = base64url(zlib.compress(b"\xb9\xa3")).decode()
    good = {"sub": "https://status.example.com/1", "iat": 1699999990, "exp": 1700003600, "ttl": 600, "status_list": {"bits": 1, "lst": lst}}
    yield b"\7" + compact(good)
    for name in good:
        yield b"\7" + compact({key: value for key, value in good.items() if key != name})
        for value in (1, "1", [], -1.5):
            yield b"\7" + compact({**good, name: value})
    for changes in ({"iss": "https://id.example.com"}, {"iss": "https://other.example.com"}, {"exp": 1700000000}, {"exp": 1700000001}, {"exp": 1800000000},
                    {"iat": 1700000061}, {"nbf": 1700000001}, {"ttl": 90000}, {"ttl": 1}, {"sub": "https://status.example.com/2"}, {"aud": "x"}):
        yield b"\7" + compact({**good, **changes})
    for bits in (0, 1, 2, 3, 4, 8, 16, "1", 1.0, 8.0):
        yield b"\7" + compact({**good, "status_list": {"bits": bits, "lst": lst, "aggregation_uri": "https://a"}})
    for text in (lst + "=", lst[:-1], "", "!", 1):
        yield b"\7" + compact({**good, "status_list": {"bits": 2, "lst": text}})
    for header in ({"alg": "EdDSA", "typ": "statuslist+jwt", "kid": "o1"}, {"alg": "EdDSA", "typ": "application/statuslist+jwt"}, {"alg": "EdDSA", "typ": "at+jwt"}):
        token = signed(compact(header), compact(good))
        for text in (token, token[:-1], token + b".", b"a.b.c"):
            yield b"\4" + text


def introspection():
    opaque = {"active": True, "sub": "ann", "client_id": "web", "aud": "https://api.example.com", "iat": 1699999990, "exp": 1700000300,
              "scope": "orders:read", "token_type": "Bearer"}
    text = PRIVATE["x"]
    replies = [opaque, {"active": False}, {"active": True}, {}, {"active": "true"}, {"active": 1}, {"active": None}, {**opaque, "active": False}]
    replies += [{key: value for key, value in opaque.items() if key != name} for name in opaque]
    replies += [{**opaque, name: value} for name in opaque for value in (1, ["x"])]
    replies += [{**opaque, **changes} for changes in (
        {"iss": "https://id.example.com"}, {"iss": "https://compat.example.com"}, {"iss": 1}, {"token_type": "bearer"}, {"token_type": "DPoP"},
        {"token_type": "N_A"}, {"token_type": "DPoP", "cnf": {"jkt": text}}, {"token_type": "dpop", "cnf": {"x5t#S256": text}}, {"cnf": {"jkt": text}},
        {"cnf": {"x5t#S256": text}}, {"cnf": {}}, {"aud": ["x", "second"]}, {"aud": []}, {"exp": 1699999980}, {"exp": 1699999960}, {"exp": 1700000010},
        {"nbf": 1700000100}, {"nbf": 1700000010}, {"iat": 1700000100}, {"scope": "orders:read orders:write a"}, {"scope": ["orders:write", "b"]}, {"scope": "a  b"},
        {"scope": ""}, {"sub": "eve"}, {"client_id": "other"}, {"azp": "web", "scp": "orders:write"}, {"azp": "x"}, {"act": {"sub": "b"}}, {"act": 1},
        {"acr": "gold", "auth_time": 1699999000}, {"authorization_details": [{"type": "pay", "actions": ["start"]}]},
        {"authorization_details": [{"type": "pay", "actions": ["start", "stop"]}]}, {"authorization_details": []}, {"authorization_details": 1},
        {"status": {"status_list": {"idx": 1, "uri": "https://status.example.com/1"}}}, {"status": 1}, {"jti": "j"}, {"tenant": "t2"},
        {"exp": 1700000290, "iat": 1699999000}, {"status": {"status_list": {"idx": 1, "uri": "https://other.example.com/1"}}})]
    for number, reply in enumerate(replies):
        yield bytes([0 if number & 1 else 2]) + compact(reply)
        if number < 12 or number % 4 == 0:
            yield bytes([16 | number & 7]) + compact(reply)
    envelope = {"iss": "https://id.example.com", "aud": "me", "iat": 1700000000, "token_introspection": opaque}
    yield b"\x08" + compact(envelope)
    for name in envelope:
        yield b"\x08" + compact({key: value for key, value in envelope.items() if key != name})
        for value in (1, "x", []):
            yield b"\x0c" + compact({**envelope, name: value})
    for changes in ({"iat": 1699999699}, {"iat": 1699999700}, {"iat": 1700000061}, {"exp": 1}, {"exp": 1700000001}, {"nbf": 1700000001}, {"active": True},
                    {"aud": ["a", "me"]}, {"iss": "https://compat.example.com"}, {"token_introspection": {"active": False}}):
        yield b"\x08" + compact({**envelope, **changes})
    header = {"alg": "EdDSA", "typ": "token-introspection+jwt", "kid": "o1"}
    for changes in ({}, {"typ": "JWT"}, {"crit": ["a"]}, {"cty": "JWT"}, {"kid": "x"}, {"alg": "ES256"}):
        yield b"\x18" + signed(compact({**header, **changes}), compact(envelope))
    yield b"\0" + compact(opaque)[:-1] + b',"active":false}'
    yield b"\x10" + compact(opaque) + b',"iss":"https://id.example.com"'


def bundle(*files, environment=None):
    text = "scopecheck bundle 1\n" + (f"environment {environment}\n" if environment else "")
    for name, content in sorted(files):
        text += f"file {len(content.encode())} {name}\n{content}\n"
    return text.encode()


def bundles():
    head = "scopecheck: 1\n"
    common = head + ("issuers:\n  - { issuer: https://id.example.com, audience: a, keys: { discovery: true } }\n"
                     "scopes:\n  read: {}\n  write: { implies: read }\n")
    service = head + "services:\n  a:\n    hosts: [a.example.com]\n    routes:\n      - { match: GET /a, scopes: [read, write] }\n"
    values = head + ("environments:\n  prod:\n    values: { host: b.example.com, 'a.b': '$' }\n"
                     "    clients: { c: { certificate: { dns: c.example.com }, scopes: [read] } }\n"
                     "  staging: { values: { host: c.example.com, a.b: x } }\n  test:\n")
    used = head + "services:\n  b: { hosts: [\"${host}\"], routes: [{ match: \"GET /${a.b}/$${x}\", public: true }] }\n"
    tests = head + "tests:\n  - { request: GET https://a.example.com/a, scopes: [read], expect: allow }\n"
    good = [("common.yaml", common), ("team/a.yaml", service), ("tests.yaml", tests)]
    yield service.encode()
    yield used.encode()
    yield bundle(*good)
    for environment in (None, "prod", "staging", "test", "other", "no such"):
        yield bundle(*good, ("values.yaml", values), ("used.yaml", used), environment=environment)
    yield bundle(*good, ("values.yaml", values.replace("  test:\n", "")), ("used.yaml", used), environment="prod")
    yield bundle(*good, ("z.yaml", service))
    yield bundle(*good, ("z.yaml", service.replace("  a:", "  b:")))
    for text in ("", "a", "[1]", head, head + "scopes: [", head + "scopes: 1\nservices: []\n", "scopecheck: 2", head + "x: \t1", "\ufeff" + head,
                 head + "scopes: { read: }\n", head + "---\n", head + "issuers: *a\n", head + "scopes: { \"a${host}\": {} }",
                 head + "environments: { prod: { values: { host: '${host}' } } }", head + "environments: 1", head + "scopes: { \"${\": }"):
        yield bundle(*good, ("b.yaml", text))
        yield bundle(("b.yaml", text), environment="prod")
    whole = bundle(*good)
    for place in range(0, len(whole), 37):
        yield whole[:place]
    yield whole + b"\n"
    yield whole.replace(b"common", b"../mon")
    yield whole.replace(b"file ", b"file 0")
    yield whole.replace(b"tests.yaml", b"common.yaml")


def client_record(identifier=b"web", name=b"frontend", scopes=(0, 2), grants=((1_800_000_000, (1,), b"INC-42"),), rule=0, until=-2**63,
                  issuer=0):
    """Magic, version, length and check are the target's to write."""
    text = struct.pack("<IHBBIHHHHIqQ", 0, 1, 0, rule, 0, issuer, len(identifier), len(name), len(grants), len(scopes), until, 0)
    text += struct.pack(f"<{len(scopes)}H", *scopes) + identifier + name
    for end, granted, reason in grants:
        text += struct.pack("<qIH", end, len(granted), len(reason)) + struct.pack(f"<{len(granted)}H", *granted) + reason
    return text


def clients():
    records = [client_record(), client_record(grants=()), client_record(scopes=(), name=b"", rule=2), client_record(rule=3),
               client_record(grants=((0, (), b""),) * 64), client_record(grants=((0, (), b""),) * 65), client_record(until=7, issuer=65535),
               client_record(b"a" * 255), client_record(b"", b"")]
    for record in records:
        yield b"\x00web\n" + record
        for content in (record, record[:-1], record + b"\0", record[:50]):
            yield b"\x01" + content
    whole = records[0]
    for place in (6, 14, 16, 18, 20, 21, 22, len(whole) - 10):
        yield b"\x01" + whole[:place] + b"\xff" + whole[place + 1:]
    yield b"\x02"
    for place in range(0, 90, 9):
        yield b"\x02" + place.to_bytes(2, "big") + b"\xff"

    def scope(implies=0, until=0, replaced=0):
        return bytes([implies, until, replaced])

    def client(identifier, scopes=1, rule=0, grants=(), shape=0, observed=None):
        text = bytes([shape]) + identifier + b"\0" + bytes([scopes, rule, len(grants) | (0x80 if observed else 0)])
        return text + b"".join(bytes(grant) for grant in grants) + (bytes([observed]) if observed else b"")
    three = b"\2" + scope() + scope(1, 90, 1) + scope(3, 200, 2)
    for members in ([client(b"a")], [client(b"a"), client(b"b", 7, 1)], [client(b"a")] * 2, [client(b"a"), client(b"a", shape=1)],
                    [client(b"a", shape=3)], [client(b"")], [client(b"a", 6, grants=((1, 50), (4, 150)), observed=70)],
                    [client(b"a", 0x80, shape=0x80)], [client(b"a", 7, shape=0x40)], [client(b"ab"), client(b"a"), client(b"b", shape=1)],
                    [client(b"a", grants=((1, 9),) * 65)], [client(b"\xc3\xa9"), client(b"e\xcc\x81")]):
        for now in (50, 255):
            yield b"\x03" + three + bytes([len(members)]) + b"".join(members) + bytes([now])
    for start in range(24):
        yield b"\x03" + bytes((start * 37 + place * (11 + start)) & 255 for place in range(160))


VERSION = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
TRUSTED = [("a", "5_FioQvsVZr-oZXk3OhLaVaNXSywlj60RsBoXisX8vA"), ("b", "rcFAEfgtHFbZVqpPnXPYhYNhpgYEhSXg0Ixjjcdd2Mc"),
           ("c", "iC0Oo7KGTnpYfz5pjOpEWZmDEuZV4F-l6LURnYuqyM0")]


def statements():
    apply = f"scopecheck policy statement 1\naction apply\nversion {VERSION}\nserial 1790000000000\n"
    rollback = apply.replace("apply", "rollback") + f"from {VERSION[::-1]}\nfrom-serial 1\n"
    publish = (f"scopecheck publication statement 1\naction publish\nservice orders\nenvironment prod\nsha256 {VERSION}\nserial 7\n"
               "ttl 43200\n")
    withdraw = "scopecheck publication statement 1\naction withdraw\nservice orders\nserial 7\n"
    for text in (apply, rollback, publish, publish.replace("environment prod\n", ""), withdraw, rollback.replace("from-serial 1\n", "")):
        lines = text.splitlines(keepends=True)
        yield text
        yield text[:-1]
        yield text + "\n"
        for place in range(len(lines)):
            yield "".join(lines[:place] + lines[place + 1:])
            yield "".join(lines[:place] + [lines[place]] + lines[place:])
    for old, new in (("1790000000000", "0"), ("1790000000000", "01"), ("1790000000000", "+1"), ("1790000000000", str(2**63)),
                     ("1790000000000", str(2**63 - 1)), (VERSION, VERSION.upper()), ("\n", "\r\n"), ("action", "action "), ("apply", "stage")):
        yield apply.replace(old, new)
    for old, new in (("43200", "0"), ("43200", "-1"), ("43200", "31536001"), ("orders", ".."), ("orders", "a/b"), ("orders", ""), ("7", "18446744073709551616"),
                     ("7", "18446744073709551615"), ("prod", ""), ("publish", "withdraw")):
        yield publish.replace(old, new)


def signatures():
    for text in statements():
        yield b"\x00" + text.encode()
    apply = next(statements())
    good = base64url(bytes(64)).decode()

    def signed_file(*entries, statement=apply):
        return b"\x01" + compact(dict(statement=statement, signatures=[dict(kid=kid, signature=value) for kid, value in entries]))
    yield signed_file()
    yield signed_file(("a", good))
    yield signed_file(("x", good), ("y", good))
    yield signed_file(("x", good), ("x", good))
    yield signed_file(("", good))
    yield signed_file(("x" * 129, good))
    yield signed_file(("x", good[:-1]))
    yield signed_file(("x", good + "="))
    yield signed_file(*((str(number), good) for number in range(33)))
    yield signed_file(("x", good), statement="")
    yield b"\x01" + compact(dict(statement=apply, signatures=[], more=1))
    yield b"\x01" + compact(dict(statement=apply, signatures=[dict(kid="x", signature=good, more=1)]))
    yield b"\x01[]"
    keys = [dict(kty="OKP", crv="Ed25519", kid=kid, x=x) for kid, x in TRUSTED]
    for required in (0, 1, 2, 3, 4):
        yield b"\x02" + bytes([required]) + compact(dict(keys=keys))
    for change in (dict(kid="b"), dict(kid=""), dict(d="x"), dict(x="AAAA"), dict(x=TRUSTED[1][1]), dict(kty="EC"), dict(crv="X25519"), dict(kid=1)):
        yield b"\x02\1" + compact(dict(keys=[{**keys[0], **change}, *keys[1:]]))
    yield b"\x02\1" + compact(dict(keys=[]))
    yield b"\x02\1" + compact(dict(keys=keys * 30))
    # shape, who signs, how many it takes less one, version, then what the shape asks for.
    for shape in (0, 1, 2, 3, 4, 8, 10):
        for signed_by in (0, 1, 3, 7, 8, 9, 15, 0x19):
            for required in (1,) if shape else (0, 1, 2):
                yield bytes([3, shape, signed_by, required, 5, 6, 0, 9, 0, 9, 1, 2, 3])
    for prepared in ([0, 7, 4, 7], [1, 7, 4, 7], [2, 7, 4, 7, 8], [4, 7, 4, 7], [0, 7, 0, 7], [0, 7, 3, 7], [0, 7, 4, 0]):
        yield bytes([3, 0, 7, 1, 5, 0, 9, *prepared])


PUBLISHED = """scopecheck: 1
scopes:
  orders:write: { implies: orders:read, replaces: orders:change, until: 2027-01-01T00:00:00Z }
services:
  orders:
    hosts: [orders.example.com]
    issuers: [https://id.example.com]
    routes:
      - { match: "GET /v1/orders/{order}", scopes: orders:read }
      - { match: PUT /v1/orders, scopes: orders:write }
tests:
  - { request: PUT https://orders.example.com/v1/orders, scopes: [orders:write], expect: allow }
"""


def publications():
    shop = PUBLISHED.replace("orders.example.com", "shop.example.com").replace("  orders:\n", "  shop:\n").replace("orders:write", "shop:write") \
        .replace("orders:change", "shop:change")
    files = [PUBLISHED, shop, shop.replace("GET /v1/orders/{order}\", scopes: orders:read", "GET /v1/free\", public: true")]
    for old, new in (("  orders:\n", "  pay:\n"), ("orders.example.com", "shared.example.com"), ("orders.example.com", "pay.example.com"),
                     ("orders.example.com", "a.wild.example.com"), ("hosts: [orders.example.com]", 'hosts: ["*.wild.example.com"]'), ("id.example", "id2.example"),
                     ("scopes: orders:read", "scopes: pay:all"), ("scopes: orders:read", "public: true"), ("implies: orders:read", 'implies: "*"'),
                     ("replaces: orders:change", "replaces: pay:all"), ("tests:", "clients: {}\ntests:"), ("    hosts", "    mode: observe\n    hosts"),
                     ("    hosts", "    ends: 2030-01-01T00:00:00Z\n    hosts"), ("/v1/orders/{order}", "/v1/pay/{order}"), ("/v1/orders/{order}", "/**"),
                     ("https://orders.example.com/v1", "https://pay.example.com/v1"), ("expect: allow", "expect: no_token"), ("scopecheck: 1\n", ""),
                     ("    hosts", "    resource: https://orders.example.com/v1\n    hosts"), ("orders:write: {", "orders:read: {"), ("  - {", "  - &a {")):
        files.append(PUBLISHED.replace(old, new))
        files.append(shop.replace(old, new))
    for number, file in enumerate(files):
        for choice in (0x01, 0x11, 0x33, 0x09) if number < 3 else (0x01,):
            yield bytes([choice, 1 if "  shop:\n" in file else 0, 2]) + file.encode()
    for choice in (0x15, 0x05, 0x37, 0x03, 0x21):
        for service in range(4):
            yield bytes([choice, service, 0])
    for service in range(4):
        for ttl in range(6):
            yield bytes([0x11, service, ttl]) + (shop if service == 1 else PUBLISHED).encode()
    for text in statements():
        if "publication" not in text:
            continue
        file = b"foo"
        sent = dict(statement=text.replace(VERSION, hashlib.sha256(file).hexdigest()), kid="o1", signature=base64url(bytes(64)).decode())
        if "action publish" in text:
            sent["file"] = base64url(file).decode()
        yield b"\x00" + compact(sent)
    for change in (dict(file="Zm9"), dict(file="Zm8"), dict(kid=""), dict(kid="a b"), dict(signature="="), dict(statement="")):
        yield b"\x00" + compact({**sent, "file": "", **change})
    yield b"\x00" + compact({**sent, "more": ""})


TARGETS = {"fastcgi": fastcgi, "http": http, "spop": spop, "tokens": tokens, "policy": policies, "tables": tables, "request": requests,
           "proofs": proofs, "claims": claims_of_tokens, "introspection": introspection,
           "statuses": statuses, "bundle": bundles, "clients": clients, "signatures": signatures, "publications": publications}

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for target in sys.argv[2:] or TARGETS:
        folder = os.path.join(sys.argv[1], target)
        os.makedirs(folder, exist_ok=True)
        for number, content in enumerate(TARGETS[target]()):
            if len(content) > BYTES_MAX:
                continue
            with open(os.path.join(folder, f"seed-{number:03}"), "wb") as file:
                file.write(content)
