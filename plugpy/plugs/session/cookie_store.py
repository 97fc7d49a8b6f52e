"""CookieStore: the session is the cookie (Plug.Session.COOKIE)."""

import logging
from collections.abc import Sequence
from typing import Final

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
from plugpy.plugs.session.store import Data

logger = logging.getLogger("plugpy.plugs.session")

SID: Final = "cookie"


class CookieStore:
    """Keeps the whole session in the cookie: no server keeps anything, 4,096 bytes at most.

    Options:
      signing_salt      sets the keys of this cookie apart from others; any text, no secret
      encryption_salt   None: the user can read the session, and not change it; a text: not even
                        read it
      secret_key_base   64 characters or more; None: `conn.secret_key_base`, the server's
      rotating          stores of before, whose cookies are still taken: old salts, an old secret

    What a user has once been given stays valid until it is too old: a session can't be taken back
    from the server's side. A cookie that was changed or is too old counts as none. Raises
    ValueError for a secret that is too short.
    """

    __slots__ = ("_encryption_salt", "_rotating", "_secret", "_signing_salt", "max_age")

    def __init__(
        self,
        *,
        signing_salt: str,
        encryption_salt: str | None = None,
        secret_key_base: str | None = None,
        rotating: Sequence["CookieStore"] = (),
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
        self._rotating = tuple(rotating)
        self.max_age: float = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # the secret must not be seen

    def get(self, conn: Conn, cookie: str) -> tuple[str | None, Data]:
        """The session in the cookie; (None, {}) where it can't be trusted."""
        for store in (self, *self._rotating):
            data = store._open(conn, cookie, self.max_age)
            if data is not None:
                return SID, data
        logger.debug("a session cookie was not accepted: changed, too old, or of another key")
        return None, {}

    def put(self, conn: Conn, sid: str | None, data: Data) -> str:
        """The cookie that holds the session. Raises TypeError for what JSON can't hold."""
        secret = self._secret_of(conn)
        value = encode_value(data)
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
            data = decode_value(opened)
        except TokenError:
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
