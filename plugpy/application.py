"""Application: what is served, and what must run beside it (Elixir's Application).

    class Hello(Application):
        router = HelloRouter

        def start(self):
            return [worker(Cache, 10, name="cache"), every(60, clean_up)]

    $ plugpy serve hello:Hello

The children are started in their order before the first connection is accepted, under a supervisor
of the application's own, and are stopped in reverse after the last one has ended.
"""

import inspect
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, ClassVar, Self

from acceptors import otp
from acceptors.otp import ChildSpec
from acceptors.otp.periodic import every as every
from acceptors.otp.supervisor import STRATEGIES, Strategy


class Application:
    """A plug to serve, and its children; subclass it, or give all that to the constructor.

        Application(HelloRouter, children=[worker(poll)], strategy="one_for_all")

    router: what is served: a Router class or instance, any plug, an ASGI or a WSGI application.
    children: child specs, or what makes one: a class with `child_spec`, `(Class, *arguments)`, an
        async function, `worker(...)`, `supervisor(...)`, `every(...)`.
    strategy: "one_for_one" (default), "one_for_all" or "rest_for_one".
    max_restarts, max_seconds: more restarts than 3 in 5 seconds and the supervisor gives up: it
        stops its children, and the server stops.
    name: the supervisor is registered under it; default None.
    """

    router: Any = None
    children: Iterable[Any] = ()
    strategy: Strategy = "one_for_one"
    max_restarts: int = 3
    max_seconds: float = 5.0
    name: str | None = None

    OPTIONS: ClassVar[tuple[str, ...]] = (
        "children",
        "strategy",
        "max_restarts",
        "max_seconds",
        "name",
    )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        router = cls.__dict__.get("router")
        if isinstance(router, FunctionType) and not router.__qualname__.startswith(
            f"{cls.__qualname__}."
        ):
            # A plug from elsewhere, not a method of this class.
            cls.router = staticmethod(router)

    def __new__(cls, *args: Any, **options: Any) -> Self:
        if args and isinstance(args[0], dict):
            from plugpy.interop.outward import answer, is_foreign

            if is_foreign(args):
                return answer(cls, args)  # type: ignore[no-any-return]
        return super().__new__(cls)

    def __call__(self, *arguments: Any) -> Any:
        """Answer an ASGI or WSGI server that calls it (plugpy.interop.outward). Raises TypeError
        for any other call."""
        from plugpy.interop.outward import answer, is_foreign

        if not is_foreign(arguments):
            raise TypeError("an application is served, or called by an ASGI or WSGI server")
        return answer(self, arguments)

    def __init__(self, router: Any = None, **options: Any) -> None:
        for name, value in options.items():
            if name not in self.OPTIONS:
                raise TypeError(
                    f"an application has no option {name!r}; there are {', '.join(self.OPTIONS)}"
                )
            setattr(self, name, value)
        if router is not None:
            self.router = router

    def start(self) -> Any:
        """What runs beside the router: a list of children, None for those of `children`, or the
        process of a supervisor that was started here with `start_link`. May be async.

        Called in the process of the server's supervisor, before it listens. What it raises is why
        the server could not start. (Elixir: Application.start/2)
        """
        return None

    def prep_stop(self) -> Any:
        """Called when the server is asked to stop, before anything has been stopped. May be async.

        (Elixir: Application.prep_stop/1)
        """

    def stop(self) -> Any:
        """Called when connections and children have ended: last clean-up. May be async.

        (Elixir: Application.stop/1)
        """

    @classmethod
    def of(cls, served: Any) -> Self:
        """The application of a plug that may have `children` itself."""
        return cls(served, children=getattr(served, "children", None) or ())

    @property
    def has_children(self) -> bool:
        """Whether anything may run beside the router."""
        kind = type(self)
        return kind.start is not Application.start or bool(self.children)

    def check(self) -> None:
        """Raise ValueError or TypeError for options, or children that are known already, which no
        supervisor could have."""
        if self.strategy not in STRATEGIES:
            raise ValueError(f"strategy is one of {', '.join(STRATEGIES)}, got {self.strategy!r}")
        if self.max_restarts < 0:
            raise ValueError(
                f"max_restarts is a number of restarts, 0 or more, got {self.max_restarts!r}"
            )
        if not self.max_seconds > 0:
            raise ValueError(f"max_seconds is above 0, got {self.max_seconds!r}")
        child_specs(self.children)

    async def start_link(self) -> otp.Process:
        """Start the children under a supervisor that is linked with the caller.

        Raises StartError, and what `start` raises.
        """
        started = self.start()
        if inspect.isawaitable(started):
            started = await started
        if isinstance(started, otp.Process):
            return started
        supervised: otp.Process = await otp.Supervisor.start_link(
            child_specs(self.children if started is None else started),
            strategy=self.strategy,
            intensity=self.max_restarts,
            period=self.max_seconds,
            name=self.name,
            label=self.name or f"{type(self).__name__} application",
        )
        return supervised


def child_specs(children: Any) -> list[ChildSpec]:
    """The specs of a list of children. Raises ChildSpecError, which says which one is wrong."""
    if isinstance(children, str | bytes) or not isinstance(children, Iterable):
        raise otp.ChildSpecError(f"children is a list of children, got {children!r}")
    specs: list[ChildSpec] = []
    for index, child in enumerate(children):
        try:
            specs.append(otp.child_spec(child))
        except (TypeError, ValueError) as error:
            raise otp.ChildSpecError(f"children[{index}]: {error}") from error
    return otp.check_childspecs(specs)


def worker(subject: Callable[..., Any], *args: Any, **options: Any) -> ChildSpec:
    """A child: a function that is a process as long as it runs, or a class such as a GenServer.

        worker(poll, url)                    worker(Cache, 10, name="cache", restart="transient")

    options: fields of ChildSpec (id, restart, shutdown, significant, ...); for a class all others
    are arguments of its `start_link`. Raises ChildSpecError. (Elixir: Supervisor.Spec.worker/3)
    """
    return _child(subject, args, options, "worker")


def supervisor(subject: Any, *args: Any, **options: Any) -> ChildSpec:
    """A supervisor as a child: a list of its children, or a class with `child_spec`.

        supervisor([worker(one), worker(two)], strategy="one_for_all", name="pair")
        supervisor(TaskSupervisor, name="mails")

    (Elixir: Supervisor.Spec.supervisor/3)
    """
    if isinstance(subject, list | tuple):
        return _child(otp.Supervisor, (child_specs(subject), *args), options, "supervisor")
    return _child(subject, args, options, "supervisor")


_FIELDS = ("id", "restart", "significant", "modules")


def _child(subject: Any, args: tuple[Any, ...], options: dict[str, Any], kind: str) -> ChildSpec:
    if not isinstance(subject, type):
        if not callable(subject):
            raise otp.ChildSpecError(f"a {kind} is a function or a class, got {subject!r}")
        return otp.worker(subject, *args, **{"type": kind, **options})
    if not hasattr(subject, "child_spec"):
        raise otp.ChildSpecError(
            f"the class {subject.__name__} has no child_spec: derive it from GenServer, or give a "
            "function"
        )
    # `shutdown` of a supervisor class is its own option (a TaskSupervisor's tasks have it).
    fields = (*_FIELDS, "shutdown") if kind == "worker" else _FIELDS
    overrides = {name: options.pop(name) for name in fields if name in options}
    try:
        spec: ChildSpec = subject.child_spec(*args, **options)
    except TypeError as error:
        raise otp.ChildSpecError(f"{subject.__name__}: {error}") from error
    return otp.child_spec(spec, **overrides)
