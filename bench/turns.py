"""How long the turns of a server's event loop are while it is attacked, by the clock of its thread.

    python bench/turns.py [--attack "endless body" ...] [--seconds 3] [--loop asyncio]

A request waits for the end of the turn in which it arrives and for what comes before it in the
next. `time.thread_time` counts what the server's thread has computed, in Python and in the kernel,
and not what other programs took from it: so this is how a change is judged on a machine that is not
quiet. The server is the one that bench/attack.py attacks, in a process where a callback notes each
turn of its loop (for which the loop never sleeps). A turn of nothing takes some microseconds.

The columns: turns, those of more than 1 ms, the median, the 99th percentile and the longest in
milliseconds; the mean weighted by length, which is what somebody who comes at any time finds.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]

from bench.attack import ATTACKS, SETTLE, child, free_port, percentile, wait_for  # noqa: E402

SHORTEST: Final = 0.00005
"""Seconds of a turn below which it is one of those that only this measurement makes."""


async def serve(port: int) -> None:
    """Serve, note the turns between two SIGUSR1, print them."""
    import acceptors
    from bench.apps.attacked import AttackedRouter
    from plugpy.http import Http1Connection, HttpOptions
    from plugpy.pipeline import compiled

    options = HttpOptions(application=compiled(AttackedRouter()))
    await acceptors.start_listener("turns", {"port": port}, Http1Connection, options)
    loop = asyncio.get_running_loop()
    turns: list[float] = []
    noting = False
    done = asyncio.Event()
    before = 0.0

    def switch() -> None:
        nonlocal noting, before
        if noting:
            done.set()
        noting = not noting
        before = time.thread_time()
        if noting:
            loop.call_soon(note)

    def note() -> None:
        nonlocal before
        now = time.thread_time()
        if now - before > SHORTEST:
            turns.append(1000 * (now - before))
        before = now
        if noting:
            loop.call_soon(note)

    loop.add_signal_handler(signal.SIGUSR1, switch)
    await done.wait()
    print(json.dumps(turns), flush=True)
    await asyncio.Event().wait()


def measure(name: str, seconds: float, loop: str) -> list[float]:
    """Milliseconds of the turns under an attack."""
    cores = sorted(os.sched_getaffinity(0))
    port = free_port()
    with child(cores[0], "server", __file__, "--serve", str(port), "--loop", loop) as server:
        wait_for(port)
        with child(cores[-1], "bad", str(ROOT / "bench/attack.py"), "--be", name, str(port)) as bad:
            assert bad.stdout is not None
            assert server.stdout is not None
            bad.stdout.readline()
            time.sleep(SETTLE)
            server.send_signal(signal.SIGUSR1)
            time.sleep(seconds)
            server.send_signal(signal.SIGUSR1)
            turns: list[float] = json.loads(server.stdout.readline())
    return turns


def row(name: str, turns: list[float]) -> str:
    """A line of the table."""
    turns = turns or [0.0]
    total = sum(turns)
    weighted = sum(turn * turn for turn in turns) / total if total else 0.0
    long = sum(turn > 1.0 for turn in turns)
    return (
        f"| {name} | {len(turns)} | {long} | {percentile(turns, 0.5):.2f} "
        f"| {percentile(turns, 0.99):.2f} | {max(turns):.2f} | {weighted:.2f} |"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--attack", action="append", choices=list(ATTACKS))
    parser.add_argument("--seconds", type=float, default=3.0, help="of each attack")
    parser.add_argument("--loop", default="uvloop", choices=("uvloop", "asyncio"))
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        if given.loop == "uvloop":
            import uvloop

            run = uvloop.run
        else:
            run = asyncio.run
        with contextlib.suppress(KeyboardInterrupt):
            run(serve(given.serve))
        return
    print("| attack | turns | > 1 ms | median | 99 % | longest | weighted |")
    print("|---|---|---|---|---|---|---|")
    for name in given.attack or ATTACKS:
        print(row(name, measure(name, given.seconds, given.loop)), flush=True)


if __name__ == "__main__":
    main()
