"""A response that is made anew, since what was to be sent went wrong."""

from plugpy.conn.fields import ConnFields
from plugpy.conn.state import UNSET

OF_THE_BODY = frozenset(
    {
        "accept-ranges",
        "allow",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "etag",
        "last-modified",
        "location",
        "transfer-encoding",
    }
)
"""Headers that speak of the body, which is lost."""


def start_over(conn: ConnFields) -> None:
    """Forget the body of a response that has not left. Headers that plugs have put stay (CORS,
    request id), but those of the body go."""
    conn.resp_headers = [pair for pair in conn.resp_headers if pair[0] not in OF_THE_BODY]
    conn.state = UNSET
