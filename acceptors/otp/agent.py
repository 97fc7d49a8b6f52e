"""Agent: a process that holds a value. Source: Elixir's Agent."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from acceptors.otp.calls import CALL_TIMEOUT, From, call, cast
from acceptors.otp.gen_server import GenServer
from acceptors.otp.names import Destination


class Agent(GenServer):
    """Holds what `start_link(make)` made; the functions given to it run in its process."""

    value: Any

    async def init(self, make: Callable[..., Any], *args: Any) -> None:
        """Hold `make(*args)`; `make` may be async."""
        self.value = await _result(make(*args))

    async def handle_call(self, request: Any, from_: From) -> Any:
        """Serve get, update and get_and_update."""
        operation, function, args = request
        result = await _result(function(self.value, *args))
        if operation == "get":
            return result
        if operation == "update":
            self.value = result
            return None
        answer, self.value = result
        return answer

    async def handle_cast(self, request: Any) -> None:
        """Serve Agent.cast."""
        function, args = request
        self.value = await _result(function(self.value, *args))

    @staticmethod
    async def get(
        agent: Destination,
        function: Callable[..., Any],
        *args: Any,
        timeout: float | None = CALL_TIMEOUT,  # noqa: ASYNC109
    ) -> Any:
        """`function(value, *args)`."""
        return await call(agent, ("get", function, args), timeout)

    @staticmethod
    async def update(
        agent: Destination,
        function: Callable[..., Any],
        *args: Any,
        timeout: float | None = CALL_TIMEOUT,  # noqa: ASYNC109
    ) -> None:
        """Hold `function(value, *args)` from now on."""
        await call(agent, ("update", function, args), timeout)

    @staticmethod
    async def get_and_update(
        agent: Destination,
        function: Callable[..., Any],
        *args: Any,
        timeout: float | None = CALL_TIMEOUT,  # noqa: ASYNC109
    ) -> Any:
        """`function(value, *args)` returns (answer, new value)."""
        return await call(agent, ("get_and_update", function, args), timeout)

    @staticmethod
    def cast(agent: Destination, function: Callable[..., Any], *args: Any) -> None:
        """`update` without waiting for it."""
        cast(agent, (function, args))


async def _result(value: Any) -> Any:
    return await value if isawaitable(value) else value
