"""Router: routes and the plugs around them, a plug itself (Plug.Router)."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

from plugpy.conn.conn import Conn
from plugpy.conn.errors import MethodNotAllowedError, NoRouteError
from plugpy.pipeline.compiler import Application, compile_pipeline, with_parts
from plugpy.pipeline.pipeline import Pluggable
from plugpy.pipeline.steps import Step, as_step, check_plug, find_method, make
from plugpy.router import urls
from plugpy.router.binding import Arguments, bind
from plugpy.router.declarations import ErrorHandler, forward_route, route
from plugpy.router.endpoint import DISPATCH, Endpoint
from plugpy.router.events import DispatchEvents
from plugpy.router.forwarding import forwarder
from plugpy.router.matcher import Matcher
from plugpy.router.mounting import mounted
from plugpy.router.refusals import (
    ErrorHandlers,
    allow_header,
    answer_options,
    answer_refusal,
    refusal,
)
from plugpy.router.route import Route
from plugpy.router.typed import typed_arguments, typed_handler


class Router(Pluggable):
    """Routes over one compiled engine, in either form:

        router = Router()                        class App(Router):
        router.plug(RequestId)                       plug(RequestId)

        @router.get("/users/:id")                    @get("/users/:id")
        def show(conn, id: int):                     def show(self, conn, id: int):
            return {"id": id}                            return {"id": id}

    The first route that matches, in the order of definition, serves the request. A subclass tries
    its own routes before those of its base, and inherits the plugs unless it declares some.

    Options of the class or the instance, all but the first two True by default:
    log_on_halt (None): a log level. telemetry (False): events for each request that a route serves,
    see plugpy.router.events. automatic_head: a GET route serves HEAD. automatic_options:
    OPTIONS is answered 204 with Allow. method_not_allowed: 405 with Allow where the path has routes
    for other methods, else that is a 404. not_found: 404 is answered; else NoRouteError is raised.
    """

    OPTIONS: ClassVar[dict[str, Any]] = {
        **Pluggable.OPTIONS,
        "automatic_head": True,
        "automatic_options": True,
        "method_not_allowed": True,
        "not_found": True,
        "telemetry": False,
    }

    _routes: list[Route]
    _errors: list[ErrorHandler]
    _matcher: Matcher | None
    _targets: dict[Route, Any]
    _others: list[tuple[Any, Mapping[str, Any], Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        self._routes = [
            made for base in cls.__mro__ for made in base.__dict__.get("declared_routes", ())
        ]
        self._errors = [
            made for base in cls.__mro__ for made in base.__dict__.get("declared_errors", ())
        ]
        self._matcher = None
        self._targets = {}
        self._others = []
        return self

    def __init__(
        self, plugs: Iterable[Any] = (), routes: Iterable[Route] = (), **options: Any
    ) -> None:
        super().__init__(plugs, **options)
        self._routes += routes

    # Declaring ------------------------------------------------------------------------------------

    def _add(self, method: str | None, path: str, handler: Any, options: dict[str, Any]) -> Route:
        self._check_open((method or "match").lower())
        made = route(method, path, handler, options)
        self._routes.append(made)
        return made

    def get(self, path: str, handler: Any = None, /, **options: Any) -> Route:
        """Declare a route for GET: decorate a handler, or give it. See plugpy.router.get."""
        return self._add("GET", path, handler, options)

    def head(self, path: str, handler: Any = None, /, **options: Any) -> Route:
        """Declare a route for HEAD. See plugpy.router.get."""
        return self._add("HEAD", path, handler, options)

    def post(self, path: str, handler: Any = None, /, **options: Any) -> Route:
        """Declare a route for POST. See plugpy.router.get."""
        return self._add("POST", path, handler, options)

    def put(self, path: str, handler: Any = None, /, **options: Any) -> Route:
        """Declare a route for PUT. See plugpy.router.get."""
        return self._add("PUT", path, handler, options)

    def patch(self, path: str, handler: Any = None, /, **options: Any) -> Route:
        """Declare a route for PATCH. See plugpy.router.get."""
        return self._add("PATCH", path, handler, options)

    def delete(self, path: str, handler: Any = None, /, **options: Any) -> Route:
        """Declare a route for DELETE. See plugpy.router.get."""
        return self._add("DELETE", path, handler, options)

    def options(self, path: str, handler: Any = None, /, **options: Any) -> Route:
        """Declare a route for OPTIONS. See plugpy.router.get."""
        return self._add("OPTIONS", path, handler, options)

    def match(self, path: str = "/*_rest", handler: Any = None, /, **options: Any) -> Route:
        """Declare a route for the methods of `via`, or any. See plugpy.router.match."""
        return self._add(None, path, handler, options)

    def forward(self, path: str, to: Any = None, **options: Any) -> Route:
        """Hand requests at and below `path` to another plug. See plugpy.router.forward."""
        self._check_open("forward")
        made = forward_route(path, to, options)
        self._routes.append(made)
        return made

    def error(self, key: int | type[Exception]) -> ErrorHandler:
        """Declare an error handler, as a decorator. See plugpy.router.error."""
        self._check_open("error")
        made = ErrorHandler(key)
        self._errors.append(made)
        return made

    # Asking ---------------------------------------------------------------------------------------

    def path_for(
        self,
        name: str,
        /,
        *,
        _query: Mapping[str, Any] | None = None,
        _fragment: str | None = None,
        **variables: Any,
    ) -> str:
        """The path of the route `name`, from this router's root, percent-encoded.

        router.path_for("show", id=3, _query={"page": 2}) == "/users/3?page=2"

        A route's name is that of its handler unless it was given one; behind a named forward it
        is "forward.route". A glob takes a list of segments, or a str with slashes. Raises
        UnknownRouteError, TypeError for wrong variables, ValueError for a value that the route
        would not match.
        """
        return urls.path_for(self, name, variables, _query, _fragment)

    def url_for(
        self,
        name: str,
        /,
        *,
        _conn: Conn | None = None,
        _query: Mapping[str, Any] | None = None,
        _fragment: str | None = None,
        **variables: Any,
    ) -> str:
        """As `path_for`; with `_conn` the full URL, by the request's scheme, host, port, and, when
        this router was forwarded to, the path that leads to it."""
        path = urls.path_for(self, name, variables, _query, _fragment)
        if _conn is None:
            return path
        default = {"http": 80, "https": 443}.get(_conn.scheme)
        port = "" if _conn.port in (default, 0) else f":{_conn.port}"
        prefix = "".join("/" + segment for segment in _conn.script_name)
        if prefix and path == "/":
            path = ""
        return f"{_conn.scheme}://{_conn.host}{port}{prefix}{path}"

    def endpoints(self) -> Sequence[Endpoint]:
        """The compiled routes in the order in which they are tried. Compiles the router."""
        self.compile()
        assert self._matcher is not None
        return self._matcher.endpoints

    def forwarded(self, route: Route) -> "Router | None":
        """The router that a route of this one forwards to, if it is one."""
        target = self._targets.get(route)
        return target if isinstance(target, Router) else None

    # Compiling ------------------------------------------------------------------------------------

    def _compile(self) -> Application:
        if not self._routes:
            raise ValueError(
                f"no routes are defined in {type(self).__name__}; declare one, or use a Pipeline"
            )
        steps = self._steps
        names = [step.plug for step in steps if isinstance(step.plug, str)]
        split = self._check_split(names)
        handlers = ErrorHandlers()
        for declared in self._errors:
            if declared.handler is None:
                raise TypeError(f"error({declared.key!r}) has no handler: decorate a function")
            handlers.add(declared.key, self._bound(declared, declared.handler))
        routes = [self._numbered(index, made) for index, made in enumerate(self._routes)]
        self._check_names(routes)
        methods = self._methods(routes)
        matcher = Matcher(
            [self._endpoint(made, methods[made], split) for made in routes], self._refused
        )
        self._matcher = matcher
        title = type(self).__name__
        level = self._settings["log_on_halt"]
        if split:
            stand_ins = {"match": matcher.search(), "dispatch": _dispatch}
            steps = [
                Step(stand_ins[step.plug], {})
                if isinstance(step.plug, str) and step.plug in stand_ins
                else step
                for step in steps
            ]
            tail = None
        else:
            tail = matcher.tail()
        application = compile_pipeline(steps, log_on_halt=level, title=title, owner=self, tail=tail)
        served: Any = handlers.around(application) if handlers else application
        parts = list(application.parts)  # type: ignore[attr-defined]
        parts += self._targets.values()
        for endpoint in matcher.endpoints:
            parts += endpoint.parts
        served.ends_pipeline = True  # for plugpy.pipeline.order
        return with_parts(served, parts)  # type: ignore[no-any-return]

    def _check_split(self, names: list[str]) -> bool:
        """Whether match and dispatch are placed by hand."""
        placed = [name for name in names if name in ("match", "dispatch")]
        if placed not in ([], ["match", "dispatch"]):
            raise ValueError(
                f"{type(self).__name__}: plug('match') and plug('dispatch') go together, once each "
                f"and in this order; got {' and '.join(placed)}"
            )
        return bool(placed)

    def _numbered(self, index: int, declared: Route) -> Route:
        if declared.handler is None:
            raise TypeError(
                f"the route {declared.pattern} has no handler: decorate a function, or give to=plug"
            )
        made = declared.copy()
        made.index = index
        return made

    def _check_names(self, routes: Sequence[Route]) -> None:
        seen: dict[str, Route] = {}
        for made in routes:
            if made.named and made.name is not None:
                other = seen.setdefault(made.name, made)
                if other is not made:
                    raise ValueError(
                        f"two routes are named {made.name!r}: {other.pattern} and {made.pattern}"
                    )

    def _methods(self, routes: Sequence[Route]) -> dict[Route, frozenset[str] | None]:
        """The methods of each route: a GET route serves HEAD too, unless a route for HEAD has the
        same pattern."""
        own = {
            (made.spec.shape, made.host)
            for made in routes
            if made.methods is not None and "HEAD" in made.methods
        }
        found: dict[Route, frozenset[str] | None] = {}
        for made in routes:
            methods = made.methods
            if (
                methods is not None
                and "GET" in methods
                and self._settings["automatic_head"]
                and (made.spec.shape, made.host) not in own
            ):
                methods = methods | {"HEAD"}
            found[made] = methods
        return found

    def _endpoint(self, made: Route, methods: frozenset[str] | None, split: bool) -> Endpoint:
        handler: Callable[..., Any]
        if made.to is None:
            handler = self._bound(made, made.handler)
            try:
                typed = typed_handler(handler, made.spec)
                if typed is None:
                    arguments = bind(handler, made.spec)
                else:
                    handler, arguments = typed, typed_arguments(typed, made.spec)
            except TypeError as error:
                raise TypeError(f"{made!r}: {error}") from None
        else:
            plug = made.to
            if isinstance(plug, str):
                plug = find_method(self, plug)
                check_plug(plug, made.options)
            elif self._is_own(made, plug):
                plug = self._bound(made, plug)
                check_plug(plug, made.options)
            else:
                other = self._mounted(plug, made.options)
                if other is not None:
                    plug, made.options = other, {}
            target = plug(**made.options) if inspect.isclass(plug) else plug
            self._targets[made] = target
            mounted_in = getattr(target, "plug_mounted_in", None)
            if mounted_in is not None:  # plugpy.api.OpenAPI asks whose routes to describe
                mounted_in(self)
            handler = make(target, {} if inspect.isclass(plug) else made.options)
            arguments = Arguments("conn", {})
            if made.forward:
                count = len(made.spec.segments)
                handler = forwarder(handler, target, count, self._refused_below)
        plugs = [self._own_plug(made, plug) for plug in made.plugs]
        if self._settings["telemetry"]:
            plugs.insert(0, Step(DispatchEvents, {"router": self}, around=True))
        return Endpoint(
            made,
            methods,
            handler,
            arguments,
            plugs,
            self,
            prepare_only=split,
        )

    def _mounted(self, target: Any, options: Mapping[str, Any]) -> Any | None:
        """A plug of an ASGI or WSGI application, else None. The same one where an application is
        mounted twice: it is started once."""
        for known, its_options, plug in self._others:
            if known is target and its_options == options:
                return plug
        plug = mounted(target, options)
        if plug is not None:
            self._others.append((target, options, plug))
        return plug

    def _is_own(self, declared: Any, function: Any) -> bool:
        """Whether a function was defined in the body of the class that declares it."""
        owner = declared.owner
        name = getattr(function, "__name__", None)
        return owner is not None and name is not None and owner.__dict__.get(name) is function

    def _own_plug(self, declared: Route, plug: Any) -> Any:
        if inspect.isfunction(plug) and self._is_own(declared, plug):
            return self._bound(declared, plug)
        return as_step(plug)

    def _bound(self, declared: Any, function: Any) -> Callable[..., Any]:
        """The handler as it is called: bound to self when a class declares it.

        A subclass that overrides the method is asked; another function of the same name in the
        same class is not.
        """
        owner = declared.owner
        if owner is None:
            found: Callable[..., Any] = function
            return found
        name = getattr(function, "__name__", None)
        if name is not None:
            for kind in type(self).__mro__:
                if kind is owner:
                    break
                if name in kind.__dict__:
                    overriding: Callable[..., Any] = getattr(self, name)
                    return overriding
        if hasattr(function, "__get__"):
            bound: Callable[..., Any] = function.__get__(self, type(self))
            return bound
        unbound: Callable[..., Any] = function  # an instance with __call__
        return unbound

    # Refusing -------------------------------------------------------------------------------------

    def _refused(self, conn: Conn, segments: Sequence[str], nested: bool) -> Conn | Awaitable[Conn]:
        """No route serves the request. A router that was forwarded to leaves the answer to the
        one above, whose error handlers count too."""
        matcher = self._matcher
        assert matcher is not None
        settings = self._settings
        allowed: set[str] = set()
        if settings["method_not_allowed"] or settings["automatic_options"]:
            if conn.method == "OPTIONS" and segments == ["", "*"]:
                # RFC 9110 section 9.3.7: the server as a whole.
                allowed = {name for made in matcher.endpoints for name in made.methods or ()}
            else:
                allowed = matcher.allowed(conn, segments)
        if not allowed:
            allow = ""
        else:
            allow = allow_header(allowed, settings["automatic_options"])
            if conn.method == "OPTIONS" and settings["automatic_options"]:
                return answer_options(conn, allow)
        error = refusal(sorted(allowed) if settings["method_not_allowed"] else None, conn, allow)
        if nested or self._errors or not settings["not_found"]:
            return self._raise_or_answer(conn, error, nested)
        return answer_refusal(conn, error)

    def _raise_or_answer(
        self, conn: Conn, error: NoRouteError | MethodNotAllowedError, nested: bool
    ) -> Conn | Awaitable[Conn]:
        handled = any(
            kind == error.status or (isinstance(kind, type) and isinstance(error, kind))
            for kind in (declared.key for declared in self._errors)
        )
        if handled or nested or not self._settings["not_found"]:
            raise error
        return answer_refusal(conn, error)

    def _refused_below(
        self, conn: Conn, error: NoRouteError | MethodNotAllowedError
    ) -> Conn | Awaitable[Conn]:
        """A router that this one forwards to has no route."""
        return self._raise_or_answer(conn, error, bool(conn.script_name))


def _dispatch(conn: Conn) -> Conn | Awaitable[Conn]:
    """The plug "dispatch": run what "match" has found."""
    run: Application = conn.private.pop(DISPATCH)
    return run(conn)


Router.reserved_names = frozenset(
    {
        *("plug", "wrap", "compile", "get", "head", "post", "put", "patch", "delete", "options"),
        *("match", "forward", "error", "path_for", "url_for", "endpoints", "forwarded"),
    }
)
"""What methods of a router class can't be called."""
