"""Threads that grow with the work, and end."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from plugpy.interop.thread_pool import ThreadPool


def joined(threads: list[threading.Thread]) -> bool:
    for thread in threads:
        thread.join(10)
    return not any(thread.is_alive() for thread in threads)


async def test_threads_are_started_as_they_are_needed():
    pool = ThreadPool(2, "test-pool")
    seen: list[threading.Thread] = []
    for _ in range(3):
        pool.submit(lambda: seen.append(threading.current_thread()))
        await pool.idle()
    assert (pool.threads, pool.busy, len(set(seen))) == (1, 0, 1)
    assert seen[0].name == "test-pool-1"
    assert seen[0].daemon
    gate = threading.Barrier(2)

    def together() -> None:
        gate.wait(10)
        seen.append(threading.current_thread())

    for _ in range(6):
        pool.submit(together)
    await pool.idle()
    assert (pool.threads, len(set(seen))) == (2, 2)
    pool.close()
    assert joined(seen)
    # It can be used again.
    pool.submit(together)
    pool.submit(together)
    await pool.idle()
    pool.close()
    assert joined(seen)
    assert len(set(seen)) == 4


async def test_jobs_that_have_been_given_are_done_before_the_end():
    pool = ThreadPool(1, "test-pool")
    done: list[int] = []
    for number in range(20):
        pool.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    pool.close()
    await pool.idle()
    assert done == list(range(20))


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(1)])
async def test_a_job_that_raises_ends_no_thread(caplog, error: BaseException):
    pool = ThreadPool(1, "test-pool")

    def job() -> Any:
        raise error

    for _ in range(2):
        pool.submit(job)
    await pool.idle()
    assert pool.threads == 1
    assert [record.exc_info[1] for record in caplog.records] == [error, error]
    pool.close()


async def test_who_waits_no_more_is_no_harm():
    pool = ThreadPool(1, "test-pool")
    go = threading.Event()
    pool.submit(lambda: go.wait(10))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await pool.idle()
    other = asyncio.ensure_future(pool.idle())
    await asyncio.sleep(0)
    go.set()
    await other
    pool.close()


async def test_threads_end_when_nobody_holds_the_pool():
    pool = ThreadPool(1, "test-pool")
    seen: list[threading.Thread] = []
    pool.submit(lambda: seen.append(threading.current_thread()))
    await pool.idle()
    del pool
    assert joined(seen)


def test_there_is_at_least_one():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ThreadPool(0, "none")
