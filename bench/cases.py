"""The cases, and what is to be reached in each: one table."""

from dataclasses import dataclass

from bench.servers import (
    FRAMEWORKS,
    LIMIT,
    PLUGPY,
    SOCKETIFY,
    STARLETTE,
    TLS_GRANIAN,
    TLS_HYPERCORN,
    TLS_PLUGPY,
    TLS_UVICORN,
    UVICORN,
    UVLOOP,
    Server,
    plugpy,
    uvicorn,
)

PER_PLUG = "each further plug, from 10 to 50"
FIRST_PLUGS = "each of the first 10 plugs"
IN_PROCESS = "each further plug, without a server"
SLEEPERS = 10_000
UNANSWERED = "requests of 10,000 that were not answered"
LATE = "requests of 10,000 that were not in progress together"


@dataclass(frozen=True)
class Target:
    """`subject` is to cost at most `at_most`: times what `against` costs, or in the case's unit."""

    subject: str
    at_most: float
    against: str = ""


@dataclass(frozen=True)
class Case:
    """What is measured, how (see bench.measures), and on which servers."""

    name: str
    title: str
    servers: tuple[Server, ...]
    targets: tuple[Target, ...] = ()
    measure: str = "requests"
    unit: str = "us"
    method: str = "GET"
    path: str = "/"
    body: bytes | None = None
    answer: bytes = b"Hello Plug!"
    script: str = ""
    arguments: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Arguments of the script, by the name of the server."""
    note: str = ""
    handshake: str = ""
    """"full" or "resumed": each request comes by a TLS connection of its own, without wrk."""


PLUGGED = plugpy("plugpy", "hello:PluggedRouter")
ASYNC = plugpy("plugpy", "hello:AsyncRouter")
ASGI = plugpy("plugpy, ASGI", "asgi:app", "--interface", "asgi")
RETURNING = plugpy("plugpy, returned value", "hello:ReturningRouter")
TEN_ROUTES = plugpy("plugpy, 10 routes", "routes:TEN")
THOUSAND_ROUTES = plugpy("plugpy, 1,000 routes", "routes:THOUSAND")
NO_PLUG = plugpy("plugpy, no plug", "plugs:NONE")
TEN_PLUGS = plugpy("plugpy, 10 plugs", "plugs:TEN")
FIFTY_PLUGS = plugpy("plugpy, 50 plugs", "plugs:FIFTY")
TWO_ACCEPTORS = plugpy("plugpy, 2 acceptors", "hello:HelloRouter", "--acceptors", "2")
HUNDRED_ACCEPTORS = plugpy("plugpy, 100 acceptors", "hello:HelloRouter", "--acceptors", "100")
CREATE_SERVER = Server("create_server", ("{python}", "-m", "bench.apps.create_server", "{port}"))
SLEEPY = plugpy("plugpy, 2 acceptors", "sleepy:SleepyRouter", "--acceptors", "2")
LOGGED = plugpy("plugpy", "hello:HelloRouter", "--access-log", quiet=True)
UVICORN_LOGGED = uvicorn("uvicorn bare", "bare_asgi:app", "--access-log")
H11 = plugpy("plugpy", "hello:HelloRouter", "--http", "h11")
UVICORN_H11 = uvicorn("uvicorn bare", "bare_asgi:app", "--http", "h11")
PATIENT_UVICORN = uvicorn("uvicorn bare", "bare_asgi:app", "--timeout-keep-alive", "75")
TLS_SERVERS = (TLS_PLUGPY, TLS_UVICORN, TLS_HYPERCORN, TLS_GRANIAN)
SEQUENTIAL = (
    "TLS 1.3 and a P-256 certificate, the same for all; one client in Python, one connection after "
    "the other, each opened, asked once, and closed by the server."
)
JSON_ANSWER = b'{"id":42,"name":"User 42"}'

CASES = (
    Case(
        "hello",
        "`GET /` by a router, sync handler",
        (LIMIT, UVLOOP, PLUGPY, RETURNING, *FRAMEWORKS),
        (
            Target("plugpy", 0.42, UVICORN.name),
            Target("plugpy", 0.29, STARLETTE.name),
            Target("plugpy", 1.0, SOCKETIFY.name),
            Target("plugpy", 1.65, LIMIT.name),
        ),
    ),
    Case(
        "plugged",
        "`GET /` behind Head and RequestId",
        (PLUGGED, UVICORN),
        (Target("plugpy", 0.52, UVICORN.name),),
    ),
    Case(
        "json",
        "`GET /users/:id` as JSON",
        (PLUGPY, RETURNING, *FRAMEWORKS),
        (
            Target("plugpy", 0.65, SOCKETIFY.name),
            Target("plugpy", 0.28, STARLETTE.name),
        ),
        path="/users/42",
        answer=JSON_ANSWER,
    ),
    Case(
        "async",
        "`async def` handler without suspension",
        (ASYNC, UVICORN),
        (Target("plugpy", 0.52, UVICORN.name),),
    ),
    Case(
        "asgi",
        "an ASGI app served by plugpy",
        (ASGI, UVICORN),
        (Target("plugpy, ASGI", 0.75, UVICORN.name),),
    ),
    Case(
        "pipelined",
        "pipelined by 16",
        (LIMIT, UVLOOP, PLUGPY, SOCKETIFY, UVICORN),
        (
            Target("plugpy", 0.15, UVICORN.name),
            Target("plugpy", 1.0, SOCKETIFY.name),
        ),
        script="pipeline",
    ),
    Case(
        "routes",
        "1,000 routes against 10",
        (TEN_ROUTES, THOUSAND_ROUTES),
        (Target(THOUSAND_ROUTES.name, 1.10, TEN_ROUTES.name),),
        path="/section-0/1000",
        script="routes",
        arguments=((TEN_ROUTES.name, ("10",)), (THOUSAND_ROUTES.name, ("1000",))),
        note="Ten paths in turn in both, spread over all routes.",
    ),
    Case(
        "plugs",
        "each further no-op plug",
        (NO_PLUG, TEN_PLUGS, FIFTY_PLUGS),
        (Target(PER_PLUG, 0.15), Target(IN_PROCESS, 0.15)),
        measure="plugs",
        note="The first plug makes a pipeline of a bare router; what that costs once is in the row "
        "of the first 10.",
    ),
    Case(
        "idle",
        "idle keep-alive connection",
        (UVLOOP, PLUGPY, SOCKETIFY, PATIENT_UVICORN),
        (Target("plugpy", 3.5),),
        measure="memory",
        unit="KB",
        note="What each of 5,000 idle connections that were answered once adds to the proportional "
        "set size; 1 KB is 1,000 bytes. What the kernel keeps for a socket is not in it.",
    ),
    Case(
        "connections",
        "new connection per request",
        (CREATE_SERVER, TWO_ACCEPTORS, HUNDRED_ACCEPTORS, UVICORN),
        (
            Target(TWO_ACCEPTORS.name, 1.3, CREATE_SERVER.name),
            Target(HUNDRED_ACCEPTORS.name, 1.3, CREATE_SERVER.name),
        ),
        script="close",
        note="create_server runs plugpy's HTTP protocol with the same router. bench/accept.py has "
        "the accept path alone, with a protocol that does nothing.",
    ),
    Case(
        "start",
        "time from start to first answer",
        (PLUGPY, *FRAMEWORKS),
        (Target("plugpy", 500),),
        measure="start",
        unit="ms",
        note="Wall time, the interpreter's own start included.",
    ),
    Case(
        "sleepers",
        "10,000 sleeping requests at once, 2 acceptors",
        (SLEEPY,),
        (Target(UNANSWERED, 0), Target(LATE, 0)),
        measure="sleepers",
        unit="",
    ),
    Case(
        "access-log",
        "`GET /` with the access log on",
        (LOGGED, UVICORN_LOGGED),
        note="Both write to a file that keeps nothing.",
    ),
    Case("h11", "`GET /` parsed by h11", (H11, UVICORN_H11)),
    Case(
        "post",
        "`POST /` with a body of 10 KB",
        (PLUGPY, SOCKETIFY, UVICORN, STARLETTE),
        method="POST",
        body=b"0123456789" * 1024,
        answer=b"10240",
        script="post",
    ),
    Case(
        "browser",
        "`GET /` with the head of a browser",
        (LIMIT, PLUGPY, SOCKETIFY, UVICORN, STARLETTE),
        script="browser",
        note="Eleven headers, 500 bytes.",
    ),
    Case(
        "browser-cookie",
        "`GET /` with the head of a browser that sends cookies",
        (LIMIT, PLUGPY, SOCKETIFY, UVICORN, STARLETTE),
        script="browser_cookie",
        note="Twelve headers, 700 bytes. plugpy keeps no head that holds credentials.",
    ),
    Case(
        "varied",
        "`GET /users/:id` as JSON, 10,000 ids in turn",
        (PLUGPY, SOCKETIFY, UVICORN, STARLETTE),
        path="/users/42",
        answer=JSON_ANSWER,
        script="users",
        note="No cache of request heads can help here.",
    ),
    Case(
        "varied-browser",
        "`GET /users/:id`, 10,000 ids in turn, with the head of a browser that sends cookies",
        (PLUGPY, SOCKETIFY, UVICORN, STARLETTE),
        path="/users/42",
        answer=JSON_ANSWER,
        script="browser_users",
    ),
    Case(
        "tls",
        "`GET /` over TLS",
        TLS_SERVERS,
        (Target("plugpy", 0.5, UVICORN.name), Target("plugpy", 0.9, TLS_GRANIAN.name)),
    ),
    Case(
        "tls-handshake",
        "a TLS connection with a full handshake and one `GET /`",
        TLS_SERVERS,
        (Target("plugpy", 1.1, UVICORN.name),),
        note=f"{SEQUENTIAL} No session is offered.",
        handshake="full",
    ),
    Case(
        "tls-resumed",
        "a TLS connection that resumes a session, and one `GET /`",
        TLS_SERVERS,
        (Target("plugpy", 1.1, UVICORN.name),),
        note=f"{SEQUENTIAL} Each offers the newest ticket of the one before.",
        handshake="resumed",
    ),
)

BY_NAME = {case.name: case for case in CASES}
