"""Threads for applications that block.

Not a ThreadPoolExecutor: the interpreter joins its threads when it ends, so one request that never
returns would keep a server from ever ending. These are daemons. And a job is one call: no future
is made for it, since the request has its own.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from weakref import ref

logger = logging.getLogger("plugpy.interop")

Job = Callable[[], object]


class ThreadPool:
    """At most `size` threads, started as they are needed; jobs wait in their order for a free one.

    size: threads. name: what they are called. Raises ValueError for a size below 1.
    """

    def __init__(self, size: int, name: str) -> None:
        if size < 1:
            raise ValueError(f"threads is a number of at least 1, got {size!r}")
        self.size = size
        self.name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return self._threads

    @property
    def busy(self) -> int:
        """How many jobs run or wait."""
        return self._busy

    def submit(self, job: Job) -> None:
        """Run `job` in a thread. It must not raise; what it raises all the same is logged."""
        with self._lock:
            self._busy += 1
            number = self._threads
            grow = number < min(self.size, self._busy)
            if grow:
                self._threads = number + 1
        self._jobs.put(job)
        if grow:
            arguments = (self._jobs, ref(self))
            name = f"{self.name}-{number + 1}"
            threading.Thread(target=_work, args=arguments, name=name, daemon=True).start()

    async def idle(self) -> None:
        """Wait until no job runs or waits."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if not self._busy:
                return
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.append((loop, waiter))
        await waiter

    def close(self) -> None:
        """Let the threads end, each after its job. A later job starts new ones."""
        with self._lock:
            threads, self._threads = self._threads, 0
        for _ in range(threads):
            self._jobs.put(None)

    def __del__(self) -> None:
        # An application that nobody has stopped: a test's.
        if hasattr(self, "_lock"):
            self.close()

    def _done(self) -> None:
        with self._lock:
            self._busy -= 1
            waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
            if not self._busy and self._waiters:
                waiters, self._waiters = self._waiters, []
        for loop, waiter in waiters:
            loop.call_soon_threadsafe(_wake, waiter)


def _work(jobs: "SimpleQueue[Job | None]", reference: "ref[ThreadPool]") -> None:
    """What a thread does. It does not hold the pool, which ends its threads when it goes."""
    while (job := jobs.get()) is not None:
        try:
            job()
        except BaseException:
            logger.exception("a job of a thread pool raised")
        # Else the last request would live until the next one comes.
        del job
        pool = reference()
        if pool is not None:
            pool._done()
        del pool


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
