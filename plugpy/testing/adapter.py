"""An adapter without a socket: it records what a Conn sends (Plug.Adapters.Test.Conn)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from acceptors.otp import Process, Reason, TaskSupervisor
from plugpy.conn import PeerData, RequestTooLargeError, SockData
from plugpy.conn.fields import ConnFields

_witnesses: ContextVar["list[TestAdapter] | None"] = ContextVar("witnesses", default=None)
"""The adapters that have sent while `witnessing` was open."""

KINDS = {"text": "text/plain; charset=utf-8", "json": "application/json"}


@contextmanager
def witnessing() -> "Iterator[list[TestAdapter]]":
    """The adapters that send a response in this block, in this task or those it starts."""
    adapters: list[TestAdapter] = []
    token = _witnesses.set(adapters)
    try:
        yield adapters
    finally:
        _witnesses.reset(token)


class _TestTasks(TaskSupervisor):
    """There is no server that would stop it."""

    __slots__ = ()

    def _child_exited(self, child: Process, reason: Reason) -> None:
        super()._child_exited(child, reason)
        if not self.children:
            self._exited()


class TestAdapter:
    """Records the response of one Conn.

    Shape of the record: sent_status int | None, sent_headers list of pairs, sent_body bytes,
    chunks list[bytes], informs list[(status, headers)], upgrades list[(protocol, options)].
    """

    __test__ = False  # not a test class, whatever its name says to pytest

    def __init__(
        self,
        body: bytes = b"",
        *,
        scheme: str = "http",
        peer: PeerData | None = None,
        sock: SockData | None = None,
        http_protocol: str = "HTTP/1.1",
        body_limit: int = 8_000_000,
        piece_size: int = 65_536,
        secret_key_base: str | None = None,
    ) -> None:
        self.scheme = scheme
        self.secret_key_base = secret_key_base
        self.peer = peer or PeerData("127.0.0.1", 111317)
        self.sock = sock or SockData("127.0.0.1", 111318)
        self.http_protocol = http_protocol
        self.ssl_data: dict[str, Any] | None = None
        self.body_limit = body_limit
        self.piece_size = piece_size
        self.trailers: Sequence[tuple[str, str]] = ()
        self.owner = None
        self._unread = memoryview(body)
        self._read = 0
        self._tasks: TaskSupervisor | None = None
        self.sent_status: int | None = None
        self.sent_headers: list[tuple[str, str]] = []
        self.sent_body = b""
        self.chunks: list[bytes] = []
        self.informs: list[tuple[int, list[tuple[str, str]]]] = []
        self.upgrades: list[tuple[str, Any]] = []
        self.supports_upgrade = True
        self.supports_inform = True

    @property
    def tasks(self) -> TaskSupervisor:
        """A supervisor for `conn.tasks`, made when a plug asks; it ends with its last task."""
        if self._tasks is None or not self._tasks.alive:
            self._tasks = _TestTasks()
        return self._tasks

    def _sent(self, conn: ConnFields, body: bytes, content_type: str | None = None) -> None:
        if content_type and not any(name == "content-type" for name, _ in conn.resp_headers):
            conn.resp_headers.append(("content-type", content_type))
        self.sent_status = conn.status
        self.sent_headers = list(conn.resp_headers)
        self.sent_body = b"" if conn.head.method == "HEAD" else body
        if (adapters := _witnesses.get()) is not None:
            adapters.append(self)

    def send_resp(self, conn: ConnFields, body: bytes, kind: str = "") -> None:
        self._sent(conn, body, KINDS.get(kind))

    def send_file(self, conn: ConnFields, path: str, offset: int, length: int) -> None:
        with open(path, "rb") as file:
            file.seek(offset)
            self._sent(conn, file.read(length))

    def send_chunked(self, conn: ConnFields) -> None:
        self._sent(conn, b"")

    async def chunk(self, conn: ConnFields, data: bytes) -> None:
        self.chunks.append(data)
        if conn.head.method != "HEAD":
            self.sent_body += data

    async def read_req_body(
        self, conn: ConnFields, limit: int | None, read_timeout: float | None
    ) -> bytes:
        allowed = self.body_limit if limit is None else limit
        piece = bytes(self._unread[: self.piece_size])
        self._unread = self._unread[len(piece) :]
        self._read += len(piece)
        if self._read > allowed:
            raise RequestTooLargeError(f"the body is larger than {allowed} bytes")
        return piece

    def inform(self, conn: ConnFields, status: int, headers: Sequence[tuple[str, str]]) -> bool:
        if self.supports_inform:
            self.informs.append((status, list(headers)))
        return self.supports_inform

    def upgrade(self, conn: ConnFields, protocol: str, options: Any) -> bool:
        if self.supports_upgrade:
            self.upgrades.append((protocol, options))
        return self.supports_upgrade

    def get_peer_data(self) -> PeerData:
        return self.peer

    def get_sock_data(self) -> SockData:
        return self.sock

    def get_ssl_data(self) -> dict[str, Any] | None:
        return self.ssl_data

    def get_http_protocol(self) -> str:
        return self.http_protocol
