"""CookieStore: the session is the cookie (Plug.Session.COOKIE)."""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

from plugpy.conn import Conn, UnfetchedError
from plugpy.conn.crypto import (
    TokenError,
    checked_secret,
    decode_value,
    decrypt,
    encode_value,
    encrypt,
    sign,
    verify,
)
from plugpy.pipeline.compiler import log_level
from plugpy.plugs.session.store import Data

logger = logging.getLogger("plugpy.plugs.session")

SID: Final = "cookie"

NOT_ACCEPTED: Final = "a session cookie was not accepted: changed, too old, or of another key"


class Serializer(Protocol):
    """How a session becomes bytes, and bytes a session: two methods.

    Never one that can make any object of the bytes, as pickle does: who knows the secret would run
    code on the server.
    """

    def encode(self, data: Data) -> bytes:
        """The bytes of a session. Raises what the plug shall see for one that can't be kept."""
        ...

    def decode(self, data: bytes) -> Data:
        """The session of `encode`. Raises ValueError for what is none; it then counts as empty."""
        ...


class JsonSerializer:
    """The Serializer that is used where none is given."""

    __slots__ = ()

    def encode(self, data: Data) -> bytes:
        """JSON. Raises TypeError for what it can't hold."""
        return encode_value(data)

    def decode(self, data: bytes) -> Data:
        """The object. Raises InvalidTokenError for what is no JSON."""
        value: Data = decode_value(data)
        return value


class CookieStore:
    """Keeps the whole session in the cookie: no server keeps anything, 4,096 bytes at most.

    Options:
      signing_salt      sets the keys of this cookie apart from others; any text, no secret
      encryption_salt   None: the user can read the session, and not change it; a text: not even
                        read it
      secret_key_base   64 characters or more; None: `conn.secret_key_base`, the server's
      rotating          stores of before, whose cookies are still taken: old salts, an old secret
      serializer        object with encode and decode, see Serializer; None: JSON. Not pickle
      log               level of the line about a cookie that is not accepted, "debug"; None: no
                        line

    Keys are derived by PBKDF2-HMAC-SHA256 with 1,000 rounds, and kept. What a user has once been
    given stays valid until it is too old: a session can't be taken back from the server's side. A
    cookie that was changed or is too old counts as none. Raises ValueError for a secret that is too
    short, TypeError for a serializer that is none.
    """

    __slots__ = (
        "_encryption_salt",
        "_level",
        "_rotating",
        "_secret",
        "_serializer",
        "_signing_salt",
        "max_age",
    )

    def __init__(
        self,
        *,
        signing_salt: str,
        encryption_salt: str | None = None,
        secret_key_base: str | None = None,
        rotating: Sequence["CookieStore"] = (),
        serializer: Serializer | None = None,
        log: str | None = "debug",
    ) -> None:
        if not signing_salt or encryption_salt == "":
            raise ValueError("salts are texts that are not empty")
        if secret_key_base is not None:
            checked_secret(secret_key_base)
        self._secret = secret_key_base
        # One text for both: keys for signing and for encryption are derived apart.
        self._signing_salt = f"plugpy.session:{signing_salt}"
        self._encryption_salt = (
            None if encryption_salt is None else f"plugpy.session:{signing_salt}:{encryption_salt}"
        )
        if serializer is not None and (
            isinstance(serializer, type)
            or not all(hasattr(serializer, name) for name in ("encode", "decode"))
        ):
            raise TypeError(
                f"serializer is an object with the methods encode and decode, got {serializer!r}"
            )
        self._rotating = tuple(rotating)
        self._serializer: Serializer = serializer or JsonSerializer()
        self._level = log_level(log)
        self.max_age: float = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # the secret must not be seen

    def get(self, conn: Conn, cookie: str) -> tuple[str | None, Data]:
        """The session in the cookie; (None, {}) where it can't be trusted."""
        for store in (self, *self._rotating):
            data = store._open(conn, cookie, self.max_age)
            if data is not None:
                return SID, data
        if self._level is not None:
            logger.log(self._level, NOT_ACCEPTED)
        return None, {}

    def put(self, conn: Conn, sid: str | None, data: Data) -> str:
        """The cookie that holds the session. Raises TypeError for what JSON can't hold, and what
        the serializer raises."""
        secret = self._secret_of(conn)
        value = self._serializer.encode(data)
        if self._encryption_salt is not None:
            return encrypt(secret, self._encryption_salt, value, max_age=self.max_age)
        return sign(secret, self._signing_salt, value, max_age=self.max_age)

    def delete(self, conn: Conn, sid: str) -> None:
        """Nothing: the browser deletes it."""

    def _open(self, conn: Conn, cookie: str, max_age: float) -> Data | None:
        secret = self._secret_of(conn)
        try:
            if self._encryption_salt is not None:
                opened = decrypt(secret, self._encryption_salt, cookie, max_age=max_age)
            else:
                opened = verify(secret, self._signing_salt, cookie, max_age=max_age)
        except TokenError:
            return None
        try:
            data: object = self._serializer.decode(opened)
        except (TokenError, ValueError):
            return None
        return data if isinstance(data, dict) else None

    def _secret_of(self, conn: Conn) -> str | bytes:
        secret = self._secret or conn.secret_key_base
        if secret is None:
            raise UnfetchedError(
                "CookieStore needs a secret: set PLUGPY_SECRET_KEY_BASE for the server, or give "
                "the store secret_key_base"
            )
        return secret
