"""What a route hands requests to: a plug, or an application of another kind made one."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from plugpy.pipeline.steps import check_options, check_plug


def mounted(target: Any, options: Mapping[str, Any]) -> Any | None:
    """A plug of an ASGI or WSGI application; None where `target` is a plug by itself.

    options: those of asgi_plug or wsgi_plug. Raises TypeError for what is neither, and for options
    that there are not.
    """
    try:
        check_plug(target, options)
    except TypeError:
        bridge = _bridge_of(target)
        if bridge is None:
            raise
        check_options(bridge, options)
        return bridge(target, **options)
    return None


def check_target_options(target: Any, options: Mapping[str, Any]) -> None:
    """Refuse keywords that neither a plug takes nor what makes a plug of an application."""
    try:
        check_options(target, options)
    except TypeError:
        bridge = _bridge_of(target)
        if bridge is None:
            raise
        check_options(bridge, options)


def _bridge_of(target: Any) -> Callable[..., Any] | None:
    """What makes a plug of `target`; None where it is no application of another kind."""
    if _first_parameter(target) == "conn":
        return None  # a plug whose options are missing
    # Not at the top: most routers mount nothing.
    from plugpy.interop import asgi_plug, is_asgi, is_wsgi, wsgi_plug

    if is_asgi(target):
        return asgi_plug
    return wsgi_plug if is_wsgi(target) else None


def _first_parameter(target: Any) -> str | None:
    try:
        return next(iter(inspect.signature(target).parameters), None)
    except (TypeError, ValueError):
        return None
