"""Class bodies that record declarations: what makes `class App(Router): plug(...)` work."""

import inspect
from typing import Any


class ClassBody(dict[str, Any]):
    """The namespace of a class body in the making, and what was declared in it, in order.

    `plug`, `get` and the like find it as the local variables of their caller, so they work in
    loops and conditions of the body, and nowhere else.
    """

    __slots__ = ("class_name", "errors", "reserved", "routes", "steps")

    def __init__(self, class_name: str = "", reserved: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.class_name = class_name
        self.reserved = reserved
        self.steps: list[Any] = []
        self.routes: list[Any] = []
        self.errors: list[Any] = []

    def __setitem__(self, key: str, value: Any) -> None:
        # At once: after `def get` in a class body the next `@get` would call that method.
        if key in self.reserved and inspect.isfunction(value):
            raise TypeError(
                f"the method {key!r} of {self.class_name} would hide the one that plugpy needs; "
                "give it another name"
            )
        super().__setitem__(key, value)


class Declarative(type):
    """The metaclass of Pipeline and Router: it keeps what its class bodies declared.

    `declared_steps`, `declared_routes`, `declared_errors`: those of the class itself, without
    its bases.
    """

    declared_steps: list[Any]
    declared_routes: list[Any]
    declared_errors: list[Any]
    reserved_names: frozenset[str]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        # The class itself may be what an ASGI or WSGI server was told to serve.
        if args and isinstance(args[0], dict):
            from plugpy.interop.outward import answer, is_foreign

            if is_foreign(args):
                return answer(cls, args)
        return super().__call__(*args, **kwargs)

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **options: Any) -> ClassBody:
        reserved: frozenset[str] = frozenset()
        for base in bases:
            reserved |= getattr(base, "reserved_names", reserved)
        return ClassBody(name, reserved)

    def __new__(
        mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], /, **options: Any
    ) -> "Declarative":
        made = super().__new__(mcs, name, bases, dict(body), **options)
        recorded = body if isinstance(body, ClassBody) else ClassBody()
        made.declared_steps = recorded.steps
        made.declared_routes = recorded.routes
        made.declared_errors = recorded.errors
        for declaration in (*recorded.routes, *recorded.errors):
            declaration.owner = made
        return made

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], /, **_: Any):
        super().__init__(name, bases, body)
