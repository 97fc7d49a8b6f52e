"""Route: one line of a router, as it was declared, and what `conn.route` tells of it."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from plugpy.pipeline.steps import describe, did_you_mean
from plugpy.router.mounting import check_target_options
from plugpy.router.pattern import Pattern, parse

Function = TypeVar("Function", bound=Callable[..., Any])

STANDARD_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods that have a decorator, in the order that Allow lists them."""

ROUTE_OPTIONS = frozenset(
    {
        "assigns",
        "cancel_on_disconnect",
        "host",
        "init_opts",
        "max_body",
        "methods",
        "name",
        "plugs",
        "private",
        "timeout",
        "to",
        "via",
        "when",
    }
)


class Route:
    """A route. `conn.route` is the one that matched.

    pattern str, accumulated through forwards ("/api/users/:id") · name str or None · methods
    frozenset[str], or None for any · host str or None, a prefix where it ends with "." · handler,
    what was declared · forward bool · when, the guard · plugs tuple · assigns, private dicts

    What the server asks of it: max_body, bytes of request body in place of the server's limit ·
    timeout, seconds for the whole request in place of the server's · cancel_on_disconnect, False
    for an async handler that must finish though its client has left
    """

    __slots__ = (
        "_mounted",
        "assigns",
        "cancel_on_disconnect",
        "forward",
        "handler",
        "host",
        "index",
        "max_body",
        "methods",
        "name",
        "named",
        "options",
        "owner",
        "parent",
        "pattern",
        "plugs",
        "private",
        "spec",
        "timeout",
        "to",
        "when",
    )

    def __init__(
        self,
        path: str,
        methods: frozenset[str] | None,
        *,
        to: Any = None,
        init_opts: Mapping[str, Any] | None = None,
        host: Any = None,
        when: Any = None,
        assigns: Mapping[str, Any] | None = None,
        private: Mapping[str, Any] | None = None,
        plugs: Iterable[Any] = (),
        name: Any = None,
        max_body: Any = None,
        timeout: Any = None,
        cancel_on_disconnect: bool = True,
        forward: bool = False,
        **options: Any,
    ) -> None:
        if to is None and options:
            unknown = next(iter(options))
            raise TypeError(
                f"a route has no option {unknown!r}{did_you_mean(unknown, ROUTE_OPTIONS)}"
            )
        if host is not None and (not isinstance(host, str) or not host):
            raise TypeError(
                f"host is a name such as 'example.com' or a prefix 'api.', got {host!r}"
            )
        if when is not None and not callable(when):
            raise TypeError(f"when takes a callable of the conn, got {when!r}")
        if name is not None and not (isinstance(name, str) and name):
            raise TypeError(f"the name of a route is a str, got {name!r}")
        if max_body is not None and (not isinstance(max_body, int) or max_body < 0):
            raise TypeError(f"max_body is a number of bytes, got {max_body!r}")
        if timeout is not None and (not isinstance(timeout, int | float) or timeout <= 0):
            raise TypeError(f"timeout is a number of seconds above 0, got {timeout!r}")
        self.max_body: int | None = max_body
        self.timeout: float | None = timeout
        self.cancel_on_disconnect = bool(cancel_on_disconnect)
        self.spec: Pattern = parse(f"{path}/*_rest" if forward else path)
        self.pattern = self.spec.text
        self.methods = methods
        self.to = to
        self.options = {**(init_opts or {}), **options}
        self.host = None if host is None else host.lower()
        self.when = when
        self.assigns = dict(assigns or {})
        self.private = dict(private or {})
        self.plugs = tuple(plugs)
        self.name = name
        self.named = name is not None
        self.forward = forward
        self.handler: Any = to
        self.owner: Any = None
        self.index = -1
        self.parent: Route | None = None
        self._mounted: dict[Route, Route] | None = None
        if to is not None:
            if self.options and not isinstance(to, str):
                check_target_options(to, self.options)
            self._default_name()

    # As a decorator -------------------------------------------------------------------------------

    def __call__(self, handler: Function) -> Function:
        """Take the decorated function as handler; it stays what it was."""
        if self.handler is not None:
            raise TypeError(f"the route {self.pattern} has a handler already: {self.handler!r}")
        if not isinstance(handler, Callable | staticmethod | classmethod):  # type: ignore[arg-type]
            raise TypeError(f"the handler of {self.pattern} must be callable, got {handler!r}")
        self.handler = handler
        self._default_name()
        with suppress(AttributeError, TypeError):  # what is no function can't be marked
            handler.is_route_handler = True  # type: ignore[attr-defined]
        return handler

    def _default_name(self) -> None:
        if self.name is None and not self.forward:
            name = getattr(self.handler, "__name__", None)
            self.name = None if name == "<lambda>" else name

    # In use ---------------------------------------------------------------------------------------

    def copy(self) -> "Route":
        """The same declaration for one router: index and mounts are its own."""
        made: Route = object.__new__(Route)
        for slot in Route.__slots__:
            setattr(made, slot, getattr(self, slot))
        made._mounted = None
        return made

    def under(self, parent: "Route | None") -> "Route":
        """This route as `conn.route` shows it when its router was forwarded to by `parent`."""
        if parent is None or not parent.forward:
            return self
        mounted = parent._mounted
        if mounted is None:
            mounted = parent._mounted = {}
        route = mounted.get(self)
        if route is None:
            route = mounted[self] = self.copy()
            prefix = parent.pattern.removesuffix("/*_rest")
            route.pattern = prefix + self.pattern if self.pattern != "/" else prefix or "/"
            route.parent = parent
        return route

    def describe(self) -> str:
        """The handler's name, for messages and tables."""
        return describe(self.handler)

    def __repr__(self) -> str:
        methods = "*" if self.methods is None else ",".join(sorted(self.methods))
        return f"<Route {methods} {self.pattern}>"


def method_set(via: Any, methods: Any) -> frozenset[str] | None:
    """The methods of `match` and `forward`: upper case; None means any, unknown ones too.

    Raises TypeError when both are given, ValueError for what is no method (RFC 9110 section 9.1).
    """
    if via is not None and methods is not None:
        raise TypeError("via and methods are two names of one option, give one of them")
    given = methods if via is None else via
    if given is None:
        return None
    names = [given] if isinstance(given, str) else list(given)
    if not names:
        raise ValueError("via has no methods; leave it out to match any")
    for name in names:
        if not isinstance(name, str) or not name.replace("-", "").isalnum():
            raise ValueError(f"via takes names of methods such as 'GET', got {name!r}")
    return frozenset(name.upper() for name in names)
