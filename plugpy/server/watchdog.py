"""The watchdog: a thread that notices when the event loop is blocked, and says by what.

While a plug computes, or waits without `await`, nobody else is served, and the event loop is the
last that could say so. The thread looks at the loop's thread a few times a second. Where that waits
for events, all is well and the loop is not even woken. Where it runs something, the thread asks the
loop for an answer; one that has not come within the threshold means that it is blocked, and the
stack of the loop's thread says by what.

What it can't see: code that holds the interpreter's lock while it blocks (a C extension, a regular
expression that never ends) keeps the thread from running too. It is noticed when the lock comes
free, by the time that has passed.
"""

import asyncio
import linecache
import logging
import selectors
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final, TypedDict

import acceptors
from plugpy.conn import Conn

logger = logging.getLogger("plugpy.server")

KEPT: Final = 20
"""Stalls that are remembered for who looks."""

QUIET: Final = 60.0
"""Seconds in which a stall of a plug and route that was logged is only counted."""

DEPTH: Final = 25
"""Frames of a stack that are shown, the innermost ones."""

LOOKS: Final = 4
"""Looks in the time of the threshold."""

_PLUGPY = str(Path(__file__).parents[1])
_PLUGS = str(Path(_PLUGPY) / "plugs")
_ACCEPTORS = str(Path(acceptors.__file__).parent)
_ASYNCIO = str(Path(asyncio.__file__).parent)


class Culprit(TypedDict):
    """What the loop's thread is doing, "" for what there is not. request: method and path, without
    the query, which may hold secrets; connection: its pid; stack: lines as in a traceback."""

    plug: str
    request: str
    route: str
    connection: str
    stack: str


class Stall(Culprit):
    """One kind of stall: what blocked the loop. at: Unix time of the last, seconds: of the longest,
    repeats: how many there were."""

    at: float
    seconds: float
    repeats: int


class _Question:
    """An answer asked of the event loop. asked: when, monotonic. stall: what was reported while it
    was missing. One object for both, since the loop answers while the thread still reports."""

    __slots__ = ("asked", "stall")

    def __init__(self, asked: float) -> None:
        self.asked = asked
        self.stall: Stall | None = None


class Watchdog:
    """Watches the event loop that it is started in.

    threshold: seconds from which the loop counts as blocked. stalls: the last kinds of stall, the
    latest last.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.stalls: deque[Stall] = deque(maxlen=KEPT)
        self._logged: dict[tuple[str, str], tuple[float, int]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched = 0
        # Where the event loop was called from: the loop's thread is idle while it is there.
        self._base: FrameType | None = None
        self._question: _Question | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._loop.call_soon(self._find_base)
        self._thread = threading.Thread(target=self._watch, name="plugpy watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; waits for the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._base = None

    # in the event loop

    def _find_base(self) -> None:
        frame = sys._getframe().f_back
        if frame is not None and not frame.f_code.co_filename.startswith(_ASYNCIO):
            self._base = frame
        elif frame is not None and frame.f_code.co_name == "run":
            self._base = frame  # asyncio.Runner above an event loop that is no Python code

    def _answer(self) -> None:
        question, self._question = self._question, None
        if question is not None and (stall := question.stall) is not None:
            seconds = time.monotonic() - question.asked
            stall["seconds"] = max(stall["seconds"], seconds)
            logger.info("the event loop goes on; %s blocked it for %.1f s", stall["plug"], seconds)

    # in the thread

    def _watch(self) -> None:
        interval = self.threshold / LOOKS
        looked, worked = time.monotonic(), time.process_time()
        while not self._stop.wait(interval):
            now, work = time.monotonic(), time.process_time()
            late = now - looked - interval
            try:
                if late > self.threshold:
                    self._overslept(now, late, work - worked)
                else:
                    self._look(now)
            except Exception:
                logger.exception("the watchdog could not look at the event loop")
            looked, worked = time.monotonic(), time.process_time()

    def _look(self, now: float) -> None:
        question = self._question
        if question is None:
            frame = sys._current_frames().get(self._watched)
            if frame is None or self._is_idle(frame):
                return
            assert self._loop is not None
            self._question = _Question(now)
            try:
                self._loop.call_soon_threadsafe(self._answer)
            except RuntimeError:  # it is closed
                self._stop.set()
        elif now - question.asked >= self.threshold and question.stall is None:
            frame = sys._current_frames().get(self._watched)
            if frame is not None:
                self._report(frame, now - question.asked, question)

    def _overslept(self, now: float, late: float, worked: float) -> None:
        """This thread did not get to run: the interpreter's lock was held, or the whole process was
        suspended, and then it has not worked."""
        frame = sys._current_frames().get(self._watched)
        question = self._question
        if worked < late / 2 or frame is None or self._is_idle(frame):
            self._question = None
        elif question is None or question.stall is None:
            self._report(frame, late)

    def _is_idle(self, frame: FrameType) -> bool:
        if frame is self._base:
            return True
        code = frame.f_code
        return code.co_name == "select" and code.co_filename == selectors.__file__

    def _report(self, frame: FrameType, seconds: float, question: _Question | None = None) -> None:
        culprit = describe(frame, self._base)
        stall = Stall(at=time.time(), seconds=seconds, repeats=1, **culprit)
        key = (stall["plug"], stall["route"])
        for known in list(self.stalls):
            if (known["plug"], known["route"]) == key:
                self.stalls.remove(known)
                stall["repeats"] += known["repeats"]
                stall["seconds"] = max(seconds, known["seconds"])
        if question is not None:
            question.stall = stall
        self._log(stall, seconds)
        self.stalls.append(stall)  # last: who sees it finds all else done

    def _log(self, stall: Stall, seconds: float) -> None:
        key = (stall["plug"], stall["route"])
        now = time.monotonic()
        last, skipped = self._logged.get(key, (float("-inf"), 0))
        if now - last < QUIET:
            self._logged[key] = (last, skipped + 1)
            return
        if len(self._logged) >= KEPT:
            self._logged.clear()
        self._logged[key] = (now, 0)
        serves = f", which serves {stall['request']}" if stall["request"] else ""
        facts = [f"route {stall['route']}"] if stall["route"] else []
        facts += [f"connection {stall['connection']}"] if stall["connection"] else []
        logger.warning(
            "the event loop has been blocked for %.1f s by %s%s%s; everybody else waits%s\n%s",
            seconds,
            stall["plug"],
            serves,
            f" ({', '.join(facts)})" if facts else "",
            f"; it happened {skipped} more times since this was last said" if skipped else "",
            stall["stack"],
        )


def describe(frame: FrameType, base: FrameType | None = None) -> Culprit:
    """What a thread is doing. frame: the innermost one. base: where the event loop was called
    from."""
    frames = list(_inwards(frame, base))
    theirs = [number for number, one in enumerate(frames) if _is_theirs(one)]
    first = theirs[0] if theirs else 0
    code = frames[first].f_code
    module = frames[first].f_globals.get("__name__", "")
    conn = _conn_of(frames)
    request = route = connection = ""
    if conn is not None:
        request = f"{conn.method} {conn.request_path}"
        # Not `conn.route`: what was not set yet would be set by asking for it.
        try:
            found = object.__getattribute__(conn, "route")
        except AttributeError:
            found = None
        route = str(getattr(found, "pattern", None) or "")
        pid = getattr(conn.adapter, "pid", None)
        connection = "" if pid is None else str(pid)
    shown = frames[first:][-DEPTH:]
    linecache.checkcache()
    stack = traceback.StackSummary.extract((one, one.f_lineno) for one in shown)
    return Culprit(
        plug=f"{module}.{code.co_qualname}",
        request=request,
        route=route,
        connection=connection,
        stack="".join(stack.format()).rstrip("\n"),
    )


def _inwards(frame: FrameType, base: FrameType | None) -> Iterator[FrameType]:
    """The frames from the event loop's callback to the innermost."""
    found = []
    current: FrameType | None = frame
    while current is not None and current is not base:
        found.append(current)
        current = current.f_back
    number = len(found)
    # On asyncio the loop itself is Python code: what it runs begins below its Handle.
    for at, one in enumerate(found):
        code = one.f_code
        if code.co_name in ("_run", "_run_once") and code.co_filename.startswith(_ASYNCIO):
            number = at
            break
    return reversed(found[:number] or found)


def _is_theirs(frame: FrameType) -> bool:
    """Whether a frame runs code of the application, or a built-in plug."""
    file = frame.f_code.co_filename
    if file.startswith((_ASYNCIO, _ACCEPTORS, "<")):
        return False
    return not file.startswith(_PLUGPY) or file.startswith(_PLUGS)


def _conn_of(frames: list[FrameType]) -> Conn | None:
    for frame in reversed(frames):
        code = frame.f_code
        if "conn" in code.co_varnames or "conn" in code.co_freevars:
            conn = frame.f_locals.get("conn")
            if isinstance(conn, Conn):
                return conn
    return None
