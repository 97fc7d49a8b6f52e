"""Cookies whose value is signed or encrypted with keys derived from `secret_key_base`.

Tokens are bound to the name of their cookie: one cookie's token is worth nothing as another's.
"""

from collections.abc import Iterable
from typing import Any

from plugpy.conn.crypto import (
    TokenError,
    decode_value,
    decrypt,
    encode_value,
    encrypt,
    sign,
    verify,
)
from plugpy.conn.errors import UnfetchedError
from plugpy.conn.fields import ConnFields


def seal(conn: ConnFields, key: str, value: Any, *, sign: bool, encrypt: bool, max_age: Any) -> str:
    """The token of a cookie. Raises ValueError for both ways at once, or without a good secret."""
    if sign and encrypt:
        raise ValueError(f"the cookie {key!r} can be signed or encrypted, not both")
    protect = _encrypt if encrypt else _sign
    return protect(_secret(conn), _salt(key), encode_value(value), max_age=max_age)


_sign, _encrypt = sign, encrypt


def verify_cookies(conn: ConnFields, signed: Iterable[str], encrypted: Iterable[str]) -> None:
    """Put the values of the named request cookies into `conn.cookies`; drop those that fail."""
    for names, unprotect in ((signed, verify), (encrypted, decrypt)):
        for key in [names] if isinstance(names, str) else names:
            token = conn.req_cookies.get(key)
            if token is None:
                continue
            try:
                data = unprotect(_secret(conn), _salt(key), token)
                conn.cookies[key] = decode_value(data)
            except TokenError:
                conn.cookies.pop(key, None)


def _salt(key: str) -> str:
    return f"plugpy.cookie:{key}"


def _secret(conn: ConnFields) -> str | bytes:
    secret = conn.secret_key_base
    if secret is None:
        raise UnfetchedError(
            "signed and encrypted cookies need conn.secret_key_base: set PLUGPY_SECRET_KEY_BASE "
            "for the server, or assign it in a plug"
        )
    return secret
