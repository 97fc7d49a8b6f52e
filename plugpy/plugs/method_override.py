"""MethodOverride: lets HTML forms send PUT, PATCH and DELETE (Plug.MethodOverride)."""

from typing import ClassVar, Final

from plugpy.conn import Conn

OVERRIDES: Final = frozenset({"PUT", "PATCH", "DELETE"})
"""The methods that a form may ask for."""


class MethodOverride:
    """Turns POST into the method that the body parameter `_method` names: PUT, PATCH or DELETE.

    Only the body counts, never the query: a link must not become a DELETE. Another name, and a
    body that no parser has read, leave the request as it is. Place it after Parsers and before the
    router.

    Options: none.

    >>> from plugpy.testing import conn
    >>> sent = conn("POST", "/notes/1")
    >>> sent.body_params = {"_method": "delete"}
    >>> MethodOverride()(sent).method
    'DELETE'
    """

    __slots__ = ()
    runs_after = ("Parsers",)
    needs: ClassVar = {"Parsers": "the method is a field of the body, which nobody reads"}

    def __call__(self, conn: Conn) -> Conn:
        if conn.method == "POST" and conn.body_params_fetched:
            wanted = conn.body_params.get("_method")
            if isinstance(wanted, str) and (method := wanted.upper()) in OVERRIDES:
                conn.method = method
        return conn
