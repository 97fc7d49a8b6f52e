"""What routing costs, in microseconds: by number of routes, kind of route, and number of plugs.

    python bench/router.py

Each figure is the best of several rounds, with the cost of calling a bare handler taken off, so
it is what the router itself adds. No server and no socket is involved.
"""

import sys
import time
import timeit
from collections.abc import Callable
from typing import Any

from plugpy.conn import Conn
from plugpy.pipeline import compile_pipeline
from plugpy.router import Router
from plugpy.testing import TestAdapter
from plugpy.testing import conn as make_conn

ROUNDS = 60
CALLS = 4_000


def handler(conn: Conn) -> Conn:
    return conn


def with_id(conn: Conn, number: int) -> Conn:
    return conn


def no_op(conn: Conn) -> Conn:
    return conn


def costs(calls: dict[Any, tuple[Callable[[Conn], Any], Conn]]) -> dict[Any, float]:
    """Microseconds of one call of each: CPU time, the best of many short rounds that take turns,
    so that other processes of the machine hardly count."""
    timers = {
        key: timeit.Timer("call(conn)", timer=time.process_time, globals={"call": call, "conn": c})
        for key, (call, c) in calls.items()
    }
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for key, timer in timers.items():
            best[key] = min(best[key], timer.timeit(CALLS) / CALLS * 1e6)
    return best


def router(routes: int) -> Router:
    """`routes` routes, half of them with a variable."""
    made = Router()
    for number in range(routes // 2):
        made.get(f"/static{number}/page")(handler)
        made.get(f"/users{number}/:number")(with_id)
    return made


def show(label: str, *figures: float) -> None:
    print(f"{label:<48}" + "".join(f"{figure:9.3f}" for figure in figures))


def main() -> None:
    print(f"CPython {sys.version.split()[0]}")
    calls: dict[Any, tuple[Callable[[Conn], Any], Conn]] = {"bare": (handler, make_conn())}
    kinds = ("static", "dynamic, id: int", "404", "405", "escaped")
    for routes in (10, 1000):
        application = router(routes).compile()
        last = routes // 2 - 1
        paths = (
            f"/static{last}/page",
            f"/users{last}/42",
            f"/no{last}/42/x",
            f"/static{last}/page",
        )
        for kind, path in zip(kinds, (*paths, f"/static{last}/p%61ge"), strict=True):
            conn = make_conn("POST" if kind == "405" else "GET", path)
            if kind in ("404", "405"):
                conn.adapter = _Nowhere()
            calls[kind, routes] = (_renewed(application, conn), conn)
    deep = Router()
    deep.get("/a/:b/c/:d/e/:f")(handler)
    calls["deep"] = (deep.compile(), make_conn("GET", "/a/1/c/2/e/3"))
    calls["one plug"] = (compile_pipeline([no_op]), make_conn())
    calls["21 plugs"] = (compile_pipeline([no_op] * 21), make_conn())
    behind = Router(plugs=[no_op] * 5)
    behind.get("/")(handler)
    calls["behind"] = (behind.compile(), make_conn())
    found = costs(calls)
    for kind in kinds:
        few, many = (found[kind, routes] - found["bare"] for routes in (10, 1000))
        show(f"{kind}: 10 routes, 1,000 routes, ratio", few, many, many / few)
    show("three variables in six segments", found["deep"] - found["bare"])
    show("static route behind five no-op plugs", found["behind"] - found["bare"])
    show("each further no-op plug", (found["21 plugs"] - found["one plug"]) / 20)


class _Nowhere(TestAdapter):
    """An adapter that drops what is sent."""

    def send_resp(self, conn: Any, body: bytes, kind: str = "") -> None:
        pass


def _renewed(application: Callable[[Conn], Any], conn: Conn) -> Callable[[Conn], Any]:
    """For answers that the router sends: the conn is made unsent before each call."""
    if not isinstance(conn.adapter, _Nowhere):
        return application

    def call(conn: Conn) -> Any:
        conn.state = "unset"
        conn.halted = False
        return application(conn)

    return call


if __name__ == "__main__":
    main()
