"""Compress: answers compressed by gzip, br or zstd."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from plugpy.conn import Conn
from plugpy.conn.fields import ConnFields
from plugpy.pipeline.compiler import Application, trusted
from plugpy.plugs.compress.adapter import CompressingAdapter
from plugpy.plugs.compress.choice import COMPRESSIBLE, Types, choose, is_eligible
from plugpy.plugs.compress.encoders import LEVELS, is_installed, library_of

MIN_SIZE: Final = 1_024
"""Bytes below which a body that fits one packet anyway is left alone."""

THREAD_SIZE: Final = 65_536
"""Bytes above which compressing would hold the event loop for more than a millisecond or two."""


class Compress:
    """Compresses what the plugs behind it answer, by the best coding that the client accepts.

    Options:
      encodings     codings by preference: "zstd", "br", "gzip"; None: those of them whose libraries
                    are installed, in this order. The client's weights (q) come first
      levels        coding -> level: zstd 1 to 19 (3), br 0 to 11 (4), gzip 1 to 9 (6)
      min_size      bytes below which a body is left alone, 1,024; streams have no size
      types         content-types that are compressed: "text/html", "text/*", "*+json"; by default
                    COMPRESSIBLE
      exclude       function conn -> bool, asked right before an answer is compressed: True leaves
                    it alone; None
      thread_size   bytes above which a body is compressed in a thread, 65,536

    Whole bodies and streams: each `conn.chunk` can be read by the client at once. Left alone are
    204, 205, 206, 304, what has a content-encoding, content-range or digest, `cache-control:
    no-transform`, files (Static serves compressed files that lie beside them), and where a plug
    says `conn.put_private("compress", False)`. Strong etags become weak, vary gets accept-encoding.

    Compression tells secrets (BREACH): where a page over https has a secret and beside it text that
    somebody else chooses, its size tells the secret. CSRF tokens of CSRFProtection are safe, being
    masked anew for each page; for others leave the answer alone by one of the two ways above.

    br and zstd need `pip install "plugpy[compress]"` (zstd not since Python 3.14). Put it around
    plugs, outside those that change bodies: `wrap(Compress)`. Raises ValueError for unknown codings
    and levels, ImportError for one whose library is not there.

    >>> from plugpy.pipeline import Pipeline, wrap
    >>> from plugpy.testing import conn
    >>> app = Pipeline([wrap(Compress, min_size=20), lambda conn: conn.text("ab" * 1000)])
    >>> sent = app(conn("GET", "/", headers={"accept-encoding": "gzip"}))
    >>> sent.get_resp_header("content-encoding"), len(sent.adapter.sent_body) < 100
    (['gzip'], True)
    """

    __slots__ = (
        "_codings",
        "_exclude",
        "_inner",
        "_min_size",
        "_types",
        "checks_plugs",
        "levels",
        "thread_size",
    )

    def __init__(
        self,
        inner: Application,
        *,
        encodings: Sequence[str] | None = None,
        levels: Mapping[str, int] | None = None,
        min_size: int = MIN_SIZE,
        types: Collection[str] = COMPRESSIBLE,
        exclude: Callable[[Conn], bool] | None = None,
        thread_size: int = THREAD_SIZE,
    ) -> None:
        if not callable(inner):
            raise TypeError("Compress goes around plugs: declare it by wrap(Compress)")
        if min_size < 0 or thread_size < 0:
            raise ValueError(f"sizes are not below 0, got {min_size} and {thread_size}")
        self._inner = inner
        self._codings = _checked_codings(encodings)
        self._min_size = min_size
        self._types = Types(types)
        self._exclude = exclude
        self.levels = _checked_levels(levels or {})
        self.thread_size = thread_size
        trusted(self)

    def __call__(self, conn: Conn) -> Conn | Awaitable[Conn]:
        adapter = CompressingAdapter(conn.adapter, self)
        conn.adapter = adapter
        try:
            result: Any = self._inner(conn)
        except BaseException:
            adapter.give_up(conn)
            raise
        if result is not conn:
            return self._wait(conn, result, adapter)
        return conn if adapter.is_over(conn) else _finish(conn, adapter)

    async def _wait(
        self, conn: Conn, awaitable: Awaitable[Conn], adapter: CompressingAdapter
    ) -> Conn:
        try:
            result = await awaitable
        except BaseException:
            adapter.give_up(conn)
            raise
        if not adapter.is_over(conn):
            await adapter.finish(conn)
        return result

    def is_eligible(self, conn: ConnFields, size: int | None, kind: str) -> bool:
        """Whether this answer may be compressed, whatever its client accepts."""
        return is_eligible(conn, size, kind, self._types, self._min_size) and not (
            self._exclude is not None and self._exclude(conn)  # type: ignore[arg-type]
        )

    def choose(self, conn: ConnFields) -> str | None:
        """The coding for the client of `conn`, None for none."""
        return choose(conn.head.get("accept-encoding"), self._codings)


async def _finish(conn: Conn, adapter: CompressingAdapter) -> Conn:
    await adapter.finish(conn)
    return conn


def _checked_codings(encodings: Sequence[str] | None) -> tuple[str, ...]:
    if encodings is None:
        return tuple(coding for coding in LEVELS if is_installed(coding))
    if isinstance(encodings, str) or not encodings:
        raise ValueError(f"encodings is a list such as ['br', 'gzip'], got {encodings!r}")
    for coding in encodings:
        if coding not in LEVELS:
            raise ValueError(f"encodings are {', '.join(LEVELS)}, got {coding!r}")
        if not is_installed(coding):
            raise ImportError(
                f"the encoding {coding} needs the package {library_of(coding)}: "
                'pip install "plugpy[compress]"',
                name=library_of(coding),
            )
    return tuple(encodings)


def _checked_levels(levels: Mapping[str, int]) -> dict[str, int]:
    for coding, level in levels.items():
        if coding not in LEVELS:
            raise ValueError(f"levels are of {', '.join(LEVELS)}, got {coding!r}")
        lowest, highest, _ = LEVELS[coding]
        if not lowest <= level <= highest:
            raise ValueError(f"a level of {coding} is {lowest} to {highest}, got {level}")
    return {coding: default for coding, (_, _, default) in LEVELS.items()} | dict(levels)
