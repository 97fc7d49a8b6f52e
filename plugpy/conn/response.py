"""The response side of a Conn: status, headers, and the ways to send a body."""

import os
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Self

from plugpy.conn import status as status_table
from plugpy.conn.cookies import encode as encode_cookie
from plugpy.conn.errors import (
    AlreadySentError,
    ClientDisconnected,
    InvalidHeaderError,
)
from plugpy.conn.event_stream import HEARTBEAT, EventStream
from plugpy.conn.fields import DEFAULT_RESP_HEADERS, ConnFields
from plugpy.conn.json import dumps
from plugpy.conn.request import Headers, check_header_name, header_pairs, put_pair
from plugpy.conn.state import (
    CHUNKED,
    FILE,
    SENT,
    SET,
    SET_CHUNKED,
    SET_FILE,
    SET_UPGRADE,
    UNSENT_STATES,
    UNSET,
    UPGRADED,
    State,
)
from plugpy.conn.trailers import check_trailer_name

StatusLike = int | str | HTTPStatus
Body = str | bytes | bytearray | memoryview | Iterable[str | bytes]

# RFC 9110 section 5.5: CR, LF and NUL are dangerous, other controls invalid; a tab is allowed.
_UNSAFE_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TO_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*:", re.IGNORECASE)

TEXT = "text/plain; charset=utf-8"


class ResponseSide(ConnFields):
    """Methods that build and send the response."""

    __slots__ = ()

    @property
    def sent(self) -> bool:
        """Whether the response has begun to leave."""
        return self.state not in UNSENT_STATES

    def put_status(self, status: StatusLike | None) -> Self:
        """Set the status: an int 100..999, an HTTPStatus, a name such as "not_found", or None.

        Raises AlreadySentError, ValueError for an unknown name. Source: Plug.Conn.put_status/2.
        """
        self._check_unsent()
        self.status = None if status is None else status_table.code(status)
        return self

    # headers ---

    def get_resp_header(self, key: str) -> list[str]:
        """The values of the response header `key`, lower case (Plug.Conn.get_resp_header/2)."""
        headers = self._resp_headers
        if headers is None:
            headers = DEFAULT_RESP_HEADERS
        return [value for name, value in headers if name == key]

    def put_resp_header(self, key: str, value: str) -> Self:
        """Set a response header: the first one of that name is replaced.

        key: lower case. Raises InvalidHeaderError for a key that is not a lower-case token or a
        value with control characters; AlreadySentError. Source: Plug.Conn.put_resp_header/3.
        """
        if self.state is not UNSET:
            self._check_unsent()
        about_framing = _names.get(key)
        if about_framing is None:
            about_framing = _learn(key)
        # PERF: two passes in C over the value; what they don't like is looked at again.
        if not value.isascii() or not value.isprintable():
            _check_value(key, value)
        headers = self._resp_headers
        if headers is None:
            headers = DEFAULT_RESP_HEADERS
        if type(headers) is tuple and not about_framing:
            for name, _ in headers:
                if name == key:
                    break
            else:
                self._resp_headers = (*headers, (key, value))
                return self
        put_pair(self.resp_headers, key, value)
        return self

    def prepend_resp_headers(self, headers: Headers) -> Self:
        """Put headers before the others, keeping duplicates (Plug.Conn.prepend_resp_headers/2)."""
        self._check_unsent()
        pairs = header_pairs(headers)
        for key, value in pairs:
            validate_header(key, value)
        self.resp_headers[:0] = pairs
        return self

    def merge_resp_headers(self, headers: Headers) -> Self:
        """`put_resp_header` for each pair (Plug.Conn.merge_resp_headers/2)."""
        for key, value in header_pairs(headers):
            self.put_resp_header(key, value)
        return self

    def delete_resp_header(self, key: str) -> Self:
        """Remove a response header (Plug.Conn.delete_resp_header/2)."""
        self._check_unsent()
        self.resp_headers = [pair for pair in self.resp_headers if pair[0] != key]
        return self

    def update_resp_header(self, key: str, initial: str, update: Callable[[str], str]) -> Self:
        """Replace the first value by `update(value)`, or put `initial` when there is none.

        Source: Plug.Conn.update_resp_header/4.
        """
        values = self.get_resp_header(key)
        return self.put_resp_header(key, update(values[0]) if values else initial)

    def put_resp_content_type(self, content_type: str, charset: str | None = "utf-8") -> Self:
        """Set content-type with a charset; None leaves the charset out.

        Source: Plug.Conn.put_resp_content_type/3.
        """
        value = content_type if charset is None else f"{content_type}; charset={charset}"
        return self.put_resp_header("content-type", value)

    # sending ---

    def resp(self, status: StatusLike, body: Body) -> Self:
        """Set status and body without sending: the server sends a Conn that was set.

        May be called again, the last one wins. A str body is sent as UTF-8 and, where no
        content-type was put, as text/plain: without one browsers guess, and guess HTML.
        Raises AlreadySentError, ValueError when body is None. Source: Plug.Conn.resp/3.
        """
        if self.state not in UNSENT_STATES:
            self._check_unsent()
        if body is None:
            raise ValueError("the response body is None; an empty body is an empty str")
        self.status = status_table.code(status)
        self.resp_body = body
        self.state = SET
        return self

    def send_resp(self, status: StatusLike | None = None, body: Body | None = None) -> Self:
        """Send the response: the one that was set, or `status` and `body`.

        Does not halt: plugs that follow run, and fail if they send again. Raises
        AlreadySentError, ValueError where no response was set.
        Source: Plug.Conn.send_resp/1 and /3.
        """
        if status is None:
            if self.state is UNSET:
                raise ValueError(
                    "cannot send a response that was not set: call conn.resp(status, body) before"
                )
            if self.state is not SET:
                self._check_unsent()
            status = self.status
            body = self.resp_body
        elif self.state is not UNSET and self.state not in UNSENT_STATES:
            self._check_unsent()
        if body is None:
            raise ValueError("the response body is None; an empty body is an empty str")
        if type(status) is int and 100 <= status <= 999:
            self.status = status
        else:
            self.status = status_table.code(status if status is not None else 0)
        if self._before_send is not None:
            self.resp_body = body
            self.state = SET
            self._run_before_send(SET)
            body = self.resp_body
        if type(body) is str:
            self.adapter.send_resp(self, body.encode(), "text")
        else:
            self.adapter.send_resp(self, body if type(body) is bytes else to_bytes(body))
        self.resp_body = body
        self.state = SENT
        return self

    def send_file(
        self,
        status: StatusLike,
        path: str | os.PathLike[str],
        offset: int = 0,
        length: int | None = None,
    ) -> Self:
        """Send a file, or `length` bytes of it from `offset`, with sendfile(2) where possible.

        Returns at once, the connection finishes the sending. Nothing is put for the content-type.
        Raises ValueError for a NUL byte in the path or a range outside the file,
        OSError when it can't be read, AlreadySentError. Source: Plug.Conn.send_file/5.
        """
        self._check_unsent()
        name = os.fspath(path)
        if "\0" in name:
            raise ValueError("cannot send a file whose path has a NUL byte")
        size = os.stat(name).st_size
        if offset < 0 or offset > size or (length is not None and length < 0):
            raise ValueError(f"offset {offset} and length {length} do not fit {size} bytes")
        length = size - offset if length is None else min(length, size - offset)
        self.status = status_table.code(status)
        if self._before_send is not None:
            self.state = SET_FILE
            self._run_before_send(SET_FILE)
        self.adapter.send_file(self, name, offset, length)
        self.state = FILE
        return self

    def send_chunked(self, status: StatusLike) -> Self:
        """Send status and headers; the body follows by `await conn.chunk(data)`.

        With a content-length header put before, the body is sent plain instead of chunked.
        Raises AlreadySentError. Source: Plug.Conn.send_chunked/2.
        """
        self._check_unsent()
        self.status = status_table.code(status)
        if self._before_send is not None:
            self.state = SET_CHUNKED
            self._run_before_send(SET_CHUNKED)
        self.adapter.send_chunked(self)
        self.state = CHUNKED
        return self

    async def chunk(self, data: Body) -> Self:
        """Send one piece of a chunked response; waits while the peer is slow.

        An empty piece is nothing (it would end the body). Raises ClientDisconnected when the peer
        is gone, which ends the request without noise unless caught; ValueError before
        `send_chunked`. Source: Plug.Conn.chunk/2.
        """
        if self.state is not CHUNKED:
            raise ValueError(
                "chunk was called before send_chunked: call conn.send_chunked(status) first"
            )
        piece = to_bytes(data)
        if piece:
            await self.adapter.chunk(self, piece)
        return self

    def event_stream(
        self,
        *,
        status: StatusLike = 200,
        heartbeat: float | None = HEARTBEAT,
        retry: int | None = None,
    ) -> EventStream:
        """Server-sent events, as an async context manager: a plugpy.conn.event_stream.EventStream.

            async with conn.event_stream() as events:
                async for note in notes.since(events.last_event_id):
                    await events.send(note.text, id=note.id)
            return conn

        status, content-type and headers against caches and buffers leave when it is entered.
        heartbeat: seconds of silence until a comment is sent, 15; None: never. retry: milliseconds
        that the client waits before it comes back, None: its own default (a few seconds).

        The client leaves: the handler is cancelled, as in any stream. The server stops: the block
        is left at its `await`, what follows it runs, and the answer ends well, so that the client
        comes back to the next server. Raises ValueError for wrong options, AlreadySentError.
        """
        return EventStream(self, status=status, heartbeat=heartbeat, retry=retry)

    def put_resp_trailer(self, key: str, value: str) -> Self:
        """Set a trailer, a field that follows the body of a chunked response.

        May be called until the response ends. Where the response does not go in chunks (HTTP/1.0,
        a content-length, no body) trailers are dropped. key: lower case. Raises InvalidHeaderError
        as `put_resp_header` does, and for fields that RFC 9110 section 6.5.1 wants before the body;
        AlreadySentError where the whole response has been sent.
        """
        if self.state in (SENT, FILE, UPGRADED):
            raise AlreadySentError()
        validate_header(key, value)
        check_trailer_name(key)
        put_pair(self.private.setdefault("resp_trailers", []), key, value)
        return self

    def inform(self, status: StatusLike, headers: Headers = ()) -> Self:
        """Send an informational response (1xx), such as 103 with link headers.

        Nothing is sent where the protocol has none (HTTP/1.0). Raises ValueError outside
        100..199, AlreadySentError, InvalidHeaderError. Source: Plug.Conn.inform/3.
        """
        self._inform(status, headers)
        return self

    def inform_or_raise(self, status: StatusLike, headers: Headers = ()) -> Self:
        """As `inform`, but raises ValueError where it can't be sent (Plug.Conn.inform!/3)."""
        if not self._inform(status, headers):
            raise ValueError(f"{self.get_http_protocol()} can't carry an informational response")
        return self

    def upgrade_adapter(self, protocol: str, options: Any = None) -> Self:
        """Ask for another protocol on this connection, once the plugs have returned.

        Headers put before are part of the 101. before_send callbacks run with state
        "set_upgrade" and status 101. Raises AlreadySentError, ValueError when the adapter can't.
        Source: Plug.Conn.upgrade_adapter/3.
        """
        self._check_unsent()
        if not self.adapter.upgrade(self, protocol, options):
            raise ValueError(f"upgrade to {protocol!r} is not supported by this adapter")
        return self._start_upgrade()

    def _start_upgrade(self) -> Self:
        """Status, callbacks and state of an upgrade: for adapters that upgrade at once."""
        self._check_unsent()
        self.status = 101
        if self._before_send is not None:
            self.state = SET_UPGRADE
            self._run_before_send(SET_UPGRADE)
        self.state = UPGRADED
        return self

    def register_before_send(self, callback: Callable[[Any], Any]) -> Self:
        """Run `callback(conn)` right before the response leaves; the last registered runs first.

        It may change status, headers, cookies and, in state "set", the body. It must return the
        conn. Raises AlreadySentError. Source: Plug.Conn.register_before_send/2.
        """
        self._check_unsent()
        if self._before_send is None:
            self._before_send = [callback]
        else:
            self._before_send.append(callback)
        return self

    def halt(self) -> Self:
        """Stop the pipeline: no plug after this one runs (Plug.Conn.halt/1)."""
        self.halted = True
        return self

    # what Python users expect --------------------------------------------------------------------

    def text(self, body: str, status: StatusLike | None = None) -> Self:
        """Send `body` as text/plain. status: default the one put before, else 200."""
        return self._send_as(TEXT, body, status)

    def html(self, body: str, status: StatusLike | None = None) -> Self:
        """Send `body` as text/html. Escape what comes from users. status: as in `text`."""
        return self._send_as("text/html; charset=utf-8", body, status)

    def json(self, data: Any, status: StatusLike | None = None) -> Self:
        """Send `data` as JSON, by orjson where it is installed. status: as in `text`.

        Raises TypeError for what JSON can't hold.
        """
        body = dumps(data)
        if self._before_send is None and self.state is UNSET and status is None:
            # PERF: `send_resp` with what is known here: bytes, and nobody who looks at them first.
            if self.status is None:
                self.status = 200
            self.adapter.send_resp(self, body, "json")
            self.resp_body = body
            self.state = SENT
            return self
        return self._send_as("application/json", body, status)

    def redirect(self, to: str | None = None, *, external: str | None = None) -> Self:
        """Redirect to a path of this site, or by `external` to any http or https URL.

        to: must start with one "/"; anything that a browser could read as another host is
        refused with ValueError (open redirects). The status is 302 unless one was put before.
        """
        if (to is None) == (external is None):
            raise ValueError("redirect takes a path, or external=..., one of the two")
        if to is not None:
            if not to.startswith("/") or to.startswith("//") or re.search(r"[\\\s\0]", to):
                raise ValueError(
                    f"redirect takes a path such as '/login', got {to!r}; "
                    "for another site use redirect(external=...)"
                )
            location = to
        else:
            location = external or ""
            scheme = _TO_SCHEME.match(location)
            if scheme is None or scheme.group().lower() not in ("http:", "https:"):
                raise ValueError(f"redirect(external=...) takes an http or https URL: {location!r}")
        self.put_resp_header("location", location)
        status = self.status if self.status is not None else 302
        return self._send_as(TEXT, f"Redirecting to {location}\n", status)

    # inside ---

    def _send_as(self, content_type: str, body: str | bytes, status: StatusLike | None) -> Self:
        self._check_unsent()
        if not self.get_resp_header("content-type"):
            self.put_resp_header("content-type", content_type)
        if status is None:
            status = 200 if self.status is None else self.status
        return self.send_resp(status, body)

    def _check_unsent(self) -> None:
        if self.state not in UNSENT_STATES:
            raise AlreadySentError()

    def _inform(self, status: StatusLike, headers: Headers) -> bool:
        self._check_unsent()
        code = status_table.code(status)
        if not 100 <= code <= 199 or code == 101:
            raise ValueError(f"inform takes a status from 100 to 199 but 101, got {code}")
        pairs = header_pairs(headers)
        for key, value in pairs:
            validate_header(key, value)
        return self.adapter.inform(self, code, pairs)

    def _run_before_send(self, state: State) -> None:
        callbacks = self._before_send
        while callbacks:
            callback = callbacks.pop()
            if callback(self) is not self:
                raise TypeError(
                    f"expected the before_send callback {callback!r} to return the conn it got "
                    "(did you forget `return conn`?)"
                )
            if self.state is not state:
                raise ValueError(
                    "a before_send callback cannot send the response or change how it is sent: "
                    f"the state was {state!r} and is {self.state!r}"
                )
        for key, options in self._resp_cookies.items():
            self.resp_headers.append(("set-cookie", encode_cookie(key, options)))


FRAMING = frozenset({"connection", "content-length", "date", "transfer-encoding"})
"""Headers that say how a message is framed: the server looks at them before it sends."""

# Names that were checked -> whether they are about framing. Bounded: names may come from outside.
_names: dict[str, bool] = dict.fromkeys(FRAMING, True)
_MOST_NAMES = 1_000


def _learn(key: str) -> bool:
    check_header_name(key)
    about_framing = key in FRAMING
    if len(_names) < _MOST_NAMES:
        _names[key] = about_framing
    return about_framing


def _check_value(key: str, value: str) -> None:
    if _UNSAFE_VALUE.search(value):
        raise InvalidHeaderError(f"the value of the header {key!r} has a CR, LF or NUL")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidHeaderError(
            f"the value of the header {key!r} has characters outside Latin-1; percent-encode them"
        ) from None


def validate_header(key: str, value: str) -> None:
    """Refuse a header that could change the framing of the message (RFC 9110 section 5.5).

    Raises InvalidHeaderError. Values must be Latin-1: what goes beyond has no form on the wire.
    """
    check_header_name(key)
    _check_value(key, value)


def to_bytes(body: Body) -> bytes:
    """The body as bytes: str as UTF-8, an iterable of str and bytes joined (Elixir's iodata)."""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    if not isinstance(body, dict) and hasattr(body, "__iter__"):
        return b"".join(to_bytes(piece) for piece in body)
    raise TypeError(
        f"a response body is str, bytes or an iterable of them, got {type(body).__name__}; "
        "for JSON use conn.json(data)"
    )


__all__ = ["ClientDisconnected", "ResponseSide", "to_bytes", "validate_header"]
