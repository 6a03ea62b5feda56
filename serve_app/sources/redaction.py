"""URLs fit to be shown: what gives access is replaced, what identifies the video stays, on one line."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit, urlunsplit

HIDDEN = "***"
DATA_SHOWN_CHARS = 60
SHOWN_CHARS = 8192  # a request's URL may have millions, and would stand in each message about it
# Signed URLs of S3, Google, Azure and the like, and the usual names of secrets.
SECRET_NAMES = frozenset(
    {
        "access_token",
        "accesskeyid",
        "api_key",
        "apikey",
        "auth",
        "awsaccesskeyid",
        "code",
        "credential",
        "expires",
        "googleaccessid",
        "hdnea",
        "hdnts",
        "jwt",
        "key",
        "key-pair-id",
        "passwd",
        "password",
        "policy",
        "pwd",
        "secret",
        "sas",
        "se",
        "session",
        "sig",
        "sign",
        "signature",
        "sp",
        "sr",
        "st",
        "sv",
        "token",
    }
)
SECRET_PREFIXES = ("x-amz-", "x-goog-", "x-oss-", "x-ms-")
SECRET_PARTS = ("token", "secret", "passw", "signature", "credential", "apikey", "api-key", "api_key")
# Another URL within the path or the query may bring its own user and password.
USER = re.compile("@|%40", re.IGNORECASE)
INNER_USER = re.compile(r"(?<=//)[^/?#&;@]+(?=@)")


def redact_url(url: str) -> str:
    """The URL without user, password, secret query values and fragment; never raises.

    A ``data:`` URI is cut to its head and its length, any other of more than 8192 characters to its scheme
    and its length. Control characters and line ends are percent-encoded.
    """
    shown = _redacted(url)
    if shown.isprintable():
        return shown
    return "".join(one if one.isprintable() else quote(one, errors="replace") for one in shown)


def _redacted(url: str) -> str:
    if url[:5].lower() == "data:":
        head, _, body = url.partition(",")
        return f"{head[:DATA_SHOWN_CHARS]},…({len(body)} characters)"
    if len(url) > SHOWN_CHARS:
        # Not its first characters: what gives access is known by what comes after it.
        return f"{_vague(url)}…({len(url)} characters)"
    try:
        parts = urlsplit(url)
        bad_port = _has_bad_port(parts)
    except ValueError:
        return _vague(url)  # an unbalanced bracket
    # Where the host cannot be told, a user and a password may stand anywhere.
    if (not parts.netloc and parts.scheme != "file" and "@" in parts.path) or (bad_port and USER.search(url)):
        return _vague(url)
    host = parts.netloc.rpartition("@")
    netloc = f"{HIDDEN}@{host[2]}" if host[1] else parts.netloc
    if bad_port:
        name, _, port = parts.netloc.rpartition(":")
        netloc = f"{name}:{port if port.isdecimal() else HIDDEN}"
    path = INNER_USER.sub(HIDDEN, parts.path)
    return urlunsplit((parts.scheme, netloc, path, _query(parts.query), ""))


def _has_bad_port(parts: SplitResult) -> bool:
    try:
        _ = parts.port
    except ValueError:
        return True
    return False


def _vague(url: str) -> str:
    scheme = url.partition(":")[0]
    return f"{scheme[:20] if scheme.isalnum() else ''}:{HIDDEN}"


def _query(query: str) -> str:
    if not query:
        return ""
    shown = []
    # Some servers take a semicolon for an ampersand.
    for pair in re.split("([&;])", query):
        name, equals, _ = pair.partition("=")
        shown.append(f"{name}={HIDDEN}" if equals and _is_secret(name) else INNER_USER.sub(HIDDEN, pair))
    return "".join(shown)


def _is_secret(name: str) -> bool:
    # The name may be percent-encoded, the value is what must not be seen.
    plain = "".join(key for key, _ in parse_qsl(f"{name}=x", keep_blank_values=True)).lower()
    return (
        plain in SECRET_NAMES
        or plain.startswith(SECRET_PREFIXES)
        or any(part in plain for part in SECRET_PARTS)
    )
