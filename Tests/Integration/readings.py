"""How applications read the target that a proxy hands them. Where two of these differ on a target that was allowed,
somebody is served what was not authorised."""

import posixpath
import re
import urllib.parse


def _no_query(target):
    return target.split("?")[0]


def _decode(text):
    return urllib.parse.unquote(text, errors="surrogateescape")


def _resolve(path):
    # posixpath keeps a leading `//`; a server does not.
    resolved = "/" + posixpath.normpath(path).lstrip("/")
    return resolved + ("/" if path.endswith("/") and resolved != "/" else "")


def plain(target):
    """Decodes, nothing else: Go's ServeMux with UseEncodedPath off, WSGI."""
    return _decode(_no_query(target))


def resolving(target):
    """Decodes, then resolves dots and empty segments: static file servers."""
    return _resolve(_decode(_no_query(target)))


def resolving_first(target):
    """Resolves before it decodes (RFC 3986 §6.2.2.3 on the raw path)."""
    return _decode(_resolve(_no_query(target)))


def servlet(target):
    """Cuts `;parameters` off each segment, then decodes and resolves."""
    return _resolve(_decode("/".join(segment.split(";")[0] for segment in _no_query(target).split("/"))))


def twice(target):
    """Decodes two times."""
    return _resolve(_decode(_decode(_no_query(target))))


def backslashes(target):
    """Takes `\\` for `/`: IIS, WHATWG URLs."""
    return _resolve(_decode(_no_query(target)).replace("\\", "/"))


def fragment(target):
    """Cuts at `#` before anything else: WHATWG URLs."""
    return _resolve(_decode(_no_query(target.split("#")[0])))


def terminated(target):
    """Ends at a NUL: C strings."""
    return _decode(_no_query(target)).split("\0")[0]


def lines(target):
    """Ends at a line end: regular expressions with `$`."""
    return re.split(r"[\r\n]", _decode(_no_query(target)))[0]


def authority(target):
    """Takes `//name/` for an authority: URL parsers that are handed a target."""
    text = _no_query(target)
    return _decode("/" + text[2:].partition("/")[2]) if text.startswith("//") else _decode(text)


ALL = [plain, resolving, resolving_first, servlet, twice, backslashes, fragment, terminated, lines, authority]


def matches(template, path):
    """Whether a policy's path template, base path included, covers a decoded path."""
    wanted, have = template.split("/")[1:], path.split("/")[1:]
    for index, segment in enumerate(wanted):
        if segment == "**":
            return len(have) > index
        if index >= len(have) or not (have[index] != "" if segment.startswith("{") else have[index] == segment):
            return False
    return len(have) == len(wanted)
