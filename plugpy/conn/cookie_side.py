"""The cookies of a Conn: reading, setting, deleting; signed and encrypted ones."""

from typing import Any, Self

from plugpy.conn.errors import AlreadySentError, CookieOverflowError
from plugpy.conn.fields import ConnFields
from plugpy.conn.state import UNSENT_STATES

SIGNED_MAX_AGE = 86_400
"""Seconds that a signed or encrypted cookie is valid when no max_age says otherwise (Plug)."""

COOKIE_LIMIT = 4096
"""Bytes of one Set-Cookie value; browsers drop larger ones (RFC 6265 section 6.1)."""

COOKIE_OPTIONS = frozenset(
    {
        "domain",
        "encrypt",
        "extra",
        "http_only",
        "max_age",
        "path",
        "same_site",
        "secure",
        "sign",
    }
)


class CookieSide(ConnFields):
    """Methods on cookies."""

    __slots__ = ()

    def get_cookies(self) -> dict[str, Any]:
        """Request cookies merged with those set in this response (Plug.Conn.get_cookies/1)."""
        return self.cookies

    def get_resp_cookies(self) -> dict[str, dict[str, Any]]:
        """Name -> options of the cookies that this response sets (Plug.Conn.get_resp_cookies/1)."""
        return self._resp_cookies

    @property
    def resp_cookies(self) -> dict[str, dict[str, Any]]:
        """Name -> options of the cookies that this response sets."""
        return self._resp_cookies

    def put_resp_cookie(self, key: str, value: Any, **options: Any) -> Self:
        """Set a cookie; it leaves with the response, after the before_send callbacks.

        options: domain (str), path (str, "/"), max_age (seconds; also sends expires), http_only
        (True), secure (True when the request came by https), same_site ("Lax", "Strict", "None";
        unset), extra (str, appended as it is), sign (False), encrypt (False). A signed or encrypted
        value may be anything that JSON holds, and carries its own end: max_age, else 86,400 s.

        Raises TypeError for an unknown option, ValueError for sign with encrypt or a value that
        is not a str, InvalidHeaderError for text that would break out of the header,
        UnfetchedError without secret_key_base, CookieOverflowError above 4,096 bytes,
        AlreadySentError.
        Source: Plug.Conn.put_resp_cookie/4.
        """
        if self.state not in UNSENT_STATES:
            raise AlreadySentError()
        _check_options(options)
        sign, encrypt = options.pop("sign", False), options.pop("encrypt", False)
        text = value
        if sign or encrypt:
            from plugpy.conn.signed_cookies import seal

            max_age = options.get("max_age", SIGNED_MAX_AGE)
            text = seal(self, key, value, sign=sign, encrypt=encrypt, max_age=max_age)
        elif not isinstance(value, str):
            raise ValueError(
                f"the value of the cookie {key!r} is a {type(value).__name__}: it must be a str, "
                "or be given with sign=True or encrypt=True"
            )
        settings = {"value": text, "path": "/", "http_only": True, **options}
        if "secure" not in settings:
            settings["secure"] = self.scheme == "https"
        self._set_cookie(key, settings)
        self.cookies[key] = value
        return self

    def delete_resp_cookie(self, key: str, **options: Any) -> Self:
        """Tell the client to forget a cookie: give the path and domain that it was set with.

        A max_age is ignored. Raises TypeError for an unknown option, AlreadySentError.
        Source: Plug.Conn.delete_resp_cookie/3.
        """
        if self.state not in UNSENT_STATES:
            raise AlreadySentError()
        _check_options(options)
        settings: dict[str, Any] = {"path": "/", "http_only": True, **options}
        if "secure" not in settings:
            settings["secure"] = self.scheme == "https"
        settings |= {"value": "", "max_age": 0}
        settings.pop("sign", None)
        settings.pop("encrypt", None)
        self._set_cookie(key, settings)
        self.cookies.pop(key, None)
        return self

    def _set_cookie(self, key: str, settings: dict[str, Any]) -> None:
        from plugpy.conn.cookies import encode

        # Now, where the mistake is, and not when the response is sent.
        size = len(encode(key, settings).encode("latin-1"))
        if size > COOKIE_LIMIT:
            raise CookieOverflowError(
                f"the cookie {key!r} is {size} bytes with its attributes; "
                f"browsers keep {COOKIE_LIMIT}"
            )
        self._resp_cookies[key] = settings
        if self._before_send is None:
            # Cookies are merged after the callbacks: an empty list keeps that step alive.
            self._before_send = []


def _check_options(options: dict[str, Any]) -> None:
    if unknown := options.keys() - COOKIE_OPTIONS:
        raise TypeError(
            f"a response cookie has no option {', '.join(sorted(unknown))}; "
            f"it takes {', '.join(sorted(COOKIE_OPTIONS))}"
        )
