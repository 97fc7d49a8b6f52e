"""TypedHandler: a handler with its parameters read from the request and its result sent."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from types import CoroutineType
from typing import Any

from plugpy.api.answering import Returns
from plugpy.api.errors import Fault, ValidationError
from plugpy.api.models import is_model_class
from plugpy.api.options import TypedOptions, options_of
from plugpy.api.parameters import Parameter, Signature, hints_of, signature
from plugpy.api.places import Body, Form, Path, place_of
from plugpy.api.reading import ABSENT, REQUIRED, Read, body_reader, path_reader, reader
from plugpy.conn.conn import Conn


def is_typed(handler: Callable[..., Any]) -> bool:
    """Whether a handler is typed: decorated by `typed`, or with a marker or a model among its
    annotations."""
    if options_of(handler) is not None:
        return True
    try:
        hints = hints_of(handler)
    except TypeError:
        return False
    hints.pop("return", None)
    return any(
        is_model_class(hint)
        or any(place_of(item) is not None for item in getattr(hint, "__metadata__", ()))
        for hint in hints.values()
    )


class TypedHandler:
    """`call(conn, *values)` reads, calls and answers, and gives the conn or an awaitable of it.

    path: the parameters from the path, in the order in which `values` are to be given. parameters,
    returns, options, variables (names, all of the path): for the OpenAPI document.
    """

    __slots__ = ("_call", "handler", "options", "path", "returns", "signature", "variables")
    checks_plugs = True

    def __init__(self, handler: Callable[..., Any], variables: Sequence[str]) -> None:
        """variables: names of the path's variables. Raises TypeError for a handler that asks for
        what can't be had, ImportError without msgspec and pydantic."""
        self.handler = handler
        self.variables = tuple(variables)
        self.options = options_of(handler) or TypedOptions()
        self.signature: Signature = signature(handler, variables)
        self.returns = Returns(handler, self.signature.returns, self.options.status)
        self.path: tuple[Parameter, ...] = tuple(
            one for one in self.signature.parameters if isinstance(one.place, Path)
        )
        self._call = self._compiled()

    def __call__(self, conn: Conn, *values: Any) -> Conn | Awaitable[Conn]:
        return self._call(conn, values)

    def _compiled(self) -> Callable[[Conn, Sequence[Any]], Conn | Awaitable[Conn]]:
        parameters = self.signature.parameters
        takes_conn, handler, answer = self.signature.conn, self.handler, self.returns.answer
        variables = [(one.argument, path_reader(one)) for one in self.path]
        readers: list[tuple[str, Read, Parameter]] = [
            (one.argument, reader(one), one)
            for one in parameters
            if not isinstance(one.place, Path | Body | Form)
        ]
        read_body = body_reader(parameters)

        def gathered(conn: Conn, values: Sequence[Any], faults: list[Fault]) -> dict[str, Any]:
            arguments: dict[str, Any] = {} if takes_conn is None else {takes_conn: conn}
            for (argument, read_variable), value in zip(variables, values, strict=True):
                arguments[argument] = read_variable(value, faults)
            for argument, read, parameter in readers:
                value = read(conn, faults)
                if value is ABSENT:
                    if parameter.required:
                        faults.append(Fault(parameter.place.where, parameter.name, (), REQUIRED))
                    value = parameter.fresh_default()
                arguments[argument] = value
            return arguments

        async def finish(conn: Conn, awaitable: Awaitable[Any]) -> Conn:
            result: Any = await awaitable
            return conn if result is conn else answer(conn, result)

        def run(conn: Conn, arguments: dict[str, Any]) -> Any:
            result = handler(**arguments)
            if result is conn:
                return conn
            if type(result) is CoroutineType or inspect.isawaitable(result):
                return finish(conn, result)
            return answer(conn, result)

        def call(conn: Conn, values: Sequence[Any]) -> Conn | Awaitable[Conn]:
            faults: list[Fault] = []
            arguments = gathered(conn, values, faults)
            if faults:
                raise ValidationError(faults)
            result: Conn | Awaitable[Conn] = run(conn, arguments)
            return result

        if read_body is None:
            return call

        async def call_with_body(conn: Conn, values: Sequence[Any]) -> Conn:
            faults: list[Fault] = []
            arguments = gathered(conn, values, faults)
            arguments.update(await read_body(conn, faults))
            if faults:
                raise ValidationError(faults)
            result = run(conn, arguments)
            if result is not conn:
                await result
            return conn

        return call_with_body
