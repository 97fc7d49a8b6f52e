"""Ranch's functions: what a program says to its listeners, by their names (module ranch)."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal

from acceptors.acceptor import Acceptor
from acceptors.connection import Connection
from acceptors.connections import Connections
from acceptors.errors import NoListenerError
from acceptors.listener import Listener, Status, find, root_cause, running
from acceptors.options import TransportOptions
from acceptors.otp import ChildSpec, Process, StartError

OPERATORS: Final[dict[str, Callable[[int, int], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "=<": operator.le,
    "<=": operator.le,
    "<": operator.lt,
}

Options = TransportOptions | Mapping[str, Any] | None


async def start_listener(
    ref: Any, options: Options, protocol: Any, protocol_options: Any = None
) -> Listener:
    """Start a listener that accepts when this returns (ranch:start_listener/5).

    ref: its name, anything hashable. options: TransportOptions or a dict of them. protocol: a class
    in the shape of acceptors.Connection. protocol_options: handed to each connection as it is.
    Raises OptionError, AlreadyStartedError, OSError (the address is in use, not allowed ...).
    """
    try:
        return await Listener.open(ref, options, protocol, protocol_options, link=False)
    except StartError as error:
        raise root_cause(error) from None


def child_spec(
    ref: Any, options: Options, protocol: Any, protocol_options: Any = None
) -> ChildSpec:
    """A listener as the child of a supervisor of yours (ranch:child_spec/5)."""
    return ChildSpec(
        id=("listener", ref),
        start=Listener.open,
        args=(ref, options, protocol, protocol_options),
        kwargs={"link": True},
        type="supervisor",
        modules=(protocol,),
    )


async def stop_listener(ref: Any) -> None:
    """Stop accepting, give connections `shutdown` to finish, close (ranch:stop_listener/1).

    Raises NoListenerError.
    """
    await find(ref).stop("shutdown")


async def suspend_listener(ref: Any) -> None:
    """Close the listening sockets; connections live on (ranch:suspend_listener/1)."""
    await find(ref).suspend()


async def resume_listener(ref: Any) -> None:
    """Listen again on the same address (ranch:resume_listener/1). Raises OSError."""
    await find(ref).resume()


def get_status(ref: Any) -> Status:
    """ "running" or "suspended" (ranch:get_status/1)."""
    return find(ref).status


def get_addr(ref: Any) -> Any:
    """What getsockname gives: (host, port), (host, port, flow, scope), a path; None while suspended
    (ranch:get_addr/1)."""
    sockets = find(ref).sockets
    return sockets[0].getsockname() if sockets else None


def get_port(ref: Any) -> int | None:
    """The TCP port; None on a unix socket and while suspended (ranch:get_port/1)."""
    address = get_addr(ref)
    return int(address[1]) if isinstance(address, tuple) else None


def get_max_connections(ref: Any) -> int | Literal["infinity"]:
    """The limit (ranch:get_max_connections/1)."""
    return find(ref).options.max_connections


def set_max_connections(ref: Any, limit: int | Literal["infinity"]) -> None:
    """Change the limit at once; connections over a lower one live on
    (ranch:set_max_connections/2). Raises OptionError."""
    find(ref).change({"max_connections": limit})


def get_transport_options(ref: Any) -> TransportOptions:
    """The options as they are now (ranch:get_transport_options/1)."""
    return find(ref).options


def set_transport_options(ref: Any, options: TransportOptions | Mapping[str, Any]) -> None:
    """Change options: a dict changes those that it names. docs/reference/acceptors.md tells which
    take effect at once (ranch:set_transport_options/2). Raises OptionError."""
    find(ref).change(options)


def get_protocol_options(ref: Any) -> Any:
    """What new connections are given (ranch:get_protocol_options/1)."""
    return find(ref).protocol_options


def set_protocol_options(ref: Any, options: Any) -> None:
    """Change what the next connections are given (ranch:set_protocol_options/2)."""
    find(ref).protocol_options = options


def info(ref: Any = ...) -> dict[Any, Any]:
    """Facts of one listener, or of all by name (ranch:info/1 and /0).

    Shape: pid, status, ip, port, max_connections, active_connections (those that count),
    all_connections, acceptors, transport ("tcp", "tls", "unix"), transport_options, protocol,
    protocol_options, metrics {"accept": int, "terminate": int}.
    """
    if ref is ...:
        facts = {}
        for listener in running():
            # One that is starting, or ending, has nothing to tell.
            with suppress(NoListenerError):
                facts[listener.ref] = info(listener.ref)
        return facts
    listener = find(ref)
    connections = listener.connections
    pool = listener.acceptors
    address = get_addr(ref)
    options = listener.options
    transport = "tls" if options.ssl else "unix" if isinstance(address, str) else "tcp"
    return {
        "pid": listener.pid,
        "status": listener.status,
        "ip": address[0] if isinstance(address, tuple) else address,
        "port": get_port(ref),
        "max_connections": options.max_connections,
        "active_connections": connections.active,
        "all_connections": len(connections.children),
        "acceptors": len(pool.children) if pool is not None else 0,
        "transport": transport,
        "transport_options": {
            field.name: getattr(options, field.name) for field in dataclasses.fields(options)
        },
        "protocol": listener.protocol,
        "protocol_options": listener.protocol_options,
        "metrics": {"accept": connections.accepted, "terminate": connections.terminated},
    }


def procs(ref: Any, kind: Literal["acceptors", "connections"]) -> list[Any]:
    """The processes of one kind, oldest first (ranch:procs/2)."""
    listener = find(ref)
    if kind == "connections":
        return [c for c in listener.connections.children.values() if isinstance(c, Connection)]
    if kind == "acceptors":
        pool = listener.acceptors
        return [a for a in pool.children.values() if isinstance(a, Acceptor)] if pool else []
    raise ValueError(f'procs are "acceptors" or "connections", got {kind!r}')


async def wait_for_connections(
    ref: Any, comparison: Literal[">", ">=", "==", "=<", "<=", "<"], number: int
) -> None:
    """Wait until the number of connections that count compares so; also ends when the listener
    does (ranch:wait_for_connections/3, without its polling). Raises ValueError."""
    if comparison not in OPERATORS:
        raise ValueError(f"comparison is one of {', '.join(OPERATORS)}, got {comparison!r}")
    compare = OPERATORS[comparison]
    await find(ref).connections.wait(lambda count: compare(count, number))


def drain(
    ref: Any,
    select: Callable[[Connection], bool] | None = None,
    *,
    timeout: float | None = None,
) -> list[Connection]:
    """Let connections finish what they do and close, while the listener goes on accepting.

    select: which; None for all that are there now. timeout: seconds until those that have not
    finished are cancelled, and killed `connections.CANCEL_GRACE` later; None: they have all the
    time. Returns at once, with the connections that were told: `await connection.join()` waits for
    the end of one. Raises NoListenerError.
    """
    connections = find(ref).connections
    chosen = [
        process
        for process in connections.children.values()
        if isinstance(process, Connection) and (select is None or select(process))
    ]
    connections.drain(chosen, timeout)
    return chosen


def remove_connection(connection: Process) -> None:
    """Let a long-lived connection count against max_connections no more
    (ranch:remove_connection/1)."""
    parent = connection.parent
    if isinstance(parent, Connections):
        parent.remove(connection)
