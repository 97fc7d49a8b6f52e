"""Routers behind plugs that do nothing. Run as a script, it measures them without a server."""

import timeit

from plugpy.conn import Conn
from plugpy.pipeline import compile_pipeline
from plugpy.router import Router


def no_op(conn: Conn) -> Conn:
    """Do nothing."""
    return conn


def index(conn: Conn) -> Conn:
    """The page."""
    return conn.send_resp(200, "Hello Plug!")


def behind(number: int) -> Router:
    """A router with the page, behind `number` plugs."""
    router = Router(plugs=[no_op] * number)
    router.get("/", index)
    return router


NONE = behind(0)
TEN = behind(10)
FIFTY = behind(50)


def main() -> None:
    """Print what a plug adds to a compiled pipeline, in microseconds: the best of ten."""
    from plugpy.testing import conn

    one = conn("GET", "/")
    best = []
    for number in (1, 51):
        call = compile_pipeline([no_op] * number)
        names = {"call": call, "conn": one}
        best.append(min(timeit.repeat("call(conn)", globals=names, number=20_000, repeat=10)))
    print((best[1] - best[0]) / 20_000 / 50 * 1e6)


if __name__ == "__main__":
    main()
