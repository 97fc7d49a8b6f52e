"""Head: answers HEAD requests by the routes of GET (Plug.Head)."""

from plugpy.conn import Conn


class Head:
    """Turns the method HEAD into GET for the plugs that follow; the server sends no body.

    Routers answer HEAD by their GET routes already; this plug is for pipelines without one, and
    for plugs that look at the method themselves. Place it before the router. A route for HEAD
    behind it never matches.

    Options: none.

    >>> from plugpy.testing import conn
    >>> Head()(conn("HEAD", "/")).method
    'GET'
    """

    __slots__ = ()

    def __call__(self, conn: Conn) -> Conn:
        if conn.method == "HEAD":
            conn.method = "GET"
        return conn
