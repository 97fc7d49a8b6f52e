"""MemoryStore: sessions in this process (Plug.Session.ETS)."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from typing import Final

from plugpy.conn import Conn
from plugpy.plugs.session.store import Data

SID_BYTES: Final = 24
"""Random bytes of a session id: 192 bits, which nobody guesses."""

MAX_SESSIONS: Final = 100_000


class MemoryStore:
    """Keeps sessions in a dict of this process: they end with it, and workers do not share them.

    Options:
      max_sessions   sessions at most, 100,000; the one that was used longest ago makes room
      clock          function that gives seconds, time.monotonic

    For tests, and for one process. A session that nobody has used for max_age is forgotten.
    """

    __slots__ = ("_clock", "_max_sessions", "_sessions", "max_age")

    def __init__(
        self,
        *,
        max_sessions: int = MAX_SESSIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_sessions < 1:
            raise ValueError(f"max_sessions is at least 1, got {max_sessions}")
        self._max_sessions = max_sessions
        self._clock = clock
        # sid -> (last used, data), the one used longest ago first.
        self._sessions: OrderedDict[str, tuple[float, Data]] = OrderedDict()
        self.max_age: float = 0.0

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, conn: Conn, cookie: str) -> tuple[str | None, Data]:
        """The session of that id."""
        self._forget_old()
        kept = self._sessions.get(cookie)
        if kept is None:
            # A new id then, never one that a client has chosen (session fixation).
            return None, {}
        self._keep(cookie, kept[1])
        # A copy: what a request changes counts only once it is written.
        return cookie, deepcopy(kept[1])

    def put(self, conn: Conn, sid: str | None, data: Data) -> str:
        """Keep it; the cookie is its id."""
        if sid is None or sid not in self._sessions:
            sid = secrets.token_urlsafe(SID_BYTES)
        self._keep(sid, deepcopy(data))
        if len(self._sessions) > self._max_sessions:
            self._sessions.popitem(last=False)
        return sid

    def delete(self, conn: Conn, sid: str) -> None:
        """Forget it."""
        self._sessions.pop(sid, None)

    def _keep(self, sid: str, data: Data) -> None:
        self._sessions[sid] = (self._clock(), data)
        self._sessions.move_to_end(sid)

    def _forget_old(self) -> None:
        end = self._clock() - self.max_age
        while self._sessions:
            sid, (used, _) = next(iter(self._sessions.items()))
            if used >= end:
                break
            del self._sessions[sid]
