"""Parts: the plugs that a plug is made of, for who has to find one among them.

A plug that calls others may list them as its attribute `parts`, a tuple or list; what is compiled
from a pipeline or a router does.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from plugpy.pipeline.pipeline import Pluggable


def parts_of(plug: Any) -> Iterator[Any]:
    """`plug`, and all plugs that it is made of, each once, in the order in which they are called.

    Compiles pipelines and routers; raises what that raises.
    """
    seen: set[int] = set()
    # Kept until the end: an id may be used again once its object is gone.
    kept: list[Any] = []
    waiting: list[Any] = [plug]
    while waiting:
        part = waiting.pop()
        # A router that overrides `__call__` is called by its bound method.
        owner = getattr(part, "__self__", None)
        if isinstance(owner, Pluggable):
            part = owner
        if id(part) in seen:
            continue
        seen.add(id(part))
        kept.append(part)
        yield part
        inner: Iterable[Any] = ()
        if isinstance(part, Pluggable):
            compiled = part.compile()
            inner = getattr(part._compiled, "parts", ()) if part._compiled else (compiled,)
        else:
            inner = getattr(part, "parts", ())
            if not isinstance(inner, tuple | list):
                continue  # an attribute of somebody else's
        waiting += reversed(list(inner))
