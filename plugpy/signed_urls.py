"""Signed URLs: links that work without a login, for what they were made for and until they end.

    sign_path(secret, "/files/7?as=pdf", max_age=600)
    "/files/7?as=pdf&_expires=1767225600&_signature=..."

The signature is an HMAC-SHA256 over method, path and query, letter by letter: nothing is decoded,
sorted or made alike before, so there are no two ways to write a signed URL. The key is derived from
secret_key_base for this purpose and salt.
"""

import base64
import hashlib
import hmac
import math
import re
import time
from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import unquote

from plugpy.conn import Conn, ConnError, UnfetchedError
from plugpy.conn.crypto import MAX_AGE, KeyGenerator, secure_compare

EXPIRES: Final = "_expires"
"""Parameter with the second, since 1970, from which the URL is too old; or "never"."""

SIGNATURE: Final = "_signature"
"""Parameter with the signature; it is the last one."""

Secret = str | bytes

# RFC 3986 sections 3.3 and 3.4. Browsers send other characters encoded, so they can't be signed
# as they are.
_PATH: Final = re.compile(r"/(?!/)(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")


class InvalidSignedURLError(ConnError):
    """The URL was not signed here, not for this method, or has been changed."""

    status = 403


class ExpiredSignedURLError(ConnError):
    """The URL is genuine, but too old."""

    status = 410


def sign_path(
    secret_key_base: Secret,
    path: str,
    *,
    method: str = "GET",
    max_age: float | Literal["infinity"] = MAX_AGE,
    salt: str = "",
    signed_at: float | None = None,
) -> str:
    """`path` with an end and a signature in its query.

    path: from the root of the site, encoded as it is sent, with or without a query;
    `router.path_for` gives such. method: the one it is good for; GET is good for HEAD too.
    max_age: seconds, default a day, or "infinity". salt: what the URLs are for; one signed for
    another salt is not accepted. signed_at: seconds since 1970, default now.

    Raises ValueError for a secret of less than 64 bytes, for a path that a browser would send
    otherwise (spaces, "..", a fragment), for one that is signed already, for a max_age of 0 or
    less.
    """
    target, _, query = path.partition("?")
    _check(path, target, query)
    if max_age == "infinity":
        end = "never"
    else:
        if not 0 < max_age < math.inf:
            raise ValueError(f"max_age is a number of seconds or 'infinity', got {max_age!r}")
        end = str(math.ceil((time.time() if signed_at is None else signed_at) + max_age))
    signed = f"{query}&" if query else ""
    signed += f"{EXPIRES}={end}&"
    signature = _signature(secret_key_base, salt, method, target, signed)
    return f"{target}?{signed}{SIGNATURE}={signature}"


def verify_path(
    secret_key_base: Secret | Sequence[Secret],
    path: str,
    *,
    method: str = "GET",
    salt: str = "",
) -> None:
    """Check a path with its query, as the client has sent it.

    secret_key_base: the secret, or a list of it and those before it: each is tried. method, salt:
    as in `sign_path`. Raises InvalidSignedURLError, ExpiredSignedURLError, and ValueError for a
    secret of less than 64 bytes.
    """
    secrets = (
        [secret_key_base] if isinstance(secret_key_base, str | bytes) else list(secret_key_base)
    )
    target, _, query = path.partition("?")
    signed, _, signature = query.rpartition(f"{SIGNATURE}=")
    # All of them, whichever fits: the time tells nothing.
    found = [
        secure_compare(_signature(secret, salt, method, target, signed), signature)
        for secret in secrets
    ]
    if not any(found):
        raise InvalidSignedURLError()
    # What is signed was made above: its last parameter is the end.
    end = signed.removesuffix("&").rpartition(f"{EXPIRES}=")[2]
    if end != "never" and time.time() >= int(end):
        raise ExpiredSignedURLError()


def verify_url(
    conn: Conn,
    *,
    salt: str = "",
    secret_key_base: Secret | None = None,
    rotating: Sequence[Secret] = (),
) -> Conn:
    """Check the URL of a request; the conn is given back.

    secret_key_base: default `conn.secret_key_base`, the server's. rotating: secrets of before.
    Raises as `verify_path`, and UnfetchedError without a secret.
    """
    secret = conn.secret_key_base if secret_key_base is None else secret_key_base
    if secret is None:
        raise UnfetchedError(
            "signed URLs need a secret: set PLUGPY_SECRET_KEY_BASE for the server, or give "
            "secret_key_base"
        )
    path = f"{conn.request_path}?{conn.query_string}"
    verify_path([secret, *rotating], path, method=conn.method, salt=salt)
    return conn


def _signature(secret: Secret, salt: str, method: str, path: str, query: str) -> str:
    key = KeyGenerator.generate(secret, f"plugpy.signed_url:{salt}")
    # No method and no path has a line break, so that no two requests make one message.
    method = "GET" if method == "HEAD" else method
    message = "\n".join([method, path, query]).encode("utf-8", "surrogatepass")
    digest = hmac.digest(key, message, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _check(whole: str, path: str, query: str) -> None:
    if not (_PATH.fullmatch(path) and _QUERY.fullmatch(query)):
        raise ValueError(
            f"a path to sign starts with one '/' and is percent-encoded, got {whole!r}; "
            "router.path_for(...) makes such paths"
        )
    if any(unquote(segment) in (".", "..") for segment in path.split("/")):
        raise ValueError(f"browsers resolve '.' and '..' before they ask, got {whole!r}")
    names = [unquote(pair.partition("=")[0]) for pair in query.split("&")]
    if EXPIRES in names or SIGNATURE in names:
        raise ValueError(f"{EXPIRES} and {SIGNATURE} are added by signing, got {whole!r}")
