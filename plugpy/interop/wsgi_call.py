"""One request to a WSGI application: the half of it in a thread (PEP 3333)."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from plugpy.conn import ClientDisconnected, NotSentError
from plugpy.http.blocks import has_body
from plugpy.interop.errors import WsgiError
from plugpy.interop.wsgi_files import FileWrapper, file_range
from plugpy.interop.wsgi_headers import Start
from plugpy.interop.wsgi_outlet import Outlet

if TYPE_CHECKING:
    from plugpy.interop.wsgi_response import WsgiResponse

ExcInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None] | None
)


class WsgiCall:
    """Calls the application, gives what it sends to the response, and always calls `close`."""

    __slots__ = ("_app", "_environ", "_method", "_outlet", "_response", "_sent", "_start")

    def __init__(
        self,
        response: "WsgiResponse",
        app: Callable[..., Any],
        environ: dict[str, Any],
        method: str,
    ) -> None:
        self._response = response
        self._app = app
        self._environ = environ
        self._method = method
        self._start: Start | None = None
        # Whether the head has left: start_response can't change it any more.
        self._sent = False
        self._outlet: Outlet | None = None

    def run(self) -> None:
        """Call the application; what it raises becomes the answer. Never raises."""
        response = self._response
        if response.over:
            return  # given up while it waited for a thread
        error: BaseException
        try:
            result = self._app(self._environ, self._start_response)
            try:
                self._send(result)
            finally:
                close = getattr(result, "close", None)
                if close is not None:
                    close()
            return
        except Exception as raised:
            error = raised
        except BaseException as raised:
            # SystemExit is the wish of the application for this thread, not for the server.
            error = WsgiError(f"the WSGI application raised {type(raised).__name__}: {raised}")
            error.__cause__ = raised
        with contextlib.suppress(ClientDisconnected):
            self._in_loop(response.fail, error)

    # what the application calls ---

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo = None
    ) -> Callable[[bytes], None]:
        if exc_info is not None and exc_info[1] is not None:
            try:
                if self._sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # a traceback that holds this frame would hold itself
        elif self._start is not None:
            raise WsgiError("the WSGI application called start_response twice, without exc_info")
        self._start = self._response.options.memo.of(status, headers)
        return self._write

    def _write(self, data: bytes) -> None:
        self._check_bytes(data)
        if data:
            self._piece(data, whole=False)

    # what it returns ---

    def _send(self, result: Iterable[bytes]) -> None:
        if type(result) is FileWrapper and not self._sent and self._send_file(result):
            return
        if type(result) in (list, tuple) and not self._sent:
            # PERF: the usual case, the whole body in one turn of the loop.
            for piece in result:
                self._check_bytes(piece)
            self._send_whole(b"".join(result))
            return
        for piece in result:
            self._check_bytes(piece)
            if piece and not self._piece(piece, whole=True):
                return
        if not self._sent:
            self._send_whole(b"")
        elif self._outlet is not None:
            self._outlet.end()

    def _piece(self, piece: bytes, *, whole: bool) -> bool:
        """Send a piece; False where no more are wanted. whole: it may be the whole body, where it
        has the length that was promised."""
        outlet = self._outlet
        if outlet is None:
            if self._sent:
                if self._no_body:
                    return False
                raise WsgiError("the WSGI application sent more than the content-length it put")
            start = self._started()
            if self._no_body:
                self._send_head(start)
                return False
            if whole and start.length == len(piece):
                self._send_whole(piece)
                return True
            self._sent = True
            outlet = self._outlet = Outlet(self._response.loop)
            self._in_loop(self._response.begin_stream, start, outlet)
        outlet.put(piece)
        if self._response.over:
            raise self._response.left()
        return True

    @property
    def _no_body(self) -> bool:
        start = self._start
        return self._method == "HEAD" or (start is not None and not has_body(start.status))

    def _send_head(self, start: Start) -> None:
        """The body is not wanted: it is not asked for further."""
        self._sent = True
        outlet = Outlet(self._response.loop)
        outlet.end()
        self._in_loop(self._response.begin_stream, start, outlet)

    def _send_whole(self, body: bytes) -> None:
        start = self._started()
        self._sent = True
        self._in_loop(self._response.send_whole, start, body)

    def _send_file(self, wrapper: FileWrapper) -> bool:
        file = file_range(wrapper.filelike)
        if file is None:
            return False
        start = self._started()
        if start.length is not None and start.length < file.length:
            file = file._replace(length=start.length)
        self._sent = True
        response = self._response

        async def send() -> None:
            response.send_file(start, file)

        # Waits until the loop has opened it: `close` may remove it.
        asyncio.run_coroutine_threadsafe(send(), response.loop).result()
        return True

    def _started(self) -> Start:
        if self._start is None:
            raise NotSentError(
                "the WSGI application returned without a response: it never called start_response"
            )
        return self._start

    def _check_bytes(self, piece: object) -> None:
        if not isinstance(piece, bytes):
            raise WsgiError(f"a response body is made of bytes, got {type(piece).__name__}")

    def _in_loop(self, function: Callable[..., object], *args: Any) -> None:
        try:
            self._response.loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is closed: the server has gone without this thread
            raise ClientDisconnected("the server has stopped") from None
