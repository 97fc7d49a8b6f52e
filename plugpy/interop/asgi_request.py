"""The request as an ASGI application receives it: pieces of body, then the end."""

import asyncio
from typing import TYPE_CHECKING, Any

from plugpy.conn import ClientDisconnected, RequestTimeoutError, RequestTooLargeError
from plugpy.conn.errors import BadRequestError
from plugpy.http.errors import HttpError
from plugpy.interop.asgi_types import Message

if TYPE_CHECKING:
    from plugpy.interop.asgi_response import AsgiResponse

BODY_ERRORS = (RequestTooLargeError, RequestTimeoutError, BadRequestError, HttpError)
"""Faults of the request body, which the client is told by their status whatever the application
makes of them."""


class AsgiRequest:
    """`receive` of one request; made when the application first calls it."""

    __slots__ = ("_body", "_ended", "_length", "_received", "_response", "_waiters", "_watch")

    def __init__(self, response: "AsgiResponse", body: bytes | None = None) -> None:
        self._response = response
        # The whole body, where a plug has read it.
        self._body = body
        values = response.conn.head.get("content-length")
        # -1: chunked, or no body. The connection has checked that it is a number.
        self._length = int(values[0]) if values else -1
        self._received = 0
        self._ended = False
        self._waiters: set[asyncio.Future[None]] = set()
        self._watch: Any = None

    async def receive(self) -> Message:
        """The next event: http.request while there is body, then http.disconnect once the response
        is complete or the client is gone."""
        response = self._response
        if self._ended or response.over:
            if not response.over:
                await self._wait_for_end()
            return {"type": "http.disconnect"}
        if self._body is not None:
            self._ended = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        conn = response.conn
        try:
            piece = await conn.adapter.read_req_body(conn, response.options.max_body, None)
        except BODY_ERRORS as error:
            self._ended = True
            response.refuse(error)
            return {"type": "http.disconnect"}
        except ClientDisconnected:
            self._ended = True
            return {"type": "http.disconnect"}
        self._received += len(piece)
        # Where the length is known, the last piece says that it is the last.
        self._ended = not piece or self._received == self._length
        return {"type": "http.request", "body": piece, "more_body": not self._ended}

    async def _wait_for_end(self) -> None:
        if self._watch is None and (owner := self._response.owner) is not None:
            self._watch = owner.watch(self._client_left)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _client_left(self, reason: Any) -> None:
        self._watch = None
        self.wake()

    def wake(self) -> None:
        """The response is over: whoever waits in `receive` is told."""
        watch, self._watch = self._watch, None
        if watch is not None and (owner := self._response.owner) is not None:
            owner.unwatch(watch)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
