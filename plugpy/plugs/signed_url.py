"""SignedURL: only requests whose URL was signed here."""

from collections.abc import Sequence

from plugpy.conn import Conn
from plugpy.conn.crypto import checked_secret
from plugpy.signed_urls import verify_url


class SignedURL:
    """Refuses requests whose URL was not made by `plugpy.signed_urls.sign_path`.

    Options:
      salt              what the URLs are for, as it was given to `sign_path`; ""
      secret_key_base   64 characters or more; None: `conn.secret_key_base`, the server's
      rotating          secrets of before, whose URLs are still taken; ()

    Raises InvalidSignedURLError (403) for a URL that was changed, in whatever letter, or is sent
    with another method; ExpiredSignedURLError (410) for one that is too old. Where it is a plug of
    one route: `get("/files/:id", plugs=[SignedURL(salt="files")])`. Whoever has such a URL can use
    it, as often as he likes: let it end soon. Place it after MethodOverride and Head. Raises
    ValueError for a secret that is too short.

    >>> from plugpy.signed_urls import sign_path
    >>> from plugpy.testing import conn
    >>> secret = "of 64 characters or more, made at random".ljust(64, ".")
    >>> plug = SignedURL(salt="files", secret_key_base=secret)
    >>> plug(conn("GET", sign_path(secret, "/files/7", salt="files"))).halted
    False
    >>> plug(conn("GET", "/files/7"))
    Traceback (most recent call last):
      ...
    plugpy.signed_urls.InvalidSignedURLError: The URL was not signed here, not for this method, or \
has been changed.
    """

    __slots__ = ("_rotating", "_salt", "_secret")
    runs_after = ("Head", "MethodOverride")

    def __init__(
        self,
        *,
        salt: str = "",
        secret_key_base: str | bytes | None = None,
        rotating: Sequence[str | bytes] = (),
    ) -> None:
        if isinstance(rotating, str | bytes):
            raise ValueError("rotating takes a list of secrets, not one")
        for secret in ([] if secret_key_base is None else [secret_key_base], rotating):
            for one in secret:
                checked_secret(one)
        self._salt = salt
        self._secret = secret_key_base
        self._rotating = tuple(rotating)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # the secrets must not be seen

    def __call__(self, conn: Conn) -> Conn:
        return verify_url(
            conn, salt=self._salt, secret_key_base=self._secret, rotating=self._rotating
        )
