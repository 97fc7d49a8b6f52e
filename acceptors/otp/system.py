"""Requests to the process of any GenServer, whatever its callbacks are. Source: sys(3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from acceptors.otp.calls import CALL_TIMEOUT, SystemMessage, ask
from acceptors.otp.names import Destination


async def get_state(destination: Destination) -> Any:
    """The GenServer instance of a server. It is shared, not copied: look, do not touch."""
    return await _request(destination, "get_state")


async def replace_state(destination: Destination, change: Callable[[Any], Any]) -> Any:
    """Have the server go on with `change(instance)`; returns that."""
    return await _request(destination, "replace_state", change)


async def suspend(destination: Destination) -> None:
    """Serve system requests and the parent's EXIT only; other messages wait."""
    await _request(destination, "suspend")


async def resume(destination: Destination) -> None:
    """Serve all messages again."""
    await _request(destination, "resume")


async def get_status(destination: Destination) -> dict[str, Any]:
    """What the process is and does, with `state` and `status` ("running" or "suspended").

    The server's `format_status` has the last word on what is in it.
    """
    status: dict[str, Any] = await _request(destination, "get_status")
    return status


async def statistics(destination: Destination, switch: bool | None = None) -> dict[str, Any] | None:
    """Count from now on (True), stop (False), or say what was counted (None, the default).

    The counts are messages_in, calls, casts, system, info, and seconds; None when nothing counts.
    """
    counted: dict[str, Any] | None = await _request(destination, "statistics", switch)
    return counted


async def trace(destination: Destination, switch: bool) -> None:
    """Log (info) the kind of every message that the server gets, not what is in it."""
    await _request(destination, "trace", switch)


async def change_code(
    destination: Destination, module: type | None, old_version: Any = None, extra: Any = None
) -> Any:
    """Make the server an instance of `module` (None: as it is) and run its `code_change`."""
    return await _request(destination, "change_code", module, old_version, extra)


async def _request(destination: Destination, operation: str, *arguments: Any) -> Any:
    return await ask(
        destination, operation, CALL_TIMEOUT, lambda f: SystemMessage(f, operation, arguments)
    )
