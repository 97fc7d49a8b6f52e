"""SecureHeaders: response headers that browsers protect their users by."""

from collections.abc import Mapping
from typing import Final

from plugpy.conn import Conn
from plugpy.conn.response import validate_header

DEFAULTS: Final[dict[str, str]] = {
    "content-security-policy": "base-uri 'self'; frame-ancestors 'self';",
    "referrer-policy": "strict-origin-when-cross-origin",
    "x-content-type-options": "nosniff",
    "x-permitted-cross-domain-policies": "none",
}
"""The headers of Phoenix.Controller.put_secure_browser_headers/2, and what they are there for:
no other site may frame a page or change what its relative links mean; other sites see the origin
of a link and not its path; a response is what its content-type says; Flash and PDF readers get no
data across sites."""


class SecureHeaders:
    """Puts headers on each response that tell browsers to be strict.

    Options:
      headers   headers to add, or in place of the default of that name; None leaves one out
      keep      False; True: a header that a plug before has put is kept

    The defaults are content-security-policy (no foreign frames), referrer-policy,
    x-content-type-options and x-permitted-cross-domain-policies. A content-security-policy that
    names where scripts may come from is worth the work: set it here. Place it early, so that error
    answers carry the headers too. Raises InvalidHeaderError for a header that can't be sent.

    >>> from plugpy.testing import conn
    >>> SecureHeaders()(conn("GET", "/")).get_resp_header("x-content-type-options")
    ['nosniff']
    """

    __slots__ = ("_headers", "_keep")

    def __init__(
        self, *, headers: Mapping[str, str | None] | None = None, keep: bool = False
    ) -> None:
        merged = {**DEFAULTS, **(headers or {})}
        self._headers = [(name, value) for name, value in merged.items() if value is not None]
        for name, value in self._headers:
            validate_header(name, value)
        self._keep = keep

    def __call__(self, conn: Conn) -> Conn:
        for name, value in self._headers:
            if not self._keep or not conn.get_resp_header(name):
                conn.put_resp_header(name, value)
        return conn
