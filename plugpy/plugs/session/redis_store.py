"""RedisStore: sessions in Redis, for several processes and machines."""

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from plugpy.conn import Conn
from plugpy.conn.crypto import encode_value
from plugpy.plugs.session.store import Data, SessionStoreError

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger("plugpy.plugs.session")

SID_BYTES: Final = 32
"""Random bytes of a session id: 256 bits."""

PREFIX: Final = "plugpy:session:"

MAX_BYTES: Final = 65_536

TIMEOUT: Final = 2.0

MAX_CONNECTIONS: Final = 50


class RedisStore:
    """Keeps sessions in Redis, as JSON, each with an end of its own.

    Options:
      url               "redis://localhost:6379/0", "rediss://...", "unix:///run/redis.sock"
      client            in place of it, a function that makes a redis.asyncio.Redis, called once for
                        each event loop
      prefix            begin of all keys, "plugpy:session:"
      sliding           True: max_age counts from the last use; False: from the last change
      max_bytes         bytes of a session as JSON, 65,536; more raises ValueError
      timeout           seconds for connecting and for each answer of Redis, 2.0
      max_connections   connections of a process at most, 50; more requests wait for one, as long as
                        timeout

    Keys are hashes of session ids: who can read the database, or a backup of it, can't take over a
    session. A session that another request has ended meanwhile is not written again. Without a
    cookie Redis is not asked. It needs `pip install "plugpy[redis]"` and Redis 6.2 or newer, and
    goes around plugs: `wrap(Session, store=RedisStore(...), key=...)`. Where Redis does not answer,
    requests that need it are answered by 503. Raises ImportError without the library, ValueError
    for options that don't fit.
    """

    __slots__ = (
        "_client",
        "_loop",
        "_make",
        "_max_bytes",
        "_prefix",
        "_sliding",
        "max_age",
    )

    def __init__(
        self,
        url: str | None = None,
        *,
        client: "Callable[[], Redis] | None" = None,
        prefix: str = PREFIX,
        sliding: bool = True,
        max_bytes: int = MAX_BYTES,
        timeout: float = TIMEOUT,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        if (url is None) == (client is None):
            raise ValueError("RedisStore takes a url or a client, one of the two")
        if timeout <= 0 or max_connections < 1 or max_bytes < 2:
            raise ValueError("timeout, max_connections and max_bytes are above 0")
        self._make = client or _maker(str(url), timeout, max_connections)
        self._prefix = prefix
        self._sliding = sliding
        self._max_bytes = max_bytes
        self._client: Redis | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.max_age: float = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # the url may hold a password

    async def get(self, conn: Conn, cookie: str) -> tuple[str | None, Data]:
        """The session of that id; (None, {}) where there is none: never an id that a client has
        chosen. Raises SessionStoreError."""
        key = self._key(cookie)
        client = self._connected()
        if self._sliding:
            kept = await _answer(client.getex(key, ex=self._seconds()))
        else:
            kept = await _answer(client.get(key))
        if kept is None:
            return None, {}
        try:
            data = json.loads(kept)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            logger.warning("a session in Redis is no JSON object: it counts as none")
            return None, {}
        return cookie, data

    def put(self, conn: Conn, sid: str | None, data: Data) -> tuple[str, Awaitable[None]]:
        """The cookie, and what writes the session. Raises TypeError for what JSON can't hold."""
        text = encode_value(data)
        if len(text) > self._max_bytes:
            raise ValueError(f"the session has {len(text)} bytes, more than {self._max_bytes}")
        name = secrets.token_urlsafe(SID_BYTES) if sid is None else sid
        return name, self._write(name, text, new=sid is None)

    async def _write(self, sid: str, text: bytes, *, new: bool) -> None:
        client = self._connected()
        # An old one only if it is still there: whoever has logged out in the meantime stays so.
        written = await _answer(
            client.set(self._key(sid), text, ex=self._seconds(), nx=new, xx=not new)
        )
        if not written:
            logger.debug("a session was not written: another request has ended it")

    async def delete(self, conn: Conn, sid: str) -> None:
        """Forget it. Raises SessionStoreError."""
        await _answer(self._connected().delete(self._key(sid)))

    async def close(self) -> None:
        """Close the connections of this event loop."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _connected(self) -> "Redis":
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = self._make(), loop
        return self._client

    def _key(self, sid: str) -> str:
        # No salt: nobody guesses 256 random bits.
        return self._prefix + hashlib.sha256(sid.encode("utf-8", "replace")).hexdigest()

    def _seconds(self) -> int:
        return max(1, int(self.max_age))


def _maker(url: str, timeout: float, max_connections: int) -> "Callable[[], Redis]":
    try:
        from redis.asyncio import BlockingConnectionPool, Redis
    except ImportError as error:
        raise ImportError(
            'RedisStore needs the package redis: pip install "plugpy[redis]"', name="redis"
        ) from error

    def make() -> "Redis":
        return Redis.from_pool(
            BlockingConnectionPool.from_url(
                url,
                max_connections=max_connections,
                timeout=timeout,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
            )
        )

    _check_url(url)
    return make


def _check_url(url: str) -> None:
    """Refuse a url that the library can't read. Raises ValueError, which does not show it."""
    from redis.connection import parse_url

    try:
        parse_url(url)  # type: ignore[no-untyped-call, unused-ignore]
    except ValueError:
        raise ValueError("url begins with redis://, rediss:// or unix://") from None


async def _answer(command: Any) -> Any:
    """What Redis answers. Raises SessionStoreError where it does not."""
    from redis.exceptions import RedisError

    try:
        return await command
    except (RedisError, OSError, TimeoutError) as error:
        raise SessionStoreError("Redis does not answer: the session is not known") from error
