"""Steps: what a plug is, how it is made from a class and options, what it is called in errors."""

import difflib
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from plugpy.pipeline.class_body import ClassBody, Declarative


class Step:
    """One plug of a pipeline, as it was declared.

    plug: a callable `conn -> conn`, a class, or the name of a method of the class that declares
    it. options: keywords for the class, the function or the method. around: the class is called
    with the rest of the pipeline as its first argument (see `wrap`).
    """

    __slots__ = ("around", "options", "plug")

    def __init__(self, plug: Any, options: Mapping[str, Any], around: bool = False) -> None:
        self.plug = plug
        self.options = dict(options)
        self.around = around
        if around:
            _check_callable(plug)
        elif not isinstance(plug, str):
            check_plug(plug, self.options)

    def made(self, owner: Any = None) -> "Step":
        """The step with its plug ready to be called: classes instantiated, names looked up in
        `owner`. Around-steps stay as they are: they need the rest of the pipeline."""
        if self.around:
            return self
        plug = self.plug
        if isinstance(plug, str):
            plug = find_method(owner, plug)
            check_plug(plug, self.options)
        return Step(make(plug, self.options), {})

    def __repr__(self) -> str:
        return f"<Step {describe(self.plug)}>"


def plug(plug: Any, /, **options: Any) -> Step:
    """Declare a plug: in the body of a Pipeline or Router class, or as a value in a list of plugs.

        class App(Router):
            plug(RequestId, http_header="x-request-id")
            plug("authorize")

    plug: a callable `conn -> conn`, a class that is instantiated with `options`, or the name of a
    method. A function or method is called with `options` as keywords. Source: Plug.Builder.plug/2.
    Raises TypeError for what is no plug and for options that it does not take.
    """
    return _declare(plug, options, around=False)


def wrap(plug: Any, /, **options: Any) -> Step:
    """Declare a plug around the rest of the pipeline: for try/except, timing, retries.

    plug: a class (or function) called once with `inner`, the rest of the pipeline as one callable
    `conn -> conn or awaitable`, and `options`; what it gives is the plug. It stands in for
    overriding `call/2` with `super` in Plug.
    """
    return _declare(plug, options, around=True)


def _declare(plug: Any, options: dict[str, Any], around: bool) -> Step:
    body = sys._getframe(2).f_locals
    if isinstance(body, ClassBody):
        # A function of the class body needs `self`: take it by its name, as a method.
        name = getattr(plug, "__name__", None)
        if inspect.isfunction(plug) and name is not None and body.get(name) is plug:
            plug = name
        step = Step(plug, options, around)
        body.steps.append(step)
        return step
    return Step(plug, options, around)


def as_step(plug: Any) -> Step:
    """`plug` as a Step: a Step, a plug, a class, or a pair of one of them and its options."""
    if isinstance(plug, Step):
        return plug
    if isinstance(plug, tuple) and len(plug) == 2 and isinstance(plug[1], Mapping):
        return Step(plug[0], plug[1])
    return Step(plug, {})


def make(plug: Any, options: Mapping[str, Any]) -> Callable[..., Any]:
    """The callable of a plug: a class is instantiated, a function keeps its options."""
    made: Any
    if inspect.isclass(plug):
        made = plug(**options)
    elif options:
        made = functools.partial(plug, **options)
    else:
        made = plug
    if isinstance(type(made), Declarative):
        made = made.compile()  # a pipeline in a pipeline is one call, not two
    called: Callable[..., Any] = made
    return called


def describe(plug: Any) -> str:
    """The name of a plug for messages: `Parsers.__call__` or `app.authorize`."""
    if isinstance(plug, Step):
        plug = plug.plug
    if isinstance(plug, str):
        return plug
    if isinstance(plug, functools.partial):
        return describe(plug.func)
    name = getattr(plug, "__qualname__", None)
    if name is None:
        return f"{type(plug).__qualname__}.__call__"
    module = getattr(plug, "__module__", None)
    return f"{module}.{name}" if module else str(name)


def check_plug(plug: Any, options: Mapping[str, Any]) -> None:
    """Refuse what can't be called with one conn, and options that it does not take.

    Raises TypeError. What has no signature (some C functions) is taken on trust.
    """
    if inspect.isclass(plug):
        if not any("__call__" in kind.__dict__ for kind in plug.__mro__):
            raise TypeError(
                f"{describe(plug)} is not a plug: its instances can't be called; "
                "define __call__(self, conn) and return conn"
            )
        check_options(plug, options)
        return
    _check_callable(plug)
    parameters = _parameters(plug)
    if parameters is None:
        return
    positional = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    required = [
        parameter.name
        for parameter in positional
        if parameter.default is parameter.empty and parameter.name not in options
    ]
    variadic = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    if len(required) > 1:
        hint = ""
        if [name.strip("_") for name in required[:2]] == ["scope", "receive"]:
            hint = "; this looks like an ASGI application: wrap it by plugpy.interop"
        raise TypeError(
            f"{describe(plug)} is not a plug: a plug takes one conn, this takes "
            f"{', '.join(required)}{hint}"
        )
    if not positional and not variadic:
        raise TypeError(f"{describe(plug)} is not a plug: it takes no conn")
    check_options(plug, options)


def check_options(target: Any, options: Mapping[str, Any]) -> None:
    """Refuse keywords that `target` does not take, by name. Raises TypeError."""
    parameters = _parameters(target)
    if parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for name in options:
        if name not in known:
            raise TypeError(f"{describe(target)} has no option {name!r}{did_you_mean(name, known)}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or else the list of what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is {', '.join(names)}" if names else ""


def _check_callable(plug: Any) -> None:
    if not callable(plug):
        raise TypeError(
            f"{plug!r} is not a plug: a plug is a callable conn -> conn, or a class of such"
        )


def find_method(owner: Any, name: str) -> Callable[..., Any]:
    """The method that a plug is named after. Raises TypeError."""
    method = getattr(owner, name, None)
    if not callable(method):
        kind = type(owner).__qualname__
        methods = [
            key
            for key in dir(type(owner))
            if not key.startswith("_") and callable(getattr(type(owner), key, None))
        ]
        close = difflib.get_close_matches(name, methods, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise TypeError(f"plug({name!r}): {kind} has no method of that name{hint}")
    found: Callable[..., Any] = method
    return found


def _parameters(target: Any) -> list[inspect.Parameter] | None:
    try:
        return list(signature_of(target).parameters.values())
    except (TypeError, ValueError):
        return None


if sys.version_info >= (3, 14):
    import annotationlib

    def signature_of(target: Any) -> inspect.Signature:
        """The signature; names in annotations that exist for type checkers only do no harm."""
        return inspect.signature(target, annotation_format=annotationlib.Format.FORWARDREF)

else:

    def signature_of(target: Any) -> inspect.Signature:
        """The signature; annotations that are text stay text."""
        return inspect.signature(target)
