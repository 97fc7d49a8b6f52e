"""The application behind an import string such as `app:Router`, ready to be served.

What can be served: a Router class or instance, any plug (a callable `conn -> conn`, or a class
whose instances are one), an ASGI 3 or a WSGI application, and a plugpy.Application around one of
these.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from plugpy.application import Application
from plugpy.server.errors import ApplicationError, ConfigurationError, did_you_mean
from plugpy.server.tracebacks import format_user_traceback

Interface = Literal["plug", "asgi", "wsgi"]

_EXAMPLE = "write it as module:attribute, for example app:Router"


def import_object(target: str, app_dir: str = ".") -> Any:
    """What `target` (`module:attribute` or `module:attribute.attribute`) names.

    `app_dir` comes first on the import path. Raises ConfigurationError when `target` is not of
    that form, and ApplicationError when there is no such module or attribute, or when the module
    raises on import; then the message holds the traceback of the user's own frames.
    """
    module_name, colon, attributes = target.partition(":")
    parts = [*module_name.split("."), *attributes.split(".")]
    # `app.py:Router` would be taken for the module `py` in the package `app`.
    if not colon or module_name.endswith(".py") or not all(map(str.isidentifier, parts)):
        raise ConfigurationError(f"{target!r} is not an import string{_hint(target)}")
    folder = os.path.abspath(app_dir)
    if not os.path.isdir(folder):
        raise ConfigurationError(f"the app-dir {app_dir!r} is not a folder")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = _import_module(module_name, folder)
    found: Any = module
    path = module_name
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise ApplicationError(_no_attribute(found, attribute, path)) from None
        path = (
            f"{path}:{attribute}" if found is module or ":" not in path else f"{path}.{attribute}"
        )
    return found


def load(
    target: str, *, app_dir: str = ".", factory: bool = False, interface: str = "auto"
) -> "Loaded":
    """Import `target`, call it when `factory`, and tell what it is. Errors as `import_object`."""
    found = import_object(target, app_dir)
    if factory:
        if not callable(found):
            raise ApplicationError(
                f"{target} is {describe(found)}, but with --factory it must be a function that "
                "returns the application"
            )
        found = _call(found, f"the factory {target}")
        if inspect.iscoroutine(found):
            found.close()
            raise ApplicationError(
                f"the factory {target} is an async function; the application is made before the "
                "event loop runs, so make it a plain one"
            )
    return identify(found, name=target, interface=interface)


class Loaded:
    """What is served and how it is called: `interface` is "plug", "asgi" or "wsgi".

    owner: the plugpy.Application that it belongs to; one is made for what comes without.
    """

    __slots__ = ("application", "interface", "name", "owner")

    def __init__(
        self,
        application: Callable[..., Any],
        interface: Interface,
        name: str,
        owner: Application | None = None,
    ) -> None:
        self.application = application
        self.interface = interface
        self.name = name
        self.owner = owner if owner is not None else Application.of(application)


def identify(candidate: Any, *, name: str = "", interface: str = "auto") -> Loaded:
    """Tell what `candidate` is; a class is instantiated without arguments.

    Raises ApplicationError that says what it is when it can't be served.
    """
    name = name or _name_of(candidate)
    if inspect.isclass(candidate) and issubclass(candidate, Application):
        candidate = _call(candidate, f"the class {name}")
    if isinstance(candidate, Application):
        return _identify_owner(candidate, name, interface)
    if inspect.isclass(candidate) and not _is_wsgi_class(candidate):
        if not _has_call(candidate):
            raise ApplicationError(
                f"{name} is {describe(candidate)}, whose instances can't be called; {_EXPECTED}"
            )
        candidate = _call(candidate, f"the class {name}")
    if not callable(candidate):
        raise ApplicationError(f"{name} is {describe(candidate)}; {_EXPECTED}")
    found = _interface(candidate, name) if interface == "auto" else interface
    return Loaded(candidate, found, name)  # type: ignore[arg-type]


def _identify_owner(owner: Application, name: str, interface: str) -> Loaded:
    if owner.router is None:
        raise ApplicationError(
            f"{name} has no router: set `router` in the class, or give it to Application(router)"
        )
    if isinstance(owner.router, Application) or (
        inspect.isclass(owner.router) and issubclass(owner.router, Application)
    ):
        raise ApplicationError(f"the router of {name} is an Application itself; {_EXPECTED}")
    try:
        owner.check()
    except (TypeError, ValueError) as error:
        raise ApplicationError(f"{name}: {error}") from error
    served = identify(owner.router, name=f"the router of {name}", interface=interface)
    return Loaded(served.application, served.interface, name, owner)


_EXPECTED = (
    "an application is a Router, a plug (a callable conn -> conn), an ASGI 3 or a WSGI application"
)


def describe(value: Any) -> str:
    """What `value` is, for an error: `a dict`, `the module 'app'`, `the class 'Settings'`."""
    if inspect.ismodule(value):
        return f"the module {value.__name__!r}"
    if inspect.isclass(value):
        return f"the class {value.__name__!r}"
    if value is None:
        return "None"
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"


def _interface(application: Callable[..., Any], name: str) -> Interface:
    """Tell by the parameters that must be given."""
    try:
        signature = inspect.signature(application)
    except (TypeError, ValueError):
        return "plug"
    positional = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    required = [parameter for parameter in positional if parameter.default is parameter.empty]
    names = [parameter.name.strip("_") for parameter in positional]
    if names[:1] == ["conn"] and len(required) > 1:
        raise ApplicationError(
            f"{name} is a plug that takes {len(required)} arguments ({', '.join(names)}); a plug "
            "that is served takes one conn"
        )
    if names[:3] == ["scope", "receive", "send"] or len(required) == 3:
        return "asgi"
    if names[:2] == ["environ", "start_response"] or len(required) == 2:
        return "wsgi"
    if len(required) > 3 or (
        not positional
        and not any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
    ):
        hint = "; is it a factory? then add --factory" if not positional else ""
        raise ApplicationError(f"{name} takes {len(required)} arguments{hint}; {_EXPECTED}")
    if names[:1] == ["scope"] and len(required) == 1:
        raise ApplicationError(
            f"{name} takes a scope alone, as an ASGI 2 application does; make it "
            "an ASGI 3 application: async def app(scope, receive, send)"
        )
    return "plug"


def _is_wsgi_class(kind: type) -> bool:
    """Whether making an instance is the call of a WSGI application, as PEP 3333 allows."""
    if _has_call(kind) or not hasattr(kind, "__iter__"):
        return False
    try:
        names = [name.strip("_") for name in inspect.signature(kind).parameters]
    except (TypeError, ValueError):
        return False
    return names == ["environ", "start_response"]


def _has_call(kind: type) -> bool:
    return any("__call__" in base.__dict__ for base in kind.__mro__)


def _call(function: Callable[..., Any], what: str) -> Any:
    try:
        return function()
    except Exception as error:
        raise ApplicationError(f"{what} raised:\n{format_user_traceback(error)}") from error


def _name_of(candidate: Any) -> str:
    return getattr(candidate, "__qualname__", None) or type(candidate).__qualname__


def _import_module(name: str, folder: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        # `import app` failed on `app` itself, not on something that app imports.
        if missing and (name == missing or name.startswith(missing + ".")):
            close = did_you_mean(name, _modules(folder)) if "." not in name else ""
            raise ApplicationError(f"there is no module {missing!r} in {folder}{close}") from None
        raise ApplicationError(_raised(name, error)) from error
    except (Exception, SystemExit) as error:
        raise ApplicationError(_raised(name, error)) from error


def _raised(name: str, error: BaseException) -> str:
    return f"importing {name} raised:\n{format_user_traceback(error)}"


def _no_attribute(owner: Any, attribute: str, path: str) -> str:
    public = [name for name in dir(owner) if not name.startswith("_")]
    message = f"{path} has no attribute {attribute!r}{did_you_mean(attribute, public)}"
    if "did you mean" in message or not inspect.ismodule(owner):
        return message
    own = [
        name
        for name in public
        if callable(value := getattr(owner, name))
        and getattr(value, "__module__", None) == owner.__name__
    ]
    return f"{message}; it defines {', '.join(own)}" if own else message


def _modules(folder: str) -> list[str]:
    """Names of the modules and packages of the user in `folder`."""
    return [
        entry.stem
        for entry in Path(folder).iterdir()
        if entry.suffix == ".py" or (entry.is_dir() and (entry / "__init__.py").is_file())
    ]


def _hint(target: str) -> str:
    """What was probably meant by an import string without a module or an attribute."""
    head, _, attribute = target.partition(":")
    if head.endswith(".py") or "/" in head:
        module = head.removesuffix(".py").strip("./").replace("/", ".")
        return f"; did you mean '{module}:{attribute or 'Router'}'? (a module, not a file)"
    if "." in head and not attribute:
        module, _, last = head.rpartition(".")
        return f"; did you mean '{module}:{last}'?"
    return f"; {_EXAMPLE}"
