"""Signed and encrypted tokens, keys derived from one secret (Plug.Crypto).

Signing is itsdangerous (HMAC-SHA256), encryption is Fernet of the package cryptography (AES-128 in
CBC mode with HMAC-SHA256, a random 128-bit IV, so no limit on the number of tokens under one key).
Both come with the extra `plugpy[crypto]` and are imported on first use.

A token carries when it was made and how long it is valid, inside what is signed or encrypted.
`salt` names what a token is for: a token made with one salt is invalid with every other.

secret_key_base is never used as a key, never shown in an error.
"""

import base64
import binascii
import hashlib
import hmac
import json
import struct
import time
from functools import lru_cache
from typing import Any, Literal

MIN_SECRET_LENGTH = 64
"""Bytes that secret_key_base must have at least (Plug)."""

KEY_ITERATIONS = 1000
"""Rounds of PBKDF2. The secret is random, not a password: they separate keys, not slow attackers
(Plug.Crypto.KeyGenerator has the same default)."""

KEY_LENGTH = 32
"""Bytes of a derived key."""

MAX_AGE = 86_400
"""Seconds that a token is valid when nothing else is said: a day (Plug.Crypto)."""

MaxAge = float | Literal["infinity"]

_HEADER = struct.Struct(">Qd")  # milliseconds since 1970, seconds of validity


class TokenError(Exception):
    """A token that is not accepted."""


class InvalidTokenError(TokenError):
    """The token was changed, made with another secret or salt, or is no token at all."""


class ExpiredTokenError(TokenError):
    """The token is genuine, but older than its max_age."""


class MissingExtraError(ImportError):
    """A package of `plugpy[crypto]` is not installed."""


class KeyGenerator:
    """Derives keys from secret_key_base by PBKDF2-HMAC-SHA256 (Plug.Crypto.KeyGenerator)."""

    @staticmethod
    def generate(
        secret_key_base: str | bytes,
        salt: str | bytes,
        *,
        iterations: int = KEY_ITERATIONS,
        length: int = KEY_LENGTH,
    ) -> bytes:
        """The key of `length` bytes for `salt`. The same input gives the same key; the last 256
        keys are cached.

        Raises ValueError for a secret_key_base shorter than 64 bytes.
        """
        return _derive(checked_secret(secret_key_base), _to_bytes(salt), iterations, length)


def checked_secret(secret_key_base: str | bytes | None) -> bytes:
    """`secret_key_base` as bytes. Raises ValueError when it is missing or shorter than 64 bytes."""
    secret = _to_bytes(secret_key_base) if secret_key_base is not None else b""
    if len(secret) < MIN_SECRET_LENGTH:
        state = f"has {len(secret)} bytes" if secret else "is not set"
        raise ValueError(
            f"secret_key_base {state}, it needs at least {MIN_SECRET_LENGTH} random ones; "
            'make one with: python -c "import secrets; print(secrets.token_urlsafe(64))"'
        )
    return secret


def sign(
    secret_key_base: str | bytes,
    salt: str,
    data: bytes,
    *,
    max_age: MaxAge | None = None,
    signed_at: float | None = None,
) -> str:
    """A token that holds `data` readable for everybody and unchangeable: URL-safe text.

    max_age: seconds of validity, "infinity", None for 86,400; 0 or less is invalid at once.
    signed_at: seconds since 1970, default now. Raises ValueError for a short secret,
    MissingExtraError without itsdangerous. Source: Plug.Crypto.sign/4.
    """
    payload = base64.urlsafe_b64encode(_pack(data, max_age, signed_at)).rstrip(b"=")
    token: bytes = _signer(secret_key_base, salt).sign(payload)
    return token.decode("ascii")


def verify(
    secret_key_base: str | bytes, salt: str, token: str, *, max_age: MaxAge | None = None
) -> bytes:
    """The data of a token made by `sign`.

    max_age: seconds; the token must be younger than this and than its own max_age.
    Raises InvalidTokenError, ExpiredTokenError; ValueError and MissingExtraError as `sign` does.
    Source: Plug.Crypto.verify/4.
    """
    signer = _signer(secret_key_base, salt)
    from itsdangerous import BadSignature

    try:
        payload = signer.unsign(token.encode("ascii"))
        opened = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    except (BadSignature, UnicodeEncodeError, binascii.Error):
        raise InvalidTokenError("the token is not valid") from None
    return _unpack(opened, max_age)


def encrypt(
    secret_key_base: str | bytes,
    salt: str,
    data: bytes,
    *,
    max_age: MaxAge | None = None,
    signed_at: float | None = None,
) -> str:
    """A token that hides `data` and can't be changed: URL-safe text. Arguments as for `sign`.

    Raises ValueError for a short secret, MissingExtraError without cryptography.
    Source: Plug.Crypto.encrypt/4.
    """
    token: bytes = _fernet(secret_key_base, salt).encrypt(_pack(data, max_age, signed_at))
    return token.decode("ascii").rstrip("=")


def decrypt(
    secret_key_base: str | bytes, salt: str, token: str, *, max_age: MaxAge | None = None
) -> bytes:
    """The data of a token made by `encrypt`. Arguments and errors as for `verify`.

    Source: Plug.Crypto.decrypt/4.
    """
    fernet = _fernet(secret_key_base, salt)
    from cryptography.fernet import InvalidToken

    try:
        opened: bytes = fernet.decrypt(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (InvalidToken, UnicodeEncodeError):
        raise InvalidTokenError("the token is not valid") from None
    return _unpack(opened, max_age)


def encode_value(value: Any) -> bytes:
    """A cookie or session value as JSON, to be signed or encrypted.

    JSON turns tuples into lists and keys into text. It is never pickle: opening a pickle runs code.
    Raises TypeError for what JSON can't hold, NaN included.
    """
    try:
        return json.dumps(
            value, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        ).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"the value can't be written as JSON: {error}") from None


def decode_value(data: bytes) -> Any:
    """The value of `encode_value`. Raises InvalidTokenError where the bytes are not JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidTokenError("the token does not hold JSON") from None


def secure_compare(left: str | bytes, right: str | bytes) -> bool:
    """Whether both are equal, in a time that does not tell where they differ.

    Source: Plug.Crypto.secure_compare/2.
    """
    return hmac.compare_digest(_to_bytes(left), _to_bytes(right))


def _to_bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)


@lru_cache(maxsize=256)
def _derive(secret: bytes, salt: bytes, iterations: int, length: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", secret, salt, iterations, length)


def _signer(secret_key_base: str | bytes, salt: str) -> Any:
    try:
        from itsdangerous import Signer
    except ImportError as error:
        raise MissingExtraError(_missing("signed", "itsdangerous")) from error
    # The key is derived for this salt already; "sign" keeps it apart from the encryption key.
    key = KeyGenerator.generate(secret_key_base, f"sign {salt}")
    return Signer(key, key_derivation="none", digest_method=hashlib.sha256)


def _fernet(secret_key_base: str | bytes, salt: str) -> Any:
    try:
        from cryptography.fernet import Fernet
    except ImportError as error:
        raise MissingExtraError(_missing("encrypted", "cryptography")) from error
    key = KeyGenerator.generate(secret_key_base, f"encrypt {salt}")
    return Fernet(base64.urlsafe_b64encode(key))


def _missing(kind: str, package: str) -> str:
    return f'{kind} tokens need the package {package}: pip install "plugpy[crypto]"'


def _pack(data: bytes, max_age: MaxAge | None, signed_at: float | None) -> bytes:
    moment = time.time() if signed_at is None else signed_at
    seconds = MAX_AGE if max_age is None else max_age
    return _HEADER.pack(int(moment * 1000), float(seconds)) + data


def _unpack(opened: bytes, max_age: MaxAge | None) -> bytes:
    if len(opened) < _HEADER.size:
        raise InvalidTokenError("the token is not valid")
    made, allowed = _HEADER.unpack_from(opened)
    if max_age is not None:
        allowed = min(allowed, float(max_age))
    if not (allowed > 0 and time.time() * 1000 <= made + allowed * 1000):
        raise ExpiredTokenError("the token is older than it may be")
    return opened[_HEADER.size :]
