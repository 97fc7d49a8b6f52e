"""Pipeline: plugs in a row, which is a plug itself (Plug.Builder)."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ClassVar, Self

from plugpy.conn.conn import Conn
from plugpy.pipeline.class_body import Declarative
from plugpy.pipeline.compiler import Application, compile_pipeline, log_level
from plugpy.pipeline.steps import Step, as_step, did_you_mean


class Pluggable(metaclass=Declarative):
    """What Pipeline and Router share: plugs are declared, then compiled once at first use.

    Options are given to the class (`class App(Router, log_on_halt="debug")`) or to the instance.
    """

    OPTIONS: ClassVar[dict[str, Any]] = {"log_on_halt": None}
    """Option -> default. Subclasses of the library extend it."""

    pipeline: Iterable[Any] = ()
    """Plugs as a class attribute, for those who prefer it to `plug(...)` in the class body."""

    _class_settings: ClassVar[dict[str, Any]] = {}
    _settings: dict[str, Any]
    _steps: list[Step]
    _compiled: Application | None
    _compiling: bool

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__()
        known = cls.OPTIONS
        for name in options:
            if name not in known:
                raise TypeError(
                    f"class {cls.__name__}: no option {name!r}{did_you_mean(name, known)}"
                )
        cls._class_settings = {**cls._class_settings, **options}
        own = cls.__dict__.get("__call__")
        if own is not None:
            cls.__call__ = _answering(own)  # type: ignore[method-assign]

    # A class with an `__init__` of its own need not call `super().__init__()`.
    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        self._settings = {**cls.OPTIONS, **cls._class_settings}
        self._steps = _declared_steps(cls)
        self._compiled = None
        self._compiling = False
        return self

    def __init__(self, plugs: Iterable[Any] = (), **options: Any) -> None:
        known = type(self).OPTIONS
        for name in options:
            if name not in known:
                raise TypeError(
                    f"{type(self).__name__} has no option {name!r}{did_you_mean(name, known)}"
                )
        self._settings.update(options)
        log_level(self._settings["log_on_halt"])
        self._steps += [self._step(plug) for plug in plugs]

    def plug(self, plug: Any, /, **options: Any) -> Self:
        """Append a plug: a callable, a class that is instantiated now with `options`, or the name
        of a method. Raises TypeError for what is no plug or an unknown option, RuntimeError after
        the first request. Source: Plug.Builder.plug/2."""
        self._check_open("plug")
        self._steps.append(self._step(Step(plug, options)))
        return self

    def wrap(self, plug: Any, /, **options: Any) -> Self:
        """Put a plug around all plugs that follow: `plug(inner, **options)` makes it.
        Errors as `plug`."""
        self._check_open("wrap")
        self._steps.append(Step(plug, options, around=True))
        return self

    def _step(self, plug: Any) -> Step:
        step = as_step(plug)
        # A name is looked up when the instance is complete.
        return step if isinstance(step.plug, str) else step.made(self)

    def _check_open(self, what: str) -> None:
        """Raise RuntimeError where it is too late to declare anything."""
        if self._compiled is not None:
            raise RuntimeError(
                f"{what}() was called on {type(self).__name__} after it was compiled (by its first "
                "request or the server's start); declare everything before"
            )

    def compile(self) -> Application:
        """The function that does what calling this instance does, made once.

        Use it where every call counts. A class that overrides `__call__` is called through that.
        """
        compiled = self._compiled
        if compiled is None:
            if self._compiling:  # a router that forwards to itself
                return self.__call__
            self._compiling = True
            try:
                compiled = self._compiled = self._compile()
            finally:
                self._compiling = False
        called = type(self).__call__
        if called is Pluggable.__call__:
            return compiled
        # What the class has defined, without the look at who calls.
        return called.__wrapped__.__get__(self)  # type: ignore[attr-defined, no-any-return]

    def _compile(self) -> Application:
        raise NotImplementedError

    def __call__(self, conn: Any, *foreign: Any) -> Any:
        """Run the plugs on `conn`. May be overridden; `super().__call__(conn)` goes on.

        An ASGI or WSGI server that calls it gets its answer too (plugpy.interop.outward).
        """
        if foreign or isinstance(conn, dict):
            return _answer_foreign(self, (conn, *foreign))
        compiled = self._compiled
        if compiled is None:
            self.compile()
            compiled = self._compiled
            assert compiled is not None
        return compiled(conn)


class Pipeline(Pluggable):
    """Plugs in a row; a plug itself.

        browser = Pipeline([RequestId, Head])
        browser.plug(SecureHeaders, hsts=True)

        class Browser(Pipeline, log_on_halt="debug"):
            plug(RequestId)
            plug("authorize")

            def authorize(self, conn): ...

    plugs: callables, classes, pairs (class, options) or `plug(...)` values.
    Options: log_on_halt, a log level or None (default). A subclass inherits the plugs of its base
    unless it declares some itself. Source: Plug.Builder.
    """

    def _compile(self) -> Application:
        return compile_pipeline(
            self._steps,
            log_on_halt=self._settings["log_on_halt"],
            title=type(self).__name__,
            owner=self,
        )


Pipeline.reserved_names = frozenset({"plug", "wrap", "compile"})


def _declared_steps(cls: type[Pluggable]) -> list[Step]:
    """The plugs that the nearest class declares, its own or a base."""
    for base in cls.__mro__:
        listed = list(base.__dict__.get("pipeline", ()))
        # A `plug(...)` in the list was recorded by the class body too.
        steps = [step for step in base.__dict__.get("declared_steps", ()) if step not in listed]
        steps += [as_step(plug) for plug in listed]
        if steps:
            return steps
    return []


def _answer_foreign(application: Any, arguments: tuple[Any, ...]) -> Any:
    """The answer to an ASGI or WSGI server, None for other arguments."""
    from plugpy.interop.outward import answer, is_foreign

    return answer(application, arguments) if is_foreign(arguments) else None


def _answering(own: Callable[..., Any]) -> Callable[..., Any]:
    """`own`, the `__call__` of a class, that answers ASGI and WSGI servers too."""

    @wraps(own)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], dict):
            return _answer_foreign(self, args)
        return own(self, *args, **kwargs)

    return call


def compiled(application: Any) -> Callable[[Conn], Any]:
    """The plain function behind a Router or Pipeline; any other callable as it is.

    A server calls it once at start: it saves a call per request, and reports what is wrong with
    routes and the order of plugs before the first request. Raises what `compile` raises.
    """
    if isinstance(application, Pluggable):
        return application.compile()
    checked: Callable[[Conn], Any] = application
    return checked
